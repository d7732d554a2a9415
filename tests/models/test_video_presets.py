"""Named clip models have the published costs, and the sizes that their names say."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from tokenlearner.errors import ConfigError
from tokenlearner.models import (
    VideoVisionTransformer,
    VideoVisionTransformerConfig,
    VisionTransformer,
    VisionTransformerConfig,
)
from tokenlearner.models.presets import vit
from tokenlearner.models.video_presets import PUBLISHED, vivit


def count_parameters(config: VisionTransformerConfig) -> int:
    clips = isinstance(config, VideoVisionTransformerConfig)
    with torch.device("meta"):
        model = VideoVisionTransformer(config) if clips else VisionTransformer(config)
    return sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize(
    ("name", "gflops"),
    [
        ("L/16x2", 1446),
        ("L/16x2, 320 px", 3992),
        ("H/14x2", 3981),
        ("L/16x2, 16 tokens at 12", 766),
        ("L/16x2 (24+6), 8 tokens at 18", 1105),
        ("L/14x2 (24+11), 16 tokens at 18", 1621),
        ("L/10x2 (24+11), 16 tokens at 18", 4076),
        ("L/10x2 (24+11), 16 tokens at 18, fuser", 4100),
    ],
)
def test_published_costs(name: str, gflops: int) -> None:
    """PyTorch counts the real modules' products; the papers count elementwise work as well."""
    config = PUBLISHED[name]
    with torch.device("meta"):
        model = VideoVisionTransformer(config).eval()
        clips = torch.empty(1, 3, config.num_frames, *config.image_size)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(clips)
    macs = counter.get_total_flops() / 2
    assert 0.987 < macs / (gflops * 1e9) < 0.995


def test_published_models_are_what_their_names_say() -> None:
    for name, config in PUBLISHED.items():
        depth = {"L": 24, "H": 32}[name[0]]
        if "(" in name:
            depth = sum(map(int, name.partition("(")[2].partition(")")[0].split("+")))
        assert config.depth == depth, name
        assert config.patch_size[0] == int(name.partition("/")[2].partition("x")[0]), name
        assert (config.num_frames, config.tubelet_frames, config.steps) == (32, 2, 16)
        assert config.image_size[0] == (320 if "320" in name else 224)
        learner = config.token_learner
        if learner is None:
            assert "tokens" not in name
            continue
        assert f", {learner.num_tokens} tokens at {learner.at}" in name
        assert name.endswith(", fuser") == learner.fuser


def test_tokens_after_the_learner_are_those_of_all_time_steps() -> None:
    config = PUBLISHED["L/16x2, 16 tokens at 12"]
    assert config.tokens_per_block == (16 * 196,) * 12 + (16 * 16,) * 12


@pytest.mark.parametrize("class_token", [False, True])
def test_parameters_beyond_those_of_the_image_model(class_token: bool) -> None:
    image = count_parameters(vit("L/16", num_classes=400, num_tokens=16))
    clips = vivit("L/16", num_tokens=16, class_token=class_token)
    second_frame, positions = 16 * 16 * 3 * 1024, 15 * 196 * 1024
    with_class_token = 2 * 1024 if class_token else 0  # itself and its place
    assert count_parameters(clips) == image + second_frame + positions + with_class_token


def test_arguments() -> None:
    config = vivit("Ti/16", num_frames=8, tubelet_frames=4, num_classes=11, image_size=160)
    assert (config.steps, config.grid, config.num_classes) == (2, (10, 10), 11)
    with pytest.raises(ConfigError, match="variant is 'X/16'; it must be one of"):
        vivit("X/16")
