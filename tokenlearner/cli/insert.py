"""`tokenlearner insert`: a TokenLearner inside a vision transformer of timm."""

from pathlib import Path
from typing import Annotated, Any

import typer

from tokenlearner.cli.results import check_folder
from tokenlearner.efficiency import count_model
from tokenlearner.errors import CheckpointError, ConfigError
from tokenlearner.models import Provenance, describe_timm, insert_token_learner
from tokenlearner.models.info import read_class_names
from tokenlearner.storage import CONFIG_FILE


def insert(
    name: Annotated[
        str, typer.Argument(help="Name of a timm model, such as vit_base_patch16_224.")
    ],
    out: Annotated[Path, typer.Option(help="Model folder to write; must not hold a model yet.")],
    num_tokens: Annotated[int, typer.Option(help="Number of learned tokens.")] = 8,
    at: Annotated[
        int | None,
        typer.Option(
            help="Index of the first block that sees the learned tokens, from 0 (default: the "
            "middle block)."
        ),
    ] = None,
    version: Annotated[str, typer.Option(help="Learner version: 1.0, 1.1 or grouped.")] = "1.1",
    fuser: Annotated[
        bool,
        typer.Option("--fuser", help="Add a TokenFuser, which writes results back onto the grid."),
    ] = False,
    pretrained: Annotated[
        bool, typer.Option("--pretrained", help="Load timm's weights, from the Hub or its cache.")
    ] = False,
    weights: Annotated[
        Path | None,
        typer.Option(help="Your own weights, head included: a .safetensors or .pth file."),
    ] = None,
    trained_on: Annotated[
        str, typer.Option(help="What your weights were trained on, for the model card.")
    ] = "",
    class_names: Annotated[Path | None, typer.Option(help="Text file, one class per line.")] = None,
    num_classes: Annotated[
        int | None, typer.Option(min=1, help="Number of classes (default: that of timm's head).")
    ] = None,
    image_size: Annotated[
        int | None,
        typer.Option(min=1, help="Side length of the input in pixels (default: timm's)."),
    ] = None,
) -> None:
    """Insert a TokenLearner into a vision transformer from timm.

    The learner starts with random weights: predictions and maps mean nothing until it is
    fine-tuned.
    """
    check_folder(out)
    if (out / CONFIG_FILE).exists():
        raise ConfigError(f"{out} already holds a model; name another folder, or remove it")
    if pretrained and weights:
        raise ConfigError(
            "--pretrained loads timm's weights and --weights your own; give one of them"
        )
    if bool(weights) != bool(trained_on):
        raise ConfigError("--weights and --trained-on go together; give both or neither")
    names = None if class_names is None else read_class_names(class_names)
    if names is not None and num_classes is None:
        num_classes = len(names)
    backbone = _create(name, pretrained=pretrained, num_classes=num_classes, img_size=image_size)
    if weights:
        _load(backbone, weights)
    options: dict[str, Any] = {"version": version}  # insert_token_learner checks the word
    model = insert_token_learner(
        backbone, num_tokens=num_tokens, at=at, fuser=fuser, **options
    ).eval()
    provenance = Provenance(trained_on=trained_on) if weights else None
    info = describe_timm(model, pretrained=pretrained, provenance=provenance, class_names=names)
    model.info = info
    model.save_pretrained(out)
    tokens = model.config.tokens_per_block
    typer.echo(
        f"wrote {out}: {tokens[0]} → {tokens[-1]} tokens, {count_model(model).gmacs:.3g} GFLOPs"
    )
    typer.secho(info.warning, fg=typer.colors.RED)


def _create(name: str, *, pretrained: bool, **changes: Any) -> Any:
    """Creates a timm model; changes that are None keep timm's defaults."""
    import timm

    known = name.startswith("hf-hub:") or (
        not any(sign in name for sign in ":/\\") and timm.is_model(name)
    )
    if not known:
        similar = timm.list_models(f"{name}*")[:5] or timm.list_models("vit_*_patch16_224")[:5]
        raise ConfigError(
            f"timm {timm.__version__} has no model {name!r}; it has {', '.join(similar)}, ..."
        )
    try:
        return timm.create_model(name, pretrained=pretrained, **changes)
    except Exception as error:  # the Hub, the cache and timm itself can fail in any way
        if isinstance(error, TypeError) and changes["img_size"] is not None:
            raise ConfigError(f"timm's {name} takes no --image-size; leave it out") from error
        raise ConfigError(f"timm cannot make {name}: {error}") from error


def _load(backbone: Any, weights: Path) -> None:
    """Loads weights of the whole model without executing anything in the file."""
    from timm.models import load_checkpoint

    if not weights.is_file():
        raise CheckpointError(f"there is no file {weights}; give a file with the model's weights")
    try:
        load_checkpoint(backbone, str(weights), weights_only=True)
    except Exception as error:  # broken and foreign files make their readers raise nearly anything
        reason = " ".join(str(error).split())[:300]
        raise CheckpointError(
            f"{weights} does not fit {type(backbone).__name__}: {reason}"
        ) from error
