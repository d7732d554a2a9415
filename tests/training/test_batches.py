"""Which photos a step uses: every one once per epoch, the same ones however they are divided."""

import os

import pytest
import torch
from torch.utils.data import Dataset

from tests import tiny
from tokenlearner.errors import DataError
from tokenlearner.training.augment import Augmentation, RandAugment
from tokenlearner.training.batches import Part, default_workers, divide, load, schedule
from tokenlearner.training.recipes import Recipe
from tokenlearner.training.samples import Sample

CPU = torch.device("cpu")


@pytest.fixture
def recipe() -> Recipe:
    return tiny.recipe(batch_size=5, stages=((3, 16),))


def all_parts(recipe: Recipe, *, first_step: int = 0, own: range = range(1), num: int = 1):
    return list(schedule(recipe, 18, first_step=first_step, own=own, num_parts=num))


@pytest.mark.parametrize("count", [1, 2, 3, 6, 7, 12])
@pytest.mark.parametrize("num_parts", [1, 2, 3, 5])
def test_pairs_stay_together_and_stay_pairs(count: int, num_parts: int) -> None:
    parts = divide(count, num_parts)
    assert sorted(torch.cat(parts).tolist()) == list(range(count))
    for part in parts:
        assert part.flip(0).tolist() == [count - 1 - place for place in part.tolist()]
    assert max(map(len, parts)) - min(map(len, parts)) <= 2


def test_an_epoch_has_every_photo_once_in_an_order_of_its_own(recipe: Recipe) -> None:
    parts = all_parts(recipe)
    assert [part.step for part in parts] == list(range(12))
    assert [part.epoch for part in parts] == [0] * 4 + [1] * 4 + [2] * 4
    assert [part.count for part in parts] == [5, 5, 5, 3] * 3
    orders = [torch.cat([p.rows for p in parts if p.epoch == epoch]).tolist() for epoch in range(3)]
    assert all(sorted(order) == list(range(18)) for order in orders)
    assert orders[0] != orders[1] != orders[2] != orders[0]


def test_it_goes_on_at_any_step(recipe: Recipe) -> None:
    whole = all_parts(recipe)
    for first in (1, 4, 11, 12):
        rest = all_parts(recipe, first_step=first)
        assert [(p.step, p.rows.tolist()) for p in rest] == [
            (p.step, p.rows.tolist()) for p in whole[first:]
        ]


def test_parts_of_all_processes_make_up_the_step(recipe: Recipe) -> None:
    """Two processes with two parts each."""
    whole = all_parts(recipe)
    shares = [all_parts(recipe, own=own, num=4) for own in (range(2), range(2, 4))]
    for step in whole:
        parts = [part for share in shares for part in share if part.step == step.step]
        assert [part.index for part in parts] == [0, 1, 2, 3]
        counted = [part for part in parts if part.weight]
        places, rows = (torch.cat([getattr(p, n) for p in counted]) for n in ("places", "rows"))
        assert sorted(places.tolist()) == list(range(step.count))
        assert torch.equal(rows[places.argsort()], step.rows)


def test_an_empty_part_holds_a_photo_that_does_not_count(recipe: Recipe) -> None:
    *_, last = all_parts(recipe, own=range(3, 4), num=4)  # of 3 photos
    assert (last.weight, last.count, last.places.tolist()) == (0.0, 3, [0])


class Squares(Dataset[Sample]):
    """Photos whose pixels are their row; that of row 3 cannot be used."""

    def __getitem__(self, key: tuple[int, int]) -> Sample:
        epoch, row = key
        used = 4 if row == 3 else row
        pixels = torch.full((3, 2, 2), 100 * epoch + used, dtype=torch.uint8)
        return pixels, used, "broken" if row == 3 else ""


@pytest.mark.parametrize("num_workers", [0, 1])
def test_samples_come_in_order(recipe: Recipe, num_workers: int) -> None:
    state = torch.get_rng_state()
    parts = all_parts(recipe, first_step=3)
    count = 0
    for part, loaded in zip(
        parts, load(iter(parts), Squares(), num_workers=num_workers, device=CPU), strict=True
    ):
        assert loaded.part is part
        rows = [4 if row == 3 else row for row in part.rows.tolist()]
        assert loaded.rows.tolist() == rows
        assert loaded.images[:, 0, 0, 0].tolist() == [100 * part.epoch + row for row in rows]
        assert loaded.unusable == ({3: "broken"} if 3 in part.rows else {})
        count += 1
    assert count == 9
    assert torch.equal(torch.get_rng_state(), state)


class Broken(Dataset[Sample]):
    """Photos none of which can be used."""

    def __getitem__(self, key: tuple[int, int]) -> Sample:
        raise DataError("100 photos in succession cannot be used")


@pytest.mark.parametrize("num_workers", [0, 1])
def test_errors_say_the_same_from_worker_processes(recipe: Recipe, num_workers: int) -> None:
    loaded = load(all_parts(recipe), Broken(), num_workers=num_workers, device=CPU)
    with pytest.raises(DataError, match=r"^100 photos in succession cannot be used$"):
        next(loaded)


def test_a_stack_is_indexed() -> None:
    stack = torch.arange(6, dtype=torch.uint8)[:, None, None, None].expand(6, 3, 2, 2)
    rows = torch.tensor([4, 0])
    part = Part(0, 0, 0, 2, torch.arange(2), rows, 1.0)
    (loaded,) = load([part], stack, num_workers=0, device=CPU)
    assert loaded.images[:, 0, 0, 0].tolist() == [4, 0]
    assert torch.equal(loaded.rows, rows)


@pytest.mark.parametrize(
    ("canvas", "rand_augment", "processes", "workers"),
    [
        (None, None, "1", 6),
        (None, None, "3", 2),
        (None, None, "6", 0),  # a single core has no use for another process
        ((16, 16), None, "1", 0),
        ((16, 16), RandAugment(), "1", 6),
    ],
)
def test_reading_processes(
    canvas: tuple[int, int] | None,
    rand_augment: RandAugment | None,
    processes: str,
    workers: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(6)), raising=False)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", processes)
    augmentation = Augmentation(rand_augment=rand_augment)
    recipe = tiny.recipe(canvas=canvas, augmentation=augmentation)
    assert default_workers(recipe) == workers
