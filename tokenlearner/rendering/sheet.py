"""A contact sheet: every token of a learner, the composite and the scale, on one page."""

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np
from PIL import Image as PILImage
from PIL import ImageDraw

from tokenlearner.errors import ConfigError
from tokenlearner.inference import Explanation
from tokenlearner.modules.shapes import UInt8
from tokenlearner.rendering.colormap import COLORMAPS, ink_on, token_rgb
from tokenlearner.rendering.heading import INK, PAPER, SMALL_PRINT, Heading, font
from tokenlearner.rendering.numbers import format_value
from tokenlearner.rendering.overlay import (
    ViewSettings,
    paint,
    value_range,
)

_TILE_PX = 320  # long side of a tile's picture
_MARGIN_PX = 32
_GAP_PX = 20
_HEADER_PX = 108
_CAPTION_PX = 44
_FOOTER_PX = 76
_CHIP_PX = 26
_TITLE_PX = 26
_RING_PX = 3


def render_sheet(
    explanation: Explanation,
    settings: ViewSettings = ViewSettings(),
    *,
    learner: int = 0,
    columns: int | None = None,
) -> UInt8[np.ndarray, "rows columns 3"]:
    """Draw all tokens of one learner as numbered tiles, then the composite, then the scale bar.

    Args:
        explanation: Photo, geometry and maps.
        settings: Opacity, colour map, interpolation, scale, mass and so on of every tile; which
            tokens are chosen and the mode do not matter here.
        learner: Which of the model's TokenLearners, counted from 0.
        columns: Tiles per row; by default a row holds about as much as makes the sheet 3:2.

    Returns:
        uint8 RGB on white.

    Raises:
        ConfigError: If there is no such learner or `columns` is below 1.
    """
    if columns is not None and columns < 1:
        raise ConfigError(f"columns is {columns}; give 1 or more")
    maps = explanation.learner(learner).maps
    photo, geometry = make_tile(explanation.image, _TILE_PX), explanation.geometry
    plan = _plan(len(maps) + 1, photo.shape[0], photo.shape[1], columns)
    heading = Heading(explanation, learner, _TITLE_PX)
    width = max(plan.width, 2 * _MARGIN_PX + heading.width_px)
    sheet = PILImage.new("RGB", (width, plan.height), PAPER)
    draw = ImageDraw.Draw(sheet)

    heading.draw(draw, _MARGIN_PX, 24)
    tokens, height, width = maps.shape
    note = f"What each of {tokens} learned tokens looks at, on {height} by {width} patches"
    draw.text((_MARGIN_PX, 60), note, SMALL_PRINT, font(16))
    for token in range(len(maps)):
        shown = replace(settings, mode="token", tokens=(token,))
        x, y = plan.place(token)
        tile = paint(photo, geometry, maps, shown)
        sheet.paste(PILImage.fromarray(tile), (x, y))
        _write_token(sheet, draw, (x, y), tile.shape[:2], token, float(maps[token].max()))
    x, y = plan.place(len(maps))
    tile = paint(photo, geometry, maps, replace(settings, mode="composite", tokens=()))
    sheet.paste(PILImage.fromarray(tile), (x, y))
    centre = y + photo.shape[0] + _CAPTION_PX // 2 + _RING_PX
    draw.text((x, centre), "strongest token; grey: several", INK, font(17), anchor="lm")
    _draw_scale(sheet, draw, maps, replace(settings, mode="token", tokens=()))
    return np.array(sheet)


def make_tile(
    photo: UInt8[np.ndarray, "rows columns 3"], long_side_px: int
) -> UInt8[np.ndarray, "height width 3"]:
    """Returns a photo at the size of a tile; a small one is enlarged, so that pages look alike."""
    rows, columns = photo.shape[:2]
    factor = long_side_px / max(rows, columns)
    width, height = max(1, round(columns * factor)), max(1, round(rows * factor))
    interpolation = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(photo, (width, height), interpolation=interpolation), np.uint8)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Plan:
    columns: int
    width: int
    height: int
    pitch_x: int
    pitch_y: int

    def place(self, index: int) -> tuple[int, int]:
        row, column = divmod(index, self.columns)
        return _MARGIN_PX + column * self.pitch_x, _HEADER_PX + row * self.pitch_y


