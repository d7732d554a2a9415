"""Which module of ours an official configuration describes."""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from torch import nn

from tokenlearner.conversion.scenic_arguments import Arguments, Inputs, Params, axis_of
from tokenlearner.errors import ConversionError
from tokenlearner.models import (
    Encoder,
    TokenLearnerConfig,
    VideoVisionTransformer,
    VideoVisionTransformerConfig,
    VisionTransformer,
    VisionTransformerConfig,
)
from tokenlearner.modules import Block, TokenFuser, TokenLearner, TokenLearnerV11

_MOST_BLOCKS = 1_000  # far more than any model has; building more would fill the memory
_DROPOUT_RATE = 0.1  # the official default of both rates in blocks and encoders


def make_module(config: Mapping[str, Any], params: Params, told: Inputs) -> nn.Module:
    """Returns the module, not yet with its weights; sizes no argument tells come from `params`.

    Raises:
        ConversionError: See `tokenlearner.conversion.scenic.build`.
    """
    kind = config.get("kind")
    if kind not in _MAKERS:
        raise ConversionError(f"kind is {kind!r}; it must be one of {', '.join(_MAKERS)}")
    if "args" not in config:
        raise ConversionError(f"the configuration has no 'args', the arguments of {kind}")
    shape = tuple((config.get("input_shapes") or {}).get("inputs", ()))
    inputs = Inputs(
        image_size=told.image_size or (shape[-3:-1] if len(shape) in (4, 5) else None),
        num_frames=told.num_frames or (shape[1] if len(shape) == 5 else None),
    )
    args = Arguments(kind, config["args"])
    module = _MAKERS[kind](args, params, inputs)
    args.finish()
    return module


def _token_learner(
    *,
    tokenizer: str,
    num_tokens: int,
    loc: int,
    use_v11: bool,
    fuser: bool,
    depth: int,
) -> TokenLearnerConfig | None:
    """Returns where the learners sit; None if there is none, which the official code never says."""
    if tokenizer not in ("patch", "dynamic", "video"):
        raise ConversionError(
            f"the tokenizer is {tokenizer!r}; it must be 'patch', 'dynamic' or 'video'"
        )
    at = max(loc, 0) if fuser else loc  # a fuser wraps every block >= loc, no fuser only block loc
    if tokenizer == "patch" or at not in range(depth):
        return None
    return TokenLearnerConfig(
        num_tokens=num_tokens,
        at=at,
        version="1.1" if use_v11 else "1.0",
        fuser=fuser,
        fold_to_square=not use_v11,
    )


def _learner(args: Arguments, params: Params, _: object) -> nn.Module:
    return TokenLearner(
        args.take("num_tokens"),
        axis_of(params, "LayerNorm_0/scale", 0, ndim=1),
        pooling="sum" if args.take("use_sum_pooling", True) else "mean",
    )


def _learner_v11(args: Arguments, params: Params, _: object) -> nn.Module:
    return TokenLearnerV11(
        args.take("num_tokens"),
        axis_of(params, "LayerNorm_0/scale", 0, ndim=1),
        bottleneck_dim=args.take("bottleneck_dim", 64),
        dropout=args.take("dropout_rate", 0.0),
    )


def _fuser(args: Arguments, params: Params, _: object) -> nn.Module:
    return TokenFuser(
        axis_of(params, "Dense_0/kernel", 0, ndim=2),
        axis_of(params, "LayerNorm_0/scale", 0, ndim=1),
        bottleneck_dim=args.take("bottleneck_dim", 64),
        use_normalization=args.take("use_normalization", True),
        dropout=args.take("dropout_rate", 0.0),
    )


def _block(args: Arguments, params: Params, _: object) -> nn.Module:
    args.ignore("dtype")
    return Block(
        axis_of(params, "LayerNorm_0/scale", 0, ndim=1),
        args.take_count("num_heads"),
        args.take_count("mlp_dim"),
        dropout=args.take("dropout_rate", _DROPOUT_RATE),
        attention_dropout=args.take("attention_dropout_rate", _DROPOUT_RATE),
        stochastic_depth=args.take("stochastic_depth", 0.0),
    )


def _encoder(args: Arguments, params: Params, _: object, *, fuser: bool = False) -> nn.Module:
    args.ignore("dtype")
    depth = args.take_count("num_layers", most=_MOST_BLOCKS)
    steps = args.take("temporal_dimensions", 1)
    positions = _positions(params, "posembed_input/pos_embedding", steps)
    side = math.isqrt(positions)
    dropout_rate = args.take("dropout_rate", _DROPOUT_RATE)
    config = VisionTransformerConfig(
        image_size=(side, side) if side * side == positions else (1, positions),
        patch_size=(1, 1),
        num_classes=0,
        dim=axis_of(params, "posembed_input/pos_embedding", 2, ndim=3),
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
        ),
        embedding_dropout=dropout_rate,
        dropout=dropout_rate,
        attention_dropout=args.take("attention_dropout_rate", _DROPOUT_RATE),
    )
    return Encoder(config, config.grid, steps=None if steps == 1 else steps)


def _fuser_encoder(args: Arguments, params: Params, _: object) -> nn.Module:
    return _encoder(args, params, _, fuser=True)


def _positions(params: Params, name: str, steps: int) -> int:
    """Returns how many positions each time step has."""
    positions = axis_of(params, name, 1, ndim=3)
    if type(steps) is not int or steps < 1 or positions % steps:
        raise ConversionError(f"array {name!r}: {positions} positions cannot be {steps} time steps")
    return positions // steps


