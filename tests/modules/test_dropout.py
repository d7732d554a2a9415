"""Dropout drops what it says, keeps the mean, and lets gradients through where it kept."""

import pytest
import torch
from torch import Tensor, nn

from tokenlearner.errors import ConfigError
from tokenlearner.modules.dropout import Dropout, dropout


@pytest.mark.parametrize("probability", [0.1, 0.25, 0.5, 0.9])
def test_probability_is_exact(probability: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of all numbers that 16 random bits can be, the right share drops an element."""

    def every_number_once(self: Tensor, *_: object) -> Tensor:
        numbers = torch.arange(-(2**15), 2**15).to(torch.int16)
        return self.copy_(numbers.view(torch.int64))

    monkeypatch.setattr(Tensor, "random_", every_number_once)
    dropped = dropout(torch.ones(2**16), probability, training=True) == 0
    assert int(dropped.sum()) == round(probability * 2**16)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_share_and_mean(dtype: torch.dtype) -> None:
    x = torch.ones(1000, 1001, dtype=dtype)
    y = Dropout(0.1)(x)
    assert y.dtype == dtype
    assert y.shape == x.shape
    # Five standard deviations of a mean of a million draws.
    assert float((y == 0).float().mean()) == pytest.approx(0.1, abs=5 * (0.1 * 0.9 / 1e6) ** 0.5)
    assert y.unique().tolist() == [0.0, float(torch.tensor(1 / 0.9, dtype=dtype))]


def test_hardly_anything_is_kept() -> None:
    y = Dropout(1 - 1e-6)(torch.ones(1000))
    assert int((y == 0).sum()) > 990


def test_neighbours_are_independent() -> None:
    """Four elements share one draw of 64 bits; none may follow from another."""
    dropped = (Dropout(0.5)(torch.ones(100_000, 4)) == 0).float()
    correlation = torch.corrcoef(dropped.T) - torch.eye(4)
    assert float(correlation.abs().max()) < 0.02


@pytest.mark.parametrize("shape", [(1,), (3,), (5, 1), (2, 3, 7), (0, 4)])
def test_any_number_of_elements(shape: tuple[int, ...]) -> None:
    assert Dropout(0.5)(torch.ones(shape)).shape == shape


def test_draws_follow_the_seed() -> None:
    x = torch.ones(1000)
    torch.manual_seed(3)
    first, second = Dropout(0.5)(x), Dropout(0.5)(x)
    torch.manual_seed(3)
    assert torch.equal(Dropout(0.5)(x), first)
    assert not torch.equal(first, second)


def test_evaluation_changes_nothing() -> None:
    x = torch.randn(10)
    assert Dropout(0.5).eval()(x) is x
    assert Dropout(0.0)(x) is x


def test_gradient_passes_where_elements_were_kept() -> None:
    x = torch.randn(1000, requires_grad=True)
    y = Dropout(0.25)(x)
    y.sum().backward()
    assert x.grad is not None
    torch.testing.assert_close(x.grad, (y != 0) / 0.75)


def test_it_is_known_as_dropout() -> None:
    dropout = Dropout(0.25)
    assert isinstance(dropout, nn.Dropout)
    assert (dropout.p, str(dropout)) == (0.25, "Dropout(p=0.25, inplace=False)")


@pytest.mark.parametrize("probability", [-0.1, 1.0, 1.5])
def test_impossible_probability_is_refused(probability: float) -> None:
    with pytest.raises(ConfigError, match=f"probability is {probability}; it must be in 0 <= p <"):
        Dropout(probability)
