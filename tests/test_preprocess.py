"""Preprocessing and its geometry: what the model sees is exactly where the geometry says it is."""

import dataclasses
import json
from math import ceil, floor

import numpy as np
import pytest
import torch

from tokenlearner.errors import ConfigError, ShapeError
from tokenlearner.preprocess import Preprocessing, locate, prepare

PLAIN = Preprocessing(image_size=(160, 160), mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))


def _plain(height: int, width: int, **changes: object) -> Preprocessing:
    return dataclasses.replace(PLAIN, image_size=(height, width), **changes)


class TestLocate:
    @pytest.mark.parametrize(
        ("source", "preprocessing", "box"),
        [
            ((300, 400), PLAIN, (50, 0, 350, 300)),
            ((400, 300), PLAIN, (0, 50, 300, 350)),
            ((416, 1244), PLAIN, (414, 0, 830, 416)),
            ((301, 400), PLAIN, (49.5, 0, 350.5, 301)),  # Half pixels are kept.
            ((300, 400), _plain(160, 160, crop_ratio=0.5), (125, 75, 275, 225)),
            ((300, 400), _plain(160, 160, resize="squash"), (0, 0, 400, 300)),
            ((300, 400), _plain(100, 200), (0, 50, 400, 250)),  # A wide input: full width.
            ((300, 400), _plain(200, 100), (125, 0, 275, 300)),  # A tall one: full height.
            ((1, 1000), PLAIN, (499.5, 0, 500.5, 1)),
            ((1000, 1), _plain(160, 160, resize="squash"), (0, 0, 1, 1000)),
            ((1, 1), _plain(160, 160, crop_ratio=0.5), (0, 0, 1, 1)),  # Never below a pixel.
        ],
    )
    def test_box(
        self,
        source: tuple[int, int],
        preprocessing: Preprocessing,
        box: tuple[float, float, float, float],
    ) -> None:
        geometry = locate(source, preprocessing)
        assert geometry.box == pytest.approx(box)
        assert geometry.source_size == source
        assert geometry.model_size == preprocessing.image_size

    def test_any_size_gives_a_valid_box_with_the_aspect_of_the_input(self) -> None:
        random = np.random.default_rng(0)
        for _ in range(300):
            height, width = (int(side) for side in random.integers(200, 5000, 2))
            rows, columns = (int(side) for side in random.integers(8, 500, 2))
            ratio = float(random.uniform(0.3, 1))
            box = locate((height, width), _plain(rows, columns, crop_ratio=ratio)).box
            left, top, right, bottom = box  # That it lies inside, Geometry checks.
            if min(right - left, bottom - top) > 1:
                assert (right - left) / (bottom - top) == pytest.approx(columns / rows)
            assert (left + right, top + bottom) == pytest.approx((width, height))

    def test_no_pixels(self) -> None:
        with pytest.raises(ShapeError, match="400 × 0 px; wanted at least one pixel"):
            locate((0, 400), PLAIN)


