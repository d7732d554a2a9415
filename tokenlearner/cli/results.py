"""Files that commands write their results into."""

import json
import os
from pathlib import Path
from typing import Annotated

import typer

from tokenlearner.errors import ConfigError
from tokenlearner.storage import write_whole

JsonFile = Annotated[
    Path | None,
    typer.Option("--json", dir_okay=False, help="Write the result to this JSON file."),
]


def make_room_for(file: Path | None) -> None:
    """Creates the folder for a result before the work starts, so that a bad path fails early.

    Raises:
        ConfigError: If the file cannot be written.
    """
    if file is None:
        return
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"cannot write {file}: {error}; choose another place") from error
    if not os.access(file if file.exists() else file.parent, os.W_OK):
        raise ConfigError(f"cannot write {file}: permission denied; choose another place")


def check_folder(out: Path) -> None:
    """Refuses an output folder that could not be created once the results are ready.

    Raises:
        ConfigError: If the path, or one of its parents, is a file.
    """
    there = next(place for place in (out, *out.parents) if place.exists())
    if not there.is_dir():
        which = "it" if there == out else there
        raise ConfigError(
            f"--out is {out}, but {which} is a file; wanted a folder, existing or new: name another"
        )


def write_json(file: Path, content: dict[str, object]) -> None:
    """Writes a result atomically, and says so."""
    write_whole(file, (json.dumps(content, indent=2) + "\n").encode())
    typer.echo(f"wrote {file}")
