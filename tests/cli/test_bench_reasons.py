"""What `tokenlearner bench` says of a promise that is not kept, and what it writes of it."""

import json
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import torch

from tests import shell, tiny
from tokenlearner.cli import bench_session
from tokenlearner.efficiency import reality, rounds
from tokenlearner.efficiency.execution import Execution
from tokenlearner.efficiency.profile import Profile, profile
from tokenlearner.efficiency.rounds import Plan
from tokenlearner.efficiency.throughput import Candidate, Progress, sweep
from tokenlearner.errors import MeasurementError


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """No other program is busy, and no promise counts as kept."""
    monkeypatch.setattr(rounds, "others_cpu_seconds", lambda: 0.0)
    monkeypatch.setattr(bench_session, "KEPT", float("inf"))


call = partial(shell.call, "bench", "--seconds", 0.01, "--device", "cpu", env={"COLUMNS": "200"})


def test_what_was_disturbed_gets_no_reason(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    busy = count(step=1000.0)
    monkeypatch.setattr(rounds, "others_cpu_seconds", lambda: next(busy))
    file = tmp_path / "bench.json"
    result = call(source, "--batch", 1, "--json", file)
    assert result.exit_code == 0, result.output
    assert (
        "batch 1: no reason can be given: other programs were busy in every round" in result.stdout
    )
    assert "Lost:" not in result.stdout
    assert json.loads(file.read_text())["comparisons"][0]["profiles"] == []


def test_the_profiles_behind_a_reason_are_written(source: Path, tmp_path: Path) -> None:
    file = tmp_path / "bench.json"
    result = call(source, "--batch", 2, "--json", file)
    assert result.exit_code == 0, result.output
    (comparison,) = json.loads(file.read_text())["comparisons"]
    for data, entry in zip(comparison["profiles"], comparison["entries"], strict=True):
        assert Profile.from_dict(data).macs == 2 * entry["macs"]
        assert all(stage["seconds"] > 0 for stage in data["stages"] if stage["macs"])
    learnt = [stage["name"] for stage in comparison["profiles"][1]["stages"]]
    assert [name for name in learnt if name.startswith("learner")]


def test_a_convolutional_network_is_measured_without_a_reason(tmp_path: Path) -> None:
    tiny.conv_model().save_pretrained(tmp_path / "conv")
    result = call(tmp_path / "conv", "--batch", 1)
    assert result.exit_code == 0, result.output
    assert "tiny-conv without learner has random weights" in result.stdout
    assert "could not find out why less is realised" in result.stdout


def test_compiled_models_get_the_reasons_of_eager_ones(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their stages are timed once, for both."""
    asked: list[dict[str, Any]] = []

    def spied(models: Any, **settings: Any) -> tuple[Profile, ...]:
        asked.append(settings)
        return profile(models, **settings)

    monkeypatch.setattr(torch, "compile", lambda forward, **_: forward)
    monkeypatch.setattr(bench_session, "profile", spied)
    monkeypatch.setattr(reality, "KEPT", float("inf"))
    file = tmp_path / "bench.json"
    ways = ("--mode", "eager", "--mode", "compile", "--dtype", "bf16")
    result = call(source, "--batch", 1, *ways, "--json", file)
    assert result.exit_code == 0, result.output
    assert [(each["dtype"], each["optimised"]) for each in asked] == [("bf16", False)]
    eager, compiled = json.loads(file.read_text())["comparisons"]
    assert "no stages" not in eager["words"]
    assert (
        "promise. bf16 compile has no stages that could be timed, so what follows is about eager "
        "passes in the same number format"
    ) in compiled["words"]
    assert [eager["profiled"], compiled["profiled"]] == ["bf16 eager", "bf16 eager"]
    assert len(compiled["profiles"]) == 2
    assert compiled["profiles"] == eager["profiles"]


@pytest.mark.parametrize(
    ("execution", "device", "optimised"),
    [
        (Execution(), "cuda", False),
        (Execution(mode="optimised"), "cpu", True),
        (Execution(mode="optimised", dtype="fp16"), "cuda", False),
        (Execution(mode="compile", dtype="bf16"), "cpu", False),
        (Execution(mode="graphs", dtype="tf32"), "cuda", False),
    ],
)
def test_what_is_profiled(
    execution: Execution, device: str, optimised: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, bool]] = []

    def fail(*_: Any, dtype: str, optimised: bool, **__: Any) -> None:
        asked.append((dtype, optimised))
        raise MeasurementError("out of memory")

    monkeypatch.setattr(bench_session, "profile", fail)
    models = [("plain", tiny.model(learner=False)), ("tiny", tiny.model())]
    plan = Plan(rounds=1, seconds=0.01, warmup_passes=1, sample_seconds=0.001)
    candidates = [Candidate(name, model) for name, model in models]
    *_, last = sweep(candidates, device=torch.device("cpu"), batch_sizes=[1], plan=plan)
    assert isinstance(last, Progress)
    entries = tuple(replace(entry, execution=execution) for entry in last.comparison.entries)
    session = bench_session.Session(models, torch.device(device), plan)
    session.done.append(replace(last.comparison, entries=entries))
    session.explain()
    assert asked == [(execution.dtype, optimised)]
    assert session.words == {(0, 0): "could not find out why less is realised: out of memory"}
