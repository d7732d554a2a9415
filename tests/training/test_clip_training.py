"""Training on clips: what differs from photos."""

from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests import tiny, tiny_clips
from tests.shell import call
from tests.training.test_loop import assert_equal, finish
from tokenlearner import zoo
from tokenlearner.checkpoints import save_model
from tokenlearner.errors import ConfigError, DataError
from tokenlearner.models import VideoVisionTransformer, VisionTransformer
from tokenlearner.training import recipes
from tokenlearner.training.augment import Augmentation
from tokenlearner.training.data import LabelledClips, LabelledImages, read_clips
from tokenlearner.training.fit import check_fit
from tokenlearner.training.initialise import initialise
from tokenlearner.training.loop import Trainer
from tokenlearner.training.recipes import ClipSampling, Distillation, Recipe
from tokenlearner.training.samples import (
    SamplesFromClips,
    _ample_side_px,
    _draw_box,
    open_photos,
)

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_clips.write_dataset(tmp_path_factory.mktemp("clips"))


@pytest.fixture(scope="module")
def data(folder: Path) -> LabelledClips:
    return read_clips(folder, "train")


def start(data: LabelledClips, out: Path, recipe: Recipe, **options: Any) -> Trainer:
    return Trainer(recipe, data, out, device=CPU, mixed_precision=False, **options)


