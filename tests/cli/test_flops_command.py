"""`tokenlearner flops`: the counter's numbers, as a table and as JSON."""

import json
from functools import partial
from pathlib import Path

import pytest
import torch

from tests import shell, tiny
from tokenlearner.efficiency import CONVENTIONS, count_model
from tokenlearner.efficiency.memory import activation_bytes, weight_bytes

call = partial(shell.call, "flops")


def test_the_table_of_a_model_of_the_paper() -> None:
    result = call("L/16, 16 tokens at 12", "--convention", "hlo_half")
    assert result.exit_code == 0, result.output
    lines = [line.split() for line in result.output.splitlines()]
    assert ["stage", "tokens", "GFLOPs", "share"] in lines
    assert ["learner", "12", "16", "0.1722", "0.1", "%"] in lines
    assert ["all", "184.6"] in lines
    assert "operations / 2" in result.output
    assert "305.33 million parameters: 1.2 GB in float32; activations take up to" in result.output


def test_the_table_of_a_model_for_clips() -> None:
    result = call("L/16x2, 16 tokens at 12", "--convention", "hlo_half")
    assert result.exit_code == 0, result.output
    lines = [line.split() for line in result.output.splitlines()]
    assert lines[-2] == ["all", "765.9"]  # 766 in the paper
    assert any(line[:3] == ["learner", "12", "256"] for line in lines)


def test_the_table_of_a_convolutional_model_for_clips() -> None:
    result = call("Charades", "--convention", "two_flops_per_mac")
    assert result.exit_code == 0, result.output
    lines = [line.split() for line in result.output.splitlines()]
    assert lines[-2] == ["all", "138.4"]
    assert any(line[:3] == ["learner", "25", "512"] for line in lines)


@pytest.mark.parametrize("name", ["L/16x2, 16 tokens at 12", "Charades"])
def test_clips_of_another_length(name: str, tmp_path: Path) -> None:
    counts, file = {}, tmp_path / "flops.json"
    for frames in (None, 8, 16):
        chosen = () if frames is None else ("--num-frames", frames)
        result = call(name, *chosen, "--json", file)
        assert result.exit_code == 0, result.output
        counts[frames] = json.loads(file.read_text())
    assert [counts[frames]["num_frames"] for frames in (8, 16)] == [8, 16]
    assert counts[None]["num_frames"] not in (8, 16)
    for key in ("count", "activation_bytes"):
        assert counts[8][key] < counts[16][key] < counts[None][key]
    assert f"{name}, 8 frames of " in call(name, "--num-frames", 8).output


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_json_of_a_folder(convention: str, tmp_path: Path) -> None:
    model = tiny.model()
    model.save_pretrained(tmp_path / "tiny")
    options = ("--image-size", "16x24", "--convention", convention)
    result = call(tmp_path / "tiny", *options, "--json", tmp_path / "new/flops.json")
    assert result.exit_code == 0, result.output
    data = json.loads((tmp_path / "new/flops.json").read_text())
    cost = count_model(model, image_size=(16, 24))
    assert data["count"] == pytest.approx(1e9 * cost.giga(CONVENTIONS[convention]))
    assert [stage["name"] for stage in data["stages"]] == [stage.name for stage in cost.stages]
    assert data["image_size"] == [16, 24]
    assert data["parameters"] == sum(parameter.numel() for parameter in model.parameters())
    assert data["weight_bytes"] == weight_bytes(model, torch.float32)
    shape, cpu = (1, 3, 16, 24), torch.device("cpu")
    assert data["activation_bytes"] == activation_bytes(model, shape, torch.float32, cpu)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("B/16", "--convention", "flops"), "--convention is 'flops'; choose one of macs, "),
        (("B/16", "--image-size", "0"), "--image-size is '0'; wanted pixels, such as 384"),
        (("B/16", "--image-size", "8x"), "--image-size is '8x'; wanted pixels"),
        (("B/16", "--image-size", "9" * 5000), "9'; wanted pixels, such as 384 or 256x320"),
        (("B/16", "--image-size", "100000x16"), "'100000x16'; wanted pixels, such as 384"),
        (("B/16", "--image-size", "8"), "holds no patch of (16, 16)"),
        (("B/16", "--num-frames", "8"), "B/16 takes images, not clips; leave --num-frames out"),
        (("B/17",), "unknown model 'B/17'; did you mean 'B/16'?"),
        (("nothing of the kind",), "'nothing of the kind' is neither a shipped model"),
    ],
)
def test_what_cannot_be_counted_is_said(arguments: tuple[str, ...], message: str) -> None:
    result = call(*arguments)
    assert result.exit_code == 1
    assert message in result.output
