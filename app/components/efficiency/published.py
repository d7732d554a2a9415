"""Every table of the papers: accuracy against GFLOPs, their GFLOPs beside ours, and our models."""

from collections.abc import Sequence
from typing import Any

import streamlit as st

from app.components.efficiency.chart import save_csv, show_chart
from app.components.efficiency.our_results import OurResult, our_point, our_results
from app.components.efficiency.published_rows import (
    OF_MODULES,
    Found,
    bases_of,
    convention_of,
    datasets,
    find,
    points,
    speeds_of,
    table_row,
    tables_of,
)
from app.components.efficiency.settings import EfficiencySettings, change_settings
from tokenlearner.efficiency.conventions import MACS
from tokenlearner.efficiency.published import stated_counts
from tokenlearner.rendering.charts import Point, accuracy_chart

_CHART_PX, _TABLE_PX = 340, 300
_ROW_PX = 32

_ABOUT = """
The figures are those of *TokenLearner: What Can 8 Learned Tokens Do for Images and Videos?* (Ryoo,
Piergiovanni, Arnab, Dehghani, Angelova; NeurIPS 2021, arXiv 2106.11297), of its slides, and of the
Keras example. Each row names its source.

**GFLOPs** are as published: for one view. An answer may take several, so the chart shows
GFLOPs × views. Tables 11 and 12 print those of a module alone, so they are drawn only when chosen.

**Ours** is what this project’s counter gives for the same model in the convention of that table,
and **error** how far that lies above the published value. Where the two differ, the note says what
is known about the reason.
"""


def published(settings: EfficiencySettings, device: str) -> None:
    """Shows the values of one data set as chart and table, and what our own models reach."""
    ours = our_results(device)
    own = list(dict.fromkeys(result.dataset for result in ours))
    options = [*datasets(), *(name for name in own if name not in datasets())]
    dataset = settings.dataset if settings.dataset in options else options[0]
    titles = tables_of(dataset)
    table = settings.table if settings.table in titles else ""
    everything = find(dataset=dataset, table=table)
    bases = [base for base in settings.bases if base in bases_of(everything)]
    _choices(dataset, options, table, titles, bases_of(everything), bases)
    found = find(dataset=dataset, table=table, bases=bases)
    _chart(found, [result for result in ours if result.dataset == dataset], dataset, table)
    if found:
        _table(found)
    if speeds := speeds_of(dataset, table):
        st.caption(speeds)
    _our_table(ours)


def _choices(
    dataset: str,
    options: Sequence[str],
    table: str,
    titles: dict[str, str],
    all_bases: Sequence[str],
    bases: Sequence[str],
) -> None:
    st.session_state["published_dataset"] = dataset
    st.session_state["published_table"] = table
    st.session_state["published_bases"] = list(bases)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        st.selectbox(
            "Data set",
            options,
            key="published_dataset",
            width=220,
            on_change=lambda: change_settings(
                dataset=st.session_state["published_dataset"], table="", bases=()
            ),
        )
        st.selectbox(
            "Table",
            ["", *titles],
            format_func=lambda name: titles.get(name, "All tables"),
            key="published_table",
            width=400,
            on_change=lambda: change_settings(table=st.session_state["published_table"], bases=()),
        )
        if len(all_bases) > 1:
            st.pills(
                "Base model",
                all_bases,
                selection_mode="multi",
                key="published_bases",
                on_change=lambda: change_settings(bases=tuple(st.session_state["published_bases"])),
            )
        with st.popover("What is this?", icon=":material/info:", type="tertiary"):
            st.markdown(_ABOUT)


