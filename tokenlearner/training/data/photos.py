"""Image files by row, wherever they lie: in memory, in a folder or in one large file.

Nothing here holds a file open, so the objects can be pickled and used after a fork.
"""

import hashlib
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tokenlearner.errors import MediaError


class Photos(ABC):
    """Image files by row, each read when it is asked for.

    Reading raises `MediaError` where a file is gone. No `Sequence`, though it is used like one:
    the tests' check of types would read files of a `Sequence[bytes]` that nobody asked for.
    """

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def __getitem__(self, row: int) -> bytes: ...

    def __iter__(self) -> Iterator[bytes]:
        return (self[row] for row in range(len(self)))

    @abstractmethod
    def name(self, row: int) -> str:
        """Says where a row comes from, for messages."""

    @abstractmethod
    def take(self, rows: np.ndarray) -> "Photos":
        """Returns these rows, int64 `[n]`, in this order."""

    @abstractmethod
    def identity(self) -> Iterator[bytes]:
        """Yields what the checksum of a data set is computed over, besides its labels."""


@dataclass(frozen=True, slots=True, eq=False)
class TableRows:
    """Rows of a table that lies in several files.

    Attributes:
        files: Names of the files.
        ends: Rows of the table up to the end of each file, int64 `[files]`.
        rows: Rows of the table, from 0, int64 `[n]`.
        paths: What each row of the table says its photo's own file was called, bytes (empty where
            it does not), or None where no row does. One array, as in `PhotosInFolder`.
    """

    files: tuple[str, ...]
    ends: np.ndarray
    rows: np.ndarray
    paths: np.ndarray | None = None

    def name(self, row: int) -> str:
        """Says in which row of which file one of `rows` lies, from 0, and what it was called."""
        position = int(self.rows[row])
        file = int(np.searchsorted(self.ends, position, side="right"))
        place = f"{self.files[file]}, row {position - (self.ends[file - 1] if file else 0)}"
        called = b"" if self.paths is None else self.paths[position]
        return f"{place} ({called.decode()})" if called else place

    def take(self, rows: np.ndarray) -> "TableRows":
        """Returns these of the rows."""
        return replace(self, rows=self.rows[rows])


class PhotosInMemory(Photos):
    """Image files in memory.

    Args:
        files: Their contents.
        places: Where they come from; without it they are called by their row.
    """

    def __init__(self, files: tuple[bytes, ...], places: TableRows | None = None) -> None:
        self._files = files
        self._places = places

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, row: int) -> bytes:
        return self._files[row]

    def name(self, row: int) -> str:
        return f"row {row}" if self._places is None else self._places.name(row)

    def take(self, rows: np.ndarray) -> "PhotosInMemory":
        places = None if self._places is None else self._places.take(rows)
        return PhotosInMemory(tuple(self._files[row] for row in rows), places)

    def identity(self) -> Iterator[bytes]:
        for content in self._files:
            yield hashlib.sha256(content).digest()


class PhotosInFolder(Photos):
    """Image files in a folder and its subfolders.

    Args:
        folder: The folder.
        names: Paths within it, as the file system spells them, bytes `[n]`. One array, because
            worker processes would copy a million Python objects by merely looking at them.
        sizes: Bytes of each file, int64 `[n]`.
        passed_over: How many other files there are by what their names end in.
    """

    def __init__(
        self,
        folder: Path,
        names: np.ndarray,
        sizes: np.ndarray,
        passed_over: Mapping[str, int] | None = None,
    ) -> None:
        self._folder = folder
        self._names = names
        self._sizes = sizes
        self.passed_over = dict(passed_over or {})

    def __len__(self) -> int:
        return len(self._names)

    def __getitem__(self, row: int) -> bytes:
        path = os.path.join(os.fsencode(self._folder), self._names[row])
        with _media_error(), open(path, "rb") as file:
            return file.read()

    def name(self, row: int) -> str:
        return f"{self._folder.name}/{self._names[row].decode(errors='replace')}"

    def take(self, rows: np.ndarray) -> "PhotosInFolder":
        return PhotosInFolder(self._folder, self._names[rows], self._sizes[rows], self.passed_over)

    def identity(self) -> Iterator[bytes]:
        # Reading a million files takes an hour, so name and size stand for the content.
        yield b"\0".join(self._names.tolist())
        yield self._sizes.astype("<i8").tobytes()


class PhotosInOneFile(Photos):
    """Image files one after another in a large file.

    Args:
        path: The large file.
        spans: First byte and the byte after the last of each, int64 `[n, 2]`.
        digests: SHA-256 of each, uint8 `[n, 32]`.
        places: Where they come from.
    """

    def __init__(
        self, path: Path, spans: np.ndarray, digests: np.ndarray, places: TableRows
    ) -> None:
        self._path = path
        self._spans = spans
        self._digests = digests
        self._places = places

    def __len__(self) -> int:
        return len(self._spans)

    def __getitem__(self, row: int) -> bytes:
        start, stop = (int(offset) for offset in self._spans[row])
        with _media_error(), open(self._path, "rb", buffering=0) as file:
            file.seek(start)
            return file.read(stop - start)

    def name(self, row: int) -> str:
        return self._places.name(row)

    def take(self, rows: np.ndarray) -> "PhotosInOneFile":
        return PhotosInOneFile(
            self._path, self._spans[rows], self._digests[rows], self._places.take(rows)
        )

    def identity(self) -> Iterator[bytes]:
        yield self._digests.tobytes()


@contextmanager
def _media_error() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise MediaError(f"The file cannot be read ({error.strerror}).") from error
