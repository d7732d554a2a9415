"""`tokenlearner bench`: tables, JSON, what is kept on Ctrl-C, and what is refused."""

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests import shell, tiny
from tokenlearner.checkpoints import save_model
from tokenlearner.cli import bench_session
from tokenlearner.efficiency import count_macs
from tokenlearner.efficiency.comparison import Comparison
from tokenlearner.efficiency.throughput import Progress, Stopped, sweep
from tokenlearner.errors import MeasurementError
from tokenlearner.models import (
    TokenLearnerConfig,
    VideoVisionTransformer,
    VideoVisionTransformerConfig,
)
from tokenlearner.models.presets import PUBLISHED

SHORT = ("--seconds", "0.01", "--rounds", "2", "--device", "cpu")


call = partial(shell.call, "bench", *SHORT, env={"COLUMNS": "200"})


@pytest.fixture
def model(tmp_path: Path) -> Path:
    save_model(tmp_path / "model", tiny.model())
    return tmp_path / "model"


@pytest.fixture
def baseline(tmp_path: Path) -> Path:
    save_model(tmp_path / "baseline", tiny.model(learner=False, name="plain"))
    return tmp_path / "baseline"


def test_a_pair_of_one_name(model: Path, tmp_path: Path) -> None:
    save_model(tmp_path / "anew", tiny.model())  # its info calls it tiny, too
    file = tmp_path / "bench.json"
    result = call(model, "--against", tmp_path / "anew", "--batch", 1, "--json", file)
    assert result.exit_code == 0, result.output
    entries = json.loads(file.read_text())["comparisons"][0]["entries"]
    assert [entry["name"] for entry in entries] == [str(tmp_path / "anew"), str(model)]
    result = call(model, "--against", model, "--batch", 1)
    assert result.exit_code == 0, result.output


def test_a_pair(model: Path, baseline: Path, tmp_path: Path) -> None:
    file = tmp_path / "results/bench.json"
    result = call(model, "--against", baseline, "--batch", 2, "--batch", 1, "--json", file)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    table = [line for line in lines if line.startswith(("plain, fp32", "tiny, fp32"))]
    sizes = [line.replace("*", "").split()[3] for line in table]  # plain, fp32 eager 1 ...
    assert sizes == ["1", "1", "2", "2"]
    assert "×" not in table[0]
    assert table[1].count("×") == 2
    assert table[1].rstrip().endswith("%")
    assert ("*" in table[0]) == (
        "lines marked *: other programs disturbed every round" in result.stdout
    )
    content = json.loads(file.read_text())
    assert content["command"] == (
        "tokenlearner bench ./model --against ./baseline --batch 1 --batch 2 --dtype fp32 "
        "--mode eager --seconds 0.01 --rounds 2 --device cpu"
    )
    assert not content["interrupted"]
    results = [Comparison.from_dict(each) for each in content["comparisons"]]
    assert [(r.batch_size, r.entries[0].name) for r in results] == [(1, "plain"), (2, "plain")]
    for each in content["comparisons"]:
        said = (
            "no reason can be given"
            if each["all_disturbed"]
            else "the multiply-accumulates promise"
        )
        assert said in each["words"]


def test_a_folder_with_a_learner_stands_beside_itself_without(model: Path, tmp_path: Path) -> None:
    result = call(model, "--batch", 1, "--no-why", "--json", tmp_path / "bench.json")
    assert result.exit_code == 0, result.output
    assert "tiny without learner has random weights" in result.stdout
    assert "tiny without learner, fp32 eager" in result.stdout
    recorded = json.loads((tmp_path / "bench.json").read_text())["command"]
    assert recorded.startswith("tokenlearner bench ./model --batch 1 "), "no model to be against"
    assert " --no-why " in recorded
    assert "of what the multiply-accumulates promise" not in result.stdout