def _plan(tiles: int, tile_height: int, tile_width: int, columns: int | None) -> _Plan:
    # Never narrower than header and scale bar need.
    pitch_x, pitch_y = max(tile_width, 200) + _GAP_PX, tile_height + _CAPTION_PX + _GAP_PX
    if columns is None:
        columns = max(2, round(math.sqrt(1.5 * tiles * pitch_y / pitch_x)))
    columns = min(columns, tiles)
    rows = math.ceil(tiles / columns)
    return _Plan(
        columns=columns,
        width=max(2 * _MARGIN_PX + columns * pitch_x - _GAP_PX, 480),
        height=_HEADER_PX + rows * pitch_y + _FOOTER_PX,
        pitch_x=pitch_x,
        pitch_y=pitch_y,
    )


def _write_token(
    sheet: PILImage.Image,
    draw: ImageDraw.ImageDraw,
    corner: tuple[int, int],
    size: tuple[int, int],
    token: int,
    peak: float,
) -> None:
    x, y = corner
    height, width = size
    colour = token_rgb(token)
    frame = (x - _RING_PX, y - _RING_PX, x + width + _RING_PX - 1, y + height + _RING_PX - 1)
    draw.rectangle(frame, outline=colour, width=_RING_PX)
    top = y + height + _RING_PX + (_CAPTION_PX - _CHIP_PX) // 2
    sheet.paste(colour, (x, top), _DISC)
    middle = top + _CHIP_PX / 2
    number = str(token + 1)
    draw.text((x + _CHIP_PX / 2, middle), number, ink_on(colour), font(15), anchor="mm")
    caption = f"peak {format_value(peak)}"
    draw.text((x + _CHIP_PX + 10, middle), caption, INK, font(17), anchor="lm")


def _disc(size: int) -> PILImage.Image:
    # Pillow's ellipse has hard edges; four times too large and reduced, they are smooth.
    mask = PILImage.new("L", (4 * size, 4 * size))
    ImageDraw.Draw(mask).ellipse((0, 0, 4 * size - 1, 4 * size - 1), fill=255)
    return mask.resize((size, size), PILImage.Resampling.LANCZOS)


_DISC = _disc(_CHIP_PX)


def _draw_scale(
    sheet: PILImage.Image, draw: ImageDraw.ImageDraw, maps: np.ndarray, settings: ViewSettings
) -> None:
    width, height = 220, 14
    low, high = value_range(maps, settings)
    ends = (format_value(low), format_value(high))
    label = "the same scale for all tokens"
    if settings.scale == "token":
        ends, label = ("lowest", "highest"), "each token on its own scale"
    y = sheet.height - _FOOTER_PX + 16
    draw.text((_MARGIN_PX, y + height / 2), ends[0], INK, font(16), anchor="lm")
    x = _MARGIN_PX + round(draw.textlength(ends[0], font(16))) + 10
    level = np.linspace(0, 1, width)
    ramp = COLORMAPS[settings.colormap][(level * 255).astype(int)]
    bar = PILImage.fromarray(np.repeat(ramp[None], height, axis=0))
    alpha = np.sqrt(level) if settings.weak == "fade" else np.ones(width)
    mask = np.repeat((alpha * 255).astype(np.uint8)[None], height, axis=0)
    sheet.paste(bar, (x, y), PILImage.fromarray(mask))
    draw.text((x + width + 10, y + height / 2), ends[1], INK, font(16), anchor="lm")
    draw.text((_MARGIN_PX, y + height + 10), label, SMALL_PRINT, font(15))
