"""Where on a photo a grid's cells lie."""

from dataclasses import replace
from typing import Literal

import numpy as np
import pytest
import torch

from tokenlearner.errors import ConfigError, ShapeError
from tokenlearner.geometry import Box, Geometry
from tokenlearner.modules.space_time import spatial_convolution
from tokenlearner.preprocess import Preprocessing, locate


def _geometry(height: int, width: int, box: Box) -> Geometry:
    return Geometry(source_size=(height, width), model_size=(160, 160), box=box)


def _strided(model_size: tuple[int, int], *, source_size: tuple[int, int]) -> Geometry:
    height, width = source_size
    return Geometry(
        source_size=source_size, model_size=model_size, box=(0, 0, width, height), cells="strided"
    )


def _input(height: int, width: int, *, crop_ratio: float = 1.0) -> Preprocessing:
    return Preprocessing(
        image_size=(height, width), mean=(0, 0, 0), std=(1, 1, 1), crop_ratio=crop_ratio
    )


class TestCells:
    geometry = _geometry(100, 200, (50, 0, 150, 100))

    def test_boxes(self) -> None:
        assert self.geometry.cell_box(0, 0, (4, 5)) == (50, 0, 70, 25)
        assert self.geometry.cell_box(3, 1, (4, 5)) == (70, 75, 90, 100)

    def test_positions(self) -> None:
        assert self.geometry.cell_at(50.0, 0.0, (4, 5)) == (0, 0)
        assert self.geometry.cell_at(149.999, 24.999, (4, 5)) == (0, 4)
        assert self.geometry.cell_at(89.9, 75.0, (4, 5)) == (3, 1)
        for x, y in [(49.9, 50.0), (150.0, 50.0), (100.0, -0.1), (100.0, 100.0)]:
            assert self.geometry.cell_at(x, y, (4, 5)) is None

    def test_just_inside_the_far_edge(self) -> None:
        # Found by search: the share of the box rounds up to all of it.
        near, far = 0.1499999999999999, 5.85
        inside = float(np.nextafter(far, 0))
        wide, tall = _geometry(36, 6, (near, 0, far, 36)), _geometry(6, 36, (0, near, 36, far))
        assert wide.cell_at(inside, 1.0, (10, 10)) == (0, 9)
        assert tall.cell_at(1.0, inside, (10, 10)) == (9, 0)

    @pytest.mark.parametrize(("row", "column"), [(4, 0), (0, 5), (-1, 0), (0, -1)])
    def test_no_such_cell(self, row: int, column: int) -> None:
        with pytest.raises(ConfigError, match=f"row {row}, column {column} of a grid of 4 × 5"):
            self.geometry.cell_box(row, column, (4, 5))

    @pytest.mark.parametrize(
        "box",
        [
            (-1, 0, 10, 10),
            (0, -1, 10, 10),
            (0, 0, 10, 101),
            (0, 0, 201, 10),
            (5, 0, 5, 10),
            (0, 9, 5, 3),
        ],
    )
    def test_a_box_outside_the_photo_is_refused(self, box: tuple[int, int, int, int]) -> None:
        with pytest.raises(ConfigError, match="does not lie in a photo of 200 × 100 px"):
            _geometry(100, 200, box)

    @pytest.mark.usefixtures("_as_users_run_it")
    def test_another_layout_is_refused(self) -> None:
        with pytest.raises(ConfigError, match="cells is 'hexagonal'; wanted 'even' or 'strided'"):
            replace(self.geometry, cells="hexagonal")  # type: ignore[arg-type]

    def test_the_photo_at_another_size(self) -> None:
        small = _geometry(100, 200, (50.5, 0, 200, 99.5)).scale((50, 66))
        assert small.source_size == (50, 66)
        assert small.box == pytest.approx((16.665, 0, 66, 49.75))
        for size in ((7, 13), (37, 501), (1, 1)):  # rounding never takes the box out of the photo
            assert _geometry(100, 200, (0, 0, 200, 100)).scale(size).box == (0, 0, *size[::-1])


