"""What was measured in this session, and what it says of the promise that FLOPs make."""

from dataclasses import dataclass

import streamlit as st

from tokenlearner.efficiency.comparison import Comparison
from tokenlearner.efficiency.execution import Execution

_KEY = "measurements"


@dataclass(frozen=True, kw_only=True, slots=True)
class Measurement:
    """A pair of models that was measured here.

    Attributes:
        comparison: The plain model, then the one with a learner; at least one round of them.
        finished: Whether nobody stopped it.
        reason: What became of the promise, in plain words; empty if nobody waited for it.
    """

    comparison: Comparison
    finished: bool = False
    reason: str = ""


def keep(measurement: Measurement) -> None:
    """Remembers a measurement, as the latest, in place of one under the same conditions."""
    conditions = _conditions(measurement.comparison)
    _all().pop(conditions, None)  # a dictionary leaves a key that it knows in its old place
    _all()[conditions] = measurement


def measurements() -> tuple[Measurement, ...]:
    """All measurements of this session, the latest first."""
    return tuple(reversed(_all().values()))


def find(
    names: tuple[str, ...], *, execution: Execution, batch_size: int, device: str
) -> Measurement | None:
    """The measurement of a pair under these conditions; None if there is none."""
    return _all().get((*((name, str(execution)) for name in names), batch_size, device))


def _all() -> dict[tuple[object, ...], Measurement]:
    return st.session_state.setdefault(_KEY, {})


def _conditions(comparison: Comparison) -> tuple[object, ...]:
    models = tuple((entry.name, str(entry.execution)) for entry in comparison.entries)
    return (*models, comparison.batch_size, comparison.conditions.device)
