"""Configurations of clip models that cannot be built are refused, and the others come back."""

from dataclasses import replace
from typing import Any

import pytest

from tokenlearner.errors import ConfigError, ShapeError
from tokenlearner.models import TokenLearnerConfig, VideoVisionTransformerConfig

CONFIG = VideoVisionTransformerConfig(
    image_size=(224, 224),
    num_frames=32,
    num_classes=400,
    dim=64,
    depth=4,
    num_heads=2,
    mlp_dim=128,
    token_learner=TokenLearnerConfig(num_tokens=8, at=2),
)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_frames": 0}, "num_frames is 0; it must be at least 1"),
        ({"num_frames": 16.0}, "num_frames is 16.0; it must be a whole number"),
        ({"num_frames": None}, "num_frames is None; it must be a whole number"),
        ({"tubelet_frames": "2"}, "tubelet_frames is '2'; it must be a whole number"),
        ({"tubelet_frames": 0}, "tubelet_frames is 0; it must be at least 1"),
        ({"sampled_frames": 0}, "sampled_frames is 0; it must be at least 1"),
        ({"num_frames": 1}, "1 of num_frames=1 are used, fewer than the 2 of a tubelet; take more"),
        ({"sampled_frames": 1}, "1 of num_frames=32 are used, fewer than the 2 of a tubelet"),
        ({"stack_frames": True}, "stack_frames embeds single frames by patches; it goes with tub"),
        ({"class_token": True, "classifier": "gmp"}, "class_token=True replaces pooling; leave cl"),
        ({"image_size": (8, 224)}, r"image_size=\(8, 224\) holds no patch"),
        ({"depth": 2}, "at is 2, but there are 2 blocks"),
    ],
)
@pytest.mark.usefixtures("_as_users_run_it")
def test_what_cannot_be_built(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        replace(CONFIG, **changes)


def test_stacked_frames_that_no_step_can_share() -> None:
    with pytest.raises(ShapeError, match="31 frames stacked into one image make 23x14 patches"):
        replace(CONFIG, num_frames=31, tubelet_frames=1, stack_frames=True, image_size=(12, 224))


def test_sizes() -> None:
    assert (CONFIG.steps, CONFIG.grid) == (16, (14, 14))
    assert CONFIG.tokens_per_block == (3136, 3136, 128, 128)
    with_class_token = replace(CONFIG, class_token=True)
    assert with_class_token.tokens_per_block == (3137, 3137, 129, 129)
    sampled = replace(CONFIG, num_frames=250, sampled_frames=16)
    assert (sampled.used_frames, sampled.steps) == (16, 8)


def test_round_trip() -> None:
    data = CONFIG.to_dict()
    assert VideoVisionTransformerConfig.from_dict(data) == CONFIG
    with pytest.raises(ConfigError, match="VideoVisionTransformerConfig has no field"):
        VideoVisionTransformerConfig.from_dict(data | {"frames": 3})
    del data["num_frames"]
    with pytest.raises(ConfigError, match=r"VideoVisionTransformerConfig: .*'num_frames'"):
        VideoVisionTransformerConfig.from_dict(data)
