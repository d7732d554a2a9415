"""One split of a data set: photos, labels, class names, and the photos that were left out."""

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from tokenlearner.checkpoints import write_whole
from tokenlearner.errors import DataError, MediaError, ShapeError
from tokenlearner.media.images import Image, read_image
from tokenlearner.modules.shapes import Float, Tensor
from tokenlearner.preprocess import Preprocessing, prepare
from tokenlearner.training.data.photos import Photos, PhotosInMemory

_SCAN_BLOCK = 512


@dataclass(frozen=True, slots=True, eq=False)
class LabelledImages:
    """One split of a data set; a photo is read and decoded when it is asked for.

    Reading is safe in worker processes, forked or spawned.

    Attributes:
        source: Where it was read from, for messages.
        encoded: The image files' bytes.
        labels: Class index of each, int64 `[n]`; with several labels per photo bool
            `[n, classes]`.
        class_names: Name of each class index.
        unusable: Photos that were left out because they are missing or corrupt, with the reason.
        max_unusable: Share of the photos that may be left out, 0..1.
    """

    source: str
    encoded: Photos | Sequence[bytes]
    labels: np.ndarray
    class_names: tuple[str, ...]
    unusable: tuple[str, ...] = ()
    max_unusable: float = 0.01

    def __post_init__(self) -> None:
        assert len(self.encoded) == len(self.labels), "every photo has its label"

    def __len__(self) -> int:
        return len(self.encoded)

    @property
    def multi_label(self) -> bool:
        """Whether a photo can belong to several classes or to none."""
        return self.labels.ndim == 2

    @property
    def source_name(self) -> str:
        """The data set's id on the Hub or its folder's name: the rest of a path helps nobody."""
        folder = Path(self.source)
        return folder.resolve().name if folder.is_dir() else self.source

    @property
    def sha256(self) -> str:
        """Checksum of all photos and labels in their order, hexadecimal.

        Photos from parquet files, however they are kept, count with their content; those of an
        image folder with their path in the split's folder and their size in bytes.
        """
        digest = hashlib.sha256(self.labels.astype("u1" if self.multi_label else "<i8").tobytes())
        for part in self._photos.identity():
            digest.update(part)
        return digest.hexdigest()

    def read(self, row: int) -> Image:
        """Returns one photo, decoded as any photo is that someone gives to a model.

        Raises:
            DataError: If it is missing or corrupt; the message names its file.
        """
        try:
            return read_image(self._photos[row])
        except MediaError as error:
            raise DataError(
                f"{self.source}: {self._photos.name(row)} is no usable photo. {error}"
            ) from error

    def images(self) -> Iterator[Image]:
        """Yields every photo.

        Raises:
            DataError: As `read` does. After `scan` only of what changed since.
        """
        return (self.read(row) for row in range(len(self)))

    def stack(self, preprocessing: Preprocessing) -> Tensor:
        """Returns all photos at one size, uint8 `[n, 3, height, width]`.

        Args:
            preprocessing: Its `image_size` and way of resizing are used, its normalisation is not.

        Raises:
            DataError: As `images` does.
        """
        plain = replace(preprocessing, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
        images = torch.empty(len(self), 3, *preprocessing.image_size, dtype=torch.uint8)
        for row, image in enumerate(self.images()):
            images[row] = (prepare(image.pixels, plain)[0][0] * 255).round()
        return images

    def scan(
        self, *, on_progress: Callable[[int], None] | None = None, remember: Path | None = None
    ) -> "LabelledImages":
        """Decodes every photo once and returns those that can be used, the others named.

        What decodes here decodes in training: a check of headers would miss files that were cut
        off. Before `split`, so that the rows held out do not depend on when a photo was found out.

        Args:
            on_progress: Called with the number of photos done.
            remember: File that keeps what was found; with it, the same data are not scanned again,
                only the photos that were unusable are. One process at a time.

        Raises:
            DataError: If more than `max_unusable` of the photos are unusable, as soon as that is
                certain, or if `remember` cannot be written.
        """
        rows = self._remembered(remember)
        if rows is None:
            rows = range(len(self))
        total = len(self) + len(self.unusable)
        troubles: dict[int, str] = {}
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for start in range(0, len(rows), _SCAN_BLOCK):
                block = rows[start : start + _SCAN_BLOCK]
                for row, trouble in zip(block, pool.map(self._trouble, block), strict=True):
                    if trouble is not None:
                        troubles[row] = trouble
                limit_unusable(
                    self.source, (*self.unusable, *troubles.values()), total, self.max_unusable
                )
                if on_progress is not None:
                    on_progress(start + len(block))
        if remember is not None:
            self._remember(remember, list(troubles))
        usable = np.setdiff1d(np.arange(len(self)), np.array(list(troubles), np.int64))
        return replace(self.take(usable), unusable=(*self.unusable, *troubles.values()))

    def split(self, holdout: int, *, seed: int) -> tuple["LabelledImages", "LabelledImages"]:
        """Returns all but `holdout` random rows, and those rows."""
        order = np.random.default_rng(seed).permutation(len(self))
        return self.take(order[holdout:]), self.take(order[:holdout])

    def take(self, rows: Sequence[int] | np.ndarray) -> "LabelledImages":
        """Returns these rows, in this order; of them, none has been left out."""
        rows = np.asarray(rows, np.int64)
        photos = self._photos.take(rows)
        return replace(self, encoded=photos, labels=self.labels[rows], unusable=())

    @property
    def _photos(self) -> Photos:
        if isinstance(self.encoded, Photos):
            return self.encoded
        return PhotosInMemory(tuple(self.encoded))

    def _trouble(self, row: int) -> str | None:
        try:
            read_image(self._photos[row])
        except MediaError as error:
            # The rest advises a person in front of the dashboard.
            reason, _, _ = str(error).partition(". ")
            return f"{self._photos.name(row)}: {reason.rstrip('.')}"
        return None

    def _remembered(self, path: Path | None) -> list[int] | None:
        """Returns the rows that an earlier scan of these photos found unusable."""
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


def limit_unusable(source: str, unusable: Sequence[str], total: int, max_unusable: float) -> None:
    """Raises `DataError` if more than a share of `total` photos are unusable."""
    if len(unusable) <= max_unusable * total:
        return
    more = f"; and {len(unusable) - 3:,} more so far" if len(unusable) > 3 else ""
    raise DataError(
        f"{source}: {len(unusable):,} of {total:,} photos are missing or corrupt, more than the "
        f"{100 * max_unusable:g} % that may be: {'; '.join(unusable[:3])}{more}. Get complete "
        "copies of them, or raise max_unusable"
    )


def targets(labels: Tensor | np.ndarray, num_classes: int) -> Float[Tensor, "batch classes"]:
    """Returns labels as a loss takes them: 1 for the classes of a photo, 0 for the others.

    Args:
        labels: As `LabelledImages.labels`, int64 `[batch]` or bool `[batch, classes]`.
        num_classes: How many there are.

    Raises:
        ShapeError: If the labels are for another number of classes.

    Examples:
        >>> targets(np.array([2, 0]), 3).tolist()
        [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
    """
    labels = torch.as_tensor(labels)
    if labels.ndim == 1 and (not len(labels) or 0 <= labels.min() <= labels.max() < num_classes):
        return F.one_hot(labels, num_classes).float()
    if labels.ndim == 2 and labels.shape[1] == num_classes:
        return labels.float()
    raise ShapeError(
        f"got labels of shape {list(labels.shape)} for {num_classes} classes; wanted "
        f"[batch] with values of 0 to {num_classes - 1}, or [batch, {num_classes}]"
    )
