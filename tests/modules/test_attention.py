"""Attention and the block around it, against the formula written out."""

import pytest
import torch
from einops import rearrange
from torch import Tensor

from tokenlearner.modules import Attention, Block
from tokenlearner.modules.attention import attend


def written_out(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    scores = torch.einsum("bhqd,bhkd->bhqk", query, key) / query.shape[-1] ** 0.5
    return torch.einsum("bhqk,bhkd->bhqd", scores.softmax(dim=-1), value)


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.bfloat16, 2e-2)], ids=str
)
def test_both_kernels_compute_attention(dtype: torch.dtype, tolerance: float) -> None:
    query, key, value = torch.randn(3, 2, 4, 7, 8)
    mixed = attend(query.to(dtype), key.to(dtype), value.to(dtype))
    assert mixed.dtype == dtype
    torch.testing.assert_close(
        mixed.float(), written_out(query, key, value), rtol=tolerance, atol=tolerance
    )


@pytest.mark.parametrize("head_dim", [None, 5])
def test_heads_are_split_and_joined_in_order(head_dim: int | None) -> None:
    attention = Attention(12, 3, head_dim=head_dim)
    torch.nn.init.normal_(attention.qkv.bias)
    x = torch.randn(2, 7, 12)
    heads = rearrange(attention.qkv(x), "b n (part h d) -> part b h n d", part=3, h=3)
    mixed = rearrange(written_out(*heads), "b h n d -> b n (h d)")
    torch.testing.assert_close(attention(x), attention.out(mixed))


def test_block_is_two_residuals_before_which_is_normed() -> None:
    block = Block(12, 3, 20)
    x = torch.randn(2, 7, 12)
    y = x + block.attention(block.norm1(x))
    hidden = torch.nn.functional.gelu(block.mlp.fc1(block.norm2(y)), approximate="tanh")
    torch.testing.assert_close(block(x), y + block.mlp.fc2(hidden))


def test_attention_dropout_acts_in_training_only() -> None:
    attention = Attention(12, 3, attention_dropout=0.5)
    x = torch.randn(2, 7, 12)
    assert not torch.equal(attention(x), attention(x))
    attention.eval()
    assert torch.equal(attention(x), attention(x))
