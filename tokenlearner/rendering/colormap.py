"""The colours of tokens and of values: fixed tables, the same in every picture and page."""

import base64
from types import MappingProxyType

import cv2
import numpy as np

from tokenlearner.modules.shapes import UInt8

TOKEN_COLORS: tuple[str, ...] = (
    "#ff9600",
    "#3c78ff",
    "#00b496",
    "#ff005a",
    "#b4e196",
    "#964b87",
    "#007800",
    "#e1b4ff",
    "#d287c3",
    "#1e965a",
    "#ffd24b",
    "#784bc3",
    "#c34b78",
    "#3cf0d2",
    "#9669b4",
    "#9696ff",
)
"""Token k is drawn in `TOKEN_COLORS[k % 16]`, on light and dark pages alike.

The idea is that of Okabe and Ito ("Color Universal Design", 2008) and Petroff ("Accessible Color
Sequences for Data Visualization", arXiv 2107.02270): choose the set whose closest pair is as far
apart as possible for every kind of colour vision. The entries come from a search over sRGB at
42 < L* < 86 and chroma > 42 that maximises the smallest CIEDE2000 distance over normal vision and
simulated protanopia, deuteranopia and tritanopia (Machado et al. 2009), the first eight first:
15.1 among those (Okabe and Ito's set: 10.9), 8.7 among all sixteen.
"""

SEVERAL_COLOR = "#808080"
"""What a composite shows where several tokens are strongest; no token's colour is a grey."""

_OPENCV_MAPS = {
    "inferno": cv2.COLORMAP_INFERNO,
    "magma": cv2.COLORMAP_MAGMA,
    "viridis": cv2.COLORMAP_VIRIDIS,
    "cividis": cv2.COLORMAP_CIVIDIS,
}


def _build_tables() -> dict[str, np.ndarray]:
    ramp = np.arange(256, dtype=np.uint8)[:, None]
    tables = {
        # OpenCV answers in BGR.
        name: np.ascontiguousarray(cv2.applyColorMap(ramp, code)[:, 0, ::-1])
        for name, code in _OPENCV_MAPS.items()
    }
    tables["gray"] = np.repeat(ramp, 3, axis=1)
    for table in tables.values():
        table.setflags(write=False)
    return tables


COLORMAPS: MappingProxyType[str, np.ndarray] = MappingProxyType(_build_tables())
"""Colour maps by name, each uint8 [256, 3] in RGB, perceptually uniform and safe for colour-blind
people. The first is the default."""


def token_rgb(token: int) -> tuple[int, int, int]:
    """The colour of a token (counted from 0) as red, green, blue in 0..255."""
    return hex_rgb(TOKEN_COLORS[token % len(TOKEN_COLORS)])


def hex_rgb(value: str) -> tuple[int, int, int]:
    """A colour such as `#808080` as red, green, blue in 0..255."""
    return int(value[1:3], 16), int(value[3:5], 16), int(value[5:7], 16)


def ink_on(rgb: tuple[int, int, int]) -> tuple[int, int, int]:
    """Black or white, whichever reads better on `rgb` (WCAG 2 contrast)."""
    channels = np.asarray(rgb, dtype=np.float64) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    luminance = float(linear @ (0.2126, 0.7152, 0.0722))
    # Contrast with white is 1.05 / (L + 0.05), with black (L + 0.05) / 0.05; they cross here.
    return (255, 255, 255) if (luminance + 0.05) ** 2 < 1.05 * 0.05 else (0, 0, 0)


def colormap_base64(table: UInt8[np.ndarray, "256 3"]) -> str:
    """A table as base64 text, for consumers that cannot read arrays."""
    return base64.b64encode(table.tobytes()).decode("ascii")
