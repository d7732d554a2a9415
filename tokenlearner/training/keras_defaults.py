"""Random weights as Keras draws them, for recipes of models that were first trained there."""

import math

from torch import nn

from tokenlearner.modules.attention import Attention


def draw_keras_defaults(model: nn.Module) -> None:
    """Draws all kernels anew by Keras' default, Glorot uniform, and sets their biases to 0.

    Keras takes an attention projection as one kernel of all heads and counts its fans as a
    convolution's, so queries, keys and values start several times as small as by Glorot's rule.
    Norms and position embeddings stay as they are.

    Source: `MultiHeadAttention` and `VarianceScaling` of Keras 2.7.
    """
    for module in model.modules():
        if isinstance(module, (nn.Linear, nn.Conv2d, nn.Conv3d)):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    for module in model.modules():
        if isinstance(module, Attention):
            dim, heads, head_dim = module.out.out_features, module.num_heads, module.head_dim
            # Kernels [dim, heads, head_dim] and [heads, head_dim, dim]; all but the last two axes
            # count as a receptive field.
            for weight, fans in (
                (module.qkv.weight, (heads + head_dim) * dim),
                (module.out.weight, (head_dim + dim) * heads),
            ):
                limit = math.sqrt(6 / fans)
                nn.init.uniform_(weight, -limit, limit)
