"""What tokens look at from step to step, on one page: a filmstrip, and the tube of all tokens."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PILImage
from PIL import ImageDraw

from tokenlearner.clips import ClipExplanation
from tokenlearner.modules.shapes import UInt8
from tokenlearner.rendering.colormap import ink_on, token_rgb
from tokenlearner.rendering.heading import PAPER, SMALL_PRINT, Heading, font
from tokenlearner.rendering.overlay import ViewSettings, paint, strongest_token
from tokenlearner.rendering.sheet import make_tile

_STRIP_PX, _TUBE_PX = 200, 112  # long side of a tile
_MOST_PX = 6000  # width of all tiles of a row together
_LEAST_TILE_PX = 24
_TITLE_PX = 22
_MARGIN_PX, _GAP_PX, _HEADER_PX, _TIMES_PX, _CHIP_PX = 24, 4, 56, 24, 24


def render_filmstrip(
    explanation: ClipExplanation, settings: ViewSettings = ViewSettings(), *, learner: int = 0
) -> UInt8[np.ndarray, "rows columns 3"]:
    """Draws one view, a token or the composite, at every step, side by side.

    Args:
        explanation: Frames, geometry and maps.
        settings: What to show and how; all steps share one scale.
        learner: Which of the model's TokenLearners, counted from 0.

    Returns:
        uint8 RGB on white.

    Raises:
        ConfigError: If there is no such learner or token.
    """
    return _draw(explanation, [settings], learner, _STRIP_PX)


def render_token_tube(
    explanation: ClipExplanation, settings: ViewSettings = ViewSettings(), *, learner: int = 0
) -> UInt8[np.ndarray, "rows columns 3"]:
    """Draws all tokens, one row each, at every step, and the composite in a last row.

    Args:
        explanation: Frames, geometry and maps.
        settings: How to show them; which tokens are chosen and the mode do not matter here.
        learner: Which of the model's TokenLearners, counted from 0.

    Returns:
        uint8 RGB on white.

    Raises:
        ConfigError: If there is no such learner.
    """
    count = explanation.learner(learner).maps.shape[1]
    rows = [replace(settings, mode="token", tokens=(token,)) for token in range(count)]
    rows.append(replace(settings, mode="composite", tokens=()))
    return _draw(explanation, rows, learner, _TUBE_PX)


def _draw(
    explanation: ClipExplanation, rows: list[ViewSettings], learner: int, tile_px: int
) -> NDArray[np.uint8]:
    steps = explanation.learner(learner).maps
    tile_px = max(_LEAST_TILE_PX, min(tile_px, _MOST_PX // len(steps)))
    frames = [  # the one in the middle of each step
        make_tile(explanation.frames[(start + stop - 1) // 2], tile_px)
        for start, stop in explanation.step_frames
    ]
    height, width = frames[0].shape[:2]
    left, top = _MARGIN_PX + _CHIP_PX + 12, _HEADER_PX + _TIMES_PX
    heading = Heading(explanation, learner, _TITLE_PX)
    page = PILImage.new(
        "RGB",
        (
            max(
                left + len(steps) * (width + _GAP_PX) + _MARGIN_PX,
                2 * _MARGIN_PX + heading.width_px,
                480,
            ),
            top + len(rows) * (height + _GAP_PX) + _MARGIN_PX,
        ),
        PAPER,
    )
    draw = ImageDraw.Draw(page)
    heading.draw(draw, _MARGIN_PX, 20)
    _write_times(draw, explanation.step_times_s, left, width)
    for row, settings in enumerate(rows):
        y = top + row * (height + _GAP_PX)
        _write_chip(draw, settings, steps, (_MARGIN_PX, y + (height - _CHIP_PX) // 2))
        for step, frame in enumerate(frames):
            tile = paint(frame, explanation.geometry, steps[step], settings, steps=steps)
            page.paste(PILImage.fromarray(tile), (left + step * (width + _GAP_PX), y))
    return np.array(page)


def _write_times(
    draw: ImageDraw.ImageDraw, times_s: NDArray[np.float64], left: int, width: int
) -> None:
    # Over every tile, or as many as leave room for the words.
    every = -(-52 // (width + _GAP_PX))
    for step in range(0, len(times_s), every):
        place = (left + step * (width + _GAP_PX), _HEADER_PX + _TIMES_PX - 6)
        words = f"{times_s[step]:.2f} s"
        draw.text(place, words, SMALL_PRINT, font(13), anchor="ls")


def _write_chip(
    draw: ImageDraw.ImageDraw,
    settings: ViewSettings,
    steps: NDArray[np.float32],
    corner: tuple[int, int],
) -> None:
    """The number of the token that a row shows; nothing for several tokens or the composite."""
    if settings.mode == "composite" or len(settings.tokens) > 1:
        return
    token = settings.tokens[0] if settings.tokens else strongest_token(steps)
    x, y = corner
    colour = token_rgb(token)
    draw.ellipse((x, y, x + _CHIP_PX, y + _CHIP_PX), fill=colour)
    middle = (x + _CHIP_PX / 2, y + _CHIP_PX / 2)
    draw.text(middle, str(token + 1), ink_on(colour), font(14), anchor="mm")
