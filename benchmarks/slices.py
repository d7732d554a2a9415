"""Training in slices: a run stops when the time is over, and the next call goes on from there."""

import time
from dataclasses import dataclass, field
from pathlib import Path

import torch

from tokenlearner.checkpoints import CONFIG_FILE
from tokenlearner.efficiency.machine import has_bfloat16
from tokenlearner.training.data import LabelledImages
from tokenlearner.training.loop import Trainer
from tokenlearner.training.recipes import Recipe
from tokenlearner.training.run import MODEL_FOLDER, export, run


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
        return time.monotonic() - self.started >= 60 * self.minutes

    def train(self, recipe: Recipe, photos: LabelledImages, out: Path) -> Path | None:
        """Trains until the run is finished or the time is over.

        Args:
            recipe: What to do.
            photos: Training photos.
            out: Folder of the run; a checkpoint in it is where the run goes on.

        Returns:
            The model's folder, or None if the run is not finished.
        """
        folder = out / MODEL_FOLDER
        if (folder / CONFIG_FILE).exists():
            return folder
        if self.over:
            return None
        trainer = Trainer(
            recipe, photos, out, device=self.device, mixed_precision=has_bfloat16(self.device)
        )
        for report in run(trainer):
            if trainer.step % trainer.steps_per_epoch == 0:
                print(
                    f"{out.name}: step {trainer.step:,} of {trainer.num_steps:,}, "
                    f"loss {report['loss']:.3f}, {report['images_per_second']:,.0f} photos/s, "
                    f"held-out accuracy {report.get('heldout_accuracy', float('nan')):.1%}",
                    flush=True,
                )
            if self.over and trainer.step < trainer.num_steps:
                trainer.save()
                return None
        return export(trainer, data=photos.source_name)
