"""`tokenlearner insert`: a TokenLearner inside a vision transformer of timm."""

from pathlib import Path
from typing import Annotated, Any

import typer

from tokenlearner.checkpoints import CONFIG_FILE
from tokenlearner.efficiency import count_model
from tokenlearner.errors import ConfigError
from tokenlearner.models import describe_timm, insert_token_learner


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
    if (out / CONFIG_FILE).exists():
        raise ConfigError(f"{out} holds a model already; name another folder, or remove it")
    backbone = _create(name, pretrained=pretrained, num_classes=num_classes, img_size=image_size)
    model = insert_token_learner(backbone, num_tokens, at, version, fuser).eval()  # pyright: ignore[reportArgumentType] (it checks the word)
    info = describe_timm(model, pretrained=pretrained)
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
