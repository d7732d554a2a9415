"""What each token of a clip follows: how strongly, where, how steadily, step by step.

A step is one set of maps: of one frame for an image model, of the frames of a tubelet for a video
model. Positions are those of the frame: x to the right and y down from its top left corner, in
pixels. Where maps are no distributions (version 1.0), only `strength` looks at their magnitude; for
all else a map is divided by its sum, and one of zeros counts as even.
"""

import math
from collections.abc import Iterator
from dataclasses import astuple, dataclass, fields
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from tokenlearner.attention.places import centres, distributions
from tokenlearner.attention.statistics import effective_area
from tokenlearner.attention.table import write_csv
from tokenlearner.errors import ShapeError
from tokenlearner.geometry import Geometry
from tokenlearner.modules.shapes import Float

Maps = Float[np.ndarray, "time token height width"]
Values = Float[np.ndarray, "time token"]


@dataclass(frozen=True, kw_only=True, slots=True)
class TrackRow:
    """One token at one step; what is not known, as a movement at the first step, is NaN.

    Attributes:
        step: Counted from 0.
        time_s: When the step is shown.
        token: Counted from 0.
        strength: See `Tracks.strength_kind`.
        effective_area: The share of the grid that the token looks at, 1 / cells to 1; that of
            `tokenlearner.attention.effective_area`.
        x_px: Centre of mass of the map, to the right.
        y_px: Centre of mass of the map, down.
        spread_px: Root mean square distance from there of what the token looks at.
        speed_px_s: How fast the centre came here from the step before, in pixels per second.
        movement_ratio: How far, as a share of the frame's diagonal.
        jitter_px: How far the centre lies from where it would be if it went evenly from the step
            before to the step after: 0 at rest and in straight, even motion.
        similarity: Cosine of the angle between the token and itself at the step before, -1 to 1:
            whether it goes on meaning the same.
        overlap: What its map shares with that of the step before, 0 (nothing) to 1 (all): the sum
            of the element-wise minima.
    """

    step: int
    time_s: float
    token: int
    strength: float
    effective_area: float
    x_px: float
    y_px: float
    spread_px: float
    speed_px_s: float
    movement_ratio: float
    jitter_px: float
    similarity: float
    overlap: float


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Tracks:
    """All tokens at all steps; `TrackRow` says what the arrays hold, each `[step, token]`.

    Attributes:
        times_s: When each step is shown, `[step]`.
        strength_kind: What `strength` is. `mass`, for maps of version 1.0: the mean of the map over
            the grid, 0 to 1. `peak`, for maps that sum to 1 and so have no mass to tell: the share
            of the attention that the strongest cell has, 1 / cells to 1.
    """

    times_s: NDArray[np.float64]
    strength_kind: Literal["mass", "peak"]
    strength: NDArray[np.float64]
    effective_area: NDArray[np.float64]
    x_px: NDArray[np.float64]
    y_px: NDArray[np.float64]
    spread_px: NDArray[np.float64]
    speed_px_s: NDArray[np.float64]
    movement_ratio: NDArray[np.float64]
    jitter_px: NDArray[np.float64]
    similarity: NDArray[np.float64]
    overlap: NDArray[np.float64]

    def rows(self) -> Iterator[TrackRow]:
        """Yields a row for each token of each step, the tokens of a step together."""
        columns = [f.name for f in fields(TrackRow) if f.name not in ("step", "time_s", "token")]
        for step, token in np.ndindex(*self.strength.shape):
            values = {name: float(getattr(self, name)[step, token]) for name in columns}
            yield TrackRow(step=step, time_s=float(self.times_s[step]), token=token, **values)

    def to_csv(self) -> str:
        """Returns the rows as CSV with a header; step and token count from 0, NaN is left empty."""
        rows = [astuple(row) for row in self.rows()]
        return write_csv(
            (field.name for field in fields(TrackRow)),
            ((step, f"{time_s:.3f}", token, *values) for step, time_s, token, *values in rows),
        )


def follow(
    maps: Maps,
    tokens: Float[np.ndarray, "time token dim"],
    *,
    times_s: Float[np.ndarray, " time"],
    geometry: Geometry,
    version: str,
) -> Tracks:
    """Follows each token through a clip.

    Args:
        maps: Attention of each token at each step, true magnitudes.
        tokens: The learned tokens.
        times_s: When each step is shown, in seconds.
        geometry: Which part of the frame the grid covers.
        version: Version of the TokenLearner: `1.0`, `1.1` or `grouped`.

    Raises:
        ShapeError: If there is no step, or the arrays do not agree about steps and tokens.
    """
    if maps.ndim != 4 or not maps.size or tokens.shape[:2] != maps.shape[:2]:
        raise ShapeError(
            f"Got maps of shape {list(maps.shape)} and tokens of shape {list(tokens.shape)}; "
            "wanted [step, token, rows, columns], at least one of each, and [step, token, dim]."
        )
    if times_s.shape != maps.shape[:1]:
        raise ShapeError(
            f"Got {len(maps)} steps, but times of shape {list(times_s.shape)}; wanted one time for "
            "each step."
        )
    maps = maps.astype(np.float64)
    shares = distributions(maps)
    x, y, spread = centres(shares, geometry)
    distance = _with_none_first(np.hypot(np.diff(x, axis=0), np.diff(y, axis=0)))
    seconds = _with_none_first(np.diff(times_s)[:, None])
    return Tracks(
        times_s=times_s.astype(np.float64),
        strength_kind="mass" if version == "1.0" else "peak",
        strength=maps.mean(axis=(2, 3)) if version == "1.0" else maps.max(axis=(2, 3)),
        effective_area=effective_area(torch.from_numpy(maps)).double().numpy(),
        x_px=x,
        y_px=y,
        spread_px=spread,
        speed_px_s=_ratio(distance, seconds),
        movement_ratio=distance / math.hypot(*geometry.source_size),
        jitter_px=jitter(x, y, times_s),
        similarity=similarity(tokens),
        overlap=_with_none_first(np.minimum(shares[1:], shares[:-1]).sum(axis=(2, 3))),
    )


def jitter(x: Values, y: Values, times_s: Float[np.ndarray, " time"]) -> Values:
    """Returns how far each position lies from the even way between its neighbours in time.

    The first and the last step, which lack a neighbour, are NaN.
    """
    away = np.full(x.shape, np.nan)
    if len(x) > 2:
        part = _ratio(times_s[1:-1] - times_s[:-2], times_s[2:] - times_s[:-2])[:, None]
        off_x, off_y = (p[1:-1] - p[:-2] - part * (p[2:] - p[:-2]) for p in (x, y))
        away[1:-1] = np.hypot(off_x, off_y)
    return away


def similarity(tokens: Float[np.ndarray, "time token dim"]) -> Values:
    """Returns the cosine of the angle between each token and itself a step before; NaN at first."""
    values = tokens.astype(np.float64)
    lengths = np.linalg.norm(values, axis=-1)
    products = (values[1:] * values[:-1]).sum(axis=-1)
    return _with_none_first(_ratio(products, lengths[1:] * lengths[:-1]))


def _ratio(values: NDArray[Any], by: NDArray[Any]) -> NDArray[np.float64]:
    """Divides; NaN where there is nothing to divide by."""
    shape = np.broadcast_shapes(values.shape, by.shape)
    return np.divide(values, by, out=np.full(shape, np.nan), where=by > 0)


def _with_none_first(changes: NDArray[Any]) -> NDArray[np.float64]:
    return np.concatenate((np.full((1, *changes.shape[1:]), np.nan), changes))
