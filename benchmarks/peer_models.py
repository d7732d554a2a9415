"""Whole models on one backbone of timm: plain, with TokenLearner, and with ToMe's token merging."""

import copy
import importlib
from typing import Any

import timm
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.peer_modules import OURS, PEERS, Entry, Run, add_to_path
from tokenlearner.efficiency import count_model, optimise
from tokenlearner.models import TimmVisionTransformer, insert_token_learner

_NAME, _BATCH = "vit_base_patch16_224", 8
_MERGED = 16


def find_models() -> list[Entry]:
    """Returns the models, the plain one first; accuracy is not compared."""
    images = torch.randn(_BATCH, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    backbone: Any = timm.create_model(_NAME).eval()
    plain = TimmVisionTransformer(copy.deepcopy(backbone))
    learner = insert_token_learner(copy.deepcopy(backbone), num_tokens=8, at=6).eval()
    ratio = count_model(plain).macs / count_model(learner).macs
    entries = []
    for model, who, macs_ratio in ((plain, "no reduction", 1.0), (learner, OURS, ratio)):
        ways: dict[str, Any] = {
            "eager": model,
            "optimised": optimise(model),
            "optimised bf16": optimise(model, dtype=torch.bfloat16),
        }
        for how, fast in ways.items():
            entries.append(_entry(who, how, _run(fast, images), macs_ratio))
    try:
        add_to_path(PEERS / "ToMe")
        tome: Any = importlib.import_module("tome")
    except (ImportError, FileNotFoundError) as error:
        print(f"left out: ToMe ({error})")
        return entries
    tome.patch.timm(backbone)
    backbone.r = _MERGED
    run = _run(backbone, images)
    with FlopCounterMode(display=False) as counter:
        run()
    # Its attention is not fused, so the counter sees all of it.
    ratio = count_model(plain).macs * 2 * _BATCH / counter.get_total_flops()
    return [*entries, _entry("facebookresearch/ToMe, r=16", "eager", run, ratio)]


def _entry(who: str, how: str, run: Run, macs_ratio: float) -> Entry:
    return Entry(
        part="model",
        who=who,
        how=how,
        forward=run,
        same_work=who == OURS,
        macs_ratio=round(macs_ratio, 4),
    )


def _run(model: Any, images: torch.Tensor) -> Run:
    def run() -> object:
        with torch.no_grad():
            return model(images)

    return run
