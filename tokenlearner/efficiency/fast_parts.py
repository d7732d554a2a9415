"""Which parts of a model have faster equals, and what they are."""

from functools import partial
from typing import Any

import torch
from torch import nn
from torch.nn.utils import fuse_conv_bn_eval

from tokenlearner.efficiency.fast_pooling import pool_tokens_fast
from tokenlearner.efficiency.folded_norm import NormedConvolution, NormedLinear
from tokenlearner.efficiency.packed_linear import PackedLinear, PackedPatches
from tokenlearner.models import ConvVideoNetwork
from tokenlearner.modules import ConvStem, Mlp, TokenFuser, TokenLearner, TokenLearnerV11
from tokenlearner.modules.shapes import Tensor


def replace_parts(
    module: nn.Module, *, dtype: torch.dtype = torch.float32, in_block: bool = False
) -> None:
    """Replaces parts of a module in eval mode and float32, all the way down, by faster equals.

    The linear layers and the attention of transformer blocks are computed in `dtype`. Everything
    else stays in float32: embedding, norms, residuals, head, and the learners, which draw the maps
    (so all of a convolutional network does, in whose blocks the learners are).

    Args:
        module: Changed in place.
        dtype: Number format of the products in blocks.
        in_block: Whether the module belongs to a transformer block.
    """
    product_dtype = dtype if in_block else torch.float32
    has_transformer_blocks = not isinstance(module, ConvVideoNetwork)
    if isinstance(module, TokenLearnerV11 | TokenFuser):
        _fold_norm_into_mlp(module)
    elif isinstance(module, TokenLearner):
        _fold_norm_into_convolution(module)
    elif isinstance(module, ConvStem):
        _fold_batch_norms(module)
    elif isinstance(module, Mlp):
        _fuse_activation(module, "fc1", "activation", product_dtype)
        _fuse_activation(module, "fc2", "output_activation", product_dtype)
    elif _is_timms(module, "Mlp"):
        _fuse_activation(module, "fc1", "act", product_dtype)
    elif _is_timms(module, "EvaAttention"):
        _join_biases(module)
    if isinstance(module, TokenLearnerV11 | TokenLearner):
        module.pool = partial(_pool, mean=getattr(module, "pooling", "") == "mean")
    if getattr(module, "fused_attn", False):
        _choose_attention(module, product_dtype)
    for name, child in module.named_children():
        if type(child) is nn.Linear:  # a subclass may be more than that
            fast = PackedLinear(child.weight, child.bias, dtype=product_dtype)
            setattr(module, name, fast)
        elif PackedPatches.can_replace(child):
            setattr(module, name, PackedPatches(child))
        elif product_dtype != torch.float32 and hasattr(child, "normalized_shape"):
            setattr(module, name, _Float32Norm(child))
        else:
            child_in_block = in_block or (name == "blocks" and has_transformer_blocks)
            replace_parts(child, dtype=dtype, in_block=child_in_block)


class _Float32Norm(nn.Module):
    """A norm that may follow a product in another dtype, as that of queries and keys does."""

    def __init__(self, norm: nn.Module) -> None:
        super().__init__()
        self.norm = norm

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(x.float()).to(x.dtype)


def _fold_norm_into_mlp(module: Any) -> None:
    mlp = module.masking
    mlp.fc1 = NormedLinear(module.norm, mlp.fc1.weight, mlp.fc1.bias, mlp.activation)
    mlp.activation = module.norm = nn.Identity()


def _fold_norm_into_convolution(module: Any) -> None:
    module.convs[0] = NormedConvolution(module.norm, module.convs[0])
    module.norm = nn.Identity()


def _pool(x: Tensor, maps: Tensor, *, mean: bool) -> Tensor:
    return pool_tokens_fast(x, maps / x.shape[1] if mean else maps)


def _fold_batch_norms(stem: Any) -> None:
    for index, norm in enumerate(stem):
        if isinstance(norm, nn.BatchNorm2d):
            stem[index - 1] = fuse_conv_bn_eval(stem[index - 1], norm)
            stem[index] = nn.Identity()


def _fuse_activation(mlp: nn.Module, layer: str, activation: str, dtype: torch.dtype) -> None:
    linear, gelu = getattr(mlp, layer), getattr(mlp, activation)
    if type(linear) is nn.Linear and type(gelu) is nn.GELU:
        setattr(mlp, layer, PackedLinear(linear.weight, linear.bias, gelu, dtype=dtype))
        setattr(mlp, activation, nn.Identity())


def _join_biases(attention: Any) -> None:
    """Gives timm's Eva, which keeps the biases apart and adds them itself, a usual layer."""
    if attention.q_bias is not None:
        biases = (attention.q_bias, attention.k_bias, attention.v_bias)
        attention.qkv.bias = nn.Parameter(torch.cat(biases), requires_grad=False)
        attention.q_bias = None


def _choose_attention(attention: Any, dtype: torch.dtype) -> None:
    """Makes timm's choice that of `modules.attention.attend`."""
    on_cpu = next(attention.parameters()).device.type == "cpu"
    attention.fused_attn = not (on_cpu and dtype == torch.bfloat16)


def _is_timms(module: nn.Module, name: str) -> bool:
    kind = type(module)
    return kind.__name__ == name and kind.__module__.startswith("timm.")
