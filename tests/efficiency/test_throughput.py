"""Comparisons of real, tiny models whose passes take the time that a fake clock gives them."""

import json
import re
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import pytest
import torch

from tests import tiny
from tests.efficiency.fake_clock import FakeClock
from tokenlearner.efficiency import count_model, throughput
from tokenlearner.efficiency.comparison import Comparison
from tokenlearner.efficiency.execution import Execution, prepare
from tokenlearner.efficiency.rounds import Plan, Round, Sample
from tokenlearner.efficiency.throughput import (
    POWERS,
    Candidate,
    Progress,
    Stopped,
    compare,
    needed_bytes,
    sweep,
)
from tokenlearner.errors import ConfigError, MeasurementError

CPU = torch.device("cpu")
PLAN = Plan(rounds=3, warmup_passes=1, seconds=1000, sample_seconds=0.1)


def timed(
    clock: FakeClock, name: str, seconds: float | Iterable[float], *, learner: bool = False
) -> Candidate:
    return Candidate(name, running(clock.run(name, seconds), learner=learner))


def running(run: Callable[[torch.Tensor], object], *, learner: bool = True) -> Any:
    """A model in whose place something else is measured."""
    model: Any = tiny.model(learner=learner)
    model.run = run
    return model


@pytest.fixture(autouse=True)
def _what_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    def prepared(model: Any, images: torch.Tensor, execution: Execution) -> Callable[[], object]:
        if hasattr(model, "run"):
            return partial(model.run, images)
        return prepare(model, images, execution)

    monkeypatch.setattr(throughput, "prepare", prepared)


def pair(clock: FakeClock, base: float = 3.0, fast: float = 2.0) -> list[Candidate]:
    return [timed(clock, "base", base), timed(clock, "fast", fast, learner=True)]


def measure(clock: FakeClock, candidates: list[Candidate], **changes: Any) -> list[Progress]:
    settings = {"batch_size": 4, "device": CPU, "plan": PLAN, "others": lambda: 0.0} | changes
    return list(compare(candidates, clock=clock, **settings))


def test_figures() -> None:
    clock = FakeClock()
    result = measure(clock, pair(clock))[-1].comparison
    assert result.images_per_second(0).median == pytest.approx(4 / 3)
    assert result.images_per_second(1).median == pytest.approx(2)
    assert result.latency_ms(0) == pytest.approx(3000)
    assert result.latency_ms(1, 95) == pytest.approx(2000)
    for percent in (0, 100):
        with pytest.raises(ConfigError, match=f"percent is {percent}; wanted 1 to 99"):
            result.latency_ms(0, percent)
    assert result.speedup().median == pytest.approx(1.5)
    assert result.speedup(0, over=1).median == pytest.approx(1 / 1.5)
    promised = count_model(tiny.model(learner=False)).macs / count_model(tiny.model()).macs
    assert result.macs_ratio() == pytest.approx(promised)
    realised = result.realised_ratio()
    assert realised is not None
    assert realised.median == pytest.approx(1.5 / promised)
    assert (realised.n, result.dropped) == (3, 0)


def test_ratios_are_taken_within_rounds() -> None:
    """The machine is twice as slow in the second round; the ratio does not see it."""
    clock = FakeClock()
    base = timed(clock, "base", [9, 9, 3, 6, 3])  # the first two are preparation and warm-up
    fast = timed(clock, "fast", [9, 9, 2, 4, 2])
    speedup = measure(clock, [base, fast])[-1].comparison.speedup()
    assert (speedup.lower, speedup.median, speedup.upper) == pytest.approx((1.5, 1.5, 1.5))


def test_disturbed_rounds_are_left_out_and_counted() -> None:
    clock = FakeClock()
    base = timed(clock, "base", [1, 1, 1, 50, 1, 1])
    readings = iter([0, 0, 0, 40, 40, 40, 40, 40])
    result = measure(clock, [base], others=lambda: float(next(readings)))[-1].comparison
    assert len(result.rounds) == 4
    assert (len(result.used), result.dropped, result.all_disturbed) == (3, 1, False)
    assert result.images_per_second().upper == pytest.approx(4)


def test_where_every_round_is_disturbed_that_is_said() -> None:
    samples = (Sample(1.0, 1, (1.0,)),)
    clock = FakeClock()
    empty = measure(clock, [timed(clock, "base", 1.0)])[0].comparison
    result = empty.with_rounds(Round(samples, True), Round(samples, True))
    assert (result.dropped, result.all_disturbed, len(result.used)) == (0, True, 2)
    assert result.to_dict()["all_disturbed"]


def test_progress() -> None:
    clock = FakeClock()
    events = measure(clock, pair(clock))
    assert [(event.activity, round(event.done_ratio, 2)) for event in events] == [
        ("prepared base", 0.0),
        ("prepared fast", 0.0),
        ("warming up base", 0.0),
        ("warming up fast", 0.0),
        ("round 1", 0.33),
        ("round 2", 0.67),
        ("round 3", 1.0),
    ]
    with pytest.raises(MeasurementError, match="no round is finished yet; measure for longer"):
        events[0].comparison.speedup()


