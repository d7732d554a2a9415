"""Files that are too large, of another kind or broken are refused, each with its reason."""

import struct
import zlib
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage
from PIL import ImageFile

from tests.media.photo_files import FORMATS, noise, png, save
from tokenlearner.errors import (
    ConfigError,
    CorruptMediaError,
    MediaError,
    MediaTooLargeError,
    UnsupportedMediaError,
)
from tokenlearner.media import ImageLimits, read_image


class TestLimits:
    def test_pixels_are_counted_before_decoding(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(ImageFile.ImageFile, "load", lambda _: pytest.fail("decoded"))
        data = save(PillowImage.new("1", (30, 20)), "PNG")
        with pytest.raises(MediaTooLargeError):
            read_image(data, limits=ImageLimits(max_pixels=599))

    def test_the_limit_itself_is_allowed(self) -> None:
        data = save(PillowImage.new("1", (30, 20)), "PNG")
        limits = ImageLimits(max_pixels=600, max_bytes=len(data), min_side_px=20)
        assert read_image(data, limits=limits).width_px == 30

    def test_a_side_can_be_too_long(self) -> None:
        data = save(PillowImage.new("1", (70_000, 1)), "PNG")
        with pytest.raises(
            MediaTooLargeError, match=r"70,000 × 1 px; the limit is 65,535 px a side"
        ):
            read_image(data)

    @pytest.mark.parametrize("side", [9_000, 12_000, 30_000, 100_000])
    def test_bombs_are_refused_from_their_header(self, side: int) -> None:
        # From 89 to 179 megapixels Pillow only warns, beyond that it raises an error of its own.
        header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
        with pytest.raises(MediaTooLargeError) as caught:  # A warning would be an error here.
            read_image(png(header, (b"IDAT", zlib.compress(b"\0"))))
        megapixels = f"{side * side / 1e6:,.1f}"
        assert str(caught.value) == (
            f"The photo has {megapixels} megapixels ({side:,} × {side:,} px); the limit is 64 "
            "megapixels. Make it smaller and try again."
        )

    @pytest.mark.parametrize("kind", ["JPEG", "WEBP", "BMP", "TIFF"])
    def test_bombs_in_other_formats(self, kind: str) -> None:
        data = save(PillowImage.new("L", (40, 30)), kind)
        with pytest.raises(MediaTooLargeError, match=r"\(40 × 30 px\)"):
            read_image(data, limits=ImageLimits(max_pixels=1000))

    def test_a_webp_that_pillow_itself_refuses(self) -> None:
        canvas = (16383 - 1).to_bytes(3, "little") * 2
        chunk = b"VP8X" + struct.pack("<I", 10) + bytes(4) + canvas
        data = b"RIFF" + struct.pack("<I", 4 + len(chunk)) + b"WEBP" + chunk
        with pytest.raises(MediaTooLargeError, match=r"far too many pixels\. Make it smaller"):
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
        data = save(PillowImage.new("RGB", (40, 7)), "PNG")
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
            (save(PillowImage.new("P", (4, 4)), "GIF"), "a GIF, which is not supported"),
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
        with pytest.raises(UnsupportedMediaError, match=r"content is not that of a photo\. Choose"):
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
        with pytest.raises(MediaError, match=r"cannot be read .* Give the path of a photo or clip"):
            read_image(tmp_path)
        with pytest.raises(MediaError, match=r"cannot be read \(.*null byte\)"):
            read_image("a\0b.jpg")

    @pytest.mark.usefixtures("_as_users_run_it")
    def test_no_source(self) -> None:
        with pytest.raises(MediaError, match="Got a BytesIO; wanted a photo: a file's path, or it"):
            read_image(BytesIO(b""))  # type: ignore[arg-type]


class TestBrokenFiles:
    @pytest.mark.parametrize("kind", FORMATS)
    @pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
    def test_cut_off(self, kind: str, share: float) -> None:
        data = noise(kind)
        with pytest.raises(CorruptMediaError, match=r"broken,? (or )?cut off"):
            read_image(data[: int(len(data) * share)])

    @pytest.mark.parametrize("kind", FORMATS)
    def test_cut_in_the_header(self, kind: str) -> None:
        with pytest.raises(CorruptMediaError) as caught:
            read_image(noise(kind)[:20])
        assert str(caught.value) == (
            f"The file begins like a {FORMATS[kind]} photo, but the rest is broken, cut off or of "
            "an unusual variant. Get a complete copy, or save it anew as JPEG or PNG, and try "
            "again."
        )

    def test_pixels_missing(self) -> None:
        with pytest.raises(CorruptMediaError) as caught:
            read_image(png(struct.pack(">IIBBBBB", 9, 9, 8, 2, 0, 0, 0)))
        assert str(caught.value) == (
            "This PNG photo is broken or cut off: its header is there, but its pixels cannot be "
            "read. Get a complete copy of the file and try again."
        )

    def test_no_size(self) -> None:
        with pytest.raises(CorruptMediaError, match=r"size as 0 × 9 px|begins like a PNG"):
            read_image(png(struct.pack(">IIBBBBB", 0, 9, 8, 2, 0, 0, 0)))

    @pytest.mark.parametrize("kind", FORMATS)
    def test_damaged_bytes_raise_nothing_but_media_errors(self, kind: str) -> None:
        random = np.random.default_rng(7)
        whole = np.frombuffer(noise(kind), np.uint8)
        for _ in range(40):
            data = whole.copy()
            places = random.integers(12, min(len(data), 600), 6)
            data[places] = random.integers(0, 256, 6)
            with suppress(MediaError):
                read_image(data.tobytes(), limits=ImageLimits(max_pixels=100_000))
