"""Every way of storing colour becomes the right 8-bit RGB, transparent parts on white."""

import struct
import zlib
from typing import Any, Literal

import numpy as np
import pytest
from PIL import Image as PillowImage
from PIL import ImageCms

from tests.media.photo_files import gray_ink_profile, png, quarters, save, tiff
from tokenlearner.media import read_image


class TestTransparency:
    white_note = ("transparent parts shown on white",)

    def test_rgba(self) -> None:
        rgba = np.array([[(200, 100, 0, 255), (200, 100, 0, 0), (200, 100, 0, 51)]], np.uint8)
        image = read_image(save(PillowImage.fromarray(rgba), "PNG"))
        # 51 of 255 is a fifth: 0.2 * colour + 0.8 * white.
        assert image.pixels.tolist() == [[[200, 100, 0], [255, 255, 255], [244, 224, 204]]]
        assert image.notes == self.white_note

    def test_gray_with_alpha(self) -> None:
        gray = PillowImage.fromarray(np.array([[(100, 255), (100, 51)]], np.uint8), "LA")
        image = read_image(save(gray, "PNG"))
        assert image.pixels.tolist() == [[[100] * 3, [224] * 3]]
        assert (image.original_mode, image.notes) == ("LA", self.white_note)

    def test_palette_with_transparency(self) -> None:
        palette = PillowImage.new("P", (3, 1))
        palette.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
        palette.putdata([0, 1, 2])
        data = save(palette, "PNG", transparency=bytes([255, 0, 51]))
        image = read_image(data)
        assert image.pixels.tolist() == [[[255, 0, 0], [255, 255, 255], [204, 204, 255]]]
        assert (image.original_mode, image.notes) == ("P", self.white_note)

    @pytest.mark.parametrize(("mode", "key"), [("RGB", (10, 20, 30)), ("L", 10), ("1", 0)])
    def test_one_colour_that_is_transparent(self, mode: str, key: Any) -> None:
        picture = PillowImage.new(mode, (2, 1), key)
        picture.putpixel((1, 0), (90, 80, 70) if mode == "RGB" else 255)
        image = read_image(save(picture, "PNG", transparency=key))
        assert image.pixels[0, 0].tolist() == [255] * 3
        assert image.pixels[0, 1].tolist() == ([90, 80, 70] if mode == "RGB" else [255] * 3)
        assert image.notes == self.white_note

    def test_webp(self) -> None:
        rgba = PillowImage.new("RGBA", (8, 8), (200, 100, 0, 0))
        image = read_image(save(rgba, "WEBP", lossless=True, exact=True))
        assert (image.pixels == 255).all()
        assert image.notes == self.white_note

    def test_an_alpha_channel_that_hides_nothing_is_not_worth_a_note(self) -> None:
        image = read_image(save(PillowImage.new("RGBA", (8, 8), (1, 2, 3, 255)), "PNG"))
        assert image.pixels[0, 0].tolist() == [1, 2, 3]
        assert image.notes == ()


class TestOtherColours:
    def test_gray(self) -> None:
        image = read_image(save(PillowImage.new("L", (4, 4), 77), "PNG"))
        assert (image.pixels == 77).all()
        assert (image.original_mode, image.notes) == ("L", ())

    def test_black_and_white(self) -> None:
        bits = PillowImage.fromarray(np.array([[True, False], [False, True]]))
        for kind in ("PNG", "BMP", "TIFF"):
            image = read_image(save(bits, kind))
            assert image.pixels[:, :, 1].tolist() == [[255, 0], [0, 255]]

    def test_palette(self) -> None:
        palette = PillowImage.fromarray(quarters()).quantize(4)
        for kind in ("PNG", "BMP", "TIFF"):
            image = read_image(save(palette, kind))
            assert image.original_mode == "P"
            np.testing.assert_allclose(image.pixels.astype(int), quarters(), atol=2)

    def test_cmyk_jpeg(self) -> None:
        # Pillow writes what Adobe's programs do: all four inks inverted.
        ink = PillowImage.new("CMYK", (16, 16), (0, 255, 255, 0))
        data = save(ink, "JPEG", quality=95)
        assert b"Adobe" in data
        image = read_image(data)
        np.testing.assert_allclose(image.pixels[8, 8].astype(int), (255, 0, 0), atol=4)
        assert image.notes == (
            "converted from CMYK without a colour profile, so colours are approximate",
        )

    def test_cmyk_tiff(self) -> None:
        image = read_image(save(PillowImage.new("CMYK", (4, 4), (255, 0, 255, 0)), "TIFF"))
        assert image.pixels[0, 0].tolist() == [0, 255, 0]

    def test_cmyk_by_its_profile(self) -> None:
        ink = PillowImage.new("CMYK", (16, 16), (0, 255, 255, 0))
        ink.paste((0, 0, 0, 0), (0, 0, 8, 16))
        image = read_image(save(ink, "JPEG", quality=95, icc_profile=gray_ink_profile()))
        np.testing.assert_allclose(image.pixels[8, 2].astype(int), (255, 255, 255), atol=2)
        # By the perceptual intent the darkest gray of this press is shown as black; its ink would
        # be red without the profile.
        np.testing.assert_allclose(image.pixels[8, 13].astype(int), (7, 7, 7), atol=3)
        assert image.notes == ("converted from CMYK by its colour profile",)

    @pytest.mark.parametrize("is_garbage", [True, False], ids=["garbage", "for RGB"])
    def test_cmyk_with_a_profile_that_does_not_fit(self, is_garbage: bool) -> None:
        profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
        ink = PillowImage.new("CMYK", (16, 16), (0, 255, 255, 0))
        data = save(ink, "JPEG", quality=95, icc_profile=b"no profile" if is_garbage else profile)
        image = read_image(data)
        np.testing.assert_allclose(image.pixels[8, 8].astype(int), (255, 0, 0), atol=4)
        assert "without a colour profile" in image.notes[0]

    def test_lab_tiff(self) -> None:
        # L* = 54.3, a* = 80.8, b* = 69.9 is red (D50); 255 stands for L* = 100, 128 for a* = 0.
        lab = PillowImage.new("LAB", (4, 4), (138, 128 + 81, 128 + 70))
        image = read_image(save(lab, "TIFF"))
        np.testing.assert_allclose(image.pixels[0, 0].astype(int), (255, 0, 0), atol=6)
        assert image.notes == ("converted from Lab",)


