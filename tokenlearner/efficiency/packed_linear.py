"""Linear layers for inference, their weights where the processor wants them.

PyTorch hands float32 products on a CPU to MKL, which is slower than oneDNN on some (see
docs/performance.md). oneDNN packs weights once, computes bfloat16 as well, and applies
the activation while the result is in the cache.
"""

import itertools
from functools import lru_cache
from typing import TypeGuard

import torch
import torch.nn.functional as F
from torch import nn

from tokenlearner.modules.shapes import Float, Tensor

_FEW_WEIGHTS = 1024
"""Calling oneDNN takes 10 µs more than calling MKL, all that could be saved on a smaller layer."""


class PackedLinear(nn.Module):
    """A linear layer and the GELU after it.

    Args:
        weight: `[out, in]`; copied.
        bias: `[out]`; copied.
        activation: Applied to the result.
        dtype: What the product is computed and returned in, whatever comes in.

    Attributes:
        packed: Whether oneDNN computes it; if not, PyTorch's own functions do.
    """

    def __init__(
        self,
        weight: Float[Tensor, "out in"],
        bias: Float[Tensor, " out"] | None,
        activation: nn.GELU | None = None,
        *,
        dtype: torch.dtype,
    ) -> None:
        super().__init__()
        self.dtype = dtype
        self.activation = activation
        on_cpu = weight.device.type == "cpu"
        self.packed = on_cpu and weight.numel() >= _FEW_WEIGHTS and can_pack(dtype)
        weight = weight.detach().to(dtype, copy=True)
        # No buffers: nothing but this layer can read a packed weight.
        self.weight = torch.ops.mkldnn._reorder_linear_weight(weight) if self.packed else weight
        self.bias = None if bias is None else bias.detach().to(dtype, copy=True)

    def forward(self, x: Float[Tensor, "*any in"]) -> Float[Tensor, "*any out"]:
        x = x.to(self.dtype)
        if self.packed:
            return multiply(x, self.weight, self.bias, self.activation)
        y = F.linear(x, self.weight, self.bias)
        return y if self.activation is None else self.activation(y)


class PackedPatches(nn.Module):
    """A convolution whose kernel is its stride, in any number of dimensions, as one product.

    Args:
        conv: Without padding, dilation and groups; is left as it is.
    """

    def __init__(self, conv: nn.Conv2d | nn.Conv3d) -> None:
        super().__init__()
        self.size = conv.kernel_size
        self.linear = PackedLinear(conv.weight.flatten(1), conv.bias, dtype=torch.float32)

    @staticmethod
    def can_replace(conv: nn.Module) -> TypeGuard[nn.Conv2d | nn.Conv3d]:
        """Whether `conv` is of that kind."""
        return (
            isinstance(conv, nn.Conv2d | nn.Conv3d)
            # Some subclasses, such as timm's StdConv2d, standardise their weights first.
            and type(conv).forward in (nn.Conv2d.forward, nn.Conv3d.forward)
            and conv.kernel_size == conv.stride
            and conv.groups == 1
            and not any(conv.padding)
            and set(conv.dilation) == {1}
        )

    def forward(self, x: Float[Tensor, "batch in *size"]) -> Float[Tensor, "batch out *grid"]:
        for axis, size in enumerate(self.size, start=2):
            x = x.unfold(axis, size, size)  # drops an incomplete last patch, as the convolution
        patches = x.movedim(1, 1 + len(self.size)).flatten(1 + len(self.size))
        return self.linear(patches).movedim(-1, 1)


@lru_cache
@torch.autocast("cpu", enabled=False)  # what the caller set for itself is no answer for good
def can_pack(dtype: torch.dtype) -> bool:
    """Whether oneDNN's operators are here, take what they should, and are right to rounding.

    They are PyTorch's own, made for its compiler, and may change with any release.
    """
    generator = torch.Generator().manual_seed(0)
    x, weight, bias = (
        torch.randn(shape, generator=generator).to(dtype) for shape in ((2, 3, 64), (48, 64), (48,))
    )
    try:
        packed = torch.ops.mkldnn._reorder_linear_weight(weight)
        in_columns = weight.T.contiguous().T
        activations = (None, nn.GELU(), nn.GELU(approximate="tanh"))
        for stored, activation in itertools.product((packed, in_columns), activations):
            wanted = F.linear(x.float(), weight.float(), bias.float())
            wanted = wanted if activation is None else activation(wanted)
            error = (multiply(x, stored, bias, activation).float() - wanted).norm()
            if not error <= 2 * torch.finfo(dtype).eps * wanted.norm():
                return False
    except (AttributeError, RuntimeError, TypeError):
        return False
    return True


def multiply(
    x: Float[Tensor, "*any in"],
    weight: Float[Tensor, "out in"],
    bias: Float[Tensor, " out"] | None = None,
    activation: nn.GELU | None = None,
) -> Float[Tensor, "*any out"]:
    """A linear layer by oneDNN, its weight packed or not; only where `can_pack` says so."""
    after, variant = ("none", "") if activation is None else ("gelu", activation.approximate)
    return torch.ops.mkldnn._linear_pointwise(x, weight, bias, after, [], variant)
