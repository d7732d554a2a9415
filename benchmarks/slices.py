"""Training in slices: a run stops when the time is over, and the next call goes on from there."""

import argparse
import time
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from tokenlearner.checkpoints import AnyModel, for_images, load_model
from tokenlearner.efficiency.machine import has_bfloat16
from tokenlearner.efficiency.model_flops import count_model
from tokenlearner.storage import CONFIG_FILE
from tokenlearner.training.checkpoint import alone_in
from tokenlearner.training.data import LabelledImages, read_images
from tokenlearner.training.loop import Trainer
from tokenlearner.training.metrics import evaluate
from tokenlearner.training.recipes import Recipe
from tokenlearner.training.run import MODEL_FOLDER, export, run


def make_parser(about: str | None, *, minutes: float) -> argparse.ArgumentParser:
    """Returns a parser of what all commands that work in slices take.

    Args:
        about: The docstring of the command's module.
        minutes: Time for a call unless the command line names another.
    """
    parser = argparse.ArgumentParser(description=(about or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the data")
    parser.add_argument("--out", type=Path, required=True, help="checkpoints and models")
    parser.add_argument("--minutes", type=float, default=minutes, help="time for this call")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    return parser


@lru_cache(maxsize=2)
def read_split(folder: Path, split: str) -> LabelledImages:
    """Reads a split when it is first needed; both splits of one data set are kept."""
    return read_images(folder, split)


@dataclass(slots=True)
class Slice:
    """The time and place of one call.

    Attributes:
        minutes: Time for it.
        device: Where to compute.
        started: Clock at the beginning.
    """

    minutes: float
    device: torch.device
    started: float = field(default_factory=time.monotonic)

    @property
    def over(self) -> bool:
        """Whether the time is used up."""
        return self.seconds_left() <= 0

    def seconds_left(self) -> float:
        """Returns how much time there is yet."""
        return 60 * self.minutes - (time.monotonic() - self.started)

    def train(
        self, recipe: Recipe, data: Path, out: Path, *, model: AnyModel | None = None
    ) -> Path | None:
        """Trains until the run is finished or the time is over.

        The photos are only read if there is something to do and time for it.

        Args:
            recipe: What to do.
            data: Folder of the data set.
            out: Folder of the run; a checkpoint in it is where the run goes on.
            model: To start from; fresh weights unless given.

        Returns:
            The model's folder, or None if the run is not finished.
        """
        folder = out / MODEL_FOLDER
        if (folder / CONFIG_FILE).exists():
            return folder
        if self.over:
            return None
        out.mkdir(parents=True, exist_ok=True)
        with alone_in(out):
            return self._train(recipe, data, out, model)

    def _train(self, recipe: Recipe, data: Path, out: Path, model: AnyModel | None) -> Path | None:
        photos = read_split(data, "train")
        trainer = Trainer(
            recipe,
            photos,
            out,
            device=self.device,
            mixed_precision=has_bfloat16(self.device),
            model=model,
        )
        for report in run(trainer):
            if trainer.step % trainer.steps_per_epoch == 0:
                print(
                    f"{out.name}: step {trainer.step:,} of {trainer.num_steps:,}, "
                    f"loss {report['loss']:.3f}, {report['images_per_second']:,.0f} photos/s, "
                    f"held-out accuracy {100 * report.get('heldout_accuracy', float('nan')):.1f} %",
                    flush=True,
                )
            if self.over and trainer.step < trainer.num_steps:
                trainer.save()
                return None
        return export(trainer, data=photos.source_name)

    def test(self, folder: Path, data: Path) -> dict[str, Any]:
        """Returns what a result keeps of a finished run: accuracy, cost, hardware, time, date.

        Args:
            folder: The model's.
            data: Folder of the data set.
        """
        model = for_images(load_model(folder))
        assert model.info is not None
        assert model.info.provenance is not None
        made = model.info.provenance
        photos = read_split(data, "test")
        metrics = evaluate(model, photos, device=self.device, batch_size=256)
        return {
            "top1_percent": round(metrics.top1_percent, 3),
            "gmacs": round(count_model(model).gmacs, 5),
            "hardware": made.hardware,
            "hours": made.hours,
            "date": made.date,
            "versions": made.versions,
        }
