"""`tokenlearner explain`: photos in, pictures and numbers out, by the code of the dashboard."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from tokenlearner import zoo
from tokenlearner.checkpoints import ImageModel, for_images, write_whole
from tokenlearner.efficiency.machine import choose_device
from tokenlearner.errors import ConfigError, MediaError
from tokenlearner.inference import Explanation
from tokenlearner.inference import explain as explain_photo
from tokenlearner.media.images import encode_png
from tokenlearner.models.info import ModelInfo
from tokenlearner.rendering import ViewSettings, render_overlay, render_sheet

_NUM_PREDICTIONS = 5


def explain(
    photos: Annotated[list[Path], typer.Argument(help="JPEG, PNG, WebP, BMP or TIFF.")],
    model: Annotated[
        str, typer.Option(help="Shipped model, model folder or hf-hub:owner/name@revision.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for the results; created if missing.")],
    token: Annotated[
        str, typer.Option(help="Tokens of the overlay, counted from 1; several are added up: 1,3.")
    ] = "1",
    mode: Annotated[
        str, typer.Option(help="token, or composite: the strongest token everywhere.")
    ] = "token",
    opacity: Annotated[float, typer.Option(help="Of the overlay, 0 to 1.")] = 0.6,
    colormap: Annotated[
        str, typer.Option(help="viridis, cividis, inferno, magma or gray.")
    ] = "viridis",
    interpolation: Annotated[str, typer.Option(help="smooth, or patch: cell by cell.")] = "smooth",
    scale: Annotated[
        str, typer.Option(help="shared by all tokens, or token: each on its own.")
    ] = "shared",
    mass: Annotated[
        float, typer.Option(help="Show only the smallest area with this share of the attention.")
    ] = 1.0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
) -> None:
    """Show what each learned token looks at.

    Writes per photo NAME-overlay.png (full resolution), NAME-sheet.png (all tokens) and NAME.npz
    (everything, for tokenlearner.Explanation.load). A photo that cannot be used is reported and
    skipped; the exit code is then 1.
    """
    settings = ViewSettings(
        tokens=_parse_tokens(token),
        mode=mode,  # pyright: ignore[reportArgumentType] (ViewSettings checks the words)
        opacity=opacity,
        colormap=colormap,
        interpolation=interpolation,  # pyright: ignore[reportArgumentType]
        scale=scale,  # pyright: ignore[reportArgumentType]
        mass=mass,
    )
    network = for_images(zoo.load(model)).to(choose_device(device))
    assert network.info is not None, "models from files have it"
    _check_tokens(settings, network)
    out.mkdir(parents=True, exist_ok=True)
    failed = False
    for photo, name in zip(photos, _names(photos), strict=True):
        try:
            explanation = explain_photo(network, photo)
        except MediaError as error:
            typer.echo(f"tokenlearner: {photo}: {error}", err=True)
            failed = True
            continue
        # Everything is made before anything is written.
        for file, content in _results(explanation, settings, name).items():
            verb = "replaced" if (out / file).exists() else "wrote"
            write_whole(out / file, content)
            typer.echo(f"{verb} {out / file}")
        _print_answer(photo, explanation, network.info)
    if failed:
        raise typer.Exit(1)


def _parse_tokens(text: str) -> tuple[int, ...]:
    words = [word.strip() for word in text.split(",")]
    if not all(word.isdecimal() and int(word) > 0 for word in words):
        raise ConfigError(f"--token is {text!r}; wanted numbers from 1, such as 2 or 1,3")
    return tuple(int(word) - 1 for word in words)


def _check_tokens(settings: ViewSettings, model: ImageModel) -> None:
    learner = model.config.token_learner
    if learner is not None and max(settings.tokens) >= learner.num_tokens:
        raise ConfigError(
            f"--token asks for token {max(settings.tokens) + 1}, but the model has "
            f"{learner.num_tokens}; choose from 1 to {learner.num_tokens}"
        )


def _names(photos: Iterable[Path]) -> list[str]:
    """Returns the photos' names without ending, numbered where two would be the same file."""
    names: list[str] = []
    taken: set[str] = set()
    for photo in photos:
        name, number = photo.stem, 1
        while name.casefold() in taken:
            number += 1
            name = f"{photo.stem}-{number}"
        taken.add(name.casefold())
        names.append(name)
    return names


def _results(explanation: Explanation, settings: ViewSettings, name: str) -> dict[str, bytes]:
    files = {f"{name}.npz": explanation.to_npz()}
    if explanation.learners:
        files[f"{name}-overlay.png"] = encode_png(render_overlay(explanation, settings))
        files[f"{name}-sheet.png"] = encode_png(render_sheet(explanation, settings))
    return files


def _print_answer(photo: Path, explanation: Explanation, info: ModelInfo) -> None:
    typer.echo(f"{photo} by {explanation.model_name}:")
    predictions = explanation.predictions[:_NUM_PREDICTIONS]
    width = max(len(name) for name, _ in predictions)
    for name, probability in predictions:
        typer.echo(f"  {name:<{width}}  {probability:6.1%}".replace("%", " %"))
    if not explanation.learners:
        typer.echo("  This model has no TokenLearner, so there are no maps to draw.")
    if info.warning:
        typer.secho(f"  {info.warning}", fg=typer.colors.RED)
