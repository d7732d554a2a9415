"""From pixels to a model's input."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from numbers import Integral, Real
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image as PillowImage

from tokenlearner.errors import ConfigError, ShapeError
from tokenlearner.geometry import Geometry
from tokenlearner.modules.shapes import Float, Tensor

_FILTERS = {
    "bilinear": PillowImage.Resampling.BILINEAR,
    "bicubic": PillowImage.Resampling.BICUBIC,
    "area": PillowImage.Resampling.BOX,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Preprocessing:
    """How a photo becomes a model's input; the same in training, evaluation and use.

    `dataclasses.asdict` gives a form that JSON can hold, `from_dict` reads it back.

    Attributes:
        image_size: Height and width of the input in pixels.
        mean: Subtracted from red, green and blue, on a scale of 0 to 1.
        std: Divided by, after that.
        resize: `"crop"` keeps the photo's aspect: the largest centred rectangle of the input's
            aspect, times `crop_ratio`. `"squash"` takes the whole photo and ignores its aspect.
        crop_ratio: Above 0, up to 1: the share of that largest rectangle's sides that is kept.
        interpolation: All three average over what they shrink, so that nothing aliases.

    Raises:
        ConfigError: A value is out of range, or `crop_ratio` is set where nothing is cropped.
    """

    image_size: tuple[int, int]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    resize: Literal["squash", "crop"] = "crop"
    crop_ratio: float = 1.0
    interpolation: Literal["bilinear", "bicubic", "area"] = "bicubic"

    def __post_init__(self) -> None:
        if not (_are(Integral, self.image_size, 2) and min(self.image_size) >= 1):
            raise ConfigError(
                f"image_size is {self.image_size!r}; wanted a height and a width, whole numbers of "
                "at least 1 px."
            )
        if not (_are(Real, self.mean, 3) and _are(Real, self.std, 3) and min(self.std) > 0):
            raise ConfigError(
                f"mean is {self.mean!r} and std is {self.std!r}; wanted one number each for red, "
                "green and blue, those of std above 0."
            )
        if self.resize not in ("squash", "crop"):
            raise ConfigError(f"resize is {self.resize!r}; wanted 'squash' or 'crop'.")
        if self.interpolation not in _FILTERS:
            raise ConfigError(
                f"interpolation is {self.interpolation!r}; wanted one of {', '.join(_FILTERS)}."
            )
        if not (isinstance(self.crop_ratio, Real) and 0 < self.crop_ratio <= 1):
            raise ConfigError(f"crop_ratio is {self.crop_ratio!r}; wanted above 0 and up to 1.")
        if self.resize == "squash" and self.crop_ratio != 1:
            raise ConfigError(
                f"crop_ratio is {self.crop_ratio}, but 'squash' takes the whole photo. Leave it at "
                "1, or set resize to 'crop'."
            )
        # Numbers of NumPy's are no less welcome, but JSON does not know them.
        object.__setattr__(self, "image_size", tuple(map(int, self.image_size)))
        for name in ("mean", "std"):
            object.__setattr__(self, name, tuple(map(float, getattr(self, name))))
        object.__setattr__(self, "crop_ratio", float(self.crop_ratio))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Preprocessing":
        """Builds it from what `dataclasses.asdict` made, after a trip through JSON or not.

        Raises:
            ConfigError: A key is unknown or missing, or a value out of range.
        """
        known = {field.name for field in fields(cls)}
        if unknown := sorted(set(values) - known):
            raise ConfigError(
                f"Preprocessing has no {', '.join(unknown)}; it has {', '.join(sorted(known))}."
            )
        if missing := sorted({"image_size", "mean", "std"} - set(values)):
            raise ConfigError(f"Preprocessing needs {', '.join(missing)} too.")
        # JSON has no tuples.
        values = {name: tuple(v) if isinstance(v, list) else v for name, v in values.items()}
        return cls(**values)


def _are(kind: type, values: object, count: int) -> bool:
    """Whether these are as many finite numbers of a kind."""
    return (
        isinstance(values, tuple | list)
        and len(values) == count
        and all(isinstance(value, kind) and math.isfinite(value) for value in values)
    )


def locate(source_size: tuple[int, int], preprocessing: Preprocessing) -> Geometry:
    """Which part of a photo of this height and width becomes the model's input.

    The box is a pixel wide and high at least, whatever the ratio.

    Examples:
        >>> square = Preprocessing(image_size=(160, 160), mean=(0.5,) * 3, std=(0.5,) * 3)
        >>> locate((300, 400), square).box
        (50.0, 0.0, 350.0, 300.0)
    """
    if min(source_size) < 1:
        raise ShapeError(
            f"The photo is {source_size[1]} × {source_size[0]} px; wanted at least one pixel."
        )
    height, width = float(source_size[0]), float(source_size[1])
    box_height, box_width = height, width
    if preprocessing.resize == "crop":
        model_height, model_width = preprocessing.image_size
        # Source pixels per model pixel.
        scale = min(height / model_height, width / model_width) * preprocessing.crop_ratio
        box_height = min(max(model_height * scale, 1.0), height)
        box_width = min(max(model_width * scale, 1.0), width)
    left, top = (width - box_width) / 2, (height - box_height) / 2
    return Geometry(
        source_size=source_size,
        model_size=preprocessing.image_size,
        box=(left, top, min(left + box_width, width), min(top + box_height, height)),
    )


def require_rgb(pixels: np.ndarray) -> None:
    """Raises ShapeError unless these are the pixels of a photo, uint8 RGB [height, width, 3]."""
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8 or not pixels.size:
        raise ShapeError(
            f"Got {pixels.dtype} pixels of shape {list(pixels.shape)}; wanted uint8 RGB "
            "[height, width, 3]. Open the file with tokenlearner.read_image."
        )


def prepare(
    pixels: np.ndarray, preprocessing: Preprocessing
) -> tuple[Float[Tensor, "1 3 height width"], Geometry]:
    """Makes a model's input of a photo.

    The source rectangle is resampled in one step and to a fraction of a pixel, so the geometry is
    exact: nothing is rounded on the way.

    Args:
        pixels: uint8 RGB [height, width, 3].
        preprocessing: What the model was trained with.

    Returns:
        images: float32, normalised, on the CPU.
        geometry: Where on the photo they come from.

    Raises:
        ShapeError: The pixels are of another shape or type.
    """
    require_rgb(pixels)
    geometry = locate((pixels.shape[0], pixels.shape[1]), preprocessing)
    model_height, model_width = geometry.model_size
    resized = PillowImage.fromarray(pixels).resize(
        (model_width, model_height), _FILTERS[preprocessing.interpolation], box=geometry.box
    )
    values = np.asarray(resized, np.float32) / 255
    mean, std = (np.array(v, np.float32) for v in (preprocessing.mean, preprocessing.std))
    values = (values - mean) / std
    images = torch.from_numpy(np.ascontiguousarray(values.transpose(2, 0, 1)))[None]
    return images, geometry
