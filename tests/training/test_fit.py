"""What a recipe does not fit is named, and what would fit."""

from dataclasses import replace

import numpy as np
import pytest

from tests import tiny, tiny_clips
from tokenlearner.errors import DataError
from tokenlearner.training.data import LabelledClips, LabelledImages
from tokenlearner.training.fit import check_fit


def said_of(names: tuple[str, ...], *, clips: bool = False) -> str:
    kind, recipe = (LabelledClips, tiny_clips) if clips else (LabelledImages, tiny)
    data = kind("mine", (b"",) * len(names), np.arange(len(names)), names)
    with pytest.raises(DataError) as caught:
        check_fit(replace(recipe.recipe(), holdout=0), data, model=None, teacher=None)
    return str(caught.value)


def test_other_classes_are_named_and_what_takes_them() -> None:
    found = said_of(("cat", "dog"))
    assert found.startswith(
        "mine has 2 classes (cat, dog), but the recipe imagenette-tiny is for 3"
    )
    assert found.endswith("recipe for any: scratch-vit, or fine-tune with a model to start from")


def test_of_many_classes_five_are_named() -> None:
    assert "mine has 26 classes (a, b, c, d, e, …), but" in said_of(
        tuple("abcdefghijklmnopqrstuvwxyz")
    )


def test_no_recipe_of_photos_is_named_for_clips() -> None:
    assert "recipe for any: fine-tune with" in said_of(("run", "sit", "eat"), clips=True)
