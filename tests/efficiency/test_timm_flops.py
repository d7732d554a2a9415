"""Counts of timm's models, against PyTorch's own counter and our formula."""

import pytest
import timm
import torch
from torch.utils.flop_counter import FlopCounterMode

from tests.models.timm_models import KINDS, with_learner
from tokenlearner.efficiency import count_macs, count_model
from tokenlearner.efficiency.conventions import CONVENTIONS
from tokenlearner.errors import ShapeError
from tokenlearner.models import (
    TimmVisionTransformer,
    TokenLearnerConfig,
    VisionTransformer,
    VisionTransformerConfig,
    insert_token_learner,
)


def by_pytorch(model: TimmVisionTransformer, size: tuple[int, int]) -> int:
    model.requires_grad_(False)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.zeros(1, 3, *size))
    return counter.get_total_flops()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fuser", [False, True])
def test_agrees_with_pytorch(kind: str, fuser: bool) -> None:
    model = with_learner(kind, version="1.0" if fuser else "1.1", fuser=fuser)
    assert 2 * count_model(model).macs == by_pytorch(model, (16, 24))


def test_agrees_at_another_size() -> None:
    model = with_learner("dynamic size")
    assert 2 * count_model(model, image_size=(32, 40)).macs == by_pytorch(model, (32, 40))


def test_a_size_that_the_model_does_not_take() -> None:
    with pytest.raises(ShapeError, match="this model takes 16x24 px only"):
        count_model(with_learner(), image_size=(32, 40))


def test_the_norm_before_the_blocks_is_counted() -> None:
    """CLIP has one for its 6 positions and the class token, of 16 channels."""
    norms = [
        operation
        for operation in count_model(with_learner("CLIP")).stages[0].operations
        if operation.kind == "layer_norm"
    ]
    assert [(norm.rows, norm.width) for norm in norms] == [(7, 16)]


@pytest.mark.parametrize("learner", [None, TokenLearnerConfig(num_tokens=8, at=6)])
def test_agrees_with_our_formula(learner: TokenLearnerConfig | None) -> None:
    with torch.device("meta"):
        plain = timm.create_model("vit_base_patch16_224", class_token=False, global_pool="avg")
    config = VisionTransformerConfig(
        image_size=(224, 224),
        num_classes=1000,
        dim=768,
        depth=12,
        num_heads=12,
        mlp_dim=3072,
        activation="gelu",
        token_learner=learner,
    )
    found, wanted = count_model(TimmVisionTransformer(plain, learner)), count_macs(config)
    assert [(stage.name, stage.kind, stage.tokens, stage.macs) for stage in found.stages] == [
        (stage.name, stage.kind, stage.tokens, stage.macs) for stage in wanted.stages
    ]
    for convention in CONVENTIONS.values():  # PyTorch scales keys too, and divides their work
        assert found.giga(convention) == pytest.approx(wanted.giga(convention), rel=1e-3)
    with torch.device("meta"):
        assert count_model(VisionTransformer(config)) == wanted


def test_stages_and_the_prefix() -> None:
    stages = count_model(with_learner("distilled DeiT", num_tokens=3, at=3, fuser=True)).stages
    assert [(stage.name, stage.tokens) for stage in stages] == [
        ("embedding", 8),
        ("block 0", 8),
        ("block 1", 8),
        ("block 2", 8),
        ("learner 3", 5),
        ("block 3", 5),
        ("fuser 3", 8),
        ("head", 1),
    ]


def test_the_model_stays_as_it_is() -> None:
    model = insert_token_learner(timm.create_model("test_vit"), num_tokens=4).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    count_model(model)
    assert model.training
    assert all(parameter.requires_grad for parameter in model.parameters())
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])
