"""Writes the tables of models and of speeds into README.md anew: `python -m docs.make_readme`.

In the root of the project. Nothing is measured; the figures come from the models' `metrics.json`
and from `benchmarks/results/`.
"""

from collections.abc import Iterator
from pathlib import Path

from benchmarks.recording import FOLDER
from benchmarks.table import table
from tokenlearner import zoo
from tokenlearner.cli.models import ModelRow, describe

PAGE = Path(__file__).parents[1] / "README.md"
MACHINE = "amd-epyc-2-cores-avx-512-with-bfloat16"


def main() -> None:
    """Rewrites what is between the marks."""
    PAGE.write_text(put_tables(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


def put_tables(page: str) -> str:
    """Returns a page with fresh tables between its marks."""
    speeds = table(FOLDER / f"realised_{MACHINE}.json", all_ways=True)
    for name, lines in (("models", "\n".join(models())), ("speeds", speeds)):
        begin, end = f"<!-- {name}: python -m docs.make_readme -->", f"<!-- end of {name} -->"
        before, _, rest = page.partition(begin)
        _, _, after = rest.partition(end)
        page = f"{before}{begin}\n\n{lines}\n\n{end}{after}"
    return page


def models() -> Iterator[str]:
    """Yields the table of the shipped models, baselines first."""
    yield "| model | tokens per layer | parameters | GFLOPs | test top-1 |"
    yield "| --- | --- | ---: | ---: | ---: |"
    rows = {name: describe(name) for name in zoo.names()}
    baselines = dict.fromkeys(entry.baseline or entry.name for entry in zoo.ENTRIES)
    for baseline in baselines:
        family = [baseline, *(e.name for e in zoo.ENTRIES if e.baseline == baseline)]
        ranked = sorted(rows[name].top1_percent for name in family)
        for row in (rows[name] for name in family):
            is_best = row.top1_percent == ranked[-1] and ranked[-1] > ranked[0]
            yield _model(row, is_best=is_best)


def _model(row: ModelRow, *, is_best: bool) -> str:
    top1 = f"{row.top1_percent:.2f} %"
    cells = [
        f"`{row.name}`" + " (clips)" * row.of_clips,
        row.tokens,
        f"{row.num_parameters / 1e6:.2f} M",
        f"{row.gmacs:#.3g}",
        f"**{top1}**" if is_best else top1,
    ]
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
