"""`tokenlearner flops`: what a model computes, part by part, in any counting convention."""

import difflib
from typing import Annotated, Any

import torch
import typer
from rich.console import Console
from rich.table import Table

from tokenlearner import zoo
from tokenlearner.cli.networks import OF_THE_PAPER, parse_size
from tokenlearner.cli.results import JsonFile, make_room_for, write_json
from tokenlearner.efficiency.conventions import CONVENTIONS, Convention
from tokenlearner.efficiency.flops import Cost
from tokenlearner.efficiency.memory import activation_bytes, in_words, weight_bytes
from tokenlearner.efficiency.model_flops import count_model
from tokenlearner.efficiency.throughput import input_shape
from tokenlearner.errors import CheckpointError, ConfigError

_LEAST = 0.0001  # billions; smaller values are printed as "< 0.0001"


def flops(
    model: Annotated[
        str,
        typer.Argument(
            help="Shipped model, model folder, hf-hub:owner/name@revision, or a model of the "
            "paper: 'L/16', 'B/16, 8 tokens at 6, fuser', for clips 'L/16x2, 16 tokens at 12', "
            "'Charades', ..."
        ),
    ],
    image_size: Annotated[
        str | None,
        typer.Option(
            help="Image size in pixels, such as 384 or 256x320, height first (default: the "
            "model's own)."
        ),
    ] = None,
    num_frames: Annotated[
        int | None,
        typer.Option(min=1, max=99999, help="Frames per clip (default: the model's own)."),
    ] = None,
    convention: Annotated[
        str, typer.Option(help=f"{', '.join(CONVENTIONS)}; see docs/efficiency.md.")
    ] = "macs",
    json_file: JsonFile = None,
) -> None:
    """Count what a model computes for one image or clip, and how much memory it takes.

    Activation memory is the peak for a batch of one in float32 with fused attention, found from
    tensor shapes without computing anything.
    """
    if convention not in CONVENTIONS:
        raise ConfigError(f"--convention is {convention!r}; choose one of {', '.join(CONVENTIONS)}")
    size = None if image_size is None else parse_size(image_size)
    make_room_for(json_file)
    network = _find(model)
    height, width = size or network.config.image_size
    own_frames = getattr(network.config, "num_frames", None)
    if num_frames is not None and own_frames is None:
        raise ConfigError(f"{model} takes images, not clips; leave --num-frames out")
    frames = num_frames or own_frames
    cost = count_model(network, image_size=size, num_frames=num_frames)
    by = CONVENTIONS[convention]
    memory = {
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "weight_bytes": weight_bytes(network, torch.float32),
        "activation_bytes": activation_bytes(
            network,
            input_shape(network, image_size=size, num_frames=num_frames),
            torch.float32,
            torch.device("cpu"),
        ),
    }
    of_clips = "" if frames is None else f"{frames} frames of "
    typer.echo(f"{model}, {of_clips}{height}x{width} px: {by.title}")
    Console().print(_as_table(cost, by))
    typer.echo(
        f"{memory['parameters'] / 1e6:.2f} million parameters: "
        f"{in_words(memory['weight_bytes'])} in float32; activations take up to "
        f"{in_words(memory['activation_bytes'])}"
    )
    if json_file is not None:
        write_json(json_file, _as_data(model, (height, width), frames, cost, by) | memory)


def _find(name: str) -> Any:
    if name in OF_THE_PAPER:
        kind, config = OF_THE_PAPER[name]
        return kind.build(config.to_dict(), device="meta")
    try:
        return zoo.load(name)
    except CheckpointError as error:
        alike = difflib.get_close_matches(name, OF_THE_PAPER)
        if not alike:
            raise
        choice = " or ".join(repr(one) for one in alike)
        raise ConfigError(f"unknown model {name!r}; did you mean {choice}?") from error


def _as_data(
    name: str, size: tuple[int, int], frames: int | None, cost: Cost, convention: Convention
) -> dict[str, object]:
    stages = [
        {
            "name": stage.name,
            "kind": stage.kind,
            "tokens": stage.tokens,
            "count": stage.count(convention),
        }
        for stage in cost.stages
    ]
    return {
        "model": name,
        "image_size": size,
        **({} if frames is None else {"num_frames": frames}),
        "convention": convention.name,
        "count": sum(stage.count(convention) for stage in cost.stages),
        "stages": stages,
    }


def _as_table(cost: Cost, convention: Convention) -> Table:
    total = cost.giga(convention)
    table = Table(box=None, pad_edge=False)
    table.add_column("stage")
    for title in ("tokens", convention.unit, "share"):
        table.add_column(title, justify="right")
    for stage in cost.stages:
        giga = stage.count(convention) / 1e9
        share = f"{100 * giga / total:.1f} %" if total else ""
        table.add_row(stage.name, str(stage.tokens), _four(giga), share)
    table.add_row("all", "", _four(total), "")
    return table


def _four(giga: float) -> str:
    return f"{giga:#.4g}" if giga >= _LEAST else f"< {_LEAST}"
