"""Exact counts of the convolutional video network, from its configuration alone."""

from collections.abc import Iterator
from dataclasses import replace

from tokenlearner.efficiency import layers
from tokenlearner.efficiency.flops import Cost, Stage
from tokenlearner.efficiency.operations import Operation, OperationKind, Operations, repeat
from tokenlearner.models.config import TokenLearnerConfig
from tokenlearner.models.conv_video_config import ConvVideoConfig

_Size = tuple[int, int, int]
"""Frames, rows and columns."""


def count_conv_video(
    config: ConvVideoConfig,
    *,
    image_size: tuple[int, int] | None = None,
    num_frames: int | None = None,
) -> Cost:
    """Counts an X(2+1)D network for one clip.

    Tokens are positions in all frames. A block's learner and fuser, which are in the middle of it,
    are stages of their own, before and after the rest of it.

    Args:
        config: The model.
        image_size: Height and width in pixels; by default the model's own.
        num_frames: Frames per clip; by default the model's own.

    Raises:
        ConfigError: If the image or the clip is too small.
    """
    if image_size is not None:
        config = replace(config, image_size=image_size)
    if num_frames is not None:
        config = replace(config, num_frames=num_frames)
    (height, width), channels = config.image_size, config.widths[0]
    size, work = _spatial((config.num_frames, height, width), 3, channels, stride=2)
    work += _temporal(size, channels, kernel=5)
    work += (_norm(size, channels), _each("relu", size, channels))
    stages = [Stage("embedding", "embedding", _positions(size), work)]
    index = 0
    for stage_width, depth in zip(config.widths, config.depths, strict=True):
        for place in range(depth):
            before, size = size, size if place else _halve(size)
            stages += _block(config, index, place, before, size, channels, stage_width)
            channels, index = stage_width, index + 1
    return Cost((*stages, _head(config, size, channels)))


def _block(
    config: ConvVideoConfig,
    index: int,
    place: int,
    before: _Size,
    size: _Size,
    channels: int,
    width: int,
) -> Iterator[Stage]:
    """An inverted bottleneck: number `place` of a stage, from grid `before` to grid `size`."""
    inner, positions = config.inner_width(width), _positions(size)
    learner = config.token_learner if index in config.learner_blocks else None
    work = (*_pointwise(before, channels, inner), _each("relu", before, inner))
    if learner is None:
        _, spatial = _spatial(before, inner, inner, stride=1 if place else 2, groups=inner)
        work += (*spatial, *_temporal(size, inner, kernel=3))
    else:
        if config.spatial_convolution:
            work += _spatial(size, inner, inner)[1]
        tokens = size[0] * learner.num_tokens
        work += _vector_attention(tokens, inner)
        yield Stage(f"learner {index}", "learner", tokens, _learner(learner, inner, size))
    work += (_norm(size, inner),)
    if place % 2 == 0:
        work += _squeeze_excitation(size, inner, config.squeeze_width(inner))
    work += (_each("sigmoid", size, inner), _each("scale", size, inner))  # SiLU
    work += _pointwise(size, inner, width)
    if channels != width or not place:
        work += _pointwise(size, channels, width)  # of the shortcut
    work += (_each("add", size, width), _each("relu", size, width))
    yield Stage(f"block {index}", "block", positions, work)
    if learner is not None:
        fused = _fuser(learner, inner, size)
        yield Stage(f"fuser {index}", "fuser", positions, fused)


def token_bottleneck(learner: TokenLearnerConfig, inner: int, size: _Size) -> tuple[Stage, ...]:
    """Counts `TokenBottleneck` without a spatial convolution, alone on a map.

    Args:
        learner: Its tokens in each frame, and the fuser's hidden width.
        inner: Channels of the map.
        size: Frames, rows and columns of the map.
    """
    tokens = size[0] * learner.num_tokens
    return (
        Stage("learner", "learner", tokens, _learner(learner, inner, size)),
        Stage("vector attention", "block", tokens, _vector_attention(tokens, inner)),
        Stage("fuser", "fuser", _positions(size), _fuser(learner, inner, size)),
    )


def _learner(learner: TokenLearnerConfig, inner: int, size: _Size) -> Operations:
    return repeat(layers.learner(learner, inner, size[1:], "gelu_tanh", num_layers=1), size[0])


def _fuser(learner: TokenLearnerConfig, inner: int, size: _Size) -> Operations:
    one = layers.fuser(learner, inner, size[1] * size[2], "gelu_tanh", linear_maps=False)
    return repeat(one, size[0])


def _vector_attention(tokens: int, width: int) -> Operations:
    """Attention with one value per channel, over the tokens of all frames."""
    return (
        Operation("layer_norm", tokens, width),
        *layers.attention(tokens, width, num_heads=width, inner_dim=width),
        Operation("add", tokens, width),
    )


def _squeeze_excitation(size: _Size, width: int, inner: int) -> Operations:
    return (
        Operation("pool", _positions(size), width),
        *layers.linear(1, width, inner),
        Operation("relu", 1, inner),
        *layers.linear(1, inner, width),
        Operation("sigmoid", 1, width),
        _each("scale", size, width),
    )


def _head(config: ConvVideoConfig, size: _Size, channels: int) -> Stage:
    inner = config.inner_width(channels)
    work = (
        *_pointwise(size, channels, inner),
        _each("relu", size, inner),
        Operation("pool", _positions(size), inner),
        *layers.linear(1, inner, config.head_dim, bias=False),
        Operation("relu", 1, config.head_dim),
        *layers.linear(1, config.head_dim, config.num_classes),
    )
    return Stage("head", "head", 1, work)


def _spatial(
    size: _Size, inputs: int, outputs: int, *, stride: int = 1, groups: int = 1
) -> tuple[_Size, Operations]:
    """A 3x3 convolution of every frame, and the size after it."""
    work = layers.convolution(
        size,
        inputs,
        outputs,
        kernel=(1, 3, 3),
        stride=(1, stride, stride),
        padding=(0, 1, 1),
        groups=groups,
    )
    return _halve(size) if stride == 2 else size, work


def _temporal(size: _Size, width: int, *, kernel: int) -> Operations:
    return layers.convolution(
        size, width, width, kernel=(kernel, 1, 1), padding=(kernel // 2, 0, 0), groups=width
    )


def _pointwise(size: _Size, inputs: int, outputs: int) -> Operations:
    mixed = layers.convolution((_positions(size),), inputs, outputs, kernel=(1,))
    return (*mixed, _norm(size, outputs))


def _norm(size: _Size, width: int) -> Operation:
    return Operation("batch_norm", width, _positions(size))


def _each(kind: OperationKind, size: _Size, width: int) -> Operation:
    return Operation(kind, _positions(size), width)


def _positions(size: _Size) -> int:
    return size[0] * size[1] * size[2]


def _halve(size: _Size) -> _Size:
    return size[0], -(-size[1] // 2), -(-size[2] // 2)
