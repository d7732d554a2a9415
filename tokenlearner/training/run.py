"""A recipe carried out: figures for TensorBoard on the way, a model folder at the end."""

import datetime
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import torch

from tokenlearner.checkpoints import save_model
from tokenlearner.efficiency.machine import describe_versions
from tokenlearner.models.info import ModelInfo, Provenance
from tokenlearner.training.datasets import dataset_of
from tokenlearner.training.loop import CHECKPOINT, Trainer

MODEL_FOLDER = "model"


def run(trainer: Trainer) -> Iterator[dict[str, float]]:
    """Trains to the end; yields what `Trainer.run` yields and writes it for TensorBoard.

    Without TensorBoard installed nothing is written.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        yield from trainer.run()
        return
    # Steps after the last checkpoint are taken again: their old figures are dropped.
    with closing(SummaryWriter(str(trainer.out), purge_step=trainer.step + 1)) as writer:
        for report in trainer.run():
            for name, value in report.items():
                if name != "step":
                    writer.add_scalar(name, value, int(report["step"]))
            yield report


def export(trainer: Trainer, *, data: str) -> Path:
    """Writes the model of a finished run into `model` in the run's folder, and returns that folder.

    Args:
        trainer: At its last step.
        data: What the data set is called in the command that repeats the run.
    """
    assert trainer.step == trainer.num_steps, "only a finished run has a model"
    recipe = trainer.recipe
    dataset = dataset_of(recipe.name)
    ended = (trainer.out / CHECKPOINT).stat().st_mtime
    model = trainer.result()
    model.info = ModelInfo(
        name=recipe.name,
        class_names=trainer.class_names,
        preprocessing=recipe.preprocessing,
        provenance=Provenance(
            trained_on=dataset.title,
            data_licence=dataset.licence,
            weights_licence="Apache-2.0",
            recipe=recipe.name,
            command=command(trainer, data=data),
            hardware="; ".join(trainer.hardware),
            hours=round(trainer.seconds / 3600, 3),
            date=datetime.datetime.fromtimestamp(ended, datetime.UTC).date().isoformat(),
            epochs=recipe.epochs,
            seed=recipe.seed,
            versions=describe_versions(),
        ),
    )
    folder = trainer.out / MODEL_FOLDER
    save_model(folder, model, dtype=getattr(torch, recipe.weights_dtype))
    return folder


def command(trainer: Trainer, *, data: str) -> str:
    """Returns the command that repeats a run."""
    name = trainer.recipe.name
    words = ["tokenlearner train", name, "--data", data, "--out", f"runs/{name}"]
    if trainer.recipe.seed:
        words += ["--seed", str(trainer.recipe.seed)]
    if not trainer.mixed_precision:
        words += ["--no-mixed-precision"]
    return " ".join(words)
