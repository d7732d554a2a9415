"""Training a trained model further, on other data or with a learner that is still untrained."""

import copy
from dataclasses import replace

import torch
from torch import nn

from tokenlearner.checkpoints import AnyModel, ClipModel
from tokenlearner.errors import ConfigError
from tokenlearner.models.timm_info import FUSER, LEARNER
from tokenlearner.models.timm_vit import TimmVisionTransformer
from tokenlearner.training.augment import Augmentation
from tokenlearner.training.initialise import initialise, matching_classes
from tokenlearner.training.recipes import ClipSampling, Distillation, Recipe

FINE_TUNE = "fine-tune"


def fine_tuning(source: AnyModel, *, distil: bool = False) -> Recipe:
    """The recipe for training any model further, at its own resolution or `--image-size`.

    tokenlearner train fine-tune --init MODEL --data PHOTOS --out runs/fine-tuned

    A model of clips takes clips; they are not mirrored, because the direction of a movement may be
    what tells classes apart.

    Twenty epochs of AdamW at a small rate. It shrinks from the head to the first layer, unless a
    part of the model is untrained, which has to learn fast. How long it takes, and how good it
    gets, depends on the model and the photos: `--dry-run` tells the time.

    Args:
        source: Where the weights come from; it is not changed.
        distil: Learn from a teacher's answers as well.

    Raises:
        ConfigError: If the model does not say how photos are prepared, or takes pictures that are
            not square.
    """
    if source.info is None:
        raise ConfigError("the model to start from has no info, so its preprocessing is unknown")
    height, width = source.config.image_size
    if height != width:
        raise ConfigError(
            f"{source.info.name} takes pictures of {width}x{height} px; only models for square "
            "ones can be fine-tuned"
        )
    of_clips = isinstance(source, ClipModel)
    return Recipe(
        name=FINE_TUNE,
        model=source.config,
        preprocessing=source.info.preprocessing,
        canvas=None,
        stages=((20, height),),
        batch_size=64,
        learning_rate=3e-4,
        schedule="cosine",
        warmup_epochs=1,
        weight_decay=0.05,
        layer_decay=None if source.info.untrained_parts else 0.75,
        label_smoothing=0.1,
        augmentation=Augmentation(
            area=(0.35, 1.0), aspect=4 / 3, flip=not of_clips, colour=0.3, mixup=0.2
        ),
        clips=ClipSampling() if of_clips else None,
        distillation=Distillation() if distil else None,
        gradient_clip=1.0,
    )


def with_classes(
    source: AnyModel, class_names: tuple[str, ...], *, image_size: tuple[int, int] | None = None
) -> AnyModel:
    """Returns a copy of a model that answers with these classes.

    The head's rows of classes that both have are kept; the others start as in a new model.

    Args:
        source: Left as it is; it has its info.
        class_names: In the order of the answers.
        image_size: Height and width in pixels that the copy is for, with its position embedding
            resampled; by default the source's. A timm model keeps its own.
    """
    assert source.info is not None
    image_size = image_size or source.config.image_size
    info = replace(
        source.info,
        class_names=class_names,
        preprocessing=replace(source.info.preprocessing, image_size=image_size),
    )
    if isinstance(source, TimmVisionTransformer):
        model = copy.deepcopy(source)
        if class_names != source.info.class_names:
            model.reset_classifier(len(class_names))
            rows = matching_classes(class_names, source.info.class_names)
            for head, old in zip(_heads(model), _heads(source), strict=True):
                _keep_rows(head, old, rows)
    else:
        config = replace(source.config, num_classes=len(class_names), image_size=image_size)
        model = type(source).build(config.to_dict(), device="cpu")
        model.info = info
        initialise(model, source)
    model.info = info
    return model


def _heads(model: TimmVisionTransformer) -> list[nn.Linear]:
    heads = model.get_classifier()
    return list(heads) if isinstance(heads, tuple) else [heads]


@torch.no_grad()
def _keep_rows(head: nn.Linear, old: nn.Linear, rows: dict[int, int]) -> None:
    for value, before in zip(head.parameters(), old.parameters(), strict=True):
        value.zero_()
        value[list(rows)] = before[list(rows.values())]


def has_untrained_learner(source: AnyModel) -> bool:
    """Whether a learner was put into a trained model and not trained since."""
    return source.info is not None and LEARNER in source.info.untrained_parts


def teacher_of(
    source: AnyModel, class_names: tuple[str, ...], *, multi_label: bool
) -> AnyModel | None:
    """Returns the untouched backbone of a model with an untrained learner, to learn from.

    None if the learner is trained, or if the backbone answers with other classes, or with one class
    where several may be right.
    """
    info = source.info
    if not isinstance(source, TimmVisionTransformer) or info is None:
        return None
    only_the_learner = {LEARNER} <= set(info.untrained_parts) <= {LEARNER, FUSER}
    if not only_the_learner or info.class_names != class_names or info.multi_label != multi_label:
        return None
    teacher = TimmVisionTransformer(copy.deepcopy(source.backbone))
    teacher.info = replace(info, name=f"{info.name} without its learner", untrained_parts=())
    return teacher.eval().requires_grad_(False)
