"""Recipes from files of one's own: `path/to/mine.py:my_recipe`."""

import importlib.util
import inspect
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from tokenlearner.errors import ConfigError
from tokenlearner.training.recipes.recipe import Recipe

_MODULE = "tokenlearner_own_recipe"


def is_own(place: str) -> bool:
    """Whether this names a file of recipes, with or without a function, and no shipped recipe."""
    return ":" in place or place.endswith(".py")


def read_recipe(place: str) -> Recipe:
    """Returns what a function in a file returns: a recipe.

    The file is run, as Python runs any module that it imports, and may import its neighbours; when
    this returns, neither it nor its folder is known to Python any more.

    Args:
        place: `path/to/mine.py:my_recipe`; the function takes no arguments.

    Raises:
        ConfigError: If there is no such file or function, if one of them raises an error, or if
            something else is returned.
    """
    file, function = _split(place)
    if not file.is_file():
        raise ConfigError(f"there is no file {file}; wanted PATH/TO/FILE.py:FUNCTION")
    if file.suffix != ".py":
        raise ConfigError(f"{file} is not a Python file; wanted PATH/TO/FILE.py:FUNCTION")
    with _imported(file) as module:
        make = getattr(module, function, None) if function else None
        if make is None:
            there = ", ".join(_functions(module)) or "none"
            asked = f"has no function {function!r}" if function else "is a file of recipes"
            raise ConfigError(f"{file} {asked}; name one as {file}:FUNCTION, there are: {there}")
        if not callable(make):
            raise ConfigError(
                f"{place} is of type {type(make).__name__}; wanted a function without arguments "
                "that returns a Recipe"
            )
        try:
            recipe: Any = make()
        except Exception as error:  # it may raise anything
            raise ConfigError(f"{place} raised {_describe(error, file)}") from error
    if not isinstance(recipe, Recipe):
        returned = "None" if recipe is None else f"something of type {type(recipe).__name__}"
        raise ConfigError(f"{place} returned {returned}; wanted a Recipe")
    return recipe


def reference(place: str) -> str:
    """Returns what a command says of a recipe: of an absolute path the file alone.

    The folders of a machine are nobody else's business.

    Examples:
        >>> reference("/home/me/mine.py:my_recipe")
        'mine.py:my_recipe'
    """
    if not is_own(place):
        return place
    file, function = _split(place)
    return f"{file.name if file.is_absolute() else file.as_posix()}:{function}"


def _split(place: str) -> tuple[Path, str]:
    if place.endswith(".py"):
        return Path(place), ""
    file, _, function = place.rpartition(":")
    return Path(file), function


@contextmanager
def _imported(file: Path) -> Iterator[ModuleType]:
    spec = importlib.util.spec_from_file_location(_MODULE, file)
    assert spec is not None, "a file that ends in .py has a loader"
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    folder = str(file.parent.resolve())
    sys.path.insert(0, folder)
    sys.modules[_MODULE] = module  # dataclasses look their module up there
    try:
        try:
            spec.loader.exec_module(module)
        except Exception as error:  # it may raise anything
            raise ConfigError(f"{file} cannot be imported: {_describe(error, file)}") from error
        yield module
    finally:
        sys.path.remove(folder)
        del sys.modules[_MODULE]


def _functions(module: ModuleType) -> list[str]:
    """Returns the functions that a module defines, without those that it imports."""
    return [
        name
        for name, value in vars(module).items()
        if inspect.isfunction(value) and value.__module__ == _MODULE and not name.startswith("_")
    ]


def _describe(error: Exception, file: Path) -> str:
    """Returns an error in a line, with the last line of the file that had a part in it."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if Path(frame.filename).name == file.name]
    where = f" (line {lines[-1]})" if lines else ""  # a SyntaxError tells its own
    reason = " ".join(str(error).split())
    return f"{type(error).__name__}: {reason}{where}"
