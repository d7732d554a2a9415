"""What a run will take, before it is started: size, steps, memory and time."""

import copy
import io
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image as PillowImage
from torch import nn

from tokenlearner.checkpoints import AnyModel, ClipConfig
from tokenlearner.efficiency.model_flops import count_model
from tokenlearner.media.video_files import encode_video
from tokenlearner.modules.shapes import Tensor
from tokenlearner.training.data import LabelledClips, LabelledImages
from tokenlearner.training.durations import describe_duration
from tokenlearner.training.loop import Trainer
from tokenlearner.training.recipes import Recipe

STEPS_PER_SIZE = 3
"""Steps that are timed at each size of photo; the first, which warms up, does not count."""

CPU_BATCH = 32
"""Photos in a timed step on a CPU, which is as fast with these as with thousands."""

CPU_GMACS = 100
"""Billions of multiply-accumulates in its forward pass, unless a single photo has more."""

CPU_PIXELS = 2**22
"""Pixels of all frames of all clips in such a step, unless a single clip has more."""

FILE_SIZE = (375, 500)
"""Height and width in pixels of the made-up photos that stand for files: ImageNet's usual ones."""

CLIP_FRAMES = 60
"""Frames of the made-up clips."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Size:
    """How large a run is: all that can be known without computing.

    Attributes:
        num_parameters: Of the model.
        things: What the training data are, `photos` or `clips`.
        gmacs: Billions of multiply-accumulates for one of them: the papers' GFLOPs.
        num_photos: How many there are in an epoch, without those held out.
        num_steps: Of the whole run.
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
                "cost": f"{self.gmacs:.3g} GFLOPs a {self.things[:-1]} (1 multiply-accumulate "
                "counts 1)",
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
        seconds: Of all steps, without reading the data, validation and checkpoints.
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
                "speed": f"{_rounded(self.images_per_second)} {self.size.things}/s",
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
    batch = recipe.batch_size if is_cuda else cpu_batch(recipe, size.gmacs, accumulate)
    trial = replace(
        recipe,
        stages=tuple((STEPS_PER_SIZE, side) for _, side in recipe.stages),
        batch_size=batch,
        holdout=0,
        keep="last",
    )
    data = _make_data(trial, teacher)
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(
            trial,
            data,
            Path(folder) / "nothing",
            device=device,
            mixed_precision=mixed_precision,
            accumulate=accumulate if is_cuda else 1,
            model=copy.deepcopy(model),
            teacher=teacher,
            num_workers=num_workers,
        )
        seconds_per_step, kept_bytes = _take_steps(trainer)
    training = size.num_photos
    seconds = sum(
        epochs * training * of_step / batch
        for (epochs, _), of_step in zip(recipe.stages, seconds_per_step, strict=True)
    )
    if is_cuda:
        memory = torch.cuda.max_memory_allocated(device)
    else:
        at_once = -(-recipe.batch_size // accumulate)
        memory = _count_bytes(trainer, teacher) + kept_bytes * at_once // batch
    return Plan(
        size=size,
        memory_bytes=memory,
        memory_is_measured=is_cuda,
        images_per_second=recipe.epochs * training / seconds,
        seconds=seconds,
    )


def cpu_batch(recipe: Recipe, gmacs: float, accumulate: int = 1) -> int:
    """Returns how many photos or clips a timed step takes on a CPU: none that is too much for it.

    Args:
        recipe: What to do.
        gmacs: Billions of multiply-accumulates for one photo or clip.
        accumulate: Parts that a step of the run is taken in.
    """
    batch = min(CPU_BATCH, -(-recipe.batch_size // accumulate), int(CPU_GMACS / gmacs))
    if isinstance(recipe.model, ClipConfig):
        side = max(side for _, side in recipe.stages)
        batch = min(batch, CPU_PIXELS // (recipe.model.num_frames * side**2))
    return max(1, batch)


def _take_steps(trainer: Trainer) -> tuple[list[float], int]:
    """Returns the seconds of a step at each size, and the most bytes one kept for its backward."""
    if trainer.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(trainer.device)
    loaded = trainer.load()
    seconds_per_step, most_bytes = [], 0
    for _ in trainer.recipe.stages:
        kept = _KeptBytes(trainer.learner.model)
        with torch.autograd.graph.saved_tensors_hooks(kept.keep, lambda tensor: tensor):
            trainer.take_step(loaded)
        most_bytes = max(most_bytes, kept.total)
        _wait_for(trainer.device)
        started = time.perf_counter()
        for _ in range(STEPS_PER_SIZE - 1):
            trainer.take_step(loaded)
        _wait_for(trainer.device)
        seconds_per_step.append((time.perf_counter() - started) / (STEPS_PER_SIZE - 1))
    return seconds_per_step, most_bytes


class _KeptBytes:
    """Adds up what a forward pass keeps for the backward pass, besides the weights."""

    def __init__(self, model: nn.Module) -> None:
        self._known = {p.untyped_storage().data_ptr() for p in model.parameters()}
        self.total = 0

    def keep(self, tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in self._known:
            self._known.add(storage.data_ptr())
            self.total += storage.nbytes()
        return tensor


def _count_bytes(trainer: Trainer, teacher: nn.Module | None) -> int:
    """Returns the bytes of weights, gradients, optimisers' states and averages."""
    held = [*trainer.learner.model.state_dict().values()]
    held += [p.grad for p in trainer.learner.model.parameters() if p.grad is not None]
    for optimizer in trainer.learner.optimizers:
        for state in optimizer.state.values():
            held += [value for value in state.values() if isinstance(value, Tensor)]
    for module in (trainer.learner.average, teacher):
        if module is not None:
            held += module.state_dict().values()
    return sum(tensor.nbytes for tensor in held)


def _make_data(recipe: Recipe, teacher: nn.Module | None) -> LabelledImages | LabelledClips:
    """Returns a batch of one made-up photo or clip, as large as those of the recipe."""
    info = getattr(teacher, "info", None)
    height, width = recipe.canvas or FILE_SIZE
    coarse = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    picture = PillowImage.fromarray(coarse).resize((width, height))
    classes = recipe.model.num_classes
    labels = np.arange(recipe.batch_size) % classes
    if recipe.loss == "sigmoid":
        labels = np.eye(classes, dtype=bool)[labels]
    names = tuple(map(str, range(classes))) if info is None else info.class_names
    if recipe.clips is None:
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=90)
        files = (buffer.getvalue(),) * recipe.batch_size
        return LabelledImages("made-up photos", files, labels, names)
    files = (_make_clip(np.asarray(picture)),) * recipe.batch_size
    return LabelledClips("made-up clips", files, labels, names)


def _make_clip(picture: np.ndarray) -> bytes:
    frames = [np.roll(picture, shift, axis=1) for shift in range(0, 4 * CLIP_FRAMES, 4)]
    return encode_video(frames, fps=CLIP_FRAMES / 2)


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
