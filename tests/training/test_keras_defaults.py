"""Weights drawn as Keras draws them: the limits by hand."""

import math

import pytest
import torch
from torch import nn

from tokenlearner.models import VisionTransformer
from tokenlearner.models.presets import mini_vit
from tokenlearner.training.recipes import RECIPES


@pytest.fixture(scope="module")
def model() -> nn.Module:
    return RECIPES["cifar10-mini-vit-tl8"]().build()


@pytest.mark.parametrize(
    ("name", "fans"),
    [
        ("embedding", 6 * 6 * (3 + 128)),
        ("encoder.blocks.0.attention.qkv", 128 * (4 + 128)),
        ("encoder.blocks.0.attention.out", 4 * (128 + 128)),
        ("encoder.blocks.0.mlp.fc1", 128 + 256),
        ("head", 128 + 10),
    ],
)
def test_kernels_fill_their_range(model: nn.Module, name: str, fans: int) -> None:
    layer = model.get_submodule(name)
    assert isinstance(layer, (nn.Linear, nn.Conv2d))
    limit = math.sqrt(6 / fans)
    assert 0.95 * limit < layer.weight.abs().max() <= limit
    assert layer.weight.std().item() == pytest.approx(limit / math.sqrt(3), rel=0.05)
    assert layer.bias is not None
    assert not layer.bias.any()


def test_the_rest_stays_as_it_is() -> None:
    torch.manual_seed(RECIPES["cifar10-mini-vit"]().seed)
    plain = VisionTransformer(mini_vit()).state_dict()
    torch.manual_seed(RECIPES["cifar10-mini-vit"]().seed)
    drawn = RECIPES["cifar10-mini-vit"]().build().state_dict()
    same = {name for name in plain if torch.equal(plain[name], drawn[name])}
    assert "encoder.position_embedding" in same
    assert not any(
        value.ndim > 1
        for name, value in plain.items()
        if name in same - {"encoder.position_embedding"}
    )
