"""Vision transformers of timm that are small enough for tests, one of each kind."""

from typing import Any

import timm
import torch
from torch import nn

from tokenlearner.models import TimmVisionTransformer, TokenLearnerConfig

SMALL: dict[str, Any] = {
    "img_size": (16, 24),
    "patch_size": 8,
    "embed_dim": 16,
    "depth": 4,
    "num_heads": 2,
    "num_classes": 5,
}
PLAIN: dict[str, Any] = {"class_token": False, "global_pool": "avg"}
NUM_POSITIONS = 6

# Name of the architecture and what differs from it.
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "class token": ("vit_tiny_patch16_224", {}),
    "mean": ("vit_tiny_patch16_224", PLAIN),
    "mean and maximum": ("vit_tiny_patch16_224", {"global_pool": "avgmax"}),
    "attention pool": ("vit_base_patch16_siglip_224", {}),
    "no position embedding": ("vit_tiny_patch16_224", {"pos_embed": "none"}),
    "class token without position": ("vit_tiny_patch16_224", {"no_embed_class": True}),
    "CLIP": ("vit_base_patch16_clip_224", {}),
    "distilled DeiT": ("deit_tiny_distilled_patch16_224", {}),
    "DeiT III": ("deit3_small_patch16_224", {}),
    "DINO v2, registers": ("vit_small_patch14_reg4_dinov2", {}),
    "dynamic size": ("vit_tiny_patch16_224", {"dynamic_img_size": True}),
    "norms after": ("vit_base_patch16_rpn_224", {"class_token": True, "global_pool": "token"}),
    "EVA": ("eva_giant_patch14_224", {"mlp_ratio": 2}),
    "EVA-02": ("eva02_tiny_patch14_336", {}),
    "DINO v3": ("vit_small_patch16_dinov3", {}),
    "differential attention": ("vit_dwee_patch16_reg1_gap_256", {}),
    "mixed rotations": ("vit_small_patch16_rope_mixed_224", {}),
}
ROTATED = {"EVA-02", "DINO v3", "mixed rotations"}


def backbone(kind: str = "class token", **changes: Any) -> Any:
    """A model of timm in which no term is hidden by a zero or a tiny scale."""
    name, special = KINDS[kind]
    arguments = {**SMALL, **special, **changes}
    model = timm.create_model(name, **arguments).eval()
    for parameter_name, parameter in model.named_parameters():
        if "norm" not in parameter_name:
            nn.init.normal_(parameter, std=0.2)
    return model


def with_learner(kind: str = "class token", **learner: Any) -> TimmVisionTransformer:
    """The same with a learner of 3 tokens after 2 blocks, unless told otherwise."""
    settings: dict[str, Any] = {"num_tokens": 3, "at": 2, **learner}
    config = TokenLearnerConfig(**settings)
    model = TimmVisionTransformer(backbone(kind), config)
    for parameter in (*model.learners.parameters(), *model.fusers.parameters()):
        nn.init.normal_(parameter, std=0.2)
    return model


class EveryPosition(nn.Module):
    """A learner whose maps are one-hot on all positions in order: it changes nothing."""

    num_tokens = NUM_POSITIONS

    def forward(self, x: torch.Tensor, *, grid: Any, return_maps: bool) -> Any:
        assert return_maps
        maps = torch.eye(x.shape[1]).expand(len(x), -1, -1)
        return maps @ x, maps.unflatten(2, grid)


def images(*size: int) -> torch.Tensor:
    """Two of them."""
    return torch.randn(2, 3, *(size or (16, 24)))
