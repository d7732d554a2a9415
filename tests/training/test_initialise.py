"""What a model takes from another one, array by array."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from tests import tiny
from tokenlearner.errors import ConfigError
from tokenlearner.models import ConvVideoNetwork, ModelInfo, TokenLearnerConfig, VisionTransformer
from tokenlearner.modules import resample_position_embedding
from tokenlearner.training.initialise import initialise

V11 = TokenLearnerConfig(num_tokens=2, at=1, bottleneck_dim=4)
V10 = TokenLearnerConfig(num_tokens=2, at=1, version="1.0")
FUSER = replace(V11, fuser=True)


def make(
    learner: TokenLearnerConfig | None = V11,
    classes: tuple[str, ...] | None = tiny.CLASSES,
    **changes: Any,
) -> VisionTransformer:
    """A model in which every number is random, so that no two are the same by chance."""
    config = replace(tiny.config(), token_learner=learner, **changes)
    if classes is not None:
        config = replace(config, num_classes=len(classes))
    model = VisionTransformer(config).eval()
    with torch.no_grad():
        for tensor in model.state_dict().values():
            if tensor.is_floating_point():
                tensor.uniform_(0.5, 1.5)
            else:
                tensor.random_(1000)
    if classes is not None:
        model.info = ModelInfo(name="tiny", class_names=classes, preprocessing=tiny.preprocessing())
    return model


def fresh_parts(names: tuple[str, ...]) -> set[str]:
    """The modules that `names` belong to, two levels below the encoder."""
    return {".".join(name.removeprefix("encoder.").split(".")[:2]) for name in names}


def test_the_same_model_is_copied_to_the_last_buffer() -> None:
    model, source = make(), make()
    taken = initialise(model, source)
    for name, value in model.state_dict().items():
        assert torch.equal(value, source.state_dict()[name]), name
    assert taken.copied == tuple(model.state_dict())
    assert "embedding.1.running_mean" in taken.copied
    assert (taken.resampled, taken.fresh, taken.unused) == ((), (), ())
    images = torch.randn(2, 3, 16, 16)
    assert torch.equal(model(images), source(images))
    total = len(taken.copied)
    assert taken.describe() == f"{total} of {total} arrays come from tiny as they are."


def test_the_source_stays_as_it_is() -> None:
    source = make()
    before = {name: value.clone() for name, value in source.state_dict().items()}
    initialise(make(V10, ("blue",), image_size=(24, 32)), source)
    assert all(torch.equal(value, before[name]) for name, value in source.state_dict().items())


def test_rows_of_the_head_follow_the_names_of_their_classes() -> None:
    model, source = make(classes=("blue", "violet", "red", "pink")), make()
    assert model.head is not None
    assert source.head is not None
    weight, bias = model.head.weight.clone(), model.head.bias.clone()
    taken = initialise(model, source)  # red, green, blue
    assert torch.equal(model.head.weight[[0, 2]], source.head.weight[[2, 0]])
    assert torch.equal(model.head.bias[[0, 2]], source.head.bias[[2, 0]])
    assert torch.equal(model.head.weight[[1, 3]], weight[[1, 3]])
    assert torch.equal(model.head.bias[[1, 3]], bias[[1, 3]])
    assert taken.kept_classes == ("blue", "red")
    assert taken.fresh == ("head.weight", "head.bias")
    assert taken.describe().endswith(". Fresh: head; the head keeps its rows of 2 classes.")


def test_a_head_in_another_order_is_copied_whole() -> None:
    model, source = make(classes=("blue", "green", "red")), make()
    taken = initialise(model, source)
    assert model.head is not None
    assert source.head is not None
    assert torch.equal(model.head.weight, source.head.weight.flip(0))
    assert taken.fresh == ()
    assert taken.kept_classes == ("blue", "green", "red")


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (None, ("red", "green", "blue")),
        (("red", "green", "blue"), None),
        (("cat", "dog", "owl"), ("red", "green", "blue")),
    ],
    ids=["no names here", "no names there", "other names"],
)
def test_a_head_for_nothing_in_common_is_fresh(
    ours: tuple[str, ...] | None, theirs: tuple[str, ...] | None
) -> None:
    taken = initialise(make(classes=ours), make(classes=theirs))
    assert taken.fresh == taken.unused == ("head.weight", "head.bias")
    assert taken.kept_classes == ()
    assert taken.describe().endswith(". Fresh: head. Left out: head.")


def test_names_that_occur_twice_match_nothing_unless_all_are_the_same() -> None:
    twice = ("crane", "red", "crane")
    assert initialise(make(classes=twice), make(classes=twice)).kept_classes == twice
    model = make(classes=("red", "crane", "crane"))
    assert initialise(model, make(classes=twice)).kept_classes == ("red",)
    assert initialise(make(classes=("crane",)), make(classes=twice)).kept_classes == ()
    assert initialise(make(classes=twice), make(classes=("crane", "red"))).kept_classes == ("red",)


def test_a_head_behind_another_representation_is_fresh() -> None:
    taken = initialise(make(representation_size=8), make())
    assert fresh_parts(taken.fresh) == {
        "pre_logits.weight",
        "pre_logits.bias",
        "head.weight",
        "head.bias",
    }


def test_position_embedding_is_resampled_for_another_resolution() -> None:
    model, source = make(image_size=(24, 32)), make()
    taken = initialise(model, source)
    expected = resample_position_embedding(
        source.encoder.position_embedding, old=(4, 4), new=(6, 8)
    )
    torch.testing.assert_close(model.encoder.position_embedding, expected)
    assert taken.resampled == ("encoder.position_embedding",)
    assert taken.fresh == taken.unused == ()
    total = len(model.state_dict())
    assert taken.describe() == (
        f"{total - 1} of {total} arrays come from tiny as they are, the position embedding "
        "resampled to the new grid."
    )


@pytest.mark.parametrize(
    ("learner", "fresh"),
    [
        (V11, {"masking.fc2.weight", "masking.fc2.bias"}),
        (V10, {f"convs.{index}.weight" for index in range(4)}),
        (
            TokenLearnerConfig(num_tokens=2, at=1, version="grouped", groups=2),
            {"draw.weight"},
        ),
    ],
    ids=["1.1", "1.0", "grouped"],
)
def test_another_number_of_tokens(learner: TokenLearnerConfig, fresh: set[str]) -> None:
    model, source = make(replace(learner, num_tokens=3)), make(learner)
    taken = initialise(model, source)
    assert set(taken.fresh) == set(taken.unused) == {f"encoder.learners.1.{n}" for n in fresh}
    ours, theirs = model.encoder.learners["1"], source.encoder.learners["1"]
    assert torch.equal(ours.state_dict()["norm.weight"], theirs.state_dict()["norm.weight"])
    assert ". Fresh: learner 1 (in part). Left out: learner 1." in taken.describe()


def test_another_number_of_tokens_with_a_fuser() -> None:
    taken = initialise(make(replace(FUSER, num_tokens=3)), make(FUSER))
    learner = ("masking.fc2.weight", "masking.fc2.bias")
    expected = {f"encoder.learners.1.{name}" for name in learner}
    expected |= {f"encoder.fusers.1.{name}" for name in (*learner, "mix.weight", "mix.bias")}
    assert set(taken.fresh) == expected


def test_another_version_leaves_the_learner_fresh() -> None:
    taken = initialise(make(V10), make(V11))
    assert fresh_parts(taken.fresh) == fresh_parts(taken.unused) == {"learners.1"}
    assert "encoder.learners.1.norm.weight" in taken.fresh
    assert taken.describe().endswith(". Fresh: learner 1. Left out: learner 1.")


def test_a_learner_is_added_or_left_out() -> None:
    added, left_out = initialise(make(V11), make(None)), initialise(make(None), make(V11))
    assert fresh_parts(added.fresh) == fresh_parts(left_out.unused) == {"learners.1"}
    assert added.unused == left_out.fresh == ()


def test_a_learner_moves() -> None:
    model, source = make(replace(V11, at=0)), make(V11)
    taken = initialise(model, source)
    assert taken.fresh == taken.unused == ()
    ours, theirs = model.encoder.learners["0"], source.encoder.learners["1"]
    for name, value in ours.state_dict().items():
        assert torch.equal(value, theirs.state_dict()[name])


def test_a_single_fuser_moves_with_its_learner() -> None:
    model, source = make(replace(FUSER, at=2), depth=3), make(FUSER)
    taken = initialise(model, source)
    assert fresh_parts(taken.fresh) == {"blocks.2"}
    assert taken.unused == ()
    ours, theirs = model.encoder.fusers["2"], source.encoder.fusers["1"]
    for name, value in ours.state_dict().items():
        assert torch.equal(value, theirs.state_dict()[name])


def test_learners_of_a_fuser_keep_their_block() -> None:
    taken = initialise(make(replace(FUSER, at=0)), make(FUSER))
    assert fresh_parts(taken.fresh) == {"learners.0", "fusers.0"}
    assert taken.unused == ()
    taken = initialise(make(FUSER), make(replace(FUSER, at=0)))
    assert fresh_parts(taken.unused) == {"learners.0", "fusers.0"}
    assert taken.fresh == ()


def test_blocks_are_added_or_left_out_at_the_end() -> None:
    model, source = make(depth=4), make()
    taken = initialise(model, source)
    assert fresh_parts(taken.fresh) == {"blocks.2", "blocks.3"}
    assert torch.equal(
        model.encoder.blocks[1].get_parameter("mlp.fc1.weight"),
        source.encoder.blocks[1].get_parameter("mlp.fc1.weight"),
    )
    assert taken.describe().endswith(". Fresh: block 2, block 3.")
    taken = initialise(make(), make(depth=3))
    assert fresh_parts(taken.unused) == {"blocks.2"}
    assert taken.fresh == ()


def test_a_frozen_position_embedding_is_taken_too() -> None:
    model, source = make(position_embedding="frozen"), make()
    assert "encoder.position_embedding" in initialise(model, source).copied
    assert torch.equal(model.encoder.position_embedding, source.encoder.position_embedding)


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"dim": 16}, "dim is 8 there and 16 here; head_dim is 4 there and 8 here"),
        ({"num_heads": 4}, "num_heads is 2 there and 4 here; head_dim is 4 there and 2 here"),
        ({"head_dim": 5}, "head_dim is 4 there and 5 here"),
        ({"mlp_dim": 20}, "mlp_dim is 16 there and 20 here"),
        ({"activation": "gelu"}, "activation is 'gelu_tanh' there and 'gelu' here"),
        ({"mlp_activates_output": True}, "mlp_activates_output is False there and True here"),
        ({"stem_widths": (6,)}, r"stem_widths is \(4,\) there and \(6,\) here"),
        (
            {"stem_widths": (), "patch_size": (8, 8)},
            r"patch_size is \(4, 4\) there and \(8, 8\) here; stem_widths is \(4,\) there",
        ),
    ],
)
def test_other_layers_are_refused(changes: dict[str, Any], difference: str) -> None:
    model = make(**changes)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(ConfigError, match=f"cannot start this model: {difference}.*Take others"):
        initialise(model, make())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_head_dim_that_is_written_out_makes_no_difference() -> None:
    assert initialise(make(head_dim=4), make()).fresh == ()


def test_convolutional_networks_are_matched_by_their_blocks() -> None:
    config = tiny.conv_config()  # its last block learns tokens
    model, source = (
        ConvVideoNetwork(c) for c in (config, replace(config, token_learner=None, num_classes=5))
    )
    source.info = ModelInfo(
        name="tiny", class_names=tuple("abcde"), preprocessing=tiny.preprocessing()
    )
    taken = initialise(model, source)
    assert {name for name in taken.fresh if "head" not in name} == {
        name for name in model.state_dict() if name.startswith("blocks.2.middle")
    }
    assert {"head.weight", "head.bias"} <= set(taken.fresh)
    for name in taken.copied:
        assert torch.equal(model.state_dict()[name], source.state_dict()[name]), name
    assert taken.describe().endswith("Fresh: block 2 (in part), head. Left out: block 2, head.")


def test_other_convolutions_are_refused() -> None:
    config = tiny.conv_config()
    source = ConvVideoNetwork(replace(config, widths=(4, 16)))
    with pytest.raises(ConfigError, match=r"widths is \(4, 16\) there and \(4, 8\) here"):
        initialise(ConvVideoNetwork(config), source)


def test_transformers_and_convolutions_do_not_mix() -> None:
    with pytest.raises(ConfigError, match="a ConvVideoNetwork cannot start a VisionTransformer"):
        initialise(tiny.model(), tiny.conv_model())
    with pytest.raises(ConfigError, match="take a model of the same kind"):
        initialise(tiny.conv_model(), tiny.clip_model())


def test_gradients_are_not_recorded() -> None:
    model = make()
    initialise(model, make())
    weight = model.encoder.blocks[0].get_parameter("mlp.fc1.weight")
    assert isinstance(weight, nn.Parameter)
    assert weight.requires_grad
    assert weight.is_leaf
