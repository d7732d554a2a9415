"""Reading photos that anyone may have sent: bounded, recognised by content, upright, RGB."""

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage
from PIL.BmpImagePlugin import BmpImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from tokenlearner.errors import (
    ConfigError,
    CorruptMediaError,
    MediaError,
    MediaTooLargeError,
    ShapeError,
    UnsupportedMediaError,
)
from tokenlearner.media.colors import to_rgb
from tokenlearner.media.limits import DEFAULT_IMAGE_LIMITS, ImageLimits
from tokenlearner.media.recognition import recognise, with_article

# The decoders are called directly: `PIL.Image.open` would look at a picture's size first and warn,
# or raise, by limits that are global to the process.
_DECODERS: dict[str, Callable[[BytesIO], ImageFile]] = {
    "JPEG": JpegImageFile,
    "PNG": PngImageFile,
    "WebP": WebPImageFile,
    "BMP": BmpImageFile,
    "TIFF": TiffImageFile,
}
PHOTO_KINDS = frozenset(_DECODERS)
"""Kinds of files that can be photos, as `recognise` names them."""

_WANTED = "JPEG, PNG, WebP, BMP or TIFF"

_EXIF_ORIENTATION = 274
_TIFF_BITS_PER_SAMPLE = 258
_TIFF_PHOTOMETRIC = 262
_PNG_BIT_DEPTH_AT = 24

# How stored pixels become upright, by the value of the EXIF tag (EXIF 2.32, table 6).
_TURNS: dict[int, Callable[[NDArray[np.uint8]], NDArray[np.uint8]]] = {
    2: lambda stored: stored[:, ::-1],
    3: lambda stored: stored[::-1, ::-1],
    4: lambda stored: stored[::-1],
    5: lambda stored: stored.swapaxes(0, 1),
    6: lambda stored: stored[::-1].swapaxes(0, 1),
    7: lambda stored: stored[::-1, ::-1].swapaxes(0, 1),
    8: lambda stored: stored[:, ::-1].swapaxes(0, 1),
}
_LYING = (5, 6, 7, 8)
"""Those that swap width and height."""


@dataclass(frozen=True, eq=False)
class Image:
    """A photo, ready to use.

    Attributes:
        pixels: uint8 RGB [height, width, 3], upright, transparent parts on white, C-contiguous
            and read-only.
        sha256: SHA-256 of the file's bytes, in hexadecimal digits.
        format: `"JPEG"`, `"PNG"`, `"WebP"`, `"BMP"` or `"TIFF"`.
        original_mode: How the file stores colour, in Pillow's terms: `"RGB"`, `"CMYK"`, `"I;16"`.
        notes: What was done to show it, in plain words; empty for an ordinary photo.
    """

    pixels: NDArray[np.uint8] = field(repr=False)
    sha256: str
    format: str
    original_mode: str
    notes: tuple[str, ...] = ()

    @property
    def width_px(self) -> int:
        """Width of the upright photo."""
        return self.pixels.shape[1]

    @property
    def height_px(self) -> int:
        """Height of the upright photo."""
        return self.pixels.shape[0]


def read_image(source: bytes | Path | str, *, limits: ImageLimits = DEFAULT_IMAGE_LIMITS) -> Image:
    """Reads a JPEG, PNG, WebP, BMP or TIFF photo, recognised by its content.

    Of files with several pictures the first is taken. RGB values are taken as stored; a colour
    profile is applied to CMYK only.

    Args:
        source: The file's bytes, or its path.
        limits: Checked on the file's size and the picture's header, before decoding.

    Raises:
        UnsupportedMediaError: The content is of another kind, or there is none.
        MediaTooLargeError: The file or the picture is over a limit.
        CorruptMediaError: The file is broken or cut off.
        MediaError: There is no such file, `source` is something else, or the picture is below
            `limits.min_side_px`.
    """
    data = _read_bytes(source, limits)
    kind = recognise(data)
    if kind not in _DECODERS:
        raise UnsupportedMediaError(_describe_unsupported(data, kind), kind=kind)
    picture = _open(data, kind)
    _check_size(picture.size, limits)
    original_mode = picture.mode
    bits, white_is_zero = _sample_layout(picture, data)
    frames_note = _frames_note(picture)
    # Pillow turns TIFFs itself while decoding them, and nothing else; the tag is gone afterwards.
    was_turned = isinstance(picture, TiffImageFile) and _orientation(picture) in _TURNS

    with _corrupt_unless_it_works(
        f"This {kind} photo is broken or cut off: its header is there, but its pixels cannot be "
        "read. Get a complete copy of the file and try again."
    ):
        picture.load()
    orientation = _orientation(picture)
    pixels, notes = to_rgb(picture, bits=bits, white_is_zero=white_is_zero)
    del picture  # Two copies of a large photo are enough while it is turned.
    if orientation in _TURNS:
        pixels = np.ascontiguousarray(_TURNS[orientation](pixels))
        was_turned = True
    if was_turned:
        notes = ("turned upright by its EXIF tag", *notes)
    pixels.flags.writeable = False
    return Image(
        pixels=pixels,
        sha256=hashlib.sha256(data).hexdigest(),
        format=kind,
        original_mode=original_mode,
        notes=(*notes, *frames_note),
    )


