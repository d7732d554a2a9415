"""Counts of timm's models, by what PyTorch says that their parts compute.

Their blocks are too many kinds for a formula of ours. Each part runs once on tensors without
storage; nothing is computed and the model itself is not touched.
"""

import copy
from itertools import chain
from typing import Any, TypeVar

import torch
from torch import nn

from tokenlearner.efficiency import layers
from tokenlearner.efficiency.flops import Cost, Stage
from tokenlearner.efficiency.operations import Operation, Operations
from tokenlearner.efficiency.recorder import record
from tokenlearner.models.timm_vit import TimmVisionTransformer

_Module = TypeVar("_Module", bound=nn.Module)


def count_timm_macs(
    model: TimmVisionTransformer, *, image_size: tuple[int, int] | None = None
) -> Cost:
    """Counts a vision transformer of timm.

    A block's tokens include the prefix: the class token is work too. The few products by which
    rotary position embeddings turn queries and keys are left out.

    Args:
        model: Is left as it is.
        image_size: Height and width in pixels; by default the model's own.

    Raises:
        ShapeError: If the model does not take images of this size.
    """
    config, backbone = model.config, model.backbone
    height, width = image_size or config.image_size
    images = torch.empty(1, 3, height, width, device="meta")
    model.check(images)
    rows, columns = backbone.patch_embed.dynamic_feat_size((height, width))
    positions, num_prefix = rows * columns, config.num_prefix_tokens

    def tokens(count: int) -> torch.Tensor:
        return torch.empty(1, count, config.dim, device="meta")

    work = record(on_meta(backbone.patch_embed), images)
    if backbone.pos_embed is not None:
        work += (Operation("add", backbone.pos_embed.shape[1], config.dim),)
    work += record(on_meta(backbone.norm_pre), tokens(num_prefix + positions))
    stages = [Stage("embedding", "embedding", num_prefix + positions, work)]
    length, learner = positions, config.token_learner
    of_kind: dict[Any, Operations] = {}  # blocks of the same shapes cost the same
    for index, block in enumerate(backbone.blocks):
        name = str(index)
        if name in model.learners:
            assert learner is not None
            length = learner.num_tokens
            work = layers.learner(learner, config.dim, (rows, columns), "gelu_tanh")
            stages.append(Stage(f"learner {index}", "learner", num_prefix + length, work))
        kind = (length, tuple(parameter.shape for parameter in block.parameters()))
        if kind not in of_kind:
            of_kind[kind] = record(on_meta(block), tokens(num_prefix + length))
        stages.append(Stage(f"block {index}", "block", num_prefix + length, of_kind[kind]))
        if name in model.fusers:
            assert learner is not None
            length = positions
            work = layers.fuser(learner, config.dim, positions, "gelu_tanh", linear_maps=False)
            stages.append(Stage(f"fuser {index}", "fuser", num_prefix + length, work))
    bare = on_meta(backbone, without=(backbone.blocks, backbone.patch_embed))
    work = record(bare.norm, tokens(num_prefix + length))
    work += record(bare, tokens(num_prefix + length), method="forward_head")
    if work:
        stages.append(Stage("head", "head", 1, work))
    return Cost(tuple(stages))


def on_meta(module: _Module, without: tuple[nn.Module, ...] = ()) -> _Module:
    """Returns a copy without storage, in eval mode; parts that nobody runs are left out."""
    memo: dict[int, Any] = {id(part): nn.Identity() for part in without}
    for tensor in chain(module.parameters(), module.buffers()):
        memo[id(tensor)] = torch.empty_like(tensor, device="meta", dtype=torch.float32)
    for parameter in module.parameters():
        memo[id(parameter)] = nn.Parameter(memo[id(parameter)], requires_grad=False)
    return copy.deepcopy(module, memo).eval()
