"""Numbers as CSV, for spreadsheets and pandas."""

import csv
import io
import math
from collections.abc import Iterable


def write_csv(header: Iterable[str], rows: Iterable[Iterable[str | float]]) -> str:
    """Returns lines under a header; of floats six digits, and nothing where one is NaN."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(map(_cell, row) for row in rows)
    return text.getvalue()


def _cell(value: str | float) -> str:
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.6g}"
    return str(value)
