"""Train recipes in slices of a few minutes, where only the library's core packages are installed.

    python -m benchmarks.on_gpu --data DATA --out runs --minutes 8 [RECIPE ...]

DATA holds a folder per data set (`cifar10`, `imagenette`) with its parquet files. Every call goes
on from the last one's checkpoints and stops between two steps when the time is over. A finished
recipe has its model in OUT/RECIPE/model; `tokenlearner train` on that folder would write the same.
"""

import argparse
import sys
import time
from pathlib import Path

from tokenlearner.checkpoints import CONFIG_FILE
from tokenlearner.efficiency.machine import choose_device, describe_hardware, has_bfloat16
from tokenlearner.errors import TokenLearnerError
from tokenlearner.training.data import read_parquet
from tokenlearner.training.datasets import dataset_of
from tokenlearner.training.loop import Trainer
from tokenlearner.training.recipes import RECIPES
from tokenlearner.training.run import MODEL_FOLDER, export, run


def main() -> None:
    """Reads the command line and trains until the time is over."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("recipes", nargs="*", metavar="RECIPE", help="all, unless named")
    parser.add_argument("--data", type=Path, required=True, help="holds a folder per data set")
    parser.add_argument("--out", type=Path, required=True, help="checkpoints and models")
    parser.add_argument("--minutes", type=float, default=8.0, help="time for this call")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    options = parser.parse_args()
    if unknown := sorted(set(options.recipes) - set(RECIPES)):
        parser.error(f"there is no recipe {', '.join(unknown)}; there are {', '.join(RECIPES)}")
    deadline = time.monotonic() + 60 * options.minutes
    try:
        left = train_all(options, options.recipes or list(RECIPES), deadline)
    except TokenLearnerError as error:
        sys.exit(f"on_gpu: {error}")
    print("left: " + ("; ".join(left) or "nothing"))


def train_all(options: argparse.Namespace, names: list[str], deadline: float) -> list[str]:
    """Trains the recipes in turn and returns what is left of each unfinished one."""
    left = []
    for name in names:
        if (options.out / name / MODEL_FOLDER / CONFIG_FILE).exists():
            print(f"{name}: finished before")
        elif time.monotonic() >= deadline:
            left.append(name)
        elif steps := train(name, options, deadline):
            left.append(f"{name}, {steps:,} steps")
    return left


def train(name: str, options: argparse.Namespace, deadline: float) -> int:
    """Trains one recipe until it is finished or the time is over; returns the steps left."""
    device = choose_device(options.device)
    print(f"{name}: preparing photos for {describe_hardware(device)}", flush=True)
    photos = read_parquet(options.data / dataset_of(name).name, "train")
    trainer = Trainer(
        RECIPES[name](),
        photos,
        options.out / name,
        device=device,
        mixed_precision=has_bfloat16(device),
    )
    for report in run(trainer):
        if trainer.step % trainer.steps_per_epoch == 0:
            print(
                f"{name}: step {trainer.step:,} of {trainer.num_steps:,}, "
                f"loss {report['loss']:.3f}, {report['images_per_second']:,.0f} photos/s, "
                f"held-out accuracy {report.get('heldout_accuracy', float('nan')):.1%}",
                flush=True,
            )
        if time.monotonic() >= deadline and trainer.step < trainer.num_steps:
            trainer.save()
            return trainer.num_steps - trainer.step
    print(f"{name}: wrote {export(trainer, data=photos.source_name)}", flush=True)
    return 0


if __name__ == "__main__":
    main()
