"""What cards say of a recipe."""

import pytest

from tests import tiny, tiny_clips
from tokenlearner.training.augment import Augmentation, RandAugment
from tokenlearner.training.recipes import RECIPES, Distillation
from tokenlearner.training.recipes.settings import settings_of


def test_of_a_recipe_that_leaves_out_all_it_can() -> None:
    recipe = tiny.recipe(
        augmentation=Augmentation(flip=False),
        label_smoothing=0.0,
        gradient_clip=None,
        layer_decay=1.0,
    )
    assert set(settings_of(recipe)) == {"photo sizes", "optimiser", "held out", "weights"}
    assert settings_of(recipe)["optimiser"] == (
        "AdamW, learning rate 0.003, cosine schedule, weight decay 0.05, batch 6"
    )


def test_of_one_that_does_all() -> None:
    recipe = tiny.recipe(
        augmentation=Augmentation(
            area=(0.35, 1.0),
            aspect=4 / 3,
            colour=0.3,
            rand_augment=RandAugment(num_layers=3, magnitude=7),
            erase=0.25,
            mixup=0.2,
            cutmix=1.0,
        ),
        loss="sigmoid",
        layer_decay=0.75,
        distillation=Distillation(weight=0.8, temperature=2),
        diversity=0.1,
        gradient_clip=0.5,
    )
    assert settings_of(recipe) == {
        "photo sizes": "3 epochs at 12 px, 2 epochs at 16 px",
        "augmentation": "crops of 35 to 100 % of the area, sides up to 1.33:1, mirrored, "
        "colours ± 30 %, RandAugment (3 of magnitude 7), erasing 0.25, mixup 0.2, CutMix 1",
        "loss": "a sigmoid per class, labels smoothed by 0.1",
        "optimiser": "AdamW, learning rate 0.003, 0.75 times as much in each block before the "
        "last, cosine schedule, weight decay 0.05, batch 6",
        "gradient clip": "0.5",
        "held out": "6 training photos",
        "weights": "running average (decay 0.9), of the last epoch, stored as float16",
        "distillation": "weight 0.8, temperature 2",
        "diversity of maps": "0.1 in the loss",
    }


def test_of_crops_of_one_size_and_of_clips() -> None:
    settings = settings_of(RECIPES["cifar10-mini-vit"]())
    assert settings["augmentation"] == "crops of 85.2 % of the area, mirrored"
    assert settings_of(tiny_clips.recipe())["held out"] == "2 training clips"


@pytest.mark.parametrize("name", RECIPES)
def test_every_text_is_one_line(name: str) -> None:
    for text in settings_of(RECIPES[name]()).values():
        assert text == text.strip(" ,")
        assert "|" not in text  # it stands in a table
