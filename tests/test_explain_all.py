"""`explain_all`, and what `explain` and `explain_clip` say to what is no model or no photo."""

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image as PillowImage

from tests import tiny
from tests.media.clip_makers import make_clip
from tokenlearner import Clip, ClipExplanation, explain, explain_all, explain_clip
from tokenlearner.efficiency import optimise
from tokenlearner.errors import (
    ConfigError,
    MediaError,
    ShapeError,
    TokenLearnerError,
    UnsupportedMediaError,
)
from tokenlearner.media import encode_video

SIZES = [(30, 44), (16, 16), (50, 20), (9, 80), (30, 44)]


def photos() -> list[np.ndarray]:
    random = np.random.default_rng(0)
    return [random.integers(0, 256, (*size, 3), dtype=np.uint8) for size in SIZES]


class TestExplainAll:
    @pytest.mark.parametrize("batch_size", [1, 2, 16])
    def test_is_explain_for_each_whatever_its_size(self, batch_size: int) -> None:
        model = tiny.model()
        found = list(explain_all(model, photos(), batch_size=batch_size))
        assert [one.geometry.source_size for one in found] == SIZES
        for one, photo in zip(found, photos(), strict=True):
            wanted = explain(model, photo)
            assert (one.geometry, one.stages) == (wanted.geometry, wanted.stages)
            assert np.array_equal(one.image, photo)
            np.testing.assert_allclose(one.probabilities, wanted.probabilities, rtol=1e-4)
            np.testing.assert_allclose(one.maps, wanted.maps, rtol=1e-4)
            np.testing.assert_allclose(
                one.learners[0].tokens, wanted.learners[0].tokens, rtol=1e-4, atol=1e-6
            )

    def test_so_many_go_through_the_model_at_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        model, sizes = tiny.model(), []
        trace = model.trace
        monkeypatch.setattr(model, "trace", lambda x: sizes.append(len(x)) or trace(x))
        assert len(list(explain_all(model, photos(), batch_size=2))) == 5
        assert sizes == [2, 2, 1]

    def test_photos_are_read_as_they_are_needed(self) -> None:
        read = []

        def source() -> Iterator[np.ndarray]:
            for number, photo in enumerate(photos()):
                read.append(number)
                yield photo

        found = explain_all(tiny.model(), source(), batch_size=2)
        next(found)
        assert read == [0, 1]

    def test_none_are_no_explanations(self) -> None:
        assert list(explain_all(tiny.model(), [])) == []

    def test_a_file_that_cannot_be_used_ends_it(self, tmp_path: Path) -> None:
        some = [*photos()[:2], tmp_path / "none.jpg", photos()[3]]
        found = explain_all(tiny.model(), some)
        assert [next(found).geometry.source_size for _ in range(2)] == SIZES[:2]
        with pytest.raises(MediaError, match="cannot be read"):
            next(found)
        assert list(found) == []

    def test_one_kept_does_not_keep_the_others(self) -> None:
        found = next(explain_all(tiny.model(), photos()))
        assert found.maps.base is None
        assert found.learners[0].tokens.base is None

    @pytest.mark.usefixtures("_as_users_run_it")
    def test_one_photo_is_not_many(self) -> None:
        ones: list[Any] = ["photo.jpg", Path("photo.jpg"), b"", photos()[0]]
        for one in [*ones, PillowImage.fromarray(photos()[0])]:
            with pytest.raises(ShapeError, match="Got one photo; wanted several: explain_all"):
                explain_all(tiny.model(), one)
        stacked: Any = np.stack([photos()[0]] * 3)
        assert len(list(explain_all(tiny.model(), stacked))) == 3

    def test_what_is_wrong_is_said_at_once(self) -> None:
        with pytest.raises(ConfigError, match="batch_size is 0; it must be at least 1"):
            explain_all(tiny.model(), [], batch_size=0)
        with pytest.raises(ConfigError, match="takes clips, not photos"):
            explain_all(tiny.clip_model(), [])


def test_an_array_that_is_used_again_changes_nothing() -> None:
    photo = photos()[0]
    wanted = photo.copy()
    found = explain(tiny.model(), photo)
    photo[:] = 255
    assert np.array_equal(found.image, wanted)
    with pytest.raises(ValueError, match="read-only"):
        found.image[0] = 0


class TestClipsInMemory:
    def test_are_explained_as_the_file_is(self) -> None:
        frames = np.stack([photos()[0]] * 3 + [photos()[4]] * 3)
        found = explain_clip(tiny.model(), Clip.of_frames(frames, fps=12.5))
        assert np.array_equal(found.frames, frames)
        assert found.times_s.tolist() == [0, 0.08, 0.16, 0.24, 0.32, 0.4]
        assert found.facts.duration_s == pytest.approx(0.48)
        assert found.maps.shape == (6, 2, 4, 4)
        frames[:] = 0
        assert found.frames.any()

    def test_a_file_s_bytes_are_taken_as_well(self, tmp_path: Path) -> None:
        model, data = tiny.model(), make_clip(5)
        (tmp_path / "clip.mp4").write_bytes(data)
        one = explain_clip(model, data, num_frames=2)
        other = explain_clip(model, tmp_path / "clip.mp4", num_frames=2)
        assert np.array_equal(one.maps, other.maps)

    @pytest.mark.usefixtures("_as_users_run_it")
    @pytest.mark.parametrize("fps", [Fraction(25, 2), np.float32(12.5)])
    def test_a_rate_of_another_kind(self, fps: Any, tmp_path: Path) -> None:
        frames = np.zeros((2, 16, 16, 3), np.uint8)
        found = explain_clip(tiny.model(), Clip.of_frames(frames, fps=fps))
        found.save(tmp_path / "clip.npz")
        assert ClipExplanation.load(tmp_path / "clip.npz").facts.fps == 12.5

    @pytest.mark.parametrize("fps", [0.0, -1.0, float("nan"), float("inf")])
    def test_no_rate(self, fps: float) -> None:
        with pytest.raises(ConfigError, match=r"fps is .*; wanted a finite number above 0"):
            Clip.of_frames(np.zeros((2, 8, 8, 3), np.uint8), fps=fps)

    @pytest.mark.usefixtures("_as_users_run_it")
    def test_other_things(self) -> None:
        frames: Any = np.zeros((2, 8, 8, 3), np.uint8)
        with pytest.raises(ShapeError, match=r"a ndarray; wanted a clip.*Clip\.of_frames\(frames"):
            explain_clip(tiny.model(), frames)
        with pytest.raises(ShapeError, match=r"Got uint8 frames of shape \[8, 8, 3\]; wanted"):
            Clip.of_frames(frames[0], fps=5)


