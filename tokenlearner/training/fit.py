"""What a run is made of: do the pieces fit each other, and are they those of the run before?"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict

import torch
from torch import nn

from tokenlearner.checkpoints import AnyModel, ClipModel
from tokenlearner.errors import ConfigError, DataError
from tokenlearner.models.timm_config import TimmConfig
from tokenlearner.modules.shapes import Tensor
from tokenlearner.training.classes import match_classes
from tokenlearner.training.data import LabelledClips, LabelledImages
from tokenlearner.training.recipes import Recipe


def check_fit(
    recipe: Recipe,
    data: LabelledImages | LabelledClips,
    *,
    model: AnyModel | None,
    teacher: nn.Module | None,
) -> None:
    """Checks what a run is made of before anything is computed.

    Raises:
        DataError: If the recipe does not fit the data.
        ConfigError: If it does not fit the model or the teacher.
    """
    if isinstance(data, LabelledClips) != (recipe.clips is not None):
        wanted = "photos" if recipe.clips is None else "clips"
        raise DataError(
            f"{data.source} holds {data.things}, but the recipe {recipe.name} trains on {wanted}"
        )
    if len(data.class_names) != recipe.model.num_classes:
        raise DataError(
            f"{data.source} has {_classes(data.class_names)}, but the recipe {recipe.name} is for "
            f"{recipe.model.num_classes}; give it the data set it was written for, or take a "
            f"recipe for any: {'scratch-vit, or ' * (recipe.clips is None)}fine-tune with a model "
            "to start from"
        )
    if len(data.class_names) == 1 and recipe.loss == "softmax":
        raise DataError(
            f"{data.source} has one class, {data.class_names[0]!r}, which any model always "
            "answers; give it another one to tell it from"
        )
    if len(data) <= recipe.holdout:
        raise DataError(
            f"{data.source} has {len(data):,} {data.things}, and {recipe.holdout:,} are to be held "
            "out of training; give more, or hold fewer out (--holdout in the shell)"
        )
    if data.multi_label and recipe.loss == "softmax":
        raise DataError(
            f"{data.source} has any number of classes per {data.things[:-1]}, but the softmax "
            f"loss of the recipe {recipe.name} is for one; take a recipe with loss='sigmoid'"
        )
    if model is None and isinstance(recipe.model, TimmConfig):
        raise ConfigError(f"the recipe {recipe.name} trains a timm model further; give the model")
    if model is not None and model.config != recipe.model:
        raise ConfigError(
            f"the model to start from is not built as the recipe {recipe.name} says: it has "
            f"{model.config}; wanted {recipe.model}"
        )
    if (teacher is None) != (recipe.distillation is None):
        has = "no teacher was given" if teacher is None else "it has no distillation"
        raise ConfigError(
            f"the recipe {recipe.name} and the teacher do not fit: {has}; give both or neither"
        )
    if teacher is not None and isinstance(teacher, ClipModel) != bool(recipe.clips):
        raise ConfigError(
            f"the recipe {recipe.name} trains on {data.things}, which its teacher does not take; "
            "give another teacher"
        )
    info = getattr(teacher, "info", None)
    if info is not None and info.multi_label != data.multi_label:
        one, several = "one class", "any number of classes"
        gives, has = (several, one) if info.multi_label else (one, several)
        raise ConfigError(
            f"the teacher {info.name} gives {gives} per {data.things[:-1]}, but {data.source} has "
            f"{has}; give another teacher or none"
        )
    if info is not None:
        match_classes(
            data.class_names,
            info,
            source=data.source,
            what=f"the teacher {info.name}",
            place="teacher",
            advice="; give another teacher, or none (--teacher none in the shell)",
        )


def in_order(teacher: nn.Module | None, class_names: tuple[str, ...]) -> nn.Module | None:
    """Returns a teacher that answers with these classes in this order; itself if it does already.

    Args:
        teacher: Fits the classes, as `check_fit` found.
        class_names: Class names of the data.
    """
    info = getattr(teacher, "info", None)
    if teacher is None or info is None or info.class_names == class_names:
        return teacher
    return _InOrder(teacher, match_classes(class_names, info, source="the data"))


class _InOrder(nn.Module):
    """A classifier whose answers come in another order.

    Args:
        model: Has its info.
        answers: Which of its answers comes at each place.
    """

    def __init__(self, model: nn.Module, answers: Sequence[int]) -> None:
        super().__init__()
        self.info = model.info
        self._model = model
        self._answers = list(answers)

    def forward(self, images: Tensor) -> Tensor:
        return self._model(images)[:, self._answers]


def _classes(names: Sequence[str]) -> str:
    count = f"{len(names):,} class{'es' * (len(names) != 1)}"
    return f"{count} ({', '.join(names[:5])}{', …' * (len(names) > 5)})"


def fingerprint(
    recipe: Recipe,
    data: LabelledImages | LabelledClips,
    *,
    mixed_precision: bool,
    model: nn.Module | None,
    teacher: nn.Module | None,
) -> str:
    """Returns a checksum of all that decides a run but how its work is divided."""
    settings = asdict(recipe) | {
        "data": data.sha256,
        "mixed_precision": mixed_precision,
        "start": weights_sha256(model),
        "teacher": weights_sha256(teacher),
    }
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


def weights_sha256(model: nn.Module | None) -> str:
    """Returns a checksum of a model's weights and their names; of no model, nothing."""
    if model is None:
        return ""
    digest = hashlib.sha256()
    for name, value in model.state_dict().items():
        digest.update(name.encode())
        # As bytes: NumPy has no bfloat16.
        digest.update(value.cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