class TestTrainer:
    def test_it_learns_what_only_motion_tells(self, data: LabelledClips, tmp_path: Path) -> None:
        recipe = tiny_clips.recipe(
            learning_rate=1e-2,
            stages=((30, 16),),
            augmentation=replace(tiny_clips.recipe().augmentation, mixup=0.0, erase=0.0),
            label_smoothing=0.0,
        )
        reports = list(start(data, tmp_path, recipe).run())
        assert reports[-1]["loss"] < 0.2 < reports[0]["loss"]
        assert reports[-1]["heldout_accuracy"] == 1

    @pytest.mark.parametrize("canvas", [(16, 16), None])
    def test_a_run_resumes_to_the_same_weights(
        self, data: LabelledClips, tmp_path: Path, canvas: tuple[int, int] | None
    ) -> None:
        recipe = tiny_clips.recipe(canvas=canvas, stages=((2, 16),))
        wanted = finish(start(data, tmp_path / "whole", recipe))
        first = start(data, tmp_path / "parts", recipe)
        for _ in islice(first.run(checkpoint_every=1), 2):
            pass
        assert_equal(finish(start(data, tmp_path / "parts", recipe)), wanted)

    def test_parts_of_a_step_add_up(self, data: LabelledClips, tmp_path: Path) -> None:
        plain = replace(tiny_clips.config(), dropout=0.0, attention_dropout=0.0, stem_widths=())
        recipe = tiny_clips.recipe(model=replace(plain, patch_size=(4, 4)), stages=((1, 16),))
        whole = [r["loss"] for r in start(data, tmp_path / "1", recipe).run()]
        parts = [r["loss"] for r in start(data, tmp_path / "2", recipe, accumulate=2).run()]
        assert parts == pytest.approx(whole, rel=1e-4)

    def test_photos_and_clips_are_told_apart(self, data: LabelledClips, tmp_path: Path) -> None:
        photos = LabelledImages("photos", (b"",) * 9, np.zeros(9, np.int64), tiny_clips.CLASSES)
        with pytest.raises(DataError, match=r"photos holds photos, but .* trains on clips"):
            Trainer(tiny_clips.recipe(), photos, tmp_path, device=CPU)
        with pytest.raises(DataError, match=r"holds clips, but .* trains on photos"):
            start(data, tmp_path, tiny.recipe())

    def test_messages_speak_of_clips(self, data: LabelledClips, tmp_path: Path) -> None:
        several = replace(data, labels=np.eye(2, dtype=bool)[data.labels])
        with pytest.raises(DataError, match="has any number of classes per clip, but the softmax"):
            check_fit(tiny_clips.recipe(), several, model=None, teacher=None)
        broken = replace(data, encoded=(b"no clip", *list(data.encoded)[1:]), max_unusable=0.0)
        recipe = tiny_clips.recipe(canvas=None, stages=((1, 16),), holdout=0)
        with pytest.raises(DataError, match="1 of 12 training clips cannot be used"):
            list(start(broken, tmp_path, recipe).run())

    def test_recipes_that_contradict_themselves(self) -> None:
        with pytest.raises(ConfigError, match="a model of clips needs clip sampling"):
            tiny_clips.recipe(clips=None)
        with pytest.raises(ConfigError, match="one of photos has none"):
            tiny.recipe(clips=ClipSampling())
        with pytest.raises(ConfigError, match="6 frames per second of clips that lie in memory"):
            tiny_clips.recipe(clips=ClipSampling(frames_per_s=6))

    def test_samples_from_files_are_crops_of_a_stretch(self, data: LabelledClips) -> None:
        recipe = tiny_clips.recipe(canvas=None, stages=((2, 16),))
        samples = SamplesFromClips(data, recipe)
        pixels, row, reason = samples[0, 3]
        assert tuple(pixels.shape) == (4, 3, 16, 16)
        assert (row, reason) == (3, "")
        assert torch.equal(pixels, samples[0, 3][0])
        assert not torch.equal(pixels, samples[1, 3][0])

    def test_samples_at_a_rate_lie_anywhere_in_the_clip(self) -> None:
        # Each frame shows its number; a second has ten of them.
        shades = np.arange(12, dtype=np.uint8)[:, None, None, None] * 20
        frames = np.broadcast_to(shades, (12, 32, 32, 3)).copy()
        data = LabelledClips("", (tiny_clips.encode(frames),), np.zeros(1, int), ("x",))
        sampling = ClipSampling(frames_per_s=5)
        recipe = tiny_clips.recipe(canvas=None, stages=((99, 16),), clips=sampling)
        samples = SamplesFromClips(data, recipe)
        seen = [(samples[epoch, 0][0][:, 0, 8, 8] / 20).round().tolist() for epoch in range(40)]
        assert {tuple(np.diff(numbers)) for numbers in seen} == {(2.0, 2.0, 2.0)}
        assert {numbers[0] for numbers in seen} >= {1.0, 2.0, 3.0, 4.0}

    @pytest.mark.parametrize("canvas", [(16, 16), None])
    def test_frames_larger_than_fit_in_memory_are_reduced(
        self, canvas: tuple[int, int] | None
    ) -> None:
        """Forty of 3840 x 2160 px are more than may be read, which `scan` does not ask for."""
        frames = np.full((1, 2160, 3840, 3), 200, np.uint8)
        data = LabelledClips("", (tiny_clips.encode(frames),), np.zeros(1, int), ("x",)).scan()
        recipe = tiny_clips.recipe(
            model=replace(tiny_clips.config(), num_frames=40),
            canvas=canvas,
            clips=ClipSampling(frames_kept=40),
        )
        photos: Any = open_photos(data, recipe, CPU)
        pixels = photos[0] if canvas else photos[0, 0][0]
        assert tuple(pixels.shape) == (40, 3, *(canvas or (12, 12)))
        assert (pixels.float() - 200).abs().max() < 4

    @pytest.mark.parametrize("resize", ["crop", "squash"])
    def test_of_reduced_frames_the_smallest_crop_is_fine_enough(self, resize: str) -> None:
        augmentation = Augmentation(area=(0.1, 0.1), aspect=4 / 3)
        preprocessing = replace(tiny.preprocessing(), resize=resize)
        recipe = tiny_clips.recipe(augmentation=augmentation, preprocessing=preprocessing)
        width = _ample_side_px(16, augmentation)
        frame = np.zeros((round(width * 9 / 16), width, 3), np.uint8)
        assert min(min(_draw_box(frame, recipe)[2:]) for _ in range(99)) >= 16

    def test_teachers_take_clips(self, data: LabelledClips) -> None:
        recipe = tiny_clips.recipe(distillation=Distillation())
        teacher = tiny.conv_model()
        teacher.info = None
        check_fit(recipe, data, model=None, teacher=teacher)
        with pytest.raises(ConfigError, match="trains on clips, which its teacher does not take"):
            check_fit(recipe, data, model=None, teacher=tiny.model())

    def test_an_unusable_clip_is_replaced_by_the_next(self, data: LabelledClips) -> None:
        files = (b"no clip", *list(data.encoded)[1:])
        broken = replace(data, encoded=files)
        _, row, reason = SamplesFromClips(broken, tiny_clips.recipe(canvas=None))[0, 0]
        assert row == 1
        assert "row 0 is not a usable clip" in reason


