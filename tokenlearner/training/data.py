"""Labelled photos from parquet files as the Hugging Face Hub lays them out."""

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image as PilImage

from tokenlearner.errors import DataError
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

    def pixels(self) -> Iterator[np.ndarray]:
        """Yields every photo as RGB, uint8 `[height, width, 3]`.

        Raises:
            DataError: If one cannot be decoded; the message names its row.
        """
        for row, data in enumerate(self.encoded):
            try:
                with PilImage.open(io.BytesIO(data)) as image:
                    yield np.asarray(image.convert("RGB"))
            except OSError as error:
                raise DataError(f"{self.source}: row {row} is no readable image: {error}") from error

    def stack(self, preprocessing: Preprocessing) -> Tensor:
        """Returns all photos at one size, uint8 `[n, 3, height, width]`.

        Args:
            preprocessing: Its `image_size` and way of resizing are used, its normalisation is not.
        """
        plain = replace(preprocessing, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
        images = torch.empty(len(self), 3, *preprocessing.image_size, dtype=torch.uint8)
        for row, pixels in enumerate(self.pixels()):
            images[row] = (prepare(pixels, plain)[0][0] * 255).round()
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
            Hugging Face Hub (`uoft-cs/cifar10`), which is downloaded to the local cache.
        split: `train`, `test`, ...

    Raises:
        DataError: If there is no such split, or its columns are not an image and a class label.
    """
    import pyarrow.parquet as pq

    files = sorted(_locate(source, split).rglob(f"{split}-*.parquet"))
    if not files:
        raise DataError(f"{source} holds no file {split}-*.parquet; check the path and the split")
    features = _features(pq.read_schema(files[0]).metadata, files[0])
    image_column = _column(features, "Image", files[0])
    label_column = _column(features, "ClassLabel", files[0])
    encoded: list[bytes] = []
    labels: list[np.ndarray] = []
    for file in files:
        table = pq.read_table(file, columns=[image_column, label_column])
        encoded += [entry["bytes"] for entry in table[image_column].to_pylist()]
        labels.append(table[label_column].to_numpy())
    if not encoded:
        raise DataError(f"{source}: the split {split!r} is empty")
    class_names = tuple(features[label_column]["names"])
    return LabelledImages(str(source), tuple(encoded), np.concatenate(labels), class_names)


def _locate(source: str | Path, split: str) -> Path:
    if Path(source).is_dir():
        return Path(source)
    if str(source).count("/") != 1 or str(source).startswith((".", "/")):
        raise DataError(f"there is no folder {source}, and it is no id of the form owner/name")
    from huggingface_hub import snapshot_download

    pattern = f"*{split}-*.parquet"
    return Path(snapshot_download(str(source), repo_type="dataset", allow_patterns=[pattern]))


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
        found = {name: feature.get("_type") for name, feature in features.items()}
        raise DataError(f"{file.name} has no {kind} column; it has {found}")
    return columns[0]
