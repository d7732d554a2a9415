"""Everything that was measured: in this session, and recorded on other machines."""

import json
from typing import Any

import streamlit as st

from app import resources
from app.components.efficiency.chart import save_csv
from app.components.efficiency.session import measurements
from app.components.numbers import format_number, format_times
from tokenlearner.efficiency.comparison import Comparison

_NUMBERS = ("batch", "per second", "faster", "promised", "realised", "rounds")
_ROW_PX, _MOST_PX = 32, 226


def records() -> None:
    """Shows a table of all measurements with their machines; nothing if there are none."""
    mine, others = measurements(), resources.recorded()
    if not mine and not others:
        return
    shown = [
        _shown(
            found.comparison,
            _title(found.comparison),
            found.reason,
            here=True,
            finished=found.finished,
        )
        for found in mine
    ]
    shown += [_shown(found.comparison, found.title, found.reason, here=False) for found in others]
    comparisons = [found.comparison for found in (*mine, *others)]
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.caption("Measured here and elsewhere", width="content")
        save_csv([row for comparison in comparisons for row in rows(comparison)], key="measured")
        st.download_button(
            "JSON, with every round",
            data=lambda: json.dumps([one.to_dict() for one in comparisons], indent=2),
            file_name="measured.json",
            mime="application/json",
            key="json_measured",
            on_click="ignore",
            icon=":material/data_object:",
            type="tertiary",
        )
    st.dataframe(
        shown,
        hide_index=True,
        height=min(_MOST_PX, _ROW_PX * (len(shown) + 1) + 2),
        row_height=_ROW_PX,
        column_config={
            **{name: st.column_config.TextColumn(alignment="right") for name in _NUMBERS},
            "why": st.column_config.TextColumn(width="large"),
        },
        alt="Measurements with their machines: " + "; ".join(map(_words, shown)),
    )


def rows(comparison: Comparison) -> list[dict[str, Any]]:
    """A comparison for a CSV file: one row for each model."""
    found = []
    for index, entry in enumerate(comparison.entries):
        rate = comparison.images_per_second(index)
        realised = comparison.realised_ratio(index)
        found.append(
            {
                "model": entry.name,
                "execution": str(entry.execution),
                "batch_size": comparison.batch_size,
                "gmacs": None if entry.macs is None else entry.macs / 1e9,
                "parameters": entry.parameters,
                "per_second": rate.median,
                "per_second_lower": rate.lower,
                "per_second_upper": rate.upper,
                "latency_p50_ms": comparison.latency_ms(index),
                "latency_p95_ms": comparison.latency_ms(index, 95),
                "activation_bytes": entry.activation_bytes,
                "peak_bytes": entry.peak_bytes,
                "speedup": comparison.speedup(index).median,
                "realised_ratio": None if realised is None else realised.median,
                "rounds": rate.n,
                "all_disturbed": comparison.all_disturbed,
                "hardware": comparison.conditions.hardware,
                "threads": comparison.conditions.threads,
                "date": comparison.conditions.date,
            }
        )
    return found


def _title(comparison: Comparison) -> str:
    name = comparison.entries[-1].name
    offer = resources.models().get(name)
    return offer.title if offer else name


def _shown(
    comparison: Comparison, title: str, reason: str, *, here: bool, finished: bool = True
) -> dict[str, str]:
    """A comparison for people: the last model against the first."""
    where, last = comparison.conditions, len(comparison.entries) - 1
    promise, realised = comparison.macs_ratio(last), comparison.realised_ratio(last)
    entry = comparison.entries[last]
    rates = (format_number(comparison.images_per_second(index).median) for index in (0, last))
    return {
        "model": title,
        "machine": "this one" if here else where.hardware,
        "numbers": " ".join(filter(None, (str(entry.execution), entry.transform))),
        "batch": str(comparison.batch_size),
        "per second": " → ".join(dict.fromkeys(rates)),
        "faster": format_times(comparison.speedup(last).median),
        "promised": "" if promise is None else format_times(promise),
        "realised": "" if realised is None else f"{100 * realised.median:.0f} %",
        "rounds": str(comparison.images_per_second(0).n),
        "date": where.date,
        "why": " ".join([*doubts(comparison, finished=finished), reason]).strip(),
    }


def doubts(comparison: Comparison, *, finished: bool) -> list[str]:
    """Why the numbers may be wrong, in sentences."""
    said = {
        "Stopped early.": not finished,
        "Other programs were busy in every round.": comparison.all_disturbed,
    }
    return [words for words, applies in said.items() if applies]


def _words(row: dict[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in row.items())
