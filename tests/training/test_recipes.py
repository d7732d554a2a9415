"""The shipped recipes, as far as they can be checked without carrying them out."""

import inspect
from dataclasses import replace

import pytest

from tests import tiny
from tokenlearner.errors import DataError
from tokenlearner.models.vit import VisionTransformer
from tokenlearner.training.datasets import DATASETS, dataset_of
from tokenlearner.training.recipes import RECIPES

NAMES = list(RECIPES)


@pytest.mark.parametrize("name", NAMES)
def test_name_command_and_data_set_agree(name: str) -> None:
    function = RECIPES[name]
    assert function().name == name
    assert f"tokenlearner train {name} --data" in (inspect.getdoc(function) or "")
    assert dataset_of(name) in DATASETS.values()


@pytest.mark.parametrize("name", [name for name in NAMES if name + "-tl8" in NAMES])
def test_a_pair_differs_in_the_learner_alone(name: str) -> None:
    baseline, other = RECIPES[name](), RECIPES[f"{name}-tl8"]()
    assert other.model.token_learner is not None
    assert other.model.token_learner.num_tokens == 8
    same = replace(other, name=name, model=replace(other.model, token_learner=None))
    assert same == baseline


def test_published_epochs_and_parameters() -> None:
    counts = {"cifar10-mini-vit": 1_336_458, "cifar10-mini-vit-tl8": 1_347_658}
    for name, count in counts.items():
        recipe = RECIPES[name]()
        assert recipe.epochs == 20
        model = VisionTransformer(recipe.model)
        assert sum(p.numel() for p in model.parameters()) == count


def test_sides_grow_by_stage() -> None:
    recipe = tiny.recipe(stages=((3, 12), (2, 16)))
    assert [recipe.image_side_px(epoch) for epoch in range(6)] == [12, 12, 12, 16, 16, 16]
    assert recipe.epochs == 5


def test_unknown_data_set() -> None:
    with pytest.raises(
        DataError, match=r"'mnist-vit' names no known data set; .* cifar10, imagenette"
    ):
        dataset_of("mnist-vit")
