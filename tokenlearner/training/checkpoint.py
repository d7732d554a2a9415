"""A run's state on disk: whole or not at all."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from tokenlearner.errors import TrainingError, is_out_of_memory


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Keeps other runs out of a folder, where the file system can.

    Raises:
        TrainingError: If another run is going on there.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise TrainingError(
            f"another run is going on in {folder}; wait for it, stop it or choose another folder"
        ) from error
    except (NotImplementedError, OSError):  # some network drives know no locks
        pass
    try:
        yield
    finally:
        lock.release()


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
        before = "the one before is intact" if path.exists() else "there is none before it"
        raise cannot_write(path, error, before) from error


def cannot_write(path: Path, error: Exception, kept: str) -> TrainingError:
    """Returns the error of a run that could not write something.

    Args:
        path: What was to be written.
        error: Why not. Of `torch.save`, which reports only what it could then not do any more, what
            the system said before is told.
        kept: What is left of the run, for the message.
    """
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, OSError):
        cause = cause.__context__
    is_full = cause is not None and cause.errno in (errno.ENOSPC, errno.EDQUOT)
    reason = error if cause is None else cause.strerror or cause
    advice = "Free some space" if is_full else "See to it"
    return TrainingError(
        f"cannot write {path}: {reason}; {kept}. {advice} and give the same command again"
    )


def read_state(path: Path, *, fingerprint: str) -> dict[str, Any]:
    """Returns what `write_state` wrote, on the CPU.

    Args:
        path: As for `write_state`.
        fingerprint: Fingerprint of the run that is to resume from it.

    Raises:
        TrainingError: If it is broken, something else or of another run.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # broken files make their readers raise nearly anything
        if is_out_of_memory(error):
            raise
        raise _broken(path) from error
    found = state.get("fingerprint") if isinstance(state, dict) else None
    if found is None:
        raise _broken(path)
    if found != fingerprint:
        raise TrainingError(
            f"{path} belongs to another recipe, other data, other weights to start from or "
            "another precision; choose another folder, or delete it to start again"
        )
    return state


def _broken(path: Path) -> TrainingError:
    return TrainingError(
        f"{path} is not a readable checkpoint of this trainer; delete it to start again"
    )


def _sync_folder(folder: Path) -> None:
    """Makes a replaced name survive a power cut; Windows has no such call and no such need."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
