"""The first line of sheets and filmstrips: a model's name, and in red what is random about it."""

import math
import unicodedata

from PIL import ImageDraw, ImageFont

from tokenlearner.clips import ClipExplanation
from tokenlearner.inference import Explanation

PAPER = (255, 255, 255)
INK = (23, 23, 28)
SMALL_PRINT = (92, 94, 104)

_WARNING = (185, 28, 28)
_GAP_PX = 16


class Heading:
    """What it says, and how wide that is.

    Args:
        explanation: Names the model and what is random about it.
        size_px: Of the letters.

    Attributes:
        width_px: From the first letter to the end of the last.
    """

    def __init__(self, explanation: Explanation | ClipExplanation, size_px: int) -> None:
        self._font = ImageFont.load_default(size_px)
        self._name, self._random_parts = _legible(explanation.model_name), explanation.random_parts
        self._red_px = self._font.getlength(self._name) + _GAP_PX
        self.width_px = math.ceil(self._red_px + self._font.getlength(self._random_parts))

    def draw(self, draw: ImageDraw.ImageDraw, left: int, top: int) -> None:
        """Writes it, its first letter there."""
        draw.text((left, top), self._name, INK, self._font)
        draw.text((left + self._red_px, top), self._random_parts, _WARNING, self._font)


def _legible(name: str) -> str:
    """Returns a name in letters that Pillow's own font has: no accents, and ? for other scripts."""
    letters = (c for c in unicodedata.normalize("NFKD", name) if not unicodedata.combining(c))
    return "".join(letters).encode("ascii", "replace").decode()
