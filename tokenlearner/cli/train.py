"""`tokenlearner train`: carries a recipe out, or goes on where it stopped."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tokenlearner.efficiency.machine import choose_device, describe_hardware, has_bfloat16
from tokenlearner.errors import ConfigError
from tokenlearner.training.data import read_parquet
from tokenlearner.training.loop import Trainer
from tokenlearner.training.recipes import RECIPES, Recipe
from tokenlearner.training.run import export, run


def train(
    recipe: Annotated[str, typer.Argument(help=f"One of {', '.join(RECIPES)}.")],
    data: Annotated[str, typer.Option(help="Folder with parquet files, or an id on the Hub.")],
    out: Annotated[Path, typer.Option(help="Folder of the run.")],
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    seed: Annotated[int | None, typer.Option(help="Instead of the recipe's own.")] = None,
    mixed_precision: Annotated[
        bool | None,
        typer.Option(help="Compute in bfloat16; by default where the hardware can."),
    ] = None,
) -> None:
    """Train a model by a recipe and write it to OUT/model.

    A run that was stopped goes on from its last checkpoint when the same command is given again;
    one that is finished writes its model anew.
    """
    plan = _plan(recipe, seed)
    computer = choose_device(device)
    if mixed_precision is None:
        mixed_precision = has_bfloat16(computer)
    typer.echo(f"reading {data}")
    photos = read_parquet(data, "train")
    typer.echo(f"preparing {len(photos):,} photos")
    trainer = Trainer(plan, photos, out, device=computer, mixed_precision=mixed_precision)
    if trainer.step == trainer.num_steps:
        typer.echo("the run is finished")
    else:
        typer.echo(f"training on {describe_hardware(computer)}")
        if trainer.step:
            typer.echo(f"going on after step {trainer.step:,} of {trainer.num_steps:,}")
        try:
            _train(trainer)
        except KeyboardInterrupt:
            typer.echo(
                f"stopped after step {trainer.step:,}; {out} has a checkpoint of step "
                f"{trainer.saved_step:,}. The same command goes on from there.",
                err=True,
            )
            raise typer.Exit(130) from None
    folder = export(trainer, data=photos.source_name)
    typer.echo(f"wrote {folder}; `tokenlearner evaluate {folder} --data {data} --save` measures it")


def _plan(name: str, seed: int | None) -> Recipe:
    if name not in RECIPES:
        raise ConfigError(f"there is no recipe {name!r}; there are {', '.join(RECIPES)}")
    plan = RECIPES[name]()
    return plan if seed is None else replace(plan, seed=seed)


def _train(trainer: Trainer) -> None:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns) as progress:
        bar = progress.add_task("", total=trainer.num_steps, completed=trainer.step)
        for report in run(trainer):
            step = int(report["step"])
            epoch = -(-step // trainer.steps_per_epoch)
            words = [
                f"epoch {epoch}/{trainer.recipe.epochs}",
                f"loss {report['loss']:.3f}",
                f"{report['images_per_second']:.0f} photos/s",
            ]
            progress.update(bar, completed=step, description=", ".join(words))
            if step % trainer.steps_per_epoch == 0:
                if "heldout_accuracy" in report:
                    words.append(f"held-out accuracy {report['heldout_accuracy']:.1%}")
                progress.console.print(", ".join(words), highlight=False)
