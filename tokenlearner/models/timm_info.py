"""What timm knows about a model: its classes, its preprocessing, where its weights come from."""

from collections.abc import Sequence
from typing import Any

from tokenlearner.errors import ConfigError
from tokenlearner.models.imagenet import wordnet_names
from tokenlearner.models.info import ModelInfo, Provenance
from tokenlearner.models.timm_vit import TimmVisionTransformer
from tokenlearner.preprocess import Preprocessing

LEARNER, FUSER, HEAD = "TokenLearner", "TokenFuser", "head"
"""Names in `ModelInfo.untrained_parts`."""


def describe_timm(
    model: TimmVisionTransformer,
    *,
    pretrained: bool = False,
    provenance: Provenance | None = None,
    name: str = "",
    class_names: Sequence[str] | None = None,
) -> ModelInfo:
    """Returns the info of a model into which a learner was just put.

        model.info = describe_timm(model, pretrained=True)  # timm's weights
        model.info = describe_timm(model, provenance=Provenance(trained_on="my birds"))  # yours

    Args:
        model: Model whose backbone was created by `timm.create_model`.
        pretrained: Whether the backbone has timm's weights; the backbone itself does not say.
        provenance: Provenance of a backbone that was trained elsewhere, its head included. If
            neither is given, the weights are random.
        name: Name of the model; by default timm's name and the number of tokens.
        class_names: Class names; by default those of ImageNet, or `class 0` and so on for a new
            head.

    Raises:
        ConfigError: If the model has no head or timm does not name its answers, if timm prepares
            its photos in a way that `Preprocessing` cannot, or if the weights are said to be both
            timm's and others.
    """
    if pretrained and provenance is not None:
        raise ConfigError(
            "pretrained says that the weights are timm's, and provenance that they are others; "
            "give one of them"
        )
    known = model.pretrained_cfg or {}
    architecture, tag = known.get("architecture", "timm"), known.get("tag")
    learner = model.token_learner
    if not name:
        name = architecture if learner is None else f"{architecture}-tl{learner.num_tokens}"
    if not model.num_classes:
        raise ConfigError(
            f"{architecture} has no head (num_classes is 0), so it gives no answers to explain; "
            "give it one with num_classes=... (--num-classes) and fine-tune it"
        )
    untrained = [LEARNER] * bool(model.learners) + [FUSER] * bool(model.fusers)
    if pretrained:
        untrained += [HEAD] * (model.num_classes != known.get("num_classes"))
        provenance = Provenance(
            trained_on=f"what timm's {architecture}{f'.{tag}' if tag else ''} was trained on",
            weights_licence=known.get("license") or "",
            started_from=f"timm/{architecture}{f'.{tag}' if tag else ''}",
            versions=_versions(),
        )
    return ModelInfo(
        name=name,
        class_names=tuple(
            _class_names(model.num_classes, known) if class_names is None else class_names
        ),
        preprocessing=_preprocessing(model, architecture),
        provenance=provenance,
        untrained_parts=() if provenance is None else tuple(untrained),
    )


def _preprocessing(model: TimmVisionTransformer, architecture: str) -> Preprocessing:
    from timm.data.config import resolve_model_data_config

    data = resolve_model_data_config(model.backbone)
    mode, crop, interpolation = data["crop_mode"], data["crop_pct"], data["interpolation"]
    fits = mode == "center" or (mode == "squash" and crop == 1)
    if not fits or interpolation not in ("bilinear", "bicubic"):
        raise ConfigError(
            f"timm prepares photos for {architecture} with crop_mode {mode!r}, crop_pct {crop} and "
            f"interpolation {interpolation!r}; wanted 'center', or 'squash' and 1, and 'bilinear' "
            "or 'bicubic'. Set model.info by hand, with a Preprocessing that comes close"
        )
    return Preprocessing(
        image_size=model.config.image_size,
        mean=tuple(data["mean"]),
        std=tuple(data["std"]),
        resize="crop" if mode == "center" else "squash",
        crop_ratio=crop,
        interpolation=interpolation,
    )


def _class_names(num_classes: int, known: dict[str, Any]) -> tuple[str, ...]:
    from timm.data.imagenet_info import ImageNetInfo, infer_imagenet_subset

    if num_classes != known.get("num_classes"):  # a fresh head
        return tuple(f"class {index}" for index in range(num_classes))
    labels = known.get("label_names")
    if labels and len(labels) == num_classes:
        names = wordnet_names(labels)
        if names != tuple(labels):
            return names
        described = known.get("label_descriptions") or {}
        return tuple(described.get(label, label) for label in labels)
    subset = infer_imagenet_subset({"num_classes": num_classes})
    if subset is None:
        raise ConfigError(
            f"timm does not say what the {num_classes} outputs of this model stand for; they may "
            "be an embedding. Give class_names, or a fresh head of another num_classes"
        )
    return wordnet_names(ImageNetInfo(subset).label_names())


def _versions() -> dict[str, str]:
    import timm
    import torch

    return {"timm": timm.__version__, "torch": str(torch.__version__)}
