"""What a person may change about a recipe without writing one."""

import math
from dataclasses import dataclass, replace
from typing import Any

from tokenlearner.errors import ConfigError
from tokenlearner.models.timm_config import TimmConfig
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
        diversity: What maps that are all alike cost, in nats; see `Recipe`.
    """

    epochs: int | None = None
    batch_size: int | None = None
    learning_rate: float | None = None
    image_size: int | None = None
    diversity: float | None = None

    def apply(self, recipe: Recipe) -> Recipe:
        """Returns the changed recipe.

        Raises:
            ConfigError: If it cannot be changed so.
        """
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
        return recipe if self.image_size is None else _sized(recipe, self.image_size)

    @property
    def options(self) -> tuple[str, ...]:
        """What the command that repeats the run says of them."""
        wishes = {
            "--epochs": self.epochs,
            "--batch-size": self.batch_size,
            "--learning-rate": self.learning_rate,
            "--image-size": self.image_size,
            "--diversity": self.diversity,
        }
        given = {name: value for name, value in wishes.items() if value is not None}
        return tuple(word for name, value in given.items() for word in (name, str(value)))


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
            f"--image-size {side}: a model of timm keeps the size that it was made with, "
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
