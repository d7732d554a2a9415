"""Evaluation: the arithmetic by hand, and agreement with what `explain` tells a user."""

import json
import math
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests import tiny
from tokenlearner.errors import ConfigError, DataError, MeasurementError
from tokenlearner.inference import explain
from tokenlearner.media import read_image
from tokenlearner.training.data import LabelledImages, read_images
from tokenlearner.training.metrics import evaluate, measure, report
from tokenlearner.training.multi_label import RealLabels

CPU = torch.device("cpu")


@pytest.fixture
def data(tmp_path: Path) -> LabelledImages:
    return read_images(tiny.write_dataset(tmp_path / "tiny", test=8, size=(30, 21)), "test")


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
        assert metrics.class_mean_percent == pytest.approx(50 / 3)

    def test_loss_is_in_nats(self) -> None:
        metrics = measure(torch.zeros(3, 4), torch.tensor([0, 1, 2]), ("a", "b", "c", "d"))
        assert metrics.loss == pytest.approx(math.log(4))

    def test_fewer_than_five_classes(self) -> None:
        metrics = measure(torch.tensor([[0.0, 1.0]]), torch.tensor([0]), ("a", "b"))
        assert (metrics.top1_percent, metrics.top5_percent) == (0, 100)

    def test_of_equal_answers_the_first_counts(self) -> None:
        names = tuple("abcdefg")
        metrics = measure(torch.zeros(7, 7), torch.arange(7), names)
        assert metrics.per_class_percent == dict.fromkeys(names, 0) | {"a": 100}
        assert metrics.top1_percent == pytest.approx(100 / 7)
        assert metrics.top5_percent == pytest.approx(500 / 7)

    @pytest.mark.parametrize("value", [math.nan, math.inf])
    def test_answers_that_are_no_numbers(self, value: float) -> None:
        logits = torch.tensor([[0.0, 1.0], [value, 0.0], [1.0, value]])
        with pytest.raises(MeasurementError, match="2 of 3 answers are not finite, so nothing"):
            measure(logits, torch.tensor([0, 0, 1]), ("a", "b"))

    def test_a_single_class(self) -> None:
        metrics = measure(torch.tensor([[3.0], [-1.0]]), torch.tensor([0, 0]), ("a",))
        assert (metrics.top1_percent, metrics.top5_percent, metrics.loss) == (100, 100, 0)

    def test_classes_that_share_a_name_stay_apart(self) -> None:
        metrics = measure(torch.eye(3), torch.tensor([0, 1, 0]), ("crane", "crane", "cat"))
        assert metrics.per_class_percent == {"crane (0)": 50, "crane (1)": 100}

    def test_reassessed_labels(self) -> None:
        real = RealLabels(
            source="real.json",
            sha256="",
            valid=np.array([[0, 1, 1], [1, 0, 0], [0, 0, 0], [1, 1, 0]], dtype=bool),
        )
        # Answers 1, 1, 2, 0: right, wrong, left out, right.
        logits = torch.tensor([[0.0, 2, 1], [1, 2, 0], [0, 0, 3], [5, 5, 0]])
        metrics = measure(logits, torch.tensor([2, 0, 2, 1]), ("a", "b", "c"), real=real)
        assert metrics.real_percent == pytest.approx(200 / 3)
        assert metrics.real_num_images == 3
        assert metrics.top1_percent == 25


