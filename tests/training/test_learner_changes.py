"""A trained model with its learner changed: what stays, what is fresh, what is refused."""

from typing import Any

import pytest
import timm
import torch

from tests import tiny
from tokenlearner.checkpoints import AnyModel
from tokenlearner.errors import ConfigError
from tokenlearner.models.timm_info import FUSER, LEARNER
from tokenlearner.models.timm_vit import TimmVisionTransformer, insert_token_learner
from tokenlearner.training.changes import Changes, with_learner


def of_timm(*, learner: bool = True, **options: Any) -> TimmVisionTransformer:
    backbone = timm.create_model("test_vit", num_classes=3, img_size=32)
    model = TimmVisionTransformer(backbone)
    if learner:
        model = insert_token_learner(backbone, num_tokens=2, at=2, bottleneck_dim=4, **options)
    model.info = tiny.model().info
    return model.eval()


MODELS = {"own": lambda: tiny.model(), "timm": of_timm}


def changed(source: AnyModel, **changes: Any) -> tuple[AnyModel, set[str]]:
    """The changed model, and the names of its arrays that are not those of the source."""
    before = {name: value.clone() for name, value in source.state_dict().items()}
    model, taken = with_learner(source, Changes(**changes))
    after = source.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    # Nothing is shared: training the one must leave the other alone.
    places = {value.data_ptr() for value in after.values()}
    assert all(value.data_ptr() not in places for value in model.state_dict().values())
    names = {
        name
        for name, value in model.state_dict().items()
        if name not in before or not torch.equal(value, before[name])
    }
    assert names <= set(taken.fresh) | {name for name in taken.copied if name not in before}
    return model, names


def arrays_of_learner(model: AnyModel) -> dict[str, torch.Tensor]:
    """The arrays of a model's only learner, by their names without its place."""
    named = (
        (name.partition("learners.")[2].partition(".")[2], value)
        for name, value in model.state_dict().items()
    )
    return {name: value for name, value in named if name}


@pytest.mark.parametrize("kind", MODELS)
def test_another_number_of_tokens_leaves_all_but_the_last_layer(kind: str) -> None:
    model, fresh = changed(MODELS[kind](), num_tokens=4)
    assert {name.split("masking.")[-1] for name in fresh} == {"fc2.weight", "fc2.bias"}
    learner = model.config.token_learner
    assert learner is not None
    assert (learner.num_tokens, learner.bottleneck_dim) == (4, 4)
    assert model.info is not None
    assert model.info.untrained_parts == (LEARNER,)
    assert model.info.class_names == tiny.CLASSES


@pytest.mark.parametrize(("kind", "at"), [("own", 0), ("timm", 3)])
def test_elsewhere_the_learner_is_the_same(kind: str, at: int) -> None:
    source = MODELS[kind]()
    model, taken = with_learner(source, Changes(at=at))
    assert taken.fresh == taken.unused == ()
    ours, theirs = arrays_of_learner(model), arrays_of_learner(source)
    assert ours.keys() == theirs.keys() != set()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert model.config.learner_blocks == (at,)
    assert model.info is not None
    assert model.info.untrained_parts == ()


@pytest.mark.parametrize("kind", ["own", "timm"])
def test_a_baseline_gets_a_fresh_one(kind: str) -> None:
    source = tiny.model(learner=False) if kind == "own" else of_timm(learner=False)
    model, fresh = changed(source, num_tokens=2)
    assert model.config.learner_blocks == (model.config.depth // 2,)
    assert fresh
    assert all("learners." in name for name in fresh)
    assert model.info is not None
    assert model.info.untrained_parts == (LEARNER,)


@pytest.mark.parametrize("kind", MODELS)
def test_fusers_are_fresh_and_go_again(kind: str) -> None:
    source = MODELS[kind]()
    with_fuser, fresh = changed(source, fuser=True)
    assert with_fuser.info is not None
    assert FUSER in with_fuser.info.untrained_parts
    first = str(source.config.learner_blocks[0])
    assert not any(f"learners.{first}." in name for name in fresh)
    without, taken = with_learner(with_fuser, Changes(fuser=False))
    assert taken.fresh == ()
    assert without.state_dict().keys() == source.state_dict().keys()
    for name, value in without.state_dict().items():
        assert torch.equal(value, source.state_dict()[name]), name


@pytest.mark.parametrize("kind", MODELS)
def test_weights_for_another_version(kind: str) -> None:
    wanted = (
        "--version 1.0: the learner of tiny is of version 1.1, whose weights fit no other; leave "
        "--version out, or take a recipe and give it --init tiny: its learner then starts afresh"
    )
    with pytest.raises(ConfigError, match=wanted):
        with_learner(MODELS[kind](), Changes(version="1.0", num_tokens=4))


def test_a_learner_of_clips() -> None:
    model, fresh = changed(tiny.conv_model(), num_tokens=3)
    assert any("learner.convs" in name for name in fresh)
    assert model.config.token_learner is not None
    assert model.config.token_learner.num_tokens == 3
    assert model.info is not None
    assert LEARNER in model.info.untrained_parts
