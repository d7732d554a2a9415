"""Measuring keeps what is done, lets others have the device, and says what it found."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from typing import Any

import pytest
import streamlit as st
import torch

from app import resources, turns
from app.components.efficiency import measuring
from app.components.efficiency.measuring import Setup, measure, measure_safely, problem_with
from app.components.efficiency.reality import conditions, headline, realised
from app.components.efficiency.session import Measurement, keep, measurements
from app.components.plain_text import plain
from tests.app.measured import comparison
from tokenlearner import zoo
from tokenlearner.efficiency import reality, rounds
from tokenlearner.efficiency.execution import Execution, Mode
from tokenlearner.efficiency.profile import profile
from tokenlearner.efficiency.rounds import Plan
from tokenlearner.efficiency.throughput import Stopped
from tokenlearner.errors import MeasurementError

PAIR = ("cifar10-mini-vit", "cifar10-mini-vit-tl8")
SETUP = Setup(
    names=PAIR,
    states=tuple(zoo.entry(name).sha256 for name in PAIR),
    device="cpu",
    batch_size=1,
    execution=Execution(),
    plan=Plan(rounds=2, seconds=5, warmup_passes=1, sample_seconds=0.01),
)


@pytest.fixture(autouse=True)
def session(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A session of its own, in place of Streamlit's."""
    monkeypatch.setattr(st, "session_state", {})
    yield
    assert not turns.device_is_taken()


class Stop(BaseException):
    """What Streamlit raises where a run is to end."""


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """No other program is busy."""
    monkeypatch.setattr(rounds, "others_cpu_seconds", lambda: 0.0)


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("mode", ["eager", "optimised"])
def test_finished(mode: Mode, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, float]] = []
    asked: list[bool] = []

    def spied(*models: Any, optimised: bool, **settings: Any) -> Any:
        asked.append(optimised)
        return profile(*models, optimised=optimised, **settings)

    monkeypatch.setattr(measuring, "profile", spied)
    measure(
        replace(SETUP, thorough=True, execution=Execution(mode=mode)),
        show=lambda activity, ratio: seen.append((activity, ratio)),
    )
    (found,) = measurements()
    assert found.finished
    assert "of what the multiply-accumulates promise" in found.reason
    assert asked == [mode == "optimised"]
    assert len(found.comparison.rounds) >= 2
    assert tuple(entry.name for entry in found.comparison.entries) == PAIR
    assert [ratio for _, ratio in seen] == sorted(ratio for _, ratio in seen)
    assert seen[-1] == ("Profiling", 1.0)


@pytest.mark.usefixtures("quiet")
def test_compiled_models_are_explained_by_eager_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, bool]] = []

    def spied(*models: Any, dtype: str, optimised: bool, **settings: Any) -> Any:
        asked.append((dtype, optimised))
        return profile(*models, dtype=dtype, optimised=optimised, **settings)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(torch, "compile", lambda forward, **_: forward)
    monkeypatch.setattr(measuring, "profile", spied)
    monkeypatch.setattr(reality, "KEPT", float("inf"))
    measure(
        replace(SETUP, thorough=True, execution=Execution(mode="compile")), show=lambda *_: None
    )
    (found,) = measurements()
    assert asked == [("fp32", False)]
    assert "fp32 compile has no stages that could be timed, so what follows is abo" in found.reason


def test_a_stop_keeps_the_rounds_that_are_done() -> None:
    def show(activity: str, _: float) -> None:
        assert not turns.device_is_taken()
        if activity == "Round 1":
            raise Stop

    with pytest.raises(Stop):
        measure(SETUP, show=show)
    (found,) = measurements()
    assert not found.finished
    assert len(found.comparison.rounds) == 1
    with turns.measuring() as is_alone:  # the one that was stopped is gone
        assert is_alone()


def test_a_stop_does_not_cost_a_finished_measurement() -> None:
    def stop(activity: str, _: float) -> None:
        if activity == "Round 1":
            assert SETUP.found is not before  # it is shown while it runs
            raise Stop

    measure(SETUP, show=lambda *_: None)
    (before,) = measurements()
    with pytest.raises(Stop):
        measure(SETUP, show=stop)
    assert measurements() == (before,)
    measure(SETUP, show=lambda *_: None)
    (after,) = measurements()
    assert after.finished
    assert after is not before


@pytest.mark.usefixtures("quiet")
def test_what_the_server_does_beside_disturbs() -> None:
    plan = replace(SETUP.plan, rounds=2, seconds=0.3, sample_seconds=0.1)
    with turns.working_beside():
        measure(replace(SETUP, plan=plan), show=lambda *_: None)
    assert all(one.disturbed for one in measurements()[0].comparison.rounds)
    measure(SETUP, show=lambda *_: None)
    assert not any(one.disturbed for one in measurements()[0].comparison.rounds)


def test_every_pass_of_the_warm_up_lets_others_have_the_device() -> None:
    said: list[str] = []
    plan = replace(SETUP.plan, rounds=1, warmup_passes=3)
    measure(replace(SETUP, plan=plan), show=lambda activity, _: said.append(activity))
    assert [words for words in said if words.startswith("Warming up")] == [
        f"Warming up {plain(resources.title_of(name))}" for name in PAIR for _ in range(3)
    ]


