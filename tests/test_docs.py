"""What commands write into the documentation is what they would write today."""

from docs.make_counts import BEGIN, END, PAGE, put_counts
from tokenlearner.efficiency.published import counts


def test_the_counts_are_fresh() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert put_counts(page) == page, "run python -m docs.make_counts"


def test_every_value_has_a_line() -> None:
    page = put_counts(f"# Title\n\n{BEGIN}\n{END}\n\nThe end.\n")
    assert page.startswith("# Title\n\n")
    assert page.endswith(f"{END}\n\nThe end.\n")
    lines = [line for line in page.splitlines() if line.startswith("| ")]
    assert len(lines) == len(counts()) + 3 * 2  # three tables with a heading
    assert put_counts(page) == page
