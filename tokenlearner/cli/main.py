"""`tokenlearner`: its verbs, and how errors reach the user."""

from typing import Annotated, Any

import torch
import typer
from typer.core import TyperGroup

from tokenlearner import __version__
from tokenlearner.cli.bench import bench
from tokenlearner.cli.convert import convert
from tokenlearner.cli.evaluate import evaluate
from tokenlearner.cli.explain import explain
from tokenlearner.cli.export import export
from tokenlearner.cli.few_shot import few_shot
from tokenlearner.cli.flops import flops
from tokenlearner.cli.insert import insert
from tokenlearner.cli.models import models
from tokenlearner.cli.train import train
from tokenlearner.errors import TokenLearnerError, is_out_of_memory


class _Verbs(TyperGroup):
    """Turns errors that the user can fix into one line and exit code 1."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise  # Typer's business: the reader of a pipe has gone
        except TokenLearnerError as error:
            message = str(error)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            reason = f": {error}" if str(error) else ""
            message = (
                f"out of memory{reason}; process less at once (--help lists the options), or "
                "choose another --device"
            )
        except OSError as error:
            message = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        typer.echo(f"tokenlearner: {' '.join(message.split())}", err=True)
        raise typer.Exit(1)


app = typer.Typer(
    cls=_Verbs,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _say_version(wanted: bool) -> bool:
    if wanted:
        typer.echo(f"tokenlearner {__version__}, PyTorch {torch.__version__}")
        raise typer.Exit
    return wanted


@app.callback()
def main(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_say_version,
            is_eager=True,
            help="Show the versions of tokenlearner and PyTorch.",
        ),
    ] = False,
) -> None:
    """TokenLearner: see what each learned token of a vision transformer looks at."""


app.command()(models)
app.command()(explain)
app.command()(train)
app.command()(evaluate)
app.command()(few_shot)
app.command()(bench)
app.command()(insert)
app.command()(flops)
app.add_typer(convert, name="convert")
app.add_typer(export, name="export")
