"""What travels from Python to a widget in the browser: one buffer."""

import hashlib
import json
import struct
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import cv2
import numpy as np

from app.components.drawing.listening import PATIENCE_S
from tokenlearner.media import encode_jpeg
from tokenlearner.rendering.colormap import COLORMAPS, SEVERAL_COLOR, TOKEN_COLORS, colormap_base64
from tokenlearner.rendering.overlay import ViewSettings

DISPLAY_SIDE_PX = 1600  # long side at which a photo is sent: enough for a large HiDPI screen


def encode_display_photo(pixels: np.ndarray) -> bytes:
    """A photo (uint8 RGB [height, width, 3]) as a JPEG of at most `DISPLAY_SIDE_PX` a side."""
    factor = min(1.0, DISPLAY_SIDE_PX / max(pixels.shape[:2]))
    height, width = (max(1, round(side * factor)) for side in pixels.shape[:2])
    if factor < 1:
        pixels = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
    return encode_jpeg(pixels)


def pack_buffer(
    header: Mapping[str, Any],
    blocks: Mapping[str, bytes],
    settings: ViewSettings,
    *,
    download: tuple[str, bytes] | None = None,
    download_id: str = "",
) -> bytes:
    """Packs everything that a widget needs into one buffer.

    Layout: the header's length (uint32, little-endian), the header (JSON, UTF-8), then the blocks
    that its entries of the same names, and `download`, point to by `offset` and `length`, counted
    from the end of the header. Components receive nested bytes as nothing at all, hence one buffer.

    Args:
        header: What the widget should know; colours and colour maps are added.
        blocks: Content by name; a header entry of that name gets offset and length added.
        settings: What a widget that starts with this buffer shows first.
        download: File name and content to save in the browser.
        download_id: Differs from one file to save to the next; content alone cannot tell them.
    """
    body: list[bytes] = []

    def add(content: bytes) -> dict[str, int]:
        entry = {"offset": sum(map(len, body)), "length": len(content)}
        body.append(content)
        return entry

    whole: dict[str, Any] = {
        **header,
        **{name: {**header.get(name, {}), **add(content)} for name, content in blocks.items()},
        "colors": list(TOKEN_COLORS),
        "severalColor": SEVERAL_COLOR,
        "patienceS": PATIENCE_S,
        "colormaps": {name: colormap_base64(table) for name, table in COLORMAPS.items()},
        "settings": asdict(settings),
        "defaults": asdict(ViewSettings()),
        "download": None,
    }
    if download is not None:
        filename, content = download
        whole["download"] = {
            **add(content),
            "filename": filename,
            "type": "image/png" if filename.endswith(".png") else "application/octet-stream",
            "id": f"{download_id} {hashlib.blake2b(content, digest_size=8).hexdigest()}",
        }
    text = json.dumps(whole, separators=(",", ":")).encode()
    return b"".join([struct.pack("<I", len(text)), text, *body])


def identity_of(*parts: bytes) -> str:
    """A short text that changes with any of the parts."""
    identity = hashlib.blake2b(digest_size=16)
    for part in parts:
        identity.update(part)
    return identity.hexdigest()
