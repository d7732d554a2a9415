"""From a model's grid back to the photo: which part of it does a cell cover?"""

import math
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tokenlearner.errors import ConfigError, ShapeError

Box = tuple[float, float, float, float]
"""Left, top, right, bottom in pixels."""

Interpolation = Literal["smooth", "patch"]
"""Between grid cells: bicubic, or each cell in one value."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Axis:
    """How a row of grid cells lies along one side of a photo.

    Attributes:
        start_px: Where the part of the photo that the model saw begins.
        stop_px: Where it ends.
        cells: How many cells there are, of one size; but the outermost reach to both ends.
        span: The same two places counted in cells: `(0, cells)` if these divide the part evenly.
    """

    start_px: float
    stop_px: float
    cells: int
    span: tuple[float, float]

    @property
    def centres_px(self) -> NDArray[np.float64]:
        """Where the cells' centres lie, float64 [cells]."""
        return np.array([self._in_px(cell + 0.5) for cell in range(self.cells)])

    def ends(self, cell: int) -> tuple[float, float]:
        """Where a cell begins and ends, in pixels."""
        return (
            self.start_px if cell == 0 else self._in_px(cell),
            self.stop_px if cell == self.cells - 1 else self._in_px(cell + 1),
        )

    def in_cells(self, position_px: Any) -> Any:
        """A position, or an array of them, counted in cells: 1.5 is the centre of the second."""
        first, last = self.span
        return first + (position_px - self.start_px) / (self.stop_px - self.start_px) * (
            last - first
        )

    def weights(self, length_px: int, interpolation: Interpolation) -> NDArray[np.float32]:
        """How much each cell counts for each pixel: `down @ map @ across.T` lays a map out.

        Cells and pixels are aligned by their centres; beyond the outermost centres the outermost
        cell goes on. Pixels whose centre the model did not see have no weight.

        Args:
            length_px: Pixels of the photo along this side.
            interpolation: `"smooth"` is Catmull-Rom's cubic, `"patch"` the cell under the pixel.

        Returns:
            float32 [length_px, cells]; rows add up to 1 inside and to 0 outside.
        """
        weights = np.zeros((length_px, self.cells), dtype=np.float32)
        centres = np.arange(length_px) + 0.5
        inside = np.flatnonzero((centres >= self.start_px) & (centres < self.stop_px))
        position = self.in_cells(centres[inside])
        if interpolation == "patch":
            weights[inside, np.minimum(position.astype(int), self.cells - 1)] = 1
            return weights
        position -= 0.5
        base = np.floor(position).astype(int)
        for tap in (-1, 0, 1, 2):
            cell = np.clip(base + tap, 0, self.cells - 1)
            np.add.at(weights, (inside, cell), _cubic(position - (base + tap)))
        return weights

    def _in_px(self, place: float) -> float:
        first, last = self.span
        return self.start_px + (place - first) * ((self.stop_px - self.start_px) / (last - first))


@dataclass(frozen=True, kw_only=True, slots=True)
class Geometry:
    """Where on a photo the model looked.

    Positions on the photo are continuous: pixel (column, row) covers [column, column + 1) by
    [row, row + 1), and (0, 0) is the top left corner.

    Attributes:
        source_size: Height and width of the photo in pixels.
        model_size: Height and width of the model's input in pixels.
        box: The rectangle of the photo that became the input.
        cells: How a grid lies in the box. `"even"`, for patches: cells of one size divide it.
            `"strided"`, for convolutions that halve a grid again and again, with the same padding
            on all sides: cell i is centred on the input's pixel stride * i, so the first cell has
            about half of its width in the box, and what the last one leaves of the box is its too.

    Raises:
        ConfigError: The box is empty or reaches out of the photo, or there is no such layout.
    """

    source_size: tuple[int, int]
    model_size: tuple[int, int]
    box: Box
    cells: Literal["even", "strided"] = "even"

    def __post_init__(self) -> None:
        if self.cells not in ("even", "strided"):
            raise ConfigError(f"cells is {self.cells!r}; wanted 'even' or 'strided'.")
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

    def scale(self, source_size: tuple[int, int]) -> "Geometry":
        """The same for the photo at another size (height, width) in pixels."""
        height, width = source_size
        across, down = width / self.source_size[1], height / self.source_size[0]
        left, top, right, bottom = self.box
        box = (left * across, top * down, min(right * across, width), min(bottom * down, height))
        return replace(self, source_size=source_size, box=box)

    def axes(self, grid: tuple[int, int]) -> tuple[Axis, Axis]:
        """How a grid (rows, columns) lies on the photo: down its height, and across its width."""
        left, top, right, bottom = self.box
        (height, width), (rows, columns) = self.model_size, grid
        down, across = _span(height, rows, self.cells), _span(width, columns, self.cells)
        return (
            Axis(start_px=top, stop_px=bottom, cells=rows, span=down),
            Axis(start_px=left, stop_px=right, cells=columns, span=across),
        )

    def cell_box(self, row: int, column: int, grid: tuple[int, int]) -> Box:
        """The part of the photo under one cell of a grid (rows, columns).

        Raises:
            ConfigError: The grid has no such cell.
        """
        rows, columns = grid
        if not (0 <= row < rows and 0 <= column < columns):
            raise ConfigError(
                f"There is no cell at row {row}, column {column} of a grid of {rows} × {columns}; "
                "both count from 0."
            )
        down, across = self.axes(grid)
        (top, bottom), (left, right) = down.ends(row), across.ends(column)
        return left, top, right, bottom

    def cell_at(self, x: float, y: float, grid: tuple[int, int]) -> tuple[int, int] | None:
        """Row and column of the grid cell over a position on the photo; None outside the box."""
        left, top, right, bottom = self.box
        if not (left <= x < right and top <= y < bottom):
            return None
        down, across = self.axes(grid)
        # Just inside the far edge the quotient may round up to the count itself.
        return (
            min(int(down.in_cells(y)), down.cells - 1),
            min(int(across.in_cells(x)), across.cells - 1),
        )

    def to_source(
        self, maps: NDArray[np.floating], *, interpolation: Interpolation = "smooth"
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
        axes = self.axes((maps.shape[1], maps.shape[2]))
        down, across = (
            axis.weights(length, interpolation)
            for axis, length in zip(axes, self.source_size, strict=True)
        )
        inside = np.ix_(down.any(axis=1), across.any(axis=1))
        laid = np.zeros((len(maps), *self.source_size), np.float32)
        for one_map, target in zip(maps, laid, strict=True):  # One at a time, to save memory.
            values = one_map.astype(np.float32)
            shown = (down @ values @ across.T).clip(values.min(), values.max())
            target[inside] = shown[inside]
        return laid


def _span(side_px: int, cells: int, layout: str) -> tuple[float, float]:
    """Where an input of so many pixels begins and ends, counted in cells."""
    if layout == "even":
        return 0.0, float(cells)
    # Halved once more there would be fewer cells, and once less more of them.
    stride = next(2**k for k in range(32) if math.ceil(side_px / 2**k) <= cells)
    first = (stride - 1) / (2 * stride)
    return first, first + side_px / stride


def _cubic(distance: NDArray[np.floating]) -> NDArray[np.floating]:
    a, x = -0.5, np.abs(distance)
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
    return np.where(x <= 1, near, np.where(x < 2, far, 0.0))
