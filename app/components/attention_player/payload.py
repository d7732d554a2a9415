"""What the player gets to draw."""

import json
import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from app.components.drawing import identity_of, pack_buffer
from tokenlearner.attention.tracks import Tracks
from tokenlearner.clips import ClipExplanation
from tokenlearner.media import encode_jpeg
from tokenlearner.rendering.overlay import ViewSettings
from tokenlearner.rendering.video import step_starts_s

_THUMBNAIL_PX = 96  # height of a picture of the filmstrip: twice that on the screen
_THUMBNAIL_ASPECTS = (0.6, 2.0)  # how narrow and how wide one may be; what is beyond is cut
_MOST_COLUMNS = 32


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class ClipMedia:
    """A clip in a form that browsers play.

    Attributes:
        content: The file, upright.
        type: Its MIME type.
        start_s: Where in the clip that was sampled its first frame lies, in seconds.
        duration_s: How long it plays.
        frames_s: When each of its frames begins, in seconds since it begins itself; the first may
            have begun before, in the clip that it was cut from.
        has_sound: Whether there is something to hear.
    """

    content: bytes
    type: str
    start_s: float
    duration_s: float
    frames_s: NDArray[np.float64]
    has_sound: bool


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class PackedMaps:
    """What the player gets of an explanation, which takes a while to make.

    Attributes:
        header: What to know of the blocks. Its `id` changes with clip, maps and geometry, and with
            nothing else; `media.id` only with the clip, which plays on while another model's maps
            come.
        blocks: `maps`, `tracks`, `film` and `frames`.
    """

    header: dict[str, Any]
    blocks: dict[str, bytes]

    @property
    def num_bytes(self) -> int:
        """What the blocks take."""
        return sum(map(len, self.blocks.values()))


def pack_maps(explanation: ClipExplanation, media: ClipMedia, *, learner: int = 0) -> PackedMaps:
    """Packs maps, curves and the filmstrip.

    Args:
        explanation: Maps, geometry and the frames that the model saw.
        media: The clip that plays with them.
        learner: Which of the model's TokenLearners, counted from 0.
    """
    maps = np.ascontiguousarray(explanation.learners[learner].maps, dtype="<f4").tobytes()
    shape = explanation.learners[learner].maps.shape
    axes = explanation.geometry.axes((shape[2], shape[3]))
    starts, marks = step_times(explanation, media)
    diagonal_px = math.hypot(explanation.facts.height_px, explanation.facts.width_px)
    curves, kinds = _curves(explanation.tracks(learner), diagonal_px)
    film, film_facts = filmstrip(explanation)
    header = {
        "shape": list(shape),
        "starts_s": starts.tolist(),
        "marks_s": marks.tolist(),
        "from_s": media.start_s,
        "duration_s": media.duration_s,
        "step_frames": [list(frames) for frames in explanation.step_frames],
        "source": list(explanation.frames.shape[1:3]),
        "box": [float(side) for side in explanation.geometry.box],
        "spans": [axis.span for axis in axes],
    }
    media_id = identity_of(media.content)
    header |= {
        "id": identity_of(maps, media_id.encode(), json.dumps(header).encode()),
        "tracks": {"kinds": kinds},
        "film": film_facts,
        "media": {"id": media_id, "type": media.type, "has_sound": media.has_sound},
    }
    blocks = {
        "maps": maps,
        "tracks": curves.tobytes(),
        "film": film,
        "frames": media.frames_s.clip(0).astype("<f4").tobytes(),
    }
    return PackedMaps(header=header, blocks=blocks)


