"""Pooling for inference: large images one by one.

PyTorch gives the maps of a batch and its images to MKL, which on some CPUs takes twice as long as
oneDNN where tokens are few. oneDNN can be called for one image at a time.
"""

import torch

from tokenlearner.efficiency.packed_linear import can_pack, multiply
from tokenlearner.modules import pool_tokens
from tokenlearner.modules.shapes import Float, Tensor

_MANY_MACS = 2**21
"""Of one image; with fewer, the calls take longer than what they save."""


def pool_tokens_fast(
    x: Float[Tensor, "batch position dim"], maps: Float[Tensor, "batch token position"]
) -> Float[Tensor, "batch token dim"]:
    """Does what `modules.pool_tokens` does, to rounding."""
    is_large = maps.shape[1] * x.shape[1] * x.shape[2] >= _MANY_MACS
    if is_large and len(x) and x.device.type == "cpu" and can_pack(x.dtype):
        return torch.stack([multiply(row, image.T) for row, image in zip(maps, x, strict=True)])
    return pool_tokens(x, maps)
