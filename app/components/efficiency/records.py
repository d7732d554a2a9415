"""Everything that was measured: in this session, and recorded on other machines."""

import json
from dataclasses import dataclass
from typing import Any

import streamlit as st

from app import resources
from app.components.efficiency.chart import save_csv
from app.components.efficiency.reality import FEW_ROUNDS
from app.components.efficiency.session import measurements
from app.components.numbers import format_number, format_times
from tokenlearner.efficiency.comparison import Comparison

_NUMBERS = ("batch", "per second", "faster", "promised", "realised", "rounds")
_ROW_PX, _MOST_PX = 32, 194


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """A measurement, as the table and both files tell of it.

    Attributes:
        title: The last model, for people.
        comparison: It stands against the first.
        reason: What became of the promise, in plain words; may be empty.
        finished: Whether nobody stopped it.
        here: Whether this visitor measured it.
    """

    title: str
    comparison: Comparison
    reason: str = ""
    finished: bool = True
    here: bool = False

    def to_dict(self) -> dict[str, Any]:
        """JSON-able data, with every round."""
        return self.comparison.to_dict() | self._facts()

    def rows(self) -> list[dict[str, Any]]:
        """For a CSV file: one row for each model."""
        return [
            _numbers(self.comparison, index) | self._facts()
            for index in range(len(self.comparison.entries))
        ]

    def _facts(self) -> dict[str, Any]:
        return {
            "title": self.title,
            "measured_here": self.here,
            "finished": self.finished,
            "reason": self.reason,
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """A measurement in the form of the table and of both files."""

    shown: dict[str, str]
    rows: list[dict[str, Any]]
    json: str

    @classmethod
    def of(cls, line: Line) -> "Told":
        """Puts a measurement into words and figures."""
        return cls(shown=table_row(line), rows=line.rows(), json=json.dumps(line.to_dict()))


def records() -> None:
    """Shows a table of all measurements with their machines; nothing if there are none."""
    told = [*map(Told.of, _mine()), *_recorded()]
    if not told:
        return
    shown = [one.shown for one in told]
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.caption("Measured here and elsewhere", width="content")
        save_csv([row for one in told for row in one.rows], key="measured")
        st.download_button(
            "JSON, with every round",
            data=f"[{', '.join(one.json for one in told)}]",
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
            "machine": st.column_config.TextColumn(width=210),
            "faster": st.column_config.TextColumn(alignment="right", width=84),
            "remarks": st.column_config.TextColumn(width="large"),
        },
        alt="Measurements with their machines: " + "; ".join(map(_words, shown)),
    )


def _mine() -> list[Line]:
    """What was measured here, the latest first."""
    return [
        Line(
            title=title_of(found.comparison),
            comparison=found.comparison,
            reason=found.reason,
            finished=found.finished,
            here=True,
        )
        for found in measurements()
    ]


# All medians and quartiles take half a second, and every run of the page shows them.
@st.cache_resource(max_entries=1, show_spinner=False)
def _recorded() -> tuple[Told, ...]:
    """What was recorded elsewhere."""
    return tuple(
        Told.of(Line(title=found.title, comparison=found.comparison, reason=found.reason))
        for found in resources.recorded()
    )


def _numbers(comparison: Comparison, index: int) -> dict[str, Any]:
    entry = comparison.entries[index]
    rate = comparison.images_per_second(index)
    where = comparison.conditions
    # The first stands against nothing.
    speedup = comparison.speedup(index) if index else None
    realised = comparison.realised_ratio(index) if index else None
    return {
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
        "speedup": speedup and speedup.median,
        "speedup_lower": speedup and speedup.lower,
        "speedup_upper": speedup and speedup.upper,
        "macs_ratio": comparison.macs_ratio(index) if index else None,
        "realised_ratio": realised and realised.median,
        "rounds": rate.n,
        "dropped_rounds": comparison.dropped,
        "all_disturbed": comparison.all_disturbed,
        "device": where.device,
        "hardware": where.hardware,
        "threads": where.threads,
        "clocks": ", ".join(f"{name} {value:g}" for name, value in where.clocks.items()),
        "torch": where.versions.get("torch", ""),
        "date": where.date,
    }


def title_of(comparison: Comparison) -> str:
    """Names the last model, and the first unless that is what it is usually compared with."""
    base, name = comparison.entries[0].name, comparison.entries[-1].name
    offers = resources.models()
    titles = [resources.title_of(each) for each in (name, base)]
    is_usual = base in (name, resources.bare_name(name))
    is_usual |= name in offers and offers[name].counterpart == base
    return titles[0] if is_usual else ", against ".join(titles)


def table_row(line: Line) -> dict[str, str]:
    """A line for people: the last model against the first."""
    comparison = line.comparison
    where, last = comparison.conditions, len(comparison.entries) - 1
    # A model that was measured alone stands against nothing.
    promise = comparison.macs_ratio(last) if last else None
    realised = comparison.realised_ratio(last) if last else None
    faster = format_times(comparison.speedup(last).median) if last else ""
    entry = comparison.entries[last]
    rates = (format_number(comparison.images_per_second(index).median) for index in (0, last))
    is_known = not comparison.all_disturbed
    why = [*doubts(comparison, finished=line.finished), line.reason]
    return {
        "model": line.title,
        "machine": "this one" if line.here else where.hardware,
        "precision, mode": str(entry.execution),
        "batch": str(comparison.batch_size),
        "per second": " → ".join(dict.fromkeys(rates)),
        "faster": faster if is_known else "too busy",
        "promised": "" if promise is None else format_times(promise),
        "realised": f"{100 * realised.median:.0f} %" if realised and is_known else "",
        "rounds": str(comparison.images_per_second(0).n),
        "date": where.date,
        "remarks": " ".join(why).strip(),
    }


def doubts(comparison: Comparison, *, finished: bool) -> list[str]:
    """Why the numbers may be wrong, in sentences."""
    used = len(comparison.used)
    said = {
        "Stopped early.": not finished,
        "Other programs were busy in every round.": comparison.all_disturbed,
        f"Only {used} undisturbed round{'s' * (used != 1)}.": used < FEW_ROUNDS
        and not comparison.all_disturbed,
    }
    return [words for words, applies in said.items() if applies]


def _words(row: dict[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in row.items())
