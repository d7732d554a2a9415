"""Few-shot transfer: a linear classifier on a model's frozen features, from five photos a class.

The protocol is that of the vision transformers' papers (Dosovitskiy et al. 2021, section 4.1, and
TokenLearner after it): least squares with L2 regularisation from the representation before the
head to targets of -1 and 1, solved exactly, accuracy on the test photos. Details follow
`fewshot_utils.py` of google-research/scenic and `fewshot_lsr.py` of google-research/big_vision; see
`ridge_accuracies`.

Two ways to choose the strength of the regularisation are published. Scenic takes, over several data
sets at once, the one that ranks best on their *test* photos; with a single data set that would be
to choose by the answers. big_vision fixes it at 2^10, and so does this module; other strengths are
measured and shown beside it.
"""

import datetime
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from tokenlearner.checkpoints import ImageModel
from tokenlearner.efficiency.machine import describe_hardware, describe_versions
from tokenlearner.errors import ConfigError, DataError
from tokenlearner.modules.shapes import Float, Tensor
from tokenlearner.training.classes import list_names
from tokenlearner.training.data import LabelledImages
from tokenlearner.training.metrics import answering, iter_batches
from tokenlearner.training.ridge import ridge_accuracies

STRENGTH = 2.0**10
"""The strength whose accuracy is reported."""