def _halve(pixels: np.ndarray, times: int) -> np.ndarray:
    """What a network's strided convolutions make of a photo, if each keeps its middle value."""
    halving = spatial_convolution(1, 1, stride=2)
    with torch.no_grad():
        halving.weight.zero_()[..., 1, 1] = 1
        values = torch.from_numpy(pixels)[None, None, None]
        for _ in range(times):
            values = halving(values)
    return values[0, 0, 0].numpy()


class TestStridedCells:
    @pytest.mark.parametrize(
        ("side", "halvings"), [(224, 5), (250, 5), (17, 4), (33, 3), (31, 5), (5, 0), (2, 1)]
    )
    def test_cells_are_where_the_convolutions_look(self, side: int, halvings: int) -> None:
        columns = np.broadcast_to(np.arange(side, dtype=np.float32), (3, side))
        found = _halve(np.ascontiguousarray(columns), halvings)[0]
        geometry = _strided((3, side), source_size=(3, side))
        _, across = geometry.axes((1, len(found)))
        if len(found) > 1:  # a single cell takes all, wherever its centre is
            np.testing.assert_allclose(across.centres_px, found + 0.5)
        for column, pixel in enumerate(found.tolist()):
            assert geometry.cell_at(pixel + 0.5, 1.5, (1, len(found))) == (0, column)

    def test_a_ramp_stays_where_it_is(self) -> None:
        ramp = np.add.outer(3 * np.arange(250), np.arange(224)).astype(np.float32)
        maps = _halve(ramp, 5)[None]
        assert maps.shape == (1, 8, 7)
        geometry = _strided((250, 224), source_size=(250, 224))
        inside = np.s_[33:190, 33:160]  # where the cubic has four cells
        np.testing.assert_allclose(geometry.to_source(maps)[0][inside], ramp[inside], atol=1e-2)
        # Cells that divided the input evenly would show it half a cell away.
        even = replace(geometry, cells="even").to_source(maps)[0]
        assert np.abs(even - ramp)[inside].mean() > 15

    def test_the_photo_may_have_another_size(self) -> None:
        maps = np.zeros((1, 7, 7), np.float32)
        maps[0, 2, 2] = 1
        laid = _strided((224, 224), source_size=(448, 672)).to_source(maps)[0]
        peak = np.unravel_index(laid.argmax(), laid.shape)
        # Cell (2, 2) is centred on the input's pixel 64, where the photo has 2 x 3 pixels for one.
        assert peak == pytest.approx((128, 193), abs=1)

    def test_boxes_fill_the_photo(self) -> None:
        geometry, grid = _strided((250, 224), source_size=(250, 224)), (8, 7)
        assert geometry.cell_box(0, 0, grid) == (0, 0, 16.5, 16.5)
        assert geometry.cell_box(3, 3, grid) == (80.5, 80.5, 112.5, 112.5)
        assert geometry.cell_box(7, 6, grid) == (176.5, 208.5, 224, 250)


