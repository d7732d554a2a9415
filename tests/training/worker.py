"""A run in a process of its own, which tests kill or start twice.

python -m tests.training.worker CASE DATA OUT [SYNC]

Prints the step it starts from, and after each step its number, its loss and the norm of its
gradients (AdamW would hide a wrong scale). MAX_UNUSABLE in the environment is that share of the
photos. With SYNC it kills itself when the SYNC-th time something is forced to the disk: odd ones
are a checkpoint that has not taken the last one's place yet, even ones are the folder after it has.
"""

import os
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from tests import tiny
from tokenlearner.training.augment import Augmentation, RandAugment
from tokenlearner.training.data import read_images
from tokenlearner.training.distributed import joined_processes, rank
from tokenlearner.training.loop import Trainer
from tokenlearner.training.recipes import Recipe

RAND_AUGMENT = RandAugment(num_layers=2, magnitude=9, magnitude_std=0.5)

PLAIN = replace(tiny.config(), stem_widths=(), dropout=0.0, attention_dropout=0.0)
"""What does not depend on how a batch is divided: no dropout, no batch norm."""

CASES: dict[str, tuple[Recipe, dict[str, Any]]] = {
    "everything in memory": (
        tiny.recipe(
            augmentation=Augmentation(
                area=(0.5, 1.0), colour=0.3, rand_augment=RAND_AUGMENT, erase=0.5, cutmix=1.0
            )
        ),
        {},
    ),
    "muon from files": (
        tiny.recipe(
            canvas=None,
            optimizer="muon",
            muon_learning_rate=1e-3,
            layer_decay=0.8,
            augmentation=Augmentation(area=(0.5, 1.0), aspect=4 / 3, rand_augment=RAND_AUGMENT),
        ),
        {"num_workers": 1, "accumulate": 2},
    ),
    "plain": (
        tiny.recipe(
            model=PLAIN,
            gradient_clip=None,
            batch_size=5,  # 18 photos: the last batch of an epoch has 3
            augmentation=Augmentation(
                area=(0.5, 1.0), aspect=4 / 3, colour=0.3, erase=0.5, mixup=0.2, cutmix=1.0
            ),
        ),
        {"mixed_precision": False},
    ),
    "plain, tiny batches": (
        tiny.recipe(model=PLAIN, batch_size=17, stages=((2, 16),)),  # 18 photos: 17 and 1
        {"mixed_precision": False, "accumulate": 2},
    ),
    "plain, diverse": (
        tiny.recipe(model=PLAIN, gradient_clip=None, diversity=0.5, stages=((2, 16),)),
        {"mixed_precision": False},
    ),
    "unusable": (
        tiny.recipe(canvas=None, holdout=0, model=PLAIN, stages=((1, 16),)),
        {"mixed_precision": False},
    ),
    "diverging": (
        tiny.recipe(model=PLAIN, learning_rate=1e30, gradient_clip=None, warmup_epochs=0),
        {"mixed_precision": False},
    ),
}


def start(case: str, data: str, out: Path, device: torch.device | None = None) -> Trainer:
    """Builds a case's trainer."""
    recipe, options = CASES[case]
    device = device or torch.device("cpu")
    max_unusable = float(os.environ.get("MAX_UNUSABLE", "0.01"))
    photos = read_images(data, "train", max_unusable=max_unusable)
    return Trainer(recipe, photos, out, device=device, **options)


def gradient_norm(trainer: Trainer) -> float:
    """Returns the norm of the last step's gradients."""
    gradients = [p.grad for p in trainer.train_state.model.parameters() if p.grad is not None]
    return float(torch.cat([gradient.flatten() for gradient in gradients]).norm())


def main() -> None:
    """Reads the command line and trains."""
    case, data, out = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    if len(sys.argv) > 4:
        _die_at(int(sys.argv[4]))
    torch.set_num_threads(1)
    with joined_processes(torch.device("cpu")) as device:
        trainer = start(case, data, out, device)
        write = rank() == 0
        if write:
            _say(trainer.step)
        for report in trainer.run(checkpoint_every=2, warn=_warn):
            if write:
                _say(int(report["step"]), report["loss"], gradient_norm(trainer))
            time.sleep(0.02)


def _say(*numbers: float) -> None:
    sys.stdout.write(" ".join(map(repr, numbers)) + "\n")
    sys.stdout.flush()


def _warn(text: str) -> None:
    sys.stderr.write(text + "\n")


def _die_at(number: int) -> None:
    sync, calls = os.fsync, 0

    def count(descriptor: int) -> None:
        nonlocal calls
        calls += 1
        if calls == number:
            os.kill(os.getpid(), signal.SIGKILL)
        sync(descriptor)

    os.fsync = count


if __name__ == "__main__":
    main()
