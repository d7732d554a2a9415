"""Several right answers a photo: the arithmetic by hand, and what is said of unfit labels."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from tests import tiny
from tokenlearner.errors import DataError
from tokenlearner.training.data import LabelledImages, read_images
from tokenlearner.training.loop import Trainer
from tokenlearner.training.multi_label import (
    average_precisions,
    multi_label_accuracy,
    read_real,
)


def table(*rows: str) -> torch.Tensor:
    return torch.tensor([[sign == "x" for sign in row] for row in rows])


class TestAccuracy:
    def test_any_valid_label_is_right(self) -> None:
        valid = table("xx-", "--x", "x--", "xxx")
        assert multi_label_accuracy(torch.tensor([1, 2, 1, 0]), valid) == (0.75, 4)

    def test_photos_without_label_are_left_out(self) -> None:
        valid = table("x-", "--", "--", "-x")
        assert multi_label_accuracy(torch.tensor([0, 0, 1, 0]), valid) == (0.5, 2)

    def test_one_of_several_answers(self) -> None:
        answers = torch.tensor([[0, 1], [1, 2]])
        assert multi_label_accuracy(answers, table("-x-", "x--")) == (0.5, 2)


class TestAveragePrecision:
    def one(self, scores: list[float], positives: str) -> float:
        column = torch.tensor(scores).float()[:, None]
        return average_precisions(column, table(*positives))[0]

    def test_by_hand(self) -> None:
        assert self.one([9, 8, 7, 6], "xx--") == 1
        assert self.one([6, 7, 8, 9], "x---") == pytest.approx(1 / 4)
        assert self.one([4, 3, 2, 1], "-x-x") == pytest.approx((1 / 2 + 2 / 4) / 2)

    def test_equal_scores_are_taken_in_at_once(self) -> None:
        assert self.one([0, 0, 0, 0], "x---") == pytest.approx(1 / 4)
        assert self.one([0, 0, 0, 0], "---x") == pytest.approx(1 / 4)
        # The pair in the middle has one of two, so 2 of 3 are right when it is in.
        assert self.one([3, 2, 2, 1], "xx--") == pytest.approx((1 + 2 / 3) / 2)

    def test_large_scores_stay_apart(self) -> None:
        assert self.one([100, 101, 102], "--x") == 1
        assert self.one([100, 101, 102], "x--") == pytest.approx(1 / 3)

    def test_only_the_order_counts(self) -> None:
        scores = torch.randn(50, 3, generator=torch.Generator().manual_seed(0))
        positives = torch.rand(50, 3, generator=torch.Generator().manual_seed(1)) < 0.3
        assert average_precisions(scores, positives) == average_precisions(
            torch.sigmoid(scores.double()), positives
        )

    def test_classes_without_positives_are_left_out(self) -> None:
        found = average_precisions(torch.tensor([[1.0, 0, 2], [0, 1, 1]]), table("x-x", "--x"))
        assert found == {0: 1, 2: 1}

    def test_a_single_photo(self) -> None:
        assert self.one([3], "x") == 1


def test_held_out_photos_without_a_label_do_not_count(tmp_path: Path) -> None:
    """What has no label cannot be answered rightly."""
    folder = tiny.write_dataset(tmp_path / "data", train=24, test=3)
    data = read_images(folder, "train")
    labels = np.ones((len(data), 3), bool)
    labels[::2] = False
    recipe = tiny.recipe(loss="sigmoid", holdout=8)
    trainer = Trainer(recipe, replace(data, labels=labels), tmp_path, device=torch.device("cpu"))
    assert 0 < int(trainer.heldout_labels.any(dim=1).sum()) < 8
    assert trainer._validate() == 1


class TestReal:
    @pytest.fixture
    def data(self) -> LabelledImages:
        photos = tuple(tiny.photo(label, label) for label in (0, 1, 2, 0))
        return LabelledImages("photos", photos, np.array([0, 1, 2, 0]), tiny.CLASSES)

    def write(self, folder: Path, content: Any) -> Path:
        text = content if isinstance(content, str) else json.dumps(content)
        (folder / "real.json").write_text(text)
        return folder / "real.json"

    def test_in_the_order_of_the_photos(self, data: LabelledImages, tmp_path: Path) -> None:
        file = self.write(tmp_path, [[0], [1, 2], [], [0, 1, 2]])
        real = read_real(file, data)
        assert real.valid.astype(int).tolist() == [[1, 0, 0], [0, 1, 1], [0, 0, 0], [1, 1, 1]]
        assert (real.source, len(real.sha256)) == ("real.json", 64)

    def test_imagenet_s_photos_find_their_entry_by_number(self, tmp_path: Path) -> None:
        """In class folders they stand in another order, and some may be missing."""
        for number, label in ((1, 2), (2, 0), (4, 0), (5, 1), (3, 1)):
            folder = tmp_path / "data/val" / f"class{label}"
            folder.mkdir(parents=True, exist_ok=True)
            photo = folder / f"ILSVRC2012_val_{number:08}.JPEG"
            photo.write_bytes(tiny.photo(label, number, kind="JPEG"))
        photo.unlink()
        data = read_images(tmp_path / "data", "val")
        file = self.write(tmp_path, [[2], [0, 1], [1], [], [1]])
        assert data.labels.tolist() == [0, 0, 1, 2]  # of numbers 2, 4, 5 and 1
        real = read_real(file, data)
        assert real.valid.astype(int).tolist() == [[1, 1, 0], [0, 0, 0], [0, 1, 0], [0, 0, 1]]

    def test_photos_of_a_table_find_their_entry_by_what_they_were_called(
        self, tmp_path: Path
    ) -> None:
        """As the Hub's copy of ImageNet has them, in another order than that of the numbers."""
        numbers, labels = (3, 1, 2), (1, 2, 0)
        entries = [
            {"bytes": tiny.photo(label, number), "path": f"ILSVRC2012_val_{number:08}.JPEG"}
            for number, label in zip(numbers, labels, strict=True)
        ]
        image = pa.array(entries, pa.struct({"bytes": pa.binary(), "path": pa.string()}))
        table = pa.table({"image": image, "label": labels})
        (tmp_path / "data").mkdir()
        pq.write_table(table, tmp_path / "data/validation-00000-of-00001.parquet")
        data = read_images(
            tmp_path / "data", "validation", image_column="image", label_column="label"
        )
        real = read_real(self.write(tmp_path, [[2], [0, 1], [1]]), data)
        assert real.valid.astype(int).tolist() == [[0, 1, 0], [0, 0, 1], [1, 1, 0]]

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ("{", "real.json is not JSON: "),
            ({"a": [0]}, "real.json holds a dict; wanted a list with a list of class indices"),
            ([[0], 1, [2], [0]], "entry 1 is 1; wanted a list of class indices"),
            ([[0], ["1"], [2], [0]], r"entry 1 is \['1'\]; wanted a list of class indices"),
            ([[0], [True], [2], [0]], r"entry 1 is \[True\]; wanted"),
            ([[0], [1]], "has the labels of 2 photos, but photos holds 4; wanted one entry per"),
            ([[0]] * 50_000, "has the labels of 50,000 photos, but photos holds 4; wanted"),
            ([[0], [1], [3], [0]], "entry 2 has the class 3; photos has 3 classes, so wanted 0 to"),
            ([[0], [-1], [2], [0]], "entry 1 has the class -1; photos has 3 classes"),
            ([[], [], [], []], "has no label for any photo; wanted one for most"),
            ([[1], [2], [2], []], "for only 33.3 % of the photos; wanted most. The photos or the"),
        ],
    )
    def test_unfit_files(
        self, data: LabelledImages, tmp_path: Path, content: Any, message: str
    ) -> None:
        file = self.write(tmp_path, content)
        with pytest.raises(DataError, match=message) as caught:
            read_real(file, data)
        assert re.search(re.escape(str(file)), str(caught.value))

    def test_unusable_photos_are_named_as_a_reason(self, tmp_path: Path) -> None:
        photos = (tiny.photo(0, 0), tiny.photo(1, 1))
        data = LabelledImages("x", photos, np.array([0, 1]), tiny.CLASSES, ("row 1: cut off",), 1.0)
        with pytest.raises(DataError, match=r"of 3 photos, but x holds 2 \(1 more are unusable\);"):
            read_real(self.write(tmp_path, [[0], [1], [1]]), data)

    def test_photos_with_several_labels_need_none(self, tmp_path: Path) -> None:
        data = LabelledImages("x", (tiny.photo(0, 0),), np.ones((1, 3), bool), tiny.CLASSES)
        with pytest.raises(
            DataError, match=r"x has several labels per photo already; real\.json is"
        ):
            read_real(self.write(tmp_path, [[0]]), data)
