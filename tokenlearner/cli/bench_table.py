"""The table of `tokenlearner bench`."""

from collections.abc import Sequence

from rich.table import Table

from tokenlearner.efficiency.comparison import Comparison
from tokenlearner.efficiency.memory import in_words
from tokenlearner.efficiency.rounds import Spread


def make_table(results: Sequence[Comparison], *, unit: str) -> Table:
    """Lays results out, one line for each model of each comparison.

    Args:
        results: At least one, all of the same models, each with at least one round.
        unit: `images` or `clips`.
    """
    table = Table(box=None, pad_edge=False)
    table.add_column("model", overflow="fold")
    for title in ("batch", f"{unit}/s", "middle half", "p50 ms", "p95 ms", "memory"):
        table.add_column(title, justify="right")
    for title in ("speed-up", "promised", "realised", "rounds"):
        table.add_column(title, justify="right")
    for result in results:
        for index in range(len(result.entries)):
            table.add_row(*_cells(result, index))
    return table


def _cells(result: Comparison, index: int) -> list[str]:
    entry = result.entries[index]
    rate = result.images_per_second(index)
    dropped = f" ({result.dropped} left out)" if result.dropped else ""
    promised, realised = (
        (result.macs_ratio(index), result.realised_ratio(index)) if index else (None, None)
    )
    return [
        entry.label + (" *" if result.all_disturbed else ""),
        str(result.batch_size),
        _three(rate.median),
        _range(rate),
        _three(result.latency_ms(index)),
        _three(result.latency_ms(index, 95)),
        "" if entry.peak_bytes is None else in_words(entry.peak_bytes),
        f"{result.speedup(index).median:.2f}×" if index else "",
        "" if promised is None else f"{promised:.2f}×",
        "" if realised is None else f"{100 * realised.median:.0f} %",
        "" if index else f"{len(result.used)}{dropped}",
    ]


def _range(spread: Spread) -> str:
    return f"{_three(spread.lower)} – {_three(spread.upper)}"


def _three(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:#.3g}".rstrip(".")