class TestProgress:
    def test_one_that_returns_nothing_stops_nothing(self) -> None:
        told = []
        shown = Clip.of_frames(np.zeros((9, 16, 16, 3), np.uint8), fps=5)
        found = explain_clip(tiny.model(), shown, progress=lambda *said: told.append(said))
        assert (len(found.frames), told) == (9, [(4, 9), (8, 9), (9, 9)])


@pytest.mark.usefixtures("_as_users_run_it")
class TestModels:
    SHOWN = np.zeros((16, 16, 3), np.uint8)

    def test_a_compiled_one_is_the_one_inside(self) -> None:
        model = tiny.model()
        compiled: Any = torch.compile(model)
        wanted = explain(model, self.SHOWN).maps
        assert np.array_equal(explain(compiled, self.SHOWN).maps, wanted)
        model = tiny.clip_model()
        compiled = torch.compile(model)
        clip = Clip.of_frames(np.zeros((6, 16, 16, 3), np.uint8), fps=5)
        wanted = explain_clip(model, clip).maps
        assert np.array_equal(explain_clip(compiled, clip).maps, wanted)

    def test_a_name_is_to_be_loaded(self) -> None:
        name: Any = "imagenette-conv-vit-tl8"
        with pytest.raises(ConfigError, match=rf"wanted a model: tokenlearner\.load\('{name}'\)"):
            explain(name, self.SHOWN)

    def test_an_optimised_one_says_what_it_is_for(self) -> None:
        fast: Any = optimise(tiny.model())
        with pytest.raises(ConfigError, match="an optimised model cannot be explained"):
            explain(fast, self.SHOWN)

    def test_other_networks(self) -> None:
        network: Any = torch.nn.Linear(3, 3)
        with pytest.raises(ConfigError, match="got a Linear; wanted a model of tokenlearner"):
            explain(network, self.SHOWN)


class TestTheOtherKindOfFile:
    @pytest.mark.parametrize("kind", ["mp4", "gif"])
    def test_a_clip_is_none_of_the_photos(self, kind: str) -> None:
        data = encode_video(np.zeros((3, 16, 16, 3), np.uint8), fps=5, kind=kind)
        with pytest.raises(UnsupportedMediaError, match=r"tokenlearner\.explain_clip takes it"):
            explain(tiny.model(), data)

    def test_a_photo_is_no_clip(self) -> None:
        with pytest.raises(UnsupportedMediaError, match=r"tokenlearner\.explain takes it"):
            explain_clip(tiny.model(), tiny.photo(0, 0))

    def test_neither(self) -> None:
        for call in (explain, explain_clip):
            with pytest.raises(UnsupportedMediaError) as caught:
                call(tiny.model(), b"only text")
            assert "takes it" not in str(caught.value)


class TestSaving:
    def test_the_folder_is_made(self, tmp_path: Path) -> None:
        explain(tiny.model(), photos()[0]).save(tmp_path / "a" / "b" / "e.npz")
        assert (tmp_path / "a" / "b" / "e.npz").is_file()

    def test_a_place_that_is_none_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(TokenLearnerError, match=r"cannot write .*e\.npz: ") as caught:
            explain(tiny.model(), photos()[0]).save(tmp_path / "file" / "e.npz")
        assert ".new" not in str(caught.value)


def test_pillow_s_pictures_are_taken_in_any_mode() -> None:
    gray = PillowImage.fromarray(photos()[0]).convert("L")
    wanted = np.repeat(np.asarray(gray)[:, :, None], 3, axis=2)
    assert np.array_equal(explain(tiny.model(), gray).image, wanted)


def test_it_shows_itself_in_a_line() -> None:
    found = explain(tiny.model(), photos()[0])
    name, probability = found.predictions[0]
    assert repr(found) == f"<Explanation by tiny: {name} {100 * probability:.1f} %, maps 2×4×4>"
    clip = Clip.of_frames(np.zeros((3, 16, 16, 3), np.uint8), fps=5)
    shown = repr(explain_clip(tiny.model(learner=False), clip))
    assert shown.startswith("<ClipExplanation by tiny: ")
    assert shown.endswith(" %, no maps>")


def test_facts_are_those_of_the_model() -> None:
    model = tiny.model()
    assert model.info is not None
    model.info = replace(model.info, name="renamed")
    assert [one.model_name for one in explain_all(model, photos()[:2])] == ["renamed"] * 2
