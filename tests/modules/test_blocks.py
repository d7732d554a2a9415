"""Stochastic depth: which samples go past a branch, and by how much the others are scaled."""

import pytest
import torch

from tokenlearner.modules import Block
from tokenlearner.modules.blocks import add_branch


def test_a_branch_is_left_out_or_scaled_up_sample_by_sample() -> None:
    x, branch = torch.randn(64, 3, 2), torch.randn(64, 3, 2)
    y = add_branch(x, branch, drop_probability=0.2)
    dropped = (y == x).flatten(1).all(dim=1)
    assert 0 < int(dropped.sum()) < 40
    torch.testing.assert_close(y[~dropped], (x + 1.25 * branch)[~dropped])


def test_share_of_dropped_samples() -> None:
    ones = torch.ones(100_000, 1, 1)
    y = add_branch(torch.zeros_like(ones), ones, drop_probability=0.3)
    # Five standard deviations of a mean of 100,000 draws.
    assert float((y == 0).float().mean()) == pytest.approx(0.3, abs=5 * (0.3 * 0.7 / 1e5) ** 0.5)


def test_draws_follow_the_seed() -> None:
    x = torch.randn(64, 3, 2)
    torch.manual_seed(3)
    first, second = (add_branch(x, x, drop_probability=0.5) for _ in range(2))
    torch.manual_seed(3)
    assert torch.equal(add_branch(x, x, drop_probability=0.5), first)
    assert not torch.equal(first, second)


def test_without_probability_nothing_is_drawn() -> None:
    x, branch = torch.randn(2, 8, 3, 2)
    before = torch.get_rng_state()
    assert torch.equal(add_branch(x, branch), x + branch)
    assert torch.equal(torch.get_rng_state(), before)


def test_gradient_passes_where_a_branch_was_kept() -> None:
    x = torch.zeros(64, 3, 2)
    branch = torch.ones(64, 3, 2, requires_grad=True)
    y = add_branch(x, branch, drop_probability=0.5)
    y.sum().backward()
    torch.testing.assert_close(branch.grad, y.detach())  # 0 or 2


def test_branches_of_half_precision_keep_the_precision_of_the_stream() -> None:
    x, branch = torch.ones(64, 1, 1), torch.full((64, 1, 1), 3.0, dtype=torch.bfloat16)
    y = add_branch(x, branch, drop_probability=0.3)
    assert y.dtype == torch.float32
    torch.testing.assert_close(y.unique(), torch.tensor([1.0, 1 + 3 / 0.7]))


@torch.no_grad()
def test_block_draws_for_each_branch_in_training_only() -> None:
    block = Block(4, 2, 8, stochastic_depth=0.5)
    x = torch.randn(1, 3, 4).expand(256, -1, -1)
    attended = x + 2 * block.attention(block.norm1(x))
    one_of = torch.stack(
        (
            x,
            x + 2 * block.mlp(block.norm2(x)),
            attended,
            attended + 2 * block.mlp(block.norm2(attended)),
        )
    )
    nearest = (block(x) - one_of).abs().amax(dim=(2, 3))
    assert float(nearest.amin(dim=0).max()) < 1e-5
    counts = nearest.argmin(dim=0).bincount(minlength=4)
    assert int(counts.min()) > 256 / 8  # each of the four ways, about a quarter of the samples
    block.eval()
    y = x + block.attention(block.norm1(x))
    torch.testing.assert_close(block(x), y + block.mlp(block.norm2(y)), rtol=0, atol=0)
