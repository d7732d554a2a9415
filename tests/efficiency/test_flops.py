"""The counter against PyTorch's own, and its conventions by hand."""

from dataclasses import replace

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from tokenlearner.efficiency import count_macs, count_model, layers
from tokenlearner.errors import ShapeError
from tokenlearner.models import TokenLearnerConfig, VisionTransformer, VisionTransformerConfig
from tokenlearner.models.presets import conv_vit, mini_vit
from tokenlearner.models.video_config import VideoVisionTransformerConfig
from tokenlearner.models.vivit import VideoVisionTransformer

VIT_B16 = VisionTransformerConfig(
    image_size=(224, 224), num_classes=1000, dim=768, depth=12, num_heads=12, mlp_dim=3072
)
SMALL = VisionTransformerConfig(
    image_size=(32, 48),
    num_classes=7,
    dim=24,
    depth=4,
    num_heads=2,
    mlp_dim=40,
    patch_size=(8, 6),
)

CASES = {
    "ViT-B/16": VIT_B16,
    "ViT-B/16, 8 tokens": replace(
        VIT_B16, token_learner=TokenLearnerConfig(num_tokens=8, at=6, version="1.0")
    ),
    "mini ViT": mini_vit(),
    "mini ViT, 8 tokens": mini_vit(num_tokens=8),
    "mini ViT, 8 tokens, 4 groups": mini_vit(num_tokens=8, groups=4),
    "convolutional stem": conv_vit(token_learner=TokenLearnerConfig(num_tokens=8, at=3)),
    "non-square": SMALL,
    "wide heads": replace(SMALL, head_dim=20),
    "representation layer": replace(SMALL, representation_size=15),
    "no head": replace(SMALL, num_classes=0),
    "learner before the first block": replace(
        SMALL, token_learner=TokenLearnerConfig(num_tokens=3, at=0, bottleneck_dim=5)
    ),
    "fuser": replace(
        SMALL, token_learner=TokenLearnerConfig(num_tokens=3, at=2, bottleneck_dim=5, fuser=True)
    ),
    "fuser, version 1.0": replace(
        SMALL, token_learner=TokenLearnerConfig(num_tokens=3, at=1, version="1.0", fuser=True)
    ),
}


SMALL_CLIPS = VideoVisionTransformerConfig(
    image_size=(32, 48),
    num_classes=7,
    dim=24,
    depth=4,
    num_heads=2,
    mlp_dim=40,
    patch_size=(8, 6),
    num_frames=7,
)

CLIP_CASES = {
    "joint attention": SMALL_CLIPS,
    "class token": replace(SMALL_CLIPS, class_token=True),
    "learner, class token": replace(
        SMALL_CLIPS, class_token=True, token_learner=TokenLearnerConfig(num_tokens=3, at=2)
    ),
    "fuser": replace(
        SMALL_CLIPS, token_learner=TokenLearnerConfig(num_tokens=3, at=1, version="1.0", fuser=True)
    ),
    "sampled frames": replace(SMALL_CLIPS, sampled_frames=4),
    "stacked frames": replace(
        SMALL_CLIPS,
        num_frames=4,
        tubelet_frames=1,
        stack_frames=True,
        image_size=(28, 48),
        token_learner=TokenLearnerConfig(num_tokens=2, at=2, version="1.0"),
    ),
    "stem": replace(SMALL_CLIPS, patch_size=(8, 8), stem_widths=(6, 10), tubelet_frames=3),
}


@pytest.mark.parametrize("name", CLIP_CASES)
def test_clips_agree_with_pytorch(name: str) -> None:
    config = CLIP_CASES[name]
    with torch.device("meta"):
        model = VideoVisionTransformer(config).eval()
        clips = torch.empty(1, 3, config.num_frames, *config.image_size)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(clips)
    assert 2 * count_model(model).macs == counter.get_total_flops()


def test_longer_clips_agree_with_pytorch() -> None:
    config = CLIP_CASES["learner, class token"]
    with torch.device("meta"):
        model = VideoVisionTransformer(config).eval()
        clips = torch.empty(1, 3, 11, 40, 48)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(clips)
    found = count_macs(config, image_size=(40, 48), num_frames=11).macs
    assert 2 * found == counter.get_total_flops()


def test_tokens_of_a_clip_agree_with_the_configuration() -> None:
    for config in CLIP_CASES.values():
        blocks = [stage.tokens for stage in count_macs(config).stages if stage.kind == "block"]
        if not (config.token_learner and config.token_learner.fuser):
            assert tuple(blocks) == config.tokens_per_block


@pytest.mark.parametrize("name", CASES)
def test_agrees_with_pytorch(name: str) -> None:
    config = CASES[name]
    with torch.device("meta"):
        model = VisionTransformer(config).eval()
        images = torch.empty(1, 3, *config.image_size)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(images)
    assert 2 * count_macs(config).macs == counter.get_total_flops()


def test_agrees_at_another_size() -> None:
    config = CASES["convolutional stem"]
    with torch.device("meta"):
        model = VisionTransformer(config).eval()
        images = torch.empty(1, 3, 99, 150)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(images)
    assert 2 * count_macs(config, image_size=(99, 150)).macs == counter.get_total_flops()


def test_stages_by_hand() -> None:
    learner = TokenLearnerConfig(num_tokens=3, at=1, bottleneck_dim=5)
    config = replace(SMALL, depth=2, token_learner=learner)
    stages = count_macs(config).stages
    assert [(stage.name, stage.kind, stage.tokens) for stage in stages] == [
        ("embedding", "embedding", 32),
        ("block 0", "block", 32),
        ("learner 1", "learner", 3),
        ("block 1", "block", 3),
        ("head", "head", 1),
    ]
    assert [stage.macs for stage in stages] == [
        32 * (8 * 6 * 3) * 24,
        32 * (4 * 24 * 24 + 2 * 24 * 40) + 2 * 32 * 32 * 24,
        32 * (24 * 5 + 5 * 3) + 3 * 32 * 24,
        3 * (4 * 24 * 24 + 2 * 24 * 40) + 2 * 3 * 3 * 24,
        24 * 7,
    ]


def test_tokens_per_block_agree_with_the_configuration() -> None:
    for config in CASES.values():
        blocks = [stage.tokens for stage in count_macs(config).stages if stage.kind == "block"]
        assert tuple(blocks) == config.tokens_per_block


def test_folding_is_counted_on_grids_that_can_be_folded() -> None:
    learner = TokenLearnerConfig(num_tokens=2, at=1, version="1.0", fold_to_square=True)
    with pytest.raises(ShapeError, match="8 positions"):
        layers.learner(learner, 8, (2, 4), "gelu")