class TestMeasureMultiLabel:
    def test_by_hand(self) -> None:
        logits = torch.tensor([[4.0, 1, 0], [3, 2, 0], [2, 3, 0], [1, 4, 0]])
        labels = torch.tensor([[1, 1, 0], [0, 1, 0], [1, 0, 0], [0, 0, 0]]).bool()
        metrics = measure(logits, labels, ("a", "b", "c"))
        # Answers a, a, b, b: right, wrong, wrong, left out.
        assert metrics.top1_percent == pytest.approx(100 / 3)
        assert metrics.top5_percent == 100
        assert (metrics.num_images, metrics.num_unlabelled) == (4, 1)
        # a finds its two as first and third, b as third and fourth.
        assert metrics.average_precision_percent == pytest.approx(
            {"a": 100 * (1 + 2 / 3) / 2, "b": 100 * (1 / 3 + 2 / 4) / 2}
        )
        assert metrics.map_percent == pytest.approx(100 * (5 / 6 + 5 / 12) / 2)
        assert metrics.without_photos == ("c",)
        assert metrics.per_class_percent == {}

    def test_the_loss_is_the_sigmoid_s_summed_over_classes(self) -> None:
        labels = torch.tensor([[True, False, False], [False, False, False]])
        assert measure(torch.zeros(2, 3), labels, ("a", "b", "c")).loss == pytest.approx(
            3 * math.log(2)
        )

    def test_no_label_at_all(self) -> None:
        with pytest.raises(DataError, match="none of the 2 photos has a label; nothing to measure"):
            measure(torch.zeros(2, 3), torch.zeros(2, 3).bool(), ("a", "b", "c"))


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

    def test_a_model_that_is_training_goes_on(self, data: LabelledImages) -> None:
        model = tiny.model()
        wanted = evaluate(model, data, device=CPU)
        model.train()
        model.embedding.eval()  # as a frozen part is kept
        assert evaluate(model, data, device=CPU) == wanted
        assert model.training
        assert model.encoder.training
        assert not model.embedding.training

    def test_no_batch(self, data: LabelledImages) -> None:
        with pytest.raises(ConfigError, match="batch_size is 0; it must be at least 1"):
            evaluate(tiny.model(), data, device=CPU, batch_size=0)

    def test_in_the_number_format_of_the_weights(self, data: LabelledImages) -> None:
        model = tiny.model()
        whole, half = evaluate(model, data, device=CPU), evaluate(model.half(), data, device=CPU)
        assert half.loss == pytest.approx(whole.loss, rel=0.01)
        assert half.loss != whole.loss

    def test_classes_in_another_order_are_found_by_name(self, data: LabelledImages) -> None:
        order = [2, 0, 1]
        labels = np.argsort(order)[data.labels]
        names = tuple(data.class_names[index] for index in order)
        other = LabelledImages("x", data.encoded, labels, names)
        model = tiny.model()
        wanted, found = (evaluate(model, photos, device=CPU) for photos in (data, other))
        assert found.loss == pytest.approx(wanted.loss)
        assert replace(found, loss=0) == replace(wanted, loss=0)
        assert list(found.per_class_percent) != list(wanted.per_class_percent)

    @pytest.mark.parametrize("multi_label", [False, True])
    def test_classes_that_the_data_lack(self, data: LabelledImages, multi_label: bool) -> None:
        some = data.take(np.flatnonzero(data.labels != 1))
        if multi_label:
            some = replace(some, labels=some.labels[:, None] == np.arange(3))
        # As a folder numbers its classes that has none of the second.
        folder = replace(some, class_names=("red", "blue"))
        labels = some.labels[:, [0, 2]] if multi_label else np.minimum(some.labels, 1)
        model = tiny.model()
        wanted = evaluate(model, some, device=CPU)
        assert evaluate(model, replace(folder, labels=labels), device=CPU) == wanted
        assert wanted.without_photos == ("green",)

    @pytest.mark.parametrize(
        ("names", "message"),
        [
            (("red", "pink"), "x has the classes red, pink, but tiny answers with red, green, b"),
            (("red", "pink"), "; only in the data: pink; only in the model: green, blue. Wanted"),
            (("red", "green", "Blue"), "; only in the data: Blue; only in the model: blue. Wanted"),
            (
                ("red", "green", "red"),
                "; only in the model: blue. Wanted the same classes in both$",
            ),
            (
                tuple(f"n{number:04}" for number in range(1000)),
                "has the classes n0000, n0001, n0002 and 997 more, but tiny answers with red, "
                "green, blue; only in the data: n0000, n0001, n0002 and 997 more; only in the ",
            ),
        ],
    )
    def test_other_classes(self, names: tuple[str, ...], message: str) -> None:
        data = LabelledImages("x", (tiny.photo(0, 0),), np.array([0]), names)
        with pytest.raises(DataError, match=message):
            evaluate(tiny.model(), data, device=CPU)

    def test_names_of_several_classes_must_stand_in_the_same_order(self) -> None:
        model = tiny.model()
        assert model.info is not None
        model.info = replace(model.info, class_names=("crane", "crane", "cat"))
        data = LabelledImages("x", (tiny.photo(0, 0),), np.array([0]), ("crane", "cat", "crane"))
        with pytest.raises(DataError, match="cat; some of these names stand for several classes"):
            evaluate(model, data, device=CPU)
        evaluate(model, replace(data, class_names=("crane", "crane", "cat")), device=CPU)

    def test_no_photos(self) -> None:
        data = LabelledImages("x", (), np.zeros(0, np.int64), tiny.CLASSES)
        with pytest.raises(DataError, match="x holds no photos; nothing to measure"):
            evaluate(tiny.model(), data, device=CPU)

    def test_several_labels(self, data: LabelledImages) -> None:
        labels = np.zeros((8, 3), bool)
        labels[np.arange(8), data.labels] = True
        model = tiny.model()
        one = evaluate(model, data, device=CPU)
        several = evaluate(model, replace(data, labels=labels), device=CPU)
        assert several.top1_percent == one.top1_percent
        assert several.map_percent is not None

    def test_without_torchmetrics_nothing_is_computed(
        self, data: LabelledImages, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "torchmetrics.functional.classification", None)
        model = tiny.model()
        monkeypatch.setattr(model, "forward", None)
        several = replace(data, labels=np.ones((8, 3), bool))
        with pytest.raises(ConfigError, match="torchmetrics; pip install torchmetrics"):
            evaluate(model, several, device=CPU)

    def test_answers_without_names(self, data: LabelledImages) -> None:
        model = tiny.model()
        assert model.info is not None
        model.info = replace(model.info, class_names=("red", "green"))
        with pytest.raises(ConfigError, match="tiny gives 3 answers, but its info names 2 classes"):
            evaluate(model, data, device=CPU)

    def test_without_info(self, data: LabelledImages) -> None:
        model = tiny.model()
        model.info = None
        with pytest.raises(ConfigError, match=r"has no info .* set model\.info"):
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

    def test_what_was_not_measured_is_left_out(self, data: LabelledImages) -> None:
        model = tiny.model()
        metrics = evaluate(model, data, device=CPU)
        content = report(metrics, model, data, split="test", command="", device=CPU)
        assert list(content["metrics"]) == [
            "top1_percent",
            "top5_percent",
            "loss",
            "num_images",
            "per_class_percent",
            "class_mean_percent",
        ]

    def test_unusable_photos_and_reassessed_labels(self, data: LabelledImages) -> None:
        real = RealLabels(source="real.json", sha256="00", valid=np.ones((8, 3), bool))
        data = replace(data, unusable=("a.jpg: gone",), max_unusable=1.0)
        model = tiny.model()
        metrics = evaluate(model, data, device=CPU, real=real)
        content = report(metrics, model, data, split="test", command="", device=CPU, real=real)
        assert content["data"]["unusable"] == ["a.jpg: gone"]
        assert content["data"]["real"] == {"source": "real.json", "sha256": "00"}
        assert content["metrics"]["real_percent"] == 100
        assert content["metrics"]["real_num_images"] == 8
