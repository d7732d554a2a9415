"""What each token of a photo looks at, in numbers."""

from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields

import numpy as np
import torch

from tokenlearner.attention.places import SEVERAL, centres, distributions, strongest
from tokenlearner.attention.statistics import effective_area
from tokenlearner.attention.table import write_csv
from tokenlearner.geometry import Geometry
from tokenlearner.modules.shapes import Float


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenFacts:
    """One learned token of a photo.

    Positions are those of the photo: x to the right and y down from its top left corner, in pixels.
    Only `peak` and `mean` look at the map's magnitude. For `strongest_ratio` it is divided by its
    peak, as in the composite picture; for all else by its sum, and a map of zeros counts as even.

    Attributes:
        token: Counted from 0.
        peak: Largest value of the map.
        peak_x_px: Centre of that cell, from the left; the first of several equal ones.
        peak_y_px: The same, from the top.
        mean: Mean of the map over the grid, the token's total share; 1 / cells where maps sum
            to 1 (versions 1.1 and grouped).
        effective_area: The share of the grid that the token looks at, 1 / cells to 1; that of
            `tokenlearner.attention.effective_area`.
        x_px: Centre of mass of the map, to the right.
        y_px: Centre of mass of the map, down.
        spread_px: Root mean square distance from there of what the token looks at.
        strongest_ratio: The share of the cells where this token is nearer to its own peak than any
            other is to its; where several are equally near (to 1e-5), none counts.
        overlap: What its map shares with that of another token, 0 (nothing) to 1 (all), in the mean
            over the others; their mean over all tokens is `tokenlearner.attention.overlap`. NaN for
            a token that is alone.
        similarity: Cosine of the angle between the token and another, -1 to 1, in the mean over the
            others; NaN for a token that is alone.
    """

    token: int
    peak: float
    peak_x_px: float
    peak_y_px: float
    mean: float
    effective_area: float
    x_px: float
    y_px: float
    spread_px: float
    strongest_ratio: float
    overlap: float
    similarity: float


def describe_tokens(
    maps: Float[np.ndarray, "token height width"],
    tokens: Float[np.ndarray, "token dim"],
    *,
    geometry: Geometry,
) -> tuple[TokenFacts, ...]:
    """Returns the facts about each token of one TokenLearner.

    Args:
        maps: Attention of each token, true magnitudes.
        tokens: The learned tokens.
        geometry: Which part of the photo the grid covers.
    """
    maps = maps.astype(np.float64)
    count, height, width = maps.shape
    flat = maps.reshape(count, -1)
    peaks, places = flat.max(axis=1), flat.argmax(axis=1)
    down, across = (axis.centres_px for axis in geometry.axes((height, width)))
    levels = maps / np.where(peaks > 0, peaks, 1)[:, None, None]
    winners = strongest(levels)
    wins = np.bincount(winners[winners != SEVERAL], minlength=count)
    shares = distributions(maps)
    x, y, spread = centres(shares, geometry)
    flat_shares = shares.reshape(count, -1)
    shared = np.stack([np.minimum(flat_shares, share).sum(axis=1) for share in flat_shares])
    values = tokens.astype(np.float64)
    lengths = np.linalg.norm(values, axis=1)
    products = np.outer(lengths, lengths)
    cosines = np.divide(values @ values.T, products, out=np.zeros_like(shared), where=products > 0)
    columns = {
        "peak": peaks,
        "peak_x_px": across[places % width],
        "peak_y_px": down[places // width],
        "mean": flat.mean(axis=1),
        "effective_area": effective_area(torch.from_numpy(maps)[None])[0].numpy(),
        "x_px": x,
        "y_px": y,
        "spread_px": spread,
        "strongest_ratio": wins / flat.shape[1],
        "overlap": _mean_of_others(shared),
        "similarity": _mean_of_others(cosines),
    }
    return tuple(
        TokenFacts(token=token, **{name: float(column[token]) for name, column in columns.items()})
        for token in range(count)
    )


def facts_csv(facts: Iterable[TokenFacts]) -> str:
    """Returns CSV: a line for each token, counted from 0, under a header; NaN is left empty."""
    return write_csv(
        (field.name for field in fields(TokenFacts)), (astuple(of_token) for of_token in facts)
    )


def _mean_of_others(pairs: Float[np.ndarray, "token token"]) -> Float[np.ndarray, " token"]:
    """Means of the rows without the diagonal; NaN if there is nothing else."""
    count = len(pairs)
    if count == 1:
        return np.full(1, np.nan)
    return (pairs.sum(axis=1) - pairs.diagonal()) / (count - 1)
