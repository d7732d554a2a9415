"""Muon, in the arithmetic that the device has."""

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch.optim import Optimizer

from tokenlearner.modules.shapes import Float, Tensor

_QUINTIC = (3.4445, -4.7750, 2.0315)
_NUM_ITERATIONS = 5
_MOMENTUM = 0.95


class Muon(Optimizer):
    """Moves matrices by the orthogonalised Nesterov momentum of their gradients.

    It is `torch.optim.Muon` with `adjust_lr_fn="match_rms_adamw"`, and takes its state. That one
    always orthogonalises in bfloat16, which a CPU without such instructions emulates so slowly that
    it can take about as long as the rest of a step.

    Args:
        params: Matrices, or groups of them that may have `lr` and `weight_decay`.
        dtype: In which to orthogonalise: bfloat16 where the device computes it, else float32.
        lr: Learning rate on AdamW's scale.
        weight_decay: As AdamW's.

    Source: https://kellerjordan.github.io/posts/muon; the rate's scale is that of "Muon is Scalable
    for LLM Training" (Liu et al., 2025).
    """

    def __init__(
        self,
        params: Iterable[Any],
        *,
        dtype: torch.dtype,
        lr: float = 1e-3,
        weight_decay: float = 0.1,
    ) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay})
        self._dtype = dtype

    @torch.no_grad()
    def step(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, closure: Callable[[], float] | None = None
    ) -> float | None:
        """Changes the matrices once.

        Args:
            closure: Computes the loss again, with gradients; None if they are there.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for matrix in group["params"]:
                if matrix.grad is not None:
                    self._move(matrix, matrix.grad, group["lr"], group["weight_decay"])
        return loss

    def _move(self, matrix: Tensor, gradient: Tensor, rate: float, decay: float) -> None:
        state = self.state[matrix]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(matrix)
        momentum = state["momentum_buffer"].lerp_(gradient, 1 - _MOMENTUM)
        update = orthogonalise(gradient.lerp(momentum, _MOMENTUM).to(self._dtype))
        matrix.mul_(1 - rate * decay)
        matrix.add_(update, alpha=-0.2 * math.sqrt(max(matrix.shape)) * rate)


def orthogonalise(matrix: Float[Tensor, "rows columns"]) -> Float[Tensor, "rows columns"]:
    """Returns the nearest matrix whose singular values are 1, roughly: most are 0.7 to 1.2.

    Five Newton-Schulz iterations with the coefficients of Keller Jordan's post.
    """
    a, b, c = _QUINTIC
    is_tall = matrix.shape[0] > matrix.shape[1]
    wide = matrix.T if is_tall else matrix
    wide = wide / wide.norm().clamp(min=1e-7)
    for _ in range(_NUM_ITERATIONS):
        gram = wide @ wide.T
        polynomial = torch.addmm(gram, gram, gram, beta=b, alpha=c)
        wide = torch.addmm(wide, polynomial, wide, beta=a)
    return wide.T if is_tall else wide
