"""`tokenlearner bench --together`: all ways of running in the same rounds, by a fake clock."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from tests import shell
from tests.efficiency.fake_clock import FakeClock
from tokenlearner.cli import bench_session
from tokenlearner.efficiency import throughput
from tokenlearner.efficiency.comparison import Comparison
from tokenlearner.efficiency.execution import Execution
from tokenlearner.efficiency.throughput import Progress, Stopped, sweep
from tokenlearner.errors import MeasurementError

WAYS = ("--dtype", "fp32", "--dtype", "bf16", "--mode", "eager", "--mode", "optimised")
SECONDS = {
    "fp32 eager": (12.0, 8.0),
    "fp32 optimised": (6.0, 4.0),
    "bf16 eager": (10.0, 5.0),
    "bf16 optimised": (3.0, 1.5),
}
"""A pass of each way without learner, and with."""


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    """Passes take what `SECONDS` says, and nothing is computed."""
    clock = FakeClock()

    def prepare(model: Any, images: Any, execution: Execution) -> Callable[..., str]:
        has_learner = model.config.token_learner is not None
        seconds = SECONDS[str(execution)][has_learner]
        return clock.run(f"{execution}{' fast' * has_learner}", seconds)

    def timed(candidates: Any, **settings: Any) -> Iterator[Progress | Stopped]:
        yield from sweep(candidates, clock=clock, others=lambda: 0.0, **settings)

    monkeypatch.setattr(throughput, "prepare", prepare)
    monkeypatch.setattr(bench_session, "sweep", timed)
    return clock


def call(*arguments: object) -> Result:
    words = [*arguments, *WAYS, "--rounds", 3, "--seconds", 50, "--device", "cpu"]
    return shell.call("bench", *words, env={"COLUMNS": "200"})


def times(output: str) -> list[list[str]]:
    """What ends in ×, of each line of the table."""
    lines = [line for line in output.splitlines() if re.match("tiny.*, (fp32|bf16) ", line)]
    return [[cell for cell in line.split() if cell.endswith("×")] for line in lines]


def test_overall_is_over_the_first_model_in_the_first_way(source: Path, tmp_path: Path) -> None:
    file = tmp_path / "bench.json"
    result = call(source, "--together", "--batch", 2, "--no-why", "--json", file)
    assert result.exit_code == 0, result.output
    (title,) = (line for line in result.stdout.splitlines() if line.startswith("model"))
    assert title.split()[-5:] == ["speed-up", "promised", "realised", "overall", "rounds"]
    assert "bf16 optimised" in result.stdout
    promised = times(result.stdout)[1][1]
    assert times(result.stdout) == [
        [],
        ["1.50×", promised, "1.50×"],
        ["2.00×"],
        ["1.50×", promised, "3.00×"],
        ["1.20×"],
        ["2.00×", promised, "2.40×"],
        ["4.00×"],
        ["2.00×", promised, "8.00×"],
    ]
    content = json.loads(file.read_text())
    assert " --mode optimised --together --seconds 50 " in content["command"]
    (found,) = content["comparisons"]
    assert len(Comparison.from_dict(found).entries) == 8
    assert [way["how"] for way in found["ways"]] == list(SECONDS)
    assert [way["speedup"]["median"] for way in found["ways"]] == [1.5, 1.5, 2.0, 2.0]
    overall = [[spread["median"] for spread in way["overall"].values()] for way in found["ways"]]
    assert overall == [[1.0, 1.5], [2.0, 3.0], [1.2, 2.4], [4.0, 8.0]]
    for way in found["ways"]:
        kept = way["speedup"]["median"] / way["macs_ratio"]
        assert way["realised_ratio"]["median"] == pytest.approx(kept, rel=1e-3)
    # Of the figures, which are over the first entry, only one is of a promise.
    given = [figure["realised_ratio"] is not None for figure in found["figures"]]
    assert given == [False, True, *[False] * 6]


def test_everything_runs_in_each_round(source: Path, clock: FakeClock) -> None:
    """And a round with all ways is given as much time as the ways would have had apart."""
    result = call(source, "--together", "--batch", 1, "--no-why")
    assert result.exit_code == 0, result.output
    order = [f"{way}{fast}" for way in SECONDS for fast in ("", " fast")]
    passes = clock.calls[-3 * len(order) :]  # three rounds of 49.5 s in 4 times 50 s
    assert passes == [*order, *order[::-1], *order]


def test_without_it_ways_are_not_compared(source: Path, tmp_path: Path, clock: FakeClock) -> None:
    file = tmp_path / "bench.json"
    result = call(source, "--batch", 1, "--no-why", "--json", file)
    assert result.exit_code == 0, result.output
    assert "overall" not in result.stdout
    content = json.loads(file.read_text())
    assert "--together" not in content["command"]
    assert [len(each["entries"]) for each in content["comparisons"]] == [2] * 4
    assert all("ways" not in each for each in content["comparisons"])
    assert clock.calls[-2:] == ["bf16 optimised", "bf16 optimised fast"]


def test_a_model_alone_has_its_ways_to_be_compared(source: Path, tmp_path: Path) -> None:
    file = tmp_path / "bench.json"
    result = call(source, "--against", "none", "--together", "--batch", 1, "--json", file)
    assert result.exit_code == 0, result.output
    assert times(result.stdout) == [[], ["2.00×"], ["1.60×"], ["5.33×"]]
    (found,) = json.loads(file.read_text())["comparisons"]
    assert [way["overall"] for way in found["ways"]][1]["tiny"]["median"] == 2.0
    assert all("speedup" not in way for way in found["ways"])


def test_every_way_has_its_own_words(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, bool]] = []

    def fail(*_: Any, dtype: str, optimised: bool, **__: Any) -> None:
        asked.append((dtype, optimised))
        raise MeasurementError("no stages today")

    monkeypatch.setattr(bench_session, "profile", fail)
    monkeypatch.setattr(bench_session, "KEPT", float("inf"))
    result = call(source, "--together", "--batch", 1)
    assert asked == [("fp32", False), ("fp32", True), ("bf16", False), ("bf16", True)]
    for way in SECONDS:
        assert (
            f"{way}, batch 1: could not find out why less is realised: no stages" in result.stdout
        )


def test_ctrl_c_keeps_the_rounds_that_are_done(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    timed = bench_session.sweep

    def interrupted(*arguments: Any, **settings: Any) -> Iterator[Progress | Stopped]:
        for event in timed(*arguments, **settings):
            yield event
            result = event.comparison if isinstance(event, Progress) else None
            if result and result.batch_size == 2 and len(result.rounds) == 2:
                raise KeyboardInterrupt

    monkeypatch.setattr(bench_session, "sweep", interrupted)
    file = tmp_path / "bench.json"
    result = call(source, "--together", "--sweep", "--json", file)
    assert result.exit_code == 130
    assert "interrupted: kept 2 of 10 batch sizes; the last may have fewer rounds" in result.stdout
    content = json.loads(file.read_text())
    assert content["interrupted"]
    assert [len(each["rounds"]) for each in content["comparisons"]] == [3, 2]
    assert [len(each["ways"]) for each in content["comparisons"]] == [4, 4]


def test_a_way_that_fails_stops_all_of_them(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> Iterator[Progress]:
        raise MeasurementError("torch.compile failed: no compiler")
        yield

    monkeypatch.setattr(bench_session, "sweep", broken)
    result = call(source, "--together", "--batch", 1)
    assert result.exit_code == 1
    assert (
        "stopped at fp32 eager with fp32 optimised with bf16 eager with bf16 optimised: "
        "torch.compile failed: no compiler"
    ) in result.stdout
