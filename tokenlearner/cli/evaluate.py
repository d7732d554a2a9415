"""`tokenlearner evaluate`: measures a model folder, and writes its metrics and card."""

import json
import os
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import torch
import typer

from tokenlearner import zoo
from tokenlearner.checkpoints import AnyModel, ClipModel, for_images
from tokenlearner.cli.photos import (
    MAX_UNUSABLE,
    read_checked,
    read_checked_clips,
    reading_options,
    refuse_options_of_photos,
    watch,
)
from tokenlearner.efficiency.machine import choose_device
from tokenlearner.errors import ConfigError
from tokenlearner.storage import CARD_FILE, METRICS_FILE, write_whole
from tokenlearner.training.card import check_describable, render_card
from tokenlearner.training.clip_views import Views
from tokenlearner.training.data import LabelledImages
from tokenlearner.training.map_overlap import NUM_PHOTOS, mean_overlap
from tokenlearner.training.metrics import Metrics, iter_logits, list_names, measure, report
from tokenlearner.training.multi_label import read_real

_FEW_CLASSES = 20
"""So many can be printed one by one."""


def evaluate(
    model: Annotated[str, typer.Argument(help="Shipped model, model folder or hf-hub:owner/name.")],
    data: Annotated[
        str, typer.Option(help="Folder of photos or with parquet files, or an id on the Hub.")
    ],
    split: Annotated[str, typer.Option(help="Photos to measure on.")] = "test",
    image_column: Annotated[
        str | None, typer.Option(help="Of parquet files that do not say which it is.")
    ] = None,
    label_column: Annotated[
        str | None, typer.Option(help="Of parquet files that do not say which it is.")
    ] = None,
    max_unusable: Annotated[
        float, typer.Option(min=0, max=1, help="Share of the photos that may be unusable.")
    ] = MAX_UNUSABLE,
    real: Annotated[
        Path | None, typer.Option(help="ImageNet's reassessed labels (real.json), to use as well.")
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", dir_okay=False, help="Write the result here.")
    ] = None,
    save: Annotated[
        bool, typer.Option("--save", help="Write metrics.json and README.md into the model folder.")
    ] = False,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    batch_size: Annotated[int, typer.Option(min=1, help="Photos in a pass.")] = 64,
    temporal_views: Annotated[
        int, typer.Option(min=1, help="Sets of frames of each clip whose answers are averaged.")
    ] = 1,
    spatial_views: Annotated[
        int, typer.Option(min=1, help="Crops of each clip whose answers are averaged.")
    ] = 1,
    frames_per_second: Annotated[
        float | None,
        typer.Option(help="Of clips, for each view; by default it spans the whole clip."),
    ] = None,
) -> None:
    """Measure a model on photos, or a model of clips on clips, with known labels.

    Their classes must be the model's, by name. Photos that are missing or corrupt are counted and
    left out, up to one in a hundred.
    """
    make_room_for(json_file)
    computer = choose_device(device)
    network = zoo.load(model)
    assert network.info is not None
    name, folder = network.info.name, Path(network.info.source)
    if save and not folder.is_dir():
        raise ConfigError(f"--save writes into a model folder, and {model} is none; download it")
    if save:
        check_describable(network)
    views = Views(temporal=temporal_views, spatial=spatial_views, frames_per_s=frames_per_second)
    valid = None
    if isinstance(network, ClipModel):
        refuse_options_of_photos(
            name, image_column=image_column, label_column=label_column, real=real
        )
        photos = read_checked_clips(data, split, max_unusable=max_unusable)
        step = 1
    else:
        if views != Views():
            raise ConfigError(f"{name} takes photos; views and frame rates are for clips")
        photos = read_checked(
            data,
            split,
            image_column=image_column,
            label_column=label_column,
            max_unusable=max_unusable,
        )
        photos = photos.numbered_as(network.info.class_names)
        valid = None if real is None else read_real(real, photos)
        step = batch_size
    photos = photos.numbered_as(network.info.class_names)
    answers = iter_logits(network, photos, device=computer, batch_size=batch_size, views=views)
    logits = torch.cat(list(watch(answers, len(photos), step, "measuring")))
    metrics = measure(logits, torch.from_numpy(photos.labels), photos.class_names, real=valid)
    learner = network.config.token_learner
    if isinstance(photos, LabelledImages) and learner is not None and learner.num_tokens > 1:
        shared = mean_overlap(for_images(network), photos, device=computer, batch_size=batch_size)
        metrics = replace(metrics, map_overlap=shared)
    title = f"{name} on the {split} split of {photos.source_name}"
    _print(metrics, f"{title}, {metrics.num_images:,} {photos.things}", photos.things)
    if json_file is None and not save:
        return
    words = ["tokenlearner", "evaluate", zoo.reference(network.info)]
    words += ["--data", photos.source_name, "--split", split]
    words += reading_options(image_column, label_column, max_unusable)
    words += ["--real", real.name] if real else []
    words += ["--temporal-views", str(temporal_views)] if temporal_views > 1 else []
    words += ["--spatial-views", str(spatial_views)] if spatial_views > 1 else []
    words += ["--frames-per-second", f"{frames_per_second:g}"] if frames_per_second else []
    content = report(
        metrics,
        network,
        photos,
        split=split,
        command=shlex.join(words),
        device=computer,
        real=valid,
        views=views if photos.things == "clips" else None,
    )
    if json_file is not None:
        write_json(json_file, content)
    if save:
        _save(network, content, folder)


