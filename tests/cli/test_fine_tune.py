"""`tokenlearner train fine-tune`: any trained model further, on other photos, at another size."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from typer.testing import Result

from tests import shell, tiny, tiny_clips
from tokenlearner import zoo
from tokenlearner.checkpoints import load_model, save_model
from tokenlearner.cli.train_job import prepare
from tokenlearner.inference import explain
from tokenlearner.models import ConvVideoNetwork
from tokenlearner.models.timm_info import LEARNER, describe_timm
from tokenlearner.models.timm_vit import TimmVisionTransformer, insert_token_learner
from tokenlearner.modules.embed import resample_position_embedding
from tokenlearner.training.data import LabelledClips
from tokenlearner.training.fine_tune import teacher_of, with_classes


def fine_tune(data: Path, out: Path, *arguments: object) -> Result:
    words = ["fine-tune", *arguments, "--data", data, "--out", out, "--device", "cpu"]
    return shell.call("train", *words)


def test_reads_the_model_once(
    data: Path, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded, load = [], zoo.load
    monkeypatch.setattr(zoo, "load", lambda name: loaded.append(name) or load(name))
    result = fine_tune(data, tmp_path / "run", "--init", source, "--dry-run")
    assert result.exit_code == 0, result.output
    assert loaded == [str(source)]


def test_seed_decides_the_rows_of_new_classes() -> None:
    """Or the same command could not go on with a run: its start would be another."""
    frames = tiny_clips.moving(0)
    data = LabelledClips(
        "clips", (tiny_clips.encode(frames),), np.zeros(1, np.int64), ("left", "right")
    )
    heads = []
    for seed in (1, 1, 2):
        torch.rand(1)  # as anything else in the process may
        job = prepare(None, data, source=tiny.conv_model(), teacher=None, seed=seed)
        assert isinstance(job.model, ConvVideoNetwork)
        heads.append(job.model.head.weight)
    assert torch.equal(heads[0], heads[1])
    assert not torch.equal(heads[0], heads[2])


def test_needs_a_model(data: Path, tmp_path: Path) -> None:
    result = fine_tune(tmp_path / "not looked for", tmp_path / "run")
    assert result.exit_code == 1
    assert "fine-tune needs a model to start from; give --init MODEL" in result.stderr


def test_takes_the_classes_of_the_photos(source: Path, tmp_path: Path) -> None:
    folder = tmp_path / "photos/train"
    for row in range(8):
        kind = ("green", "blue")[row % 2]
        file = folder / kind / f"{row}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(tiny.photo(tiny.CLASSES.index(kind), row))
    (folder / "blue" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n cut off")
    arguments = ("--init", source, "--num-workers", 0)
    result = fine_tune(tmp_path / "photos", tmp_path / "run", *arguments)
    assert result.exit_code == 1, "one of nine is more than one in a hundred"
    assert "broken.png" in result.stderr
    result = fine_tune(tmp_path / "photos", tmp_path / "again", *arguments, "--max-unusable", "0.2")
    assert result.exit_code == 0, result.output
    assert "1 photo is missing or corrupt in train and left out" in result.stderr
    assert "broken.png" in result.stderr
    info = load_model(tmp_path / "again/model").info
    assert info is not None
    assert info.class_names == ("blue", "green")
    assert info.name == "tiny-fine-tuned"
    assert info.provenance is not None
    assert info.provenance.trained_on == "photos"


def test_at_another_resolution(data: Path, source: Path, tmp_path: Path) -> None:
    """The position embedding is resampled, and the card's command says how it was done."""
    options = "--epochs 1 --batch-size 9 --learning-rate 0.002 --image-size 24"
    arguments = ("--init", source, "--num-workers", 0, *options.split())
    result = fine_tune(data, tmp_path / "run", *arguments)
    assert result.exit_code == 0, result.output
    assert "epoch 1/1" in result.stdout
    model = load_model(tmp_path / "run/model")
    assert model.config.image_size == (24, 24)
    assert model.info is not None
    assert model.info.preprocessing.image_size == (24, 24)
    assert explain(model, np.zeros((30, 40, 3), np.uint8)).maps.shape == (2, 6, 6)
    assert model.info.provenance is not None
    assert f" {options} " in model.info.provenance.command
    assert model.info.provenance.epochs == 1
    settings = model.info.provenance.settings
    assert settings["photo sizes"] == "1 epoch at 24 px"
    assert "AdamW, learning rate 0.002, " in settings["optimiser"]
    assert settings["optimiser"].endswith("batch 9")


