"""Pooling image by image gives the numbers of pooling all at once."""

import pytest
import torch

from tests.efficiency.test_packed_linear import Operators, needs_onednn, relative_error
from tokenlearner.efficiency.fast_parts import replace_parts
from tokenlearner.efficiency.fast_pooling import pool_tokens_fast
from tokenlearner.modules import TokenLearner, TokenLearnerV11, pool_tokens
from tokenlearner.modules.token_learner import Pooling

ONEDNN = "mkldnn::_linear_pointwise"


@pytest.mark.parametrize("batch", [0, 1, 3])
@pytest.mark.parametrize(
    ("tokens", "positions", "dim"), [(8, 24 * 23, 768), (1, 1, 1), (8, 196, 64), (700, 55, 64)]
)
def test_numbers(batch: int, tokens: int, positions: int, dim: int) -> None:
    x, maps = torch.randn(batch, positions, dim), torch.rand(batch, tokens, positions)
    found, wanted = pool_tokens_fast(x, maps), pool_tokens(x, maps)
    assert found.shape == wanted.shape
    assert not batch or relative_error(found, wanted) < 1e-6


def test_images_that_lie_in_strides() -> None:
    x = torch.randn(2, 768, 24 * 24).transpose(1, 2)
    maps = torch.rand(2, 24 * 24, 8).transpose(1, 2)
    assert relative_error(pool_tokens_fast(x, maps), pool_tokens(x, maps)) < 1e-6


@needs_onednn
def test_only_large_images_go_one_by_one() -> None:
    for positions, calls in ((24 * 24, 2), (14 * 14, 0)):
        with Operators() as operators:
            pool_tokens_fast(torch.randn(2, positions, 768), torch.rand(2, 8, positions))
        assert operators.names.count(ONEDNN) == calls


@needs_onednn
@pytest.mark.parametrize("pooling", ["sum", "mean", None])
def test_fast_learners_pool_so(pooling: Pooling | None) -> None:
    learner = TokenLearner(8, 768, pooling=pooling) if pooling else TokenLearnerV11(8, 768)
    learner.eval().requires_grad_(False)
    x = torch.randn(2, 24 * 24, 768)
    tokens, maps = learner(x, return_maps=True)
    replace_parts(learner)
    with Operators() as operators:
        found = learner(x, return_maps=True)
    assert operators.names.count(ONEDNN) == 3
    assert relative_error(found[0], tokens) < 1e-5
    assert relative_error(found[1], maps) < 1e-5
