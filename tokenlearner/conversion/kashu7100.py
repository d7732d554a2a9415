"""What Kashu7100's port computes, as modules of ours.

Kashu7100/TokenLearner names its parts after the official code but computes something else: it
normalises all positions and channels of a sample together, takes the exact GELU, and its version
1.1 reads the logits `[position, token]` as if they were `[token, position]`. Its weights therefore
answer alike only in the two modules below, and those of others only in `tokenlearner.modules`.

Source: github.com/Kashu7100/TokenLearner, commit f4b7ee2.
"""

import torch.nn.functional as F
from torch import nn

from tokenlearner.modules import TokenLearner, TokenLearnerV11
from tokenlearner.modules.grids import Grid
from tokenlearner.modules.shapes import Float, Tensor
from tokenlearner.modules.token_learner import LAYER_NORM_EPS, Pooling


class SampleNorm(nn.LayerNorm):
    """Normalises all positions and channels of a sample together; scale and shift per channel."""

    def forward(
        self, input: Float[Tensor, "batch position dim"]
    ) -> Float[Tensor, "batch position dim"]:
        y = F.group_norm(input.transpose(1, 2), 1, self.weight, self.bias, self.eps)
        return y.transpose(1, 2)


class KashuLearner(TokenLearner):
    """Version 1.0 as Kashu7100 computes it: one norm for all positions, exact GELU."""

    def __init__(self, num_tokens: int, in_channels: int, *, pooling: Pooling = "sum") -> None:
        super().__init__(num_tokens, in_channels, pooling=pooling, activation="gelu")
        self.norm = SampleNorm(in_channels, eps=LAYER_NORM_EPS)


class KashuLearnerV11(TokenLearnerV11):
    """Version 1.1 as Kashu7100 computes it: one norm for all positions, exact GELU, mixed maps.

    The logits, one row per position, are cut into rows of tokens without being transposed: value i
    of map s belongs to position `(s * positions + i) // tokens`, not to position i.
    """

    def __init__(self, num_tokens: int, in_channels: int, *, bottleneck_dim: int = 64) -> None:
        super().__init__(num_tokens, in_channels, bottleneck_dim=bottleneck_dim, activation="gelu")
        self.norm = SampleNorm(in_channels, eps=LAYER_NORM_EPS)

    def attend(
        self, x: Float[Tensor, "batch position dim"], grid: Grid | None
    ) -> Float[Tensor, "batch token position"]:
        logits = self.masking(self.norm(x))
        return logits.reshape(x.shape[0], self.num_tokens, x.shape[1]).softmax(dim=-1)


Learner = KashuLearner | KashuLearnerV11
