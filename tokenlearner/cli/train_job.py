"""What `tokenlearner train` runs: a recipe, and the models that it needs."""

import difflib
from dataclasses import dataclass, replace
from typing import Any

import torch
import typer

from tokenlearner import zoo
from tokenlearner.checkpoints import AnyModel, ClipModel
from tokenlearner.errors import ConfigError
from tokenlearner.models.config import TokenLearnerConfig, VisionTransformerConfig
from tokenlearner.models.conv_video_config import ConvVideoConfig
from tokenlearner.models.info import ModelInfo
from tokenlearner.models.presets import PUBLISHED
from tokenlearner.models.timm_vit import TimmVisionTransformer
from tokenlearner.models.video_config import VideoVisionTransformerConfig
from tokenlearner.models.video_presets import PUBLISHED as KINETICS
from tokenlearner.models.vit import VisionTransformer
from tokenlearner.modules.tubelets import Inflation
from tokenlearner.training.changes import Changes, with_learner
from tokenlearner.training.classes import has_same_classes
from tokenlearner.training.data import LabelledClips, LabelledImages
from tokenlearner.training.distributed import rank
from tokenlearner.training.fine_tune import (
    FINE_TUNE,
    fine_tuning,
    has_untrained_learner,
    teacher_of,
    with_classes,
)
from tokenlearner.training.initialise import initialise
from tokenlearner.training.recipes import RECIPES, Distillation, Recipe
from tokenlearner.training.recipes.own import is_own, read_recipe

UNUSABLE_FILE = "unusable.json"
"""File in the run's folder that lists the unusable photos."""

_ONE_HELD_OUT_OF = 20
_MOST_HELD_OUT = 2_000  # they are kept in memory at the model's input size


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """A recipe with the models that the command line names.

    Attributes:
        recipe: Recipe to run.
        name: Name of the trained model.
        model: Model to start from; None for random weights.
        teacher: Model to learn from as well as from the labels.
        started_from: Info of the model whose weights are in `model`.
        options: Options of the command that repeats the run.
    """

    recipe: Recipe
    name: str
    model: AnyModel | None = None
    teacher: AnyModel | None = None
    started_from: ModelInfo | None = None
    options: tuple[str, ...] = ()


def find_recipe(name: str) -> Recipe | None:
    """Returns a shipped recipe, or one from a file; None for `fine-tune`, which needs its model.

    Args:
        name: Name of the recipe, or `path/to/mine.py:my_recipe`.

    Raises:
        ConfigError: If the name is unknown, or the file cannot be read.
    """
    if name == FINE_TUNE:
        return None
    if name in RECIPES:
        return RECIPES[name]()
    if is_own(name):
        return read_recipe(name)
    names = ", ".join([*RECIPES, FINE_TUNE])
    raise ConfigError(
        f"unknown recipe {name!r}; available: {names}, or your own as path/to/mine.py:my_recipe"
    )


