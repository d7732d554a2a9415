"""Reading photos: whatever the format, they come out upright and unmixed; and back to bytes."""

import hashlib
import threading
import warnings
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage
from PIL import ImageFile

from tests.media.photo_files import (
    COLOURS,
    FORMATS,
    noise,
    quarter_colours,
    quarters,
    save,
    tiff,
)
from tokenlearner.errors import (
    ConfigError,
    CorruptMediaError,
    MediaError,
    ShapeError,
)
from tokenlearner.media import encode_jpeg, encode_png, read_image
from tokenlearner.media.images import pixels_of, read_header


class TestOrdinaryPhotos:
    @pytest.mark.parametrize("kind", FORMATS)
    def test_every_format(self, kind: str) -> None:
        pixels = quarters()
        data = save(PillowImage.fromarray(pixels), kind)
        image = read_image(data)
        np.testing.assert_allclose(quarter_colours(image.pixels), COLOURS, atol=6)
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
        image = read_image(save(PillowImage.fromarray(quarters()), "JPEG", exif=exif))
        assert image.pixels.flags.c_contiguous
        assert image.pixels.dtype == np.uint8
        with pytest.raises(ValueError, match="read-only"):
            image.pixels[0, 0] = 0

    def test_the_name_does_not_matter(self, tmp_path: Path) -> None:
        path = tmp_path / "photo.txt"
        path.write_bytes(save(PillowImage.fromarray(quarters()), "PNG"))
        for source in (path, str(path), path.read_bytes()):
            assert read_image(source).format == "PNG"

    def test_one_pixel(self) -> None:
        image = read_image(save(PillowImage.new("RGB", (1, 1), (1, 2, 3)), "PNG"))
        assert image.pixels.tolist() == [[[1, 2, 3]]]

    def test_many_strips_are_put_together_in_order(self) -> None:
        # Wider than one strip of the conversion is high, and not a multiple of it.
        pixels = np.zeros((2500, 1100, 3), np.uint8)
        pixels[:, :, 0] = np.arange(2500)[:, None] % 251
        pixels[:, :, 1] = np.arange(1100) % 253
        image = read_image(save(PillowImage.fromarray(pixels), "BMP"))
        np.testing.assert_array_equal(image.pixels, pixels)

    def test_50_megapixels(self) -> None:
        photo = PillowImage.new("L", (8192, 6144), 77)
        photo.putpixel((8191, 6143), 200)
        image = read_image(save(photo, "PNG", compress_level=1))
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
        upright = quarters(32, 64)
        stored = np.ascontiguousarray(_stored(upright, *ORIENTATIONS[orientation]))
        exif = PillowImage.Exif()
        exif[274] = orientation
        data = save(PillowImage.fromarray(stored), kind, exif=exif)
        image = read_image(data)
        assert read_header(data) == (FORMATS[kind], 32, 64)
        assert image.pixels.shape == upright.shape
        np.testing.assert_allclose(quarter_colours(image.pixels), COLOURS, atol=6)
        wanted = () if orientation == 1 else ("turned upright by its EXIF tag",)
        assert image.notes == wanted

    @pytest.mark.parametrize("orientation", [0, 9, 3000])
    def test_a_nonsense_tag_is_ignored(self, orientation: int) -> None:
        exif = PillowImage.Exif()
        exif[274] = orientation
        image = read_image(save(PillowImage.fromarray(quarters()), "PNG", exif=exif))
        np.testing.assert_array_equal(image.pixels, quarters())
        assert image.notes == ()

    @pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
    @pytest.mark.parametrize("kind", ["JPEG", "PNG"])
    @pytest.mark.parametrize("exif", [b"II*\0\xff\xff\xff\x7f\7\7", b"nonsense", b"II*\0"])
    def test_broken_exif_is_ignored(self, exif: bytes, kind: str) -> None:
        data = save(PillowImage.fromarray(quarters()), kind, exif=b"Exif\0\0" + exif)
        np.testing.assert_allclose(quarter_colours(read_image(data).pixels), COLOURS, atol=6)


