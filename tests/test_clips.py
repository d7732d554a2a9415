"""`explain_clip` and the object it returns."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests import tiny
from tests.answers import assert_same
from tests.media.clip_makers import make_clip
from tests.test_overlay_geometry import brightness_model
from tokenlearner.clips import ClipExplanation, explain_clip
from tokenlearner.efficiency import count_macs
from tokenlearner.errors import ConfigError, MediaError, ShapeError, TokenLearnerError
from tokenlearner.inference import Explanation, explain
from tokenlearner.media.videos import Clip
from tokenlearner.models import VideoVisionTransformer
from tokenlearner.preprocess import prepare


def clip(num_frames: int = 11, size: tuple[int, int] = (30, 44), seed: int = 0) -> Clip:
    """A clip of noise."""
    shape = (num_frames, *size, 3)
    return tiny.clip(np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8))


def clip_model_with(**changes: Any) -> VideoVisionTransformer:
    """A tiny model for clips with another arrangement of time."""
    model = VideoVisionTransformer(replace(tiny.clip_config(), stem_widths=(), **changes))
    model.info = tiny.clip_model().info
    return model.eval()


class TestImageModel:
    def test_sees_each_frame_as_it_sees_a_photo(self) -> None:
        model, shown = tiny.model(), clip()
        found = explain_clip(model, shown)
        photos = [explain(model, frame) for frame in shown.frames]
        assert found.frame_probabilities is not None
        wanted = np.stack([photo.probabilities for photo in photos])
        np.testing.assert_allclose(found.frame_probabilities, wanted, rtol=1e-5)
        np.testing.assert_allclose(found.probabilities, wanted.mean(axis=0), rtol=1e-5)
        assert found.maps.shape == (11, 2, 4, 4)
        np.testing.assert_allclose(found.maps, np.stack([p.maps for p in photos]), rtol=1e-5)
        tokens = np.stack([photo.learners[0].tokens for photo in photos])
        np.testing.assert_allclose(found.learners[0].tokens, tokens, rtol=1e-5, atol=1e-6)
        assert (found.learners[0].block, found.learners[0].version) == (1, "1.1")
        assert found.geometry == photos[0].geometry

    def test_keeps_the_clip(self) -> None:
        shown = clip(3)
        found = explain_clip(tiny.model(), shown)
        assert np.array_equal(found.frames, shown.frames)
        assert np.array_equal(found.times_s, shown.times_s)
        assert found.facts == shown.facts
        assert found.notes == shown.notes == ("turned upright",)
        assert found.step_frames == ((0, 1), (1, 2), (2, 3))
        assert found.step_times_s.tolist() == shown.times_s.tolist()

    def test_costs_are_those_of_all_frames(self) -> None:
        model = tiny.model()
        photo = explain(model, clip(1).frames[0])
        found = explain_clip(model, clip(3))
        assert found.macs == 3 * photo.macs
        assert found.tokens_per_layer == (3 * 16, 3 * 2)
        assert [s.name for s in found.stages] == [s.name for s in photo.stages]
        assert found.num_parameters == photo.num_parameters

    def test_a_baseline_has_no_maps(self) -> None:
        found = explain_clip(tiny.model(learner=False), clip(2))
        assert found.learners == ()
        assert found.step_frames == ((0, 1), (1, 2))
        with pytest.raises(ConfigError, match="tiny has no TokenLearner, so there are no maps"):
            _ = found.maps

    @pytest.mark.parametrize("size", [(80, 240), (240, 80)], ids=["wide", "tall"])
    def test_the_map_follows_a_bright_square_over_a_frame_that_is_no_square(
        self, size: tuple[int, int]
    ) -> None:
        """Cropped to 80 × 80 px in the middle, 20 px a cell."""
        top, left = (size[0] - 80) // 2, (size[1] - 80) // 2
        cells = [(0, 0), (1, 0), (3, 2)]
        frames = np.zeros((3, *size, 3), np.uint8)
        for frame, (row, column) in zip(frames, cells, strict=True):
            y, x = top + 20 * row, left + 20 * column
            frame[y : y + 20, x : x + 20] = 255
        found = explain_clip(brightness_model(32, "crop"), tiny.clip(frames))
        for step, (row, column) in enumerate(cells):
            assert found.maps[step, 0, row, column] > 0.999
            x, y = left + 20 * column, top + 20 * row
            assert found.geometry.cell_box(row, column, (4, 4)) == (x, y, x + 20, y + 20)


class TestClipModel:
    def test_sees_the_clip_at_once(self) -> None:
        model, shown = tiny.clip_model(), clip(4)
        found = explain_clip(model, shown)
        assert model.info is not None
        frames = [prepare(frame, model.info.preprocessing) for frame in shown.frames]
        inputs = torch.stack([images[0] for images, _ in frames], dim=1)[None]
        trace = model.trace(inputs)
        wanted = trace.logits[0].softmax(0).detach()
        np.testing.assert_allclose(found.probabilities, wanted, rtol=1e-5)
        assert found.frame_probabilities is None
        assert found.maps.shape == (2, 2, 4, 4)
        np.testing.assert_allclose(found.maps, trace.learners[0].maps[0].detach(), rtol=1e-5)
        tokens = trace.learners[0].tokens_after[0].detach()
        np.testing.assert_allclose(found.learners[0].tokens, tokens, rtol=1e-5, atol=1e-6)
        assert (found.learners[0].block, found.learners[0].version) == (1, "1.1")
        assert found.geometry == frames[0][1]
        assert np.array_equal(found.frames, shown.frames)

    def test_a_step_covers_a_tubelet(self) -> None:
        found = explain_clip(tiny.clip_model(), clip(7))  # the last frame fills no tubelet
        assert found.step_frames == ((0, 2), (2, 4), (4, 6))
        assert found.step_times_s.tolist() == pytest.approx([0.05, 0.25, 0.45])
        assert len(found.maps) == 3
        assert len(found.frames) == len(found.times_s) == 6
        assert found.notes[-1] == "the model takes frames by tubelets, so it sees 6 of 7"

    def test_tracks_are_in_pixels_of_the_file(self) -> None:
        model, data = brightness_model(64, "squash"), make_clip(4)
        whole = explain_clip(model, data, num_frames=2)
        small = explain_clip(model, data, num_frames=2, max_side_px=48)
        assert (whole.geometry.source_size, small.geometry.source_size) == ((64, 96), (32, 48))
        for name in ("x_px", "y_px", "spread_px"):
            wanted = getattr(whole.tracks(), name)
            np.testing.assert_allclose(getattr(small.tracks(), name), wanted, atol=2)
            assert wanted.max() > 10

    def test_frames_of_a_file_by_tubelets(self) -> None:
        found = explain_clip(tiny.clip_model(), make_clip(40), num_frames=5)
        assert found.times_s.tolist() == pytest.approx([0.5, 1.5, 2.5, 3.5])  # all of the file
        assert found.notes == ("the model takes frames by tubelets, so it sees 4 of 5",)

    def test_a_step_covers_what_sampling_takes(self) -> None:
        """Of 9 frames, 3 and 6 are taken."""
        model = clip_model_with(num_frames=9, tubelet_frames=1, sampled_frames=2)
        found = explain_clip(model, clip(9))
        assert found.step_frames == ((3, 4), (6, 7))
        together = clip_model_with(num_frames=9, tubelet_frames=2, sampled_frames=2)
        assert explain_clip(together, clip(9)).step_frames == ((3, 7),)

    def test_costs(self) -> None:
        model = tiny.clip_model()
        found = explain_clip(model, clip(4))
        assert found.tokens_per_layer == model.config.tokens_per_block == (2 * 16, 2 * 2)
        assert found.stages == count_macs(model.config).stages
        assert explain_clip(model, clip(8)).tokens_per_layer == (4 * 16, 4 * 2)

    def test_progress_and_file(self, tmp_path: Path) -> None:
        told: list[tuple[int, int]] = []
        found = explain_clip(
            tiny.clip_model(), clip(4), progress=lambda *done: told.append(done) is not None
        )
        assert told == [(4, 4)]
        found.save(tmp_path / "e.npz")
        assert_same(ClipExplanation.load(tmp_path / "e.npz"), found)

    def test_a_baseline(self) -> None:
        found = explain_clip(tiny.clip_model(learner=False), clip(4))
        assert found.learners == ()
        assert found.step_frames == ((0, 2), (2, 4))

    def test_too_few_frames(self) -> None:
        with pytest.raises(ShapeError, match=r"clips of 1 frames .* a tubelet is 2 frames of"):
            explain_clip(tiny.clip_model(), clip(1))

    def test_patches_that_straddle_frames(self) -> None:
        model = clip_model_with(num_frames=2, tubelet_frames=1, stack_frames=True)
        assert explain_clip(model, clip(2)).maps.shape == (2, 2, 4, 4)
        assert model.info is not None
        preprocessing = replace(model.info.preprocessing, image_size=(18, 16))
        model.info = replace(model.info, preprocessing=preprocessing)
        with pytest.raises(ConfigError, match=r"tiny-clips cuts 18 px high .* of 4 px, which stra"):
            explain_clip(model, clip(2))


class TestTracks:
    def test_follow_a_bright_square(self) -> None:
        frames = np.zeros((3, 80, 120, 3), np.uint8)
        for step, left in enumerate((20, 40, 80)):  # the model sees 20 to 100
            frames[step, 20:40, left : left + 20] = 255
        found = explain_clip(brightness_model(32, "crop"), tiny.clip(frames, fps=2)).tracks()
        assert found.x_px[:, 0].tolist() == pytest.approx([30, 50, 90], abs=0.1)
        assert found.y_px[:, 0].tolist() == pytest.approx([30, 30, 30], abs=0.1)
        assert found.speed_px_s[1:, 0].tolist() == pytest.approx([40, 80], abs=0.5)
        assert found.jitter_px[1, 0] == pytest.approx(10, abs=0.1)
        assert found.strength_kind == "peak"

    def test_of_a_learner_that_is_not_there(self) -> None:
        found = explain_clip(tiny.model(), clip(1))
        with pytest.raises(ConfigError, match="learner 1 was asked for, but tiny has 1"):
            found.tracks(1)


class TestRotated:
    def test_the_map_lies_on_the_bright_field_of_the_upright_frame(self, tmp_path: Path) -> None:
        """Stored as 64 × 96 px and turned by a quarter: seen are the middle 64 of 96 rows."""
        turned = (0, 65536, 0, -65536, 0, 0, 0, 0, 1 << 30)
        path = tmp_path / "turned.mp4"
        path.write_bytes(make_clip(5, matrix=turned))
        found = explain_clip(brightness_model(32, "crop"), path, num_frames=5)
        assert found.geometry.source_size == (96, 64)
        assert found.geometry.box == (0, 16, 64, 80)
        for number in (2, 4):  # one of twelve fields is white
            row, column = np.unravel_index(found.maps[number, 0].argmax(), (4, 4))
            left, top, right, bottom = found.geometry.cell_box(int(row), int(column), (4, 4))
            frame = found.frames[number, :, :, 1]
            assert frame[round((top + bottom) / 2), round((left + right) / 2)] > 200
            assert frame.mean() < 60


def test_a_stretch_of_a_file() -> None:
    """Of 30 frames, 10 a second: those shown in the middle of both halves of the second second."""
    found = explain_clip(tiny.model(), make_clip(30), num_frames=2, start_s=1.0, end_s=2.0)
    assert found.times_s.tolist() == pytest.approx([1.2, 1.7])


class TestProgress:
    def test_tells_the_frames_that_are_done(self) -> None:
        model, shown = tiny.model(), clip(11)
        told: list[tuple[int, int]] = []

        def progress(done: int, total: int) -> bool:
            told.append((done, total))
            return True

        found = explain_clip(model, shown, progress=progress)
        assert told == [(4, 11), (8, 11), (11, 11)]
        assert_same(found, explain_clip(model, shown))

    def test_a_stop_keeps_what_is_done_and_nothing_else(self) -> None:
        model, shown = tiny.model(), clip(20)
        found = explain_clip(model, shown, progress=lambda done, total: False)
        first = replace(shown, frames=shown.frames[:4], times_s=shown.times_s[:4])
        assert_same(found, explain_clip(model, first))


class TestErrors:
    def test_without_info(self) -> None:
        model = tiny.model()
        model.info = None
        with pytest.raises(ConfigError, match=r"has no info .* set model\.info"):
            explain_clip(model, clip())

    def test_in_training(self) -> None:
        with pytest.raises(ConfigError, match=r"in training mode.*; call model\.eval\(\)"):
            explain_clip(tiny.model().train(), clip())

    @pytest.mark.parametrize(
        "spoil",
        [
            lambda frames: frames[:0],
            lambda frames: frames[..., 0],
            lambda frames: frames[..., :2],
            lambda frames: frames.astype(np.float32),
        ],
        ids=["none", "gray", "two channels", "floats"],
    )
    @pytest.mark.usefixtures("_as_users_run_it")
    def test_frames_of_another_shape(self, spoil: Callable[[np.ndarray], np.ndarray]) -> None:
        frames = spoil(clip(3).frames)
        with pytest.raises(ShapeError, match=r"wanted uint8 RGB \[time, height, width, 3\], at le"):
            explain_clip(tiny.model(), tiny.clip(frames))

    def test_times_of_another_number(self) -> None:
        shown = replace(clip(3), times_s=np.zeros(2))
        with pytest.raises(ShapeError, match=r"3 frames, but times of shape \[2\]; wanted one"):
            explain_clip(tiny.model(), shown)

    def test_another_number_of_frames_than_the_clip_has(self) -> None:
        with pytest.raises(ConfigError, match="num_frames is 4, but this clip has 3 frames; leave"):
            explain_clip(tiny.model(), clip(3), num_frames=4)
        assert len(explain_clip(tiny.model(), clip(3), num_frames=3).frames) == 3

    @pytest.mark.parametrize("stretch", [{"start_s": 0.5}, {"end_s": 1.0}])
    def test_a_stretch_of_frames(self, stretch: Any) -> None:
        with pytest.raises(ConfigError, match="a Clip is taken as it is; read that section of the"):
            explain_clip(tiny.model(), clip(3), **stretch)

    def test_no_frames(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="num_frames is 0"):
            explain_clip(tiny.model(), tmp_path / "clip.mp4", num_frames=0)

    def test_unreadable(self, tmp_path: Path) -> None:
        with pytest.raises(MediaError):
            explain_clip(tiny.model(), tmp_path / "none.mp4")


class TestFile:
    @pytest.mark.parametrize("learner", [True, False])
    def test_round_trip(self, tmp_path: Path, learner: bool) -> None:
        found = explain_clip(tiny.model(learner=learner), clip(3))
        found.save(tmp_path / "e.npz")
        loaded = ClipExplanation.load(tmp_path / "e.npz")
        assert_same(loaded, found)
        assert loaded.predictions == found.predictions

    def test_without_an_answer_for_each_frame(self, tmp_path: Path) -> None:
        found = replace(explain_clip(tiny.model(), clip(2)), frame_probabilities=None)
        found.save(tmp_path / "e.npz")
        assert_same(ClipExplanation.load(tmp_path / "e.npz"), found)

    def test_that_of_a_photo_is_another(self, tmp_path: Path) -> None:
        explain(tiny.model(), clip(1).frames[0]).save(tmp_path / "photo.npz")
        with pytest.raises(
            TokenLearnerError, match=r"open it with tokenlearner\.Explanation\.load"
        ):
            ClipExplanation.load(tmp_path / "photo.npz")
        explain_clip(tiny.model(), clip(1)).save(tmp_path / "clip.npz")
        with pytest.raises(
            TokenLearnerError, match=r"holds an object of ClipExplanation, not of Exp"
        ):
            Explanation.load(tmp_path / "clip.npz")
