"""`tokenlearner explain`: photos and clips in, pictures and numbers out, as in the dashboard."""

import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from tokenlearner import zoo
from tokenlearner.attention.token_facts import TokenFacts, facts_csv
from tokenlearner.checkpoints import AnyModel
from tokenlearner.cli.explain_clip import (
    MOSAIC,
    ClipOptions,
    clip_results,
    explain_file,
    is_clip,
    mark_learner,
    summarise,
)
from tokenlearner.cli.results import check_folder
from tokenlearner.clips import ClipExplanation
from tokenlearner.efficiency.machine import choose_device
from tokenlearner.errors import ConfigError, MediaError
from tokenlearner.inference import Explanation
from tokenlearner.inference import explain as explain_photo
from tokenlearner.media import VIDEO_KINDS, read_image
from tokenlearner.media.images import encode_png
from tokenlearner.models.info import ModelInfo
from tokenlearner.rendering import ViewSettings, render_overlay, render_sheet
from tokenlearner.rendering.overlay import MODES
from tokenlearner.storage import write_whole
from tokenlearner.training.data.folder import CLIP_EXTENSIONS, PHOTO_EXTENSIONS

_NUM_PREDICTIONS = 5


def _named(text: str) -> Path:
    """Returns a path; refuses an empty one, which Python would take for the current folder."""
    if not text:
        raise typer.BadParameter("it is ''; wanted the path of a photo, a clip or a folder of them")
    return Path(text)


def explain(
    files: Annotated[
        list[Path],
        typer.Argument(
            parser=_named,
            help="Photos (JPEG, PNG, WebP, BMP, TIFF), clips (MP4, WebM, MKV, ...), and folders of "
            "them.",
        ),
    ],
    model: Annotated[
        str, typer.Option(help="Shipped model, model folder or hf-hub:owner/name@revision.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for the results; created if missing.")],
    token: Annotated[
        str | None,
        typer.Option(
            help="Token to draw, counted from 1; several, such as 1,3, are added up (default: the "
            "token with the largest value)."
        ),
    ] = None,
    style: Annotated[
        str,
        typer.Option(
            "--style",
            "--mode",
            help="token: as chosen by --token; composite: the strongest token at each place; "
            "mosaic (clips only): all tokens side by side.",
        ),
    ] = "token",
    opacity: Annotated[float, typer.Option(help="Opacity of the overlay, 0 to 1.")] = 0.8,
    colormap: Annotated[
        str, typer.Option(help="inferno, magma, viridis, cividis or gray.")
    ] = "inferno",
    interpolation: Annotated[str, typer.Option(help="smooth or patch.")] = "smooth",
    scale: Annotated[
        str, typer.Option(help="Colour scale: shared by all tokens, or token for one per token.")
    ] = "shared",
    mass: Annotated[
        float,
        typer.Option(help="Show only the smallest area holding this share of the attention."),
    ] = 1.0,
    weak: Annotated[
        str, typer.Option(help="Low values: fade to show the photo, or cover it.")
    ] = "fade",
    frames: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Frames to sample evenly from a clip (default: what the model was made for, or "
            "16).",
        ),
    ] = None,
    start: Annotated[
        float, typer.Option(min=0, help="Start of the section of a clip, in seconds.")
    ] = 0.0,
    end: Annotated[
        float | None,
        typer.Option(help="End of the section of a clip, in seconds (default: the clip's end)."),
    ] = None,
    learner: Annotated[
        int, typer.Option(min=1, help="Which of the model's TokenLearners, counted from 1.")
    ] = 1,
    film: Annotated[
        str, typer.Option(help=f"Video format of a clip's overlay: {', '.join(VIDEO_KINDS)}.")
    ] = VIDEO_KINDS[0],
    sound: Annotated[
        bool, typer.Option("--sound", help="Keep the clip's sound in the overlay.")
    ] = False,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
) -> None:
    """Show what each learned token looks at.

    For each photo, writes NAME-overlay.png (full resolution), NAME-sheet.png (all tokens),
    NAME-tokens.csv (what each token looks at) and NAME.npz (everything; read it with
    tokenlearner.Explanation.load). For each clip, writes NAME-overlay.mp4 (see --film),
    NAME-filmstrip.png (the overlay step by step), NAME-tokens.png (filmstrips of all tokens),
    NAME-tracks.csv (what each token follows) and NAME.npz (read it with
    tokenlearner.ClipExplanation.load). Where a model has several learners, names say which:
    NAME-learner2-tokens.csv. Tokens count from 1 on the command line and in pictures,
    from 0 in CSV and .npz. A file that cannot be used is reported and skipped, and the exit code is
    then 1.
    """
    check_folder(out)
    files = list(_with_those_in_folders(files, out))
    if style not in (*MODES, MOSAIC):
        raise ConfigError(
            f"--style is {style!r}; choose one of {', '.join(MODES)} or, for clips, {MOSAIC}"
        )
    choices: Any = {  # as they came; ViewSettings says which of them do not exist
        "mode": "token" if style == MOSAIC else style,
        "interpolation": interpolation,
        "scale": scale,
        "weak": weak,
    }
    settings = ViewSettings(
        tokens=() if token is None else _parse_tokens(token),
        opacity=opacity,
        colormap=colormap,
        mass=mass,
        **choices,
    )
    options = ClipOptions(
        num_frames=frames,
        start_s=start,
        end_s=end,
        is_mosaic=style == MOSAIC,
        has_sound=sound,
        kind=film,
    )
    clips = {file for file in files if is_clip(file)}
    if style == MOSAIC and (photos := set(files) - clips):
        raise ConfigError(
            f"--style {MOSAIC} is for clips, and {min(photos)} is not one; leave the option out: "
            "NAME-sheet.png shows all tokens of a photo"
        )
    network = zoo.load(model).to(choose_device(device))
    assert network.info is not None, "models from files have it"
    _check_choice(learner, settings, network)
    out.mkdir(parents=True, exist_ok=True)
    failed = False
    for file, name in zip(files, _names(files), strict=True):
        notes: tuple[str, ...] = ()
        problem = ""
        # Everything is made before anything is written.
        try:
            if file in clips:
                explanation = explain_file(network, file, options)
                results, problem = clip_results(
                    file, explanation, settings, options, learner=learner - 1
                )
            else:
                photo = read_image(file)
                notes = photo.notes
                explanation = explain_photo(network, photo)
                results = _photo_results(explanation, settings, learner=learner - 1)
        except MediaError as error:
            typer.echo(f"tokenlearner: {file}: {error}", err=True)
            failed = True
            continue
        for ending, content in results.items():
            path = out / f"{name}{ending}"
            verb = "replaced" if path.exists() else "wrote"
            write_whole(path, content)
            typer.echo(f"{verb} {path}")
        _print_answer(file, explanation, network.info, learner=learner - 1)
        for note in notes:
            typer.echo(f"  {note}")
        if problem:
            typer.echo(f"tokenlearner: {file}: {problem}", err=True)
            failed = True
    if failed:
        raise typer.Exit(1)


