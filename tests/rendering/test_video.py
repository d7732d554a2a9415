"""Overlay videos and filmstrips: every frame under the maps of the step that is in force."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.by_hand import clip_explanation
from tests.media.clip_makers import make_clip
from tokenlearner.errors import ConfigError
from tokenlearner.geometry import Geometry, Interpolation
from tokenlearner.media import probe, read_clip, read_stretch
from tokenlearner.rendering import (
    ViewSettings,
    render_filmstrip,
    render_overlay_video,
    render_token_tube,
)
from tokenlearner.rendering.colormap import TOKEN_COLORS, token_rgb
from tokenlearner.rendering.overlay import Mode, paint
from tokenlearner.rendering.video import Veil, step_starts_s

# Two steps of three tokens on a grid of 2 x 3: token k of step s looks at one cell only.
SPOTS = [[(0, 0), (0, 1), (1, 2)], [(1, 1), (0, 2), (1, 0)]]
PATCH = ViewSettings(colormap="viridis", interpolation="patch", opacity=1.0, weak="cover")


def maps() -> np.ndarray:
    result = np.full((2, 3, 2, 3), 0.01, np.float32)
    for step, spots in enumerate(SPOTS):
        for token, (row, column) in enumerate(spots):
            result[step, token, row, column] = 0.9
    return result


def explanation(num_frames: int = 2, step_frames=((0, 1), (1, 2)), times_s=(0.25, 0.75)):
    frames = np.full((num_frames, 64, 96, 3), 100, np.uint8)
    return clip_explanation(maps(), frames, np.array(times_s), step_frames)


CLIP = make_clip(10)  # one second of 96 x 64 px


def brightest_cell(frame: np.ndarray) -> tuple[int, int]:
    """Of the cells of the grid, by the yellow end of viridis."""
    height, width, _ = frame.shape
    cells = frame.reshape(2, height // 2, 3, width // 3, 3).astype(float).mean(axis=(1, 3))
    row, column = np.unravel_index((cells[..., 0] - cells[..., 2]).argmax(), (2, 3))
    return int(row), int(column)


class TestSteps:
    def test_steps_change_halfway_between_their_frames(self) -> None:
        assert step_starts_s(explanation()).tolist() == [0.0, 0.5]
        tubelets = explanation(4, ((0, 2), (2, 4)), (0.1, 0.3, 0.6, 0.8))
        np.testing.assert_allclose(step_starts_s(tubelets), [0.0, 0.45])

    @pytest.mark.parametrize("token", [0, 1, 2])
    def test_every_frame_has_the_maps_of_its_step(self, token: int) -> None:
        settings = replace(PATCH, tokens=(token,))
        video = read_clip(render_overlay_video(explanation(), CLIP, settings), num_frames=10)
        found = [brightest_cell(frame) for frame in video.frames]
        assert found == [SPOTS[0][token]] * 5 + [SPOTS[1][token]] * 5
        np.testing.assert_allclose(video.times_s, np.arange(10) / 10, atol=2e-3)

    def test_a_stretch_keeps_its_place_in_time(self) -> None:
        data = render_overlay_video(explanation(), CLIP, PATCH, start_s=0.3, end_s=0.7)
        video = read_clip(data, num_frames=4)
        found = [brightest_cell(frame) for frame in video.frames]
        assert found == [SPOTS[0][0]] * 2 + [SPOTS[1][0]] * 2

    def test_a_stretch_that_begins_within_a_long_frame(self) -> None:
        clip = make_clip(6, stamps_ms=[0, 400, 500, 600, 700, 800])
        seen = explanation(times_s=(0.0, 0.4))
        video = read_clip(render_overlay_video(seen, clip, PATCH, start_s=0.3), num_frames=6)
        found = [brightest_cell(frame) for frame in video.frames]
        assert found == [SPOTS[0][0]] + [SPOTS[1][0]] * 5

    def test_composite_has_the_colour_of_the_strongest_token(self) -> None:
        settings = replace(PATCH, mode="composite")
        video = read_clip(render_overlay_video(explanation(), CLIP, settings), num_frames=10)
        for frame, spots in ((video.frames[0], SPOTS[0]), (video.frames[9], SPOTS[1])):
            for token, (row, column) in enumerate(spots):
                colour = frame[row * 32 + 16, column * 32 + 16]
                np.testing.assert_allclose(colour.astype(int), token_rgb(token), atol=30)


class TestPictures:
    @pytest.mark.parametrize("mode", ["token", "composite"])
    @pytest.mark.parametrize("interpolation", ["smooth", "patch"])
    def test_a_veil_is_what_painting_does(self, mode: Mode, interpolation: Interpolation) -> None:
        photo = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
        settings = ViewSettings(mode=mode, interpolation=interpolation, mass=0.9)
        seen = Geometry(source_size=(64, 96), model_size=(2, 3), box=(4.5, 3.0, 90.0, 60.0))

        def painted(picture: np.ndarray) -> np.ndarray:
            return paint(picture, seen, maps()[0], settings, steps=maps())

        veiled = Veil.of(painted, (64, 96)).over(photo).astype(int)
        np.testing.assert_allclose(veiled, painted(photo), atol=2)
        assert (veiled[:, :4] == photo[:, :4]).all()  # outside of the box

    @pytest.mark.parametrize("mosaic", [False, True])
    def test_random_weights_are_named_in_red(self, mosaic: bool) -> None:
        def last_rows(trained: bool) -> np.ndarray:
            shown = replace(explanation(), trained=trained)
            film = render_overlay_video(shown, CLIP, PATCH, mosaic=mosaic)
            return read_clip(film, num_frames=3).frames[:, -18:, :60].astype(int)

        assert (np.ptp(last_rows(False), axis=(1, 2)) > 100).all()
        reddest = (last_rows(False)[..., 0] - last_rows(False)[..., 1]).max(axis=(1, 2))
        assert (reddest > 60).all()
        assert (abs(last_rows(True) - last_rows(False)).max(axis=(1, 2, 3)) > 100).all()

    def test_the_box_scales_with_the_frames(self) -> None:
        large = np.full((2, 128, 192, 3), 100, np.uint8)
        twice = clip_explanation(maps(), large, np.array([0.25, 0.75]), ((0, 1), (1, 2)))
        twice = replace(
            twice,
            geometry=Geometry(source_size=(128, 192), model_size=(2, 3), box=(96, 0, 192, 128)),
        )
        video = read_clip(render_overlay_video(twice, CLIP, PATCH), num_frames=1, end_s=0.1)
        plain = next(read_stretch(CLIP).frames())
        np.testing.assert_allclose(video.frames[0, :, :46].astype(int), plain[:, :46], atol=12)
        assert abs(video.frames[0, :, 50:].astype(int) - plain[:, 50:]).mean() > 30

    def test_mosaic(self) -> None:
        video = read_clip(
            render_overlay_video(explanation(), CLIP, PATCH, mosaic=True), num_frames=10
        )
        # Three tokens and the composite, each 3:2, are closest to 16:9 in two rows of two.
        height, width = video.frames.shape[1:3]
        assert (height, width) == (128, 192)
        for frame, spots in ((video.frames[1], SPOTS[0]), (video.frames[8], SPOTS[1])):
            tiles = [frame[:64, :96], frame[:64, 96:], frame[64:, :96]]
            assert [brightest_cell(tile) for tile in tiles] == spots
            for token, (row, column) in enumerate(spots):
                colour = frame[64 + row * 32 + 16, 96 + column * 32 + 16]
                np.testing.assert_allclose(colour.astype(int), token_rgb(token), atol=30)
            for token, tile in enumerate(tiles):
                np.testing.assert_allclose(
                    tile[4:16, 2:6].astype(int).mean(axis=(0, 1)), token_rgb(token), atol=30
                )


class TestFiles:
    def test_rate_size_and_sound_are_the_clip_s(self) -> None:
        clip = make_clip(15, fps=30, audio_s=0.5)
        facts = probe(render_overlay_video(explanation(), clip, PATCH, with_sound=True))
        assert (facts.num_frames, facts.width_px, facts.height_px) == (15, 96, 64)
        assert facts.fps == pytest.approx(30, rel=1e-3)
        assert facts.has_audio
        assert not probe(render_overlay_video(explanation(), clip, PATCH)).has_audio
        assert probe(render_overlay_video(explanation(), clip, PATCH, kind="gif")).codec == "gif"

    def test_it_stops_when_told(self) -> None:
        seen = []

        def progress(done: int, total: int) -> bool:
            seen.append((done, total))
            return done < 3

        data = render_overlay_video(explanation(), CLIP, PATCH, progress=progress)
        assert probe(data).num_frames == 3
        assert seen == [(0, 10), (1, 10), (2, 10), (3, 10)]

    def test_no_such_learner_or_token(self) -> None:
        with pytest.raises(ConfigError, match="learner 1 was asked for"):
            render_overlay_video(explanation(), CLIP, PATCH, learner=1)
        with pytest.raises(ConfigError, match="token 3 was asked for"):
            render_overlay_video(explanation(), CLIP, replace(PATCH, tokens=(3,)))


def tiles(page: np.ndarray, rows: int, columns: int, height: int, width: int) -> np.ndarray:
    """The tiles of a page, [row, column, height, width, 3]."""
    left, top = 60, 80
    return np.array(
        [
            [
                page[top + r * (height + 4) :, left + c * (width + 4) :][:height, :width]
                for c in range(columns)
            ]
            for r in range(rows)
        ]
    )


class TestStrips:
    def test_filmstrip(self) -> None:
        page = render_filmstrip(explanation(), replace(PATCH, tokens=(1,)))
        (strip,) = tiles(page, 1, 2, 133, 200)
        for step in range(2):
            row, column = SPOTS[step][1]
            assert strip[step][row * 66 + 33, column * 66 + 33].tolist() == [253, 231, 37]
            other = SPOTS[1 - step][1]
            assert strip[step][other[0] * 66 + 33, other[1] * 66 + 33].tolist() != [253, 231, 37]

    def test_token_tube_has_all_tokens_at_all_steps(self) -> None:
        page = render_token_tube(explanation(), replace(PATCH, tokens=(1,), mode="composite"))
        tube = tiles(page, 4, 2, 75, 112)
        for step, spots in enumerate(SPOTS):
            for token, (row, column) in enumerate(spots):
                y, x = row * 37 + 18, column * 37 + 18
                assert tube[token, step, y, x].tolist() == [253, 231, 37]
                assert tube[3, step, y, x].tolist() == list(token_rgb(token))
        seen = {tuple(colour) for colour in np.unique(page.reshape(-1, 3), axis=0).tolist()}
        assert {token_rgb(token) for token in range(len(TOKEN_COLORS[:3]))} <= seen

    @pytest.mark.parametrize(
        "changes", [{"trained": False}, {"untrained_parts": ("TokenLearner",)}]
    )
    def test_random_weights_are_named_in_red(self, changes: dict[str, Any]) -> None:
        plain = render_filmstrip(explanation(), PATCH)
        marked = render_filmstrip(replace(explanation(), **changes), PATCH)
        changed = (plain != marked).any(axis=-1)
        assert changed.any()
        assert (marked[changed][:, 0] > marked[changed][:, 2]).all()

    def test_a_page_is_wide_enough_for_all_that_is_random(self) -> None:
        parts = ("TokenLearner", "TokenFuser", "head")
        marked = render_filmstrip(replace(explanation(), untrained_parts=parts), PATCH)
        assert marked.shape[1] > render_filmstrip(explanation(), PATCH).shape[1]
        assert (marked[:, -20:] == 255).all()

    def test_many_steps_make_small_tiles(self) -> None:
        many = np.repeat(maps(), 150, axis=0)
        frames = np.full((300, 64, 96, 3), 100, np.uint8)
        ranges = tuple((step, step + 1) for step in range(300))
        long = clip_explanation(many, frames, np.arange(300) / 10, ranges)
        assert render_filmstrip(long, PATCH).shape[1] < 9000