def pack_payload(
    packed: PackedMaps,
    media: ClipMedia,
    settings: ViewSettings,
    *,
    stage: bool = False,
    download: tuple[str, bytes] | None = None,
    download_id: str = "",
) -> bytes:
    """Packs a clip and its maps.

    Args:
        packed: The maps.
        media: The clip that they were packed for.
        settings: What a player that starts with this payload shows first.
        stage: Fill the viewport.
        download: File name and content to save in the browser.
        download_id: Differs from one file to save to the next; content alone cannot tell them.

    Returns:
        The buffer of `pack_buffer`, with the blocks of `packed`, and `media`.
    """
    return pack_buffer(
        {**packed.header, "stage": stage},
        {**packed.blocks, "media": media.content},
        settings,
        download=download,
        download_id=download_id,
    )


def step_times(
    explanation: ClipExplanation, media: ClipMedia
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """When each step is shown in the player, in seconds of the media.

    Returns:
        From when on it is in force, halfway from the last frame of the step before to its own
        first, 0 for the first step; and when its first frame is on the screen.
    """
    starts = step_starts_s(explanation) - media.start_s
    first = np.array([explanation.times_s[start] for start, _ in explanation.step_frames])
    # What begins while the first frame was on the screen already begins with the second.
    second = media.frames_s[1] if len(media.frames_s) > 1 else media.duration_s
    starts = np.where((starts > media.frames_s[0]) & (starts <= 0), second, starts)
    starts, first = (t.clip(0, media.duration_s) for t in (starts, first - media.start_s))
    return starts, first


def filmstrip(explanation: ClipExplanation) -> tuple[bytes, dict[str, Any]]:
    """What the model saw at each step, small, as one JPEG, row by row.

    Returns:
        The JPEG, and what it takes to cut it: width and height of a picture, pictures in a row.
    """
    left, top, right, bottom = explanation.geometry.box
    height, width = explanation.frames.shape[1:3]
    rows = slice(max(0, round(top)), min(height, round(bottom)))
    columns = slice(max(0, round(left)), min(width, round(right)))
    aspect = float(np.clip((right - left) / (bottom - top), *_THUMBNAIL_ASPECTS))
    size = (max(1, round(_THUMBNAIL_PX * aspect)), _THUMBNAIL_PX)
    pictures = [
        cv2.resize(
            np.ascontiguousarray(explanation.frames[(start + stop - 1) // 2, rows, columns]),
            size,
            interpolation=cv2.INTER_AREA,
        )
        for start, stop in explanation.step_frames
    ]
    across = min(len(pictures), _MOST_COLUMNS)
    blank = np.zeros_like(pictures[0])
    pictures += [blank] * (-len(pictures) % across)
    lines = [np.hstack(pictures[at : at + across]) for at in range(0, len(pictures), across)]
    facts = {"type": "image/jpeg", "width": size[0], "height": size[1], "columns": across}
    return encode_jpeg(np.vstack(lines)), facts


def _curves(tracks: Tracks, diagonal_px: float) -> tuple[NDArray[np.float32], list[dict[str, str]]]:
    """The player's curves `[curve, step, token]`, and what they are.

    The meaning of a token hardly changes from step to step, so it is its change that can be seen.
    """
    strength = {
        "mass": (100 * tracks.strength, " %", "How much of the picture it lights up"),
        # As the legend and the thumbnails say it, which have the map's own values.
        "peak": (tracks.strength, "", "Attention on its strongest patch"),
    }
    curves = {
        "Strength": strength[tracks.strength_kind],
        "Width": (100 * tracks.effective_area, " %", "Share of the picture that it looks at"),
        "Movement": (
            100 * tracks.movement_ratio,
            " %",
            "Distance from the step before, of the diagonal",
        ),
        "Jitter": (
            100 * tracks.jitter_px / diagonal_px,
            " %",
            "Deviation from steady motion, of the diagonal",
        ),
        "Change": (
            100 * (1 - tracks.similarity),
            " %",
            "Change in what it encodes since the step before",
        ),
    }
    kinds = [
        {"name": label.lower(), "label": label, "unit": unit, "about": about}
        for label, (_, unit, about) in curves.items()
    ]
    return np.stack([values for values, *_ in curves.values()]).astype("<f4"), kinds
