"""`tokenlearner train --dry-run`: what a run would take, and whether its folder allows it."""

from pathlib import Path

import torch

from tokenlearner.cli.train_job import UNUSABLE_FILE, Job, say
from tokenlearner.training.checkpoint import read_state
from tokenlearner.training.data import LabelledClips, LabelledImages
from tokenlearner.training.fit import fingerprint
from tokenlearner.training.loop import CHECKPOINT
from tokenlearner.training.plan import plan, size_of


def say_plan(
    job: Job,
    photos: LabelledImages | LabelledClips,
    out: Path,
    device: torch.device,
    *,
    mixed_precision: bool,
    accumulate: int,
    num_workers: int,
    compile: bool,
) -> None:
    """Prints the plan, starting with what is known at once; writes nothing.

    Raises:
        TrainingError: If the folder holds another run, or the device has too little memory.
    """
    say(size_of(job.recipe, len(photos), model=job.model).describe())
    if (out / CHECKPOINT).exists():
        steps, num_steps = _find_steps(job, photos, out, mixed_precision=mixed_precision)
        if steps == num_steps:
            say(f"{out} holds this run, finished; the command would write its model again")
            return
        say(
            f"{out} holds this run, which would resume after step {steps:,} of {num_steps:,}; "
            "the whole run:"
        )
    what_it_takes = plan(
        job.recipe,
        len(photos),
        device,
        mixed_precision=mixed_precision,
        accumulate=accumulate,
        model=job.model,
        teacher=job.teacher,
        num_workers=num_workers,
    )
    say(what_it_takes.describe())
    if compile:
        say("memory, speed and time are without --compile, which a dry run does not try")


def _find_steps(
    job: Job, photos: LabelledImages | LabelledClips, out: Path, *, mixed_precision: bool
) -> tuple[int, int]:
    """Returns how many steps a folder's run has taken, and of how many."""
    if job.recipe.canvas is not None:  # as the run does: its fingerprint is of the usable photos
        photos = photos.scan(remember=out / UNUSABLE_FILE, write=False)
    wanted = fingerprint(
        job.recipe,
        photos,
        mixed_precision=mixed_precision,
        model=job.model,
        teacher=job.teacher,
    )
    state = read_state(out / CHECKPOINT, fingerprint=wanted)
    return state["step"], size_of(job.recipe, len(photos), model=job.model).num_steps
