"""Starting from another model's weights: other head, resolution, learner, blocks, clips."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import torch

from tokenlearner.errors import ConfigError
from tokenlearner.models.classifier import TransformerClassifier
from tokenlearner.models.config import VisionTransformerConfig
from tokenlearner.models.conv_video import ConvVideoNetwork
from tokenlearner.models.conv_video_config import ConvVideoConfig
from tokenlearner.models.vivit import VideoVisionTransformer
from tokenlearner.modules.embed import resample_position_embedding
from tokenlearner.modules.grids import Grid
from tokenlearner.modules.shapes import Tensor
from tokenlearner.modules.tubelets import Inflation, inflate_kernel

_POSITIONS = "encoder.position_embedding"
_HEAD = ("head.weight", "head.bias")

OwnModel = TransformerClassifier | ConvVideoNetwork
"""Every kind of model whose layers are this library's own."""


@dataclass(frozen=True, slots=True)
class Initialised:
    """What a model took from another one: names of parameters and buffers.

    Attributes:
        source: Name of the other model.
        copied: Taken as they are.
        resampled: Taken for another grid or other time steps.
        inflated: Kernels for images, made kernels for tubelets.
        fresh: Left as they were: the other model has none, or of another shape.
        unused: Weights of the other model that have no place in this one.
        kept_classes: Classes whose rows of the head were taken; with some but not all of them the
            head counts as fresh.
    """

    source: str
    copied: tuple[str, ...]
    resampled: tuple[str, ...]
    inflated: tuple[str, ...]
    fresh: tuple[str, ...]
    unused: tuple[str, ...]
    kept_classes: tuple[str, ...]

    def describe(self) -> str:
        """Returns the same in a sentence or two for a person."""
        total = len(self.copied) + len(self.resampled) + len(self.inflated) + len(self.fresh)
        text = f"{len(self.copied)} of {total} arrays come from {self.source} as they are"
        if self.resampled:
            text += ", the position embedding resampled to the new grid"
        if self.inflated:
            text += ", a kernel for images spread over the frames of a tubelet"
        if self.fresh:
            copied = set(_parts(self.copied))
            fresh = [part + " (in part)" * (part in copied) for part in _parts(self.fresh)]
            text += f". Fresh: {', '.join(fresh)}"
        if self.kept_classes and set(_HEAD) & set(self.fresh):
            text += f"; the head keeps its rows of {len(self.kept_classes)} classes"
        if self.unused:
            text += f". Left out: {', '.join(_parts(self.unused))}"
        return text + "."


@torch.no_grad()
def initialise(
    model: OwnModel,
    source: OwnModel,
    *,
    inflation: Inflation = "central",
) -> Initialised:
    """Writes into `model` whatever of `source` fits it, and leaves the rest as it is.

    Blocks are matched by their index. A learner or fuser starts from the one before the same block
    or, where each model has a single learner, from that; parts whose shape depends on another
    number of tokens stay fresh, and all of it where the version is another. The position embedding
    is resampled by the official rule. Rows of the head are matched by the names of their classes,
    so both models need their `info` for it; a name that occurs twice matches nothing, unless all
    names are the same in the same order.

    Args:
        model: Written in place.
        source: Left as it is.
        inflation: How a model of clips takes the kernel of one of images; see `inflate_kernel`.

    Raises:
        ConfigError: If one is a convolutional network and the other none, or if patches, widths,
            stages or activations differ: nothing would be worth taking.
    """
    if isinstance(model, ConvVideoNetwork) != isinstance(source, ConvVideoNetwork):
        raise ConfigError(
            f"a {type(source).__name__} cannot start a {type(model).__name__}: transformers and "
            "convolutional networks have no layers in common; take a model of the same kind"
        )
    if isinstance(source, VideoVisionTransformer) and not isinstance(model, VideoVisionTransformer):
        raise ConfigError(
            "a model of clips cannot start one of photos; take a model of photos to start from"
        )
    _check_same_layers(model.config, source.config)
    ours, theirs = model.state_dict(), source.state_dict()
    origins = _origins(model, source)
    copied, resampled, inflated = [], [], []
    for name, value in ours.items():
        found = theirs.get(origins.get(name, ""))
        if found is None:
            continue
        if name == _POSITIONS and _places(model) != _places(source):
            found = _resample(found, value, old=source, new=model)
            resampled.append(name)
        elif value.ndim == 5 and found.shape == value[:, :, 0].shape:
            found = inflate_kernel(found, value.shape[2], how=inflation)
            inflated.append(name)
        elif found.shape == value.shape:
            copied.append(name)
        else:
            continue
        value.copy_(found)
    rows = _matching_rows(model, source)
    for name in _HEAD:
        for row, origin in rows.items():
            ours[name][row] = theirs[name][origin]
    if rows and len(rows) == model.config.num_classes:
        copied += _HEAD
    taken = {origins[name] for name in copied + resampled + inflated if name in origins}
    if rows:
        taken |= set(_HEAD)
    return Initialised(
        source=source.info.name if source.info else "a model without a name",
        copied=tuple(name for name in ours if name in copied),
        resampled=tuple(resampled),
        inflated=tuple(inflated),
        fresh=tuple(n for n in ours if n not in (*copied, *resampled, *inflated)),
        unused=tuple(name for name in theirs if name not in taken),
        kept_classes=tuple(model.info.class_names[row] for row in rows) if model.info else (),
    )