def _representation(args: Arguments, params: Params, inputs: Inputs) -> nn.Module:
    """Images, or clips frame by frame, whatever the tokenizer's type."""
    args.ignore("target_channel_dim", "use_concat_final")  # the official class never reads them
    tokenizer = Arguments("tokenizer", args.take("tokenizer"))
    tokenizer.ignore("temporal_encoding_config")  # nor this
    patch_size = _patch_size(tokenizer)
    clips: dict[str, Any] = {}
    if inputs.num_frames is not None:
        clips = {"num_frames": inputs.num_frames, "tubelet_frames": 1}
    return _transformer(args, tokenizer, params, inputs, patch_size, clips, num_classes=0)


def _classifier(args: Arguments, params: Params, inputs: Inputs) -> nn.Module:
    """Images, or clips if the tokenizer's type is `video`."""
    head = {
        "num_classes": args.take("num_classes"),
        "classifier": args.take("classifier", "gap"),
        "representation_size": args.take("representation_size", None),
    }
    tokenizer = Arguments("tokenizer", args.take("tokenizer"))
    kind = tokenizer.peek("type")
    if kind != "video":
        if inputs.num_frames is not None:
            raise ConversionError(
                f"the inputs are clips of {inputs.num_frames} frames, but tokenizer.type is "
                f"{kind!r}; only 'video' takes clips"
            )
        tokenizer.ignore("temporal_encoding_config")  # read for clips only
        return _transformer(args, tokenizer, params, inputs, _patch_size(tokenizer), {}, **head)
    if inputs.num_frames is None:
        raise ConversionError(
            "tokenizer.type is 'video', and the configuration does not say how many frames a clip "
            "has; pass num_frames"
        )
    encoding = Arguments("temporal_encoding_config", tokenizer.take("temporal_encoding_config"))
    method = encoding.take("method")
    clips: dict[str, Any] = {"num_frames": inputs.num_frames}
    if method == "3d_conv":
        encoding.ignore("kernel_init_method")
        *patch_size, clips["tubelet_frames"] = _patch_size(tokenizer, "frames")
    elif method == "temporal_sampling":
        patch_size = _patch_size(tokenizer)
        sampled = encoding.take_count("n_sampled_frames")
        clips |= {"tubelet_frames": 1, "sampled_frames": sampled, "stack_frames": True}
    else:
        raise ConversionError(
            f"temporal_encoding_config.method is {method!r}; it must be '3d_conv' or "
            "'temporal_sampling'"
        )
    encoding.finish()
    return _transformer(args, tokenizer, params, inputs, tuple(patch_size), clips, **head)


def _patch_size(tokenizer: Arguments, *further: str) -> tuple[int, ...]:
    patches = Arguments("tokenizer.patches", tokenizer.take("patches"))
    size, axes = tuple(patches.take("size")), ("height", "width", *further)
    if len(size) != len(axes):
        raise ConversionError(f"tokenizer.patches.size is {size}; it must be ({', '.join(axes)})")
    patches.finish()
    return size


def _transformer(
    args: Arguments,
    tokenizer: Arguments,
    params: Params,
    inputs: Inputs,
    patch_size: tuple[int, ...],
    clips: dict[str, Any],
    **head: Any,
) -> nn.Module:
    args.ignore("dtype", "stochastic_depth")  # the networks with TokenLearner drop no blocks
    depth = args.take_count("num_layers", most=_MOST_BLOCKS)
    dropout_rate = args.take("dropout_rate", _DROPOUT_RATE)
    fields: dict[str, Any] = {
        "image_size": inputs.image_size or patch_size,
        "patch_size": patch_size,
        "dim": args.take_count("hidden_size"),
        "depth": depth,
        "num_heads": args.take_count("num_heads"),
        "mlp_dim": args.take_count("mlp_dim"),
        "token_learner": _token_learner(
            tokenizer=tokenizer.take("type"),
            num_tokens=tokenizer.take("num_tokens"),
            loc=tokenizer.take("tokenlearner_loc"),
            use_v11=tokenizer.take("use_v11", True),
            fuser=tokenizer.take("use_tokenfuse"),
            depth=depth,
        ),
        "embedding_dropout": dropout_rate,
        "dropout": dropout_rate,
        "attention_dropout": args.take("attention_dropout_rate", _DROPOUT_RATE),
        **head,
    }
    tokenizer.finish()
    if clips:
        config = VideoVisionTransformerConfig(**fields, **clips)
        if inputs.image_size is None:
            config = replace(config, image_size=_square_image(params, patch_size, config.steps))
        return VideoVisionTransformer(config)
    config = VisionTransformerConfig(**fields)
    if inputs.image_size is None:
        config = replace(config, image_size=_square_image(params, patch_size, 1))
    return VisionTransformer(config)


def _square_image(params: Params, patch_size: tuple[int, ...], steps: int) -> tuple[int, int]:
    name = "Transformer/posembed_input/pos_embedding"
    positions = _positions(params, name, steps)
    side = math.isqrt(positions)
    if side * side != positions:
        each = " in each time step" if steps > 1 else ""
        raise ConversionError(
            f"array {name!r}: got {positions} positions{each}, expected a square number, because "
            "the configuration does not say the image size; pass image_size=(height, width) in "
            "pixels"
        )
    return side * patch_size[0], side * patch_size[1]


_Maker = Callable[[Arguments, Params, Inputs], nn.Module]
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
