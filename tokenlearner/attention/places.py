"""Where on a photo or frame maps look, in its pixels, and which looks there most."""

import numpy as np
from numpy.typing import NDArray

from tokenlearner.geometry import Geometry
from tokenlearner.modules.shapes import Float

Maps = Float[np.ndarray, "*step token height width"]
Values = NDArray[np.float64]

TIE = 1e-5
"""Levels closer than this count as equal, or rounding would decide between saturated maps."""

SEVERAL = -1
"""In place of a token: several have the highest level."""


def strongest(levels: Float[np.ndarray, "token height width"]) -> NDArray[np.intp]:
    """Returns which token's level is the highest at each place, or `SEVERAL`, `[height, width]`.

    Args:
        levels: Of each token, 0..1.
    """
    highest = levels >= levels.max(axis=0) - TIE
    return np.where(highest.sum(axis=0) == 1, highest.argmax(axis=0), SEVERAL)


def distributions(maps: Maps) -> Maps:
    """Returns each map divided by its sum; an even one for a map of zeros."""
    total = maps.sum(axis=(-2, -1), keepdims=True)
    even = np.full_like(maps, 1 / (maps.shape[-2] * maps.shape[-1]))
    return np.divide(maps, total, out=even, where=total > 0)


def centres(shares: Maps, geometry: Geometry) -> tuple[Values, Values, Values]:
    """Returns x and y of each map's centre of mass, and its spread, all in pixels.

    Args:
        shares: Maps that sum to 1; a cell's share lies at the cell's centre.
        geometry: Which part of the photo or frame the grid covers.

    Returns:
        Three arrays `[*step, token]`; the spread is the root mean square distance from the centre.
    """
    axes = geometry.axes((shares.shape[-2], shares.shape[-1]))
    cells_y, cells_x = (axis.centres_px for axis in axes)
    across, down = shares.sum(axis=-2), shares.sum(axis=-1)
    x, y = across @ cells_x, down @ cells_y
    variance_x = (across * (cells_x - x[..., None]) ** 2).sum(axis=-1)
    variance_y = (down * (cells_y - y[..., None]) ** 2).sum(axis=-1)
    return x, y, np.sqrt(variance_x + variance_y)