def make_room_for(file: Path | None) -> None:
    """Makes a result's folder, so that nobody learns after the work that it cannot be written.

    Raises:
        ConfigError: If that is so.
    """
    if file is None:
        return
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"cannot write {file}: {error}; choose another place") from error
    if not os.access(file if file.exists() else file.parent, os.W_OK):
        raise ConfigError(f"cannot write {file}: it is not allowed there; choose another place")


def check_folder(out: Path) -> None:
    """Refuses a folder for results that could not be made once they are there.

    Raises:
        ConfigError: If a file stands in its place, or in the place of one that it is in.
    """
    there = next(place for place in (out, *out.parents) if place.exists())
    if not there.is_dir():
        which = "it" if there == out else there
        raise ConfigError(
            f"--out is {out}, but {which} is a file; wanted a folder, one that is there or a new "
            "one: name another"
        )


def write_json(file: Path, content: dict[str, object]) -> None:
    """Writes a result, whole or not at all, and says so."""
    write_whole(file, (json.dumps(content, indent=2) + "\n").encode())
    typer.echo(f"wrote {file}")


def _print(metrics: Metrics, title: str, things: str) -> None:
    classes, measure_of_class = metrics.per_class_percent, "top-1"
    if metrics.average_precision_percent is not None:
        classes, measure_of_class = metrics.average_precision_percent, "average precision"
    if few := len(classes) <= _FEW_CLASSES:
        width = max(len(name) for name in ("top-1", *classes))
    else:
        width = len("top-1")
    typer.echo(title)
    typer.echo(f"{'top-1':<{width}}  {metrics.top1_percent:6.2f} %{_labelled(metrics, things)}")
    if len(classes) > 5:  # among five of five every answer is
        typer.echo(f"{'top-5':<{width}}  {metrics.top5_percent:6.2f} %")
    if metrics.class_mean_percent is not None:
        typer.echo(f"{'mean':<{width}}  {metrics.class_mean_percent:6.2f} % of the classes' top-1")
    if metrics.real_percent is not None:
        of = f"of {metrics.real_num_images:,} photos with a valid label"
        typer.echo(f"{'ReaL':<{width}}  {metrics.real_percent:6.2f} % {of}")
    if metrics.map_percent is not None:
        typer.echo(f"{'mAP':<{width}}  {metrics.map_percent:6.2f} % over {len(classes):,} classes")
    if metrics.without_photos:
        typer.echo(f"classes without {things}: {list_names(metrics.without_photos)}")
    typer.echo(f"{'loss':<{width}}  {metrics.loss:7.3f} nats")
    if metrics.map_overlap is not None:
        of = f"in common on average, over up to {NUM_PHOTOS} {things}"
        typer.echo(f"two maps have {100 * metrics.map_overlap:.1f} % {of}")
    if not few:
        typer.echo(f"--json FILE keeps the {measure_of_class} of each of {len(classes):,} classes")
        return
    if classes and measure_of_class != "top-1":
        typer.echo(f"{measure_of_class}:")
    for name, value in classes.items():
        typer.echo(f"{name:<{width}}  {value:6.2f} %")


def _labelled(metrics: Metrics, things: str) -> str:
    if not metrics.num_unlabelled:
        return ""
    return f" of {metrics.num_images - metrics.num_unlabelled:,} {things} with a label"


def _save(model: AnyModel, content: dict[str, object], folder: Path) -> None:
    assert model.info is not None
    card = render_card(model, content, place=zoo.reference(model.info))
    write_json(folder / METRICS_FILE, content)
    write_whole(folder / CARD_FILE, card.encode())
    typer.echo(f"wrote {folder / CARD_FILE}")