def test_stopping_early_keeps_what_is_done() -> None:
    clock = FakeClock()
    running = compare(
        pair(clock), batch_size=2, device=CPU, plan=PLAN, clock=clock, others=lambda: 0.0
    )
    event = next(event for event in running if event.activity == "round 2")
    running.close()
    assert len(event.comparison.rounds) == 2
    assert event.comparison.speedup().median == pytest.approx(1.5)
    assert Comparison.from_dict(event.comparison.to_dict()) == event.comparison


def test_json_round_trip() -> None:
    clock = FakeClock()
    result = measure(clock, pair(clock))[-1].comparison
    content = json.loads(json.dumps(result.to_dict()))
    assert Comparison.from_dict(content) == result
    assert content["figures"][1]["speedup"] == {"median": 1.5, "lower": 1.5, "upper": 1.5, "n": 3}
    assert content["figures"][0]["latency_p95_ms"] == 3000
    assert content["conditions"]["device"] == "cpu"
    assert content["entries"][0]["peak_bytes"] == 0  # a pass of the clock's takes none
    del content["rounds"]
    with pytest.raises(
        MeasurementError, match=r"not a recorded measurement \(KeyError: 'rounds'\)"
    ):
        Comparison.from_dict(content)


def test_later_rounds_add_up() -> None:
    clock = FakeClock()
    first = measure(clock, pair(clock))[-1].comparison
    later = measure(clock, pair(clock, base=4.0))[-1].comparison
    assert first.with_rounds(*later.rounds).speedup().median == pytest.approx(1.75)


def _full_from(batch_size: int, error: Exception) -> Any:
    def run(images: torch.Tensor) -> None:
        if len(images) >= batch_size:
            raise error

    return running(run)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1 GiB."),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried ..."),
        RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)"),
    ],
)
def test_a_sweep_stops_where_memory_ends(error: Exception) -> None:
    plan = Plan(rounds=1, warmup_passes=1, seconds=0.001, sample_seconds=0.0001)
    candidate = Candidate("base", _full_from(4, error))
    *events, last = sweep([candidate], device=CPU, plan=plan, others=lambda: None)
    assert last == Stopped(batch_size=4, reason="out of memory")
    sizes = [event.comparison.batch_size for event in events if isinstance(event, Progress)]
    assert sorted(set(sizes)) == [1, 2]
    with pytest.raises(MeasurementError, match="out of memory at batch size 8; use a smaller one"):
        list(compare([candidate], batch_size=8, device=CPU, plan=plan))


def test_other_errors_are_not_taken_for_a_lack_of_memory() -> None:
    candidate = Candidate("base", _full_from(1, RuntimeError("shapes")))
    with pytest.raises(RuntimeError, match="shapes"):
        list(sweep([candidate], device=CPU, plan=PLAN))


def test_what_would_swap_is_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = FakeClock()
    candidates = [timed(clock, "base", 1.0)]
    free = int(needed_bytes(candidates, 2, CPU) / 0.8) + 1
    monkeypatch.setattr(throughput, "free_bytes", lambda device: free)
    *events, last = sweep(
        candidates, device=CPU, plan=PLAN, clock=clock, others=lambda: 0.0, batch_sizes=POWERS
    )
    assert isinstance(last, Stopped)
    assert last.batch_size == 4
    assert re.fullmatch(r"it would take about \d+ kB, and \d+ kB are free", last.reason)
    assert isinstance(events[-1], Progress)
    assert events[-1].comparison.batch_size == 2


def test_optimised_models_keep_float32_between_layers() -> None:
    ways = (
        Execution(mode="optimised"),
        Execution(dtype="bf16", mode="optimised"),
        Execution(dtype="bf16"),
    )
    needed = [needed_bytes([Candidate("one", tiny.model(), way)], 512, CPU) for way in ways]
    assert 0.95 * needed[0] < needed[1] < needed[0]  # but for the weights
    assert needed[2] < 0.8 * needed[0]


def test_powers() -> None:
    assert POWERS == (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)


def test_the_model_is_left_as_it_is() -> None:
    model = tiny.model().train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    plan = Plan(rounds=1, warmup_passes=1, seconds=0.001, sample_seconds=0.0001)
    candidate = Candidate("base", model, Execution(dtype="bf16", channels_last=True))
    result = list(compare([candidate], batch_size=2, device=CPU, plan=plan))[-1].comparison
    assert result.images_per_second().median > 0
    assert model.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_an_empty_batch() -> None:
    with pytest.raises(ConfigError, match="batch_size is 0; it must be at least 1"):
        next(compare([Candidate("base", tiny.model())], batch_size=0, device=CPU))


def test_what_a_cpu_cannot_do() -> None:
    for execution, message in (
        (Execution(dtype="tf32"), "tf32 is a format of NVIDIA GPUs, and this is cpu; choose fp32"),
        (Execution(mode="graphs"), "CUDA graphs need an NVIDIA GPU, and this is cpu; choose eager"),
    ):
        with pytest.raises(ConfigError, match=message):
            next(compare([Candidate("base", tiny.model(), execution)], batch_size=1, device=CPU))
