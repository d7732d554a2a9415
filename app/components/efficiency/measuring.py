"""Measures a pair of models on this machine, round by round, until it is done or stopped."""

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

import streamlit as st
import torch

from app import resources, turns
from app.components.efficiency.session import Measurement, find, keep, replacing
from app.components.efficiency.settings import EfficiencySettings, change_settings
from app.components.plain_text import plain
from app.problems import tell
from tokenlearner.efficiency import rounds
from tokenlearner.efficiency.comparison import Comparison
from tokenlearner.efficiency.execution import Dtype, Execution, Mode
from tokenlearner.efficiency.limits import measure_limits
from tokenlearner.efficiency.machine import has_bfloat16
from tokenlearner.efficiency.profile import profile
from tokenlearner.efficiency.reality import explain_losses, find_losses
from tokenlearner.efficiency.rounds import Plan
from tokenlearner.efficiency.throughput import (
    Candidate,
    Progress,
    Stopped,
    sweep,
    synchronizer,
    warmup_passes,
)
from tokenlearner.errors import MeasurementError, TokenLearnerError

BATCH_SIZES = (1, 8, 32, 128)
_PROFILE_PASSES = 3
PLANS = {
    "Quick": Plan(rounds=7, seconds=10, sample_seconds=0.1),
    "Thorough": Plan(rounds=31, seconds=60),
}
# So that whoever waits for the device gets it before the next round.
_PAUSE_S = 0.02
_PROBLEM = "measurement_problem"


@dataclass(frozen=True, kw_only=True, slots=True)
class Setup:
    """What to measure, and how.

    Attributes:
        names: The plain model, then the one with a learner.
        states: What their files are like, as `resources.state_of` tells.
        device: Where.
        batch_size: Photos or clips in a pass.
        execution: How they run.
        plan: How long.
        thorough: Whether to find out afterwards why the promise was kept or not, if some round was
            quiet.
    """

    names: tuple[str, ...]
    states: tuple[str, ...]
    device: str
    batch_size: int
    execution: Execution
    plan: Plan
    thorough: bool = False

    @property
    def found(self) -> Measurement | None:
        """What was measured under these conditions; None if nothing was."""
        return find(
            self.names, execution=self.execution, batch_size=self.batch_size, device=self.device
        )


def measuring_choices(settings: EfficiencySettings, names: Sequence[str], device: str) -> Setup:
    """Offers how to measure, as far as the device can."""
    is_gpu = device == "cuda"
    formats: list[Dtype] = ["fp32", "bf16"] if has_bfloat16(torch.device(device)) else ["fp32"]
    modes: list[Mode] = ["eager", "optimised", *(["graphs"] if is_gpu else [])]
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        batch_size = _box(
            "Batch",
            "batch_size",
            settings,
            BATCH_SIZES,
            width=80,
            help="How many inputs go through the model at a time. A GPU needs many to stay busy.",
        )
        dtype = _box(
            "Precision",
            "dtype",
            settings,
            formats,
            width=94,
            help="fp32 is exact to about 7 digits; bf16 to 2 or 3, and faster where the device "
            "has hardware for it.",
        )
        mode = _box(
            "Mode",
            "mode",
            settings,
            modes,
            width=120,
            help="Eager runs the model as it is. Optimised gives the same answers by layouts and "
            "kernels made for inference; on a GPU it takes a while to prepare. Graphs replay "
            "recorded CUDA calls.",
        )
        length = _box(
            "Length",
            "length",
            settings,
            list(PLANS),
            width=116,
            help="Quick takes about ten seconds. Thorough takes about a minute and finds out where "
            "the time goes.",
        )
    return Setup(
        names=tuple(names),
        states=tuple(map(resources.state_of, names)),
        device=device,
        batch_size=batch_size,
        execution=Execution(dtype=dtype, mode=mode),
        plan=replace(PLANS[length], warmup_passes=warmup_passes(torch.device(device))),
        thorough=length == "Thorough",
    )


def _box(
    label: str,
    name: str,
    settings: EfficiencySettings,
    options: Sequence[Any],
    *,
    width: int,
    help: str,
) -> Any:
    """A choice of one setting; the first option where the device lacks what was chosen."""
    key, chosen = f"measure_{name}", getattr(settings, name)
    st.session_state[key] = chosen if chosen in options else options[0]
    return st.selectbox(
        label,
        options,
        key=key,
        on_change=lambda: change_settings(**{name: st.session_state[key]}),
        help=help,
        width=width,
    )


