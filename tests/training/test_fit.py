"""What a recipe does not fit is named, and what would fit."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests import tiny, tiny_clips
from tokenlearner.errors import DataError
from tokenlearner.training.data import LabelledClips, LabelledImages
from tokenlearner.training.fit import check_fit, in_order
from tokenlearner.training.recipes import Distillation


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


def check_teacher(names: tuple[str, ...], of_teacher: tuple[str, ...]) -> None:
    """Checks a teacher that claims to answer with these classes."""
    teacher = tiny.model()
    assert teacher.info is not None
    teacher.info = replace(teacher.info, class_names=of_teacher)
    data = LabelledImages("mine", (b"",) * len(names), np.arange(len(names)), names)
    model = replace(tiny.config(), num_classes=len(names))
    recipe = tiny.recipe(model=model, holdout=0, distillation=Distillation())
    check_fit(recipe, data, model=None, teacher=teacher)


@pytest.mark.parametrize(
    ("names", "of_teacher", "wanted"),
    [
        (
            ("cat", "dog", "fox"),
            ("dog", "cow", "cat"),
            "mine has the classes cat, dog, fox, but the teacher tiny answers with dog, cow, cat; "
            "only in the data: fox; only in the teacher: cow. Wanted the same classes in both; "
            "give another teacher, or none (--teacher none in the shell)",
        ),
        (
            ("cat", "dog"),
            ("dog", "cow", "cat"),
            "mine has the classes cat, dog, but the teacher tiny answers with dog, cow, cat; only "
            "in the teacher: cow. Wanted the same classes in both; give another teacher, or none "
            "(--teacher none in the shell)",
        ),
        (
            ("crane", "crane", "cat"),
            ("cat", "crane", "crane"),
            "mine has the classes crane, crane, cat, but the teacher tiny answers with cat, crane, "
            "crane; some of these names stand for several classes, so their order must agree. "
            "Wanted the same classes in both; give another teacher, or none (--teacher none in the "
            "shell)",
        ),
    ],
)
def test_a_teacher_with_other_classes(
    names: tuple[str, ...], of_teacher: tuple[str, ...], wanted: str
) -> None:
    with pytest.raises(DataError) as caught:
        check_teacher(names, of_teacher)
    assert str(caught.value) == wanted


def test_of_a_teacher_s_thousand_classes_few_are_named() -> None:
    names = tuple(f"class {number}" for number in range(1000))
    with pytest.raises(DataError) as caught:
        check_teacher(names, (*names[1:], "other"))
    assert str(caught.value).startswith(
        "mine has the classes class 0, class 1, class 2 and 997 more, but the teacher tiny answers "
        "with class 1, class 2, class 3 and 997 more; only in the data: class 0; only in the "
        "teacher: other. Wanted"
    )


def test_a_teacher_s_answers_come_in_the_data_s_order() -> None:
    names = ("crane", "crane", "cat")
    check_teacher(names, names)  # doubled names fit where they stand alike
    check_teacher(("cat", "dog", "fox"), ("fox", "cat", "dog"))
    teacher = tiny.model()
    photos = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    found = in_order(teacher, ("blue", "red", "green"))
    assert found is not None
    assert found.info is teacher.info  # it says how photos are prepared
    with torch.inference_mode():
        assert torch.equal(found(photos), teacher(photos)[:, [2, 0, 1]])
    assert in_order(teacher, tiny.CLASSES) is teacher
    assert in_order(None, tiny.CLASSES) is None
