"""Configurations that cannot be built are refused, field by field."""

from dataclasses import replace
from typing import Any

import pytest

from tokenlearner.errors import ConfigError
from tokenlearner.models import TokenLearnerConfig, VisionTransformer, VisionTransformerConfig
from tokenlearner.models.presets import conv_vit, mini_vit

LEARNER = TokenLearnerConfig(num_tokens=4, at=1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"depth": 0}, "depth is 0; it must be at least 1"),
        ({"head_dim": 0}, "head_dim is 0; it must be at least 1"),
        ({"representation_size": 0}, "representation_size is 0; it must be at least 1"),
        ({"head_dim": None, "num_heads": 3}, "dim=128 is not a multiple of num_heads=3"),
        ({"depth": 2.0}, "depth is 2.0; it must be a whole number"),
        ({"dim": None}, "dim is None; it must be a whole number"),
        ({"dropout": "0.1"}, "dropout is '0.1'; it must be in 0 <= p < 1"),
        ({"stem_widths": 8}, "stem_widths is 8; wanted numbers of channels"),
        ({"num_classes": -1}, "num_classes is -1; it must be 0 or more"),
        ({"activation": "relu"}, "activation is 'relu'; it must be 'gelu_tanh' or 'gelu'"),
        ({"token_learner": {"at": 2}}, "token_learner is {'at': 2}; wanted a TokenLearnerConfig"),
        ({"image_size": 224}, r"image_size is 224; wanted \(height, width\) in px"),
        ({"image_size": (62,)}, r"image_size is \(62,\); wanted \(height, width\) in px"),
        ({"patch_size": (0, 0)}, r"patch_size is \(0, 0\); wanted \(height, width\) in px"),
        ({"stem_widths": (8, 0)}, r"stem_widths is \(8, 0\); wanted numbers of channels"),
        ({"image_size": (4, 48)}, r"image_size=\(4, 48\) holds no patch of \(6, 6\)"),
        ({"stem_widths": (8, 8)}, "a stem of 3 stages makes cells of 8 px, but patch_size"),
        ({"attention_dropout": 1.5}, "attention_dropout is 1.5; it must be in 0 <= p < 1"),
        ({"stochastic_depth": 1.0}, "stochastic_depth is 1.0; it must be in 0 <= p < 1"),
        ({"position_embedding": "sincos"}, "'sincos'; it must be 'learned' or 'frozen'"),
        ({"classifier": "token"}, "classifier is 'token'; it must be 'gap', 'gmp' or 'gsp'"),
        ({"token_learner": replace(LEARNER, at=4)}, "at is 4, but there are 4 blocks"),
        (
            {"token_learner": replace(LEARNER, version="grouped", groups=3)},
            "token_learner.groups is 3, which does not divide dim=128",
        ),
    ],
)
@pytest.mark.usefixtures("_as_users_run_it")
def test_a_vision_transformer_that_cannot_be(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        replace(mini_vit(), **changes)


@pytest.mark.usefixtures("_as_users_run_it")
def test_lists_as_json_has_them() -> None:
    made: Any = {"image_size": [48, 48], "patch_size": [6, 6], "stem_widths": []}
    assert hash(replace(mini_vit(), **made)) == hash(mini_vit())
    with pytest.raises(ConfigError, match="image_size is 32; wanted"):
        VisionTransformerConfig.from_dict({**mini_vit().to_dict(), "image_size": 32})
    with pytest.raises(ConfigError, match=r"config is {.*}; wanted a VisionTransformerConfig"):
        VisionTransformer(mini_vit().to_dict())  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_tokens": 0}, "num_tokens is 0; it must be at least 1"),
        ({"bottleneck_dim": 0}, "bottleneck_dim is 0; it must be at least 1"),
        ({"at": -1}, "at is -1; wanted a whole number, 0"),
        ({"at": 1.0}, "at is 1.0; wanted a whole number, 0"),
        ({"at": "2"}, "at is '2'; wanted a whole number, 0"),
        ({"version": "2.0"}, "version is '2.0'; it must be '1.0', '1.1' or 'grouped'"),
        ({"version": "1.0", "pooling": "max"}, "pooling is 'max'; it must be 'sum' or 'mean'"),
        ({"pooling": "mean"}, "options of version 1.0 only"),
        ({"fold_to_square": True}, "options of version 1.0 only"),
        ({"version": "grouped", "pooling": "mean"}, "options of version 1.0 only"),
        ({"version": "grouped", "groups": 0}, "groups is 0; it must be at least 1"),
        ({"groups": 4}, "groups is an option of version 'grouped' only"),
    ],
)
@pytest.mark.usefixtures("_as_users_run_it")
def test_a_learner_that_cannot_be(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        replace(LEARNER, **changes)


@pytest.mark.parametrize(
    "config",
    [
        mini_vit(num_tokens=8),
        mini_vit(num_tokens=4, groups=8),
        replace(conv_vit(token_learner=LEARNER), stochastic_depth=0.1),
    ],
)
def test_to_dict_and_back(config: VisionTransformerConfig) -> None:
    assert VisionTransformerConfig.from_dict(config.to_dict()) == config
