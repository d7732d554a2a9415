"""The network without its learners: the same otherwise, and nothing that looks trained."""

from dataclasses import replace

import pytest
import timm
import torch

from tests import tiny
from tokenlearner.checkpoints import AnyModel
from tokenlearner.efficiency import count_model
from tokenlearner.efficiency.bare import without_learner
from tokenlearner.errors import ConfigError
from tokenlearner.models import insert_token_learner


@pytest.mark.parametrize("model", [tiny.model(), tiny.clip_model(), tiny.conv_model()])
def test_only_the_learner_is_missing(model: AnyModel) -> None:
    bare = without_learner(model)
    assert type(bare) is type(model)
    assert bare.info is None
    assert not bare.training
    kinds = {stage.kind for stage in count_model(bare).stages}
    assert kinds == {stage.kind for stage in count_model(model).stages} - {"learner", "fuser"}
    assert bare.config == replace(model.config, token_learner=None)
    parts = ("learner", "fuser", "middle")  # convolutional blocks have another middle for tokens
    with_it, without = (
        {
            name: tuple(parameter.shape)
            for name, parameter in m.named_parameters()
            if not any(part in name for part in parts)
        }
        for m in (model, bare)
    )
    assert with_it == without


def test_a_model_of_timm_keeps_its_weights() -> None:
    backbone = timm.create_model("vit_tiny_patch16_224", depth=2, num_classes=3).eval()
    model = insert_token_learner(backbone, at=1)
    bare = without_learner(model)
    x = torch.randn(1, 3, 224, 224)
    assert torch.equal(bare(x), backbone(x))
    next(bare.parameters()).data += 1  # a copy
    assert not torch.equal(bare(x), backbone(x))


def test_in_the_format_of_the_model() -> None:
    bare = without_learner(tiny.model().bfloat16())
    assert {parameter.dtype for parameter in bare.parameters()} == {torch.bfloat16}


def test_without_a_learner() -> None:
    with pytest.raises(ConfigError, match="has no TokenLearner, so there is nothing to leave out"):
        without_learner(tiny.model(learner=False))
