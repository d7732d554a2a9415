"""TokenFuser: learned tokens written back onto the grid (Ryoo et al., NeurIPS 2021)."""

from typing import Literal, overload

from torch import nn

from tokenlearner.errors import ShapeError
from tokenlearner.modules.dropout import Dropout
from tokenlearner.modules.grids import Grid, check_channels, flatten_grid, square_grid
from tokenlearner.modules.mlp import Activation, Mlp
from tokenlearner.modules.shapes import Tensor
from tokenlearner.modules.token_learner import LAYER_NORM_EPS


class TokenFuser(nn.Module):
    """Writes learned tokens back onto the grid: the way out of a TokenLearner.

    The tokens are mixed with each other, then every position takes a sigmoid-weighted sum of them.
    There is no residual inside; the encoder adds it.

    Args:
        num_tokens: Learned tokens that come in.
        in_channels: Channels of tokens and grid.
        bottleneck_dim: Hidden width of the MLP that draws the weights.
        use_normalization: LayerNorm around the token mixing.
        activation: GELU variant.
        dropout: Probability, inside the MLP and on the result.

    Source: `TokenFuser` of the official code; section 2.3 of the paper. Like there, the token
    mixing starts at zero, so a fresh fuser returns zeros and the block around it starts as the
    identity.
    """

    def __init__(
        self,
        num_tokens: int,
        in_channels: int,
        *,
        bottleneck_dim: int = 64,
        use_normalization: bool = True,
        activation: Activation = "gelu_tanh",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.num_tokens = num_tokens
        self.in_channels = in_channels

        def make_norm() -> nn.Module:
            if not use_normalization:
                return nn.Identity()
            return nn.LayerNorm(in_channels, eps=LAYER_NORM_EPS)

        self.mix_norm1 = make_norm()
        self.mix = nn.Linear(num_tokens, num_tokens)
        self.mix_norm2 = make_norm()
        self.norm = nn.LayerNorm(in_channels, eps=LAYER_NORM_EPS)
        self.masking = Mlp(
            in_channels, bottleneck_dim, num_tokens, activation=activation, dropout=dropout
        )
        self.dropout = Dropout(dropout)
        nn.init.zeros_(self.mix.weight)
        nn.init.zeros_(self.mix.bias)

    @overload
    def forward(
        self,
        tokens: Tensor,
        original: Tensor,
        *,
        grid: Grid | None = ...,
        return_maps: Literal[False] = ...,
    ) -> Tensor: ...
    @overload
    def forward(
        self,
        tokens: Tensor,
        original: Tensor,
        *,
        grid: Grid | None = ...,
        return_maps: Literal[True],
    ) -> tuple[Tensor, Tensor]: ...
    def forward(
        self,
        tokens: Tensor,
        original: Tensor,
        *,
        grid: Grid | None = None,
        return_maps: bool = False,
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Fuses tokens into a grid.

        Args:
            tokens: `[batch, token, dim]`.
            original: The grid the tokens came from, `[batch, position, dim]` or
                `[batch, dim, height, width]`.
            grid: Rows and columns of the positions; needed for the weights where `original` is a
                sequence and no square.
            return_maps: Return the weights as well.

        Returns:
            An update of the grid, in the layout of `original`; with `return_maps`, also the weights
            in 0..1, `[batch, token, height, width]`.

        Raises:
            ShapeError: If the layouts do not fit each other or the module.
        """
        x, grid = flatten_grid(original, grid)
        check_channels(x, self.in_channels)
        wanted = (x.shape[0], self.num_tokens, self.in_channels)
        if tokens.shape != wanted:
            raise ShapeError(f"the tokens are {tuple(tokens.shape)}; wanted {wanted}")
        mixed = self.mix(self.mix_norm1(tokens).transpose(1, 2)).transpose(1, 2)
        weights = self.masking(self.norm(x)).sigmoid()
        fused = self.dropout(weights @ self.mix_norm2(mixed))
        if original.ndim == 4:
            fused = fused.transpose(1, 2).unflatten(2, original.shape[2:])
        if not return_maps:
            return fused
        return fused, weights.transpose(1, 2).unflatten(2, grid or square_grid(x.shape[1]))
