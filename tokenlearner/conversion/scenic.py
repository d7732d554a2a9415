"""Weights of the official JAX/Flax implementation in our modules, and back.

    model = build(config, params)          # config: {"kind": ..., "args": {...}}
    params = to_scenic(model)              # the same arrays, bit for bit

Needs no JAX: parameters are NumPy arrays in a flat dict, nested Flax names joined by `/`.

Source: google-research/scenic, projects/token_learner and projects/baselines/vit.py.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from tokenlearner.conversion.keys import list_keys
from tokenlearner.conversion.scenic_arguments import Inputs, Params
from tokenlearner.conversion.scenic_config import make_module
from tokenlearner.errors import ConversionError
from tokenlearner.models import Encoder, VideoVisionTransformer, VideoVisionTransformerConfig
from tokenlearner.modules import (
    Attention,
    Mlp,
    TokenFuser,
    TokenLearner,
    TokenLearnerGrouped,
    TokenLearnerV11,
)

_MOST_PROBLEMS_TOLD = 8


def build(
    config: Mapping[str, Any],
    params: Params,
    *,
    image_size: tuple[int, int] | None = None,
    num_frames: int | None = None,
) -> nn.Module:
    """Builds a module of ours with official weights, in evaluation mode.

    | kind                          | module            | takes                                  |
    |-------------------------------|-------------------|----------------------------------------|
    | TokenLearnerModule            | TokenLearner      | `[B, N, C]` or `[B, C, H, W]`          |
    | TokenLearnerModuleV11         | TokenLearnerV11   | `[B, N, C]` or `[B, C, H, W]`          |
    | TokenFuser                    | TokenFuser        | `[B, S, C]`, and either of these       |
    | Encoder1DBlock                | Block             | `[B, N, C]`                            |
    | EncoderMod, EncoderModFuser   | Encoder           | `[B, N, C]`                            |
    | TokenLearnerViT               | VisionTransformer | `[B, 3, H, W]`, returns logits         |
    | TokenLearnerViTRepresentation | VisionTransformer | `[B, 3, H, W]`, returns encoded tokens |

    The last two become a VideoVisionTransformer, which takes `[B, 3, T, H, W]`, where the tokenizer
    is `video` or the inputs are known to be clips.

    Version 1.0 inside an encoder takes any grid for a square one, as the official code does
    (`fold_to_square`): weights trained that way need it. A bare encoder knows no image; its grid
    is the square of its positions in a time step, or one row where there is none.

    Args:
        config: `kind`, the official class; `args`, its constructor's arguments; optionally
            `input_shapes`, whose `inputs` (channels last) tell the image size and the number of
            frames.
        params: The official float32 arrays, unchanged.
        image_size: Height and width in pixels that a vision transformer's weights are for. By
            default `input_shapes` tells; without either the patch grid must be a square.
        num_frames: Frames of the clips that they are for, likewise; None for images.

    Raises:
        ConversionError: If an argument or array is unknown, missing or of the wrong shape or
            type, or if nothing tells how many frames a clip has. The message names it.
        ConfigError: If the arguments describe no model at all.
    """
    with torch.device("meta"):  # no random numbers are drawn: every parameter is written below
        module = make_module(config, params, Inputs(image_size=image_size, num_frames=num_frames))
    module.to_empty(device="cpu")
    load(module, params)
    return module.eval()


def load(module: nn.Module, params: Params) -> None:
    """Writes official weights into a module of ours.

    Raises:
        ConversionError: If an array is unknown, missing or of the wrong shape or type; nothing is
            written then.
    """
    keys = list_keys(module)
    problems = [
        f"unknown array {name!r}: got shape {np.shape(params[name])}, expected no such array"
        for name in sorted(params.keys() - keys.keys())
    ]
    for name, key in keys.items():
        if name not in params:
            problems.append(f"missing array {name!r}: got none, expected shape {key.shape}")
            continue
        array = np.asarray(params[name])
        if array.shape != key.shape:
            problems.append(f"array {name!r}: got shape {array.shape}, expected {key.shape}")
        elif array.dtype != np.float32:
            problems.append(f"array {name!r}: got {array.dtype}, expected float32")
    if problems:
        told = problems[:_MOST_PROBLEMS_TOLD]
        if more := len(problems) - len(told):
            told.append(f"and {more} more")
        raise ConversionError(
            "the weights do not fit the configuration; check its arguments and the image size:\n- "
            + "\n- ".join(told)
        )
    state = module.state_dict()
    for name, key in keys.items():
        key.write(state[key.ours], params[name])


def to_scenic(module: nn.Module) -> dict[str, np.ndarray]:
    """Returns the weights of a module of ours as the official code names and lays them out.

    Returns:
        Flat dict of float32 arrays, which `build` turns into `module` again.

    Raises:
        ConversionError: If the official code cannot compute what `module` does.
    """
    keys = list_keys(module)
    if differences := list(_differences(module)):
        raise ConversionError(f"the official code cannot do this: {'; '.join(differences)}")
    state = module.state_dict()
    return {name: key.read(state[key.ours]) for name, key in keys.items()}


def _differences(module: nn.Module) -> Iterator[str]:
    """Yields what `module` computes in a way that no official configuration describes."""
    parts = list(module.modules())
    if any(isinstance(part, nn.GELU) and part.approximate != "tanh" for part in parts):
        yield "an exact GELU (activation='gelu')"
    for part in parts:
        match part:
            case Mlp() if not isinstance(part.output_activation, nn.Identity):
                yield "an activation after the last layer of an MLP"
            case Attention() if part.out.in_features != part.out.out_features:
                yield "attention wider than its tokens (head_dim)"
            case TokenLearner() if len(part.convs) != 4:
                yield f"version 1.0 with num_layers={len(part.convs)}"
            case Encoder():
                yield from _encoder_differences(part)
            case VideoVisionTransformer():
                yield from _clip_differences(part.config)


def _clip_differences(config: VideoVisionTransformerConfig) -> Iterator[str]:
    if config.sampled_frames is not None and not config.stack_frames:
        yield "sampling frames without stacking them (stack_frames=False)"
    if config.stack_frames and config.num_classes == 0:
        yield "stacking frames without a head"
    if config.tubelet_frames > 1 and (config.num_classes == 0 or config.sampled_frames is not None):
        yield "tubelets without a head or of sampled frames"


def _encoder_differences(encoder: Encoder) -> Iterator[str]:
    rows, columns = encoder.grid
    for learner in encoder.learners.values():
        match learner:
            case TokenLearner():
                if learner.pooling != "sum":
                    yield "mean pooling in an encoder's learner"
                if rows != columns and not learner.fold_to_square:
                    yield f"version 1.0 on a {rows}x{columns} grid that is not folded to a square"
            case TokenLearnerGrouped():
                yield "a learner of version 'grouped', which is the Keras example's"
            case TokenLearnerV11() if learner.masking.fc1.out_features != 64:
                yield "a bottleneck_dim other than 64 in an encoder's learner"
    for fuser in encoder.fusers.values():
        if isinstance(fuser, TokenFuser) and fuser.masking.fc1.out_features != 64:
            yield "a bottleneck_dim other than 64 in an encoder's fuser"
