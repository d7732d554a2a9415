"""The order of rounds, what they time, which are left out and when they end, by a fake clock."""

import itertools
from pathlib import Path

import pytest

from tests.efficiency.fake_clock import FakeClock
from tokenlearner.efficiency import rounds
from tokenlearner.efficiency.rounds import Plan, Round, Sample, Spread, run_rounds
from tokenlearner.errors import ConfigError


def quiet() -> float:
    return 0.0


def test_rounds_run_in_turn_and_back() -> None:
    clock = FakeClock()
    runs = [clock.run("a", 1.0), clock.run("b", 2.0), clock.run("c", 3.0)]
    plan = Plan(rounds=3, warmup_passes=2, seconds=100, sample_seconds=0.5)
    found = list(run_rounds(runs, plan, clock=clock, others=quiet))
    assert "".join(clock.calls) == "aabbcc" + "abc" + "cba" + "abc"
    assert found[:6] == [None] * 6  # after every pass of the warm-up
    one = Round((Sample(1.0, 1, (1.0,)), Sample(2.0, 1, (2.0,)), Sample(3.0, 1, (3.0,))))
    assert found[6:] == [one, one, one]


def test_linear_drift_cancels() -> None:
    """A machine that slows down by 1 % with every pass favours neither."""
    clock = FakeClock()
    slowing = [1 + 0.01 * step for step in range(100)]
    shared = iter(slowing)
    runs = [clock.run(name, (next(shared) for _ in itertools.count())) for name in "ab"]
    plan = Plan(rounds=4, warmup_passes=1, seconds=1000, sample_seconds=0.1)
    found = [r for r in run_rounds(runs, plan, clock=clock, others=quiet) if r]
    totals = [sum(r.samples[index].seconds for r in found) for index in (0, 1)]
    assert totals[0] == pytest.approx(totals[1], abs=1e-6)


def test_short_passes_are_timed_together() -> None:
    clock = FakeClock()
    plan = Plan(rounds=1, warmup_passes=1, seconds=100, sample_seconds=0.2)
    _, found = run_rounds([clock.run("a", 0.01)], plan, clock=clock, others=quiet)
    assert found is not None
    (sample,) = found.samples
    assert sample.passes == 20
    assert sample.seconds == pytest.approx(0.2)
    assert sample.seconds_per_pass == pytest.approx(0.01)
    assert sample.latencies_s == pytest.approx([0.01] * 8)


def test_a_device_is_waited_for() -> None:
    """Passes return at once; the time is over when the device has done them all."""
    clock = FakeClock()
    submitted = 0

    def run() -> None:
        nonlocal submitted
        submitted += 1
        clock.now += 0.001

    def synchronize() -> None:
        nonlocal submitted
        clock.now += 0.1 * submitted
        submitted = 0

    plan = Plan(rounds=1, warmup_passes=3, seconds=100, sample_seconds=0.4)
    *_, found = run_rounds([run], plan, clock=clock, others=quiet, synchronize=synchronize)
    assert found is not None
    (sample,) = found.samples
    assert sample.passes == 4
    assert sample.seconds == pytest.approx(4 * 0.101)
    assert sample.latencies_s == pytest.approx([0.101] * 4)


def test_disturbed_rounds_do_not_count() -> None:
    """Two candidates, five rounds; the second reading of the second round jumps by a second."""
    clock = FakeClock()
    readings = [0.0, 0.01, 0.01, 0.02, 0.02, 0.02, 0.02, 1.02, *[1.02] * 12]
    plan = Plan(rounds=4, warmup_passes=1, seconds=100, sample_seconds=0.1)
    runs = [clock.run("a", 1.0), clock.run("b", 1.0)]
    found = [r for r in run_rounds(runs, plan, clock=clock, others=iter(readings).__next__) if r]
    assert [r.disturbed for r in found] == [False, True, False, False, False]