def test_where_every_round_was_disturbed_there_is_no_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    busy = count(step=1000.0)
    monkeypatch.setattr(rounds, "others_cpu_seconds", lambda: next(busy))
    plan = replace(SETUP.plan, seconds=0.1)
    measure(replace(SETUP, thorough=True, plan=plan), show=lambda *_: None)
    (found,) = measurements()
    assert found.comparison.all_disturbed
    assert (found.finished, found.reason) == (True, "")


def test_optimised_models_are_measured_as_such() -> None:
    measure(replace(SETUP, execution=Execution(mode="optimised")), show=lambda *_: None)
    (found,) = measurements()
    assert {str(entry.execution) for entry in found.comparison.entries} == {"fp32 optimised"}


def test_the_other_who_measures_is_mentioned() -> None:
    said: list[str] = []
    with turns.measuring():
        measure(SETUP, show=lambda activity, _: said.append(activity))
    assert "you take turns, so there are fewer rounds" in said[0]
    (found,) = measurements()
    assert (found.finished, found.reason) == (True, "")


def test_a_batch_that_does_not_fit_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    stopped = Stopped(batch_size=128, reason="it would take about 9 GB, and 1 GB are free")
    monkeypatch.setattr(measuring, "sweep", lambda *_, **__: (event for event in [stopped]))
    monkeypatch.setattr(st, "rerun", lambda: None)
    measure_safely(SETUP, show=lambda *_: None)
    assert measurements() == ()
    assert problem_with(SETUP) == (
        "A batch of 128 does not fit: it would take about 9 GB, and 1 GB are free; "
        "choose a smaller one."
    )
    assert problem_with(replace(SETUP, batch_size=8)) == ""


def test_why_it_cannot_be_measured_is_in_the_log(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise MeasurementError("/srv/kernels/a.so is broken")

    monkeypatch.setattr(measuring, "sweep", fail)
    monkeypatch.setattr(st, "rerun", lambda: None)
    measure_safely(SETUP, show=lambda *_: None)
    assert problem_with(SETUP).startswith("A file on the server cannot be used")
    assert "/srv/kernels/a.so is broken" in caplog.text


def test_one_measurement_for_each_condition_and_the_latest_first() -> None:
    slow, fast = comparison((2.0, 1.0)), comparison((1.0, 0.5))
    other = comparison((1.0, 1.0), names=("plain", "another"))
    for one in (slow, other, fast):
        keep(Measurement(comparison=one))
    assert [found.comparison for found in measurements()] == [fast, other]
    wanted = replace(SETUP, names=("plain", "learner"), batch_size=8)
    assert wanted.found is not None
    assert wanted.found.comparison is fast
    assert replace(wanted, device="cuda").found is None
    assert replace(wanted, batch_size=1).found is None
    assert replace(wanted, execution=Execution(mode="optimised")).found is None


def test_the_reality_check_table_row() -> None:
    found = comparison((3.0, 2.0), (3.0, 2.0), (4.0, 2.0))
    assert headline(found) == "1.50× as fast here, of 2.00× promised"
    said = "Batch 8, fp32 eager, a machine, 2 cores, 2 threads, 2026-11-26. Median of"
    assert conditions(found) == (f"{said} only 3 rounds; the middle half of them: 1.50× to 1.75×.")
    assert conditions(comparison(*[(3.0, 2.0)] * 5)) == (
        f"{said} 5 rounds; the middle half of them: 1.50× to 1.50×."
    )
    assert conditions(comparison((3.0, 2.0))) == f"{said} only 1 round."
    assert conditions(comparison((3.0, 2.0), (3.0, 2.0))) == f"{said} only 2 rounds."


@pytest.mark.parametrize(
    ("seconds", "reason", "advice"),
    [
        ((3.0, 2.0), "", " Run a thorough measurement to see where the rest goes."),
        ((3.0, 2.0), "Lost in the head.", ""),
        ((4.0, 2.0), "", ""),
    ],
)
def test_how_to_learn_where_a_promise_is_lost(
    seconds: tuple[float, float], reason: str, advice: str
) -> None:
    """A thorough measurement that was stopped before its reason was found is none."""
    said = realised(Measurement(comparison=comparison(seconds), reason=reason))
    kept = 100 * seconds[0] / seconds[1] / 2
    assert said == f"{kept:.0f} % of what the multiply-accumulates promise.{advice}"


def test_activation_memory_is_known_before_anything_is_measured() -> None:
    measure(SETUP, show=lambda *_: None)
    (found,) = measurements()
    sizes = [resources.activations(name, "cpu", 1, torch.float32) for name in PAIR]
    assert sizes == [entry.activation_bytes for entry in found.comparison.entries]
    # In bfloat16 a CPU writes the scores of attention out.
    assert sizes[0] // 2 < resources.activations(PAIR[0], "cpu", 1, torch.bfloat16) < sizes[0]
    assert resources.activations(PAIR[0], "cpu", 8, torch.float32) > 4 * sizes[0]
