"""What of photos is computed once and kept, and who may see it.

What comes from the shipped samples is shared by all sessions and never changed. What comes from a
photo that someone brought is kept for that session alone, as long as there is room.
"""

import base64
from dataclasses import dataclass, replace
from functools import partial
from io import BytesIO

import cv2
import numpy as np
import streamlit as st
from PIL import Image as PillowImage

from app import memory, resources, turns
from app.background import Progress
from app.components.drawing import encode_display_photo
from app.state import OwnPhoto
from tokenlearner.inference import Explanation, explain
from tokenlearner.media import Image, encode_png, read_image
from tokenlearner.preprocess import Preprocessing, prepare

THUMBNAIL_SIZE_PX = (168, 126)  # twice as large as they are drawn, for dense screens


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Result:
    """A photo through a model and through the one it is compared with.

    Attributes:
        chosen: By the model that the user chose.
        other: By its counterpart with or without TokenLearner; None if there is none.
        photo_jpeg: The photo for the screen.
        input_png: What the chosen model got of it.
    """

    chosen: Explanation
    other: Explanation | None
    photo_jpeg: bytes
    input_png: bytes

    @property
    def pair(self) -> tuple[Explanation, Explanation] | None:
        """The model without TokenLearner, then the one with it; None if one of them is missing."""
        if self.other is None:
            return None
        return (self.other, self.chosen) if self.chosen.learners else (self.chosen, self.other)


@st.cache_resource(max_entries=64, show_spinner=False)
def read_sample(sample_id: str) -> Image:
    """A sample's photo."""
    return read_image(resources.samples()[sample_id].path)


@st.cache_resource(max_entries=1, show_spinner=False)
def thumbnails() -> dict[str, str]:
    """Small pictures of all samples by id, as data URIs."""
    return {
        sample_id: thumbnail(read_image(s.path).pixels)
        for sample_id, s in resources.samples().items()
    }


def thumbnail(pixels: np.ndarray) -> str:
    """The middle of a picture (uint8 RGB [height, width, 3]), small, as a data URI."""
    width, height = THUMBNAIL_SIZE_PX
    rows, columns = pixels.shape[:2]
    # Cropped first: scaled as a whole, a photo that is long and thin would get enormous.
    scale = min(columns / width, rows / height)
    across, down = max(1, round(width * scale)), max(1, round(height * scale))
    left, top = (columns - across) // 2, (rows - down) // 2
    middle = pixels[top : top + down, left : left + across]
    crop = cv2.resize(middle, THUMBNAIL_SIZE_PX, interpolation=cv2.INTER_AREA)
    buffer = BytesIO()
    PillowImage.fromarray(crop).save(buffer, "WEBP", quality=60)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def read_own_photo(data: bytes, name: str, progress: Progress) -> OwnPhoto:
    """Reads what someone brought, which waits for nobody's turn at the device.

    Args:
        data: The file.
        name: Its name.
        progress: Says whether somebody still waits.

    Raises:
        MediaError: If it cannot be used.
    """
    waiting = partial(progress.say, turns.WAITING, 0.0)
    with turns.place(turns.READING_PHOTOS, waiting), turns.working_beside():
        image = read_image(data)
        return OwnPhoto(name=name, image=image, thumbnail=thumbnail(image.pixels))


def look_at(image: Image, model: str, device: str, *, is_own: bool) -> Result:
    """A photo through a model and its counterpart; what was computed before is taken as it is.

    Args:
        image: The photo.
        model: Name of the model.
        device: Where the models are.
        is_own: Whether this session brought the photo: no other session sees it then.
    """
    shelf = memory.own_results() if is_own else memory.shared_results()
    # Spinners appear after half a second, so what is on the shelf shows none.
    with st.spinner(turns.WAITING if turns.device_is_taken() else "Analysing the photo…"):
        pair = _pair(model, device)
        key = (image.sha256, *(resources.version_of(name, device) for name in pair), device)
        with shelf.making(key, lambda: None):
            if (result := shelf.get(key)) is None:
                result = _explain(image, pair, device)
                shelf.put(key, result, _num_bytes(result))
        return result


def _pair(model: str, device: str) -> list[str]:
    return [name for name in (model, resources.counterpart(model, device)[0]) if name is not None]


def _num_bytes(result: Result) -> int:
    """What a result takes: mostly the photo itself, which both explanations share, and maps."""
    both = [result.chosen, *([result.other] if result.other else [])]
    maps = sum(learner.maps.nbytes for found in both for learner in found.learners)
    return result.chosen.image.nbytes + maps + len(result.photo_jpeg) + len(result.input_png)


def _explain(image: Image, pair: list[str], device: str) -> Result:
    networks = [resources.load_model(name, device) for name in pair]
    with turns.device_turn():
        chosen, *others = [explain(network, image) for network in networks]
    return Result(
        chosen=chosen,
        other=others[0] if others else None,
        photo_jpeg=encode_display_photo(image.pixels),
        input_png=_input_png(image, resources.model_info(pair[0], device).preprocessing),
    )


def _input_png(image: Image, preprocessing: Preprocessing) -> bytes:
    plain = replace(preprocessing, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    values = prepare(image.pixels, plain)[0][0].permute(1, 2, 0)
    return encode_png((255 * values).round().byte().numpy())
