"""What was measured in this session, and what it says of the promise that FLOPs make."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import streamlit as st

from app import resources
from tokenlearner.efficiency.comparison import Comparison
from tokenlearner.efficiency.execution import Execution

_KEY = "measurements"


@dataclass(frozen=True, kw_only=True, slots=True)
class Measurement:
    """A pair of models that was measured here.

    Attributes:
        comparison: The plain model, then the one with a learner; at least one round of them.
        finished: Whether nobody stopped it.
        reason: What became of the promise, in plain words; empty where that is not known.
        states: What the models' files were like, as `resources.state_of` tells.
    """

    comparison: Comparison
    finished: bool = False
    reason: str = ""
    states: tuple[str, ...] = ()

    @property
    def is_of_these_models(self) -> bool:
        """Whether no model was replaced since; one that is not here any more was not."""
        names = (entry.name for entry in self.comparison.entries)
        return all(
            resources.state_of(name) in ("", state)
            for name, state in zip(names, self.states, strict=False)
        )


def keep(measurement: Measurement) -> None:
    """Remembers a measurement, as the latest, in place of one under the same conditions."""
    everything, conditions = _all(), _conditions(measurement.comparison)
    everything.pop(conditions, None)  # a dictionary leaves a key that it knows in its old place
    everything[conditions] = measurement


@contextmanager
def replacing(found: Measurement | None) -> Iterator[None]:
    """Puts a finished measurement back unless the one that replaced it meanwhile is finished."""
    everything = _all()  # asked now: Streamlit's own state may end a run that is being stopped
    try:
        yield
    finally:
        if found is not None and found.finished:
            conditions = _conditions(found.comparison)
            if not everything[conditions].finished:
                everything[conditions] = found


def measurements() -> tuple[Measurement, ...]:
    """This session's measurements, the latest first, without those of models that were replaced."""
    return tuple(found for found in reversed(_all().values()) if found.is_of_these_models)


def find(
    names: tuple[str, ...], *, execution: Execution, batch_size: int, device: str
) -> Measurement | None:
    """The measurement of a pair under these conditions; None if there is none."""
    conditions = (*((name, str(execution)) for name in names), batch_size, device)
    found = _all().get(conditions)
    return found if found is not None and found.is_of_these_models else None


def _all() -> dict[tuple[object, ...], Measurement]:
    return st.session_state.setdefault(_KEY, {})


def _conditions(comparison: Comparison) -> tuple[object, ...]:
    models = tuple((entry.name, str(entry.execution)) for entry in comparison.entries)
    return (*models, comparison.batch_size, comparison.conditions.device)
