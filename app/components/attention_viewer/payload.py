"""What travels between Python and the viewer: one buffer down, settings up."""

import hashlib
import json
import struct
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

import cv2
import numpy as np

from tokenlearner.errors import ConfigError
from tokenlearner.inference import Explanation
from tokenlearner.media import encode_jpeg
from tokenlearner.rendering.colormap import COLORMAPS, TOKEN_COLORS, colormap_base64
from tokenlearner.rendering.overlay import ViewSettings, maps_of

DISPLAY_SIDE_PX = 1600  # long side at which a photo is sent: enough for a large HiDPI screen

# `settings.js` writes what this names.
_QUERY_KEYS = {
    "tokens": "token",
    "mode": "mode",
    "opacity": "opacity",
    "colormap": "cmap",
    "interpolation": "interp",
    "scale": "scale",
    "mass": "mass",
}


def encode_display_photo(pixels: np.ndarray) -> bytes:
    """A photo (uint8 RGB [height, width, 3]) as a JPEG of at most `DISPLAY_SIDE_PX` a side."""
    factor = min(1.0, DISPLAY_SIDE_PX / max(pixels.shape[:2]))
    height, width = (max(1, round(side * factor)) for side in pixels.shape[:2])
    if factor < 1:
        pixels = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
    return encode_jpeg(pixels)


def pack_payload(
    explanation: Explanation,
    photo_jpeg: bytes,
    settings: ViewSettings,
    *,
    learner: int = 0,
    stage: bool = False,
    download: tuple[str, bytes] | None = None,
    download_id: str = "",
) -> bytes:
    """Pack everything the viewer needs into one buffer.

    Layout: the header's length (uint32, little-endian), the header (JSON, UTF-8), then the blocks
    that its `maps`, `photo` and `download` entries point to by `offset` and `length`, counted from
    the end of the header. Components receive nested bytes as nothing at all, hence one buffer.

    Args:
        explanation: Maps, geometry and the photo's size.
        photo_jpeg: The photo, upright, at any resolution; see `encode_display_photo`.
        settings: What a viewer that starts with this payload shows first.
        learner: Which of the model's TokenLearners, counted from 0.
        stage: Fill the viewport.
        download: File name and content to save in the browser.
        download_id: Differs from one wish to save to the next; content alone cannot tell them.

    Returns:
        The buffer. Its header's `id` changes with photo, maps and geometry, and with nothing else.
    """
    maps = np.ascontiguousarray(maps_of(explanation, learner), dtype="<f4")
    box = [float(side) for side in explanation.geometry.box]
    source = list(explanation.image.shape[:2])
    blocks: list[bytes] = []

    def add(content: bytes) -> dict[str, int]:
        entry = {"offset": sum(map(len, blocks)), "length": len(content)}
        blocks.append(content)
        return entry

    identity = hashlib.blake2b(digest_size=16)
    for part in (maps.tobytes(), photo_jpeg, json.dumps([maps.shape, box, source]).encode()):
        identity.update(part)
    header: dict[str, Any] = {
        "id": identity.hexdigest(),
        "shape": list(maps.shape),
        "maps": add(maps.tobytes()),
        "photo": {**add(photo_jpeg), "type": "image/jpeg"},
        "source": source,
        "box": box,
        "colors": list(TOKEN_COLORS),
        "colormaps": {name: colormap_base64(table) for name, table in COLORMAPS.items()},
        "settings": asdict(settings),
        "defaults": asdict(ViewSettings()),
        "stage": stage,
        "download": None,
    }
    if download is not None:
        filename, content = download
        header["download"] = {
            **add(content),
            "filename": filename,
            "type": "image/png" if filename.endswith(".png") else "application/octet-stream",
            "id": f"{download_id} {hashlib.blake2b(content, digest_size=8).hexdigest()}",
        }
    text = json.dumps(header, separators=(",", ":")).encode()
    return b"".join([struct.pack("<I", len(text)), text, *blocks])


def settings_from_query(query: Any) -> ViewSettings:
    """The settings that a link asks for; whatever is missing or makes no sense is the default.

    Args:
        query: Query parameters by name, from an untrusted source: `token` ("2" or "2,5", counted
            from 1), `mode`, `opacity`, `cmap`, `interp`, `scale`, `mass`. Others are ignored.
    """
    if not isinstance(query, Mapping):
        return ViewSettings()
    values: dict[str, Any] = {
        field: str(query[key]) for field, key in _QUERY_KEYS.items() if key in query
    }
    numbers = values.get("tokens", "").split(",")
    # Three digits are more than any model has tokens, and few enough for `int`.
    values["tokens"] = [int(part) - 1 for part in numbers if part.isdecimal() and len(part) < 4]
    return settings_from_values(values)


def settings_from_values(values: Mapping[str, Any]) -> ViewSettings:
    """Settings by the names of `ViewSettings`, from an untrusted source; nonsense is left out."""
    readers = {"tokens": _read_tokens, "opacity": float, "mass": float}
    settings = ViewSettings()
    for field in asdict(settings):
        if field not in values:
            continue
        try:
            value = readers.get(field, str)(values[field])
            settings = replace(settings, **{field: value})
        except (ConfigError, TypeError, ValueError, OverflowError):
            continue
    return settings


def _read_tokens(values: Any) -> tuple[int, ...]:
    return tuple(int(value) for value in values)
