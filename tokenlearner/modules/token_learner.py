"""TokenLearner: a few tokens, each a weighted sum over the grid (Ryoo et al., NeurIPS 2021).

The idea is `pool_tokens`; the classes differ in how they draw the maps. The two official versions
follow google-research/scenic, projects/token_learner, to float32 rounding; the third is that of the
Keras example.
"""

from typing import Literal, get_args, overload

from torch import nn

from tokenlearner.errors import ConfigError, ShapeError
from tokenlearner.modules.grids import Grid, check_channels, flatten_grid, square_grid
from tokenlearner.modules.mlp import Activation, Mlp, make_activation
from tokenlearner.modules.shapes import Float, Tensor

LAYER_NORM_EPS = 1e-6
"""Flax's default, which every published checkpoint was trained with."""

Pooling = Literal["sum", "mean"]


def pool_tokens(
    x: Float[Tensor, "batch position dim"], maps: Float[Tensor, "batch token position"]
) -> Float[Tensor, "batch token dim"]:
    """Returns one token per map: the sum of all positions, weighted by the map."""
    return maps @ x


class _Learner(nn.Module):
    """Layouts and pooling; a version supplies `attend`."""

    version: str

    def __init__(self, num_tokens: int, in_channels: int) -> None:
        super().__init__()
        if num_tokens < 1 or in_channels < 1:
            raise ConfigError(
                f"num_tokens={num_tokens}, in_channels={in_channels}; both must be at least 1"
            )
        self.num_tokens = num_tokens
        self.in_channels = in_channels
        self.norm = nn.LayerNorm(in_channels, eps=LAYER_NORM_EPS)

    def attend(
        self, x: Float[Tensor, "batch position dim"], grid: Grid | None
    ) -> Float[Tensor, "batch token position"]:
        raise NotImplementedError

    def pool(
        self,
        x: Float[Tensor, "batch position dim"],
        maps: Float[Tensor, "batch token position"],
    ) -> Float[Tensor, "batch token dim"]:
        return pool_tokens(x, maps)

    @overload
    def forward(
        self, x: Tensor, *, grid: Grid | None = ..., return_maps: Literal[False] = ...
    ) -> Tensor: ...
    @overload
    def forward(
        self, x: Tensor, *, grid: Grid | None = ..., return_maps: Literal[True]
    ) -> tuple[Tensor, Tensor]: ...
    def forward(
        self, x: Tensor, *, grid: Grid | None = None, return_maps: bool = False
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Learns tokens from a grid.

        Args:
            x: Tokens `[batch, position, dim]` or a feature map `[batch, dim, height, width]`.
            grid: Rows and columns of the positions; needed where `x` is a sequence and no square.
            return_maps: Return the attention maps as well.

        Returns:
            Tokens `[batch, token, dim]`; with `return_maps`, also the maps
            `[batch, token, height, width]`.

        Raises:
            ShapeError: If `x` and `grid` do not fit each other or the module.
        """
        x, grid = flatten_grid(x, grid)
        check_channels(x, self.in_channels)
        maps = self.attend(x, grid)
        tokens = self.pool(x, maps)
        if not return_maps:
            return tokens
        return tokens, maps.unflatten(2, grid or square_grid(x.shape[1]))


class TokenLearner(_Learner):
    """Version 1.0: LayerNorm, four bias-free 3x3 convolutions with GELU between, sigmoid.

    Every map value lies in 0..1 on its own; a map is not a distribution.

    Args:
        num_tokens: Tokens to learn (S in the paper).
        in_channels: Channels of the grid.
        pooling: `sum` over positions (official default) or `mean` (the Keras example).
        num_layers: Convolutions; the paper's convolutional video models have one.
        activation: GELU variant.
        fold_to_square: Treat any grid as a square of side sqrt(position), whatever its real rows
            and columns are, as the official encoder does. Only for checkpoints trained that way.

    Source: `TokenLearnerModule` of the official code; section 2.1 of the paper.
    """

    version = "1.0"

    def __init__(
        self,
        num_tokens: int,
        in_channels: int,
        *,
        pooling: Pooling = "sum",
        num_layers: int = 4,
        activation: Activation = "gelu_tanh",
        fold_to_square: bool = False,
    ) -> None:
        super().__init__(num_tokens, in_channels)
        if num_layers < 1:
            raise ConfigError(f"num_layers is {num_layers}; it must be at least 1")
        if pooling not in get_args(Pooling):
            raise ConfigError(
                f"pooling is {pooling!r}; it must be {' or '.join(map(repr, get_args(Pooling)))}"
            )
        self.pooling = pooling
        self.fold_to_square = fold_to_square
        convs = [
            nn.Conv2d(channels, num_tokens, kernel_size=3, padding=1, bias=False)
            for channels in (in_channels, *[num_tokens] * (num_layers - 1))
        ]
        for conv in convs:
            nn.init.kaiming_normal_(conv.weight, nonlinearity="linear")  # LeCun normal, as Flax
        self.convs = nn.ModuleList(convs)
        self.activation = make_activation(activation)

    def attend(
        self, x: Float[Tensor, "batch position dim"], grid: Grid | None
    ) -> Float[Tensor, "batch token position"]:
        if grid is None:
            grid = square_grid(x.shape[1])
        elif self.fold_to_square:
            grid = _folded(grid)
        y = self.norm(x).transpose(1, 2).unflatten(2, grid)
        for conv in self.convs[:-1]:
            y = self.activation(conv(y))
        return self.convs[-1](y).sigmoid().flatten(2)

    def pool(
        self,
        x: Float[Tensor, "batch position dim"],
        maps: Float[Tensor, "batch token position"],
    ) -> Float[Tensor, "batch token dim"]:
        # Divided first, as the sum may overflow in float16.
        return pool_tokens(x, maps / x.shape[1] if self.pooling == "mean" else maps)


def _folded(grid: Grid) -> Grid:
    """Returns the square with as many cells as a grid."""
    try:
        return square_grid(grid[0] * grid[1])
    except ShapeError as error:
        raise ShapeError(
            "this TokenLearner folds its tokens into a square, as the official one does, and "
            f"{grid[0]} x {grid[1]} cells make none; take an image size that does, such as a "
            "square one"
        ) from error


class TokenLearnerV11(_Learner):
    """Version 1.1: LayerNorm, an MLP per position, softmax over positions.

    Every map sums to 1 over the grid.

    Args:
        num_tokens: Tokens to learn (S in the paper).
        in_channels: Channels of the grid.
        bottleneck_dim: Hidden width of the MLP.
        activation: GELU variant.
        dropout: Probability, inside the MLP (so also on the logits of the maps).

    Source: `TokenLearnerModuleV11` of the official code.
    """

    version = "1.1"

    def __init__(
        self,
        num_tokens: int,
        in_channels: int,
        *,
        bottleneck_dim: int = 64,
        activation: Activation = "gelu_tanh",
        dropout: float = 0.0,
    ) -> None:
        super().__init__(num_tokens, in_channels)
        self.masking = Mlp(
            in_channels, bottleneck_dim, num_tokens, activation=activation, dropout=dropout
        )

    def attend(
        self, x: Float[Tensor, "batch position dim"], grid: Grid | None
    ) -> Float[Tensor, "batch token position"]:
        return self.masking(self.norm(x)).transpose(1, 2).softmax(dim=-1)


class TokenLearnerGrouped(_Learner):
    """The Keras example's own version 1.1: grouped 1x1 convolutions, softmax over positions.

    Every map sums to 1 over the grid. What a map weights is not the grid itself but a second
    grouped convolution of it. No convolution has a bias, and none is followed by an activation.

    Args:
        num_tokens: Tokens to learn (S in the paper).
        in_channels: Channels of the grid.
        groups: Groups of both convolutions that keep the channels; must divide `in_channels`.

    Source: the notebook TokenLearner-V1.1 of github.com/ariG23498/TokenLearner.
    """

    version = "grouped"

    def __init__(self, num_tokens: int, in_channels: int, *, groups: int) -> None:
        super().__init__(num_tokens, in_channels)
        if groups < 1 or in_channels % groups:
            raise ConfigError(f"groups={groups} does not divide in_channels={in_channels}")
        self.mix = nn.Conv1d(in_channels, in_channels, 1, groups=groups, bias=False)
        self.draw = nn.Conv1d(in_channels, num_tokens, 1, bias=False)
        self.values = nn.Conv1d(in_channels, in_channels, 1, groups=groups, bias=False)
        for conv in (self.mix, self.draw, self.values):
            nn.init.xavier_uniform_(conv.weight)

    def attend(
        self, x: Float[Tensor, "batch position dim"], grid: Grid | None
    ) -> Float[Tensor, "batch token position"]:
        return self.draw(self.mix(self.norm(x).transpose(1, 2))).softmax(dim=-1)

    def pool(
        self,
        x: Float[Tensor, "batch position dim"],
        maps: Float[Tensor, "batch token position"],
    ) -> Float[Tensor, "batch token dim"]:
        return pool_tokens(self.values(x.transpose(1, 2)).transpose(1, 2), maps)
