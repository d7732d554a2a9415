"""Tables of the recorded speeds, in Markdown.

python -m benchmarks.table
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.recording import FOLDER
from tokenlearner.efficiency.comparison import Comparison
from tokenlearner.efficiency.reality import KEPT
from tokenlearner.efficiency.rounds import Spread

HEADER = (
    "| model | batch | how | img/s without → with | speed-up | promised | realised | overall | "
    "rounds |\n"
    "| --- | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: |"
)


def main() -> None:
    """Prints a table for every machine that there are results of."""
    print("\n\n".join(tables(FOLDER)))


def tables(folder: Path) -> Iterator[str]:
    """Yields a table for each file of `benchmarks.realised` in a folder."""
    for file in sorted(folder.glob("realised_*.json")):
        yield table(file)


def table(file: Path, *, all_ways: bool = False) -> str:
    """Returns the table of one file.

    Args:
        file: Of `benchmarks.realised`.
        all_ways: Leave out what was measured in one way alone.
    """
    content = json.loads(file.read_text())
    lines = [HEADER]
    for row in content["cases"]:
        if len(row["comparison"]["entries"]) > 2 or not all_ways:
            lines += _lines(row)
    return "\n".join(lines) + "\n\n" + _caption(content)


def _lines(row: dict[str, Any]) -> list[str]:
    found = Comparison.from_dict(row["comparison"])
    return [_line(row["pair"], found, base) for base in range(0, len(found.entries), 2)]


def _line(pair: str, found: Comparison, base: int) -> str:
    fast = base + 1
    realised = found.realised_ratio(fast, over=base)
    promised = found.macs_ratio(fast, over=base)
    assert realised is not None
    rates = f"{_rate(found.images_per_second(base))} → {_rate(found.images_per_second(fast))}"
    dropped = f" ({found.dropped} dropped)" if found.dropped else ""
    cells = [
        pair,
        str(found.batch_size),
        str(found.entries[base].execution),
        rates,
        f"{found.speedup(fast, over=base).median:.2f}×",
        f"{promised:.2f}×",
        _share(realised),
        f"{found.speedup(fast).median:.2f}×" if base else "",
        f"{len(found.used)}{dropped}",
    ]
    return "| " + " | ".join(cells) + " |"


def _caption(content: dict[str, Any]) -> str:
    """Everything that the numbers depend on; rows of one file are of one machine."""
    conditions = [row["comparison"]["conditions"] for row in content["cases"]]
    dates = sorted({c["date"] for c in conditions})
    versions = sorted({c["versions"]["torch"] for c in conditions})
    threads = sorted({str(c["threads"]) for c in conditions})
    return (
        f"{content['hardware']}, {' or '.join(threads)} threads, PyTorch {', '.join(versions)}, "
        f"{' to '.join(dict.fromkeys((dates[0], dates[-1])))}, `{content['command']}`. Medians, "
        "with the middle half in brackets; overall: over the model without learner as it ran in "
        "the first line of the same rounds."
    )


def _share(spread: Spread) -> str:
    # Near the aim a whole per cent would not tell on which side of it.
    digits = 1 if round(100 * spread.median) == round(100 * KEPT) else 0
    middle = f"**{100 * spread.median:.{digits}f} %**"
    return f"{middle} ({100 * spread.lower:.0f} – {100 * spread.upper:.0f})"


def _rate(spread: Spread) -> str:
    return f"{spread.median:,.0f}" if spread.median >= 100 else f"{spread.median:.3g}"


if __name__ == "__main__":
    main()
