"""`tokenlearner evaluate`: measures a model folder, and writes its metrics and card."""

import json
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console
from rich.progress import track

from tokenlearner import zoo
from tokenlearner.checkpoints import CARD_FILE, METRICS_FILE, write_whole
from tokenlearner.efficiency.machine import choose_device
from tokenlearner.errors import ConfigError
from tokenlearner.models.vit import VisionTransformer
from tokenlearner.training.card import render_card
from tokenlearner.training.data import read_parquet
from tokenlearner.training.metrics import Metrics, iter_logits, measure, report


def evaluate(
    model: Annotated[str, typer.Argument(help="Shipped model, model folder or hf-hub:owner/name.")],
    data: Annotated[str, typer.Option(help="Folder with parquet files, or an id on the Hub.")],
    split: Annotated[str, typer.Option(help="Photos to measure on.")] = "test",
    save: Annotated[
        bool, typer.Option("--save", help="Write metrics.json and README.md into the model folder.")
    ] = False,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    batch_size: Annotated[int, typer.Option(min=1, help="Photos in a pass.")] = 64,
) -> None:
    """Measure a model on photos with known labels."""
    computer = choose_device(device)
    network = zoo.load(model)
    assert network.info is not None
    name, folder = network.info.name, Path(network.info.source)
    if save and not folder.is_dir():
        raise ConfigError(f"--save writes into a model folder, and {model} is none; download it")
    photos = read_parquet(data, split)
    answers = iter_logits(network, photos, device=computer, batch_size=batch_size)
    passes = -(-len(photos) // batch_size)
    bar = track(answers, "measuring", total=passes, transient=True, console=Console(stderr=True))
    logits = torch.cat(list(bar))
    metrics = measure(logits, torch.from_numpy(photos.labels), photos.class_names)
    _print(metrics, f"{name} on the {split} split of {photos.source_name}")
    if save:
        command = f"tokenlearner evaluate {name} --data {photos.source_name} --split {split}"
        content = report(metrics, network, photos, split=split, command=command, device=computer)
        _save(network, content, folder)


def _print(metrics: Metrics, title: str) -> None:
    typer.echo(f"{title}, {metrics.num_images:,} photos")
    width = max(len(name) for name in metrics.per_class_percent)
    typer.echo(f"{'top-1':<{width}}  {metrics.top1_percent:6.2f} %")
    typer.echo(f"{'top-5':<{width}}  {metrics.top5_percent:6.2f} %")
    typer.echo(f"{'loss':<{width}}  {metrics.loss:7.3f} nats")
    for name, value in metrics.per_class_percent.items():
        typer.echo(f"{name:<{width}}  {value:6.2f} %")


def _save(model: VisionTransformer, content: dict[str, object], folder: Path) -> None:
    card = render_card(model, content)
    write_whole(folder / METRICS_FILE, (json.dumps(content, indent=2) + "\n").encode())
    write_whole(folder / CARD_FILE, card.encode())
    typer.echo(f"wrote {folder / METRICS_FILE} and {folder / CARD_FILE}")
