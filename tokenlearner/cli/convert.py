"""`tokenlearner convert`: weights from elsewhere in, a model folder out, and a report."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from tokenlearner.cli.networks import parse_size
from tokenlearner.conversion.folder import (
    name_classes,
    read_preprocessing,
    scenic_clip_preprocessing,
    scenic_preprocessing,
    write_folder,
)
from tokenlearner.conversion.keras import open_keras
from tokenlearner.conversion.scenic_files import open_scenic
from tokenlearner.conversion.torch_ports import PORTS, open_port, save_learner
from tokenlearner.conversion.verify import TOLERANCE, Report, compare
from tokenlearner.errors import ConversionError
from tokenlearner.models.info import ModelInfo, Provenance
from tokenlearner.models.vit import VisionTransformer
from tokenlearner.models.vivit import VideoVisionTransformer
from tokenlearner.preprocess import Preprocessing

convert = typer.Typer(
    help="Convert weights from other software into a model folder of this library.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)

Out = Annotated[Path, typer.Option(help="New model folder.")]
Name = Annotated[str | None, typer.Option(help="Name of the model (default: the name of OUT).")]
ClassNames = Annotated[
    Path | None,
    typer.Option(help="Text file, one class per line (default for 1000 classes: ImageNet's)."),
]
PreprocessingFile = Annotated[
    Path | None,
    typer.Option("--preprocessing", help="JSON file with image_size, mean, std, resize, ..."),
]
TrainedOn = Annotated[str, typer.Option(help="Training data set, for the model's badge.")]
Licence = Annotated[str, typer.Option(help="Licence of the weights.")]
MultiLabel = Annotated[
    bool,
    typer.Option(
        "--multi-label",
        help="Several classes can be right at once, so each gets its own probability. Detected "
        "in Keras models whose head has a sigmoid.",
    ),
]
Reference = Annotated[
    Path | None,
    typer.Option(help=".npz file with inputs, logits and maps/0 ... to compare with."),
]
Tolerance = Annotated[float, typer.Option(min=0, help="Largest relative error to accept.")]


@convert.command()
def scenic(
    checkpoint: Annotated[Path, typer.Argument(help="Checkpoint file, or folder of checkpoints.")],
    config: Annotated[
        Path, typer.Option(help="Configuration of the run: JSON, or the text of a Python dict.")
    ],
    out: Out,
    step: Annotated[
        int | None, typer.Option(help="Checkpoint step (default: the highest).")
    ] = None,
    image_size: Annotated[
        str | None,
        typer.Option(
            help="Image size in pixels, such as 224 or 224x320 (default: square, from the size "
            "of the grid)."
        ),
    ] = None,
    num_frames: Annotated[
        int | None,
        typer.Option(min=1, help="Frames per clip (default: as in the configuration)."),
    ] = None,
    name: Name = None,
    class_names: ClassNames = None,
    preprocessing: PreprocessingFile = None,
    trained_on: TrainedOn = "unknown data",
    licence: Licence = "",
    multi_label: MultiLabel = False,
    reference: Reference = None,
    tolerance: Tolerance = TOLERANCE,
) -> None:
    """Convert a checkpoint of the official JAX code (google-research/scenic)."""
    size = None if image_size is None else parse_size(image_size)
    model, found = open_scenic(
        checkpoint, config, step=step, image_size=size, num_frames=num_frames
    )
    clips = isinstance(model, VideoVisionTransformer)
    usual = scenic_clip_preprocessing if clips else scenic_preprocessing
    usual_data = "clips" if clips else "ImageNet"
    origin = f"{found.file.resolve().parent.name}/{found.file.name}"
    if found.step is not None:
        origin += f", step {found.step:,}"
    report = Report(
        source=f"{found.file}, {found.layout or 'parameters alone'}",
        used={key: array.shape for key, array in found.params.items()},
        unused=found.left_out,
        notes=()
        if preprocessing
        else (f"preprocessing of Scenic's {usual_data}; --preprocessing says otherwise",),
    )
    model.info = ModelInfo(
        name=name or out.name,
        class_names=name_classes(model.config.num_classes, class_names),
        preprocessing=_preprocessing(preprocessing, model) or usual(model.config.image_size),
        multi_label=multi_label,
        provenance=_provenance(f"Scenic, {origin}", trained_on, licence),
    )
    _finish(model, report, out, reference, tolerance)


@convert.command()
def keras(
    path: Annotated[Path, typer.Argument(help=".keras, .h5, or a SavedModel folder of Keras 2.")],
    out: Out,
    gelu: Annotated[
        str, typer.Option(help="exact, or tanh as keras.ops.gelu computed it during training.")
    ] = "exact",
    name: Name = None,
    class_names: ClassNames = None,
    preprocessing: PreprocessingFile = None,
    trained_on: TrainedOn = "unknown data",
    licence: Licence = "",
    multi_label: MultiLabel = False,
    reference: Reference = None,
    tolerance: Tolerance = TOLERANCE,
) -> None:
    """Convert a mini ViT of the Keras example (keras.io/examples/vision/token_learner)."""
    if gelu not in ("exact", "tanh"):
        raise ConversionError(f"--gelu is {gelu!r}; choose one of exact, tanh")
    found = open_keras(path, tanh_gelu=gelu == "tanh")
    model = found.model
    prepared = _preprocessing(preprocessing, model) or found.preprocessing
    if prepared is None:
        raise ConversionError(
            f"{path} does not say how photos are scaled: it has no Rescaling or Normalization "
            "layer; give --preprocessing FILE"
        )
    model.info = ModelInfo(
        name=name or out.name,
        class_names=name_classes(model.config.num_classes, class_names),
        preprocessing=prepared,
        multi_label=multi_label or found.multi_label,
        provenance=_provenance(f"Keras, {path.name}", trained_on, licence),
    )
    report = Report(source=str(path), used=found.used, notes=found.notes)
    _finish(model, report, out, reference, tolerance)


@convert.command("torch")
def torch_port(
    file: Annotated[Path, typer.Argument(help="State dict: .pt, .pth or .safetensors.")],
    port: Annotated[str, typer.Option(help=f"Port the weights come from: {', '.join(PORTS)}.")],
    out: Annotated[Path, typer.Option(help="New .safetensors file.")],
    prefix: Annotated[
        str, typer.Option(help="Prefix of the learner's keys in a larger model's state dict.")
    ] = "",
    pooling: Annotated[
        str, typer.Option(help="sum or mean, whichever the port was configured with.")
    ] = "sum",
    reference: Reference = None,
    tolerance: Tolerance = TOLERANCE,
) -> None:
    """Convert a learner of a PyTorch port; open it with conversion.torch_ports.load_learner."""
    if out.exists():
        raise ConversionError(f"{out} already exists; name a new file")
    found = open_port(file, port, prefix=prefix, pooling=pooling)
    agreements = compare(found.module, reference, tolerance=tolerance) if reference else ()
    sha256 = save_learner(out, found)
    report = Report(
        source=str(file),
        used=found.used,
        unused=found.unused,
        sha256=sha256,
        agreements=agreements,
        notes=found.notes,
    )
    _print(report, out)


def _finish(
    model: VisionTransformer | VideoVisionTransformer,
    report: Report,
    out: Path,
    reference: Path | None,
    tolerance: float,
) -> None:
    agreements = compare(model, reference, tolerance=tolerance) if reference else ()
    sha256 = write_folder(out, model)
    _print(replace(report, sha256=sha256, agreements=agreements), out)


def _print(report: Report, out: Path) -> None:
    for line in report.lines():
        typer.echo(line)
    typer.echo(f"wrote     {out}")


def _preprocessing(
    file: Path | None, model: VisionTransformer | VideoVisionTransformer
) -> Preprocessing | None:
    if file is None:
        return None
    found = read_preprocessing(file)
    if found.image_size != model.config.image_size:
        raise ConversionError(
            f"{file}: got image_size {found.image_size}, expected {model.config.image_size}"
        )
    return found


def _provenance(origin: str, trained_on: str, licence: str) -> Provenance:
    return Provenance(
        trained_on=trained_on, weights_licence=licence, recipe=f"converted from {origin}"
    )
