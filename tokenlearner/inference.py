"""A photo through a model, and everything worth knowing about it in one object."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import ClassVar, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as PillowImage

from tokenlearner.answers import Answer, LearnerMaps, facts_of, info_of
from tokenlearner.attention.token_facts import TokenFacts, describe_tokens
from tokenlearner.checkpoints import AnyModel, ClipModel, ImageModel, for_images
from tokenlearner.efficiency.model_flops import count_model
from tokenlearner.errors import (
    ConfigError,
    MeasurementError,
    ShapeError,
    UnsupportedMediaError,
)
from tokenlearner.geometry import Geometry
from tokenlearner.media.clip_files import CLIP_KINDS
from tokenlearner.media.images import Image, pixels_of, read_image
from tokenlearner.modules.grids import Grid
from tokenlearner.modules.precision import float32_precision
from tokenlearner.preprocess import prepare, require_rgb


@dataclass(frozen=True, eq=False, repr=False, kw_only=True, slots=True)
class Explanation(Answer):
    """A photo, a model's predictions for it, and how the model came to them.

    Attributes:
        image: The photo, RGB, uint8 `[height, width, 3]`.
        learners: One entry per TokenLearner in order of use; empty for a baseline.
    """

    _FORMAT: ClassVar[str] = "tokenlearner-explanation/2"

    image: NDArray[np.uint8]

    def token_facts(self, learner: int = 0) -> tuple[TokenFacts, ...]:
        """Returns what each token of one TokenLearner looks at, in numbers.

        Args:
            learner: Which of the model's TokenLearners, counted from 0.

        Raises:
            ConfigError: If the model has no such learner.
        """
        chosen = self.learner(learner)
        return describe_tokens(chosen.maps, chosen.tokens, geometry=self.geometry)


Photo: TypeAlias = Image | PillowImage.Image | NDArray[np.uint8] | bytes | str | Path
"""A photo from `read_image` or Pillow, RGB uint8 `[height, width, 3]`, or a path, or bytes."""


def explain(model: AnyModel, image: Photo) -> Explanation:
    """Runs a photo through a model, on the model's device, and returns what the model looked at.

    Args:
        model: From `tokenlearner.load`, or made by hand with its `info` set.
        image: A photo.

    Raises:
        ConfigError: If the model takes clips, has no info (preprocessing and classes), is in
            training mode, or is not a model of this library.
        MediaError: If a file cannot be used.
        ShapeError: If the image is an array of another shape or type, or not an image.
    """
    return next(explain_all(model, [image]))


def explain_all(
    model: AnyModel, images: Iterable[Photo], *, batch_size: int = 16
) -> Iterator[Explanation]:
    """Explains many photos in batches, each like `explain`.

    Args:
        model: As `explain` takes it.
        images: Photos of any sizes; read as they are needed.
        batch_size: Photos per forward pass.

    Returns:
        One explanation per photo, in the same order, computed lazily.

    Raises:
        ConfigError: As `explain`, or if `batch_size` is below 1.
        MediaError: If a file cannot be used, after the explanations of the photos before it. The
            iterator then ends; to skip such files, open each with `read_image` first.
        ShapeError: As `explain`, likewise after those before it, or if `images` is a single photo.
    """
    is_photo = isinstance(images, Image | PillowImage.Image | bytes | str | Path)
    if is_photo or (isinstance(images, np.ndarray) and images.ndim <= 3):
        raise ShapeError("Got one photo; wanted several: explain_all(model, [photo, ...]).")
    if batch_size < 1:
        raise ConfigError(f"batch_size is {batch_size}; it must be at least 1")
    model = for_images(model)
    info_of(model)
    return _explain_in_batches(model, iter(images), batch_size)


def _explain_in_batches(
    model: ImageModel, images: Iterator[Photo], batch_size: int
) -> Iterator[Explanation]:
    facts = facts_of(model)
    stages = count_model(model, image_size=info_of(model).preprocessing.image_size).stages
    problem: Exception | None = None
    while problem is None:
        photos: list[NDArray[np.uint8]] = []
        try:
            photos.extend(_pixels(image) for image in islice(images, batch_size))
        except Exception as error:  # raised when those before it are done
            problem = error
        if not photos:
            break
        seen = look(model, photos)
        for index, photo in enumerate(photos):
            yield Explanation(
                **facts,
                image=photo,
                geometry=seen.geometries[index],
                probabilities=seen.probabilities[index].copy(),
                learners=tuple(m.of_one(index) for m in seen.learners),
                stages=stages,
            )
    if problem is not None:
        raise problem


def _pixels(image: Photo) -> NDArray[np.uint8]:
    if isinstance(image, str | Path | bytes):
        try:
            image = read_image(image)
        except UnsupportedMediaError as error:
            if error.kind not in CLIP_KINDS:
                raise
            raise UnsupportedMediaError(
                f"{error} As a clip, tokenlearner.explain_clip takes it.", kind=error.kind
            ) from error
    if isinstance(image, Image):
        return image.pixels
    if isinstance(image, PillowImage.Image):
        return pixels_of(image)
    if not isinstance(image, np.ndarray):
        raise ShapeError(
            f"Got a {type(image).__name__}; wanted a photo: a file's path or bytes, a picture of "
            "Pillow, or RGB uint8 [height, width, 3]."
        )
    require_rgb(image)
    # A copy: whoever reuses the array for the next picture must not change this one.
    pixels = image.copy()
    pixels.flags.writeable = False
    return pixels


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Look:
    """What a model made of all that it was shown at once: photos, or one clip.

    Attributes:
        geometries: Which part of each photo or frame it saw.
        probabilities: float32 `[photo, classes]`, or `[1, classes]`.
        learners: As in `Explanation`, but the first axis of all arrays is the photo; for a clip the
            first two are the clip, of length 1, and the time step.
    """

    geometries: tuple[Geometry, ...]
    probabilities: NDArray[np.float32]
    learners: tuple[LearnerMaps, ...]


def look(model: AnyModel, photos: Sequence[NDArray[np.uint8]]) -> Look:
    """Runs photos, or the frames of one clip, through a model at once, where the model is.

    Args:
        model: As `explain` takes it; one for clips takes the photos as one.
        photos: One or more, RGB uint8 `[height, width, 3]`.

    Raises:
        ConfigError: As `explain`.
        ShapeError: If a photo is of another shape or type, or there are too few for a clip.
        MeasurementError: If an answer or a map is not finite.
    """
    info = info_of(model)
    prepared, geometries = zip(*(prepare(p, info.preprocessing) for p in photos), strict=True)
    inputs = torch.cat(prepared).to(next(model.parameters()))
    if isinstance(model, ClipModel):
        inputs = inputs.transpose(0, 1)[None]
    with torch.inference_mode(), float32_precision(inputs.device):
        trace = model.trace(inputs)
    maps = [learner.maps for learner in trace.learners]
    if not all(bool(values.isfinite().all()) for values in (trace.logits, *maps)):
        dtype = str(inputs.dtype).removeprefix("torch.")
        raise MeasurementError(
            f"{info.name} gives an answer or maps that are not finite: its weights are broken, or "
            f"too large for {dtype}; try float32, or another copy"
        )
    geometries = tuple(geometry_of(model, geometry, trace.grid) for geometry in geometries)
    config = model.config.token_learner
    logits = trace.logits.float()
    probabilities = logits.sigmoid() if info.multi_label else logits.softmax(dim=1)
    return Look(
        geometries=geometries,
        probabilities=probabilities.cpu().numpy(),
        learners=tuple(
            LearnerMaps(
                block=learner.block,
                version="" if config is None else config.version,
                maps=learner.maps.float().cpu().numpy(),
                tokens=learner.tokens_after.float().cpu().numpy(),
            )
            for learner in trace.learners
        ),
    )


def geometry_of(model: AnyModel, whole: Geometry, grid: Grid) -> Geometry:
    """Returns which part of a photo a model's grid covers, and how its cells lie there.

    Args:
        model: As `explain` takes it.
        whole: Which part became the model's input.
        grid: Rows and columns.

    Raises:
        ConfigError: If the model pads its input, so that some cells lie beside it.
    """
    rows, columns = grid
    patch_height, patch_width = model.config.patch_size
    height, width = whole.model_size
    if model.cells == "even" and (rows * patch_height > height or columns * patch_width > width):
        name = "the model" if model.info is None else model.info.name
        raise ConfigError(
            f"{name} pads images of {height}x{width} px to patches of "
            f"{patch_height}x{patch_width}, and maps would be drawn beside their places; give its "
            "preprocessing an image_size of whole patches"
        )
    # Patches leave a remainder out; strided convolutions pad it.
    size = (min(rows * patch_height, height), min(columns * patch_width, width))
    return replace(whole.trim(size), cells=model.cells)
