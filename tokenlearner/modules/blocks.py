"""The pre-norm transformer block."""

from torch import nn

from tokenlearner.errors import ConfigError
from tokenlearner.modules.attention import Attention
from tokenlearner.modules.dropout import dropout
from tokenlearner.modules.mlp import Activation, Mlp
from tokenlearner.modules.shapes import Float, Tensor
from tokenlearner.modules.token_learner import LAYER_NORM_EPS


def add_branch(
    x: Float[Tensor, "batch length dim"],
    branch: Float[Tensor, "batch length dim"],
    *,
    drop_probability: float = 0.0,
) -> Float[Tensor, "batch length dim"]:
    """Returns x + branch, or x alone for samples drawn with `drop_probability`.

    The branches that are kept are scaled up to keep the mean (stochastic depth, per sample).
    """
    if drop_probability == 0.0:
        return x + branch
    keep = dropout(x.new_ones(len(x), 1, 1), drop_probability, training=True)
    return x + keep * branch


class Block(nn.Module):
    """Self-attention, then an MLP, each on normalised tokens and with a residual.

    Args:
        dim: Channels of the tokens.
        num_heads: Attention heads.
        mlp_dim: Hidden width of the MLP.
        head_dim: Channels of a head; by default `dim / num_heads`.
        activation: GELU variant of the MLP.
        mlp_activates_output: Activation after both layers of the MLP (the Keras example).
        dropout: Probability, after the attention's projection and after both layers of the MLP.
        attention_dropout: Probability, on the attention weights.
        stochastic_depth: Probability that a sample goes past the attention in training, and another
            that it goes past the MLP.

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
        stochastic_depth: float = 0.0,
    ) -> None:
        super().__init__()
        if not 0 <= stochastic_depth < 1:
            raise ConfigError(f"stochastic_depth is {stochastic_depth}; it must be in 0 <= p < 1")
        self.stochastic_depth = stochastic_depth
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
        drop_probability = self.stochastic_depth if self.training else 0.0
        x = add_branch(x, self.attention(self.norm1(x)), drop_probability=drop_probability)
        return add_branch(x, self.mlp(self.norm2(x)), drop_probability=drop_probability)
