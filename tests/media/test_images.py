"""Reading photos: every way of storing one comes out upright and RGB, and bad files are refused."""

import hashlib
import struct
import threading
import warnings
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as PillowImage
from PIL import ImageCms, ImageFile

from tokenlearner.errors import (
    ConfigError,
    CorruptMediaError,
    MediaError,
    MediaTooLargeError,
    ShapeError,
    UnsupportedMediaError,
)
from tokenlearner.media import ImageLimits, encode_jpeg, encode_png, read_image

FORMATS = {"JPEG": "JPEG", "PNG": "PNG", "WEBP": "WebP", "BMP": "BMP", "TIFF": "TIFF"}
COLOURS = np.array([[(200, 30, 20), (20, 180, 40)], [(30, 50, 210), (240, 240, 240)]], np.uint8)


def _save(picture: PillowImage.Image, kind: str, **options: Any) -> bytes:
    buffer = BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def _quarters(height: int = 32, width: int = 64) -> np.ndarray:
    """Red, green, blue and nearly white quarters."""
    return COLOURS.repeat(height // 2, axis=0).repeat(width // 2, axis=1)


def _colours(pixels: np.ndarray) -> np.ndarray:
    """The colour in the middle of each quarter, where lossy formats are nearly exact."""
    height, width, _ = pixels.shape
    return pixels[height // 4 :: height // 2, width // 4 :: width // 2].astype(int)


def _png(header: bytes, *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG of the given IHDR content and chunks, whatever Pillow would think of them."""
    data = b"\x89PNG\r\n\x1a\n"
    for name, content in ((b"IHDR", header), *chunks, (b"IEND", b"")):
        data += struct.pack(">I", len(content)) + name + content
        data += struct.pack(">I", zlib.crc32(name + content))
    return data


def _tiff(samples: np.ndarray, *, order: str, tags: dict[int, tuple[int, int]]) -> bytes:
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


class TestOrdinaryPhotos:
    @pytest.mark.parametrize("kind", FORMATS)
    def test_every_format(self, kind: str) -> None:
        pixels = _quarters()
        data = _save(PillowImage.fromarray(pixels), kind)
        image = read_image(data)
        np.testing.assert_allclose(_colours(image.pixels), COLOURS, atol=6)
        if kind in ("PNG", "BMP", "TIFF"):
            np.testing.assert_array_equal(image.pixels, pixels)
        assert image.format == FORMATS[kind]
        assert image.original_mode == "RGB"
        assert image.notes == ()
        assert image.sha256 == hashlib.sha256(data).hexdigest()
        assert (image.height_px, image.width_px) == (32, 64)

    def test_pixels_are_contiguous_and_read_only(self) -> None:
        exif = PillowImage.Exif()
        exif[274] = 6
        image = read_image(_save(PillowImage.fromarray(_quarters()), "JPEG", exif=exif))
        assert image.pixels.flags.c_contiguous
        assert image.pixels.dtype == np.uint8
        with pytest.raises(ValueError, match="read-only"):
            image.pixels[0, 0] = 0

    def test_the_name_does_not_matter(self, tmp_path: Path) -> None:
        path = tmp_path / "photo.txt"
        path.write_bytes(_save(PillowImage.fromarray(_quarters()), "PNG"))
        for source in (path, str(path), path.read_bytes()):
            assert read_image(source).format == "PNG"

    def test_one_pixel(self) -> None:
        image = read_image(_save(PillowImage.new("RGB", (1, 1), (1, 2, 3)), "PNG"))
        assert image.pixels.tolist() == [[[1, 2, 3]]]

    def test_many_strips_are_put_together_in_order(self) -> None:
        # Wider than one strip of the conversion is high, and not a multiple of it.
        pixels = np.zeros((2500, 1100, 3), np.uint8)
        pixels[:, :, 0] = np.arange(2500)[:, None] % 251
        pixels[:, :, 1] = np.arange(1100) % 253
        image = read_image(_save(PillowImage.fromarray(pixels), "BMP"))
        np.testing.assert_array_equal(image.pixels, pixels)

    def test_50_megapixels(self) -> None:
        photo = PillowImage.new("L", (8192, 6144), 77)
        photo.putpixel((8191, 6143), 200)
        image = read_image(_save(photo, "PNG", compress_level=1))
        assert image.pixels.shape == (6144, 8192, 3)
        assert image.pixels[0, 0].tolist() == [77] * 3
        assert image.pixels[-1, -1].tolist() == [200] * 3


# What EXIF says of each value: the side of the upright photo that the stored first row is, and the
# one that the stored first column is.
ORIENTATIONS = {
    1: ("top", "left"),
    2: ("top", "right"),
    3: ("bottom", "right"),
    4: ("bottom", "left"),
    5: ("left", "top"),
    6: ("right", "top"),
    7: ("right", "bottom"),
    8: ("left", "bottom"),
}


def _stored(upright: np.ndarray, first_row: str, first_column: str) -> np.ndarray:
    """Lays a photo out as a camera would that tags it so."""
    if "bottom" in (first_row, first_column):
        upright = upright[::-1]
    if "right" in (first_row, first_column):
        upright = upright[:, ::-1]
    return upright if first_row in ("top", "bottom") else upright.swapaxes(0, 1)


class TestOrientation:
    @pytest.mark.parametrize("kind", ["PNG", "TIFF", "JPEG", "WEBP"])
    @pytest.mark.parametrize("orientation", ORIENTATIONS)
    def test_photos_come_out_upright(self, orientation: int, kind: str) -> None:
        upright = _quarters(32, 64)
        stored = np.ascontiguousarray(_stored(upright, *ORIENTATIONS[orientation]))
        exif = PillowImage.Exif()
        exif[274] = orientation
        image = read_image(_save(PillowImage.fromarray(stored), kind, exif=exif))
        assert image.pixels.shape == upright.shape
        np.testing.assert_allclose(_colours(image.pixels), COLOURS, atol=6)
        wanted = () if orientation == 1 else ("turned upright by its EXIF tag",)
        assert image.notes == wanted

    @pytest.mark.parametrize("orientation", [0, 9, 3000])
    def test_a_nonsense_tag_is_ignored(self, orientation: int) -> None:
        exif = PillowImage.Exif()
        exif[274] = orientation
        image = read_image(_save(PillowImage.fromarray(_quarters()), "PNG", exif=exif))
        np.testing.assert_array_equal(image.pixels, _quarters())
        assert image.notes == ()

    @pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
    def test_broken_exif_is_ignored(self) -> None:
        broken = b"Exif\0\0II*\0\xff\xff\xff\x7f" + b"\x07" * 40
        image = read_image(_save(PillowImage.fromarray(_quarters()), "JPEG", exif=broken))
        assert image.pixels.shape == (32, 64, 3)


class TestTransparency:
    white_note = ("transparent parts shown on white",)

    def test_rgba(self) -> None:
        rgba = np.array([[(200, 100, 0, 255), (200, 100, 0, 0), (200, 100, 0, 51)]], np.uint8)
        image = read_image(_save(PillowImage.fromarray(rgba), "PNG"))
        # 51 of 255 is a fifth: 0.2 * colour + 0.8 * white.
        assert image.pixels.tolist() == [[[200, 100, 0], [255, 255, 255], [244, 224, 204]]]
        assert image.notes == self.white_note

    def test_gray_with_alpha(self) -> None:
        gray = PillowImage.fromarray(np.array([[(100, 255), (100, 51)]], np.uint8), "LA")
        image = read_image(_save(gray, "PNG"))
        assert image.pixels.tolist() == [[[100] * 3, [224] * 3]]
        assert (image.original_mode, image.notes) == ("LA", self.white_note)

    def test_palette_with_transparency(self) -> None:
        palette = PillowImage.new("P", (3, 1))
        palette.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
        palette.putdata([0, 1, 2])
        data = _save(palette, "PNG", transparency=bytes([255, 0, 51]))
        image = read_image(data)
        assert image.pixels.tolist() == [[[255, 0, 0], [255, 255, 255], [204, 204, 255]]]
        assert (image.original_mode, image.notes) == ("P", self.white_note)

    @pytest.mark.parametrize(("mode", "key"), [("RGB", (10, 20, 30)), ("L", 10), ("1", 0)])
    def test_one_colour_that_is_transparent(self, mode: str, key: Any) -> None:
        picture = PillowImage.new(mode, (2, 1), key)
        picture.putpixel((1, 0), (90, 80, 70) if mode == "RGB" else 255)
        image = read_image(_save(picture, "PNG", transparency=key))
        assert image.pixels[0, 0].tolist() == [255] * 3
        assert image.pixels[0, 1].tolist() == ([90, 80, 70] if mode == "RGB" else [255] * 3)
        assert image.notes == self.white_note

    def test_webp(self) -> None:
        rgba = PillowImage.new("RGBA", (8, 8), (200, 100, 0, 0))
        image = read_image(_save(rgba, "WEBP", lossless=True, exact=True))
        assert (image.pixels == 255).all()
        assert image.notes == self.white_note

    def test_an_alpha_channel_that_hides_nothing_is_not_worth_a_note(self) -> None:
        image = read_image(_save(PillowImage.new("RGBA", (8, 8), (1, 2, 3, 255)), "PNG"))
        assert image.pixels[0, 0].tolist() == [1, 2, 3]
        assert image.notes == ()


class TestOtherColours:
    def test_gray(self) -> None:
        image = read_image(_save(PillowImage.new("L", (4, 4), 77), "PNG"))
        assert (image.pixels == 77).all()
        assert (image.original_mode, image.notes) == ("L", ())

    def test_black_and_white(self) -> None:
        bits = PillowImage.fromarray(np.array([[True, False], [False, True]]))
        for kind in ("PNG", "BMP", "TIFF"):
            image = read_image(_save(bits, kind))
            assert image.pixels[:, :, 1].tolist() == [[255, 0], [0, 255]]

    def test_palette(self) -> None:
        palette = PillowImage.fromarray(_quarters()).quantize(4)
        for kind in ("PNG", "BMP", "TIFF"):
            image = read_image(_save(palette, kind))
            assert image.original_mode == "P"
            np.testing.assert_allclose(image.pixels.astype(int), _quarters(), atol=2)

    def test_cmyk_jpeg(self) -> None:
        # Pillow writes what Adobe's programs do: all four inks inverted.
        ink = PillowImage.new("CMYK", (16, 16), (0, 255, 255, 0))
        data = _save(ink, "JPEG", quality=95)
        assert b"Adobe" in data
        image = read_image(data)
        np.testing.assert_allclose(image.pixels[8, 8].astype(int), (255, 0, 0), atol=4)
        assert image.notes == (
            "converted from CMYK without a colour profile, so colours are approximate",
        )

    def test_cmyk_tiff(self) -> None:
        image = read_image(_save(PillowImage.new("CMYK", (4, 4), (255, 0, 255, 0)), "TIFF"))
        assert image.pixels[0, 0].tolist() == [0, 255, 0]

    def test_cmyk_by_its_profile(self, monkeypatch: pytest.MonkeyPatch) -> None:
        # No CMYK profile is free to ship, so a transform from four inks to known values stands in.
        seen = {}

        def build(profile: Any, target: Any, mode: str, target_mode: str) -> str:
            seen.update(profile=profile.tobytes(), modes=(mode, target_mode))
            return "transform"

        def apply(strip: PillowImage.Image, transform: str) -> PillowImage.Image:
            assert transform == "transform"
            return PillowImage.new("RGB", strip.size, (1, 2, 3))

        monkeypatch.setattr(ImageCms, "buildTransform", build)
        monkeypatch.setattr(ImageCms, "applyTransform", apply)
        profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
        ink = PillowImage.new("CMYK", (16, 16), (0, 255, 255, 0))
        image = read_image(_save(ink, "JPEG", icc_profile=profile))
        assert (image.pixels == (1, 2, 3)).all()
        assert image.notes == ("converted from CMYK by its colour profile",)
        assert seen["modes"] == ("CMYK", "RGB")

    @pytest.mark.parametrize("is_garbage", [True, False], ids=["garbage", "for RGB"])
    def test_cmyk_with_a_profile_that_does_not_fit(self, is_garbage: bool) -> None:
        profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
        ink = PillowImage.new("CMYK", (16, 16), (0, 255, 255, 0))
        data = _save(ink, "JPEG", quality=95, icc_profile=b"no profile" if is_garbage else profile)
        image = read_image(data)
        np.testing.assert_allclose(image.pixels[8, 8].astype(int), (255, 0, 0), atol=4)
        assert "without a colour profile" in image.notes[0]

    def test_lab_tiff(self) -> None:
        # L* = 54.3, a* = 80.8, b* = 69.9 is red (D50); 255 stands for L* = 100, 128 for a* = 0.
        lab = PillowImage.new("LAB", (4, 4), (138, 128 + 81, 128 + 70))
        image = read_image(_save(lab, "TIFF"))
        np.testing.assert_allclose(image.pixels[0, 0].astype(int), (255, 0, 0), atol=6)
        assert image.notes == ("converted from Lab",)


class TestDeepSamples:
    counts = np.array([[0, 257, 128 * 257], [32767, 65534, 65535]], np.uint16)
    gray = [[0, 1, 128], [127, 255, 255]]

    def test_16_bit_gray_png(self) -> None:
        image = read_image(_save(PillowImage.fromarray(self.counts), "PNG"))
        assert image.pixels[:, :, 0].tolist() == self.gray
        assert image.pixels[:, :, 2].tolist() == self.gray
        assert image.notes == ("16-bit scaled to 8-bit",)

    @pytest.mark.parametrize("order", ["<", ">"])
    def test_16_bit_gray_tiff_of_either_byte_order(self, order: str) -> None:
        image = read_image(_tiff(self.counts, order=order, tags={}))
        assert image.pixels[:, :, 0].tolist() == self.gray
        assert image.notes == ("16-bit scaled to 8-bit",)

    def test_16_bit_tiff_that_counts_from_white(self) -> None:
        image = read_image(_tiff(self.counts, order="<", tags={262: (3, 0)}))
        assert image.pixels[:, :, 0].tolist() == [[255 - v for v in row] for row in self.gray]

    def test_16_bit_rgb_png(self) -> None:
        row = b"\0" + struct.pack(">6H", 0, 65535, 32896, 10 * 257, 20 * 257, 30 * 257)
        data = _png(struct.pack(">IIBBBBB", 2, 1, 16, 2, 0, 0, 0), (b"IDAT", zlib.compress(row)))
        image = read_image(data)
        assert image.pixels.tolist() == [[[0, 255, 128], [10, 20, 30]]]
        assert image.notes == ("16-bit scaled to 8-bit",)

    @pytest.mark.parametrize("order", ["<", ">"])
    def test_floats_between_0_and_1_are_taken_as_they_are(self, order: str) -> None:
        values = np.array([[0.2, 0.4], [0.5, 0.6]], np.float32)
        image = read_image(_tiff(values, order=order, tags={339: (3, 3)}))
        assert image.pixels[:, :, 1].tolist() == [[51, 102], [128, 153]]
        assert image.notes == ("values from 0 to 1 scaled to 8-bit",)

    def test_other_floats_are_stretched(self) -> None:
        values = np.array([[-10, 0], [np.nan, 90]], np.float32)
        image = read_image(_tiff(values, order="<", tags={339: (3, 3)}))
        assert image.pixels[:, :, 0].tolist() == [[0, 26], [0, 255]]
        assert image.notes == ("values from -10 (black) to 90 (white) scaled to 8-bit",)

    @pytest.mark.parametrize("value", [np.nan, np.inf, 7.0])
    def test_floats_without_a_range_are_black(self, value: float) -> None:
        values = np.full((2, 2), value, np.float32)
        pixels = read_image(_tiff(values, order="<", tags={339: (3, 3)})).pixels
        assert not pixels.any()

    @pytest.mark.parametrize("order", ["<", ">"])
    def test_signed_counts_are_stretched(self, order: str) -> None:
        values = np.array([[-1000, 0], [500, 1000]], np.int32)
        image = read_image(_tiff(values, order=order, tags={339: (3, 2)}))
        assert image.pixels[:, :, 0].tolist() == [[0, 128], [191, 255]]
        assert image.notes == ("values from -1000 (black) to 1000 (white) scaled to 8-bit",)


class TestSeveralPictures:
    def test_the_first_page_of_a_tiff(self) -> None:
        pages = [PillowImage.new("RGB", (4, 4), colour) for colour in ("red", "green", "blue")]
        image = read_image(_save(pages[0], "TIFF", save_all=True, append_images=pages[1:]))
        assert image.pixels[0, 0].tolist() == [255, 0, 0]
        assert image.notes == ("first page of several",)

    @pytest.mark.parametrize("kind", ["PNG", "WEBP"])
    def test_the_first_frame_of_an_animation(self, kind: str) -> None:
        frames = [PillowImage.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
        data = _save(frames[0], kind, save_all=True, append_images=frames[1:], duration=100)
        image = read_image(data)
        np.testing.assert_allclose(image.pixels[0, 0].astype(int), (255, 0, 0), atol=4)
        assert image.notes == ("first of 2 frames",)


class TestLimits:
    def test_pixels_are_counted_before_decoding(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(ImageFile.ImageFile, "load", lambda _: pytest.fail("decoded"))
        data = _save(PillowImage.new("1", (30, 20)), "PNG")
        with pytest.raises(MediaTooLargeError):
            read_image(data, limits=ImageLimits(max_pixels=599))

    def test_the_limit_itself_is_allowed(self) -> None:
        data = _save(PillowImage.new("1", (30, 20)), "PNG")
        limits = ImageLimits(max_pixels=600, max_bytes=len(data), min_side_px=20)
        assert read_image(data, limits=limits).width_px == 30

    @pytest.mark.parametrize("side", [9_000, 12_000, 30_000, 100_000])
    def test_bombs_are_refused_from_their_header(self, side: int) -> None:
        # From 89 to 179 megapixels Pillow only warns, beyond that it raises an error of its own.
        header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
        with pytest.raises(MediaTooLargeError) as caught, warnings.catch_warnings():
            warnings.simplefilter("error")
            read_image(_png(header, (b"IDAT", zlib.compress(b"\0"))))
        megapixels = f"{side * side / 1e6:,.1f}"
        assert str(caught.value) == (
            f"The photo has {megapixels} megapixels ({side:,} × {side:,} px); the limit is 64 "
            "megapixels. Make it smaller and try again."
        )

    @pytest.mark.parametrize("kind", ["JPEG", "WEBP", "BMP", "TIFF"])
    def test_bombs_in_other_formats(self, kind: str) -> None:
        data = _save(PillowImage.new("L", (40, 30)), kind)
        with pytest.raises(MediaTooLargeError, match=r"\(40 × 30 px\)"):
            read_image(data, limits=ImageLimits(max_pixels=1000))

    def test_a_webp_that_pillow_itself_refuses(self) -> None:
        canvas = (16383 - 1).to_bytes(3, "little") * 2
        chunk = b"VP8X" + struct.pack("<I", 10) + bytes(4) + canvas
        data = b"RIFF" + struct.pack("<I", 4 + len(chunk)) + b"WEBP" + chunk
        with pytest.raises(MediaTooLargeError, match="far too many pixels. Make it smaller"):
            read_image(data)

    def test_bytes(self, tmp_path: Path) -> None:
        path = tmp_path / "large.jpg"
        path.write_bytes(bytes(3 * 2**20))
        limits = ImageLimits(max_bytes=2 * 2**20)
        for source in (path, path.read_bytes()):
            with pytest.raises(MediaTooLargeError) as caught:
                read_image(source, limits=limits)
            assert str(caught.value) == (
                "The file has 3.0 MB; the limit is 2 MB. Save the photo smaller and try again."
            )

    def test_smallest_side(self) -> None:
        data = _save(PillowImage.new("RGB", (40, 7)), "PNG")
        with pytest.raises(MediaError, match="40 × 7 px; each side needs at least 8 px"):
            read_image(data, limits=ImageLimits(min_side_px=8))

    def test_limits_make_sense(self) -> None:
        with pytest.raises(ConfigError, match="max_pixels is 0; a limit is at least 1"):
            ImageLimits(max_pixels=0)


def _ftyp(brand: bytes) -> bytes:
    return struct.pack(">I", 16) + b"ftyp" + brand + bytes(4) + bytes(64)


class TestOtherFiles:
    @pytest.mark.parametrize(
        ("data", "kind"),
        [
            (_save(PillowImage.new("P", (4, 4)), "GIF"), "a GIF, which is not supported"),
            (b"%PDF-1.7\n%\xe2\xe3", "a PDF, which is not supported"),
            (_ftyp(b"heic"), "a HEIC, which is not supported"),
            (_ftyp(b"avif"), "an AVIF, which is not supported"),
            (b'<?xml version="1.0"?>\n<svg width="1">', "an SVG, which is not supported"),
            (b"<svg>" + "é".encode() * 4000, "an SVG, which is not supported"),
            (_ftyp(b"isom"), "an MP4 video, not a photo"),
            (_ftyp(b"qt  "), "a QuickTime video, not a photo"),
            (b"\x1aE\xdf\xa3" + bytes(40), "a Matroska or WebM video, not a photo"),
            (b"RIFF\x24\0\0\0AVI LIST", "an AVI video, not a photo"),
            (b"RIFF\x24\0\0\0WAVEfmt ", "a WAV audio file, not a photo"),
            (b"PK\x03\x04" + bytes(40), "a ZIP archive, not a photo"),
            (b"BMW and other cars, in plain text", "plain text, not a photo"),
            ("Grüße".encode() * 2000, "plain text, not a photo"),
            ("text".encode("utf-16"), "plain text, not a photo"),
            (b"<!doctype html><html><body>404", "a web page, not a photo"),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_what_it_looks_like_is_named(self, data: bytes, kind: str) -> None:
        with pytest.raises(UnsupportedMediaError) as caught:
            read_image(data)
        assert f"The file's content is {kind}." in str(caught.value)
        assert "JPEG, PNG, WebP, BMP or TIFF" in str(caught.value)

    @pytest.mark.parametrize("data", [bytes(50), b"\x07\x08\x09", b"\xc3" * 9, b"RIFF\0\0\0\0????"])
    def test_unknown_content(self, data: bytes) -> None:
        with pytest.raises(UnsupportedMediaError, match="content is not that of a photo. Choose"):
            read_image(data)

    def test_empty(self) -> None:
        with pytest.raises(UnsupportedMediaError, match=r"The file is empty \(0 bytes\). Choose"):
            read_image(b"")

    def test_a_photo_s_name_does_not_help(self, tmp_path: Path) -> None:
        path = tmp_path / "photo.jpg"
        path.write_text("Not a photo at all.")
        with pytest.raises(UnsupportedMediaError, match="plain text, not a photo"):
            read_image(path)

    def test_no_file(self, tmp_path: Path) -> None:
        with pytest.raises(MediaError, match=r"no\.jpg' cannot be read \(No such file"):
            read_image(tmp_path / "no.jpg")
        with pytest.raises(MediaError, match="cannot be read .* Give the path of a photo"):
            read_image(tmp_path)


def _noise(kind: str) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (96, 128, 3), dtype=np.uint8)
    return _save(PillowImage.fromarray(pixels), kind)


class TestBrokenFiles:
    @pytest.mark.parametrize("kind", FORMATS)
    @pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
    def test_cut_off(self, kind: str, share: float) -> None:
        data = _noise(kind)
        with pytest.raises(CorruptMediaError, match="broken,? (or )?cut off"):
            read_image(data[: int(len(data) * share)])

    @pytest.mark.parametrize("kind", FORMATS)
    def test_cut_in_the_header(self, kind: str) -> None:
        with pytest.raises(CorruptMediaError) as caught:
            read_image(_noise(kind)[:20])
        assert str(caught.value) == (
            f"The file begins like a {FORMATS[kind]} photo, but the rest is broken, cut off or of "
            "an unusual variant. Get a complete copy, or save it anew as JPEG or PNG, and try again."
        )

    def test_pixels_missing(self) -> None:
        with pytest.raises(CorruptMediaError) as caught:
            read_image(_png(struct.pack(">IIBBBBB", 9, 9, 8, 2, 0, 0, 0)))
        assert str(caught.value) == (
            "This PNG photo is broken or cut off: its header is there, but its pixels cannot be "
            "read. Get a complete copy of the file and try again."
        )

    def test_no_size(self) -> None:
        with pytest.raises(CorruptMediaError, match="size as 0 × 9 px|begins like a PNG"):
            read_image(_png(struct.pack(">IIBBBBB", 0, 9, 8, 2, 0, 0, 0)))

    @pytest.mark.parametrize("kind", FORMATS)
    def test_damaged_bytes_raise_nothing_but_media_errors(self, kind: str) -> None:
        random = np.random.default_rng(7)
        whole = np.frombuffer(_noise(kind), np.uint8)
        for _ in range(40):
            data = whole.copy()
            places = random.integers(12, min(len(data), 600), 6)
            data[places] = random.integers(0, 256, 6)
            try:
                read_image(data.tobytes(), limits=ImageLimits(max_pixels=100_000))
            except MediaError as error:
                assert str(error)


def test_two_at_once_do_not_mix() -> None:
    sources = [
        _save(PillowImage.new("CMYK", (700, 500), (0, 255, 255, 0)), "JPEG", quality=95),
        _save(PillowImage.new("RGBA", (500, 700), (0, 0, 255, 0)), "PNG"),
        _save(PillowImage.new("RGB", (600, 600), (0, 128, 0)), "WEBP", lossless=True),
        _noise("JPEG")[:5000],
    ]

    def answer(data: bytes) -> str:
        try:
            return hashlib.sha256(read_image(data).pixels.tobytes()).hexdigest()
        except CorruptMediaError as error:
            return str(error)

    alone = [answer(data) for data in sources]
    together: list[list[str]] = [[] for _ in sources]

    def read_often(index: int) -> None:
        for _ in range(15):
            together[index].append(answer(sources[index]))

    threads = [threading.Thread(target=read_often, args=(i,)) for i in range(len(sources))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert together == [[wanted] * 15 for wanted in alone]


def test_pillow_s_settings_are_left_alone() -> None:
    before = (PillowImage.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES, warnings.filters[:])
    read_image(_noise("PNG"))
    with pytest.raises(CorruptMediaError):
        read_image(_noise("PNG")[:3000])
    after = (PillowImage.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES, warnings.filters[:])
    assert after == before


class TestEncoding:
    def test_png_keeps_every_pixel(self) -> None:
        pixels = np.random.default_rng(0).integers(0, 256, (33, 17, 3), dtype=np.uint8)
        image = read_image(encode_png(pixels))
        assert image.format == "PNG"
        np.testing.assert_array_equal(image.pixels, pixels)

    def test_jpeg_is_close_and_quality_counts(self) -> None:
        image = read_image(encode_jpeg(_quarters()))
        assert image.format == "JPEG"
        np.testing.assert_allclose(_colours(image.pixels), COLOURS, atol=6)
        noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
        assert len(encode_jpeg(noise, quality=30)) < len(encode_jpeg(noise))

    @pytest.mark.parametrize("encode", [encode_png, encode_jpeg])
    @pytest.mark.parametrize(
        ("pixels", "got"),
        [
            (np.zeros((4, 4, 3)), r"float64 pixels of shape \[4, 4, 3\]"),
            (np.zeros((3, 4, 4), np.uint8), r"uint8 pixels of shape \[3, 4, 4\]"),
            (np.zeros((4, 4), np.uint8), r"uint8 pixels of shape \[4, 4\]"),
            (np.zeros((0, 4, 3), np.uint8), r"uint8 pixels of shape \[0, 4, 3\]"),
        ],
    )
    def test_other_arrays_are_refused(
        self, encode: Callable[[np.ndarray], bytes], pixels: np.ndarray, got: str
    ) -> None:
        with pytest.raises(ShapeError, match=got + r"; wanted uint8 RGB \[height, width, 3\]"):
            encode(pixels)

    @pytest.mark.parametrize("quality", [0, 101])
    def test_impossible_quality(self, quality: int) -> None:
        with pytest.raises(ConfigError, match=f"JPEG quality is {quality}; it goes from 1 to 100"):
            encode_jpeg(_quarters(), quality)
