"""A few steps of a run on made-up photos, to tell its time and memory by."""

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
from tokenlearner.efficiency.throughput import synchronizer
from tokenlearner.media.video_files import encode_video
from tokenlearner.modules.shapes import Tensor
from tokenlearner.training.data import LabelledClips, LabelledImages
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
class Trial:
    """What the steps took.

    Attributes:
        seconds_per_step: At each of the recipe's sizes of photos.
        peak_bytes: The most that was in use on the device at once; None where it is not measured.
        fixed_bytes: Memory for weights, gradients, optimisers' states and averages.
        kept_bytes: The most that a step kept for its backward pass, of all its photos.
    """

    seconds_per_step: tuple[float, ...]
    peak_bytes: int | None
    fixed_bytes: int
    kept_bytes: int


def try_out(
    recipe: Recipe,
    device: torch.device,
    *,
    batch_size: int,
    mixed_precision: bool,
    accumulate: int,
    model: AnyModel | None,
    teacher: nn.Module | None,
    num_workers: int,
) -> Trial:
    """Takes a few steps; writes nothing.

    Args:
        recipe: What to do.
        device: Where.
        batch_size: Photos in a step, instead of the recipe's.
        mixed_precision: As in `Trainer`.
        accumulate: As in `Trainer`.
        model: As in `Trainer`: it is trained.
        teacher: As in `Trainer`.
        num_workers: As in `Trainer`.

    Raises:
        TrainingError: If the device has too little memory.
    """
    trial = replace(
        recipe,
        stages=tuple((STEPS_PER_SIZE, side) for _, side in recipe.stages),
        batch_size=batch_size,
        holdout=0,
        keep="last",
    )
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(
            trial,
            _make_data(trial, teacher),
            Path(folder) / "nothing",
            device=device,
            mixed_precision=mixed_precision,
            accumulate=accumulate,
            model=model,
            teacher=teacher,
            num_workers=num_workers,
        )
        seconds_per_step, kept_bytes = _take_steps(trainer)
    is_cuda = device.type == "cuda"
    return Trial(
        seconds_per_step=tuple(seconds_per_step),
        peak_bytes=torch.cuda.max_memory_allocated(device) if is_cuda else None,
        fixed_bytes=_count_bytes(trainer, teacher),
        kept_bytes=kept_bytes,
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
    wait = synchronizer(trainer.device) or (lambda: None)
    for _ in trainer.recipe.stages:
        kept = _KeptBytes(trainer.train_state.model)
        with torch.autograd.graph.saved_tensors_hooks(kept.keep, lambda tensor: tensor):
            trainer.take_step(loaded)
        most_bytes = max(most_bytes, kept.total)
        wait()
        started = time.perf_counter()
        for _ in range(STEPS_PER_SIZE - 1):
            trainer.take_step(loaded)
        wait()
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
    held = [*trainer.train_state.model.state_dict().values()]
    held += [p.grad for p in trainer.train_state.model.parameters() if p.grad is not None]
    for optimizer in trainer.train_state.optimizers:
        for state in optimizer.state.values():
            held += [value for value in state.values() if isinstance(value, Tensor)]
    for module in (trainer.train_state.average, teacher):
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
    if recipe.loss == "sigmoid" if info is None else info.multi_label:
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