def measure(setup: Setup, *, show: Callable[[str, float], None]) -> None:
    """Measures; if the visitor stops it or goes elsewhere, the rounds that are done are kept.

    Those of a finished measurement are worth more: they are then put back.

    Streamlit ends a run where it sends something to the browser, so `show` is where a stop takes
    effect, between two passes of the warm-up or two rounds.

    Args:
        setup: What to measure.
        show: Called with what is happening, and how much of it is over, after every step.

    Raises:
        MeasurementError: If a batch does not fit, or the device cannot do what is asked.
    """
    models = [resources.load_model(name, setup.device) for name in setup.names]
    candidates = [
        Candidate(name, model, setup.execution)
        for name, model in zip(setup.names, models, strict=True)
    ]
    device = torch.device(setup.device)
    events = sweep(
        candidates,
        device=device,
        batch_sizes=[setup.batch_size],
        plan=setup.plan,
        others=_others_cpu_seconds,
    )
    comparison, done_ratio = None, 0.0

    def waiting() -> None:
        show(turns.WAITING, done_ratio)

    with turns.measuring() as is_alone, closing(events), replacing(setup.found):
        while True:
            with turns.device_turn(waiting):
                event = next(events, None)
            if isinstance(event, Stopped):
                raise MeasurementError(
                    f"A batch of {event.batch_size} does not fit: {event.reason}; "
                    "choose a smaller one."
                )
            if event is None:
                break
            if event.comparison.rounds:
                comparison = event.comparison
                keep(_measurement(setup, comparison))
            done_ratio = event.done_ratio
            show(_words(event, setup.names, alone=is_alone()), done_ratio)
            time.sleep(_PAUSE_S)
        assert comparison is not None, "at least one round is over"
        found = replace(_measurement(setup, comparison), finished=True)
        keep(found)
        if setup.thorough and len(setup.names) > 1 and not comparison.all_disturbed:
            keep(replace(found, reason=_find_reason(setup, models, comparison, show)))


def _others_cpu_seconds() -> float:
    """What other programs computed, and this one for other visitors.

    The operating system counts the server's own work as the measurement's. A turn at the device
    keeps most of it away; of the rest, which takes a core or more, the time is known.
    """
    return (rounds.others_cpu_seconds() or 0.0) + turns.seconds_beside()


def _measurement(setup: Setup, comparison: Comparison) -> Measurement:
    return Measurement(comparison=comparison, states=setup.states)


def _find_reason(
    setup: Setup,
    models: Sequence[object],
    comparison: Comparison,
    show: Callable[[str, float], None],
) -> str:
    """Says why the promise was kept or not, from a few more passes."""
    device = torch.device(setup.device)
    staged = setup.execution.with_stages(device)
    show("Measuring the device’s peak speed", 1.0)
    with turns.device_turn(lambda: show(turns.WAITING, 1.0)):
        limits = measure_limits(device, staged.torch_dtype, synchronize=synchronizer(device))
    show("Profiling", 1.0)
    with turns.device_turn(lambda: show(turns.WAITING, 1.0)):
        profiles = profile(
            dict(zip(setup.names, models, strict=True)),
            batch_size=setup.batch_size,
            device=device,
            dtype=staged.dtype,
            optimised=staged.mode == "optimised",
            passes=_PROFILE_PASSES,
            limits=limits,
            others=_others_cpu_seconds,
        )
    realised = comparison.realised_ratio()
    assert realised is not None, "all models of the library are counted"
    without_stages = "" if staged == setup.execution else str(setup.execution)
    return explain_losses(realised.median, find_losses(*profiles), without_stages=without_stages)


def measure_safely(setup: Setup, *, show: Callable[[str, float], None]) -> None:
    """Measures, and runs the page again, which shows what was found or `problem_with` it."""
    st.session_state.pop(_PROBLEM, None)
    try:
        measure(setup, show=show)
    except TokenLearnerError as error:
        st.session_state[_PROBLEM] = (setup, tell(error))
    st.rerun()


def problem_with(setup: Setup) -> str:
    """Why this could not be measured when somebody last tried; empty if nobody did in vain."""
    tried, why = st.session_state.get(_PROBLEM, (None, ""))
    return why if tried == setup else ""


def _words(progress: Progress, names: Sequence[str], *, alone: bool) -> str:
    activity = progress.activity
    for name in sorted(names, key=len, reverse=True):  # one may begin as another does
        if activity.endswith(f" {name}"):
            activity = activity.removesuffix(name) + plain(resources.title_of(name))
            break
    activity = activity[0].upper() + activity[1:]
    if alone:
        return activity
    return f"{activity}. Someone else is measuring too: you take turns, so there are fewer rounds."
