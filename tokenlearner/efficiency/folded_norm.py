"""LayerNorm folded into the linear map behind it, where that map is small.

With weight W, bias b, and a norm of scale g and shift s,

    W (g (x - mean) / std + s) + b  =  (V x) / std + (W s + b),    V = W g with centred rows,

because centred rows do not see the mean. So the norm costs a pass that reads the tokens for their
spread, and none that writes them (benchmarks/layers.py says what that brings).
"""

import math

import torch
import torch.nn.functional as F
from torch import nn

from tokenlearner.efficiency.packed_linear import PackedLinear
from tokenlearner.modules.grids import Grid
from tokenlearner.modules.shapes import Float, Tensor


class NormedLinear(nn.Module):
    """A LayerNorm, a linear map and the GELU after it, for inference in float32.

    Args:
        norm: Is left as it is, as `weight` and `bias` are.
        weight: `[out, in]`.
        bias: `[out]`.
        activation: Applied to the result.
    """

    def __init__(
        self,
        norm: nn.LayerNorm,
        weight: Float[Tensor, "out in"],
        bias: Float[Tensor, " out"] | None = None,
        activation: nn.GELU | None = None,
    ) -> None:
        super().__init__()
        with torch.no_grad():
            exact, norm_scale, norm_shift = (  # Apple's GPUs know no float64
                values.cpu().double() for values in (weight, norm.weight, norm.bias)
            )
            scaled = exact * norm_scale
            centred = scaled - scaled.mean(dim=1, keepdim=True)
            shift = exact @ norm_shift
            if bias is not None:
                shift = shift + bias.cpu()
        # The standard deviation is the root of a sum of squares over that of their number.
        root = weight.shape[1] ** 0.5
        folded = (root * centred).float().to(weight.device)
        self.linear = PackedLinear(folded, None, dtype=torch.float32)
        self.shift = shift.float().to(weight.device)
        self.eps = norm.eps
        is_slow = isinstance(activation, nn.GELU) and activation.approximate == "tanh"
        on_cpu = weight.device.type == "cpu"
        self.activation = SigmoidGelu() if is_slow and on_cpu else activation or nn.Identity()

    def forward(self, x: Float[Tensor, "*any in"]) -> Float[Tensor, "*any out"]:
        total = x.sum(dim=-1, keepdim=True)
        norm = torch.linalg.vector_norm(x, dim=-1, keepdim=True)  # torch.var takes three times that
        squares = norm.square_().addcmul_(total, total, value=-1 / x.shape[-1]).clamp_(min=0)
        scale = squares.add_(x.shape[-1] * self.eps).rsqrt_()
        return self.activation(torch.addcmul(self.shift, self.linear(x), scale))


class SigmoidGelu(nn.Module):
    """GELU in its tanh approximation by way of a sigmoid, which PyTorch computes faster on a CPU.

    x (1 + tanh(z)) / 2  =  x sigmoid(2 z),    2 z = x (a + b x^2)
    """

    def __init__(self) -> None:
        super().__init__()
        double = 2 * (2 / math.pi) ** 0.5
        self.a, self.b = torch.tensor(double), 0.044715 * double

    def forward(self, x: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
        return torch.addcmul(self.a, x, x, value=self.b).mul_(x).sigmoid_().mul_(x)


class NormedConvolution(nn.Module):
    """A LayerNorm over channels and a 3x3 convolution to few channels, without bias.

    One product makes of each cell what it adds to its nine neighbours; folding adds that up. A
    convolution would read every cell nine times.

    Args:
        norm: Is left as it is, as `conv` is.
        conv: 3x3, padding 1.
    """

    def __init__(self, norm: nn.LayerNorm, conv: nn.Conv2d) -> None:
        super().__init__()
        # The cell above a place adds to it by what the kernel's first row holds, so the row that
        # is first for the receiver is last for the giver.
        weight = conv.weight.flip(2, 3).permute(0, 2, 3, 1).flatten(0, 2)
        self.linear = NormedLinear(norm, weight)

    def forward(
        self, x: Float[Tensor, "batch dim height width"]
    ) -> Float[Tensor, "batch token height width"]:
        grid: Grid = (x.shape[2], x.shape[3])
        given = self.linear(x.flatten(2).transpose(1, 2)).transpose(1, 2)
        return F.fold(given, grid, kernel_size=3, padding=1)