class TestSeveralPictures:
    def test_the_first_page_of_a_tiff(self) -> None:
        pages = [PillowImage.new("RGB", (4, 4), colour) for colour in ("red", "green", "blue")]
        image = read_image(save(pages[0], "TIFF", save_all=True, append_images=pages[1:]))
        assert image.pixels[0, 0].tolist() == [255, 0, 0]
        assert image.notes == ("first page of several",)

    @pytest.mark.parametrize("kind", ["PNG", "WEBP"])
    def test_the_first_frame_of_an_animation(self, kind: str) -> None:
        frames = [PillowImage.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
        data = save(frames[0], kind, save_all=True, append_images=frames[1:], duration=100)
        image = read_image(data)
        np.testing.assert_allclose(image.pixels[0, 0].astype(int), (255, 0, 0), atol=4)
        assert image.notes == ("first of 2 frames",)


class TestPicturesOfPillow:
    """They come out as their file would."""

    @pytest.mark.parametrize("orientation", range(1, 9))
    def test_upright(self, orientation: int) -> None:
        exif = PillowImage.Exif()
        exif[274] = orientation
        data = save(PillowImage.fromarray(quarters()), "PNG", exif=exif)
        with PillowImage.open(BytesIO(data)) as picture:
            assert np.array_equal(pixels_of(picture), read_image(data).pixels)

    @pytest.mark.parametrize("photometric", [0, 1], ids=["from white", "from black"])
    def test_deep_tiff(self, photometric: int) -> None:
        counts = np.array([[0, 257, 32896], [32639, 51657, 65535]], np.uint16)
        data = tiff(counts, order="<", tags={262: (3, photometric)})
        with PillowImage.open(BytesIO(data)) as picture:
            assert np.array_equal(pixels_of(picture), read_image(data).pixels)

    def test_transparent_parts_are_white(self) -> None:
        picture = PillowImage.new("RGBA", (4, 3), (255, 0, 0, 0))
        assert (pixels_of(picture) == 255).all()

    def test_deep_gray(self) -> None:
        deep = np.array([[0, 65535], [32768, 257]], np.uint16)
        assert pixels_of(PillowImage.fromarray(deep))[:, :, 0].tolist() == [[0, 255], [128, 1]]

    def test_errors(self) -> None:
        with pytest.raises(MediaError, match="The picture is 0 × 4 px"):
            pixels_of(PillowImage.new("RGB", (0, 4)))
        data = save(PillowImage.fromarray(quarters()), "PNG")
        with (
            PillowImage.open(BytesIO(data[: len(data) // 2])) as picture,
            pytest.raises(CorruptMediaError, match="The picture's file is broken or cut off"),
        ):
            pixels_of(picture)


def test_two_at_once_do_not_mix() -> None:
    sources = [
        save(PillowImage.new("CMYK", (700, 500), (0, 255, 255, 0)), "JPEG", quality=95),
        save(PillowImage.new("RGBA", (500, 700), (0, 0, 255, 0)), "PNG"),
        save(PillowImage.new("RGB", (600, 600), (0, 128, 0)), "WEBP", lossless=True),
        noise("JPEG")[:5000],
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
    read_image(noise("PNG"))
    with pytest.raises(CorruptMediaError):
        read_image(noise("PNG")[:3000])
    after = (PillowImage.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES, warnings.filters[:])
    assert after == before


class TestEncoding:
    def test_png_keeps_every_pixel(self) -> None:
        pixels = np.random.default_rng(0).integers(0, 256, (33, 17, 3), dtype=np.uint8)
        image = read_image(encode_png(pixels))
        assert image.format == "PNG"
        np.testing.assert_array_equal(image.pixels, pixels)

    def test_jpeg_is_close_and_quality_counts(self) -> None:
        image = read_image(encode_jpeg(quarters()))
        assert image.format == "JPEG"
        np.testing.assert_allclose(quarter_colours(image.pixels), COLOURS, atol=6)
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
            encode_jpeg(quarters(), quality)
