"""The two-layer perceptron shared by blocks, mask networks and presets."""

from typing import Literal, get_args

from torch import nn

from tokenlearner.errors import ConfigError
from tokenlearner.modules.dropout import Dropout
from tokenlearner.modules.shapes import Float, Tensor

Activation = Literal["gelu_tanh", "gelu"]
"""`gelu_tanh` is Flax's default (tanh approximation), `gelu` the exact one (Keras, timm)."""


def make_activation(name: Activation) -> nn.Module:
    """Returns the activation module called `name`."""
    if name not in get_args(Activation):
        raise ConfigError(f"activation is {name!r}; it must be one of {get_args(Activation)}")
    return nn.GELU(approximate="tanh" if name == "gelu_tanh" else "none")


class Mlp(nn.Module):
    """Linear, activation, dropout, linear, (activation,) dropout.

    Args:
        in_features: Channels of the input.
        hidden_features: Channels between the two layers.
        out_features: Channels of the output.
        activation: See `Activation`.
        activate_output: Apply the activation after the second layer too, as the Keras example does.
        dropout: Probability, after each layer.
    """

    def __init__(
        self,
        in_features: int,
        hidden_features: int,
        out_features: int,
        *,
        activation: Activation = "gelu_tanh",
        activate_output: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if min(in_features, hidden_features, out_features) < 1:
            raise ConfigError(
                f"an MLP of {in_features}, {hidden_features} and {out_features} channels; all must "
                "be at least 1"
            )
        self.fc1 = nn.Linear(in_features, hidden_features)
        self.activation = make_activation(activation)
        self.fc2 = nn.Linear(hidden_features, out_features)
        self.output_activation = make_activation(activation) if activate_output else nn.Identity()
        self.dropout = Dropout(dropout)
        for layer in (self.fc1, self.fc2):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.normal_(layer.bias, std=1e-6)

    def forward(self, x: Float[Tensor, "*any in"]) -> Float[Tensor, "*any out"]:
        x = self.dropout(self.activation(self.fc1(x)))
        return self.dropout(self.output_activation(self.fc2(x)))
