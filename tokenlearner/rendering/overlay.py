"""Attention maps painted over the photo they belong to.

The browser's viewer (app/components/drawing/field.js) paints by the same rules, so that a
saved picture shows what was on the screen: values are normalised on the grid, brought to pixels,
clamped, and only then coloured.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from tokenlearner.attention.places import strongest
from tokenlearner.errors import ConfigError
from tokenlearner.geometry import Geometry, Interpolation
from tokenlearner.inference import Explanation
from tokenlearner.modules.shapes import Float, UInt8
from tokenlearner.rendering.colormap import COLORMAPS, SEVERAL_COLOR, hex_rgb, token_rgb
from tokenlearner.rendering.heading import warn_on

Mode = Literal["token", "composite"]
Scale = Literal["shared", "token"]
Weak = Literal["fade", "cover"]

MODES: tuple[str, ...] = get_args(Mode)

_BAND_ELEMENTS = 4_000_000  # values of one band of rows: bounds the memory of a 60-megapixel photo


@dataclass(frozen=True, kw_only=True, slots=True)
class ViewSettings:
    """What to show of a set of maps, and how. The viewer, the links and the CLI use these fields.

    Attributes:
        tokens: Tokens to show, counted from 0; several are added up. Empty means the
            strongest, as `strongest_token` has it.
        mode: `"token"` paints the values of `tokens`; `"composite"` paints, everywhere, the colour
            of the token that is strongest there relative to its own peak, grey where several are.
        opacity: 0 (photo only) to 1 (overlay only).
        colormap: A key of `COLORMAPS`.
        interpolation: `"smooth"` (bicubic) or `"patch"` (every grid cell in one colour).
        scale: `"shared"` runs from 0 to the largest value of any token, or of the sum that is
            shown if that is larger; `"token"` from the smallest to the largest value of what is
            shown.
        mass: In (0, 1]; below 1, only the smallest set of grid cells that holds this share of the
            total is painted.
        weak: What low values do to the photo: `"fade"` lets it show through, the opacity being
            multiplied by the place on the scale (0 to 1), of single maps by its square root;
            `"cover"` paints them like all others.

    Raises:
        ConfigError: If a field is outside of what is listed above.
    """

    tokens: tuple[int, ...] = ()
    mode: Mode = "token"
    opacity: float = 0.8
    colormap: str = "inferno"
    interpolation: Interpolation = "smooth"
    scale: Scale = "shared"
    mass: float = 1.0
    weak: Weak = "fade"

    def __post_init__(self) -> None:
        _require("mode", self.mode, MODES)
        _require("colormap", self.colormap, tuple(COLORMAPS))
        _require("interpolation", self.interpolation, get_args(Interpolation))
        _require("scale", self.scale, get_args(Scale))
        _require("weak", self.weak, get_args(Weak))
        if not 0 <= self.opacity <= 1:
            raise ConfigError(f"opacity is {self.opacity}; give a number from 0 to 1")
        if not 0 < self.mass <= 1:
            raise ConfigError(f"mass is {self.mass}; give a number above 0 and at most 1")
        if any(token < 0 for token in self.tokens):
            raise ConfigError(f"tokens are {self.tokens}; they are counted from 0")


def _require(field: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ConfigError(f"{field} is {value!r}; choose one of {', '.join(allowed)}")


def strongest_token(maps: Float[np.ndarray, "*step token height width"]) -> int:
    """The token that holds the largest value of all, at any step; the first of equals."""
    return int(np.moveaxis(maps, -3, 0).reshape(maps.shape[-3], -1).max(axis=1).argmax())


def combine_tokens(
    maps: Float[np.ndarray, "*step token height width"], tokens: tuple[int, ...]
) -> Float[np.ndarray, "*step height width"]:
    """The maps of `tokens`, added up cell by cell; of the strongest if there are none.

    Raises:
        ConfigError: If there is no such token.
    """
    count = maps.shape[-3]
    beyond = [token for token in tokens if token >= count]
    if beyond:
        raise ConfigError(
            f"token {beyond[0]} was asked for, but there are {count}; choose from 0 to {count - 1}"
        )
    shown = tokens or (strongest_token(maps),)
    return maps[..., list(dict.fromkeys(shown)), :, :].sum(axis=-3)


def value_range(
    maps: Float[np.ndarray, "*step token height width"], settings: ViewSettings
) -> tuple[float, float]:
    """The values at the two ends of the colour scale when `settings` are applied to `maps`.

    The steps of a clip share one scale, so that brightness means the same in all of them.
    """
    shown = combine_tokens(maps, settings.tokens)
    if settings.scale == "token":
        return float(shown.min()), float(shown.max())
    return 0.0, float(max(maps.max(), shown.max()))


def smallest_area(
    values: Float[np.ndarray, "height width"], mass: float
) -> Float[np.ndarray, "height width"]:
    """1 on the fewest cells that together hold `mass` (0..1] of the total, 0 elsewhere.

    Of equal cells the first in reading order is taken.

    Example:
        >>> smallest_area(np.array([[1, 5], [3, 1]], dtype=np.float32), 0.6)
        array([[0., 1.],
               [1., 0.]], dtype=float32)
    """
    flat = values.astype(np.float64).ravel()
    order = np.argsort(-flat, kind="stable")
    held = np.cumsum(flat[order])
    inside = np.ones(flat.shape, dtype=np.float32)
    if mass < 1 and held[-1] > 0:
        # The tolerance keeps rounding in the sum from asking for one cell too many.
        needed = int(np.searchsorted(held, mass * held[-1] * (1 - 1e-9))) + 1
        inside[order[needed:]] = 0
    return inside.reshape(values.shape)


def paint(
    photo: UInt8[np.ndarray, "rows columns 3"],
    geometry: Geometry,
    maps: Float[np.ndarray, "token height width"],
    settings: ViewSettings,
    *,
    steps: Float[np.ndarray, "step token height width"] | None = None,
) -> UInt8[np.ndarray, "rows columns 3"]:
    """Paint maps over the part of a photo that the model saw.

    Args:
        photo: The picture, or one frame of a clip, at any size.
        geometry: Which part of it the model saw.
        maps: What to paint.
        settings: How.
        steps: For a clip, the maps of all its steps, which share one scale; `maps` is one of them.

    Returns:
        A new picture of the photo's size; outside of what the model saw it equals the photo.
    """
    if settings.mode == "composite":
        levels = _own_scale(maps, maps[None] if steps is None else steps)
        area = smallest_area(levels.max(axis=0), settings.mass)
        colours = [*map(token_rgb, range(len(maps))), hex_rgb(SEVERAL_COLOR)]
        palette = np.array(colours, dtype=np.float32)
    else:
        whole = maps if steps is None else steps
        shown = combine_tokens(maps, settings.tokens or (strongest_token(whole),))
        low, high = value_range(whole, settings)
        levels = ((shown - low) / ((high - low) or 1.0)).clip(0, 1)[None]
        area = smallest_area(shown, settings.mass)
        palette = COLORMAPS[settings.colormap].astype(np.float32)

    rows_px, columns_px = photo.shape[:2]
    axes = geometry.scale((rows_px, columns_px)).axes((maps.shape[1], maps.shape[2]))
    down = axes[0].weights(rows_px, settings.interpolation)
    across = axes[1].weights(columns_px, settings.interpolation)
    wide_levels, wide_area = levels @ across.T, area @ across.T
    # A smooth curve swings past its cells; clamped, it never claims more than a cell holds.
    lowest, highest = levels.min(axis=(1, 2), keepdims=True), levels.max(axis=(1, 2), keepdims=True)
    picture = photo.copy()
    for band in _bands(rows_px, columns_px * len(levels)):
        level = (down[band] @ wide_levels).clip(lowest, highest)
        strength = level.max(axis=0)
        alpha = settings.opacity * (down[band] @ wide_area).clip(0, 1)
        if settings.weak == "fade":
            # A composite is strong nearly everywhere, a single map nearly nowhere.
            alpha *= strength if settings.mode == "composite" else np.sqrt(strength)
        if settings.mode == "composite":
            colour = palette[strongest(level)]  # SEVERAL, -1, is the last one
        else:
            colour = palette[(strength * 255 + 0.5).astype(np.uint8)]
        blended = photo[band] + (colour - photo[band]) * alpha[..., None]
        picture[band] = (blended + 0.5).astype(np.uint8)
    return picture


def _own_scale(maps: np.ndarray, steps: np.ndarray) -> np.ndarray:
    peaks = steps.max(axis=(0, 2, 3))[:, None, None]
    return (maps / np.where(peaks > 0, peaks, 1)).clip(0, 1)


def _bands(rows: int, elements_per_row: int) -> Iterator[slice]:
    step = max(1, _BAND_ELEMENTS // max(1, elements_per_row))
    return (slice(start, start + step) for start in range(0, rows, step))


def render_overlay(
    explanation: Explanation, settings: ViewSettings = ViewSettings(), *, learner: int = 0
) -> UInt8[np.ndarray, "rows columns 3"]:
    """Paint an explanation's maps over its photo, at the photo's full resolution.

    Args:
        explanation: Photo, geometry and maps.
        settings: What to show and how.
        learner: Which of the model's TokenLearners, counted from 0.

    Returns:
        uint8 RGB, of the photo's size; where weights are random, it says so in a corner.

    Raises:
        ConfigError: If the learner or a token does not exist.
    """
    maps = explanation.learner(learner).maps
    painted = paint(explanation.image, explanation.geometry, maps, settings)
    return warn_on(painted, explanation)