def _with_those_in_folders(files: Iterable[Path], out: Path) -> Iterator[Path]:
    """Replaces each folder by the photos and clips in it, at any depth.

    Hidden files, which some systems leave beside photos, and earlier results are left out.
    """
    known, results = (*PHOTO_EXTENSIONS, *CLIP_EXTENSIONS), out.resolve()
    for file in files:
        if not file.is_dir():
            yield file
            continue
        if file.resolve() == results:
            raise ConfigError(
                f"--out is {file}, the folder that holds the photos; name another, such as "
                f"{file / 'results'}"
            )
        found = sorted(
            path
            for path in file.rglob("*")
            if path.suffix.lower() in known
            and not path.name.startswith(".")
            and path.is_file()
            and path.resolve().parent != results
        )
        if not found:
            raise ConfigError(f"{file} has no photos or clips in it; name another folder")
        yield from found


def _parse_tokens(text: str) -> tuple[int, ...]:
    words = [word.strip() for word in text.split(",")]
    # Nine digits are more than any model has tokens, and few enough for `int`.
    if not all(word.isdecimal() and len(word) < 10 and int(word) > 0 for word in words):
        raise ConfigError(f"--token is {text[:40]!r}; wanted numbers from 1, such as 2 or 1,3")
    return tuple(int(word) - 1 for word in words)


def _check_choice(number: int, settings: ViewSettings, model: AnyModel) -> None:
    learner, blocks = model.config.token_learner, model.config.learner_blocks
    if learner is None:
        return
    if number > len(blocks):
        count = len(blocks)
        raise ConfigError(
            f"--learner asks for learner {number}, but the model has {count}; choose "
            + ("1" if count == 1 else f"from 1 to {count}")
        )
    if max(settings.tokens, default=0) >= learner.num_tokens:
        raise ConfigError(
            f"--token asks for token {max(settings.tokens) + 1}, but the model has "
            f"{learner.num_tokens}; choose from 1 to {learner.num_tokens}"
        )


def _names(files: Iterable[Path]) -> list[str]:
    """Returns the file names without their extensions, numbered where two would collide."""
    names: list[str] = []
    taken: set[str] = set()
    for file in files:
        name, number = file.stem, 1
        while name.casefold() in taken:
            number += 1
            name = f"{file.stem}-{number}"
        taken.add(name.casefold())
        names.append(name)
    return names


def _photo_results(
    explanation: Explanation, settings: ViewSettings, *, learner: int
) -> dict[str, bytes]:
    files = {".npz": explanation.to_npz()}
    if explanation.learners:
        of = mark_learner(explanation, learner)
        overlay = render_overlay(explanation, settings, learner=learner)
        files[f"{of}-overlay.png"] = encode_png(overlay)
        files[f"{of}-sheet.png"] = encode_png(render_sheet(explanation, settings, learner=learner))
        files[f"{of}-tokens.csv"] = facts_csv(explanation.token_facts(learner)).encode()
    return files


def _print_answer(
    file: Path, explanation: Explanation | ClipExplanation, info: ModelInfo, *, learner: int
) -> None:
    typer.echo(f"{file} by {explanation.model_name}:")
    predictions = explanation.predictions[:_NUM_PREDICTIONS]
    width = max(len(name) for name, _ in predictions)
    for name, probability in predictions:
        typer.echo(f"  {name:<{width}}  {100 * probability:5.1f} %")
    if isinstance(explanation, ClipExplanation):
        lines = summarise(explanation, learner=learner)
    else:
        lines = _table(explanation.token_facts(learner)) if explanation.learners else []
    for line in lines:
        typer.echo(f"  {line}")
    if not explanation.learners:
        typer.echo("  This model has no TokenLearner, so there are no maps to draw.")
    if info.warning:
        typer.secho(f"  {info.warning}", fg=typer.colors.RED)


def _table(tokens: Iterable[TokenFacts]) -> list[str]:
    lines = ["token      peak  looks at     around (px)  shares with others"]
    for facts in tokens:
        place = f"{facts.x_px:.0f}, {facts.y_px:.0f}"
        area = 100 * facts.effective_area
        shared = "–" if math.isnan(facts.overlap) else f"{100 * facts.overlap:.0f} %"
        lines.append(
            f"{facts.token + 1:>5}  {facts.peak:>8.3g}  {area:>6.0f} %  {place:>14}  {shared:>18}"
        )
    return lines
