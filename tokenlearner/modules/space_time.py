"""What sits in the middle of the blocks of convolutional video networks."""

from torch import nn

from tokenlearner.modules.attention import Attention
from tokenlearner.modules.shapes import Float, Tensor
from tokenlearner.modules.token_fuser import TokenFuser
from tokenlearner.modules.token_learner import LAYER_NORM_EPS, TokenLearner


def spatial_convolution(
    in_width: int, width: int, *, stride: int = 1, groups: int = 1
) -> nn.Conv3d:
    """Returns a 3x3 convolution of every frame, without bias."""
    return nn.Conv3d(
        in_width,
        width,
        (1, 3, 3),
        stride=(1, stride, stride),
        padding=(0, 1, 1),
        groups=groups,
        bias=False,
    )


class SplitConvolution(nn.Sequential):
    """A 3-D convolution as a spatial one followed by a temporal one.

    Args:
        width: Channels that come in and go out.
        stride: Stride of the spatial convolution.
        groups: Groups of both; with one group per channel, channels are not mixed, as in X3D.
    """

    def __init__(self, width: int, *, stride: int = 1, groups: int = 1) -> None:
        super().__init__(
            spatial_convolution(width, width, stride=stride, groups=groups),
            nn.Conv3d(width, width, (3, 1, 1), padding=(1, 0, 0), groups=groups, bias=False),
        )


class SqueezeExcitation(nn.Module):
    """Scales every channel by a number drawn from the mean of all ("Squeeze-and-Excitation").

    Args:
        width: Channels.
        inner_width: Channels between its two layers.
    """

    def __init__(self, width: int, inner_width: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv3d(width, inner_width, 1)
        self.excite = nn.Conv3d(inner_width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        means = x.mean(dim=(2, 3, 4), keepdim=True)
        return x * self.excite(self.squeeze(means).relu()).sigmoid()


class TokenBottleneck(nn.Module):
    """Learns tokens in every frame, lets those of all frames attend, and fuses them back.

    The attention is the paper's vector transformer: one value per channel instead of one per head,
    which is an attention of as many heads as channels. Figures of the paper that it meets, at width
    432 with 8 tokens: 0.81 M parameters, 2.49 M with the spatial convolution. What was not
    published and is our choice: the norm and the residual of the attention, no MLP after it,
    the fuser of the official code (it mixes a frame's tokens), sum pooling. The paper's 3.4 GFLOPs
    of this module are not met: its products alone are 1.8 (on 64 frames of 8x8 positions, 2 for
    each multiply-accumulate), and what else was counted is not known.

    Args:
        width: Channels.
        num_tokens: Tokens to learn in each frame.
        spatial: A 3x3 convolution first.
        bottleneck_dim: Hidden width of the fuser's MLP.

    Source: arXiv:2106.11297v2, tables 11 and 12.
    """

    def __init__(
        self, width: int, num_tokens: int, *, spatial: bool = True, bottleneck_dim: int = 64
    ) -> None:
        super().__init__()
        self.spatial = spatial_convolution(width, width) if spatial else None
        self.learner = TokenLearner(num_tokens, width, num_layers=1)
        self.norm = nn.LayerNorm(width, eps=LAYER_NORM_EPS)
        self.attention = Attention(width, num_heads=width)
        self.fuser = TokenFuser(num_tokens, width, bottleneck_dim=bottleneck_dim)

    def forward(self, x: Float[Tensor, "batch dim time height width"]) -> tuple[Tensor, ...]:
        """Returns the refined map, and the parts of a `LearnerTrace` and a `FuserTrace`.

        Returns:
            Map, learner maps, tokens before and after the learner, fuser maps and update.
        """
        if self.spatial is not None:
            x = self.spatial(x)
        batch, steps = x.shape[0], x.shape[2]
        frames = x.transpose(1, 2).flatten(0, 1)
        tokens, maps = self.learner(frames, return_maps=True)
        mixed = tokens.unflatten(0, (batch, steps)).flatten(1, 2)
        mixed = mixed + self.attention(self.norm(mixed))
        refined = mixed.unflatten(1, (steps, -1)).flatten(0, 1)
        update, fuser_maps = self.fuser(refined, frames, return_maps=True)
        result = (frames + update).unflatten(0, (batch, steps)).transpose(1, 2)
        before, update = (y.flatten(2).transpose(1, 2) for y in (frames, update))
        parts = (maps, before, tokens, fuser_maps, update)
        return result, *(part.unflatten(0, (batch, steps)) for part in parts)
