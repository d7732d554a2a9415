"""A LayerNorm folded into what follows it gives the same numbers."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tests.efficiency.test_packed_linear import relative_error
from tokenlearner.efficiency.folded_norm import NormedConvolution, NormedLinear, SigmoidGelu


def random_norm(dim: int) -> nn.LayerNorm:
    norm = nn.LayerNorm(dim, eps=1e-6).requires_grad_(False)
    nn.init.normal_(norm.weight, mean=1.0, std=0.3)
    nn.init.normal_(norm.bias)
    return norm


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("activation", [None, nn.GELU(), nn.GELU(approximate="tanh")], ids=str)
def test_linear(activation: nn.GELU | None, bias: bool) -> None:
    norm, linear = random_norm(96), nn.Linear(96, 64, bias=bias).requires_grad_(False)
    folded = NormedLinear(norm, linear.weight, linear.bias, activation)
    x = 3 * torch.randn(2, 5, 96) + 1
    wanted = linear(norm(x)) if activation is None else activation(linear(norm(x)))
    assert relative_error(folded(x), wanted) < 1e-6


def test_gelu_by_way_of_a_sigmoid() -> None:
    x = torch.linspace(-12, 12, 10_001)
    exact = F.gelu(x.double(), approximate="tanh").float()
    torch.testing.assert_close(SigmoidGelu()(x), exact, rtol=1e-5, atol=1e-6)
    far = torch.tensor([-1e30, -1e4, 1e4, 1e30, torch.inf])
    assert torch.equal(SigmoidGelu()(far), F.gelu(far, approximate="tanh"))


def test_channels_far_from_zero_cost_little_precision() -> None:
    """The spread is a difference of squares; means of ten spreads are far more than models have."""
    norm, linear = random_norm(96), nn.Linear(96, 64).requires_grad_(False)
    folded = NormedLinear(norm, linear.weight, linear.bias)
    x = torch.randn(2, 5, 96) + 10
    exact = linear.double()(norm.double()(x.double())).float()
    assert relative_error(folded(x), exact) < 1e-5


def test_constant_channels_are_no_division_by_zero() -> None:
    norm, linear = random_norm(96), nn.Linear(96, 64).requires_grad_(False)
    folded = NormedLinear(norm, linear.weight, linear.bias)
    x = torch.full((1, 1, 96), 0.1)
    torch.testing.assert_close(folded(x), linear(norm(x)), rtol=1e-3, atol=1e-2)


@pytest.mark.parametrize("grid", [(4, 7), (1, 5), (6, 6)])
def test_convolution(grid: tuple[int, int]) -> None:
    norm = random_norm(96)
    conv = nn.Conv2d(96, 8, kernel_size=3, padding=1, bias=False).requires_grad_(False)
    x = torch.randn(2, grid[0] * grid[1], 96)
    wanted = conv(norm(x).transpose(1, 2).unflatten(2, grid))
    found = NormedConvolution(norm, conv)(x.transpose(1, 2).unflatten(2, grid))
    assert relative_error(found, wanted) < 1e-6
