"""What all writers of clips share: when pictures are shown, and how large a file may get."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from tokenlearner.errors import MediaTooLargeError

_Picture = TypeVar("_Picture")


def spaced(timed: Iterable[tuple[_Picture, int]], least: int) -> Iterator[tuple[_Picture, int]]:
    """Leaves out what comes sooner after the picture before it than a file can show."""
    before = None
    for picture, stamp in timed:
        if before is None or stamp - before >= least:
            yield picture, stamp
            before = stamp


def within(pictures: Iterable[_Picture], path: Path, max_bytes: int | None) -> Iterator[_Picture]:
    """Ends the work as soon as the file that is being written gets too large."""
    for picture in pictures:
        _check_size(path, max_bytes)
        yield picture


def read_whole(path: Path, max_bytes: int | None) -> bytes:
    """Returns a finished file, unless it is too large."""
    _check_size(path, max_bytes)
    return path.read_bytes()


def _check_size(path: Path, max_bytes: int | None) -> None:
    if max_bytes is not None and path.exists() and path.stat().st_size > max_bytes:
        other = ", or mp4" if path.suffix == ".gif" else ""
        raise MediaTooLargeError(
            f"The {path.suffix[1:]} would be larger than {max_bytes / 1e6:.0f} MB. Choose a "
            f"shorter section{other}."
        )