def test_another_resolution_resamples_the_position_embedding() -> None:
    source = tiny.model()
    model: Any = with_classes(source, tiny.CLASSES, image_size=(24, 24))
    name = "encoder.position_embedding"
    found, before = model.state_dict(), source.state_dict()
    wanted = resample_position_embedding(before.pop(name), old=(4, 4), new=(6, 6))
    assert torch.equal(found.pop(name), wanted)
    for other, value in found.items():
        assert torch.equal(value, before[other]), other


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", "bad.png: The file is empty"), (tiny.photo(0, 9)[:60], "bad.png")],
    ids=["empty", "cut off"],
)
def test_missing_and_corrupt_photos_are_named(
    content: bytes, reason: str, source: Path, tmp_path: Path
) -> None:
    files = {f"{name}/{row}.png": tiny.photo(0, row) for name in "ab" for row in range(4)}
    tiny.write_files(tmp_path / "photos/train", files | {"a/bad.png": content})
    arguments = ("--init", source, "--num-workers", 0, "--max-unusable", "0.2")
    result = fine_tune(tmp_path / "photos", tmp_path / "run", *arguments)
    assert result.exit_code == 0, result.output
    assert f"a/{reason}" in result.stderr
    info = load_model(tmp_path / "run/model").info
    assert info is not None
    assert info.provenance is not None
    assert " --max-unusable 0.2" in info.provenance.command


def test_a_timm_head_keeps_its_rows_and_starts_others_at_zero() -> None:
    network = TimmVisionTransformer(timm.create_model("test_vit", num_classes=3, img_size=32))
    network.info = tiny.model().info
    names = ("blue", "teal", "red")
    model = with_classes(network, names)
    assert isinstance(model, TimmVisionTransformer)
    found, old = model.get_classifier(), network.get_classifier()
    assert torch.equal(found.weight[[0, 2]], old.weight[[2, 0]])
    assert torch.equal(found.bias[[0, 2]], old.bias[[2, 0]])
    assert not found.weight[1].any()
    assert not found.bias[1].any()


def test_a_learner_in_a_trained_model_learns_from_that_model(data: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    backbone = timm.create_model("test_vit", num_classes=3, img_size=32)
    network = insert_token_learner(backbone, num_tokens=2)
    info = tiny.model().info
    assert info is not None
    known = describe_timm(network, pretrained=True, name="backbone-tl2", class_names=tiny.CLASSES)
    network.info = replace(known, provenance=info.provenance, untrained_parts=(LEARNER,))
    assert teacher_of(network, tiny.CLASSES, multi_label=True) is None
    save_model(tmp_path / "inserted", network)
    arguments = ("--init", tmp_path / "inserted", "--num-workers", 0)
    result = fine_tune(data, tmp_path / "run", *arguments)
    assert result.exit_code == 0, result.output
    trained = load_model(tmp_path / "run/model")
    assert isinstance(trained, TimmVisionTransformer)
    assert trained.info is not None
    assert trained.info.untrained_parts == ()
    assert trained.info.provenance is not None
    assert trained.info.provenance.teacher == "backbone-tl2 without its learner"
    assert "learns from the labels alone" not in result.stdout
    before = network.state_dict()
    assert any(not torch.equal(value, before[n]) for n, value in trained.state_dict().items())


def test_says_that_a_learner_has_no_teacher(data: Path, tmp_path: Path) -> None:
    backbone = timm.create_model("test_vit", num_classes=3, img_size=32)
    network = insert_token_learner(backbone, num_tokens=2)
    known = describe_timm(
        network, pretrained=True, name="backbone-tl2", class_names=("red", "green", "teal")
    )
    network.info = replace(known, untrained_parts=(LEARNER,))
    save_model(tmp_path / "inserted", network)
    result = fine_tune(data, tmp_path / "run", "--init", tmp_path / "inserted", "--dry-run")
    assert result.exit_code == 0, result.output
    assert "the learner in backbone-tl2 learns from the labels alone" in result.stdout
    assert f"not trained on the classes of {data}" in result.stdout
