"""A recipe carried out: figures for TensorBoard on the way, a model folder at the end."""

import datetime
import math
import os
import shlex
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from tokenlearner.checkpoints import save_model
from tokenlearner.efficiency.machine import describe_versions
from tokenlearner.models.info import ModelInfo, Provenance
from tokenlearner.training.board import Board, attention_picture, hparams
from tokenlearner.training.checkpoint import cannot_write
from tokenlearner.training.datasets import DATASETS, dataset_titled
from tokenlearner.training.distributed import num_processes, rank
from tokenlearner.training.loop import CHECKPOINT, Trainer
from tokenlearner.training.recipes.own import is_own
from tokenlearner.training.recipes.settings import settings_of

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

Reports = Iterator[dict[str, float]]
MODEL_FOLDER = "model"

LICENCE = "Apache-2.0"
"""Of weights that were made from no others."""


def run(trainer: Trainer, *, warn: Callable[[str], None] = warnings.warn) -> Reports:
    """Trains to the end; yields what `Trainer.run` yields and writes it for TensorBoard.

    Args:
        trainer: Anywhere in its run.
        warn: Told why nothing is written, or nothing more, and what `Trainer.run` has to say; the
            run goes on.
    """
    if rank() > 0:
        yield from trainer.run(warn=warn)
        return
    # Steps after the last checkpoint are taken again: their old figures are dropped.
    with closing(Board(trainer.out, purge_step=trainer.step + 1, warn=warn)) as board:
        for report in trainer.run(warn=warn):
            board.write(partial(_write, trainer, report))
            yield report


def _write(trainer: Trainer, report: dict[str, float], writer: "SummaryWriter") -> None:
    step = int(report["step"])
    for name, value in report.items():
        if name != "step":
            writer.add_scalar(name, value, step)
    if step % trainer.steps_per_epoch == 0 and len(trainer.shown_images):
        picture = attention_picture(
            trainer.result(), trainer.shown_images, trainer.recipe.preprocessing
        )
        writer.add_image("attention", picture, step)
    if step == trainer.num_steps:
        accuracy = {"final_heldout_accuracy": report.get("heldout_accuracy", math.nan)}
        writer.add_hparams(hparams(trainer.recipe), accuracy, run_name=".")


def export(
    trainer: Trainer,
    *,
    data: str,
    name: str = "",
    recipe_name: str = "",
    started_from: ModelInfo | None = None,
    teacher: ModelInfo | None = None,
    options: Sequence[str] = (),
) -> Path:
    """Writes the model of a finished run into `model` in the run's folder, and returns that folder.

    Args:
        trainer: At its last step.
        data: What the data set is called in the command that repeats the run, and by the model,
            unless it is known to be the one that the recipe is for.
        name: Name of the model; by default the recipe's.
        recipe_name: The recipe's name in that command; by default its own name.
        started_from: Info of the model whose weights the run began with.
        teacher: Info of the model whose answers it learned from.
        options: What else that command says.

    Raises:
        TrainingError: If it cannot be written.
    """
    assert trainer.step == trainer.num_steps, "only a finished run has a model"
    recipe = trainer.recipe
    dataset = DATASETS.get(recipe.dataset)
    if dataset is None or not dataset.has_classes(trainer.class_names):
        dataset = dataset_titled(data)
    origins = [info.provenance for info in (started_from, teacher) if info and info.provenance]
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
            weights_licence=_weights_licence(origins),
            recipe=recipe_name or recipe.name,
            started_from=started_from.name if started_from else "",
            teacher=teacher.name if teacher else "",
            inherited_data=_inherited_data(origins, dataset.title),
            command=command(trainer, data=data, recipe_name=recipe_name, options=options),
            hardware="; ".join(trainer.hardware),
            hours=float(f"{trainer.seconds / 3600:.3g}"),
            date=datetime.datetime.fromtimestamp(ended, datetime.UTC).date().isoformat(),
            epochs=recipe.epochs,
            seed=recipe.seed,
            settings=settings_of(recipe),
            versions=describe_versions(),
        ),
    )
    folder = trainer.out / MODEL_FOLDER
    try:
        save_model(folder, model, dtype=getattr(torch, recipe.weights_dtype))
    except OSError as error:
        with suppress(OSError):
            folder.rmdir()  # goes if nothing is in it
        kept = f"the trained weights are in {trainer.out / CHECKPOINT}"
        raise cannot_write(folder, error, kept) from error
    return folder


def _weights_licence(origins: Sequence[Provenance]) -> str:
    """Returns the terms of weights that were made from others; empty if one's are unknown."""
    licences = {origin.weights_licence for origin in origins}
    if "" in licences:
        return ""
    others = sorted(licence for licence in licences if licence.lower() != LICENCE.lower())
    return " and ".join(others) or LICENCE


def _inherited_data(origins: Sequence[Provenance], trained_on: str) -> str:
    found = []
    for origin in origins:
        if origin.trained_on != trained_on:
            licence = f" ({origin.data_licence})" if origin.data_licence else ""
            found.append(origin.trained_on + licence)
        found.append(origin.inherited_data)
    return "; ".join(dict.fromkeys(text for text in found if text))


def command(
    trainer: Trainer, *, data: str, recipe_name: str = "", options: Sequence[str] = ()
) -> str:
    """Returns the command that repeats a run; arguments as `export`."""
    name = trainer.recipe.name
    words = [*_start_processes(), "tokenlearner", "train", recipe_name or name]
    words += ["--data", data, "--out", f"runs/{name}", *options]
    if trainer.recipe.seed or is_own(recipe_name):  # which may have a seed of its own
        words += ["--seed", str(trainer.recipe.seed)]
    if not trainer.mixed_precision:
        words += ["--no-mixed-precision"]
    return shlex.join(words)


def _start_processes() -> list[str]:
    """Returns how `torchrun` starts as many processes as there are; nothing for one."""
    count = num_processes()
    if count == 1:
        return []
    here = int(os.environ.get("LOCAL_WORLD_SIZE", count))  # torchrun says how many on a machine
    machines = ["--nnodes", str(count // here)] if count > here else []
    return ["torchrun", *machines, "--nproc-per-node", str(here), "--no-python"]
