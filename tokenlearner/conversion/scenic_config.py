"""Which module of ours an official configuration describes."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from torch import nn

from tokenlearner.errors import ConversionError
from tokenlearner.models import (
    Encoder,
    TokenLearnerConfig,
    VisionTransformer,
    VisionTransformerConfig,
)
from tokenlearner.modules import Block, TokenFuser, TokenLearner, TokenLearnerV11
from tokenlearner.modules.grids import Grid

Params = Mapping[str, np.ndarray]

NO_CLIPS = "models for clips are not supported yet, only those for images"

_REQUIRED: Any = object()
_MOST_BLOCKS = 1_000  # far more than any model has; building more would fill the memory
_DROPOUT_RATE = 0.1  # the official default of both rates in blocks and encoders


def make_module(
    config: Mapping[str, Any], params: Params, image_size: tuple[int, int] | None
) -> nn.Module:
    """Returns the module, not yet with its weights; sizes no argument tells come from `params`.

    Raises:
        ConversionError: See `tokenlearner.conversion.scenic.build`.
    """
    kind = config.get("kind")
    if kind not in _MAKERS:
        raise ConversionError(f"kind is {kind!r}; it must be one of {', '.join(_MAKERS)}")
    if "args" not in config:
        raise ConversionError(f"the configuration has no 'args', the arguments of {kind}")
    inputs = tuple((config.get("input_shapes") or {}).get("inputs", ()))
    if len(inputs) == 5:
        raise ConversionError(f"the inputs are clips of shape {inputs}; {NO_CLIPS}")
    if image_size is None and len(inputs) == 4:
        image_size = inputs[1:3]
    args = _Arguments(kind, config["args"])
    module = _MAKERS[kind](args, params, image_size)
    args.finish()
    return module


class _Arguments:
    """Official arguments by name; each must be taken, or ignored on purpose."""

    def __init__(self, owner: str, values: Mapping[str, Any]) -> None:
        self._owner = owner
        self._left = dict(values)

    def take(self, name: str, default: Any = _REQUIRED) -> Any:
        if name not in self._left and default is _REQUIRED:
            raise ConversionError(f"{self._owner} has no argument {name!r}; add it")
        return self._left.pop(name, default)

    def take_count(self, name: str, *, most: int | None = None) -> int:
        value = self.take(name)
        if type(value) is not int or value < 1 or (most is not None and value > most):
            limits = "of at least 1" if most is None else f"from 1 to {most:,}"
            raise ConversionError(
                f"{self._owner}: {name} is {value!r}; it must be a whole number {limits}"
            )
        return value

    def ignore(self, *names: str) -> None:
        for name in names:
            self._left.pop(name, None)

    def finish(self) -> None:
        if self._left:
            raise ConversionError(
                f"{self._owner} has the unknown argument {min(self._left)!r}; remove it if the "
                "official model does not read it"
            )


def _token_learner(
    *,
    tokenizer: str,
    num_tokens: int,
    loc: int,
    use_v11: bool,
    fuser: bool,
    depth: int,
    temporal_dimensions: int = 1,
) -> TokenLearnerConfig | None:
    """Returns where the learners sit; None if there is none, which the official code never says."""
    if tokenizer not in ("patch", "dynamic", "video"):
        raise ConversionError(
            f"the tokenizer is {tokenizer!r}; it must be 'patch', 'dynamic' or 'video'"
        )
    at = max(loc, 0) if fuser else loc  # a fuser wraps every block >= loc, no fuser only block loc
    if tokenizer == "patch" or at not in range(depth):
        return None
    if temporal_dimensions != 1:
        raise ConversionError(f"temporal_dimensions is {temporal_dimensions}; {NO_CLIPS}")
    return TokenLearnerConfig(
        num_tokens=num_tokens,
        at=at,
        version="1.1" if use_v11 else "1.0",
        fuser=fuser,
        fold_to_square=not use_v11,
    )


def _learner(args: _Arguments, params: Params, _: object) -> nn.Module:
    return TokenLearner(
        args.take("num_tokens"),
        _axis(params, "LayerNorm_0/scale", 0, ndim=1),
        pooling="sum" if args.take("use_sum_pooling", True) else "mean",
    )


def _learner_v11(args: _Arguments, params: Params, _: object) -> nn.Module:
    return TokenLearnerV11(
        args.take("num_tokens"),
        _axis(params, "LayerNorm_0/scale", 0, ndim=1),
        bottleneck_dim=args.take("bottleneck_dim", 64),
        dropout=args.take("dropout_rate", 0.0),
    )


def _fuser(args: _Arguments, params: Params, _: object) -> nn.Module:
    return TokenFuser(
        _axis(params, "Dense_0/kernel", 0, ndim=2),
        _axis(params, "LayerNorm_0/scale", 0, ndim=1),
        bottleneck_dim=args.take("bottleneck_dim", 64),
        use_normalization=args.take("use_normalization", True),
        dropout=args.take("dropout_rate", 0.0),
    )


def _block(args: _Arguments, params: Params, _: object) -> nn.Module:
    args.ignore("dtype")
    return Block(
        _axis(params, "LayerNorm_0/scale", 0, ndim=1),
        args.take_count("num_heads"),
        args.take_count("mlp_dim"),
        dropout=args.take("dropout_rate", _DROPOUT_RATE),
        attention_dropout=args.take("attention_dropout_rate", _DROPOUT_RATE),
        stochastic_depth=args.take("stochastic_depth", 0.0),
    )


def _encoder(args: _Arguments, params: Params, _: object, *, fuser: bool = False) -> nn.Module:
    args.ignore("dtype")
    depth = args.take_count("num_layers", most=_MOST_BLOCKS)
    positions = _axis(params, "posembed_input/pos_embedding", 1, ndim=3)
    side = math.isqrt(positions)
    dropout_rate = args.take("dropout_rate", _DROPOUT_RATE)
    config = VisionTransformerConfig(
        image_size=(side, side) if side * side == positions else (1, positions),
        patch_size=(1, 1),
        num_classes=0,
        dim=_axis(params, "posembed_input/pos_embedding", 2, ndim=3),
        depth=depth,
        num_heads=args.take_count("num_heads"),
        mlp_dim=args.take_count("mlp_dim"),
        token_learner=_token_learner(
            tokenizer=args.take("tokenizer_type", "patch"),
            num_tokens=args.take("num_tokens", 8),
            loc=args.take("tokenlearner_loc", 12),
            use_v11=args.take("use_v11", True),
            fuser=fuser,
            depth=depth,
            temporal_dimensions=args.take("temporal_dimensions", 1),
        ),
        embedding_dropout=dropout_rate,
        dropout=dropout_rate,
        attention_dropout=args.take("attention_dropout_rate", _DROPOUT_RATE),
    )
    return Encoder(config, config.grid)


def _fuser_encoder(args: _Arguments, params: Params, _: object) -> nn.Module:
    return _encoder(args, params, _, fuser=True)


def _representation(args: _Arguments, params: Params, image_size: Grid | None) -> nn.Module:
    args.ignore("target_channel_dim", "use_concat_final")  # the official class never reads them
    return _transformer(args, params, image_size, num_classes=0)


def _classifier(args: _Arguments, params: Params, image_size: Grid | None) -> nn.Module:
    return _transformer(
        args,
        params,
        image_size,
        num_classes=args.take("num_classes"),
        classifier=args.take("classifier", "gap"),
        representation_size=args.take("representation_size", None),
    )


def _transformer(
    args: _Arguments, params: Params, image_size: Grid | None, **head: Any
) -> VisionTransformer:
    args.ignore("dtype", "stochastic_depth")  # the networks with TokenLearner drop no blocks
    tokenizer = _Arguments("tokenizer", args.take("tokenizer"))
    tokenizer_type = tokenizer.take("type")
    if tokenizer_type == "video":
        raise ConversionError(f"tokenizer.type is 'video'; {NO_CLIPS}")
    tokenizer.ignore("temporal_encoding_config")  # read for clips only
    patches = _Arguments("tokenizer.patches", tokenizer.take("patches"))
    patch_size = tuple(patches.take("size"))
    if len(patch_size) != 2:
        raise ConversionError(f"tokenizer.patches.size is {patch_size}; it must be (height, width)")
    depth = args.take_count("num_layers", most=_MOST_BLOCKS)
    dropout_rate = args.take("dropout_rate", _DROPOUT_RATE)
    config = VisionTransformerConfig(
        image_size=image_size or _square_image(params, patch_size),
        patch_size=patch_size,
        dim=args.take_count("hidden_size"),
        depth=depth,
        num_heads=args.take_count("num_heads"),
        mlp_dim=args.take_count("mlp_dim"),
        token_learner=_token_learner(
            tokenizer=tokenizer_type,
            num_tokens=tokenizer.take("num_tokens"),
            loc=tokenizer.take("tokenlearner_loc"),
            use_v11=tokenizer.take("use_v11", True),
            fuser=tokenizer.take("use_tokenfuse"),
            depth=depth,
        ),
        embedding_dropout=dropout_rate,
        dropout=dropout_rate,
        attention_dropout=args.take("attention_dropout_rate", _DROPOUT_RATE),
        **head,
    )
    tokenizer.finish()
    patches.finish()
    return VisionTransformer(config)


def _square_image(params: Params, patch_size: tuple[int, int]) -> tuple[int, int]:
    name = "Transformer/posembed_input/pos_embedding"
    positions = _axis(params, name, 1, ndim=3)
    side = math.isqrt(positions)
    if side * side != positions:
        raise ConversionError(
            f"array {name!r}: got {positions} positions, expected a square number, because the "
            "configuration does not tell the image size; pass image_size=(height, width) in pixels"
        )
    return side * patch_size[0], side * patch_size[1]


def _axis(params: Params, name: str, axis: int, *, ndim: int) -> int:
    """Returns a size that only an array tells."""
    if name not in params:
        raise ConversionError(f"missing array {name!r}: got none, expected one of {ndim} axes")
    shape = np.shape(params[name])
    if len(shape) != ndim:
        raise ConversionError(f"array {name!r}: got shape {shape}, expected {ndim} axes")
    return shape[axis]


_Maker = Callable[[_Arguments, Params, Grid | None], nn.Module]
_MAKERS: dict[str, _Maker] = {
    "TokenLearnerModule": _learner,
    "TokenLearnerModuleV11": _learner_v11,
    "TokenFuser": _fuser,
    "Encoder1DBlock": _block,
    "EncoderMod": _encoder,
    "EncoderModFuser": _fuser_encoder,
    "TokenLearnerViT": _classifier,
    "TokenLearnerViTRepresentation": _representation,
}
