"""Tracks of tokens through a clip, computed by hand."""

import csv
import io
import math
from typing import Any

import numpy as np
import pytest

from tokenlearner.attention.tracks import TrackRow, Tracks, follow
from tokenlearner.errors import ShapeError
from tokenlearner.geometry import Geometry

# A frame of 60 × 80 px, so 100 px from corner to corner; the model saw 40 × 60 px of it. On a grid
# of 2 × 3, the centres of the cells are at x = 30, 50, 70 and y = 20, 40.
GEOMETRY = Geometry(source_size=(60, 80), model_size=(16, 24), box=(20.0, 10.0, 80.0, 50.0))


def blob(*places: tuple[int, int]) -> np.ndarray:
    """One token that looks at one cell (row, column) at each step."""
    maps = np.zeros((len(places), 1, 2, 3), np.float32)
    for step, (row, column) in enumerate(places):
        maps[step, 0, row, column] = 1
    return maps


def tracks_of(maps: np.ndarray, *, tokens: Any = None, times: Any = None, version: str = "1.1"):
    steps, count = maps.shape[:2]
    return follow(
        maps,
        np.ones((steps, count, 4), np.float32) if tokens is None else np.asarray(tokens, "f4"),
        times_s=np.arange(steps) / 2 if times is None else np.asarray(times, np.float64),
        geometry=GEOMETRY,
        version=version,
    )


def assert_values(found: np.ndarray, *wanted: float | None) -> None:
    """The values of the only token; None for what cannot be known."""
    values = [math.nan if value is None else value for value in wanted]
    assert found[:, 0].tolist() == pytest.approx(values, nan_ok=True)


def test_a_blob_that_moves() -> None:
    tracks = tracks_of(blob((0, 0), (0, 1), (1, 1)))
    assert_values(tracks.x_px, 30, 50, 50)
    assert_values(tracks.y_px, 20, 20, 40)
    assert_values(tracks.speed_px_s, None, 40, 40)  # 20 px in half a second
    assert_values(tracks.movement_ratio, None, 0.2, 0.2)
    # Evenly from (30, 20) to (50, 40) it would be at (40, 30), 10 px away in x and in y.
    assert_values(tracks.jitter_px, None, math.sqrt(200), None)
    assert_values(tracks.spread_px, 0, 0, 0)
    assert_values(tracks.effective_area, 1 / 6, 1 / 6, 1 / 6)
    assert_values(tracks.overlap, None, 0, 0)


def test_a_blob_that_moves_evenly_does_not_jitter() -> None:
    """Evenly in time: twice as far where the step took twice as long."""
    fourth = np.zeros((1, 1, 2, 3), np.float32)
    fourth[0, 0, 0] = [0, 0.5, 0.5]  # halfway from the second to the third column
    maps = np.concatenate([blob((0, 0)), fourth, blob((0, 2))])
    tracks = tracks_of(maps, times=[1.0, 4.0, 5.0])
    assert_values(tracks.x_px, 30, 60, 70)
    assert_values(tracks.speed_px_s, None, 10, 10)
    assert_values(tracks.jitter_px, None, 0, None)
    assert tracks_of(maps).jitter_px[1, 0] == pytest.approx(10)


def test_a_blob_that_rests() -> None:
    tracks = tracks_of(blob((1, 2), (1, 2), (1, 2)))
    assert_values(tracks.x_px, 70, 70, 70)
    assert_values(tracks.y_px, 40, 40, 40)
    assert tracks.jitter_px[1, 0] == 0
    assert tracks.speed_px_s[1:].tolist() == [[0], [0]]
    assert_values(tracks.overlap, None, 1, 1)
    assert_values(tracks.similarity, None, 1, 1)


def test_spread_is_in_pixels_both_ways() -> None:
    maps = np.zeros((1, 2, 2, 3), np.float32)
    maps[0, 0, 0] = [0.5, 0, 0.5]  # 40 px apart in x
    maps[0, 1] = [[0.25, 0, 0.25], [0.25, 0, 0.25]]  # and 20 px in y
    tracks = tracks_of(maps)
    assert tracks.spread_px.tolist()[0] == pytest.approx([20, math.sqrt(20**2 + 10**2)])
    assert tracks.x_px.tolist()[0] == pytest.approx([50, 50])
    assert tracks.y_px.tolist()[0] == pytest.approx([20, 30])
    assert tracks.effective_area.tolist()[0] == pytest.approx([2 / 6, 4 / 6])


def test_strength_is_the_peak_of_maps_that_sum_to_one() -> None:
    maps = np.array([[[[0.5, 0.25, 0.25], [0, 0, 0]]], [[[1 / 6] * 3] * 2]], np.float32)
    for version in ("1.1", "grouped"):
        tracks = tracks_of(maps, version=version)
        assert tracks.strength_kind == "peak"
        assert_values(tracks.strength, 0.5, 1 / 6)


