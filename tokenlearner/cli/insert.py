"""`tokenlearner insert`: a TokenLearner inside a vision transformer of timm."""

from pathlib import Path
from typing import Annotated, Any

import typer

from tokenlearner.cli.evaluate import check_folder
from tokenlearner.efficiency import count_model
from tokenlearner.errors import CheckpointError, ConfigError
from tokenlearner.models import Provenance, describe_timm, insert_token_learner
from tokenlearner.storage import CONFIG_FILE


def insert(
    name: Annotated[str, typer.Argument(help="As timm calls it: vit_base_patch16_224.")],
    out: Annotated[Path, typer.Option(help="Model folder to write; must not hold one yet.")],
    num_tokens: Annotated[int, typer.Option(help="Tokens to learn.")] = 8,
    at: Annotated[
        int | None,
        typer.Option(help="First block that sees them, from 0; the middle unless given."),
    ] = None,
    version: Annotated[str, typer.Option(help="1.0, 1.1 or grouped.")] = "1.1",
    fuser: Annotated[
        bool, typer.Option("--fuser", help="Write results back onto the grid.")
    ] = False,
    pretrained: Annotated[
        bool, typer.Option("--pretrained", help="With timm's weights, from the Hub or its cache.")
    ] = False,
    weights: Annotated[
        Path | None,
        typer.Option(help="With your weights of that model, head included: .safetensors or .pth."),
    ] = None,
    trained_on: Annotated[
        str, typer.Option(help="What your weights were trained on, for the model card.")
    ] = "",
    class_names: Annotated[
        Path | None, typer.Option(help="File with the name of each answer on a line of its own.")
    ] = None,
    num_classes: Annotated[
        int | None, typer.Option(min=1, help="A head for so many classes instead of timm's.")
    ] = None,
    image_size: Annotated[
        int | None,
        typer.Option(min=1, help="Side in pixels to make the model for, instead of timm's."),
    ] = None,
) -> None:
    """Put a TokenLearner into a vision transformer of timm.

    The learner starts with random weights: until it is fine-tuned, answers and maps mean nothing.
    """
    check_folder(out)
    if (out / CONFIG_FILE).exists():
        raise ConfigError(f"{out} holds a model already; name another folder, or remove it")
    if pretrained and weights:
        raise ConfigError("--pretrained asks for timm's weights and --weights for yours; give one")
    if bool(weights) != bool(trained_on):
        raise ConfigError("--weights and --trained-on go together; give both or neither")
    names = None if class_names is None else _lines(class_names)
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
    """Makes a model by timm's name; changes that are None leave what timm says."""
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
    """Loads weights of the whole model, never running anything that is in the file."""
    from timm.models import load_checkpoint

    if not weights.is_file():
        raise CheckpointError(f"there is no file {weights}; give your weights of that model")
    try:
        load_checkpoint(backbone, str(weights), weights_only=True)
    except Exception as error:  # broken and foreign files make their readers raise nearly anything
        reason = " ".join(str(error).split())[:300]
        raise CheckpointError(
            f"{weights} does not fit {type(backbone).__name__}: {reason}"
        ) from error


def _lines(file: Path) -> list[str]:
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"cannot read {file}: {error}; give a text file with a name a line"
        ) from error
    names = [line.strip() for line in lines if line.strip()]
    if not names:
        raise ConfigError(f"{file} has no names in it; give a text file with a name a line")
    return names