STRENGTHS = tuple(2.0**power for power in range(-10, 20, 4))
"""Strengths that are measured: every fourth of Scenic's, `STRENGTH` among them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Accuracy:
    """Accuracy with one strength of regularisation.

    Attributes:
        strength: What is added to the diagonal of the features' Gram matrix.
        mean_percent: Test photos answered rightly, mean over the draws.
        spread_percent: Standard deviation over the draws; None for a single one.
        draws_percent: Accuracy of each draw.
    """

    strength: float
    mean_percent: float
    spread_percent: float | None
    draws_percent: tuple[float, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class FewShot:
    """The result of a few-shot transfer.

    Attributes:
        shots: Training photos per class.
        seeds: Random seed of each draw of training photos.
        num_classes: Classes.
        num_images: Test photos.
        reported: The accuracy with `STRENGTH`, chosen without a look at the test photos.
        sweep: The accuracy with every strength that was measured, weakest first.
    """

    shots: int
    seeds: tuple[int, ...]
    num_classes: int
    num_images: int
    reported: Accuracy
    sweep: tuple[Accuracy, ...]


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Draws:
    """Training photos of several draws.

    Attributes:
        photos: All that some draw took, each once.
        rows: Which of `photos` each draw took, int64 `[draws, classes × shots]`.
        unusable: Photos that were passed over because they are missing or corrupt, with the reason.
        shots: Photos per class.
        seeds: Random seed of each draw.
    """

    photos: LabelledImages
    rows: np.ndarray
    unusable: tuple[str, ...]
    shots: int
    seeds: tuple[int, ...]


def few_shot(
    model: ImageModel,
    train: LabelledImages,
    test: LabelledImages,
    *,
    shots: int = 5,
    seeds: Sequence[int] = range(5),
    strengths: Sequence[float] = STRENGTHS,
    device: torch.device,
    batch_size: int = 64,
) -> FewShot:
    """Measures how well a model's features tell classes apart that it may never have seen.

    Args:
        model: With its `info` and a head, which is not used; moved to `device`. If it is training,
            it is again afterwards.
        train: Photos to draw from, with one label each. Their classes need not be the model's.
        test: Photos to measure on, of the same classes.
        shots: Training photos per class.
        seeds: One draw per seed; the same seed draws the same photos for every model.
        strengths: Regularisation strengths to measure besides `STRENGTH`.
        device: Where to compute the features.
        batch_size: Photos in a pass; changes the speed, not the result.

    Raises:
        ConfigError: If the model has no `info`, or a number is out of range.
        DataError: If a class has fewer than `shots` training photos, the two splits have other
            classes, photos have several labels, or one cannot be decoded.
    """
    draws = draw(train, test, shots=shots, seeds=seeds)
    options: dict[str, Any] = {"device": device, "batch_size": batch_size}
    train_features, test_features = (
        torch.cat(list(iter_features(model, data, **options))) for data in (draws.photos, test)
    )
    return score(draws, train_features, test, test_features, strengths=strengths)


def draw(train: LabelledImages, test: LabelledImages, *, shots: int, seeds: Sequence[int]) -> Draws:
    """Draws the training photos; arguments and errors as `few_shot`.

    A photo that cannot be decoded is passed over. Only photos whose turn comes are looked at, not a
    million of them.
    """
    if shots < 1 or not seeds:
        raise ConfigError(f"got {shots} shots and {len(seeds)} draws; wanted at least 1 of each")
    for data in (train, test):
        if data.multi_label:
            raise DataError(f"{data.source} has several labels per photo; few-shot wants one")
    train, test = train.among(test.class_names), test.among(train.class_names)
    if train.class_names != test.class_names:
        raise DataError(
            f"the training photos have the classes {list_names(train.class_names)}, but the test "
            f"photos {list_names(test.class_names)}; wanted the same in the same order"
        )
    if len(train.class_names) < 2:
        raise DataError(
            f"{train.source} has one class, {', '.join(train.class_names)}, which any classifier "
            "always answers; give it another one to tell it from"
        )
    known: dict[int, str] = {}
    rows = np.stack([_draw(train, shots, seed, known) for seed in seeds])
    taken, places = np.unique(rows, return_inverse=True)
    return Draws(
        photos=train.take(taken),
        rows=places.reshape(rows.shape),
        unusable=tuple(trouble for trouble in known.values() if trouble),
        shots=shots,
        seeds=tuple(seeds),
    )


def iter_features(
    model: ImageModel, data: LabelledImages, *, device: torch.device, batch_size: int
) -> Iterator[Float[Tensor, "batch features"]]:
    """Yields the photos' representation before the head, on the CPU.

    Raises:
        ConfigError: If the model has no `info`, or one that does not fit it.
        DataError: If there are no photos, or one cannot be decoded.
    """
    preprocessing = model.require_info().preprocessing
    model = model.to(device)
    like = next(model.parameters())
    for batch in iter_batches(data, preprocessing, batch_size):
        with answering(model):
            features = model.trace(batch.to(like)).representation.float().cpu()
        yield features


def score(
    draws: Draws,
    train_features: Float[Tensor, "drawn features"],
    test: LabelledImages,
    test_features: Float[Tensor, "batch features"],
    *,
    strengths: Sequence[float] = STRENGTHS,
) -> FewShot:
    """Trains and measures a classifier for each draw and strength.

    Args:
        draws: The training photos.
        train_features: Those of `draws.photos`.
        test: The test photos.
        test_features: Their features.
        strengths: Regularisation strengths to measure besides `STRENGTH`.

    Raises:
        ConfigError: If a strength is not above 0.
    """
    num_classes = len(draws.photos.class_names)
    test = test.among(draws.photos.class_names)
    strengths = sorted({*strengths, STRENGTH})
    labels, test_labels = torch.from_numpy(draws.photos.labels), torch.from_numpy(test.labels)
    targets = 2.0 * F.one_hot(labels, num_classes) - 1
    accuracies = [
        ridge_accuracies(train_features[rows], targets[rows], test_features, test_labels, strengths)
        for rows in torch.from_numpy(draws.rows)
    ]
    sweep = tuple(
        _accuracy(strength, [100 * value for value in values])
        for strength, values in zip(strengths, zip(*accuracies, strict=True), strict=True)
    )
    return FewShot(
        shots=draws.shots,
        seeds=draws.seeds,
        num_classes=num_classes,
        num_images=len(test),
        reported=sweep[strengths.index(STRENGTH)],
        sweep=sweep,
    )


def report(
    result: FewShot,
    model: ImageModel,
    draws: Draws,
    test: LabelledImages,
    *,
    splits: tuple[str, str],
    command: str,
    device: torch.device,
) -> dict[str, Any]:
    """Returns what was measured, of what, on what and how, ready for JSON.

    Args:
        result: Result of `model` on `draws` and `test`.
        model: As loaded from its folder.
        draws: The training photos.
        test: The test photos.
        splits: Names of the training and the test split.
        command: The command that repeats the measurement.
        device: Where it was computed.
    """
    info = model.require_info()
    unusable = (*draws.unusable, *test.unusable)
    return {
        "model": info.name,
        "weights_sha256": info.sha256,
        "data": {
            "source": test.source_name,
            "train_split": splits[0],
            "test_split": splits[1],
            "drawn_sha256": draws.photos.sha256,
            "test_sha256": test.sha256,
            **({"unusable": list(unusable)} if unusable else {}),
        },
        "few_shot": asdict(result),
        "command": command,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "hardware": describe_hardware(device),
        "versions": describe_versions(),
    }


def _draw(train: LabelledImages, shots: int, seed: int, known: dict[int, str]) -> np.ndarray:
    """Returns the rows of one draw; `known` keeps why a photo is unusable, "" for a usable one."""
    generator = np.random.default_rng(seed)
    drawn: list[int] = []
    for index, name in enumerate(train.class_names):
        rows = generator.permutation(np.flatnonzero(train.labels == index)).tolist()
        taken = list(islice((row for row in rows if not _trouble(train, row, known)), shots))
        if len(taken) < shots:
            raise DataError(
                f"usable training photos of the class {name!r} in {train.source}: {len(taken)}; "
                f"wanted at least {shots} of each class. Add photos or ask for fewer shots"
            )
        drawn += taken
    return np.array(drawn)


def _trouble(data: LabelledImages, row: int, known: dict[int, str]) -> str:
    if row not in known:
        try:
            data.read(row)
            known[row] = ""
        except DataError as error:
            known[row] = str(error)
    return known[row]


def _accuracy(strength: float, percent: Sequence[float]) -> Accuracy:
    return Accuracy(
        strength=strength,
        mean_percent=statistics.fmean(percent),
        spread_percent=statistics.stdev(percent) if len(percent) > 1 else None,
        draws_percent=tuple(percent),
    )
