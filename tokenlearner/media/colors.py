"""From any way in which a picture file stores colour to 8-bit RGB on white."""

from collections.abc import Callable
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage
from PIL import ImageCms

_DEEP_MODES = {"I;16", "I;16L", "I;16B", "I;16N", "I", "F"}
# Conversion goes strip by strip: a 50-megapixel photo then never exists in more than its decoded
# form and the result.
_STRIP_PIXELS = 2**20


def to_rgb(
    picture: PillowImage.Image, *, bits: int = 8, white_is_zero: bool = False
) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    """Converts a decoded picture of any mode to RGB, its transparent parts shown on white.

    Args:
        picture: A decoded Pillow image.
        bits: Bits per sample in the file; Pillow reads 16-bit RGB as 8-bit without a word.
        white_is_zero: The file counts from white to black (TIFF) and the decoder left that so.

    Returns:
        pixels: RGB, C-contiguous, [height, width, 3].
        notes: What was done, in plain words; empty for what is RGB or gray in the file.
    """
    if picture.mode in _DEEP_MODES:
        gray, note = _deep_to_gray(np.asarray(picture), bits)
        if white_is_zero:
            np.subtract(255, gray, out=gray)
        return np.repeat(gray[:, :, None], 3, axis=2), (note,)

    convert, note = _conversion(picture)
    notes = [note] if note else []
    if bits > 8:
        notes.append(f"{bits}-bit scaled to 8-bit")
    pixels = np.empty((picture.height, picture.width, 3), np.uint8)
    has_alpha, is_see_through = picture.has_transparency_data, False
    for rows in _strips(picture.height, picture.width):
        strip = picture.crop((0, rows.start, picture.width, rows.stop))
        if has_alpha:
            strip, see_through = _on_white(strip)
            is_see_through |= see_through
        pixels[rows] = np.asarray(convert(strip))
    if is_see_through:
        notes.append("transparent parts shown on white")
    return pixels, tuple(notes)


def _strips(height: int, width: int) -> list[slice]:
    step = max(1, _STRIP_PIXELS // width)
    return [slice(top, min(top + step, height)) for top in range(0, height, step)]


def _on_white(strip: PillowImage.Image) -> tuple[PillowImage.Image, bool]:
    strip = strip.convert("RGBA")
    alpha = strip.getchannel("A")
    white = PillowImage.new("RGB", strip.size, "white")
    white.paste(strip, mask=alpha)
    return white, alpha.getextrema() != (255, 255)


def _conversion(
    picture: PillowImage.Image,
) -> tuple[Callable[[PillowImage.Image], PillowImage.Image], str | None]:
    """The function that makes RGB of a strip of this picture, and the note that goes with it."""
    if picture.mode == "LAB":
        profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
        return _profile_conversion(profile, "LAB"), "converted from Lab"
    if picture.mode != "CMYK":
        return lambda strip: strip.convert("RGB"), None
    if stored := picture.info.get("icc_profile"):
        try:
            profile = ImageCms.ImageCmsProfile(BytesIO(stored))
            convert = _profile_conversion(profile, "CMYK")
        except (ImageCms.PyCMSError, OSError):
            pass  # A damaged profile, or one for another kind of picture: do without.
        else:
            return convert, "converted from CMYK by its colour profile"
    note = "converted from CMYK without a colour profile, so colours are approximate"
    return lambda strip: strip.convert("RGB"), note


def _profile_conversion(
    profile: ImageCms.ImageCmsProfile, mode: str
) -> Callable[[PillowImage.Image], PillowImage.Image]:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    transform = ImageCms.buildTransform(profile, srgb, mode, "RGB")

    def convert(strip: PillowImage.Image) -> PillowImage.Image:
        # Without `inPlace` the answer is always a new picture.
        converted = ImageCms.applyTransform(strip, transform)
        assert converted is not None
        return converted

    return convert


def _deep_to_gray(samples: NDArray[np.generic], bits: int) -> tuple[NDArray[np.uint8], str]:
    """Scales 16- and 32-bit gray to 0...255.

    16-bit counts (and 12-bit ones) run from black, 0, to white, the largest count. Floats between
    0 and 1 are taken as they are. Neither black nor white is known of anything else, so there the
    lowest value becomes black and the highest white. What is not a number is black.
    """
    if samples.dtype.kind == "u":
        low, high = 0.0, float(2**bits - 1)
        note = f"{bits}-bit scaled to 8-bit"
    else:
        finite = samples[np.isfinite(samples)]
        low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
        if samples.dtype.kind == "f" and low >= 0 and high <= 1:
            low, high = 0.0, 1.0
            note = "values from 0 to 1 scaled to 8-bit"
        else:
            note = f"values from {low:g} (black) to {high:g} (white) scaled to 8-bit"
    scale = 255 / (high - low) if high > low else 0.0
    gray = np.empty(samples.shape, np.uint8)
    for rows in _strips(*samples.shape):
        strip = (np.clip(samples[rows].astype(np.float64), low, high) - low) * scale
        gray[rows] = np.rint(np.nan_to_num(strip, nan=0.0))
    return gray, note
