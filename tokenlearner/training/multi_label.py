"""Measures for photos with several right answers, or none."""

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from tokenlearner.errors import ConfigError, DataError
from tokenlearner.modules.shapes import Float, Tensor
from tokenlearner.training.data import LabelledImages
from tokenlearner.training.data.photos import Photos

_VALIDATION_PHOTO = re.compile(r"ILSVRC2012_val_(\d{8})")

_LEAST_AGREEMENT = 0.5
"""Of ImageNet's own labels about nine in ten are valid; of photos in a wrong order hardly any."""


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class RealLabels:
    """The reassessed labels of ImageNet's validation photos, or of one's own.

    Attributes:
        source: Name of the file.
        sha256: Its checksum, hexadecimal.
        valid: Whether a class is right for a photo, bool `[n, classes]`; a photo may have none.

    Source: Beyer, Hénaff, Kolesnikov, Zhai, van den Oord, "Are we done with ImageNet?", 2020,
    arXiv:2006.07159; `real.json` of google-research/reassessed-imagenet.
    """

    source: str
    sha256: str
    valid: np.ndarray


def read_real(file: str | Path, data: LabelledImages) -> RealLabels:
    """Reads the valid labels of each photo of `data`.

    Args:
        file: JSON: a list with a list of class indices per photo. Photos that are called
            `ILSVRC2012_val_00000001...` and so on find their entry by that number; others stand in
            the order of the list.
        data: The photos, each with its one original label.

    Raises:
        DataError: If the file is no such list, is of another length, has an index that is no class,
            has no label for any photo, or does not agree with the photos' own labels.
        OSError: If it cannot be read.
    """
    file = Path(file)
    content = file.read_bytes()
    if data.multi_label:
        raise DataError(
            f"{data.source} has several labels per photo already; {file.name} is for data with one"
        )
    entries = _entries(content, file)
    positions = _positions(data, len(entries), file)
    count, classes = len(data), len(data.class_names)
    valid = np.zeros((count, classes), dtype=bool)
    for row, position in enumerate(positions):
        for index in entries[position]:
            if not 0 <= index < classes:
                raise DataError(
                    f"{file}: entry {position} has the class {index}; {data.source} has "
                    f"{classes:,} classes, so wanted 0 to {classes - 1}"
                )
            valid[row, index] = True
    labelled = valid.any(axis=1)
    if not labelled.any():
        raise DataError(f"{file} has no label for any photo; wanted one for most")
    agreement = float(valid[np.arange(count), data.labels][labelled].mean())
    if agreement < _LEAST_AGREEMENT:
        raise DataError(
            f"the label in {data.source} is among those in {file} for only "
            f"{100 * agreement:.1f} % of the photos; wanted most. The photos or the classes seem "
            "to be in another order: ImageNet counts its validation photos by their file names, "
            "its classes by their WordNet ids"
        )
    return RealLabels(source=file.name, sha256=hashlib.sha256(content).hexdigest(), valid=valid)


def _entries(content: bytes, file: Path) -> list[list[int]]:
    try:
        entries = json.loads(content)
    except ValueError as error:
        raise DataError(f"{file} is not JSON: {error}") from error
    if not isinstance(entries, list):
        raise DataError(
            f"{file} holds a {type(entries).__name__}; wanted a list with a list of class indices "
            "per photo"
        )
    for row, entry in enumerate(entries):
        if not isinstance(entry, list) or any(type(index) is not int for index in entry):
            raise DataError(f"{file}: entry {row} is {entry!r:.60}; wanted a list of class indices")
    return entries


def _positions(data: LabelledImages, num_entries: int, file: Path) -> list[int]:
    """Returns the entry of each photo, by the number in its file's name or by its row."""
    names = data.encoded.name if isinstance(data.encoded, Photos) else lambda _: ""
    matches = [_VALIDATION_PHOTO.search(names(row)) for row in range(len(data))]
    positions = [int(match[1]) - 1 for match in matches if match]
    if len(positions) == len(data) and max(positions, default=0) < num_entries:
        return positions
    if num_entries != len(data):
        left_out = f" ({len(data.unusable):,} more are unusable)" if data.unusable else ""
        raise DataError(
            f"{file} has the labels of {num_entries:,} photos, but {data.source} holds "
            f"{len(data):,}{left_out}; wanted one entry per photo, in the same order"
        )
    return list(range(num_entries))


def multi_label_accuracy(answers: Tensor, valid: Tensor) -> tuple[float, int]:
    """Counts an answer as right if it is one of the photo's valid labels.

    Args:
        answers: Class index for each photo, `[n]`, or several, `[n, k]`, of which one must be
            valid.
        valid: bool `[n, classes]`. Photos without a valid label are left out.

    Returns:
        Accuracy, 0 to 1, and the number of photos that it is of.

    Raises:
        DataError: If no photo has a valid label.

    Examples:
        >>> multi_label_accuracy(torch.tensor([0, 0]), torch.tensor([[True, True], [False, True]]))
        (0.5, 2)
    """
    labelled = valid.any(dim=1)
    if not bool(labelled.any()):
        raise DataError(f"none of the {len(valid):,} photos has a label; nothing to measure")
    right = valid.gather(1, answers.reshape(len(answers), -1)).any(dim=1)
    return float(right[labelled].double().mean()), int(labelled.sum())


def average_precisions(
    scores: Float[Tensor, "batch classes"], positives: Tensor
) -> dict[int, float]:
    """Returns the average precision, 0 to 1, of each class that has positives.

    It is the mean of the precision at each positive when the photos are ranked by their score;
    photos with the same score are taken in at once.

    Args:
        scores: Higher for photos that more likely show the class.
        positives: Whether they do, bool `[n, classes]`.

    Raises:
        ConfigError: If torchmetrics is not installed.
    """
    average_precision = load_average_precision()
    return {
        index: float(average_precision(_ranks(scores[:, index]), positives[:, index].long()))
        for index in range(scores.shape[1])
        if bool(positives[:, index].any())
    }


def load_average_precision() -> Callable[[Tensor, Tensor], Tensor]:
    """Imports torchmetrics' average precision of a class.

    Raises:
        ConfigError: If torchmetrics is not installed.
    """
    try:
        from torchmetrics.functional.classification import binary_average_precision
    except ImportError as error:
        raise ConfigError(
            "mean average precision needs torchmetrics; pip install torchmetrics"
        ) from error
    return binary_average_precision


def _ranks(scores: Float[Tensor, " batch"]) -> Float[Tensor, " batch"]:
    """Returns 0 to 1 in the order of the scores, equal ones equal.

    torchmetrics puts scores beyond 0 to 1 through a sigmoid, which makes large ones equal.
    """
    order = torch.unique(scores, return_inverse=True)[1].double()
    return order / order.max().clamp(min=1)