def pixels_of(picture: PillowImage.Image) -> NDArray[np.uint8]:
    """Returns what Pillow has open as `read_image` would: RGB `[height, width, 3]`, upright.

    Raises:
        CorruptMediaError: Its file is broken or cut off.
        MediaError: It has no pixels.
    """
    if min(picture.size) < 1:
        raise MediaError(f"The picture is {picture.width} × {picture.height} px; wanted pixels.")
    bits, white_is_zero = 16 if picture.mode.startswith("I;16") else 8, False
    if isinstance(picture, TiffImageFile):
        bits, white_is_zero = _sample_layout(picture)
    with _corrupt_unless_it_works(
        "The picture's file is broken or cut off. Get a complete copy of it and try again."
    ):
        picture.load()
    turn = _TURNS.get(_orientation(picture))
    pixels, _ = to_rgb(picture, bits=bits, white_is_zero=white_is_zero)
    return pixels if turn is None else np.ascontiguousarray(turn(pixels))


def encode_png(pixels: np.ndarray) -> bytes:
    """Encodes uint8 RGB pixels [height, width, 3] as PNG, without loss.

    Raises:
        ShapeError: The array is of another shape or type.
    """
    return _encode(pixels, "PNG", compress_level=4)


def encode_jpeg(pixels: np.ndarray, quality: int = 90) -> bytes:
    """Encodes uint8 RGB pixels [height, width, 3] as JPEG, at a quality from 1 to 100.

    Raises:
        ShapeError: The array is of another shape or type.
        ConfigError: The quality is out of range.
    """
    if not 1 <= quality <= 100:
        raise ConfigError(f"The JPEG quality is {quality}; it goes from 1 to 100.")
    return _encode(pixels, "JPEG", quality=quality)


def _encode(pixels: np.ndarray, kind: str, **options: int) -> bytes:
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8 or not pixels.size:
        raise ShapeError(
            f"Got {pixels.dtype} pixels of shape {list(pixels.shape)}; wanted uint8 RGB "
            "[height, width, 3]. Convert them first."
        )
    buffer = BytesIO()
    PillowImage.fromarray(pixels).save(buffer, kind, **options)
    return buffer.getvalue()


def read_header(data: bytes) -> tuple[str, int, int]:
    """Returns the format, and the height and width in pixels, of a photo that `read_image` takes.

    Nothing but a TIFF is decoded for that.

    Args:
        data: The file's bytes.

    Raises:
        MediaError: If the header is not that of a photo.
    """
    kind = recognise(data)
    if kind not in _DECODERS:
        raise UnsupportedMediaError(_describe_unsupported(data, kind), kind=kind)
    picture = _open(data, kind)
    if isinstance(picture, TiffImageFile):
        picture.load()  # Pillow turns these itself, its versions at different moments
    width, height = picture.size
    return (kind, width, height) if _orientation(picture) in _LYING else (kind, height, width)