def _chart(found: Sequence[Found], ours: Sequence[OurResult], dataset: str, table: str) -> None:
    convention = convention_of(found) if found else MACS
    shown = points(found, with_modules=table in OF_MODULES)
    shown += [our_point(result, convention) for result in ours]
    if not shown:
        told = "No cost is published for these rows."
        if modules := _of_modules(found, table):
            told = f"The published costs are those of modules alone; choose {modules} to see them."
        st.info(f"{told} All rows are in the table.")
        return
    metric = found[0].result.metric if found else "top-1"
    cost = "GFLOPs of the module alone" if table in OF_MODULES else "GFLOPs for an answer"
    if convention.name == "tf1_profiler_half":
        cost += " (as TensorFlow’s profiler counts them, without attention)"
    show_chart(
        accuracy_chart(shown, title=dataset, cost=cost, metric=f"{metric} (%)"),
        key="published",
        height=_CHART_PX,
        alt=_describe(shown, dataset, metric),
        rows=[
            {
                "model": point.name,
                "kind": point.kind,
                "gflops": point.gflops,
                metric: point.value,
            }
            for point in shown
        ],
    )
    missing = sum(one.row.gflops is None for one in found)
    left_out = []
    if missing:
        left_out.append(f"{missing} rows without GFLOPs")
    if modules := _of_modules(found, table):
        count = sum(one.table.name in OF_MODULES for one in found)
        left_out.append(f"{count} rows with the GFLOPs of a module alone (choose {modules})")
    if left_out:
        st.caption(f"Not in the chart: {', '.join(left_out)}.")


def _of_modules(found: Sequence[Found], table: str) -> str:
    """The tables to choose for a chart of costs of modules, where it shows those of networks."""
    titles = {one.table.title for one in found if one.table.name in OF_MODULES}
    if table in OF_MODULES:
        return ""
    return " or ".join(sorted(title.partition(":")[0] for title in titles))


def _table(found: Sequence[Found]) -> None:
    rows = [table_row(one) for one in found]
    st.dataframe(
        _without_empty([{**row, "fuser": "yes" if row["fuser"] else None} for row in rows]),
        hide_index=True,
        height=min(_TABLE_PX, _ROW_PX * (len(rows) + 1) + 2),
        row_height=_ROW_PX,
        column_config={
            "model": st.column_config.TextColumn(pinned=True),
            "error %": st.column_config.NumberColumn(format="%+.2f"),
            "after": st.column_config.NumberColumn(help="Blocks before the learner"),
            "ours": st.column_config.NumberColumn(help="GFLOPs counted by this project"),
            "note": st.column_config.TextColumn(width="medium"),
        },
        placeholder="–",
        key="published_rows",
        alt=f"Table of {len(rows)} published results",
    )
    stated = stated_counts()
    reproduced = sum(count.reproduces for count in stated)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.caption(
            f"Of {len(stated)} published GFLOPs values in all tables, our counter reproduces "
            f"{reproduced} to the printed digit; the notes say why the others differ.",
            width="content",
        )
        save_csv(rows, key="published_table_rows")


def _our_table(ours: Sequence[OurResult]) -> None:
    st.markdown("## Our own models", anchors=False)
    st.caption(
        "Small models, trained here on other data. They appear in the chart above, as stars, only "
        "where the data set is the same. One training run each."
    )
    st.dataframe(
        [
            {
                "model": result.title,
                "data set": result.dataset,
                "test top-1 %": round(result.top1_percent, 2),
                "GFLOPs (multiply-accumulates)": float(f"{result.cost.gmacs:.3g}"),
                "tested": result.date,
            }
            for result in ours
        ],
        hide_index=True,
        row_height=_ROW_PX,
        alt="Table of our own models",
    )


def _without_empty(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows without the columns in which nobody says anything."""
    used = {name for row in rows for name, value in row.items() if value not in (None, "")}
    return [{name: value for name, value in row.items() if name in used} for row in rows]


def _describe(shown: Sequence[Point], dataset: str, metric: str) -> str:
    best = max(shown, key=lambda point: point.value)
    return (
        f"Scatter chart of {metric} on {dataset} against GFLOPs for {len(shown)} models. The best, "
        f"{best.name}, reaches {best.value:g} % with {best.gflops:g} GFLOPs."
    )
