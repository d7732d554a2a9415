"""Between grids and sequences: the one place where positions are folded and unfolded."""

import math

from tokenlearner.errors import ShapeError
from tokenlearner.modules.shapes import Tensor

Grid = tuple[int, int]
"""Rows and columns."""


def square_grid(num_positions: int) -> Grid:
    """Returns the square grid of `num_positions` cells.

    Raises:
        ShapeError: If there is none.
    """
    side = math.isqrt(num_positions)
    if side * side != num_positions:
        raise ShapeError(
            f"{num_positions} positions are not a square grid; pass grid=(rows, columns), "
            "or the feature map itself as [batch, channels, height, width]"
        )
    return side, side


def flatten_grid(x: Tensor, grid: Grid | None) -> tuple[Tensor, Grid | None]:
    """Returns tokens `[batch, position, dim]` and the grid they lie on.

    `[batch, dim, height, width]` is flattened row by row; `[batch, position, dim]` passes through
    with the `grid` that was given, which must have as many cells as there are positions. There must
    be one at least.

    Raises:
        ShapeError: If `x` is neither, or does not fit `grid`.
    """
    if grid is not None and (len(grid) != 2 or min(grid) < 1):
        raise ShapeError(f"grid is {grid}; wanted (rows, columns), both at least 1")
    if x.ndim == 4:
        rows, columns = x.shape[2:]
        if grid is not None and tuple(grid) != (rows, columns):
            raise ShapeError(
                f"the feature map is {rows}x{columns}, but grid={grid}; leave grid out"
            )
        x, grid = x.flatten(2).transpose(1, 2), (rows, columns)
    if x.ndim != 3:
        raise ShapeError(
            f"got a tensor of shape {tuple(x.shape)}; wanted tokens [batch, position, dim] or a "
            "feature map [batch, dim, height, width]"
        )
    if x.shape[1] < 1:
        raise ShapeError(f"the tokens are {tuple(x.shape)}; wanted at least one position")
    if grid is not None and grid[0] * grid[1] != x.shape[1]:
        raise ShapeError(
            f"grid={grid} has {grid[0] * grid[1]} cells, but there are {x.shape[1]} positions"
        )
    return x, grid


def check_channels(x: Tensor, in_channels: int) -> None:
    """Raises ShapeError unless the tokens `x` have `in_channels` channels."""
    if x.shape[-1] != in_channels:
        raise ShapeError(
            f"the tokens have {x.shape[-1]} channels, but the module was made for {in_channels}; "
            "feature maps are [batch, channels, height, width], tokens [batch, position, channels]"
        )