def test_a_clip_model_is_measured_in_clips(tmp_path: Path) -> None:
    config = VideoVisionTransformerConfig(
        image_size=(16, 16),
        num_classes=3,
        dim=8,
        depth=2,
        num_heads=2,
        mlp_dim=16,
        num_frames=4,
        token_learner=TokenLearnerConfig(num_tokens=2, at=1),
    )
    network = VideoVisionTransformer(config)
    network.info = tiny.model(name="clips").info
    network.save_pretrained(tmp_path / "model")
    result = call(tmp_path / "model", "--batch", 1)
    assert result.exit_code == 0, result.output
    assert "clips/s" in result.stdout
    assert "clips without learner has random weights" in result.stdout


def test_a_folder_without_learner_stands_alone(baseline: Path) -> None:
    result = call(baseline, "--batch", 1)
    assert result.exit_code == 0, result.output
    assert "×" not in result.stdout


def test_photos_and_clips_are_not_compared() -> None:
    result = call("cifar10-mini-vit-tl8", "--against", "gestures-vivit")
    assert result.exit_code == 1
    assert "cifar10-mini-vit-tl8 takes photos and gestures-vivit clips" in result.stderr


@pytest.mark.parametrize("name", ["cifar10-mini-vit", "cifar10-mini-vit-tl8"])
def test_a_shipped_model_stands_beside_its_counterpart(name: str) -> None:
    result = call(name, "--batch", 1, "--no-why")
    assert result.exit_code == 0, result.output
    first, second = (line for line in result.stdout.splitlines() if "fp32 eager" in line)
    assert first.startswith("cifar10-mini-vit, ")
    assert second.startswith("cifar10-mini-vit-tl8, ")


def test_a_variant(tmp_path: Path) -> None:
    file = tmp_path / "bench.json"
    options = ("--image-size", 32, "--num-tokens", 2, "--at", 3, "--version", "1.0", "--fuser")
    result = call("--variant", "Ti/16", *options, "--batch", 1, "--no-why", "--json", file)
    assert result.exit_code == 0, result.output
    assert "both have random weights: speed does not depend on them" in result.stdout
    assert "Ti/16, 2 tokens at 3, fuser, fp32 eager" in result.stdout
    assert json.loads(file.read_text())["command"] == (
        "tokenlearner bench --variant Ti/16 --image-size 32 --num-tokens 2 --at 3 --version 1.0 "
        "--fuser --batch 1 --dtype fp32 --mode eager --seconds 0.01 --rounds 2 --no-why "
        "--device cpu"
    )


def test_a_model_of_the_paper(tmp_path: Path) -> None:
    file, name = tmp_path / "bench.json", "S/32, 8 tokens at 6"
    result = call("--variant", name, "--batch", 1, "--no-why", "--json", file)
    assert result.exit_code == 0, result.output
    content = json.loads(file.read_text())
    assert content["command"].startswith(f"tokenlearner bench --variant '{name}' --batch 1 ")
    (comparison,) = content["comparisons"]
    assert [e["name"] for e in comparison["entries"]] == [f"{name} without learner", name]
    macs = [count_macs(PUBLISHED[of]).macs for of in ("S/32", name)]
    assert [entry["macs"] for entry in comparison["entries"]] == macs


def test_several_formats(model: Path) -> None:
    result = call(model, "--dtype", "fp32", "--dtype", "bf16", "--batch", 1, "--no-why")
    assert result.exit_code == 0, result.output
    assert "tiny, fp32 eager" in result.stdout
    assert "tiny, bf16 eager" in result.stdout


def test_channels_innermost(model: Path, tmp_path: Path) -> None:
    file = tmp_path / "bench.json"
    result = call(model, "--channels-last", "--batch", 1, "--no-why", "--json", file)
    assert result.exit_code == 0, result.output
    assert "tiny, fp32 eager channels-last" in result.stdout
    content = json.loads(file.read_text())
    assert " --mode eager --channels-last " in content["command"]
    entries = Comparison.from_dict(content["comparisons"][0]).entries
    assert [entry.execution.channels_last for entry in entries] == [True, True]


