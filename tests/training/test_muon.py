"""Muon against PyTorch's own, and against the decomposition that it approximates."""

import pytest
import torch

from tokenlearner.training.muon import Muon, orthogonalise

SHAPES = [(6, 4), (4, 6), (5, 5)]


def run(kind: type, settings: dict, *, steps: int = 4) -> list[torch.Tensor]:
    """Returns what becomes of one matrix of each shape under gradients that are always the same."""
    chance = torch.Generator().manual_seed(0)
    matrices = [torch.nn.Parameter(torch.randn(*shape, generator=chance)) for shape in SHAPES]
    optimizer = kind(matrices, lr=0.02, weight_decay=0.1, **settings)
    for _ in range(steps):
        for matrix in matrices:
            matrix.grad = torch.randn(matrix.shape, generator=chance)
        optimizer.step()
    return [matrix.detach() for matrix in matrices]


def test_in_bfloat16_it_is_pytorchs_bit_for_bit() -> None:
    theirs = run(torch.optim.Muon, {"adjust_lr_fn": "match_rms_adamw"})
    for mine, other in zip(run(Muon, {"dtype": torch.bfloat16}), theirs, strict=True):
        assert torch.equal(mine, other)


def test_in_float32_it_differs_by_the_rounding_of_bfloat16() -> None:
    theirs = run(torch.optim.Muon, {"adjust_lr_fn": "match_rms_adamw"})
    for mine, other in zip(run(Muon, {"dtype": torch.float32}), theirs, strict=True):
        assert not torch.equal(mine, other)
        torch.testing.assert_close(mine, other, rtol=0, atol=1e-3)


def test_it_takes_pytorchs_state() -> None:
    matrix = torch.nn.Parameter(torch.eye(3))
    theirs = torch.optim.Muon([matrix], lr=0.02)
    matrix.grad = torch.arange(9.0).view(3, 3)
    theirs.step()
    mine = Muon([matrix], dtype=torch.float32)
    mine.load_state_dict(theirs.state_dict())
    kept = mine.state[matrix]["momentum_buffer"]
    torch.testing.assert_close(kept, 0.05 * torch.arange(9.0).view(3, 3))


@pytest.mark.parametrize("shape", SHAPES)
def test_singular_vectors_stay_and_singular_values_come_near_1(shape: tuple[int, int]) -> None:
    matrix = torch.randn(*shape, generator=torch.Generator().manual_seed(1))
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    turned = left.T @ orthogonalise(matrix) @ right.T  # diagonal, if the vectors are the same
    values = turned.diagonal()
    assert (turned - values.diag()).abs().max() < 1e-5
    assert values.min() > 0.6
    assert values.max() < 1.3


def test_without_a_gradient_nothing_moves_and_a_closure_is_called() -> None:
    matrix = torch.nn.Parameter(torch.eye(2))
    optimizer = Muon([matrix], dtype=torch.float32)
    assert optimizer.step(lambda: 3.0) == 3.0
    assert torch.equal(matrix, torch.eye(2))
