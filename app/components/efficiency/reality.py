"""The reality check: what the FLOPs promise, what was measured, and why they differ."""

import streamlit as st

from app.components.efficiency.session import Measurement
from app.components.numbers import format_times
from app.components.plain_text import plain
from tokenlearner.efficiency.comparison import Comparison
from tokenlearner.efficiency.reality import KEPT

FEW_ROUNDS = 5
"""Medians of fewer are worth little."""


def reality_check(measurement: Measurement) -> None:
    """Shows the speed-up beside the promise, the reason in words, and what they depend on."""
    comparison = measurement.comparison
    if comparison.all_disturbed:
        st.warning(
            "Other programs were busy during every round. Measure again when they are done.",
            icon=":material/warning:",
        )
    if len(comparison.entries) > 1:
        st.markdown(f"### {headline(comparison)}", anchors=False)
        if not comparison.all_disturbed:
            st.markdown(plain(measurement.reason or realised(measurement)))
    stopped = "" if measurement.finished else "Stopped early. "
    st.caption(stopped + plain(conditions(comparison)))


def headline(comparison: Comparison) -> str:
    """Speed-up and promise: `1.44× as fast here, of 1.49× promised`."""
    speedup, promise = comparison.speedup(), comparison.macs_ratio()
    assert promise is not None, "all models of the library are counted"
    promised = f"of {format_times(promise)} promised"
    if comparison.all_disturbed:
        middle_half = f"{format_times(speedup.lower)} to {format_times(speedup.upper)}"
        return f"Too busy to tell: {middle_half} as fast here, {promised}"
    return f"{format_times(speedup.median)} as fast here, {promised}"


def realised(measurement: Measurement) -> str:
    """The part of the promise that is kept, in a sentence, and how to learn about the rest."""
    kept = measurement.comparison.realised_ratio()
    assert kept is not None, "all models of the library are counted"
    is_told = kept.median >= KEPT or measurement.reason
    advice = "" if is_told else " Run a thorough measurement to see where the rest goes."
    return f"{100 * kept.median:.0f} % of what the multiply-accumulates promise.{advice}"


def conditions(comparison: Comparison) -> str:
    """What the numbers depend on: batch, format, machine, rounds, date."""
    where, execution = comparison.conditions, comparison.entries[0].execution
    threads = f", {where.threads} threads" * (where.device == "cpu" and where.threads > 1)
    used, few = len(comparison.used), "only " * (len(comparison.used) < FEW_ROUNDS)
    rounds = f"{few}{used} round{'s' * (used != 1)}"
    if comparison.dropped:
        rounds += f" ({comparison.dropped} disturbed left out)"
    said = f"Batch {comparison.batch_size}, {execution}, {where.hardware}{threads}, {where.date}. "
    if len(comparison.entries) < 2 or used < 3:  # two have no middle half
        return f"{said}Median of {rounds}."
    speedup = comparison.speedup()
    return (
        f"{said}Median of {rounds}; the middle half of them: "
        f"{format_times(speedup.lower)} to {format_times(speedup.upper)}."
    )
