"""Which optimiser moves which parameter, how far and when."""

import math
import re
from typing import cast

import torch
from torch import nn
from torch.optim import AdamW, Optimizer

from tokenlearner.checkpoints import AnyModel
from tokenlearner.efficiency.machine import has_bfloat16
from tokenlearner.training.muon import Muon
from tokenlearner.training.recipes import Recipe

_BLOCK = re.compile(r"(?:^|\.)blocks\.\d+\.")


def make_optimizers(model: AnyModel, recipe: Recipe) -> list[Optimizer]:
    """Returns AdamW, with Muon before it if the recipe asks for it.

    The groups of parameters keep their peak learning rate as `peak`.
    """
    groups: dict[tuple[bool, float, bool], list[nn.Parameter]] = {}
    scales = {} if recipe.layer_decay is None else layer_scales(model, recipe.layer_decay)
    for name, parameter in model.named_parameters():
        by_muon = recipe.optimizer == "muon" and is_block_matrix(name, parameter)
        is_vector = parameter.ndim <= 1 and not recipe.decay_vectors
        key = (by_muon, scales.get(name, 1.0), is_vector)
        groups.setdefault(key, []).append(parameter)
    settings: dict[bool, list[dict]] = {False: [], True: []}
    for (by_muon, scale, is_vector), parameters in sorted(groups.items(), key=lambda g: g[0]):
        peak = scale * (recipe.muon_learning_rate if by_muon else recipe.learning_rate)
        decay = 0.0 if is_vector else recipe.weight_decay
        group = {"params": parameters, "lr": peak, "peak": peak, "weight_decay": decay}
        settings[by_muon].append(group)
    optimizers: list[Optimizer] = []
    if settings[True]:
        device = settings[True][0]["params"][0].device
        dtype = torch.bfloat16 if has_bfloat16(device) else torch.float32
        optimizers.append(Muon(settings[True], dtype=dtype))
    return [*optimizers, AdamW(settings[False], fused=True)]


def is_block_matrix(name: str, parameter: nn.Parameter) -> bool:
    """Whether a parameter is one of the matrices that Muon trains."""
    return _BLOCK.search(name) is not None and parameter.ndim == 2


def layer_scales(model: AnyModel, decay: float) -> dict[str, float]:
    """Returns the factor on each parameter's learning rate: 1 for the head, less before it.

    The model's `group_matcher` says what belongs to one layer.

    Source: layer-wise decay as in "BEiT" (Bao et al., 2022).
    """
    from timm.models import group_parameters  # takes its time, and torchvision

    layers = cast(dict[str, int], group_parameters(model, model.group_matcher(), reverse=True))
    last = max(layers.values())
    return {name: decay ** (last - layer) for name, layer in layers.items()}


def rate_factor(recipe: Recipe, step: int, steps_per_epoch: int) -> float:
    """Returns the share of the peak learning rates that a zero-based step has.

    Source: `linear` is `constant*linear_warmup*linear_decay` of google-research/scenic, but that
    the warm-up's first step has a rate.
    """
    warmup = recipe.warmup_epochs * steps_per_epoch
    if step < warmup:
        return min(1.0, (step + 1) / warmup)
    if recipe.schedule == "constant":
        return 1.0
    progress = (step - warmup) / max(1, recipe.epochs * steps_per_epoch - warmup)
    share = 1 - progress if recipe.schedule == "linear" else (1 + math.cos(math.pi * progress)) / 2
    end = recipe.end_learning_rate / recipe.learning_rate
    return end + (1 - end) * share


def set_rates(optimizers: list[Optimizer], factor: float) -> None:
    """Sets every group's learning rate to this share of its peak."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = factor * group["peak"]
