"""A clip with the maps of its tokens over it, at the clip's own frame rate."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as PILImage
from PIL import ImageDraw

from tokenlearner.clips import ClipExplanation
from tokenlearner.media import Stretch, encode_video, read_sound, read_stretch
from tokenlearner.modules.shapes import UInt8
from tokenlearner.rendering.colormap import ink_on, token_rgb
from tokenlearner.rendering.heading import font, warning_label
from tokenlearner.rendering.overlay import ViewSettings, paint

_MOSAIC_PX = 1280  # long side of a mosaic, about
_EDGE_PX = 2
_CHIP_PX = 20


def render_overlay_video(
    explanation: ClipExplanation,
    source: bytes | Path | str,
    settings: ViewSettings = ViewSettings(),
    *,
    learner: int = 0,
    mosaic: bool = False,
    start_s: float = 0.0,
    end_s: float | None = None,
    max_side_px: int = 1280,
    kind: str = "mp4",
    with_sound: bool = False,
    max_bytes: int | None = None,
    progress: Callable[[int, int], bool | None] | None = None,
) -> bytes:
    """Paints the maps over every frame of a stretch of the clip that they were made of.

    The model saw some of the frames; the others are painted with the maps of the nearest step.

    Args:
        explanation: Maps and geometry.
        source: The clip's bytes, or its path.
        settings: What to show and how; all steps share one scale.
        learner: Which of the model's TokenLearners, counted from 0.
        mosaic: Show all tokens and the composite beside each other, each as one tile; which tokens
            are chosen and the mode do not matter then.
        start_s: Where the stretch begins, in seconds since the clip's first frame.
        end_s: Where it ends; None is the end of the clip.
        max_side_px: Larger frames are reduced until neither side is above this.
        kind: `"mp4"`, `"webm"` or `"gif"`.
        with_sound: Whether the video has the clip's sound.
        max_bytes: What the file may take; None for any size.
        progress: Called with the number of frames done and of all frames, before each. If it
            returns False, the video ends there.

    Returns:
        The content of a file.

    Raises:
        ConfigError: If there is no such learner, token or kind of file.
        MediaError: If the clip cannot be read, or the file would be larger than `max_bytes`.
    """
    steps = explanation.learner(learner).maps
    tiling = None
    if mosaic:
        tiling = _tiling(steps.shape[1] + 1, explanation.geometry.source_size)
        max_side_px = min(max_side_px, _MOSAIC_PX // max(tiling))
    stretch = read_stretch(source, start_s=start_s, end_s=end_s, max_side_px=max_side_px)
    sound = None
    if with_sound:
        sound = read_sound(source, start_s=start_s, end_s=stretch.end_s)
    film = _Film(explanation, steps, settings, stretch, tiling)

    def frames() -> Iterator[NDArray[np.uint8]]:
        total = len(stretch.times_s)
        for done, frame in enumerate(film.frames()):
            # An empty film is no film: the first frame is always there.
            if progress is not None and progress(done, total) is False and done:
                return
            yield frame

    return encode_video(
        frames(),
        fps=stretch.facts.fps,
        times_s=(stretch.times_s - start_s).tolist(),
        end_s=stretch.end_s - start_s,
        kind=kind,
        sound=sound,
        max_bytes=max_bytes,
    )


def step_starts_s(explanation: ClipExplanation) -> NDArray[np.float64]:
    """From when on each step's maps are shown, in seconds since the clip's first frame.

    That is halfway from the last frame of the step before to its own first; the first step's maps
    are shown from the beginning.
    """
    first = np.array([explanation.times_s[start] for start, _ in explanation.step_frames])
    last = np.array([explanation.times_s[stop - 1] for _, stop in explanation.step_frames])
    return np.concatenate(([0.0], (last[:-1] + first[1:]) / 2))


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Veil:
    """A painted overlay without the picture under it.

    Painting is linear in the picture: what it makes of black is the light that the overlay adds,
    and what it makes of white tells how much of a picture it lets through. So a step's maps are
    painted twice and then laid over all of its frames, a hundred times faster than by painting.

    Attributes:
        light: Added to a picture, uint8 [rows, columns, 3].
        keep: What is kept of a picture, in 255ths, likewise.
    """

    light: NDArray[np.uint8]
    keep: NDArray[np.uint8]

    @classmethod
    def of(
        cls, painted: Callable[[NDArray[np.uint8]], NDArray[np.uint8]], size: tuple[int, int]
    ) -> "Veil":
        """Finds it for a way of painting pictures of this height and width."""
        light = painted(np.zeros((*size, 3), np.uint8))
        return cls(light=light, keep=painted(np.full((*size, 3), 255, np.uint8)) - light)

    def over(
        self, picture: UInt8[np.ndarray, "rows columns 3"]
    ) -> UInt8[np.ndarray, "rows columns 3"]:
        """The picture with the overlay on it: to one level what painting makes of it."""
        kept = cv2.multiply(picture, self.keep, scale=1 / 255)
        return np.asarray(cv2.add(kept, self.light), np.uint8)


class _Film:
    """The frames of a stretch, each under the veil of the step that is in force."""

    def __init__(
        self,
        explanation: ClipExplanation,
        steps: NDArray[np.float32],
        settings: ViewSettings,
        stretch: Stretch,
        tiling: tuple[int, int] | None,
    ) -> None:
        self._steps, self._settings, self._stretch, self._tiling = steps, settings, stretch, tiling
        self._size = stretch.height_px, stretch.width_px
        self._geometry, self._random_parts = explanation.geometry, explanation.random_parts
        starts_s = step_starts_s(explanation)
        self._step_at = np.maximum(np.searchsorted(starts_s, stretch.shown_s, side="right") - 1, 0)

    def frames(self) -> Iterator[NDArray[np.uint8]]:
        drawn, veil = -1, None
        for frame, step in zip(self._stretch.frames(), self._step_at.tolist(), strict=True):
            if veil is None or step != drawn:
                drawn = step
                veil = self._mosaic(step) if self._tiling else self._view(step, self._settings)
                self._warn(veil)
            if self._tiling:
                columns, rows = self._tiling
                frame = np.tile(frame, (rows, columns, 1))
            yield veil.over(np.ascontiguousarray(frame))

    def _warn(self, veil: Veil) -> None:
        if self._random_parts:
            label = warning_label(self._random_parts, veil.light.shape[:2])
            corner = np.s_[-label.shape[0] :, : label.shape[1]]
            veil.light[corner], veil.keep[corner] = label, 0

    def _view(self, step: int, settings: ViewSettings) -> Veil:
        maps, steps = self._steps[step], self._steps
        return Veil.of(
            lambda photo: paint(photo, self._geometry, maps, settings, steps=steps), self._size
        )

    def _mosaic(self, step: int) -> Veil:
        assert self._tiling is not None
        columns, rows = self._tiling
        height, width = self._size
        whole = Veil(
            light=np.zeros((rows * height, columns * width, 3), np.uint8),
            keep=np.zeros((rows * height, columns * width, 3), np.uint8),
        )
        count = self._steps.shape[1]
        for tile in range(count + 1):
            row, column = divmod(tile, columns)
            place = np.s_[row * height : (row + 1) * height, column * width : (column + 1) * width]
            if tile < count:
                veil = self._view(step, replace(self._settings, mode="token", tokens=(tile,)))
                _mark(veil, tile)
            else:
                veil = self._view(step, replace(self._settings, mode="composite", tokens=()))
            whole.light[place], whole.keep[place] = veil.light, veil.keep
        return whole


def _tiling(tiles: int, size: tuple[int, int]) -> tuple[int, int]:
    """Columns and rows of a mosaic that is about as wide as 16:9 and has few places left."""
    height, width = size

    def fault(columns: int) -> float:
        rows = math.ceil(tiles / columns)
        aspect = columns * width / (rows * height)
        return abs(math.log(aspect * 9 / 16)) + 2 * (columns * rows - tiles) / tiles

    columns = min(range(1, tiles + 1), key=fault)
    return columns, math.ceil(tiles / columns)


def _mark(tile: Veil, token: int) -> None:
    """Gives a tile an edge and a number in the token's colour."""
    colour = token_rgb(token)
    edge = np.ones(tile.light.shape[:2], bool)
    edge[_EDGE_PX:-_EDGE_PX, _EDGE_PX:-_EDGE_PX] = False
    tile.light[edge], tile.keep[edge] = colour, 0
    chip = PILImage.new("RGB", (_CHIP_PX, _CHIP_PX), colour)
    middle = (_CHIP_PX / 2, _CHIP_PX / 2)
    ImageDraw.Draw(chip).text(middle, str(token + 1), ink_on(colour), font(13), anchor="mm")
    height, width = (min(_CHIP_PX, side) for side in tile.light.shape[:2])
    tile.light[:height, :width] = np.asarray(chip)[:height, :width]
    tile.keep[:height, :width] = 0
