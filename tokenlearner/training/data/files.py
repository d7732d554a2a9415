"""One split of a data set: files, labels, class names, and the files that were left out."""

import hashlib
import json
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, TypeVar

import numpy as np

from tokenlearner.errors import ConfigError, DataError, MediaError
from tokenlearner.storage import write_whole
from tokenlearner.training.data.photos import Photos, PhotosInFolder, PhotosInMemory

_SCAN_BLOCK = 512

Files = TypeVar("Files", bound="LabelledFiles")


MAX_UNUSABLE = 0.01
"""Share of the files that may be left out, unless another is asked for."""


@dataclass(frozen=True, slots=True, eq=False)
class LabelledFiles(ABC):
    """One split of a data set; a file is read and decoded when it is asked for.

    Reading is safe in worker processes, forked or spawned.

    Attributes:
        source: Where it was read from, for messages.
        encoded: The files' bytes.
        labels: Class index of each, int64 `[n]`; with several labels per file bool
            `[n, classes]`.
        class_names: Name of each class index.
        unusable: Files that were left out because they are missing or corrupt, with the reason.
        max_unusable: Share of the files that may be left out, 0..1.
        things: What the files are, for messages.
    """

    things: ClassVar[str]

    source: str
    encoded: Photos | Sequence[bytes]
    labels: np.ndarray
    class_names: tuple[str, ...]
    unusable: tuple[str, ...] = ()
    max_unusable: float = MAX_UNUSABLE

    def __post_init__(self) -> None:
        assert len(self.encoded) == len(self.labels), "every file has its label"

    def __len__(self) -> int:
        return len(self.encoded)

    @property
    def multi_label(self) -> bool:
        """Whether a file can belong to several classes or to none."""
        return self.labels.ndim == 2

    @property
    def passed_over(self) -> dict[str, int]:
        """How many files of a folder are of no kind that is read, by what their names end in."""
        return self.encoded.passed_over if isinstance(self.encoded, PhotosInFolder) else {}

    @property
    def source_name(self) -> str:
        """The data set's id on the Hub or its folder's or list's name.

        The rest of a path helps nobody.
        """
        place = Path(self.source)
        return place.resolve().name if place.exists() else self.source

    @property
    def sha256(self) -> str:
        """Checksum of all files and labels in their order, hexadecimal.

        Photos from parquet files, however they are kept, count with their content; those of a
        folder with their path in the split's folder and their size in bytes.
        """
        digest = hashlib.sha256(self.labels.astype("u1" if self.multi_label else "<i8").tobytes())
        for part in self._photos.identity():
            digest.update(part)
        return digest.hexdigest()

    def scan(
        self: Files,
        *,
        on_progress: Callable[[int], None] | None = None,
        remember: Path | None = None,
        write: bool = True,
    ) -> Files:
        """Decodes every file once and returns those that can be used, the others named.

        What decodes here decodes in training: a check of headers would miss files that were cut
        off. Before `split`, so that the rows held out do not depend on when a file was found out.

        Args:
            on_progress: Called with the number of files done.
            remember: File that keeps what was found; with it, the same data are not scanned again,
                only the files that were unusable are. It is written where something else is found
                than it says: once one process has scanned, others may read it at the same time.
            write: Whether it may be.

        Raises:
            DataError: If more than `max_unusable` of the files are unusable, as soon as that is
                certain, or if `remember` cannot be written.
        """
        remembered = self._remembered(remember)
        rows = range(len(self)) if remembered is None else remembered
        total = len(self) + len(self.unusable)
        troubles: dict[int, str] = {}
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for start in range(0, len(rows), _SCAN_BLOCK):
                block = rows[start : start + _SCAN_BLOCK]
                for row, trouble in zip(block, pool.map(self._trouble, block), strict=True):
                    if trouble is not None:
                        troubles[row] = trouble
                limit_unusable(
                    self.source,
                    (*self.unusable, *troubles.values()),
                    total,
                    self.max_unusable,
                    things=self.things,
                )
                if on_progress is not None:
                    on_progress(start + len(block))
        if write and remember is not None and list(troubles) != remembered:
            self._remember(remember, list(troubles))
        usable = np.setdiff1d(np.arange(len(self)), np.array(list(troubles), np.int64))
        return replace(self.take(usable), unusable=(*self.unusable, *troubles.values()))

    def split(self: Files, holdout: int, *, seed: int) -> tuple[Files, Files]:
        """Returns all but `holdout` random rows, and those rows."""
        order = np.random.default_rng(seed).permutation(len(self))
        return self.take(order[holdout:]), self.take(order[:holdout])

    def take(self: Files, rows: Sequence[int] | np.ndarray) -> Files:
        """Returns these rows, in this order; the result's `unusable` is empty."""
        rows = np.asarray(rows, np.int64)
        photos = self._photos.take(rows)
        return replace(self, encoded=photos, labels=self.labels[rows], unusable=())

    def among(self: Files, class_names: tuple[str, ...]) -> Files:
        """Returns the same with all of these classes, numbered so, if its own are some of them.

        A small split may lack the folder of a class, or the last classes that have numbers for
        names.
        """
        mine, theirs = self.class_names, class_names
        are_distinct = len(set(mine)) == len(mine) and len(set(theirs)) == len(theirs)
        if not are_distinct or not set(mine) < set(theirs):
            return self
        places = np.array([theirs.index(name) for name in mine], np.int64)
        if not self.multi_label:
            return replace(self, class_names=theirs, labels=places[self.labels])
        labels = np.zeros((len(self), len(theirs)), self.labels.dtype)
        labels[:, places] = self.labels
        return replace(self, class_names=theirs, labels=labels)

    @staticmethod
    @abstractmethod
    def decode(content: bytes) -> object:
        """Decodes a whole file.

        Raises:
            MediaError: If it cannot be used.
        """

    @property
    def _photos(self) -> Photos:
        if isinstance(self.encoded, Photos):
            return self.encoded
        return PhotosInMemory(tuple(self.encoded))

    def _trouble(self, row: int) -> str | None:
        try:
            self.decode(self._photos[row])
        except MediaError as error:
            # The rest advises a person in front of the dashboard.
            reason, _, _ = str(error).partition(". ")
            return f"{self._photos.name(row)}: {reason.rstrip('.')}"
        return None

    def _remembered(self, path: Path | None) -> list[int] | None:
        """Returns the rows that an earlier scan of these files found unusable."""
        if path is None:
            return None
        try:
            known = json.loads(path.read_bytes())
            return known["unusable_rows"] if known["data_sha256"] == self.sha256 else None
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def _remember(self, path: Path, rows: list[int]) -> None:
        content = {"data_sha256": self.sha256, "unusable_rows": rows}
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, json.dumps(content).encode())
        except OSError as error:
            raise DataError(
                f"cannot write {path}: {error}. Free some space or choose another folder"
            ) from error


def check_request(split: str, max_unusable: float) -> None:
    """Raises `ConfigError` if a split has no name or `max_unusable` is no share."""
    if not split.strip(" ."):  # the data set's own folder is none of its splits
        raise ConfigError(f"the split is {split!r}; wanted a name such as train")
    if not 0 <= max_unusable <= 1:
        raise ConfigError(f"max_unusable is {max_unusable}; wanted a share of 0 to 1")


def limit_unusable(
    source: str,
    unusable: Sequence[str],
    total: int,
    max_unusable: float,
    *,
    things: str = "photos",
) -> None:
    """Raises `DataError` if more than a share of `total` things are unusable."""
    if len(unusable) <= max_unusable * total:
        return
    more = f"; and {len(unusable) - 3:,} more so far" if len(unusable) > 3 else ""
    raise DataError(
        f"{source}: {len(unusable):,} of {total:,} {things} are missing or corrupt, more than the "
        f"{100 * max_unusable:g} % that may be: {'; '.join(unusable[:3])}{more}. Get complete "
        "copies of them, or raise max_unusable (--max-unusable in the shell)"
    )
