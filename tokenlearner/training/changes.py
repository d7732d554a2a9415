"""What a person may change about a recipe, or a model's learner, without writing one."""

import copy
import math
from dataclasses import dataclass, fields, replace
from typing import Any

from tokenlearner.checkpoints import AnyModel
from tokenlearner.errors import ConfigError
from tokenlearner.models.config import TokenLearnerConfig, Version
from tokenlearner.models.conv_video_config import ConvVideoConfig
from tokenlearner.models.timm_config import TimmConfig
from tokenlearner.models.timm_info import FUSER, LEARNER
from tokenlearner.models.timm_vit import TimmVisionTransformer
from tokenlearner.training.initialise import Initialised, initialise
from tokenlearner.training.recipes import Recipe


@dataclass(frozen=True, kw_only=True, slots=True)
class Changes:
    """Wishes about a recipe; None leaves it as it is.

    Attributes:
        epochs: Over all stages, each of which keeps its share, as does the warm-up; a stage whose
            share is too small falls away, but never the last.
        batch_size: Photos in a step.
        learning_rate: At its peak; that at the end, and Muon's, change by the same factor.
        image_size: Side of what the model is made for, in pixels. Stages of other sizes and the
            canvas change by the same factor, the stages to whole patches.
        num_tokens: Tokens to learn; a model without TokenLearner gets one.
        at: First block that sees them; for a new learner by default the middle, or the last stage
            of a convolutional network.
        version: Version of the learner; see `TokenLearnerConfig`.
        fuser: Whether results are written back onto the grid.
        diversity: What maps that are all alike cost, in nats; see `Recipe`.
        teacher_weight: Share of the loss that compares with the teacher; see `Distillation`.
        teacher_temperature: See `Distillation`.
    """

    epochs: int | None = None
    batch_size: int | None = None
    learning_rate: float | None = None
    image_size: int | None = None
    num_tokens: int | None = None
    at: int | None = None
    version: Version | None = None
    fuser: bool | None = None
    diversity: float | None = None
    teacher_weight: float | None = None
    teacher_temperature: float | None = None

    def apply(self, recipe: Recipe) -> Recipe:
        """Returns the changed recipe.

        Raises:
            ConfigError: If it cannot be changed so.
        """
        model: Any = recipe.model
        recipe = replace(recipe, model=replace(model, token_learner=self.learner_of(model)))
        if self.epochs is not None:
            recipe = _lasting(recipe, self.epochs)
        if self.batch_size is not None:
            recipe = replace(recipe, batch_size=self.batch_size)
        if self.learning_rate is not None:
            if not 0 < self.learning_rate < math.inf:
                raise ConfigError(f"the learning rate is {self.learning_rate}; wanted one above 0")
            factor = self.learning_rate / recipe.learning_rate
            recipe = replace(
                recipe,
                learning_rate=self.learning_rate,
                end_learning_rate=recipe.end_learning_rate * factor,
                muon_learning_rate=recipe.muon_learning_rate * factor,
            )
        if self.diversity is not None:
            recipe = replace(recipe, diversity=self.diversity)
        recipe = self._taught(recipe)
        return recipe if self.image_size is None else _sized(recipe, self.image_size)

    def learner_of(self, model: Any) -> TokenLearnerConfig | None:
        """Returns the learner that a model, given by its configuration, is to have.

        Raises:
            ConfigError: If there is none to change, or if it cannot be changed so.
        """
        before: TokenLearnerConfig | None = model.token_learner
        wishes: dict[str, Any] = _given(
            num_tokens=self.num_tokens, at=self.at, version=self.version, fuser=self.fuser
        )
        if not wishes:
            return before
        if self.at is not None and not 0 <= self.at < model.depth:
            raise ConfigError(
                f"--at {self.at}: there are {model.depth} blocks; wanted 0 (before the first) to "
                f"{model.depth - 1}"
            )
        if before is not None:
            if self.version not in (None, before.version):
                # Options of the one version mean nothing to the other.
                wishes = {"pooling": "sum", "fold_to_square": False, "groups": 1} | wishes
            return replace(before, **wishes)
        if self.num_tokens is None:
            raise ConfigError(
                f"{' '.join(_words(wishes))}: there is no TokenLearner to change; give "
                "--num-tokens as well, which puts one in"
            )
        usual: dict[str, Any] = {"at": model.depth // 2}
        if isinstance(model, ConvVideoConfig):  # it takes no other kind
            usual = {"at": model.stage_starts[-1], "version": "1.0", "fuser": True}
        return TokenLearnerConfig(**(usual | wishes))

    def _taught(self, recipe: Recipe) -> Recipe:
        wishes = _given(weight=self.teacher_weight, temperature=self.teacher_temperature)
        if not wishes:
            return recipe
        if recipe.distillation is None:
            options = _words({f"teacher_{name}": value for name, value in wishes.items()})
            raise ConfigError(f"{' '.join(options)}: there is no teacher; give --teacher MODEL too")
        return replace(recipe, distillation=replace(recipe.distillation, **wishes))

    @property
    def options(self) -> tuple[str, ...]:
        """What the command that repeats the run says of them."""
        return _words({field.name: getattr(self, field.name) for field in fields(self)})


def _given(**wishes: Any) -> dict[str, Any]:
    return {name: value for name, value in wishes.items() if value is not None}


def _words(wishes: dict[str, Any]) -> tuple[str, ...]:
    """Returns the options of the command by which one makes these wishes."""
    words: list[str] = []
    for name, value in _given(**wishes).items():
        option = name.replace("_", "-")
        if isinstance(value, bool):
            words.append(f"--{option}" if value else f"--no-{option}")
        else:
            words += [f"--{option}", str(value)]
    return tuple(words)


def with_learner(source: AnyModel, changes: Changes) -> tuple[AnyModel, Initialised]:
    """Returns a copy of a model with its learner changed, or with a new one, and what it took.

    The rest is as it was. What is fresh of learner and fuser is random, and among the
    `untrained_parts` of the copy's info.

    Args:
        source: Left as it is; it has its info.
        changes: Those to the learner are carried out.

    Raises:
        ConfigError: If the learner cannot be changed so, or would be of another version, for which
            the weights are not.
    """
    info, before = source.info, source.config.token_learner
    assert info is not None
    learner = changes.learner_of(source.config)
    if before is not None and learner is not None and learner.version != before.version:
        raise ConfigError(
            f"--version {learner.version}: the learner of {info.name} is of version "
            f"{before.version}, whose weights fit no other; leave --version out, or take a recipe "
            f"and give it --init {info.name}: its learner then starts afresh"
        )
    if isinstance(source, TimmVisionTransformer):
        model = TimmVisionTransformer(copy.deepcopy(source.backbone), learner)
        taken = _take_learners(model, source)
    else:
        config = replace(source.config, token_learner=learner)
        model = type(source).build(config.to_dict(), device="cpu")
        model.info = info
        taken = initialise(model, source)
    untrained = [FUSER if "fuser" in name else LEARNER for name in taken.fresh]
    untrained = tuple(dict.fromkeys((*info.untrained_parts, *untrained)))
    model.info = replace(info, untrained_parts=untrained)
    return model, taken


def _take_learners(model: TimmVisionTransformer, source: TimmVisionTransformer) -> Initialised:
    """Takes learners and fusers by the rule of `initialise`; the backbone has come already."""
    assert source.info is not None
    ours, theirs = model.state_dict(), source.state_dict()
    single = len(model.learners) == len(source.learners) == 1
    old, new = (next(iter(m.learners), "") for m in (source, model))
    copied, taken = [], set()
    for name, value in ours.items():
        origin = name
        if single and name.startswith("learners."):
            origin = name.replace(f"learners.{new}.", f"learners.{old}.", 1)
        if origin in theirs and theirs[origin].shape == value.shape:
            value.copy_(theirs[origin])
            copied.append(name)
            taken.add(origin)
    return Initialised(
        source=source.info.name,
        copied=tuple(copied),
        resampled=(),
        inflated=(),
        fresh=tuple(name for name in ours if name not in copied),
        unused=tuple(name for name in theirs if name not in taken),
        kept_classes=(),
    )


def _lasting(recipe: Recipe, epochs: int) -> Recipe:
    if epochs < 1:
        raise ConfigError(f"{epochs} epochs were asked for; wanted one or more")
    stages, taken, rest = [], 0, 0
    # From the last, whose resolution is the model's, and which so never falls away.
    for length, side in reversed(recipe.stages):
        rest += length
        until = math.ceil(epochs * rest / recipe.epochs)
        stages.append((until - taken, side))
        taken = until
    return replace(
        recipe,
        stages=tuple((length, side) for length, side in reversed(stages) if length),
        warmup_epochs=recipe.warmup_epochs * epochs / recipe.epochs,
    )


def _sized(recipe: Recipe, side: int) -> Recipe:
    model: Any = recipe.model
    if isinstance(model, TimmConfig):
        raise ConfigError(
            f"--image-size {side}: a timm model keeps the size that it was made with, "
            f"{model.image_size[1]} px; make another with `tokenlearner insert --image-size {side}`"
        )
    old, patch, canvas = model.image_size[0], model.patch_size[0], recipe.canvas

    def scaled(stage: int) -> int:
        return side if stage == old else max(patch, round(stage * side / old / patch) * patch)

    return replace(
        recipe,
        model=replace(model, image_size=(side, side)),
        preprocessing=replace(recipe.preprocessing, image_size=(side, side)),
        stages=tuple((epochs, scaled(stage)) for epochs, stage in recipe.stages),
        canvas=None if canvas is None else (canvas[0] * side // old, canvas[1] * side // old),
    )