class TestToSource:
    def test_a_one_hot_map_lands_on_its_pixels(self) -> None:
        # 2 × 4 cells of 10 × 5 px, the box starting at (3, 7).
        geometry = _geometry(40, 50, (3, 7, 23, 27))
        for row, column in np.ndindex(2, 4):
            maps = np.zeros((1, 2, 4), np.float32)
            maps[0, row, column] = 2.5
            wanted = np.zeros((40, 50), np.float32)
            top, left = 7 + 10 * row, 3 + 5 * column
            wanted[top : top + 10, left : left + 5] = 2.5
            patch = geometry.to_source(maps, interpolation="patch")
            assert patch.dtype == np.float32
            np.testing.assert_array_equal(patch[0], wanted)

    @pytest.mark.parametrize("cells", ["even", "strided"])
    def test_patch_agrees_with_cell_at_for_every_pixel(
        self, cells: Literal["even", "strided"]
    ) -> None:
        geometry = replace(locate((53, 71), _input(90, 100, crop_ratio=0.7)), cells=cells)
        grid = (9, 5)
        numbers = np.arange(1, 46, dtype=np.float32).reshape(1, *grid)
        laid = geometry.to_source(numbers, interpolation="patch")[0]
        for y, x in np.ndindex(53, 71):
            cell = geometry.cell_at(x + 0.5, y + 0.5, grid)
            assert laid[y, x] == (0 if cell is None else numbers[0][cell])

    def test_smooth_passes_through_the_cells_and_stays_between_their_extremes(self) -> None:
        maps = np.random.default_rng(0).normal(size=(3, 4, 6)).astype(np.float32)
        # Cells of 5 × 5 px have a pixel in their very centre.
        laid = _geometry(30, 40, (4, 6, 34, 26)).to_source(maps)
        np.testing.assert_allclose(laid[:, 8:26:5, 6:34:5], maps, atol=1e-6)
        inside = laid[:, 6:26, 4:34]
        for smooth, one_map in zip(inside, maps, strict=True):
            assert (smooth.min(), smooth.max()) == (one_map.min(), one_map.max())
        outside = laid.copy()
        outside[:, 6:26, 4:34] = 0
        assert not outside.any()

    def test_smooth_reproduces_a_ramp(self) -> None:
        # Cubic convolution is exact on straight lines, away from the edges.
        ramp = np.broadcast_to(np.arange(8, dtype=np.float32), (1, 3, 8))
        laid = _geometry(30, 80, (0, 0, 80, 30)).to_source(ramp)
        np.testing.assert_allclose(laid[0, 15, 20:60], np.arange(20.5, 60) / 10 - 0.5, atol=1e-5)

    def test_smooth_is_clamped_beside_a_step(self) -> None:
        step = np.zeros((1, 1, 8), np.float32)
        step[:, :, 4:] = 1
        laid = _geometry(10, 80, (0, 0, 80, 10)).to_source(step)
        assert laid.min() == 0
        assert laid.max() == 1
        # Beside the step the plain cubic goes to 1.07: the clamp holds a whole stretch at 1.
        assert (laid[0, 0, 46:54] == 1).all()

    @pytest.mark.parametrize("interpolation", ["smooth", "patch"])
    def test_a_constant_map_stays_constant(self, interpolation: Literal["smooth", "patch"]) -> None:
        maps = np.full((1, 7, 5), 0.1, np.float32)
        laid = locate((33, 47), _input(160, 160)).to_source(maps, interpolation=interpolation)
        assert set(np.unique(laid)) == {np.float32(0), np.float32(0.1)}

    @pytest.mark.parametrize("interpolation", ["smooth", "patch"])
    @pytest.mark.parametrize("shape", [(1, 1), (1, 400), (400, 1), (1, 2), (2, 3)], ids=str)
    def test_narrow_photos_keep_a_visible_box(
        self, shape: tuple[int, int], interpolation: Literal["smooth", "patch"]
    ) -> None:
        geometry = locate(shape, _input(160, 160, crop_ratio=0.875))
        laid = geometry.to_source(np.ones((2, 10, 10)), interpolation=interpolation)
        assert laid.shape == (2, *shape)
        assert laid.max() == 1

    @pytest.mark.usefixtures("_as_users_run_it")
    def test_other_shapes_and_words_are_refused(self) -> None:
        geometry = _geometry(40, 50, (0, 0, 40, 40))
        with pytest.raises(ShapeError, match=r"shape \[4, 4\]; wanted \[S, rows, columns\]"):
            geometry.to_source(np.zeros((4, 4)))
        with pytest.raises(ConfigError, match="interpolation is 'cubist'; wanted 'smooth'"):
            geometry.to_source(np.zeros((1, 4, 4)), interpolation="cubist")  # type: ignore[arg-type]