class TestPrepare:
    def test_an_image_of_the_right_size_is_only_normalised(self) -> None:
        pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
        mean, std = (0.1, 0.2, 0.3), (0.5, 0.25, 2.0)
        images, _ = prepare(pixels, _plain(20, 30, mean=mean, std=std))
        assert images.dtype == torch.float32
        assert images.shape == (1, 3, 20, 30)
        for channel in range(3):
            wanted = (pixels[:, :, channel] / 255 - mean[channel]) / std[channel]
            np.testing.assert_allclose(images[0, channel], wanted, atol=1e-6)

    @pytest.mark.parametrize("interpolation", ["bilinear", "bicubic", "area"])
    def test_shrinking_averages(self, interpolation: str) -> None:
        # Fine stripes must become gray; without antialiasing they alias to black or white.
        stripes = np.zeros((320, 320, 3), np.uint8)
        stripes[:, ::2] = 255
        images, _ = prepare(stripes, _plain(32, 32, interpolation=interpolation))
        # At the two edges a kernel that reaches over them is cut off, on one stripe or the other.
        np.testing.assert_allclose(images[0, :, :, 1:-1], 0.5, atol=0.01)

    def test_area_is_the_mean_of_each_block(self) -> None:
        # Rounded to whole values after either axis.
        pixels = np.random.default_rng(1).integers(0, 256, (40, 60, 3), dtype=np.uint8)
        images, _ = prepare(pixels, _plain(4, 6, interpolation="area"))
        wanted = pixels.reshape(4, 10, 6, 10, 3).mean(axis=(1, 3)) / 255
        np.testing.assert_allclose(images[0].permute(1, 2, 0), wanted, atol=1.01 / 255)

    def test_a_crop_on_half_pixels_is_not_rounded(self) -> None:
        # The box spans columns 1.5 to 3.5 of 5: half a pixel of 40, all of 80, half of 120.
        pixels = np.broadcast_to(
            np.array([0, 40, 80, 120, 160], np.uint8)[None, :, None], (2, 5, 3)
        )
        images, geometry = prepare(pixels, _plain(2, 2, interpolation="bilinear"))
        assert geometry.box == (1.5, 0, 3.5, 2)
        # Two pixels at positions 2 and 3, between the centres of the columns on either side.
        np.testing.assert_allclose(images[0, 0, 0] * 255, [60, 100], atol=0.5)

    def test_the_same_twice(self) -> None:
        pixels = np.random.default_rng(2).integers(0, 256, (333, 517, 3), dtype=np.uint8)
        assert torch.equal(prepare(pixels, PLAIN)[0], prepare(pixels, PLAIN)[0])

    def test_read_only_and_non_contiguous_pixels_do(self) -> None:
        pixels = np.random.default_rng(3).integers(0, 256, (90, 120, 3), dtype=np.uint8)
        turned = pixels.swapaxes(0, 1)
        turned.flags.writeable = False
        images, _ = prepare(turned, PLAIN)
        assert torch.equal(images, prepare(np.ascontiguousarray(turned), PLAIN)[0])

    @pytest.mark.parametrize(
        ("pixels", "got"),
        [
            (np.zeros((4, 4), np.uint8), r"uint8 pixels of shape \[4, 4\]"),
            (np.zeros((4, 4, 4), np.uint8), r"uint8 pixels of shape \[4, 4, 4\]"),
            (np.zeros((4, 4, 3), np.float32), r"float32 pixels of shape \[4, 4, 3\]"),
            (np.zeros((0, 4, 3), np.uint8), r"uint8 pixels of shape \[0, 4, 3\]"),
        ],
    )
    def test_other_arrays_are_refused(self, pixels: np.ndarray, got: str) -> None:
        with pytest.raises(ShapeError, match=got + r"; wanted uint8 RGB \[height, width, 3\]"):
            prepare(pixels, PLAIN)


def _bounds(mask: np.ndarray) -> torch.Tensor:
    """First row, last row, first column, last column."""
    rows, columns = torch.from_numpy(mask).nonzero(as_tuple=True)
    return torch.stack([rows.min(), rows.max(), columns.min(), columns.max()])


SHAPES = [(300, 900), (900, 300), (416, 1244), (601, 601), (37, 1201), (997, 450)]


