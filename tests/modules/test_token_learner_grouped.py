"""The learner with grouped convolutions, by hand and against PyTorch's own on feature maps."""

import pytest
import torch
from einops import rearrange
from torch import nn

from tokenlearner.errors import ConfigError
from tokenlearner.modules import TokenLearnerGrouped


@torch.no_grad()
def test_by_hand() -> None:
    """Two positions of four channels in two groups, and one token."""
    learner = TokenLearnerGrouped(1, 4, groups=2)
    # Output channels 0, 1 see input channels 0, 1; output channels 2, 3 see 2, 3.
    learner.mix.weight.copy_(torch.tensor([[1, 0], [0, 0], [0, 0], [2, 0]]).unsqueeze(-1))
    learner.draw.weight.copy_(torch.tensor([[1, 5, 5, 1]]).unsqueeze(-1))
    learner.values.weight.copy_(torch.tensor([[0, 1], [1, 0], [1, 1], [0, 3]]).unsqueeze(-1))
    x = torch.tensor([[[1.0, -1.0, 1.0, -1.0], [-2.0, 2.0, 2.0, -2.0]]])
    # Normed, the positions are (1, -1, 1, -1) and (-1, 1, 1, -1); mixed (1, 0, 0, 2) and
    # (-1, 0, 0, 2); drawn 3 and 1.
    looked = torch.tensor([3.0, 1.0]).softmax(dim=0)
    values = torch.tensor([[-1.0, 1.0, 0.0, -3.0], [2.0, -2.0, 0.0, -6.0]])
    tokens, maps = learner(x, grid=(1, 2), return_maps=True)
    torch.testing.assert_close(maps, looked.view(1, 1, 1, 2))
    torch.testing.assert_close(tokens, (looked @ values).view(1, 1, 4))


@pytest.mark.parametrize("groups", [1, 2, 4])
@torch.no_grad()
def test_agrees_with_grouped_convolutions_of_feature_maps(groups: int) -> None:
    learner = TokenLearnerGrouped(3, 8, groups=groups)
    mix, values = (nn.Conv2d(8, 8, 1, groups=groups, bias=False) for _ in range(2))
    draw = nn.Conv2d(8, 3, 1, bias=False)
    for conv, ours in ((mix, learner.mix), (draw, learner.draw), (values, learner.values)):
        conv.weight.copy_(ours.weight.unsqueeze(-1))
    x = torch.randn(2, 8, 3, 5)
    normed = nn.functional.layer_norm(rearrange(x, "b c h w -> b h w c"), (8,), eps=1e-6)
    logits = draw(mix(rearrange(normed, "b h w c -> b c h w")))
    maps = logits.flatten(2).softmax(dim=-1)
    expected = torch.einsum("bsn,bcn->bsc", maps, values(x).flatten(2))
    tokens = rearrange(x, "b c h w -> b (h w) c")
    torch.testing.assert_close(learner(tokens, grid=(3, 5)), expected)


@torch.no_grad()
def test_starts_as_keras_does() -> None:
    """Glorot: bounds by channels per group in and all channels out, as Keras counts a kernel."""
    learner = TokenLearnerGrouped(16, 96, groups=4)
    for conv, fan_in, fan_out in (
        (learner.mix, 24, 96),
        (learner.draw, 96, 16),
        (learner.values, 24, 96),
    ):
        bound = (6 / (fan_in + fan_out)) ** 0.5
        assert 0.98 * bound < float(conv.weight.abs().max()) <= bound
        assert float(conv.weight.std()) == pytest.approx(bound / 3**0.5, rel=0.05)
        assert conv.bias is None


@pytest.mark.parametrize("groups", [0, 3, 16])
def test_groups_must_divide_the_channels(groups: int) -> None:
    with pytest.raises(ConfigError, match=f"groups={groups} does not divide in_channels=8"):
        TokenLearnerGrouped(4, 8, groups=groups)
