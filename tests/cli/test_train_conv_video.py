"""A convolutional network for clips, trained, measured and asked by the command line."""

import json
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests import tiny, tiny_clips
from tests.shell import call
from tokenlearner.checkpoints import load_model, save_model
from tokenlearner.clips import ClipExplanation, explain_clip
from tokenlearner.models import ConvVideoNetwork
from tokenlearner.training.augment import Augmentation
from tokenlearner.training.data import read_clips
from tokenlearner.training.loop import Trainer
from tokenlearner.training.recipes import RECIPES, Recipe

NAME = "tiny-conv"
CLASSES = ("bar", "down", "up")


def recipe() -> Recipe:
    """Trains at another size than the model is used at, as the recipe for Charades."""
    return tiny_clips.recipe(
        name=NAME,
        model=tiny.conv_config(),
        preprocessing=replace(tiny.preprocessing(), resize="crop"),
        canvas=None,
        stages=((2, 12),),
        loss="sigmoid",
        augmentation=Augmentation(area=(0.5, 1.0)),
    )


@pytest.fixture(autouse=True)
def _recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RECIPES, NAME, recipe)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A list of clips with any number of classes each."""
    folder = tiny_clips.write_dataset(tmp_path_factory.mktemp("clips"), train=8, test=4)
    rows = ["path,classes,split"]
    for clip in sorted(folder.rglob("*.mp4")):
        split, direction = clip.parts[-3:-1]
        classes = "" if clip.stem == "00" else f"bar; {direction}"
        rows.append(f"{clip.relative_to(folder)},{classes},{split}")
    (folder / "list.csv").write_text("\n".join(rows))
    return folder / "list.csv"


@pytest.fixture(scope="module")
def trained(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "whole"
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(RECIPES, NAME, recipe)
        result = train(data, out)
    assert result.exit_code == 0, result.output
    return out / "model"


def train(data: Path, out: Path, *options: object, name: str = NAME) -> Any:
    words = ("--data", data, "--out", out, "--device", "cpu", "--no-mixed-precision")
    return call("train", name, *words, "--num-workers", 0, *options)


def test_goes_on_where_it_stopped(data: Path, trained: Path, tmp_path: Path) -> None:
    clips = read_clips(data, "train")
    trainer = Trainer(recipe(), clips, tmp_path, device=torch.device("cpu"), mixed_precision=False)
    for _ in islice(trainer.run(), 3):  # the second epoch is half done
        pass
    trainer.save()
    result = train(data, tmp_path)
    assert result.exit_code == 0, result.output
    assert "resuming after step 3 of 4" in result.stdout
    weights = [folder / "model.safetensors" for folder in (trained, tmp_path / "model")]
    assert weights[0].read_bytes() == weights[1].read_bytes()


def test_the_model_folder(trained: Path) -> None:
    model = load_model(trained)
    assert isinstance(model, ConvVideoNetwork)
    assert model.config == tiny.conv_config()
    assert model.info is not None
    assert model.info.class_names == CLASSES
    assert model.info.multi_label


def test_evaluate_looks_several_times_and_writes_the_card(data: Path, trained: Path) -> None:
    views = ("--temporal-views", 2, "--spatial-views", 3)
    result = call("evaluate", trained, "--data", data, "--save", *views)
    assert result.exit_code == 0, result.output
    metrics = json.loads((trained / "metrics.json").read_text())["metrics"]
    assert " % of 3 clips with a label" in result.stdout
    assert f"mAP    {metrics['map_percent']:6.2f} % over 3 classes" in result.stdout
    card = (trained / "README.md").read_text()
    assert f"| mean average precision | {metrics['map_percent']:.2f} % |" in card
    assert "A convolutional network, X(2+1)D, that classifies clips into 3 classes" in card
    assert "It gives every clip a probability for each of its 3 classes" in card


def test_explain(data: Path, trained: Path, tmp_path: Path) -> None:
    clip = data.parent / "test/up/01.mp4"
    result = call("explain", clip, "--model", trained, "--out", tmp_path)
    assert result.exit_code == 0, result.output
    explanation = ClipExplanation.load(tmp_path / "01.npz")
    wanted = explain_clip(load_model(trained), clip)
    assert np.array_equal(explanation.probabilities, wanted.probabilities)
    assert not np.isclose(explanation.probabilities.sum(), 1)  # each class has its own
    assert explanation.maps.shape[:2] == (4, 2)


def test_dry_run(data: Path, tmp_path: Path) -> None:
    result = train(data, tmp_path, "--dry-run")
    assert result.exit_code == 0, result.output
    assert "GFLOPs per clip" in result.stdout
    assert list(tmp_path.iterdir()) == []


def test_starts_from_one_of_its_kind(
    data: Path, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(RECIPES, NAME, lambda: replace(recipe(), stages=((1, 12),)))
    result = train(data, tmp_path / "run", "--init", trained)
    assert result.exit_code == 0, result.output
    arrays = len(load_model(trained).state_dict())
    assert f"{arrays} of {arrays} arrays come from {NAME} as they are." in result.stdout
    save_model(tmp_path / "tiny", tiny.model())
    result = train(data, tmp_path / "other", "--init", tmp_path / "tiny")
    assert result.exit_code == 1
    assert "a VisionTransformer cannot start a ConvVideoNetwork" in result.stderr


def test_is_tuned_to_other_classes(trained: Path, tmp_path: Path, data: Path) -> None:
    file = data.parent / "other.csv"
    file.write_text("path,class\ntrain/up/01.mp4,up\ntrain/down/02.mp4,still\n")
    result = train(file, tmp_path, "--init", trained, name="fine-tune")
    assert result.exit_code == 0, result.output
    model = load_model(tmp_path / "model")
    assert isinstance(model, ConvVideoNetwork)
    assert model.info is not None
    assert model.info.class_names == ("still", "up")
    assert not model.info.multi_label
