"""Labelled photos and clips on the command line: read, checked and counted, with a bar."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, TypeVar

import typer
from rich.console import Console
from rich.progress import Progress, track

from tokenlearner.errors import ConfigError
from tokenlearner.modules.shapes import Tensor
from tokenlearner.training.data import LabelledClips, LabelledImages
from tokenlearner.training.data.files import MAX_UNUSABLE, LabelledFiles

ImageColumn = Annotated[
    str | None,
    typer.Option(help="Image column, if the Parquet metadata does not name it."),
]
LabelColumn = Annotated[
    str | None,
    typer.Option(help="Label column, if the Parquet metadata does not name it."),
]
MaxUnusable = Annotated[
    float, typer.Option(min=0, max=1, help="Largest share of unusable photos to accept.")
]

_FEW = 10


def reading_options(
    image_column: str | None, label_column: str | None, max_unusable: float = MAX_UNUSABLE
) -> list[str]:
    """Returns the options that read files the same way again; defaults are left out."""
    options = ["--image-column", image_column] if image_column else []
    options += ["--label-column", label_column] if label_column else []
    options += ["--max-unusable", str(max_unusable)] if max_unusable != MAX_UNUSABLE else []
    return options


def refuse_options_of_photos(name: str, **given: object) -> None:
    """Refuses options that have no meaning for clips.

    Args:
        name: Name of the model or recipe that takes clips.
        given: Options by name, with underscores; None where not given.

    Raises:
        ConfigError: If one is given.
    """
    options = [f"--{option.replace('_', '-')}" for option in given if given[option] is not None]
    if options:
        raise ConfigError(
            f"{name} takes clips; leave out the options for photos: {', '.join(options)}"
        )


D = TypeVar("D", bound=LabelledImages | LabelledClips)


def checked(data: D, split: str) -> D:
    """Decodes every file of a split once; returns those that can be used, and says which cannot.

    Raises:
        DataError: As `scan`.
    """
    say_passed_over(data, split)
    console = Console(stderr=True)
    # Outside a terminal, a bar would leave an empty line.
    with Progress(transient=True, console=console, disable=not console.is_interactive) as progress:
        task = progress.add_task(f"checking {split}", total=len(data))
        data = data.scan(on_progress=lambda done: progress.update(task, completed=done))
    say_unusable(data.unusable, split, things=data.things)
    return data


def say_passed_over(data: LabelledFiles, split: str) -> None:
    """Prints how many files of a split are of no kind that is read; silent if none are."""
    if not data.passed_over:
        return
    kinds = sorted(data.passed_over.items(), key=lambda kind: -kind[1])
    named = ", ".join(f"{count:,} {ending}" for ending, count in kinds[:_FEW])
    more = " and others" * (len(kinds) > _FEW)
    typer.echo(f"files in {split} that are no {data.things}, passed over: {named}{more}", err=True)


def say_unusable(unusable: Sequence[str], split: str, *, things: str = "photos") -> None:
    """Prints how many files of a split are left out, and names the first; silent if none are."""
    if not unusable:
        return
    files = f"{things[:-1]} is" if len(unusable) == 1 else f"{things} are"
    typer.echo(f"{len(unusable):,} {files} missing or corrupt in {split} and left out:", err=True)
    for reason in unusable[:_FEW]:
        typer.echo(f"  {reason}", err=True)
    if len(unusable) > _FEW:
        typer.echo(f"  and {len(unusable) - _FEW:,} more", err=True)


def watch(
    batches: Iterator[Tensor], num_images: int, batch_size: int, title: str
) -> Iterable[Tensor]:
    """Passes batches through under a progress bar."""
    console = Console(stderr=True)
    return track(
        batches,
        title,
        total=-(-num_images // batch_size),
        transient=True,
        console=console,
        disable=not console.is_interactive,
    )
