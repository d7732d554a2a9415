"""Photos with labels on the command line: read, checked, counted, and a bar while they are used."""

from collections.abc import Iterable, Iterator, Sequence

import typer
from rich.console import Console
from rich.progress import Progress, track

from tokenlearner.modules.shapes import Tensor
from tokenlearner.training.data import LabelledImages, read_images

_FEW = 10


def read_checked(
    source: str,
    split: str,
    *,
    image_column: str | None,
    label_column: str | None,
    max_unusable: float,
) -> LabelledImages:
    """Reads a split and decodes every photo once; says which are left out.

    Raises:
        DataError: As `read_images` and `LabelledImages.scan`.
    """
    photos = read_images(
        source,
        split,
        image_column=image_column,
        label_column=label_column,
        max_unusable=max_unusable,
    )
    console = Console(stderr=True)
    # Where it cannot be seen, a bar would still leave an empty line.
    with Progress(transient=True, console=console, disable=not console.is_interactive) as progress:
        task = progress.add_task(f"checking {split}", total=len(photos))
        photos = photos.scan(on_progress=lambda done: progress.update(task, completed=done))
    say_unusable(photos.unusable, split)
    return photos


def say_unusable(unusable: Sequence[str], split: str) -> None:
    """Prints how many photos of a split are left out, and the first of them; nothing if none is."""
    if not unusable:
        return
    photos = "photo is" if len(unusable) == 1 else "photos are"
    typer.echo(f"{len(unusable):,} {photos} missing or corrupt in {split} and left out:", err=True)
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