@pytest.mark.parametrize(
    ("threads", "on_cpu", "others_s", "disturbed"),
    [
        (2, True, 0.064, False),
        (2, True, 0.066, True),
        (1, True, 0.114, False),
        (1, True, 0.116, True),
        (2, False, 0.214, False),  # which is timed twice
        (2, False, 0.216, True),
    ],
)
def test_what_disturbs(
    monkeypatch: pytest.MonkeyPatch, threads: int, on_cpu: bool, others_s: float, disturbed: bool
) -> None:
    """A twentieth of the wall time for each core per thread, and 15 ms; a GPU takes one thread."""
    monkeypatch.setattr(rounds.os, "cpu_count", lambda: 2)
    monkeypatch.setattr(rounds.torch, "get_num_threads", lambda: threads)
    clock = FakeClock()
    plan = Plan(rounds=1, warmup_passes=1, seconds=0.5, sample_seconds=0.1)
    readings = iter([0.0, others_s])
    events = run_rounds(
        [clock.run("a", 1.0)],
        plan,
        synchronize=None if on_cpu else lambda: None,
        clock=clock,
        others=readings.__next__,
    )
    _, found = events
    assert found is not None
    assert found.disturbed == disturbed


def test_where_nobody_tells_nothing_is_dropped() -> None:
    clock = FakeClock()
    plan = Plan(rounds=2, warmup_passes=1, seconds=100)
    runs = [clock.run("a", 1.0)]
    found = [r for r in run_rounds(runs, plan, clock=clock, others=lambda: None) if r]
    assert [r.disturbed for r in found] == [False, False]


def test_time_ends_between_rounds() -> None:
    clock = FakeClock()
    plan = Plan(rounds=100, warmup_passes=1, seconds=5)
    runs = [clock.run("a", 1.0), clock.run("b", 1.0)]
    found = [r for r in run_rounds(runs, plan, clock=clock, others=quiet) if r]
    assert len(found) == 3  # the third began after four seconds


def test_disturbance_for_ever_ends_too() -> None:
    clock = FakeClock()
    plan = Plan(rounds=3, warmup_passes=1, seconds=10)
    count = itertools.count()
    runs = [clock.run("a", 1.0)]
    others = lambda: float(next(count))  # noqa: E731
    found = [r for r in run_rounds(runs, plan, clock=clock, others=others) if r]
    assert [r.disturbed for r in found] == [True] * 10


def test_spread() -> None:
    assert Spread.of([5.0]) == Spread(5.0, 5.0, 5.0, 1)
    assert Spread.of([4.0, 1.0, 3.0, 2.0, 5.0]) == Spread(3.0, 2.0, 4.0, 5)
    assert Spread.of([1.0, 2.0]) == Spread(1.5, 1.25, 1.75, 2)
    assert Spread(3.0, 2.0, 4.0, 5).times(0.5) == Spread(1.5, 1.0, 2.0, 5)


def test_others_are_all_but_this_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    stat = tmp_path / "stat"
    stat.write_text("cpu  100 10 50 9999 777 3 4 33 100 10\ncpu0 1 2 3 4\n")
    monkeypatch.setattr(rounds, "_STAT", stat)
    monkeypatch.setattr(rounds.os, "sysconf", lambda _: 100)
    monkeypatch.setattr(rounds.time, "process_time", lambda: 0.5)
    assert rounds.others_cpu_seconds() == pytest.approx(2.0 - 0.5)
    stat.unlink()
    assert rounds.others_cpu_seconds() is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rounds": 0}, "rounds is 0; it must be at least 1"),
        ({"warmup_passes": 0}, "warmup_passes is 0; it must be at least 1"),
        ({"seconds": 0.0}, "seconds is 0.0; it must be more than 0"),
        ({"seconds": float("nan")}, "seconds is nan; it must be more than 0"),
        ({"sample_seconds": -1.0}, "sample_seconds is -1.0; it must be more than 0"),
    ],
)
def test_impossible_plans(change: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Plan(**change)  # pyright: ignore[reportArgumentType]


def test_nothing_to_measure() -> None:
    with pytest.raises(ConfigError, match="give at least one candidate"):
        next(run_rounds([], Plan()))
