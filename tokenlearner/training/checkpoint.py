"""A run's state on disk: whole or not at all."""

import os
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from tokenlearner.errors import TrainingError


def write_state(state: dict[str, Any], path: Path) -> None:
    """Writes a state in the place of the one before; a power cut leaves one of the two.

    Raises:
        TrainingError: If it cannot be written; the one before is left as it was.
    """
    temporary = path.with_name(f"{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        _sync_folder(path.parent)
    except (OSError, RuntimeError) as error:
        temporary.unlink(missing_ok=True)
        before = "the one before is intact. " if path.exists() else ""
        raise TrainingError(
            f"cannot write {path}: {_cause(error)}; {before}See to it, as by freeing some space, "
            "and start the same command again"
        ) from error


def _cause(error: BaseException) -> BaseException:
    """What the system said, where torch.save reports only what it could then not do any more."""
    found: BaseException | None = error
    while found is not None and not isinstance(found, OSError):
        found = found.__context__
    return found or error


def read_state(path: Path) -> dict[str, Any]:
    """Returns what `write_state` wrote, on the CPU.

    Raises:
        TrainingError: If it is broken or something else.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        if "fingerprint" in state:
            return state
    except (OSError, EOFError, RuntimeError, TypeError, UnpicklingError) as error:
        raise _broken(path) from error
    raise _broken(path)


def _broken(path: Path) -> TrainingError:
    return TrainingError(
        f"{path} is no readable checkpoint of this trainer; delete it to start again"
    )


def _sync_folder(folder: Path) -> None:
    """Makes a replaced name survive a power cut; Windows has no such call and no such need."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