class TestDeepSamples:
    counts = np.array([[0, 257, 128 * 257], [32767, 51529, 65535]], np.uint16)
    gray = np.array([[0, 1, 128], [127, 201, 255]])

    def test_16_bit_gray_png(self) -> None:
        image = read_image(save(PillowImage.fromarray(self.counts), "PNG"))
        assert image.pixels[:, :, 0].tolist() == self.gray.tolist()
        assert image.pixels[:, :, 2].tolist() == self.gray.tolist()
        assert image.notes == ("16-bit scaled to 8-bit",)

    @pytest.mark.parametrize("order", ["<", ">"])
    def test_16_bit_gray_tiff_of_either_byte_order(self, order: Literal["<", ">"]) -> None:
        image = read_image(tiff(self.counts, order=order, tags={}))
        assert image.pixels[:, :, 0].tolist() == self.gray.tolist()
        assert image.notes == ("16-bit scaled to 8-bit",)

    def test_16_bit_tiff_that_counts_from_white(self) -> None:
        image = read_image(tiff(self.counts, order="<", tags={262: (3, 0)}))
        assert image.pixels[:, :, 0].tolist() == (255 - self.gray).tolist()

    def test_16_bit_rgb_png(self) -> None:
        row = b"\0" + struct.pack(">6H", 0, 65535, 32896, 10 * 257, 20 * 257, 30 * 257)
        data = png(struct.pack(">IIBBBBB", 2, 1, 16, 2, 0, 0, 0), (b"IDAT", zlib.compress(row)))
        image = read_image(data)
        assert image.pixels.tolist() == [[[0, 255, 128], [10, 20, 30]]]
        assert image.notes == ("16-bit scaled to 8-bit",)

    @pytest.mark.parametrize("order", ["<", ">"])
    def test_floats_between_0_and_1_are_taken_as_they_are(self, order: Literal["<", ">"]) -> None:
        values = np.array([[0.2, 0.4], [0.5, 0.6]], np.float32)
        image = read_image(tiff(values, order=order, tags={339: (3, 3)}))
        assert image.pixels[:, :, 1].tolist() == [[51, 102], [128, 153]]
        assert image.notes == ("values from 0 to 1 scaled to 8-bit",)

    def test_other_floats_are_stretched(self) -> None:
        values = np.array([[-10, 0], [np.nan, 90]], np.float32)
        image = read_image(tiff(values, order="<", tags={339: (3, 3)}))
        assert image.pixels[:, :, 0].tolist() == [[0, 26], [0, 255]]
        assert image.notes == ("values from -10 (black) to 90 (white) scaled to 8-bit",)

    @pytest.mark.parametrize(
        ("values", "wanted"),
        [
            ([np.nan, np.nan], [0, 0]),
            ([7, 7], [0, 0]),
            ([7, np.inf], [0, 0]),
            ([np.inf, -np.inf], [255, 0]),
            ([-0.5, 0.5], [0, 255]),
            ([-5, np.inf, 5, np.nan], [0, 255, 255, 0]),
        ],
    )
    def test_odd_floats(self, values: list[float], wanted: list[int]) -> None:
        samples = np.array([values], np.float32)
        image = read_image(tiff(samples, order="<", tags={339: (3, 3)}))
        assert image.pixels[0, :, 0].tolist() == wanted

    @pytest.mark.parametrize("order", ["<", ">"])
    def test_signed_counts_are_stretched(self, order: Literal["<", ">"]) -> None:
        values = np.array([[-1000, 0], [500, 1000]], np.int32)
        image = read_image(tiff(values, order=order, tags={339: (3, 2)}))
        assert image.pixels[:, :, 0].tolist() == [[0, 128], [191, 255]]
        assert image.notes == ("values from -1000 (black) to 1000 (white) scaled to 8-bit",)
