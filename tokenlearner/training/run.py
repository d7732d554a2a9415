"""A recipe carried out: figures for TensorBoard on the way, a model folder at the end."""

import datetime
import math
import shlex
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import torch

from tokenlearner.checkpoints import save_model
from tokenlearner.efficiency.machine import describe_versions
from tokenlearner.models.info import ModelInfo, Provenance
from tokenlearner.modules.shapes import Tensor
from tokenlearner.training.board import attention_picture, hparams
from tokenlearner.training.datasets import DATASETS, dataset_titled
from tokenlearner.training.distributed import rank
from tokenlearner.training.loop import CHECKPOINT, Trainer

MODEL_FOLDER = "model"

NUM_PICTURES = 4
"""Held-out photos whose attention TensorBoard shows."""


def run(trainer: Trainer) -> Iterator[dict[str, float]]:
    """Trains to the end; yields what `Trainer.run` yields and writes it for TensorBoard.

    Without TensorBoard installed nothing is written.
    """
    if rank() > 0:
        yield from trainer.run()
        return
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        yield from trainer.run()
        return
    # Steps after the last checkpoint are taken again: their old figures are dropped.
    with closing(SummaryWriter(str(trainer.out), purge_step=trainer.step + 1)) as writer:
        for report in trainer.run():
            step = int(report["step"])
            for name, value in report.items():
                if name != "step":
                    writer.add_scalar(name, value, step)
            if step % trainer.steps_per_epoch == 0 and len(trainer.heldout_images):
                writer.add_image("attention", _picture(trainer), step)
            if step == trainer.num_steps:
                accuracy = {"final_heldout_accuracy": report.get("heldout_accuracy", math.nan)}
                writer.add_hparams(hparams(trainer.recipe), accuracy, run_name=".")
            yield report


def _picture(trainer: Trainer) -> Tensor:
    photos = trainer.heldout_images[:NUM_PICTURES]
    return attention_picture(trainer.result(), photos, trainer.recipe.preprocessing)


def export(
    trainer: Trainer,
    *,
    data: str,
    name: str = "",
    started_from: str = "",
    teacher: str = "",
    options: Sequence[str] = (),
) -> Path:
    """Writes the model of a finished run into `model` in the run's folder, and returns that folder.

    Args:
        trainer: At its last step.
        data: What the data set is called in the command that repeats the run.
        name: Of the model; the recipe's unless given.
        started_from: Model whose weights the run began with.
        teacher: Model whose answers it learned from.
        options: What else that command says.
    """
    assert trainer.step == trainer.num_steps, "only a finished run has a model"
    recipe = trainer.recipe
    dataset = DATASETS[recipe.dataset] if recipe.dataset else dataset_titled(data)
    ended = (trainer.out / CHECKPOINT).stat().st_mtime
    model = trainer.result()
    model.info = ModelInfo(
        name=name or recipe.name,
        class_names=trainer.class_names,
        preprocessing=recipe.preprocessing,
        multi_label=trainer.labels.ndim == 2,
        provenance=Provenance(
            trained_on=dataset.title,
            data_licence=dataset.licence,
            weights_licence="Apache-2.0",
            recipe=recipe.name,
            started_from=started_from,
            teacher=teacher,
            command=command(trainer, data=data, options=options),
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


def command(trainer: Trainer, *, data: str, options: Sequence[str] = ()) -> str:
    """Returns the command that repeats a run; arguments as `export`."""
    name = trainer.recipe.name
    words = ["tokenlearner", "train", name, "--data", data, "--out", f"runs/{name}", *options]
    if trainer.recipe.seed:
        words += ["--seed", str(trainer.recipe.seed)]
    if not trainer.mixed_precision:
        words += ["--no-mixed-precision"]
    return shlex.join(words)
