"""`tokenlearner evaluate`: measures a model, and writes its metrics and card."""

import shlex
from dataclasses import replace
from pathlib import Path
from typing import Annotated, TypeVar

import torch
import typer

from tokenlearner import zoo
from tokenlearner.checkpoints import AnyModel, ClipModel, for_images
from tokenlearner.cli.photos import (
    MAX_UNUSABLE,
    ImageColumn,
    LabelColumn,
    MaxUnusable,
    checked,
    reading_options,
    refuse_options_of_photos,
    watch,
)
from tokenlearner.cli.results import JsonFile, make_room_for, write_json
from tokenlearner.efficiency.machine import choose_device
from tokenlearner.errors import ConfigError
from tokenlearner.models.info import ModelInfo
from tokenlearner.storage import CARD_FILE, METRICS_FILE, write_whole
from tokenlearner.training.card import check_describable, render_card
from tokenlearner.training.card_model import FEW_CLASSES
from tokenlearner.training.classes import list_names, match_classes
from tokenlearner.training.clip_views import Views
from tokenlearner.training.data import LabelledClips, LabelledImages, read_clips, read_images
from tokenlearner.training.map_overlap import NUM_PHOTOS, mean_overlap
from tokenlearner.training.metrics import Metrics, iter_logits, measure, report
from tokenlearner.training.multi_label import load_average_precision, read_real

"""Up to this number, each class is printed."""


def evaluate(
    model: Annotated[str, typer.Argument(help="Shipped model, model folder or hf-hub:owner/name.")],
    data: Annotated[
        str, typer.Option(help="Folder of photos or Parquet files, or a data set id on the Hub.")
    ],
    split: Annotated[str, typer.Option(help="Split to measure on.")] = "test",
    image_column: ImageColumn = None,
    label_column: LabelColumn = None,
    max_unusable: MaxUnusable = MAX_UNUSABLE,
    real: Annotated[
        Path | None, typer.Option(help="ImageNet's reassessed labels (real.json), to report too.")
    ] = None,
    json_file: JsonFile = None,
    save: Annotated[
        bool, typer.Option("--save", help="Write metrics.json and README.md into the model folder.")
    ] = False,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    batch_size: Annotated[int, typer.Option(min=1, help="Photos per batch.")] = 64,
    temporal_views: Annotated[
        int, typer.Option(min=1, help="Sets of frames per clip to average predictions over.")
    ] = 1,
    spatial_views: Annotated[
        int, typer.Option(min=1, help="Crops per clip to average predictions over.")
    ] = 1,
    frames_per_second: Annotated[
        float | None,
        typer.Option(help="Frame rate of each view (default: a view spans the whole clip)."),
    ] = None,
) -> None:
    """Measure a model on labelled photos, or a clip model on labelled clips.

    Their classes must have the names of the model's classes. Missing or corrupt photos are counted
    and left out, up to one in a hundred by default.
    """
    make_room_for(json_file)
    computer = choose_device(device)
    network = zoo.load(model)
    assert network.info is not None
    name, folder = network.info.name, Path(network.info.source)
    if save and not folder.is_dir():
        raise ConfigError(
            f"--save writes into a model folder, and {model} is not one; download it first"
        )
    if save:
        check_describable(network)
        make_room_for(folder / METRICS_FILE)
    views = Views(temporal=temporal_views, spatial=spatial_views, frames_per_s=frames_per_second)
    valid = None
    if isinstance(network, ClipModel):
        refuse_options_of_photos(
            name, image_column=image_column, label_column=label_column, real=real
        )
        found = read_clips(data, split, max_unusable=max_unusable)
        photos = checked(_of_its_classes(found, network.info), split)
        step = 1
    else:
        if views != Views():
            raise ConfigError(f"{name} takes photos; views and frame rates are for clips")
        found = read_images(
            data,
            split,
            image_column=image_column,
            label_column=label_column,
            max_unusable=max_unusable,
        )
        photos = checked(_of_its_classes(found, network.info), split)
        valid = None if real is None else read_real(real, photos)
        step = batch_size
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


D = TypeVar("D", LabelledImages, LabelledClips)


def _of_its_classes(data: D, info: ModelInfo) -> D:
    """Refuses what cannot be measured, before every file is decoded."""
    data = data.among(info.class_names)
    match_classes(data.class_names, info, source=data.source)
    if data.multi_label:
        load_average_precision()
    return data


def _print(metrics: Metrics, title: str, things: str) -> None:
    classes, measure_of_class = metrics.per_class_percent, "top-1"
    if metrics.average_precision_percent is not None:
        classes, measure_of_class = metrics.average_precision_percent, "average precision"
    if few := len(classes) <= FEW_CLASSES:
        width = max(len(name) for name in ("top-1", *classes))
    else:
        width = len("top-1")
    typer.echo(title)
    typer.echo(f"{'top-1':<{width}}  {metrics.top1_percent:6.2f} %{_labelled(metrics, things)}")
    if len(classes) > 5:  # with five or fewer, every label is among the top five
        typer.echo(f"{'top-5':<{width}}  {metrics.top5_percent:6.2f} %")
    if metrics.class_mean_percent is not None:
        typer.echo(f"{'mean':<{width}}  {metrics.class_mean_percent:6.2f} % top-1 over classes")
    if metrics.real_percent is not None:
        of = f"of {metrics.real_num_images:,} photos with a valid label"
        typer.echo(f"{'ReaL':<{width}}  {metrics.real_percent:6.2f} % {of}")
    if metrics.map_percent is not None:
        typer.echo(f"{'mAP':<{width}}  {metrics.map_percent:6.2f} % over {len(classes):,} classes")
    if metrics.without_photos:
        typer.echo(f"classes without {things}: {list_names(metrics.without_photos)}")
    typer.echo(f"{'loss':<{width}}  {metrics.loss:7.3f} nats")
    if metrics.map_overlap is not None:
        of = f"on average, over up to {NUM_PHOTOS} {things}"
        typer.echo(f"two maps overlap by {100 * metrics.map_overlap:.1f} % {of}")
    if not few:
        typer.echo(f"--json FILE saves the {measure_of_class} of each of {len(classes):,} classes")
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
