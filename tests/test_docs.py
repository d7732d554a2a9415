"""What commands write into the documentation is what they would write today, and examples work."""

import re
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from docs import make_readme
from docs.make_cards import make_card
from docs.make_counts import BEGIN, END, PAGE, put_counts
from tokenlearner import zoo
from tokenlearner.efficiency.published import counts
from tokenlearner.training.data import read_clips
from tokenlearner.training.datasets import DATASETS


def test_the_counts_are_fresh() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert put_counts(page) == page, "run python -m docs.make_counts"


@pytest.mark.parametrize("name", zoo.names())
def test_the_cards_are_fresh(name: str) -> None:
    card = (zoo.folder(name) / "README.md").read_text(encoding="utf-8")
    assert make_card(name) == card, "run python -m docs.make_cards"


def test_the_tables_of_the_readme_are_fresh() -> None:
    page = make_readme.PAGE.read_text(encoding="utf-8")
    assert make_readme.put_tables(page) == page, "run python -m docs.make_readme"
    assert page.count("| `") >= len(zoo.names())


def test_every_value_has_a_line() -> None:
    page = put_counts(f"# Title\n\n{BEGIN}\n{END}\n\nThe end.\n")
    assert page.startswith("# Title\n\n")
    assert page.endswith(f"{END}\n\nThe end.\n")
    lines = [line for line in page.splitlines() if line.startswith("| ")]
    assert len(lines) == len(counts()) + 3 * 2  # three tables with a heading
    assert put_counts(page) == page


@pytest.mark.parametrize(("split", "number"), [("train", 171), ("test", 66)])
def test_the_list_of_gestures_can_be_read_beside_its_clips(
    tmp_path: Path, split: str, number: int
) -> None:
    text = (make_readme.PAGE.parent / "docs" / "gestures.csv").read_text(encoding="utf-8")
    (tmp_path / "gestures.csv").write_text(text, encoding="utf-8")
    for line in text.splitlines()[1:]:
        (tmp_path / line.split(",")[0]).write_bytes(b"not looked at yet")
    clips = read_clips(tmp_path / "gestures.csv", split)
    assert len(clips) == number
    assert DATASETS["pointing-gestures"].has_classes(clips.class_names)


def test_the_examples_of_the_readme_print_what_it_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).parents[1])
    page = make_readme.PAGE.read_text(encoding="utf-8")
    examples = re.findall(r"```python\n(.*?)```\n\n```\n(.*?)```", page, re.DOTALL)
    assert len(examples) == 4
    names: dict[str, Any] = {}  # a later example goes on where an earlier one ended
    for code, wanted in examples:
        printed = StringIO()
        with redirect_stdout(printed):
            exec(code, names)
        assert _with_few_digits(printed.getvalue()) == _with_few_digits(wanted)


def _with_few_digits(text: str) -> str:
    return re.sub(r"\d+\.\d+", lambda number: f"{float(number[0]):.3g}", text)
