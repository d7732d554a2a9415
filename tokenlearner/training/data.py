"""Labelled photos from parquet files as the Hugging Face Hub lays them out."""

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tokenlearner.errors import DataError, MediaError
from tokenlearner.media.images import Image, read_image
from tokenlearner.modules.shapes import Tensor
from tokenlearner.preprocess import Preprocessing, prepare


@dataclass(frozen=True, slots=True)
class LabelledImages:
    """One split of a data set: encoded photos in memory, decoded when asked for.

    Attributes:
        source: Where it was read from, for messages.
        encoded: The image files' bytes.
        labels: Class index of each, int64 `[n]`.
        class_names: Name of each class index.
    """

    source: str
    encoded: tuple[bytes, ...]
    labels: np.ndarray
    class_names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.encoded)

    @property
    def source_name(self) -> str:
        """The data set's id on the Hub or its folder's name: the rest of a path helps nobody."""
        folder = Path(self.source)
        return folder.resolve().name if folder.is_dir() else self.source

    @property
    def sha256(self) -> str:
        """Checksum of all image files and labels in their order, hexadecimal."""
        digest = hashlib.sha256(self.labels.astype("<i8").tobytes())
        for data in self.encoded:
            digest.update(hashlib.sha256(data).digest())
        return digest.hexdigest()

    def images(self) -> Iterator[Image]:
        """Yields every photo, decoded as any photo is that someone gives to a model.

        Raises:
            DataError: If one cannot be decoded; the message names its row.
        """
        for row, data in enumerate(self.encoded):
            try:
                yield read_image(data)
            except MediaError as error:
                raise DataError(f"{self.source}: row {row} is no usable photo. {error}") from error

    def stack(self, preprocessing: Preprocessing) -> Tensor:
        """Returns all photos at one size, uint8 `[n, 3, height, width]`.

        Args:
            preprocessing: Its `image_size` and way of resizing are used, its normalisation is not.
        """
        plain = replace(preprocessing, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
        images = torch.empty(len(self), 3, *preprocessing.image_size, dtype=torch.uint8)
        for row, image in enumerate(self.images()):
            images[row] = (prepare(image.pixels, plain)[0][0] * 255).round()
        return images

    def split(self, holdout: int, *, seed: int) -> tuple["LabelledImages", "LabelledImages"]:
        """Returns all but `holdout` random rows, and those rows."""
        order = np.random.default_rng(seed).permutation(len(self))
        return self._take(order[holdout:]), self._take(order[:holdout])

    def _take(self, rows: np.ndarray) -> "LabelledImages":
        encoded = tuple(self.encoded[row] for row in rows)
        return LabelledImages(self.source, encoded, self.labels[rows], self.class_names)


def read_parquet(source: str | Path, split: str) -> LabelledImages:
    """Reads one split of an image classification data set.

    Args:
        source: A folder with `SPLIT-*.parquet` in it or in a subfolder, or a data set's id on the
            Hugging Face Hub (`uoft-cs/cifar10`), which is downloaded to the local cache (with
            `HF_HUB_OFFLINE=1` only taken from it).
        split: `train`, `test`, ...

    Raises:
        DataError: If there is no such split, it is incomplete or broken, or its columns are not an
            image and a class label.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise DataError("parquet files need pyarrow; pip install 'tokenlearner[train]'") from error

    files = _split_files(_locate(source, split), split)
    encoded: list[bytes] = []
    labels: list[np.ndarray] = []
    class_names: tuple[str, ...] = ()
    for file in files:
        try:
            features = _features(pq.read_schema(file).metadata, file)
            image_column = _column(features, "Image", file)
            label_column = _column(features, "ClassLabel", file)
            table = pq.read_table(file, columns=[image_column, label_column])
        except (pa.ArrowException, OSError) as error:
            raise DataError(f"{file} is no readable parquet file: {error}") from error
        class_names = tuple(features[label_column]["names"])
        encoded += _image_bytes(table[image_column].to_pylist(), file)
        labels.append(_class_indices(table[label_column].to_pylist(), len(class_names), file))
    if not encoded:
        raise DataError(f"{source}: the split {split!r} is empty")
    return LabelledImages(str(source), tuple(encoded), np.concatenate(labels), class_names)


def _locate(source: str | Path, split: str) -> Path:
    if Path(source).is_dir():
        return Path(source)
    if not re.fullmatch(r"[\w-][\w.-]*/[\w.-]+", str(source)):
        raise DataError(
            f"there is no folder {source}, and it is no id on the Hub either: these are owner/name"
        )
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    pattern = f"*{split}-*.parquet"
    try:
        path = snapshot_download(str(source), repo_type="dataset", allow_patterns=[pattern])
    except LocalEntryNotFoundError as error:
        raise DataError(
            f"there is no folder {source}, the data set is not in the local cache and the Hub "
            "cannot be reached; check the path, connect, or unset HF_HUB_OFFLINE"
        ) from error
    except (HfHubHTTPError, HFValidationError) as error:
        raise DataError(f"the Hub has no data set {source}: {error}") from error
    return Path(path)


def _split_files(folder: Path, split: str) -> list[Path]:
    """Returns the split's files in order, all of them and of one configuration."""
    files = sorted(folder.rglob(f"{split}-*.parquet"))
    if not files:
        raise DataError(f"{folder} holds no file {split}-*.parquet; check the path and the split")
    parents = sorted({str(file.parent.relative_to(folder)) for file in files})
    if len(parents) > 1:
        raise DataError(
            f"{folder} holds the split {split!r} more than once, in {', '.join(parents)}; "
            "give the path of one of these"
        )
    count = re.search(r"-of-(\d+)", files[0].name)
    if count and int(count[1]) != len(files):
        raise DataError(
            f"{files[0].parent} holds {len(files)} of {int(count[1])} files of the split "
            f"{split!r}; fetch the others"
        )
    return files


def _features(metadata: dict[bytes, bytes] | None, file: Path) -> dict[str, Any]:
    try:
        return json.loads((metadata or {})[b"huggingface"])["info"]["features"]
    except (KeyError, ValueError) as error:
        raise DataError(
            f"{file.name} has no Hugging Face feature description in its schema; "
            "wanted one Image and one ClassLabel column"
        ) from error


def _column(features: dict[str, Any], kind: str, file: Path) -> str:
    columns = [name for name, feature in features.items() if feature.get("_type") == kind]
    if not columns:
        found = ", ".join(f"{name} ({value.get('_type')})" for name, value in features.items())
        raise DataError(f"{file.name} has no {kind} column; it has {found}")
    return columns[0]


def _image_bytes(entries: list[dict[str, Any] | None], file: Path) -> list[bytes]:
    for row, entry in enumerate(entries):
        if entry is None or entry["bytes"] is None:
            raise DataError(
                f"{file.name}: row {row} holds no image file, only a path to one or nothing; "
                "wanted the files' bytes in the table"
            )
    return [entry["bytes"] for entry in entries if entry is not None]


def _class_indices(values: list[int | None], num_classes: int, file: Path) -> np.ndarray:
    for row, value in enumerate(values):
        if value is None or not 0 <= value < num_classes:
            raise DataError(
                f"{file.name}: row {row} has the label {value}; wanted 0 to {num_classes - 1}"
            )
    return np.array(values, dtype=np.int64)
