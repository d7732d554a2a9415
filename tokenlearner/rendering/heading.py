"""What a picture says of its model: its name, and in red what is random about it."""

import math
import unicodedata
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from tokenlearner.clips import ClipExplanation
from tokenlearner.inference import Explanation
from tokenlearner.modules.shapes import UInt8

PAPER = (255, 255, 255)
INK = (23, 23, 28)
SMALL_PRINT = (92, 94, 104)

_WARNING = (185, 28, 28)
_GAP_PX = 16
_LABEL_SHARE = 1 / 24  # of a picture's height, for the letters of its label
_LEAST_LABEL_PX = 11


@lru_cache(maxsize=32)
def font(size_px: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Returns Pillow's own font; it decodes the font's file anew on every call."""
    return ImageFont.load_default(size_px)


class Heading:
    """The first line of sheets and filmstrips.

    Args:
        explanation: Names the model and what is random about it.
        learner: Which of the model's TokenLearners it is about, counted from 0.
        size_px: Font size.

    Attributes:
        width_px: From the first letter to the end of the last.
    """

    def __init__(
        self, explanation: Explanation | ClipExplanation, learner: int, size_px: int
    ) -> None:
        self._font = font(size_px)
        self._name, self._random_parts = _legible(explanation.model_name), explanation.random_parts
        if len(explanation.learners) > 1:
            block = explanation.learner(learner).block + 1
            self._name += f": learner {learner + 1}, before block {block}"
        self._red_px = self._font.getlength(self._name) + _GAP_PX
        self.width_px = math.ceil(self._red_px + self._font.getlength(self._random_parts))

    def draw(self, draw: ImageDraw.ImageDraw, left: int, top: int) -> None:
        """Writes it, its first letter there."""
        draw.text((left, top), self._name, INK, self._font)
        draw.text((left + self._red_px, top), self._random_parts, _WARNING, self._font)


def warn_on(
    picture: UInt8[np.ndarray, "rows columns 3"], explanation: Explanation | ClipExplanation
) -> UInt8[np.ndarray, "rows columns 3"]:
    """Writes in red what is random about a model into a corner of a picture without a heading.

    Returns:
        The picture itself if nothing is random.
    """
    if explanation.random_parts:
        label = warning_label(explanation.random_parts, picture.shape[:2])
        picture = picture.copy()
        picture[-label.shape[0] :, : label.shape[1]] = label
    return picture


def warning_label(
    random_parts: str, size: tuple[int, int]
) -> UInt8[np.ndarray, "label_rows label_columns 3"]:
    """Draws what is random about a model, for the lower left corner of a picture.

    Args:
        random_parts: As explanations name them.
        size: Height and width of the picture; the label is no larger.
    """
    letters_px = max(_LEAST_LABEL_PX, round(_LABEL_SHARE * size[0]))
    letters, margin = font(letters_px), letters_px // 2
    width = math.ceil(letters.getlength(random_parts)) + 2 * margin
    label = Image.new("RGB", (width, letters_px + 2 * margin), PAPER)
    middle = (margin, label.height / 2)
    ImageDraw.Draw(label).text(middle, random_parts, _WARNING, letters, anchor="lm")
    return np.asarray(label)[: size[0], : size[1]]


def _legible(name: str) -> str:
    """Returns a name in letters that Pillow's own font has: no accents, and ? for other scripts."""
    letters = (c for c in unicodedata.normalize("NFKD", name) if not unicodedata.combining(c))
    return "".join(letters).encode("ascii", "replace").decode()
