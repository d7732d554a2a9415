"""The pre-norm transformer block."""

from torch import nn

from tokenlearner.modules.attention import Attention
from tokenlearner.modules.mlp import Activation, Mlp
from tokenlearner.modules.shapes import Float, Tensor
from tokenlearner.modules.token_learner import LAYER_NORM_EPS


class Block(nn.Module):
    """Self-attention, then an MLP, each on normalised tokens and with a residual.

    Args:
        dim: Channels of the tokens.
        num_heads: Attention heads.
        mlp_dim: Hidden width of the MLP.
        head_dim: Channels of a head; `dim / num_heads` unless given.
        activation: GELU variant of the MLP.
        mlp_activates_output: Activation after both layers of the MLP (the Keras example).
        dropout: Probability, after the attention's projection and after both layers of the MLP.
        attention_dropout: Probability, on the attention weights.

    Source: `Encoder1DBlock` of google-research/scenic.
    """

    def __init__(
        self,
        dim: int,
        num_heads: int,
        mlp_dim: int,
        *,
        head_dim: int | None = None,
        activation: Activation = "gelu_tanh",
        mlp_activates_output: bool = False,
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=LAYER_NORM_EPS)
        self.attention = Attention(
            dim,
            num_heads,
            head_dim=head_dim,
            dropout=dropout,
            attention_dropout=attention_dropout,
        )
        self.norm2 = nn.LayerNorm(dim, eps=LAYER_NORM_EPS)
        self.mlp = Mlp(
            dim,
            mlp_dim,
            dim,
            activation=activation,
            activate_output=mlp_activates_output,
            dropout=dropout,
        )

    def forward(self, x: Float[Tensor, "batch length dim"]) -> Float[Tensor, "batch length dim"]:
        x = x + self.attention(self.norm1(x))
        return x + self.mlp(self.norm2(x))
