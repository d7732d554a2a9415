"""What a run will take, before it is started: size, steps, memory and time."""

import copy
from dataclasses import dataclass, replace

import torch
from torch import nn

from tokenlearner.checkpoints import AnyModel
from tokenlearner.efficiency.model_flops import count_model
from tokenlearner.errors import TrainingError
from tokenlearner.training.durations import describe_duration
from tokenlearner.training.recipes import Recipe
from tokenlearner.training.trial import cpu_batch, try_out


@dataclass(frozen=True, kw_only=True, slots=True)
class Size:
    """How large a run is: all that can be known without computing.

    Attributes:
        num_parameters: Number of parameters of the model.
        things: What the training data are, `photos` or `clips`.
        gmacs: Billions of multiply-accumulates for one of them: the papers' GFLOPs.
        num_photos: How many there are in an epoch, without those held out.
        num_steps: Number of steps of the whole run.
    """

    num_parameters: int
    things: str
    gmacs: float
    num_photos: int
    num_steps: int

    def describe(self) -> str:
        """Returns the same line by line for a person."""
        return _lines(
            {
                "parameters": f"{self.num_parameters / 1e6:.3g} million",
                "cost": f"{self.gmacs:.3g} GFLOPs per {self.things[:-1]} (a multiply-accumulate "
                "counts as 1)",
                self.things: f"{self.num_photos:,} an epoch",
                "steps": f"{self.num_steps:,}",
            }
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What a run will take on a device.

    Attributes:
        size: How large it is.
        memory_bytes: The most that is needed at once on the device, besides the photos.
        memory_is_measured: On CUDA it is the peak of real steps; elsewhere it is added up from
            weights, gradients, averages and what a real step kept for its backward pass.
        images_per_second: Mean over the run.
        seconds: Time for all steps, without reading the data, validation and checkpoints.
    """

    size: Size
    memory_bytes: int
    memory_is_measured: bool
    images_per_second: float
    seconds: float

    def describe(self) -> str:
        """Returns the same line by line for a person."""
        how = "measured" if self.memory_is_measured else "estimated"
        memory = _rounded(self.memory_bytes / 2**30)
        return _lines(
            {
                "memory": f"{memory} GiB besides the {self.size.things} ({how})",
                "speed": f"{_rounded(self.images_per_second)} {self.size.things}/s, if they are "
                "read as fast",
                "time": describe_duration(self.seconds),
            }
        )


def _lines(rows: dict[str, str]) -> str:
    return "\n".join(f"{name:<{len('parameters')}}  {value}" for name, value in rows.items())


def _rounded(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def size_of(recipe: Recipe, num_photos: int, *, model: AnyModel | None = None) -> Size:
    """Returns how large a run is, at once; arguments as of `plan`."""
    if model is None:
        with torch.device("meta"):
            model = recipe.build()
    training = num_photos - recipe.holdout
    return Size(
        num_parameters=sum(p.numel() for p in model.parameters()),
        things="photos" if recipe.clips is None else "clips",
        gmacs=count_model(model).gmacs,
        num_photos=training,
        num_steps=recipe.epochs * -(-training // recipe.batch_size),
    )


def plan(
    recipe: Recipe,
    num_photos: int,
    device: torch.device,
    *,
    mixed_precision: bool = True,
    accumulate: int = 1,
    model: AnyModel | None = None,
    teacher: nn.Module | None = None,
    num_workers: int = 0,
) -> Plan:
    """Returns what a run will take, from a few real steps on made-up photos; writes nothing.

    Args:
        recipe: What to do.
        num_photos: In the training data, with those to hold out.
        device: Where to train.
        mixed_precision: As in `Trainer`.
        accumulate: As in `Trainer`.
        model: As in `Trainer`, but it stays as it is.
        teacher: As in `Trainer`.
        num_workers: As in `Trainer`.

    Raises:
        TrainingError: If the device has too little memory.
    """
    is_cuda = device.type == "cuda"
    size = size_of(recipe, num_photos, model=model)
    recipe = replace(recipe, batch_size=min(recipe.batch_size, size.num_photos))
    batch, trial = recipe.batch_size, None
    if not is_cuda:
        batch = cpu_batch(recipe, size.gmacs, accumulate)
    while trial is None:
        try:
            trial = try_out(
                recipe,
                device,
                batch_size=batch,
                mixed_precision=mixed_precision,
                accumulate=accumulate if is_cuda else 1,
                model=copy.deepcopy(model),
                teacher=teacher,
                num_workers=num_workers,
            )
        except TrainingError:
            if is_cuda or batch == 1:
                raise
            batch //= 2  # the time of a photo hardly depends on it
    training = size.num_photos
    seconds = sum(
        epochs * training * of_step / batch
        for (epochs, _), of_step in zip(recipe.stages, trial.seconds_per_step, strict=True)
    )
    memory = trial.peak_bytes
    if memory is None:
        at_once = -(-recipe.batch_size // accumulate)
        memory = trial.fixed_bytes + trial.kept_bytes * at_once // batch
    return Plan(
        size=size,
        memory_bytes=memory,
        memory_is_measured=is_cuda,
        images_per_second=recipe.epochs * training / seconds,
        seconds=seconds,
    )
