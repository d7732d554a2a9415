"""Photo files made for the tests, odd ones too."""

import struct
import zlib
from io import BytesIO
from typing import Any, Literal

import numpy as np
from PIL import Image as PillowImage

FORMATS = {"JPEG": "JPEG", "PNG": "PNG", "WEBP": "WebP", "BMP": "BMP", "TIFF": "TIFF"}
COLOURS = np.array([[(200, 30, 20), (20, 180, 40)], [(30, 50, 210), (240, 240, 240)]], np.uint8)


def save(picture: PillowImage.Image, kind: str, **options: Any) -> bytes:
    buffer = BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def quarters(height: int = 32, width: int = 64) -> np.ndarray:
    """Red, green, blue and nearly white quarters."""
    return COLOURS.repeat(height // 2, axis=0).repeat(width // 2, axis=1)


def quarter_colours(pixels: np.ndarray) -> np.ndarray:
    """The colour in the middle of each quarter, where lossy formats are nearly exact."""
    height, width, _ = pixels.shape
    return pixels[height // 4 :: height // 2, width // 4 :: width // 2].astype(int)


def png(header: bytes, *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG of the given IHDR content and chunks, whatever Pillow would think of them."""
    data = b"\x89PNG\r\n\x1a\n"
    for name, content in ((b"IHDR", header), *chunks, (b"IEND", b"")):
        data += struct.pack(">I", len(content)) + name + content
        data += struct.pack(">I", zlib.crc32(name + content))
    return data


def tiff(
    samples: np.ndarray, *, order: Literal["<", ">"], tags: dict[int, tuple[int, int]]
) -> bytes:
    """An uncompressed one-strip TIFF with (type, value) tags; `order` is '<' or '>'."""
    strip = samples.astype(samples.dtype.newbyteorder(order)).tobytes()
    height, width = samples.shape
    bits = samples.dtype.itemsize * 8
    entries: dict[int, tuple[int, int]] = {
        256: (4, width),
        257: (4, height),
        258: (3, bits),
        259: (3, 1),
        262: (3, 1),
        273: (4, 8),
        277: (3, 1),
        278: (4, height),
        279: (4, len(strip)),
        **tags,
    }
    data = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8 + len(strip))
    data += strip + struct.pack(order + "H", len(entries))
    for tag, (kind, value) in sorted(entries.items()):
        packed = struct.pack(order + ("H" if kind == 3 else "I"), value).ljust(4, b"\0")
        data += struct.pack(order + "HHI", tag, kind, 1) + packed
    return data + bytes(4)


def gray_ink_profile() -> bytes:
    """An ICC profile for CMYK, of a press with four gray inks: any of them prints L* = 50."""
    corners = np.full((16, 3), (128, 128, 128), np.uint8)  # Lab; 128 stands for a* = b* = 0.
    corners[0] = (255, 128, 128)  # No ink: white paper.
    identity = struct.pack(">9i", *(65536 * (i % 4 == 0) for i in range(9)))
    straight = bytes(range(256))
    table = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + identity
    table += 4 * straight + corners.tobytes() + 3 * straight
    offset = 128 + 4 + 12
    header = struct.pack(">I4xI", offset + len(table), 0x02400000) + b"prtrCMYKLab "
    header += bytes(12) + b"acsp" + bytes(28) + struct.pack(">3i", 63190, 65536, 54061)  # D50
    return header.ljust(128, b"\0") + struct.pack(">I4sII", 1, b"A2B0", offset, len(table)) + table


def noise(kind: str) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (96, 128, 3), dtype=np.uint8)
    return save(PillowImage.fromarray(pixels), kind)
