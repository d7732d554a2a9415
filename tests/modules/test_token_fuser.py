"""What the fuser writes, and where."""

import pytest
import torch
from einops import rearrange

from tokenlearner.errors import ShapeError
from tokenlearner.modules import TokenFuser

ROWS, COLUMNS, CHANNELS, TOKENS = 3, 5, 8, 2


def random_fuser(*, use_normalization: bool = True) -> TokenFuser:
    fuser = TokenFuser(TOKENS, CHANNELS, use_normalization=use_normalization)
    torch.nn.init.normal_(fuser.mix.weight)
    return fuser


@pytest.mark.parametrize("use_normalization", [True, False])
def test_fresh_fuser_returns_zeros(use_normalization: bool) -> None:
    fuser = TokenFuser(TOKENS, CHANNELS, use_normalization=use_normalization)
    update = fuser(torch.randn(2, TOKENS, CHANNELS), torch.randn(2, CHANNELS, ROWS, COLUMNS))
    assert update.shape == (2, CHANNELS, ROWS, COLUMNS)
    assert not update.any()


@torch.no_grad()
def test_marked_cells_receive_their_token_and_others_nothing() -> None:
    fuser = TokenFuser(TOKENS, CHANNELS, bottleneck_dim=TOKENS, use_normalization=False)
    fuser.mix.weight.copy_(torch.tensor([[0.0, 1.0], [3.0, 0.0]]))  # token 0 becomes old token 1
    for layer in (fuser.masking.fc1, fuser.masking.fc2):
        layer.weight.zero_()
        layer.bias.zero_()
    fuser.masking.fc1.weight[:, :TOKENS] = torch.eye(TOKENS)
    fuser.masking.fc2.weight.copy_(1000 * torch.eye(TOKENS))
    fuser.masking.fc2.bias.fill_(-100)
    original = torch.zeros(1, CHANNELS, ROWS, COLUMNS)
    original[:, 2] = 1.0
    for token, (row, column) in enumerate([(0, 4), (2, 1)]):
        original[0, :, row, column] = torch.eye(CHANNELS)[token]
    tokens = torch.randn(1, TOKENS, CHANNELS)

    update, maps = fuser(tokens, original, return_maps=True)

    expected = torch.zeros_like(original)
    expected[0, :, 0, 4] = tokens[0, 1]
    expected[0, :, 2, 1] = 3 * tokens[0, 0]
    torch.testing.assert_close(update, expected)
    assert maps.round().nonzero().tolist() == [[0, 0, 0, 4], [0, 1, 2, 1]]


def test_feature_map_and_tokens_agree() -> None:
    fuser = random_fuser()
    tokens, original = torch.randn(2, TOKENS, CHANNELS), torch.randn(2, CHANNELS, ROWS, COLUMNS)
    update, maps = fuser(tokens, original, return_maps=True)
    flat = rearrange(original, "b c h w -> b (h w) c")
    flat_update, flat_maps = fuser(tokens, flat, grid=(ROWS, COLUMNS), return_maps=True)
    torch.testing.assert_close(flat_update, rearrange(update, "b c h w -> b (h w) c"))
    torch.testing.assert_close(flat_maps, maps)
    torch.testing.assert_close(fuser(tokens, original), update)


@torch.no_grad()
def test_update_is_a_weighted_sum_of_the_same_tokens_everywhere() -> None:
    fuser = random_fuser()
    update, maps = fuser(
        torch.randn(2, TOKENS, CHANNELS), torch.randn(2, CHANNELS, ROWS, COLUMNS), return_maps=True
    )
    assert 0.0 < float(maps.min()) < float(maps.max()) < 1.0
    flat = rearrange(update, "b c h w -> b (h w) c")
    assert torch.linalg.matrix_rank(flat, rtol=1e-4).tolist() == [TOKENS, TOKENS]


def test_bias_of_the_mixing_is_inert_only_with_normalization() -> None:
    tokens, original = torch.randn(2, TOKENS, CHANNELS), torch.randn(2, 15, CHANNELS)
    for use_normalization in (True, False):
        fuser = random_fuser(use_normalization=use_normalization)
        before = fuser(tokens, original)
        torch.nn.init.constant_(fuser.mix.bias, 2.0)
        same = torch.allclose(fuser(tokens, original), before, rtol=1e-4, atol=1e-4)
        assert same == use_normalization


def test_tokens_that_do_not_fit_are_an_error() -> None:
    message = r"the tokens are \(2, 3, 8\); wanted \(2, 2, 8\)"
    with pytest.raises(ShapeError, match=message):
        random_fuser()(torch.randn(2, 3, 8), torch.randn(2, 15, 8))
    with pytest.raises(ShapeError, match="have 7 channels, but the module was made for 8"):
        random_fuser()(torch.randn(2, 2, 8), torch.randn(2, 15, 7))
    with pytest.raises(ShapeError, match=r"15 positions are not a square grid; pass grid=\(rows"):
        random_fuser()(torch.randn(2, 2, 8), torch.randn(2, 15, 8), return_maps=True)