class TestWhereTheModelLooks:
    """A bright square at a known place, followed to the model's input and back."""

    @pytest.mark.parametrize("resize", ["crop", "squash"])
    @pytest.mark.parametrize("shape", SHAPES, ids=str)
    def test_the_square_is_found_under_its_cell(self, shape: tuple[int, int], resize: str) -> None:
        preprocessing = _plain(80, 120, resize=resize)
        grid = (8, 12)  # Of 10 × 10 px each.
        for row, column in [(0, 0), (7, 11), (3, 8), (5, 1)]:
            geometry = locate(shape, preprocessing)
            left, top, right, bottom = geometry.cell_box(row, column, grid)
            pixels = np.zeros((*shape, 3), np.uint8)
            # The pixels that lie in the cell as a whole.
            pixels[ceil(top) : floor(bottom), ceil(left) : floor(right)] = 255

            images, same_geometry = prepare(pixels, preprocessing)
            assert same_geometry == geometry
            light = images[0, 0].reshape(8, 10, 12, 10).mean(dim=(1, 3)).numpy()
            assert np.unravel_index(light.argmax(), light.shape) == (row, column)
            # Nearly all of the light is in that cell: no shift, no turn, no swapped axes.
            assert light[row, column] / light.sum() > 0.75

            centre = ((left + right) / 2, (top + bottom) / 2)
            assert geometry.cell_at(*centre, grid) == (row, column)

            laid = geometry.to_source(light[None], interpolation="patch")[0] > 0.5
            bright = pixels[:, :, 0] > 0
            assert laid[bright].all()
            assert (_bounds(laid) - _bounds(bright)).abs().max() <= 1

    def test_the_square_s_centre_is_exact_to_a_fraction_of_a_pixel(self) -> None:
        pixels = np.zeros((400, 1000, 3), np.uint8)
        pixels[100:140, 613:653] = 255
        images, geometry = prepare(pixels, _plain(64, 64))
        light = images[0, 0].clamp(min=0).numpy()
        rows, columns = np.mgrid[:64, :64] + 0.5
        left, top, right, bottom = geometry.box
        x = left + (light * columns).sum() / light.sum() / 64 * (right - left)
        y = top + (light * rows).sum() / light.sum() / 64 * (bottom - top)
        assert (x, y) == pytest.approx((633, 120), abs=0.1)


class TestPreprocessing:
    def test_a_trip_through_json(self) -> None:
        original = _plain(96, 160, resize="squash", interpolation="area", mean=(0.1, 0.2, 0.3))
        text = json.dumps(dataclasses.asdict(original))
        assert Preprocessing.from_dict(json.loads(text)) == original

    @pytest.mark.usefixtures("_as_users_run_it")
    def test_numbers_of_numpy_s_and_lists(self) -> None:
        changes = {"image_size": tuple(np.array([96, 160])), "mean": (np.float32(0.5),) * 3}
        made = Preprocessing(**{**dataclasses.asdict(PLAIN), **changes, "std": [0.25] * 3})
        assert made == Preprocessing.from_dict(json.loads(json.dumps(dataclasses.asdict(made))))
        assert (made.image_size, made.mean, made.std) == ((96, 160), (0.5,) * 3, (0.25,) * 3)

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"image_size": (0, 160)}, "wanted a height and a width, whole numbers of at least 1"),
            ({"image_size": 160}, "image_size is 160; wanted a height and a width"),
            ({"image_size": (32.5, 160.0)}, r"image_size is \(32.5, 160.0\); wanted a height"),
            ({"image_size": [160]}, "wanted a height and a width"),
            ({"std": (1.0, 0.0, 1.0)}, "those of std above 0"),
            ({"std": 0.5}, "and std is 0.5; wanted one number each"),
            ({"mean": (1.0, 1.0)}, "one number each for red, green and blue"),
            ({"mean": (1.0, 1.0, float("nan"))}, "one number each for red, green and blue"),
            ({"mean": ("1", "1", "1")}, "one number each for red, green and blue"),
            ({"resize": "stretch"}, "resize is 'stretch'; wanted 'squash' or 'crop'"),
            ({"interpolation": "nearest"}, "wanted one of bilinear, bicubic, area"),
            ({"crop_ratio": 0}, "crop_ratio is 0; wanted above 0 and up to 1"),
            ({"crop_ratio": "1"}, "crop_ratio is '1'; wanted above 0 and up to 1"),
            ({"crop_ratio": 1.1}, "crop_ratio is 1.1; wanted above 0 and up to 1"),
            ({"resize": "squash", "crop_ratio": 0.9}, "'squash' takes the whole photo"),
            (
                {"padding": 3, "colour": 1},
                "Preprocessing has no colour, padding; it has crop_ratio",
            ),
        ],
    )
    @pytest.mark.usefixtures("_as_users_run_it")
    def test_nonsense_is_refused(self, changes: dict[str, object], message: str) -> None:
        with pytest.raises(ConfigError, match=message):
            Preprocessing.from_dict({**dataclasses.asdict(PLAIN), **changes})

    def test_missing_values_are_named(self) -> None:
        with pytest.raises(ConfigError, match="needs image_size, std too"):
            Preprocessing.from_dict({"mean": [0, 0, 0]})
