"""`tokenlearner few-shot`: the library's numbers in a small table, and errors in a line."""

import json
from functools import partial
from pathlib import Path

import pytest
import torch

from tests import shell, tiny
from tokenlearner.checkpoints import for_images, load_model, save_model
from tokenlearner.training.data import LabelledImages, read_images
from tokenlearner.training.few_shot import few_shot


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model") / "tiny"
    save_model(folder, tiny.model())
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.write_dataset(tmp_path_factory.mktemp("data") / "colours", train=30, test=9)


call = partial(shell.call, "few-shot", "--device", "cpu")


def test_a_mistyped_split_is_refused_before_anything_is_decoded(
    model: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LabelledImages, "scan", lambda *_, **__: pytest.fail("decoded"))
    result = call(model, "--data", data, "--train-split", "trian")
    assert result.exit_code == 1
    assert "no split 'trian'" in result.stderr


def test_prints_what_the_library_measures(model: Path, data: Path, tmp_path: Path) -> None:
    options = ("--shots", 4, "--draws", 3, "--batch-size", 2, "--json", tmp_path / "new/few.json")
    result = call(model, "--data", data, *options)
    assert result.exit_code == 0, result.output
    train, test = (read_images(data, split) for split in ("train", "test"))
    wanted = few_shot(
        for_images(load_model(model)),
        train,
        test,
        shots=4,
        seeds=range(3),
        device=torch.device("cpu"),
    )
    lines = result.stdout.splitlines()
    assert lines[0] == ("tiny on colours: 4 photos of each of 3 classes, 3 draws, 9 test photos")
    assert wanted.reported.spread_percent is not None
    figures = f"{wanted.reported.mean_percent:6.2f} ± {wanted.reported.spread_percent:.2f} %"
    assert lines[1] == f"4 photos per class  {figures}"
    assert f"  2^10  {figures}  reported, chosen in advance" in lines
    assert sum("2^" in line for line in lines) == len(wanted.sweep)
    assert "trained on these same classes: this does not measure transfer" in result.stdout
    content = json.loads((tmp_path / "new/few.json").read_text())
    assert content["few_shot"]["reported"]["mean_percent"] == pytest.approx(
        wanted.reported.mean_percent
    )
    assert content["command"] == (
        "tokenlearner few-shot ./tiny --data colours --shots 4 --draws 3 --train-split train "
        "--test-split test"
    )


def test_other_classes_than_the_model_s(model: Path, tmp_path: Path) -> None:
    for split, count in (("train", 2), ("val", 3)):
        for label, name in enumerate(("cat", "dog")):
            folder = tmp_path / "pets" / split / name
            folder.mkdir(parents=True)
            for row in range(count):
                (folder / f"{row}.png").write_bytes(tiny.photo(label, 10 * count + row))
    options = ("--test-split", "val", "--shots", 2, "--draws", 1)
    result = call(model, "--data", tmp_path / "pets", *options)
    assert result.exit_code == 0, result.output
    assert "2 photos of each of 2 classes, 1 draw, 6 test photos" in result.stdout
    assert "±" not in result.stdout
    assert "does not measure transfer" not in result.stdout


def test_broken_photos_are_named(model: Path, tmp_path: Path) -> None:
    labels = [row % 3 for row in range(12)]
    photos = [b"" if row < 3 else tiny.photo(label, row) for row, label in enumerate(labels)]
    tiny.write_parquet(tmp_path / "data/train-00000-of-00001.parquet", photos, labels)
    tiny.write_parquet(tmp_path / "data/test-00000-of-00001.parquet", photos[3:], labels[3:])
    result = call(model, "--data", tmp_path / "data", "--shots", 3, "--draws", 2)
    assert result.exit_code == 0, result.output
    assert "3 photos are missing or corrupt in train and left out:" in result.stderr
    assert "row 2" in result.stderr


def test_too_few_photos(model: Path, data: Path) -> None:
    result = call(model, "--data", data, "--shots", 11)
    assert result.exit_code == 1
    assert "of the class 'red' in" in result.stderr
    assert ": 10; wanted at least 11 of each class" in result.stderr
    assert result.stderr.count("\n") == 1


def test_unknown_split(model: Path, data: Path) -> None:
    result = call(model, "--data", data, "--test-split", "val")
    assert result.exit_code == 1
    assert "has no split 'val'" in result.stderr


def test_one_split_for_both(model: Path, data: Path) -> None:
    result = call(model, "--data", data, "--train-split", "test", "--test-split", "test")
    assert result.exit_code == 1
    assert "it would be tested on its training photos; name two different splits" in result.stderr
