"""A chart as people meet it on the page: readable, described, and theirs to take away."""

import csv
from collections.abc import Mapping, Sequence
from io import StringIO
from typing import Any

import streamlit as st

from tokenlearner.rendering.charts import Chart

Rows = Sequence[Mapping[str, Any]]


def show_chart(chart: Chart, *, key: str, alt: str, height: int, rows: Rows) -> None:
    """Draws a chart; its camera saves it as PNG, the button beside that its numbers as CSV.

    Args:
        chart: What to draw.
        key: Names the chart and its files.
        alt: What it shows, for those who cannot see it.
        height: In pixels.
        rows: Its numbers, all with the same keys.
    """
    with st.container(key=f"chart_{key}", gap="small"):
        st.plotly_chart(
            chart,
            height=height,
            key=key,
            alt=alt,
            config={
                "displaylogo": False,
                "displayModeBar": True,
                "modeBarButtons": [["toImage"]],
                "toImageButtonOptions": {"format": "png", "filename": key, "scale": 2},
            },
        )
        save_csv(rows, key=key)


def save_csv(rows: Rows, *, key: str) -> None:
    """Offers rows as a file."""
    st.download_button(
        "CSV",
        # Made at once: what is made on demand is lost if the page runs again meanwhile.
        data=csv_of(rows),
        file_name=f"{key}.csv",
        mime="text/csv",
        key=f"csv_{key}",
        help="These numbers as a file",
        on_click="ignore",
        icon=":material/download:",
        type="tertiary",
    )


def csv_of(rows: Rows) -> str:
    """Rows as CSV, with a line of headings."""
    text = StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]) if rows else [])
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