def test_ctrl_c_keeps_what_is_done(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*arguments: Any, **settings: Any) -> Iterator[Progress | Stopped]:
        for event in sweep(*arguments, **settings):
            yield event
            result = event.comparison if isinstance(event, Progress) else None
            if result and result.batch_size == 2 and result.rounds:
                raise KeyboardInterrupt

    monkeypatch.setattr(bench_session, "sweep", interrupted)
    file = tmp_path / "bench.json"
    result = call(model, "--sweep", "--json", file)
    assert result.exit_code == 130
    assert "interrupted: kept 2 of 10 lines; the last may have fewer rounds" in result.stdout
    content = json.loads(file.read_text())
    assert content["interrupted"]
    assert [c["batch_size"] for c in content["comparisons"]] == [1, 2]


def test_ctrl_c_before_anything_is_done(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: Any, **__: Any) -> Iterator[Progress]:
        raise KeyboardInterrupt
        yield

    monkeypatch.setattr(bench_session, "sweep", interrupted)
    result = call(model, "--json", tmp_path / "bench.json")
    assert result.exit_code == 130
    assert "interrupted: nothing was measured" in result.stdout
    assert not (tmp_path / "bench.json").exists()


def test_where_memory_ends_that_is_said(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def short(*arguments: Any, **settings: Any) -> Iterator[Progress | Stopped]:
        yield from sweep(*arguments, **settings)
        yield Stopped(batch_size=16, reason="out of memory")

    monkeypatch.setattr(bench_session, "sweep", short)
    result = call(model, "--batch", 1, "--no-why")
    assert result.exit_code == 0, result.output
    assert "stopped at fp32 eager, batch 16: out of memory" in result.stdout


def test_one_way_that_fails_leaves_the_others(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(candidates: Any, **settings: Any) -> Iterator[Progress | Stopped]:
        if candidates[0].execution.mode == "compile":
            raise MeasurementError("torch.compile failed: no compiler")
        yield from sweep(candidates, **settings)

    monkeypatch.setattr(bench_session, "sweep", broken)
    result = call(model, "--mode", "compile", "--mode", "eager", "--batch", 1, "--no-why")
    assert result.exit_code == 0, result.output
    assert "stopped at fp32 compile: torch.compile failed: no compiler" in result.stdout
    assert "tiny, fp32 eager" in result.stdout
    alone = call(model, "--mode", "compile", "--batch", 1, "--no-why")
    assert alone.exit_code == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--json", "/"), "'--json': file '/' is a directory"),
        (("--variant", "B/16", "--image-size", "100000"), "'--image-size': Input should be less"),
        (("--variant", "B/16", "--num-tokens", "99999"), "'--num-tokens': Input should be less"),
    ],
)
def test_refused_before_anything_is_measured(arguments: tuple[str, ...], message: str) -> None:
    result = call(*arguments)
    assert result.exit_code == 2, result.output
    assert message in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nowhere",), "'nowhere' is neither a shipped model"),
        (("--mode", "graphs"), "CUDA graphs need an NVIDIA GPU, and this is cpu"),
        (("--dtype", "tf32"), "tf32 is a format of NVIDIA GPUs, and this is cpu"),
        (("--dtype", "int8"), "dtype is 'int8'; it must be one of fp32, tf32, bf16, fp16"),
        (
            ("--sweep", "--batch", "3", "--batch", "5"),
            "--sweep chooses the batches (1, 2, 4 ... 512); leave out --batch 3 --batch 5",
        ),
        (("--at", "3", "--fuser"), "--at, --fuser needs --variant, as in --variant B/16"),
        (
            ("cifar10-mini-vit", "--variant", "B/16"),
            "--variant creates both models; leave out MODEL, or --variant",
        ),
        (
            ("--variant", "L/16, 16 tokens at 12", "--at", "3"),
            "'L/16, 16 tokens at 12' is fully specified; leave out --at, or give a size alone",
        ),
        (("--variant", "X/16"), "variant is 'X/16'; it must be one of Ti, S, B, L, H, a slash"),
        (("--variant", "Ti/16", "--version", "2"), "version is '2'; it must be '1.0', '1.1'"),
    ],
)
@pytest.mark.usefixtures("_as_users_run_it")
def test_refused(arguments: tuple[str, ...], message: str) -> None:
    result = call(*arguments)
    assert result.exit_code == 1, result.output
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
