"""The table of `tokenlearner bench`."""

from collections.abc import Sequence

from rich.table import Table

from tokenlearner.efficiency.comparison import Comparison
from tokenlearner.efficiency.memory import in_words
from tokenlearner.efficiency.rounds import Spread


def make_table(
    results: Sequence[Comparison], *, unit: str, num_models: int, overall: bool = False
) -> Table:
    """Lays results out, one line for each model of each comparison.

    Args:
        results: At least one, all of the same models, each with at least one round.
        unit: `images` or `clips`.
        num_models: So many entries at a time ran the same way; the first is their baseline.
        overall: With a column for the speed over the very first entry.
    """
    table = Table(box=None, pad_edge=False)
    table.add_column("model", overflow="fold")
    for title in ("batch", f"{unit}/s", "middle half", "p50 ms", "p95 ms", "memory"):
        table.add_column(title, justify="right")
    for title in ("speed-up", "promised", "realised", *["overall"] * overall, "rounds"):
        table.add_column(title, justify="right")
    for result in results:
        for index in range(len(result.entries)):
            base = index - index % num_models
            table.add_row(*_cells(result, index, base, overall=overall))
    return table


def _cells(result: Comparison, index: int, base: int, *, overall: bool) -> list[str]:
    entry = result.entries[index]
    rate = result.images_per_second(index)
    dropped = f" ({result.dropped} left out)" if result.dropped else ""
    promised = result.macs_ratio(index, over=base) if index > base else None
    realised = result.realised_ratio(index, over=base) if index > base else None
    return [
        entry.label + (" *" if result.all_disturbed else ""),
        str(result.batch_size),
        _three(rate.median),
        _range(rate),
        _three(result.latency_ms(index)),
        _three(result.latency_ms(index, 95)),
        "" if entry.peak_bytes is None else in_words(entry.peak_bytes),
        f"{result.speedup(index, over=base).median:.2f}×" if index > base else "",
        "" if promised is None else f"{promised:.2f}×",
        "" if realised is None else f"{100 * realised.median:.0f} %",
        *([f"{result.speedup(index).median:.2f}×" if index else ""] if overall else []),
        "" if index else f"{len(result.used)}{dropped}",
    ]


def _range(spread: Spread) -> str:
    return f"{_three(spread.lower)} – {_three(spread.upper)}"


def _three(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:#.3g}".rstrip(".")
