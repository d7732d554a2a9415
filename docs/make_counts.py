"""Writes our counts beside the published GFLOPs into efficiency.md: `python -m docs.make_counts`.

Run it in the root of the project. Nothing is measured; the counts come from the models' shapes.
"""

from pathlib import Path

from tokenlearner.efficiency.conventions import CONVENTIONS
from tokenlearner.efficiency.published import Count, counts, stated_counts

PAGE = Path(__file__).with_name("efficiency.md")
BEGIN, END = "<!-- begin: python -m docs.make_counts -->", "<!-- end -->"

_HEADER = "| model | published | ours | error | multiply-accumulates | |"


def main() -> None:
    """Rewrites the part between the marks."""
    PAGE.write_text(put_counts(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


def put_counts(page: str) -> str:
    """Returns a page with fresh tables between its marks."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return "\n".join((f"{before}{BEGIN}\n", *_tables(), f"{END}{after}"))


def _tables() -> list[str]:
    known, stated = counts(), stated_counts()
    printed = [count.reproduces for count in stated if not count.approximate]
    plotted = [count.reproduces for count in stated if count.approximate]
    lines = [
        f"{sum(printed)} of {len(printed)} printed values reproduce to the last digit, and "
        f"{sum(plotted)} of {len(plotted)} that were read off a plot (≈) as closely as it can be "
        "read. Rows in italics are not separate published values: three take the model name of a "
        "value above to mean a different configuration, and one is the difference of two values.",
    ]
    for convention in CONVENTIONS.values():
        chosen = [count for count in known if count.convention is convention]
        if chosen:
            title = convention.title[0].upper() + convention.title[1:]
            lines += ["", f"### {title} (`{convention.name}`)", ""]
            lines += [_HEADER, "| --- | ---: | ---: | ---: | ---: | --- |"]
            lines += [_line(count, is_stated=count in stated) for count in chosen]
    return [*lines, ""]


def _line(count: Count, *, is_stated: bool) -> str:
    published = f"≈ {count.printed}" if count.approximate else count.printed
    error = f"{round(count.error_percent, 2) + 0.0:+.2f} %"  # never -0.00
    remark = count.note if count.reproduces else f"**differs.** {count.note}"
    ours = f"{count.computed_gflops:.6g} | {error} | {count.cost.gmacs:.6g}"
    model = count.model if is_stated else f"*{count.model}*"
    return f"| {model} | {published} | {ours} | {remark} |"


if __name__ == "__main__":
    main()
