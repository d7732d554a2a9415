"""The operations of each kind of layer, from its sizes alone."""

from functools import lru_cache

from tokenlearner.efficiency.operations import Operation, OperationKind, Operations
from tokenlearner.models.config import TokenLearnerConfig
from tokenlearner.modules.grids import Grid, square_grid
from tokenlearner.modules.mlp import Activation


def linear(rows: int, inputs: int, outputs: int, *, bias: bool = True) -> Operations:
    """A linear layer that maps each of `rows` vectors."""
    return _with_bias(Operation("dense", rows, outputs, inputs), "bias" if bias else None)


def projection(rows: int, inputs: int, outputs: int) -> Operations:
    """A linear layer beside an attention."""
    return _with_bias(Operation("projection", rows, outputs, inputs), "add")


def convolution(
    size: tuple[int, ...],
    inputs: int,
    outputs: int,
    *,
    kernel: tuple[int, ...],
    stride: tuple[int, ...] | None = None,
    padding: tuple[int, ...] | None = None,
    groups: int = 1,
    bias: bool = False,
) -> Operations:
    """A convolution over one, two or three axes.

    Args:
        size: Extent of each axis before it.
        inputs: Channels before it.
        outputs: Channels after it.
        kernel: Extent of the kernel along each axis.
        stride: Step along each axis; by default 1.
        padding: Zeros on both sides of each axis; by default none.
        groups: Groups of channels.
        bias: Whether it has one.
    """
    taps = positions = inside = 1
    for axis, (extent, width) in enumerate(zip(size, kernel, strict=True)):
        step = stride[axis] if stride else 1
        border = padding[axis] if padding else 0
        count = (extent + 2 * border - width) // step + 1
        starts = range(-border, -border + count * step, step)
        inside *= sum(min(start + width, extent) - max(start, 0) for start in starts)
        positions *= count
        taps *= width
    channels = inputs // groups
    padded = (positions * taps - inside) * channels * outputs
    work = Operation("convolution", positions, outputs, taps * channels, padded)
    return _with_bias(work, "bias" if bias else None)


def attention(tokens: int, dim: int, *, num_heads: int, inner_dim: int) -> Operations:
    """Self-attention between `tokens` tokens; `inner_dim` is that of all heads."""
    return (
        *projection(tokens, dim, 3 * inner_dim),
        Operation("scale", tokens, inner_dim),
        Operation("attention", num_heads * tokens, tokens, inner_dim // num_heads),
        Operation("softmax", num_heads * tokens, tokens),
        Operation("attention", tokens, inner_dim, tokens),
        *projection(tokens, inner_dim, dim),
    )


@lru_cache(maxsize=1024)
def block(
    tokens: int,
    dim: int,
    *,
    num_heads: int,
    inner_dim: int,
    mlp_dim: int,
    activation: Activation,
    mlp_activates_output: bool,
) -> Operations:
    """A pre-norm transformer block on `tokens` tokens."""
    last = (Operation(activation, tokens, dim),) if mlp_activates_output else ()
    return (
        Operation("layer_norm", tokens, dim),
        *attention(tokens, dim, num_heads=num_heads, inner_dim=inner_dim),
        Operation("add", tokens, dim),
        Operation("layer_norm", tokens, dim),
        *linear(tokens, dim, mlp_dim),
        Operation(activation, tokens, mlp_dim),
        *linear(tokens, mlp_dim, dim),
        *last,
        Operation("add", tokens, dim),
    )


@lru_cache(maxsize=1024)
def learner(
    config: TokenLearnerConfig,
    dim: int,
    grid: Grid,
    activation: Activation,
    *,
    num_layers: int = 4,
) -> Operations:
    """A TokenLearner on a grid of tokens of `dim` channels.

    Args:
        config: The learner.
        dim: Channels of a token.
        grid: Rows and columns.
        activation: GELU variant.
        num_layers: Convolutions of version 1.0.
    """
    positions, tokens = grid[0] * grid[1], config.num_tokens
    norm = Operation("layer_norm", positions, dim)
    pooling = Operation("weighted_sum", tokens, dim, positions)
    softmax = Operation("softmax", tokens, positions)
    if config.version == "1.0":
        if config.fold_to_square:
            grid = square_grid(positions)
        first = convolution(grid, dim, tokens, kernel=(3, 3), padding=(1, 1))
        later = convolution(grid, tokens, tokens, kernel=(3, 3), padding=(1, 1))
        active = Operation(activation, positions, tokens)
        others = (active, *later) * (num_layers - 1)
        return (norm, *first, *others, Operation("sigmoid", positions, tokens), pooling)
    if config.version == "grouped":
        mix = convolution((positions,), dim, dim, kernel=(1,), groups=config.groups)
        draw = convolution((positions,), dim, tokens, kernel=(1,))
        pooling = Operation("attention", tokens, dim, positions)  # an einsum there
        return (norm, *mix, *draw, softmax, *mix, pooling)
    return (
        norm,
        *linear(positions, dim, config.bottleneck_dim),
        Operation(activation, positions, config.bottleneck_dim),
        *linear(positions, config.bottleneck_dim, tokens),
        softmax,
        pooling,
    )


@lru_cache(maxsize=1024)
def fuser(
    config: TokenLearnerConfig,
    dim: int,
    positions: int,
    activation: Activation,
    *,
    linear_maps: bool,
) -> Operations:
    """A TokenFuser that writes learned tokens back onto `positions` positions.

    Args:
        config: Its learner.
        dim: Channels of a token.
        positions: Number of positions of the grid.
        activation: Activation of the MLP that computes the weights.
        linear_maps: Draw the weights by one linear layer, as the paper says, instead of the
            official code's MLP.
    """
    tokens, hidden = config.num_tokens, config.bottleneck_dim
    weights = linear(positions, dim, tokens)
    if not linear_maps:
        weights = (
            *linear(positions, dim, hidden),
            Operation(activation, positions, hidden),
            *linear(positions, hidden, tokens),
        )
    return (
        Operation("layer_norm", tokens, dim),
        *linear(dim, tokens, tokens),
        Operation("layer_norm", tokens, dim),
        Operation("layer_norm", positions, dim),
        *weights,
        Operation("sigmoid", positions, tokens),
        Operation("weighted_sum", positions, dim, tokens),
        Operation("add", positions, dim),
    )


def _with_bias(work: Operation, kind: OperationKind | None) -> Operations:
    return (work,) if kind is None else (work, Operation(kind, work.rows, work.width))
