"""Recipes from a person's own file, and what is said where there is something wrong with it."""

import re
import sys
from pathlib import Path

import pytest

from tests import tiny
from tokenlearner.errors import ConfigError
from tokenlearner.training.augment import RandAugment
from tokenlearner.training.recipes.own import read_recipe, reference
from tokenlearner.training.recipes.photos import scratch_vit_tl8

DOCS = Path(__file__).parents[2] / "docs/training.md"

GOOD = """
from __future__ import annotations
from dataclasses import dataclass, replace
from tests import tiny
from neighbour import RATE

@dataclass(frozen=True)
class Options:  # dataclasses look up the module that they are in
    rate: float

def mine():
    import later  # nor is the folder forgotten before the function has returned
    return tiny.recipe(name="mine", learning_rate=Options(RATE).rate * later.TWICE)

def other():
    return tiny.recipe()

def _hidden():
    return tiny.recipe()

SETTINGS = {"name": "mine"}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "neighbour.py").write_text("RATE = 0.125\n")
    (tmp_path / "later.py").write_text("TWICE = 2\n")
    (tmp_path / "mine.py").write_text(GOOD)
    return tmp_path / "mine.py"


@pytest.fixture(autouse=True)
def _forget_neighbours(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("neighbour", "later"):
        monkeypatch.delitem(sys.modules, name, raising=False)


def test_is_what_the_function_returns(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, modules = list(sys.path), set(sys.modules)
    wanted = tiny.recipe(name="mine", learning_rate=0.25)
    assert read_recipe(f"{file}:mine") == wanted
    assert sys.path == path
    assert set(sys.modules) - modules <= {"neighbour", "later"}
    monkeypatch.chdir(file.parent)
    assert read_recipe("mine.py:mine") == wanted


def test_a_file_that_was_changed_is_read_anew(file: Path) -> None:
    assert read_recipe(f"{file}:mine").learning_rate == 0.25
    file.write_text(GOOD.replace("later.TWICE", "later.TWICE * 2"))
    assert read_recipe(f"{file}:mine").learning_rate == 0.5


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("absent.py:mine", r"there is no file .*absent\.py; wanted PATH/TO/FILE\.py:FUNCTION"),
        ("absent.py", r"there is no file .*absent\.py; wanted"),
        (":mine", r"there is no file .*; wanted PATH/TO/FILE\.py:FUNCTION"),
        ("notes.txt:mine", r"notes\.txt is not a Python file; wanted"),
        (
            "mine.py:miene",
            r"mine\.py has no function 'miene'; name one as .*mine\.py:FUNCTION, there are: mine, "
            "other$",
        ),
        ("mine.py", r"mine\.py is a file of recipes; name one as .* there are: mine, other$"),
        ("mine.py:", r"mine\.py is a file of recipes; name one"),
        ("neighbour.py:mine", r"has no function 'mine'; .*, there are: none$"),
        (
            "mine.py:SETTINGS",
            "mine.py:SETTINGS is of type dict; wanted a function without arguments",
        ),
    ],
)
def test_no_such_place(file: Path, place: str, message: str) -> None:
    (file.parent / "notes.txt").write_text("mine")
    with pytest.raises(ConfigError, match=message):
        read_recipe(f"{file.parent}/{place}")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("def mine(:", r"mine\.py cannot be imported: SyntaxError: .*mine\.py, line 1"),
        ("\nimport absent_package", r"imported: ModuleNotFoundError: No module .* \(line 2\)$"),
        (
            "def mine():\n    return 1 / 0",
            r"mine\.py:mine raised ZeroDivisionError: division by zero \(line 2\)$",
        ),
        ("def mine(size): ...", r"mine\.py:mine raised TypeError: .* argument: 'size'$"),
        (
            "from tests import tiny\ndef mine():\n    return tiny.recipe(batch_size=0)",
            r"mine\.py:mine raised ConfigError: batch_size=0 with .* \(line 3\)$",
        ),
        ("def mine(): ...", r"mine\.py:mine returned None; wanted a Recipe"),
        (
            "def mine(): return {}",
            r"mine\.py:mine returned something of type dict; wanted a Recipe",
        ),
    ],
)
def test_what_is_wrong_with_it(file: Path, content: str, message: str) -> None:
    file.write_text(content)
    path = list(sys.path)
    with pytest.raises(ConfigError, match=message):
        read_recipe(f"{file}:mine")
    assert sys.path == path


def test_commands_name_no_folders_of_a_machine() -> None:
    assert reference("/home/me/mine.py:my_recipe") == "mine.py:my_recipe"
    assert reference("recipes/mine.py:my_recipe") == "recipes/mine.py:my_recipe"
    assert reference("imagenette-fine-vit") == "imagenette-fine-vit"


def test_the_example_of_the_documentation(tmp_path: Path) -> None:
    page = DOCS.read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    (tmp_path / "mine.py").write_text(example)
    (place,) = re.findall(r"`tokenlearner train mine\.py:(\w+) ", page)
    recipe, own = read_recipe(f"{tmp_path}/mine.py:{place}"), scratch_vit_tl8()
    assert recipe.name == place
    assert recipe.augmentation.rand_augment == RandAugment()
    assert recipe.augmentation.cutmix == 1
    assert recipe.augmentation.area == own.augmentation.area
    assert recipe.layer_decay == 0.75
    assert own.layer_decay is None
    assert recipe.model.stochastic_depth == 0.1  # pyright: ignore[reportAttributeAccessIssue]
    recipe.build()
