"""Evaluation: the arithmetic by hand, and agreement with what `explain` tells a user."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from tests import tiny
from tokenlearner.errors import ConfigError, DataError
from tokenlearner.inference import explain
from tokenlearner.media import read_image
from tokenlearner.training.data import LabelledImages, read_parquet
from tokenlearner.training.metrics import evaluate, measure, report

CPU = torch.device("cpu")


@pytest.fixture
def data(tmp_path: Path) -> LabelledImages:
    return read_parquet(tiny.write_dataset(tmp_path / "tiny", test=8, size=(30, 21)), "test")


class TestMeasure:
    def test_by_hand(self) -> None:
        names = ("a", "b", "c", "d", "e", "f", "g")
        # The right class ranks first, second, fifth, sixth.
        logits = torch.tensor(
            [
                [9.0, 5, 4, 3, 2, 1, 0],
                [9.0, 10, 4, 3, 2, 1, 0],
                [5.0, 4, 3, 2, 1, 0, -1],
                [5.0, 4, 3, 2, 1, 0, -1],
            ]
        )
        metrics = measure(logits, torch.tensor([0, 0, 4, 5]), names)
        assert metrics.top1_percent == 25
        assert metrics.top5_percent == 75
        assert metrics.num_images == 4
        assert metrics.per_class_percent == {"a": 50, "e": 0, "f": 0}

    def test_loss_is_in_nats(self) -> None:
        metrics = measure(torch.zeros(3, 4), torch.tensor([0, 1, 2]), ("a", "b", "c", "d"))
        assert metrics.loss == pytest.approx(math.log(4))

    def test_fewer_than_five_classes(self) -> None:
        metrics = measure(torch.tensor([[0.0, 1.0]]), torch.tensor([0]), ("a", "b"))
        assert (metrics.top1_percent, metrics.top5_percent) == (0, 100)


class TestEvaluate:
    def test_counts_what_explain_answers(self, data: LabelledImages) -> None:
        model = tiny.model()
        right, surprise = 0, 0.0
        for encoded, label in zip(data.encoded, data.labels, strict=True):
            explanation = explain(model, read_image(encoded))
            right += explanation.predictions[0][0] == data.class_names[label]
            surprise -= math.log(explanation.probabilities[label])
        metrics = evaluate(model, data, device=CPU)
        assert metrics.top1_percent == pytest.approx(100 * right / 8)
        assert metrics.loss == pytest.approx(surprise / 8, rel=1e-5)

    def test_the_batch_size_changes_nothing(self, data: LabelledImages) -> None:
        model = tiny.model().train()  # it is put into eval mode: no dropout, fixed batch norm
        one, three = (evaluate(model, data, device=CPU, batch_size=size) for size in (1, 3))
        assert one.top1_percent == three.top1_percent
        assert one.loss == pytest.approx(three.loss, rel=1e-5)
        assert (one.num_images, three.num_images) == (8, 8)

    def test_other_classes(self, data: LabelledImages) -> None:
        other = LabelledImages("x", data.encoded, data.labels, ("blue", "green", "red"))
        with pytest.raises(DataError, match="x has the classes blue, green, red, but tiny answers"):
            evaluate(tiny.model(), other, device=CPU)

    def test_without_info(self, data: LabelledImages) -> None:
        model = tiny.model()
        model.info = None
        with pytest.raises(ConfigError, match=r"preprocessing is unknown; set model\.info"):
            evaluate(model, data, device=CPU)


class TestReport:
    def test_says_what_was_measured_of_what_and_how(self, data: LabelledImages) -> None:
        model = tiny.model()
        metrics = evaluate(model, data, device=CPU)
        content = report(metrics, model, data, split="test", command="the command", device=CPU)
        content = json.loads(json.dumps(content))
        assert content["model"] == "tiny"
        assert content["metrics"]["top1_percent"] == metrics.top1_percent
        assert content["metrics"]["num_images"] == 8
        assert content["data"] == {
            "source": "tiny",
            "split": "test",
            "sha256": data.sha256,
            "formats": ["PNG"],
            "size_px": [30, 21],
        }
        assert content["command"] == "the command"
        assert "core" in content["hardware"]
        assert content["versions"]["torch"] == str(torch.__version__)

    def test_photos_of_several_sizes_and_formats(self) -> None:
        photos = (tiny.photo(0, 0), tiny.photo(1, 1, size=(9, 9), kind="JPEG"))
        data = LabelledImages("x", photos, np.array([0, 1]), tiny.CLASSES)
        model = tiny.model()
        metrics = evaluate(model, data, device=CPU)
        about = report(metrics, model, data, split="test", command="", device=CPU)["data"]
        assert about["formats"] == ["JPEG", "PNG"]
        assert about["size_px"] is None