def prepare(
    recipe: Recipe | None,
    photos: LabelledImages | LabelledClips,
    *,
    source: AnyModel | None,
    teacher: str | None,
    seed: int | None,
    changes: Changes | None = None,
    network: str | None = None,
    inflation: Inflation = "central",
    holdout: int | None = None,
) -> Job:
    """Resolves the command line into a job.

    Args:
        recipe: Recipe to run; None trains `source` further.
        photos: Training data.
        source: Model to start from.
        teacher: Teacher, as `zoo.load` takes it; `none` for none, None for the recipe's default.
        seed: Random seed instead of the recipe's own.
        changes: Changes to the recipe.
        network: Network from the paper instead of the recipe's own.
        inflation: How a clip model takes over the patch embedding of an image model.
        holdout: Photos to hold out; None for the recipe's number or, with photos that the recipe
            was not made for, a fixed share.

    Raises:
        ConfigError: If these contradict each other.
    """
    master = None if teacher in (None, "none") else zoo.load(teacher)
    changes = changes or Changes()
    options = changes.options
    if source is not None:
        options += ("--init", _reference(source))
        if inflation != "central":
            options += ("--inflation", inflation)
    if teacher is not None:
        options += ("--teacher", "none" if master is None else _reference(master))
    if network is not None:
        options += ("--network", network)
    if recipe is None:
        if network is not None:
            raise ConfigError(f"{FINE_TUNE} trains the network of --init; leave --network out")
        assert source is not None, "the command line has asked for one"
        old, start = source.config.token_learner, source
        if changes.learner_of(source.config) != old:
            torch.manual_seed(seed or 0)  # new parts of a learner are randomly initialised
            start, taken = with_learner(source, changes)
            say(taken.describe())
        if teacher is None:
            master = _usual_teacher(source, start, photos)
        recipe = changes.apply(_seeded(fine_tuning(start, distil=master is not None), seed))
        torch.manual_seed(recipe.seed)  # a head for new classes is randomly initialised
        model = with_classes(start, photos.class_names, image_size=recipe.model.image_size)
        recipe = replace(recipe, model=model.config)
        title = f"{_name(source)}-fine-tuned"
    else:
        recipe = _seeded(recipe, seed)
        title, model, old = recipe.name, None, recipe.model.token_learner
        if network is not None:
            own = _of_the_paper(network, recipe)
            diversity = changes.diversity
            recipe = replace(  # all at once, as diversity needs a learner
                recipe,
                model=replace(own, token_learner=changes.learner_of(own)),
                diversity=recipe.diversity if diversity is None else diversity,
            )
            title, old = f"{recipe.name}, {network}", own.token_learner
        if teacher == "none":
            recipe = replace(recipe, distillation=None)
        elif master is not None and recipe.distillation is None:
            recipe = replace(recipe, distillation=Distillation())
        recipe = changes.apply(recipe)
        if not recipe.dataset:
            classes = len(photos.class_names)
            recipe = replace(recipe, model=replace(recipe.model, num_classes=classes))
        if source is not None:
            model = _start(recipe, source, photos.class_names, inflation)
    if photos.multi_label:
        recipe = replace(recipe, loss="sigmoid")
    if holdout is not None:
        options += ("--holdout", str(holdout))
    elif not (recipe.dataset or recipe.holdout or recipe.clips):  # clips may not fit in memory
        holdout = min(len(photos) // _ONE_HELD_OUT_OF, _MOST_HELD_OUT)
    if holdout is not None:
        recipe = replace(recipe, holdout=holdout)
    return Job(
        recipe=recipe,
        name=title + _how_changed(old, recipe.model.token_learner),
        model=model,
        teacher=master,
        started_from=None if source is None else source.info,
        options=options,
    )


def takes_clips(recipe: Recipe | None, source: AnyModel | None) -> bool:
    """Whether a recipe trains on clips; fine-tuning does if the model to start from takes them."""
    return isinstance(source, ClipModel) if recipe is None else recipe.clips is not None


def _usual_teacher(
    source: AnyModel, start: AnyModel, photos: LabelledImages | LabelledClips
) -> AnyModel | None:
    """Returns the default teacher of a newly inserted learner: the model it was inserted into.

    None if the learner is trained, or if the model's classes are not those of the data.
    """
    if not has_untrained_learner(start):
        return None
    names, multi_label = photos.class_names, photos.multi_label
    teacher = None
    if has_untrained_learner(source):
        teacher = teacher_of(start, names, multi_label=multi_label)
    elif (info := source.info) is not None and info.provenance is not None:
        is_whole = not info.untrained_parts
        fits = has_same_classes(names, info) and info.multi_label == multi_label
        teacher = source if is_whole and fits else None
    if teacher is None:
        say(
            f"the learner in {_name(source)} learns from the labels alone: the rest of the "
            "model cannot be its teacher, because it was not trained on the classes of "
            f"{photos.source}"
        )
    return teacher


def _how_changed(old: TokenLearnerConfig | None, new: TokenLearnerConfig | None) -> str:
    """Describes how the learner differs from the original one; empty if it does not."""
    if new is None or new == old:
        return ""
    text = f", changed to {new.num_tokens} tokens at {new.at}"
    if old is None or old.version != new.version:
        text += f", version {new.version}"
    if new.fuser != (old is not None and old.fuser):
        text += ", fuser" if new.fuser else ", no fuser"
    return text


def _seeded(recipe: Recipe, seed: int | None) -> Recipe:
    return recipe if seed is None else replace(recipe, seed=seed)


def _of_the_paper(
    name: str, recipe: Recipe
) -> VisionTransformerConfig | VideoVisionTransformerConfig:
    """Returns a network from the paper with a recipe's input, classes and regularisation."""
    known = PUBLISHED if recipe.clips is None else KINETICS
    own: Any = recipe.model
    if isinstance(own, ConvVideoConfig):
        raise ConfigError(f"{recipe.name} trains a convolutional network; leave --network out")
    if name not in known:
        alike = difflib.get_close_matches(name, known) or known
        raise ConfigError(
            f"unknown --network {name!r} for {recipe.name}; available: {'; '.join(alike)}"
        )
    kept = ("image_size", "num_classes", "dropout", "attention_dropout", "stochastic_depth")
    network = replace(known[name], **{field: getattr(own, field) for field in kept})
    return replace(network, head_bias=own.head_bias)


def _start(
    recipe: Recipe, source: AnyModel, class_names: tuple[str, ...], inflation: Inflation
) -> VisionTransformer | ClipModel:
    if isinstance(source, TimmVisionTransformer):
        raise ConfigError(
            f"{_name(source)} is a {type(source).__name__}, but the recipe {recipe.name} trains a "
            f"model of this library; start from one, or use {FINE_TUNE} to train a timm model "
            "further"
        )
    torch.manual_seed(recipe.seed)
    model = recipe.build()
    model.info = ModelInfo(
        name=recipe.name, class_names=class_names, preprocessing=recipe.preprocessing
    )
    say(initialise(model, source, inflation=inflation).describe())
    return model


def _name(model: AnyModel) -> str:
    assert model.info is not None, "loaded models have their info"
    return model.info.name


def _reference(model: AnyModel) -> str:
    assert model.info is not None, "loaded models have their info"
    return zoo.reference(model.info)


def say(text: str) -> None:
    """Prints, in the first process of the run only."""
    if rank() == 0:
        typer.echo(text)
