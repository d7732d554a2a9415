"""Named models have the published numbers of parameters, and refuse what they cannot be."""

import pytest
import torch

from tokenlearner.errors import ConfigError
from tokenlearner.models import VisionTransformer, VisionTransformerConfig
from tokenlearner.models.presets import PUBLISHED, mini_vit, vit


def count_parameters(config: VisionTransformerConfig) -> int:
    with torch.device("meta"):
        return sum(p.numel() for p in VisionTransformer(config).parameters())


@pytest.mark.parametrize(
    ("num_tokens", "groups", "count"),
    [
        (None, None, 1_336_458),
        (4, None, 1_341_754),
        (8, None, 1_347_658),
        (4, 4, 1_345_418),
        (8, 4, 1_345_930),
        (8, 8, 1_341_834),
    ],
)
def test_mini_vit(num_tokens: int | None, groups: int | None, count: int) -> None:
    assert count_parameters(mini_vit(num_tokens=num_tokens, groups=groups)) == count


def test_mini_vit_with_eight_blocks() -> None:
    assert count_parameters(mini_vit(depth=8)) == 2_657_418


# The official code's counts: plain, 1.1, 1.0, 1.1 + fuser, 1.0 + fuser, each 16 tokens at 9.
OFFICIAL_COUNTS = {
    "Ti/16": (5717032, 5730808, 5751976, 5802808, 5866312),
    "S/16": (22049896, 22076344, 22112872, 22214008, 22323592),
    "B/16": (86566120, 86617912, 86685160, 86886904, 87088648),
    "L/16": (304324584, 304393272, 304481000, 306450744, 307766664),
}


@pytest.mark.parametrize("variant", OFFICIAL_COUNTS)
def test_official_sizes(variant: str) -> None:
    ours = (
        vit(variant),
        vit(variant, num_tokens=16, at=9),
        vit(variant, num_tokens=16, at=9, version="1.0"),
        vit(variant, num_tokens=16, at=9, fuser=True),
        vit(variant, num_tokens=16, at=9, version="1.0", fuser=True),
    )
    assert tuple(map(count_parameters, ours)) == OFFICIAL_COUNTS[variant]


@pytest.mark.parametrize(
    ("config", "published_millions"),
    [
        (vit("H/14", num_classes=18_291), 654),
        (
            vit("L/10", num_classes=18_291, num_tokens=16, at=18, version="1.0", extra_layers=11),
            460,
        ),
    ],
    ids=["ViT-H/14", "TokenLearner L/10 (24+11)"],
)
def test_published_sizes(config: VisionTransformerConfig, published_millions: int) -> None:
    """Table 3 of arXiv:2106.11297v2 counts the head for JFT's 18,291 classes, at 224 px."""
    assert int(count_parameters(config) / 1e6) == published_millions


def test_learner_comes_after_half_of_the_layers_that_the_size_has() -> None:
    config = vit("L/16", num_tokens=16, extra_layers=11)
    assert config.depth == 35
    assert config.tokens_per_block == (196,) * 12 + (16,) * 23


def test_published_models_are_what_their_names_say() -> None:
    for name, config in PUBLISHED.items():
        learner = config.token_learner
        depth = {"S": 12, "B": 12, "L": 24}[name[0]]
        extra = name.partition("(")[2].partition(")")[0]  # "22" or "24+11"
        if extra:
            depth = sum(map(int, extra.split("+")))
        assert config.depth == depth, name
        assert config.patch_size[0] == int(name.partition("/")[2].split(" ")[0].rstrip(",")), name
        if learner is None:
            assert "tokens" not in name
            continue
        assert f", {learner.num_tokens} tokens at {learner.at}" in name
        assert name.endswith(", fuser") == learner.fuser


@pytest.mark.parametrize("variant", ["B", "B16", "B/", "B/16x2", "G/14", "b/16"])
def test_unknown_variant(variant: str) -> None:
    message = f"variant is '{variant}'; it must be one of Ti, S, B, L, H, a slash and the patch"
    with pytest.raises(ConfigError, match=message):
        vit(variant)


def test_learner_that_is_not_asked_for() -> None:
    with pytest.raises(ConfigError, match="at and fuser describe a learner; give num_tokens too"):
        vit("B/16", at=6)
    with pytest.raises(ConfigError, match="at and fuser describe a learner; give num_tokens too"):
        vit("B/16", fuser=True)
    with pytest.raises(ConfigError, match="groups describes a learner; give num_tokens too"):
        mini_vit(groups=4)
