"""Multiply-accumulate counts of timm's models, by what PyTorch's own formulas say of their parts.

Their blocks are too many kinds for a formula of ours. Each part runs once on tensors without
storage; nothing is computed and the model itself is not touched.
"""

import copy
from collections.abc import Callable
from functools import partial
from itertools import chain
from typing import Any, TypeVar

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from tokenlearner.efficiency.flops import Cost, Stage, count_macs
from tokenlearner.models.timm_vit import TimmVisionTransformer
from tokenlearner.models.vit import VisionTransformer

_Module = TypeVar("_Module", bound=nn.Module)


def count_model(
    model: VisionTransformer | TimmVisionTransformer, *, image_size: tuple[int, int] | None = None
) -> Cost:
    """Counts a model of any kind.

    Args:
        model: Is left as it is.
        image_size: Height and width in pixels; the model's own unless given.
    """
    if isinstance(model, TimmVisionTransformer):
        return count_timm_macs(model, image_size=image_size)
    return count_macs(model.config, image_size=image_size)


def count_timm_macs(
    model: TimmVisionTransformer, *, image_size: tuple[int, int] | None = None
) -> Cost:
    """Counts a vision transformer of timm, by the conventions of `count_macs`.

    A block's tokens include the prefix: the class token is work too.

    Args:
        model: Is left as it is.
        image_size: Height and width in pixels; the model's own unless given.
    """
    config, backbone = model.config, model.backbone
    height, width = image_size or config.image_size
    grid = tuple(backbone.patch_embed.dynamic_feat_size((height, width)))
    positions, num_prefix = grid[0] * grid[1], config.num_prefix_tokens

    def tokens(count: int) -> torch.Tensor:
        return torch.empty(1, count, config.dim, device="meta")

    images = torch.empty(1, 3, height, width, device="meta")
    macs = _count(on_meta(backbone.patch_embed), images)
    stages = [Stage("embedding", "embedding", macs, positions)]
    length, learner = positions, config.token_learner
    of_kind: dict[Any, int] = {}  # blocks of the same shapes cost the same
    for index, block in enumerate(backbone.blocks):
        name = str(index)
        if name in model.learners:
            assert learner is not None
            length = learner.num_tokens
            part = partial(on_meta(model.learners[name]), grid=grid)
            macs = _count(part, tokens(positions))
            stages.append(Stage(f"learner {index}", "learner", macs, length))
        kind = (length, tuple(parameter.shape for parameter in block.parameters()))
        if kind not in of_kind:
            of_kind[kind] = _count(on_meta(block), tokens(num_prefix + length))
        stages.append(Stage(f"block {index}", "block", of_kind[kind], num_prefix + length))
        if name in model.fusers:
            macs = _count(on_meta(model.fusers[name]), tokens(length), tokens(positions))
            length = positions
            stages.append(Stage(f"fuser {index}", "fuser", macs, length))
    bare = on_meta(backbone, without=(backbone.blocks, backbone.patch_embed))
    macs = _count(bare.forward_head, tokens(num_prefix + length))
    if macs:
        stages.append(Stage("head", "head", macs, 1))
    return Cost(tuple(stages))


class _Counter(TorchDispatchMode):
    """Adds up the operations of one thread, where `FlopCounterMode` hooks into all modules."""

    def __init__(self) -> None:
        from torch.utils.flop_counter import flop_registry  # a third of a second

        super().__init__()
        self.formulas = flop_registry
        self.flops = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        formula = self.formulas.get(func.overloadpacket)
        if formula is not None:
            self.flops += formula(*args, **(kwargs or {}), out_val=result)
        return result


def _count(part: Callable[..., Any], *inputs: torch.Tensor) -> int:
    with torch.no_grad(), _Counter() as counter:
        part(*inputs)
    assert counter.flops % 2 == 0, "a multiply-accumulate is two operations"
    return counter.flops // 2


def on_meta(module: _Module, without: tuple[nn.Module, ...] = ()) -> _Module:
    """Returns a copy without storage, in eval mode; parts that nobody runs are left out."""
    memo: dict[int, Any] = {id(part): nn.Identity() for part in without}
    for tensor in chain(module.parameters(), module.buffers()):
        memo[id(tensor)] = torch.empty_like(tensor, device="meta", dtype=torch.float32)
    for parameter in module.parameters():
        memo[id(parameter)] = nn.Parameter(memo[id(parameter)], requires_grad=False)
    return copy.deepcopy(module, memo).eval()