def _read_bytes(source: bytes | Path | str, limits: ImageLimits) -> bytes:
    if isinstance(source, bytes):
        data, num_bytes = source, len(source)
    elif not isinstance(source, str | Path):
        raise MediaError(
            f"Got a {type(source).__name__}; wanted a photo: a file's path, or its bytes."
        )
    else:
        path = Path(source)
        try:
            # A pipe or device would be waited for, or never end.
            if path.exists() and not (path.is_file() or path.is_dir()):
                raise MediaError(
                    f"{str(source)!r} is not a file. Give the path of a photo or clip."
                )
            with path.open("rb") as file:
                num_bytes = os.fstat(file.fileno()).st_size
                data = file.read(limits.max_bytes + 1)
        except (OSError, ValueError) as error:  # no path has a zero in it
            reason = getattr(error, "strerror", None) or error
            raise MediaError(
                f"{str(source)!r} cannot be read ({reason}). Give the path of a photo or clip."
            ) from error
    if len(data) > limits.max_bytes:
        raise MediaTooLargeError(
            f"The file has {num_bytes / 2**20:,.1f} MB; the limit is "
            f"{limits.max_bytes / 2**20:g} MB. Save the photo smaller and try again."
        )
    return data


def _describe_unsupported(data: bytes, kind: str | None) -> str:
    if not data:
        return f"The file is empty (0 bytes). Choose a photo: {_WANTED}."
    if kind is None:
        return f"The file's content is not that of a photo. Choose one in {_WANTED}."
    if kind.endswith(("video", "file", "archive", "text", "page")):
        return f"The file's content is {with_article(kind)}, not a photo. Choose one in {_WANTED}."
    return (
        f"The file's content is {with_article(kind)}, which is not supported. Save the picture as "
        f"{_WANTED} and try again."
    )


def _open(data: bytes, kind: str) -> ImageFile:
    """Reads the header only."""
    with _corrupt_unless_it_works(
        f"The file begins like a {kind} photo, but the rest is broken, cut off or of an unusual "
        "variant. Get a complete copy, or save it anew as JPEG or PNG, and try again."
    ):
        return _DECODERS[kind](BytesIO(data))


@contextmanager
def _corrupt_unless_it_works(message: str) -> Iterator[None]:
    try:
        yield
    except MemoryError:
        raise
    except PillowImage.DecompressionBombError as error:  # Pillow's WebP reader, before it opens.
        raise MediaTooLargeError(
            "The photo has far too many pixels. Make it smaller and try again."
        ) from error
    except Exception as error:  # Decoders raise nearly anything on broken bytes.
        raise CorruptMediaError(message) from error


def _check_size(size: tuple[int, int], limits: ImageLimits) -> None:
    width, height = size
    if min(size) < 1:
        raise CorruptMediaError(
            f"The photo's header gives its size as {width} × {height} px. Get another copy of it."
        )
    if width * height > limits.max_pixels:
        raise MediaTooLargeError(
            f"The photo has {width * height / 1e6:,.1f} megapixels ({width:,} × {height:,} px); "
            f"the limit is {limits.max_pixels / 1e6:g} megapixels. Make it smaller and try again."
        )
    if max(size) > limits.max_side_px:
        raise MediaTooLargeError(
            f"The photo is {width:,} × {height:,} px; the limit is {limits.max_side_px:,} px a "
            "side. Cut a part out of it and try again."
        )
    if min(size) < limits.min_side_px:
        raise MediaError(
            f"The photo is {width} × {height} px; each side needs at least {limits.min_side_px} "
            "px. Choose a larger one."
        )


def _sample_layout(picture: ImageFile, data: bytes = b"") -> tuple[int, bool]:
    """Bits per sample in the file, and whether its samples count from white to black undecoded.

    Only of PNG are the file's `data` needed.
    """
    if isinstance(picture, PngImageFile):
        return data[_PNG_BIT_DEPTH_AT], False
    if isinstance(picture, TiffImageFile):
        bits = max(picture.tag_v2.get(_TIFF_BITS_PER_SAMPLE, (1,)))
        return bits, bits > 8 and picture.tag_v2.get(_TIFF_PHOTOMETRIC) == 0
    return 8, False


def _frames_note(picture: ImageFile) -> tuple[str, ...]:
    if isinstance(picture, TiffImageFile):
        # Counting pages means reading every page's header, as many as a hostile file cares to list.
        return ("first page of several",) if picture.is_animated else ()
    num_frames = getattr(picture, "n_frames", 1)
    return (f"first of {num_frames} frames",) if num_frames > 1 else ()


def _orientation(picture: PillowImage.Image) -> int:
    try:
        return picture.getexif().get(_EXIF_ORIENTATION, 1)
    except Exception:  # A photo with broken EXIF is still a photo.
        return 1
