"""Which photos a step uses, how they are divided among processes, and how they get there."""

import math
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import tee

import torch
from torch.utils.data import DataLoader, Dataset

from tokenlearner.errors import DataError
from tokenlearner.modules.shapes import Tensor
from tokenlearner.training.recipes import Recipe
from tokenlearner.training.samples import Sample
from tokenlearner.training.seeds import generator

Photos = Tensor | Dataset[Sample]
"""All photos at one size, uint8 on any device, or what makes a sample of (epoch, row)."""


@dataclass(frozen=True, slots=True)
class Part:
    """What one process computes at once of one step.

    Attributes:
        step: Zero-based.
        epoch: Zero-based.
        index: Which part of the step.
        count: Photos in the step.
        places: Places of this part's photos in the step, int64 `[batch]`.
        rows: Their rows in the training data, int64 `[batch]`.
        weight: 1; or 0 for a part that would be empty and holds one photo that does not count,
            because the other processes wait for its gradients.
    """

    step: int
    epoch: int
    index: int
    count: int
    places: Tensor
    rows: Tensor
    weight: float


@dataclass(frozen=True, slots=True)
class Loaded:
    """The photos of a part.

    Attributes:
        part: The part.
        images: uint8 `[batch, 3, height, width]`.
        rows: Rows of the photos that are really there, int64 `[batch]`.
        unusable: Why a photo was replaced, by the row it had.
    """

    part: Part
    images: Tensor
    rows: Tensor
    unusable: dict[int, str]


def default_workers(recipe: Recipe) -> int:
    """Returns the number of reading processes: none if photos in memory are varied together."""
    may_use = getattr(os, "sched_getaffinity", None)  # Linux knows what this process may use
    cores = len(may_use(0)) if may_use else os.cpu_count() or 1
    cores //= int(os.environ.get("LOCAL_WORLD_SIZE", "1"))  # torchrun's processes share them
    one_by_one = recipe.canvas is None or recipe.augmentation.rand_augment is not None
    return min(8, cores) if one_by_one and cores > 1 else 0


def divide(count: int, num_parts: int) -> list[Tensor]:
    """Returns the places of each part of a batch, each in ascending order.

    A photo and its partner in mixup, the first and the last and so on, come into one part; in it
    they are the first and the last and so on again.

    Examples:
        >>> [part.tolist() for part in divide(6, 2)]
        [[0, 2, 3, 5], [1, 4]]
    """
    places = torch.arange(count)
    pairs = torch.minimum(places, count - 1 - places)
    return [places[pairs % num_parts == index] for index in range(num_parts)]


def schedule(
    recipe: Recipe, num_photos: int, *, first_step: int, own: range, num_parts: int
) -> Iterator[Part]:
    """Yields the parts of one process, step by step from `first_step` to the end of the run.

    Args:
        recipe: Decides the order of the photos.
        num_photos: In the training data.
        first_step: Zero-based; what comes before is skipped at no cost.
        own: Indices of this process' parts.
        num_parts: Parts of a step, of all processes.
    """
    steps_per_epoch = math.ceil(num_photos / recipe.batch_size)
    for epoch in range(first_step // steps_per_epoch, recipe.epochs):
        order = torch.randperm(num_photos, generator=generator(recipe.seed, 1, epoch))
        for position, rows in enumerate(order.split(recipe.batch_size)):
            step = epoch * steps_per_epoch + position
            if step < first_step:
                continue
            divided = divide(len(rows), num_parts)
            for index in own:
                places, weight = divided[index], 1.0
                if not len(places):
                    places, weight = torch.zeros(1, dtype=torch.int64), 0.0
                yield Part(step, epoch, index, len(rows), places, rows[places], weight)


def load(
    parts: Iterable[Part], photos: Photos, *, num_workers: int, device: torch.device
) -> Iterator[Loaded]:
    """Yields the photos of each part.

    Args:
        parts: As `schedule` yields them.
        photos: The training data.
        num_workers: Processes that make samples ahead of time; 0 makes them in this one.
        device: Where they will be needed; memory is pinned for CUDA.

    Raises:
        DataError: If a sample cannot be made; at its turn.
    """
    if isinstance(photos, Tensor):
        for part in parts:
            yield Loaded(part, photos[part.rows.to(photos.device)], part.rows, {})
        return
    parts, ahead = tee(parts)
    loader = DataLoader(
        _Caught(photos),
        batch_sampler=([(part.epoch, row) for row in part.rows.tolist()] for part in ahead),
        num_workers=num_workers,
        collate_fn=_collate,
        pin_memory=device.type == "cuda",
        generator=torch.Generator(),  # or it would draw from the global one
    )
    for part, batch in zip(parts, loader, strict=True):
        if isinstance(batch, DataError):
            raise batch
        images, rows, reasons = batch
        wanted = part.rows.tolist()
        unusable = {row: why for row, why in zip(wanted, reasons, strict=True) if why}
        yield Loaded(part, images, rows, unusable)


class _Caught(Dataset[Sample | DataError]):
    """Samples, or why there is none: PyTorch turns what a worker process raises into a traceback.

    Args:
        samples: What makes them.
    """

    def __init__(self, samples: Dataset[Sample]) -> None:
        self._samples = samples

    def __getitem__(self, key: tuple[int, int]) -> Sample | DataError:
        try:
            return self._samples[key]
        except DataError as error:
            return error


def _collate(
    samples: list[Sample | DataError],
) -> tuple[Tensor, Tensor, list[str]] | DataError:
    for sample in samples:
        if isinstance(sample, DataError):
            return sample
    pixels, rows, reasons = zip(*samples, strict=True)
    return torch.stack(pixels), torch.tensor(rows), list(reasons)