def test_strength_is_the_mass_of_maps_that_do_not() -> None:
    maps = np.array([[[[0.9, 0.3, 0], [0, 0, 0]]], [[[0.6, 0.2, 0], [0, 0, 0]]]], np.float32)
    tracks = tracks_of(maps, version="1.0")
    assert tracks.strength_kind == "mass"
    assert_values(tracks.strength, 1.2 / 6, 0.8 / 6)
    assert_values(tracks.x_px, 35, 35)  # a quarter of the way to the second column
    assert_values(tracks.overlap, None, 1)  # only the shape counts


def test_map_of_zeros_counts_as_even() -> None:
    tracks = tracks_of(np.zeros((1, 1, 2, 3), np.float32), version="1.0")
    assert_values(tracks.strength, 0)
    assert (tracks.x_px.item(), tracks.y_px.item()) == pytest.approx((50, 30))
    assert_values(tracks.effective_area, 1)


def test_overlap_and_similarity_with_the_step_before() -> None:
    maps = np.array([[[[0.5, 0.5, 0], [0, 0, 0]]], [[[0.25, 0, 0.75], [0, 0, 0]]]], np.float32)
    tracks = tracks_of(maps, tokens=[[[3, 0, 0]], [[3, 4, 0]]])
    assert_values(tracks.overlap, None, 0.25)
    assert_values(tracks.similarity, None, 0.6)
    assert_values(tracks_of(maps, tokens=[[[1, 2]], [[-2, -4]]]).similarity, None, -1)
    assert_values(tracks_of(maps, tokens=[[[1, 2]], [[0, 0]]]).similarity, None, None)


def test_tokens_are_followed_apart() -> None:
    maps = np.concatenate([blob((0, 0), (0, 1)), blob((1, 2), (1, 2))], axis=1)
    tracks = tracks_of(maps, tokens=[[[1, 0], [1, 0]], [[0, 1], [1, 0]]])
    assert tracks.x_px.tolist() == [[30, 70], [50, 70]]
    assert tracks.speed_px_s[1].tolist() == pytest.approx([40, 0])
    assert tracks.similarity[1].tolist() == pytest.approx([0, 1])


def test_frames_at_the_same_time_have_no_speed() -> None:
    tracks = tracks_of(blob((0, 0), (0, 1), (0, 2)), times=[1.0, 1.0, 1.0])
    assert_values(tracks.speed_px_s, None, None, None)
    assert_values(tracks.movement_ratio, None, 0.2, 0.2)
    assert_values(tracks.jitter_px, None, None, None)


def test_a_single_step() -> None:
    tracks = tracks_of(blob((0, 1)))
    assert_values(tracks.x_px, 50)
    for name in ("speed_px_s", "movement_ratio", "jitter_px", "similarity", "overlap"):
        assert_values(getattr(tracks, name), None)


class TestTable:
    @pytest.fixture
    def tracks(self) -> Tracks:
        maps = np.concatenate([blob((0, 0), (0, 1)), blob((1, 2), (1, 2))], axis=1)
        return tracks_of(maps, times=[0.25, 1.25])

    def test_rows(self, tracks: Tracks) -> None:
        rows = list(tracks.rows())
        assert [(r.step, r.time_s, r.token) for r in rows] == [
            (0, 0.25, 0),
            (0, 0.25, 1),
            (1, 1.25, 0),
            (1, 1.25, 1),
        ]
        assert (rows[2].x_px, rows[2].speed_px_s, rows[2].overlap) == (50, 20, 0)
        assert math.isnan(rows[0].speed_px_s)

    def test_csv(self, tracks: Tracks) -> None:
        text = tracks.to_csv()
        assert text.splitlines()[:2] == [
            "step,time_s,token,strength,effective_area,x_px,y_px,spread_px,speed_px_s,"
            "movement_ratio,jitter_px,similarity,overlap",
            "0,0.250,0,1,0.166667,30,20,0,,,,,",
        ]
        read = list(csv.DictReader(io.StringIO(text)))
        assert [row["token"] for row in read] == ["0", "1", "0", "1"]
        for line, row in zip(read, tracks.rows(), strict=True):
            for name in TrackRow.__dataclass_fields__:
                found = float(line[name]) if line[name] else math.nan
                assert found == pytest.approx(getattr(row, name), rel=1e-5, nan_ok=True), name


@pytest.mark.usefixtures("_as_users_run_it")
class TestErrors:
    @pytest.mark.parametrize(
        ("maps", "tokens"),
        [
            (np.zeros((0, 1, 2, 3), "f4"), np.zeros((0, 1, 4), "f4")),
            (np.zeros((2, 2, 3), "f4"), np.zeros((2, 2, 4), "f4")),
            (np.zeros((2, 1, 2, 3), "f4"), np.zeros((2, 2, 4), "f4")),
        ],
        ids=["no steps", "no tokens", "other tokens"],
    )
    def test_shapes(self, maps: np.ndarray, tokens: np.ndarray) -> None:
        with pytest.raises(ShapeError, match=r"wanted \[step, token, rows, columns\], at least"):
            tracks_of(maps, tokens=tokens)

    def test_times(self) -> None:
        with pytest.raises(ShapeError, match=r"Got 2 steps, but times of shape \[3\]; wanted one"):
            tracks_of(blob((0, 0), (0, 1)), times=[0, 1, 2])
