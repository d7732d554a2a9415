"""`tokenlearner export`: our weights in the official code's format."""

from pathlib import Path
from typing import Annotated

import typer

from tokenlearner import zoo
from tokenlearner.conversion.flax_files import write_checkpoint
from tokenlearner.conversion.scenic import to_scenic
from tokenlearner.errors import ConversionError

export = typer.Typer(
    help="Export a model for other software.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)


@export.callback()
def _group() -> None:
    """Keeps `scenic` a subcommand although it is the only one."""


@export.command()
def scenic(
    model: Annotated[str, typer.Argument(help="Shipped model, model folder or hf-hub:owner/name.")],
    out: Annotated[Path, typer.Option(help="New file; Scenic expects the name checkpoint_STEP.")],
    step: Annotated[
        int, typer.Option(min=0, help="Training step to record in the checkpoint.")
    ] = 0,
) -> None:
    """Write a checkpoint of the official JAX code (google-research/scenic)."""
    if out.exists():
        raise ConversionError(f"{out} already exists; name a new file")
    params = to_scenic(zoo.load(model))
    out.parent.mkdir(parents=True, exist_ok=True)
    write_checkpoint(out, params, step=step)
    typer.echo(f"wrote {len(params)} arrays to {out}, as `params` of a train state")
