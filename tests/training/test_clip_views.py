"""Views of a clip: which frames and which part of them each sees."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests import tiny, tiny_clips
from tokenlearner.errors import ConfigError, DataError
from tokenlearner.models import VideoVisionTransformer
from tokenlearner.models.info import ModelInfo
from tokenlearner.training import clip_views
from tokenlearner.training.clip_views import Views, iter_views
from tokenlearner.training.data import LabelledClips, LabelledImages
from tokenlearner.training.metrics import evaluate

CPU = torch.device("cpu")


def clips(frames: np.ndarray) -> LabelledClips:
    return LabelledClips(
        "made up", (tiny_clips.encode(frames),), np.zeros(1, np.int64), tiny_clips.CLASSES
    )


class TestViews:
    def test_temporal_views_interleave(self) -> None:
        gray = np.arange(8, dtype=np.uint8) * 30
        frames = np.broadcast_to(gray[:, None, None, None], (8, 32, 32, 3)).copy()
        plain = replace(tiny.preprocessing(), mean=(0.0,) * 3, std=(1.0,) * 3)
        (views,) = iter_views(clips(frames), plain, 4, Views(temporal=2))
        assert tuple(views.shape) == (2, 3, 4, 16, 16)
        levels = (views[:, 0, :, 8, 8] * 255 / 30).round().int().tolist()
        assert levels == [[0, 2, 4, 6], [1, 3, 5, 7]]

    def test_temporal_views_at_a_rate_lie_along_the_clip(self) -> None:
        gray = np.arange(8, dtype=np.uint8) * 30
        frames = np.broadcast_to(gray[:, None, None, None], (8, 32, 32, 3)).copy()
        plain = replace(tiny.preprocessing(), mean=(0.0,) * 3, std=(1.0,) * 3)
        (views,) = iter_views(clips(frames), plain, 3, Views(temporal=2, frames_per_s=10))
        levels = (views[:, 0, :, 8, 8] * 255 / 30).round().int().tolist()
        assert levels == [[0, 1, 2], [5, 6, 7]]
        (view,) = iter_views(clips(frames), plain, 2, Views(frames_per_s=5))
        assert (view[0, 0, :, 8, 8] * 255 / 30).round().int().tolist() == [3, 5]

    def test_spatial_views_lie_side_by_side(self) -> None:
        columns = np.linspace(0, 255, 96).astype(np.uint8)
        frames = np.broadcast_to(columns[None, None, :, None], (4, 32, 96, 3)).copy()
        plain = replace(
            tiny.preprocessing(), resize="crop", mean=(0.0,) * 3, std=(1.0,) * 3, crop_ratio=0.5
        )
        (views,) = iter_views(clips(frames), plain, 2, Views(spatial=3))
        middles = views[:, 0, 0, 8].mean(dim=1)
        assert middles.tolist() == pytest.approx([1 / 6, 1 / 2, 5 / 6], abs=0.03)

    @pytest.mark.parametrize("rate", [None, 10.0])
    def test_large_frames_are_reduced_before_they_fill_the_memory(
        self, rate: float | None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        sizes = set()
        prepare = clip_views.prepare
        monkeypatch.setattr(
            clip_views, "prepare", lambda frame, *a: sizes.add(frame.shape) or prepare(frame, *a)
        )
        large = clips(np.zeros((4, 80, 160, 3), np.uint8))
        (views,) = iter_views(large, tiny.preprocessing(), 2, Views(temporal=2, frames_per_s=rate))
        assert tuple(views.shape) == (2, 3, 2, 16, 16)
        assert sizes == {(40, 80, 3)}

    def test_squashed_frames_have_one_spatial_view(self) -> None:
        with pytest.raises(ConfigError, match="3 spatial views of a model that takes the whole"):
            next(iter_views(clips(tiny_clips.moving(0)), tiny.preprocessing(), 2, Views(spatial=3)))

    def test_impossible_counts(self) -> None:
        with pytest.raises(ConfigError, match="0 temporal and 1 spatial views; wanted 1 or more"):
            Views(temporal=0)
        with pytest.raises(ConfigError, match="0 frames per second; wanted more than 0"):
            Views(frames_per_s=0)


class TestEvaluate:
    def model(self) -> VideoVisionTransformer:
        torch.manual_seed(0)
        model = VideoVisionTransformer(tiny_clips.config())
        assert model.head is not None
        torch.nn.init.normal_(model.head.weight)
        model.info = ModelInfo(
            name="tiny-clips", class_names=tiny_clips.CLASSES, preprocessing=tiny.preprocessing()
        )
        return model.eval()

    def test_no_batch(self) -> None:
        data = clips(tiny_clips.moving(0))
        with pytest.raises(ConfigError, match="batch_size is 0; it must be at least 1"):
            evaluate(self.model(), data, device=CPU, batch_size=0)

    def test_views_are_averaged(self) -> None:
        model, data = self.model(), clips(tiny_clips.moving(0))
        (inputs,) = iter_views(data, tiny.preprocessing(), 4, Views(temporal=3))
        with torch.inference_mode():
            wanted = torch.nn.functional.cross_entropy(
                model(inputs).mean(dim=0, keepdim=True).double(), torch.zeros(1, dtype=torch.long)
            )
        metrics = evaluate(model, data, device=CPU, views=Views(temporal=3), batch_size=2)
        assert metrics.loss == pytest.approx(float(wanted), rel=1e-5)
        assert metrics.num_images == 1

    def test_convolutional_networks(self) -> None:
        data = replace(clips(tiny_clips.moving(0)), class_names=tiny.CLASSES)
        model = tiny.conv_model()
        metrics = evaluate(model, data, device=CPU, views=Views(temporal=2))
        (inputs,) = iter_views(data, tiny.preprocessing(), 4, Views(temporal=2))
        with torch.inference_mode():
            logits = model(inputs).mean(dim=0, keepdim=True).double()
        wanted = torch.nn.functional.cross_entropy(logits, torch.zeros(1, dtype=torch.long))
        assert metrics.loss == pytest.approx(float(wanted), rel=1e-5)

    def test_photos_and_clips_are_told_apart(self) -> None:
        photos = LabelledImages("photos", (tiny.photo(0, 1),), np.zeros(1, int), tiny_clips.CLASSES)
        with pytest.raises(ConfigError, match="tiny-clips takes clips, but photos holds photos"):
            evaluate(self.model(), photos, device=CPU)
        data = replace(clips(tiny_clips.moving(0)), class_names=tiny.CLASSES)
        with pytest.raises(ConfigError, match="tiny takes photos, but made up holds clips"):
            evaluate(tiny.model(), data, device=CPU)

    def test_no_clips(self) -> None:
        data = clips(tiny_clips.moving(0)).take([])
        with pytest.raises(DataError, match="made up holds no clips; nothing to measure"):
            evaluate(self.model(), data, device=CPU)

    def test_other_classes(self) -> None:
        data = replace(clips(tiny_clips.moving(0)), class_names=("left", "right"))
        with pytest.raises(DataError, match="has the classes left, right"):
            evaluate(self.model(), data, device=CPU)