class TestInitialise:
    """A model of clips that starts from one of photos."""

    @torch.no_grad()
    def pair(self, how: Any) -> tuple[VideoVisionTransformer, VisionTransformer]:
        torch.manual_seed(0)
        image, clip = tiny.model(), VideoVisionTransformer(tiny_clips.config()).eval()
        self.result = initialise(clip, image, inflation=how)
        return clip, image

    @pytest.mark.parametrize("how", ["central", "average"])
    def test_a_still_clip_is_embedded_as_its_photo(self, how: str) -> None:
        clip, image = self.pair(how)
        photos = torch.randn(2, 3, 16, 16)
        cells, _ = image.embed(photos)
        tokens, _, steps = clip.embed(photos[:, :, None].expand(2, 3, 4, 16, 16))
        assert steps == 2
        torch.testing.assert_close(tokens, cells.repeat(1, 2, 1))

    def test_what_came_from_where(self) -> None:
        clip, image = self.pair("central")
        assert self.result.inflated == ("embedding.3.weight",)
        assert self.result.resampled == ("encoder.position_embedding",)
        assert self.result.fresh == ("head.weight", "head.bias")
        assert torch.equal(
            clip.encoder.position_embedding, image.encoder.position_embedding.repeat(1, 2, 1)
        )
        assert "spread over the frames of a tubelet" in self.result.describe()


class TestCommands:
    def test_train_and_evaluate(
        self, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(
            recipes.RECIPES, "tiny-clips", lambda: tiny_clips.recipe(stages=((2, 16),))
        )
        save_model(tmp_path / "image", tiny.model())
        run = tmp_path / "run"
        words = ["train", "tiny-clips", "--data", folder, "--out", run]
        words += ["--init", tmp_path / "image", "--device", "cpu"]
        result = call(*words, "--image-column", "image")
        assert result.exit_code == 1
        assert "leave out the options for photos: --image-column" in result.stderr
        result = call(*words)
        assert result.exit_code == 0, result.output
        assert "preparing 12 clips" in result.output
        model = zoo.load(run / "model")
        assert isinstance(model, VideoVisionTransformer)
        assert model.info is not None
        assert model.info.class_names == tiny_clips.CLASSES
        words = ["evaluate", run / "model", "--data", folder, "--save"]
        result = call(*words, "--label-column", "label")
        assert result.exit_code == 1
        assert "takes clips; leave out the options for photos: --label-column" in result.stderr
        result = call(*words, "--temporal-views", 2, "--frames-per-second", 7.5)
        assert result.exit_code == 0, result.output
        assert "4 clips" in result.output
        card = (run / "model" / "README.md").read_text()
        assert "--temporal-views 2 --frames-per-second 7.5" in card
        assert "GFLOPs per clip" in card
        assert "4 clips" in card

    def test_dry_run(self, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(
            recipes.RECIPES, "tiny-clips", lambda: tiny_clips.recipe(stages=((2, 16),))
        )
        words = ["train", "tiny-clips", "--data", folder, "--out", tmp_path, "--dry-run"]
        result = call(*words)
        assert result.exit_code == 0, result.output
        assert "GFLOPs per clip" in result.output

    def test_views_of_photos(self, tmp_path: Path) -> None:
        save_model(tmp_path / "image", tiny.model())
        words = ["evaluate", tmp_path / "image", "--data", "x"]
        for option in ("--temporal-views", "--frames-per-second"):
            result = call(*words, option, 2)
            assert result.exit_code == 1
            assert "tiny takes photos; views and frame rates are for clips" in result.output