def _places(model: OwnModel) -> tuple[Grid, int, bool]:
    """What a position embedding is made for: grid, time steps, and whether a class token."""
    assert isinstance(model, TransformerClassifier), "convolutional networks know no positions"
    encoder = model.encoder
    return encoder.grid, encoder.steps or 1, encoder.class_token is not None


def _resample(embedding: Tensor, fresh: Tensor, *, old: OwnModel, new: OwnModel) -> Tensor:
    """Returns a position embedding for other places; a class token without one keeps its own."""
    old_grid, old_steps, had_class_token = _places(old)
    new_grid, new_steps, has_class_token = _places(new)
    resampled = resample_position_embedding(
        embedding[:, 1:] if had_class_token else embedding,
        old=old_grid,
        new=new_grid,
        old_steps=old_steps,
        new_steps=new_steps,
    )
    if not has_class_token:
        return resampled
    first = embedding if had_class_token else fresh
    return torch.cat((first[:, :1], resampled), dim=1)


def _check_same_layers(
    ours: VisionTransformerConfig | ConvVideoConfig,
    theirs: VisionTransformerConfig | ConvVideoConfig,
) -> None:
    here, there = _layers(ours), _layers(theirs)
    differences = [
        f"{name} is {there[name]!r} there and {here[name]!r} here"
        for name in here
        if there[name] != here[name]
    ]
    if differences:
        raise ConfigError(
            f"these weights cannot start this model: {'; '.join(differences)}. Take others, or "
            "change the model"
        )


def _layers(config: VisionTransformerConfig | ConvVideoConfig) -> dict[str, object]:
    if isinstance(config, ConvVideoConfig):
        names = ("widths", "depths", "expansion", "squeeze_ratio", "head_dim")
        return {name: getattr(config, name) for name in names}
    return {
        "patch_size": config.patch_size,
        "stem_widths": config.stem_widths,
        "dim": config.dim,
        "num_heads": config.num_heads,
        "head_dim": config.head_dim or config.dim // config.num_heads,
        "mlp_dim": config.mlp_dim,
        "activation": config.activation,
        "mlp_activates_output": config.mlp_activates_output,
    }


def _origins(model: OwnModel, source: OwnModel) -> dict[str, str]:
    """Returns the source's name for each of the model's that may be copied, but the head's."""
    names = {name: name for name in model.state_dict() if name not in _HEAD}
    if isinstance(model, ConvVideoNetwork) or isinstance(source, ConvVideoNetwork):
        return names  # their learners are parts of blocks
    for kind in ("learners", "fusers"):
        ours, theirs = getattr(model.encoder, kind), getattr(source.encoder, kind)
        single = len(ours) == len(theirs) == 1
        for block, part in ours.items():
            origin = next(iter(theirs)) if single else block
            same_version = origin in theirs and type(theirs[origin]) is type(part)
            for name in part.state_dict():
                ours_name = f"encoder.{kind}.{block}.{name}"
                if same_version:
                    names[ours_name] = f"encoder.{kind}.{origin}.{name}"
                else:
                    del names[ours_name]
    return names


def _matching_rows(model: OwnModel, source: OwnModel) -> dict[int, int]:
    """Returns for each row of the model's head the source's row of the same class, if any."""
    if model.info is None or source.info is None or model.head is None or source.head is None:
        return {}
    sizes = {getattr(m.config, "representation_size", None) for m in (model, source)}
    if len(sizes) > 1:
        return {}
    return matching_classes(model.info.class_names, source.info.class_names)


def matching_classes(ours: tuple[str, ...], theirs: tuple[str, ...]) -> dict[int, int]:
    """Returns for each of our classes that they have as well its index among theirs.

    A name that occurs twice matches nothing, unless all names are the same in the same order.

    Examples:
        >>> matching_classes(("cat", "dog"), ("dog", "fox"))
        {1: 0}
    """
    if ours == theirs:
        return {row: row for row in range(len(ours))}
    count_ours, count_theirs = Counter(ours), Counter(theirs)
    origin = {name: row for row, name in enumerate(theirs) if count_theirs[name] == 1}
    return {
        row: origin[name]
        for row, name in enumerate(ours)
        if name in origin and count_ours[name] == 1
    }


def _parts(names: Iterable[str]) -> list[str]:
    """Returns the blocks, learners and so on that `names` belong to, each once."""
    parts = []
    for name in names:
        match name.removeprefix("encoder.").split("."):
            case ["blocks" | "learners" | "fusers" as kind, index, *_]:
                parts.append(f"{kind[:-1]} {index}")
            case [part, *_]:
                parts.append(part.replace("_", " "))
    return list(dict.fromkeys(parts))
