"""What a run will take: counted where it can be counted, of the right size where it is measured."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests import tiny, tiny_clips
from tokenlearner.efficiency.flops import count_macs
from tokenlearner.errors import TrainingError
from tokenlearner.training.augment import Augmentation
from tokenlearner.training.batches import Loaded
from tokenlearner.training.plan import plan, size_of
from tokenlearner.training.recipes import RECIPES, Distillation, Recipe
from tokenlearner.training.train_state import TrainState
from tokenlearner.training.trial import Trial, cpu_batch

CPU = torch.device("cpu")
RECIPE = tiny.recipe(batch_size=48, holdout=100, stages=((3, 12), (2, 16)))


def test_counts() -> None:
    found = plan(RECIPE, 1100, CPU)
    model = tiny.model()
    assert found.size == size_of(RECIPE, 1100)
    assert found.size.num_parameters == sum(p.numel() for p in model.parameters())
    assert found.size.gmacs == count_macs(model.config).gmacs
    assert found.size.num_photos == 1000
    assert found.size.num_steps == 5 * 21
    assert found.seconds > 0
    assert found.images_per_second == pytest.approx(5000 / found.seconds)
    assert not found.memory_is_measured


def test_clips_of_many_pixels_are_timed_in_smaller_steps_on_a_cpu() -> None:
    """A step of 32 of Charades' clips would not fit in memory."""
    names = ("imagenette-fine-vit", "gestures-vivit", "charades-conv-video-tl8")
    assert [cpu_batch(RECIPES[name](), 0.1) for name in names] == [32, 16, 1]
    assert cpu_batch(tiny_clips.recipe(stages=((1, 2**12), (1, 16))), 0.1) == 1


def test_large_networks_and_parts_of_steps_are_timed_with_fewer_photos_on_a_cpu() -> None:
    recipe = RECIPES["imagenet-vit-b16-tl16"]()
    assert [cpu_batch(recipe, gmacs) for gmacs in (0.1, 10, 90, 1000)] == [32, 10, 1, 1]
    assert cpu_batch(recipe, 0.1, accumulate=recipe.batch_size) == 1
    assert cpu_batch(recipe, 0.1, accumulate=recipe.batch_size // 6) == 7


def test_time_is_that_of_all_photos_at_each_size(monkeypatch: pytest.MonkeyPatch) -> None:
    trial = Trial(seconds_per_step=(0.5, 2.0), peak_bytes=None, fixed_bytes=0, kept_bytes=0)
    monkeypatch.setattr("tokenlearner.training.plan.try_out", lambda *_, **__: trial)
    found = plan(RECIPE, 1100, CPU)  # of 48 photos in a step, a CPU is timed with 32
    assert found.seconds == pytest.approx((3 * 0.5 + 2 * 2.0) * 1000 / 32)
    assert found.images_per_second == pytest.approx(5 * 1000 / found.seconds)


def test_memory_is_that_of_weights_and_of_the_photos_at_once() -> None:
    found = plan(replace(RECIPE, ema_decay=None), 1100, CPU).memory_bytes
    half = plan(replace(RECIPE, ema_decay=None), 1100, CPU, accumulate=2).memory_bytes
    with_average = plan(RECIPE, 1100, CPU).memory_bytes
    weights = 4 * sum(p.numel() for p in tiny.model().parameters())
    fixed = 4 * weights  # weights, gradients, and two averages of these
    assert half - fixed == pytest.approx((found - fixed) / 2, rel=0.1)
    assert with_average - found == pytest.approx(weights, rel=0.2)


def test_no_step_holds_more_photos_than_there_are() -> None:
    found, wanted = (plan(replace(RECIPE, batch_size=n), 148, CPU) for n in (4800, 48))
    assert found.memory_bytes == wanted.memory_bytes


def test_long_runs_and_slow_steps_are_told_in_plain_numbers() -> None:
    found = replace(
        plan(RECIPE, 1100, CPU),
        memory_bytes=230 * 2**30,
        images_per_second=0.0035,
        seconds=1234 * 3600.0,
    )
    text = found.describe()
    assert "230 GiB besides" in text
    assert "0.0035 photos/s" in text
    assert "1,234 hours" in text


@pytest.mark.parametrize(
    "changes",
    [
        {"canvas": None, "augmentation": Augmentation(area=(0.5, 1.0))},
        {"loss": "sigmoid"},
        {"optimizer": "muon", "muon_learning_rate": 1e-3, "keep": "best"},
    ],
)
def test_every_kind_of_recipe(
    changes: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert plan(tiny.recipe(**changes), 24, CPU).seconds > 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("loss", ["softmax", "sigmoid"])
def test_with_a_teacher(loss: str) -> None:
    taught = tiny.recipe(loss=loss, distillation=Distillation())
    assert plan(taught, 1100, CPU, teacher=tiny.model()).seconds > 0


def fill_memory(monkeypatch: pytest.MonkeyPatch, *, most: int) -> list[int]:
    """Lets no more photos than so many fit in memory; returns how many were tried, step by step."""
    tried, take_step = [], TrainState.take_step

    def full(state: TrainState, parts: Sequence[Loaded], *rest: Any, **options: Any) -> Any:
        tried.append(len(parts[0].rows))
        if tried[-1] > most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1 GiB.")
        return take_step(state, parts, *rest, **options)

    monkeypatch.setattr(TrainState, "take_step", full)
    return tried


def test_where_memory_ends_half_as_many_are_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = fill_memory(monkeypatch, most=12)
    assert plan(RECIPE, 1100, CPU).seconds > 0
    assert tried == [32, 16, *[8] * 6]  # three steps at each of two sizes


@pytest.mark.parametrize(
    ("recipe", "thing"), [(tiny.recipe(), "photo"), (tiny_clips.recipe(), "clip")]
)
def test_lack_of_memory(recipe: Recipe, thing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """To raise `accumulate` helps only where a step has more than one."""
    fill_memory(monkeypatch, most=0)
    wanted = rf"^one {thing} does not fit in the memory of cpu; take a smaller model"
    with pytest.raises(TrainingError, match=wanted):
        plan(recipe, 100, CPU)
