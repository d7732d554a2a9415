"""From pixels to a model's input, and back: which part of the photo does a grid cell cover?"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as PillowImage

from tokenlearner.errors import ConfigError, ShapeError
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
        if len(self.image_size) != 2 or min(self.image_size) < 1:
            raise ConfigError(
                f"image_size is {self.image_size}; wanted a height and a width of at least 1 px."
            )
        if len(self.mean) != 3 or len(self.std) != 3 or min(self.std) <= 0:
            raise ConfigError(
                f"mean is {self.mean} and std is {self.std}; wanted one number each for red, green "
                "and blue, those of std above 0."
            )
        if self.resize not in ("squash", "crop"):
            raise ConfigError(f"resize is {self.resize!r}; wanted 'squash' or 'crop'.")
        if self.interpolation not in _FILTERS:
            raise ConfigError(
                f"interpolation is {self.interpolation!r}; wanted one of {', '.join(_FILTERS)}."
            )
        if not 0 < self.crop_ratio <= 1:
            raise ConfigError(f"crop_ratio is {self.crop_ratio}; wanted above 0 and up to 1.")
        if self.resize == "squash" and self.crop_ratio != 1:
            raise ConfigError(
                f"crop_ratio is {self.crop_ratio}, but 'squash' takes the whole photo. Leave it at "
                "1, or set resize to 'crop'."
            )

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


@dataclass(frozen=True, kw_only=True, slots=True)
class Geometry:
    """Where on a photo the model looked.

    Positions on the photo are continuous: pixel (column, row) covers [column, column + 1) by
    [row, row + 1), and (0, 0) is the top left corner. A grid divides the box evenly.

    Attributes:
        source_size: Height and width of the photo in pixels.
        model_size: Height and width of the model's input in pixels.
        box: The rectangle of the photo that became the input: left, top, right, bottom.

    Raises:
        ConfigError: The box is empty or reaches out of the photo.
    """

    source_size: tuple[int, int]
    model_size: tuple[int, int]
    box: tuple[float, float, float, float]

    def __post_init__(self) -> None:
        left, top, right, bottom = self.box
        height, width = self.source_size
        if not (0 <= left < right <= width and 0 <= top < bottom <= height):
            raise ConfigError(
                f"The box {self.box} does not lie in a photo of {width} × {height} px; wanted "
                "left, top, right, bottom within it."
            )

    def trim(self, size: tuple[int, int]) -> "Geometry":
        """The same without what lies right of or below the input's first `size` (height, width) px.

        A grid of patches leaves the remainder out where the patch does not divide the input.

        Raises:
            ConfigError: The size is empty or larger than the input.
        """
        height, width = size
        if not (0 < height <= self.model_size[0] and 0 < width <= self.model_size[1]):
            raise ConfigError(
                f"Cannot trim an input of {self.model_size} px (height, width) to {size}."
            )
        left, top, right, bottom = self.box
        right = left + (right - left) * width / self.model_size[1]
        bottom = top + (bottom - top) * height / self.model_size[0]
        return replace(self, model_size=size, box=(left, top, right, bottom))

    def cell_box(
        self, row: int, column: int, grid: tuple[int, int]
    ) -> tuple[float, float, float, float]:
        """The part of the photo under one cell of a grid (rows, columns): left, top, right, bottom.

        Raises:
            ConfigError: The grid has no such cell.
        """
        rows, columns = grid
        if not (0 <= row < rows and 0 <= column < columns):
            raise ConfigError(
                f"There is no cell at row {row}, column {column} of a grid of {rows} × {columns}; "
                "both count from 0."
            )
        left, top, right, bottom = self.box
        cell_width, cell_height = (right - left) / columns, (bottom - top) / rows
        return (
            left + column * cell_width,
            top + row * cell_height,
            left + (column + 1) * cell_width,
            top + (row + 1) * cell_height,
        )

    def cell_at(self, x: float, y: float, grid: tuple[int, int]) -> tuple[int, int] | None:
        """Row and column of the grid cell over a position on the photo; None outside the box."""
        left, top, right, bottom = self.box
        if not (left <= x < right and top <= y < bottom):
            return None
        rows, columns = grid
        # Just inside the far edge the quotient may round up to the count itself.
        return (
            min(int((y - top) / (bottom - top) * rows), rows - 1),
            min(int((x - left) / (right - left) * columns), columns - 1),
        )

    def to_source(
        self, maps: NDArray[np.floating], *, interpolation: Literal["smooth", "patch"] = "smooth"
    ) -> NDArray[np.float32]:
        """Lays maps over the photo: [S, rows, columns] to float32 [S, height, width].

        A pixel shows the map at its centre; pixels whose centre lies outside the box are 0.

        Args:
            maps: One value per grid cell.
            interpolation: `"patch"` gives all pixels of a cell exactly its value. `"smooth"` is
                bicubic (Catmull-Rom, edge cells continued outwards): it passes through each cell's
                value at the cell's centre, and is clamped to each map's own lowest and highest.

        Raises:
            ShapeError: The maps are not [S, rows, columns].
            ConfigError: There is no such interpolation.
        """
        if maps.ndim != 3 or not maps.size:
            raise ShapeError(f"Got maps of shape {list(maps.shape)}; wanted [S, rows, columns].")
        if interpolation not in ("smooth", "patch"):
            raise ConfigError(f"interpolation is {interpolation!r}; wanted 'smooth' or 'patch'.")
        left, top, right, bottom = self.box
        height, width = self.source_size
        down = axis_weights(height, top, bottom, maps.shape[1], interpolation)
        across = axis_weights(width, left, right, maps.shape[2], interpolation)
        inside = np.ix_(down.any(axis=1), across.any(axis=1))
        laid = np.zeros((len(maps), height, width), np.float32)
        for one_map, target in zip(maps, laid, strict=True):  # One at a time, to save memory.
            values = one_map.astype(np.float32)
            shown = (down @ values @ across.T).clip(values.min(), values.max())
            target[inside] = shown[inside]
        return laid


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
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8 or not pixels.size:
        raise ShapeError(
            f"Got {pixels.dtype} pixels of shape {list(pixels.shape)}; wanted uint8 RGB "
            "[height, width, 3]. Open the file with tokenlearner.media.read_image."
        )
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


def axis_weights(
    length_px: int, start_px: float, stop_px: float, cells: int, interpolation: str
) -> NDArray[np.float32]:
    """How much each cell of a row of `cells` counts for each pixel of an axis.

    The cells divide [start_px, stop_px) evenly. Cells and pixels are aligned by their centres;
    beyond the outermost centres the outermost cell goes on. Pixels whose centre is outside have
    no weight. `"smooth"` is Catmull-Rom's cubic, `"patch"` the cell under the pixel.

    Returns:
        float32 [length_px, cells]; rows add up to 1 inside and to 0 outside.
    """
    weights = np.zeros((length_px, cells), dtype=np.float32)
    centres = np.arange(length_px) + 0.5
    inside = np.flatnonzero((centres >= start_px) & (centres < stop_px))
    position = (centres[inside] - start_px) / (stop_px - start_px) * cells
    if interpolation == "patch":
        weights[inside, np.minimum(position.astype(int), cells - 1)] = 1
        return weights
    position -= 0.5
    base = np.floor(position).astype(int)
    for tap in (-1, 0, 1, 2):
        cell = np.clip(base + tap, 0, cells - 1)
        np.add.at(weights, (inside, cell), _cubic(position - (base + tap)))
    return weights


def _cubic(distance: NDArray[np.floating]) -> NDArray[np.floating]:
    a, x = -0.5, np.abs(distance)
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
    return np.where(x <= 1, near, np.where(x < 2, far, 0.0))
