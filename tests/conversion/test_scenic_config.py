"""What official arguments mean, those that mean nothing, and those that cannot be."""

from typing import Any

import numpy as np
import pytest
import torch

from tests.golden.cases import load_case
from tokenlearner.conversion.scenic import build, to_scenic
from tokenlearner.errors import ConversionError
from tokenlearner.models import Encoder, TokenLearnerConfig, VisionTransformer
from tokenlearner.models.config import VisionTransformerConfig
from tokenlearner.modules import Block, TokenFuser, TokenLearner, TokenLearnerV11

ARGS: dict[str, Any] = {
    "num_classes": 5,
    "hidden_size": 8,
    "num_layers": 3,
    "num_heads": 2,
    "mlp_dim": 12,
    "representation_size": None,
    "classifier": "gap",
    "dropout_rate": 0.25,
    "attention_dropout_rate": 0.5,
}
TOKENIZER: dict[str, Any] = {
    "type": "dynamic",
    "patches": {"size": [8, 4]},
    "num_tokens": 4,
    "tokenlearner_loc": 1,
    "use_tokenfuse": False,
    "use_v11": True,
}


def config_of(*, shape: tuple[int, ...] | None = (2, 32, 16, 3), **changes: Any) -> dict[str, Any]:
    """A classifier on a 4x4 grid; changes go to the tokenizer where it has them."""
    tokenizer = TOKENIZER | {k: v for k, v in changes.items() if k in TOKENIZER}
    args = ARGS | {k: v for k, v in changes.items() if k not in TOKENIZER}
    config: dict[str, Any] = {"kind": "TokenLearnerViT", "args": args | {"tokenizer": tokenizer}}
    return config if shape is None else config | {"input_shapes": {"inputs": list(shape)}}


def params_of(learner: TokenLearnerConfig | None = None, **changes: Any) -> dict[str, np.ndarray]:
    """Weights of the classifier that `config_of` describes."""
    sizes: dict[str, Any] = {
        "image_size": (32, 16),
        "patch_size": (8, 4),
        "num_classes": 5,
        "dim": 8,
        "depth": 3,
        "num_heads": 2,
        "mlp_dim": 12,
    }
    config = VisionTransformerConfig(**(sizes | changes), token_learner=learner)
    return to_scenic(VisionTransformer(config))


V11 = TokenLearnerConfig(num_tokens=4, at=1)
V10 = TokenLearnerConfig(num_tokens=4, at=1, version="1.0", fold_to_square=True)
FUSER = TokenLearnerConfig(num_tokens=4, at=1, fuser=True)
FUSER_EVERYWHERE = TokenLearnerConfig(num_tokens=4, at=0, fuser=True)


@pytest.mark.parametrize(
    ("changes", "learner"),
    [
        ({}, V11),
        ({"use_v11": False}, V10),
        ({"use_tokenfuse": True}, FUSER),
        ({"tokenlearner_loc": -1}, None),
        ({"tokenlearner_loc": 3}, None),
        ({"tokenlearner_loc": -1, "use_tokenfuse": True}, FUSER_EVERYWHERE),
        ({"tokenlearner_loc": 3, "use_tokenfuse": True}, None),
        ({"type": "patch"}, None),
        ({"type": "patch", "use_tokenfuse": True, "use_v11": False}, None),
    ],
)
def test_where_the_learners_sit(
    changes: dict[str, Any], learner: TokenLearnerConfig | None
) -> None:
    model = build(config_of(**changes), params_of(learner))
    assert isinstance(model, VisionTransformer)
    assert model.config.token_learner == learner


def test_version_is_1_1_where_nothing_is_said() -> None:
    config = config_of()
    del config["args"]["tokenizer"]["use_v11"]
    model = build(config, params_of(V11))
    assert isinstance(model, VisionTransformer)
    assert model.config.token_learner == V11


def test_rates_are_carried() -> None:
    model = build(config_of(), params_of(V11))
    assert isinstance(model, VisionTransformer)
    assert model.config.embedding_dropout == model.config.dropout == 0.25
    assert model.config.attention_dropout == 0.5


def test_rates_default_to_a_tenth() -> None:
    config = config_of()
    del config["args"]["dropout_rate"], config["args"]["attention_dropout_rate"]
    model = build(config, params_of(V11))
    assert isinstance(model, VisionTransformer)
    assert model.config.embedding_dropout == model.config.dropout == 0.1
    assert model.config.attention_dropout == 0.1


def test_representation_size_and_classifier() -> None:
    changes = {"representation_size": 6, "classifier": "gmp"}
    model = build(config_of(**changes), params_of(V11, **changes))
    assert isinstance(model, VisionTransformer)
    assert model.config.representation_size == 6
    assert model.config.classifier == "gmp"


def test_bare_modules_take_their_sizes_from_the_arrays() -> None:
    params = to_scenic(TokenLearner(4, 8, pooling="mean"))
    args = {"num_tokens": 4, "use_sum_pooling": False}
    learner = build({"kind": "TokenLearnerModule", "args": args}, params)
    assert isinstance(learner, TokenLearner)
    assert (learner.in_channels, learner.pooling, learner.fold_to_square) == (8, "mean", False)

    params = to_scenic(TokenLearnerV11(4, 8))
    learner = build({"kind": "TokenLearnerModuleV11", "args": {"num_tokens": 4}}, params)
    assert isinstance(learner, TokenLearnerV11)
    assert learner.masking.dropout.p == 0.0

    params = to_scenic(TokenFuser(4, 8, use_normalization=False))
    fuser = build({"kind": "TokenFuser", "args": {"use_normalization": False}}, params)
    assert isinstance(fuser, TokenFuser)
    assert (fuser.num_tokens, fuser.in_channels, fuser.dropout.p) == (4, 8, 0.0)

    args = {"num_heads": 2, "mlp_dim": 12}
    block = build({"kind": "Encoder1DBlock", "args": args}, to_scenic(Block(8, 2, 12)))
    assert isinstance(block, Block)
    assert (block.mlp.dropout.p, block.attention.attention_dropout) == (0.1, 0.1)


@pytest.mark.parametrize(("positions", "grid"), [(16, (4, 4)), (18, (1, 18))])
@pytest.mark.parametrize("kind", ["EncoderMod", "EncoderModFuser"])
def test_bare_encoder_lies_on_a_square_or_in_a_row(
    kind: str, positions: int, grid: tuple[int, int]
) -> None:
    learner = FUSER if kind == "EncoderModFuser" else V11
    sizes: dict[str, Any] = {"dim": 8, "depth": 3, "num_heads": 2, "mlp_dim": 12}
    config = VisionTransformerConfig(
        image_size=(1, positions), patch_size=(1, 1), num_classes=0, token_learner=learner, **sizes
    )
    args = {"num_layers": 3, "num_heads": 2, "mlp_dim": 12}
    args |= {"num_tokens": 4, "tokenlearner_loc": 1, "tokenizer_type": "video"}
    encoder = build({"kind": kind, "args": args}, to_scenic(Encoder(config, config.grid)))
    assert isinstance(encoder, Encoder)
    assert encoder.grid == grid
    assert len(encoder.fusers) == (2 if kind == "EncoderModFuser" else 0)
    length = positions if kind == "EncoderModFuser" else 4
    assert encoder(torch.randn(2, positions, 8)).shape == (2, length, 8)


def test_image_size_is_found_or_told() -> None:
    params = params_of(V11)
    for config, told, size in (
        (config_of(shape=(2, 35, 19, 3)), None, (35, 19)),  # what fills no patch is dropped
        (config_of(shape=None), None, (32, 16)),
        (config_of(shape=None), (16, 32), (16, 32)),
        (config_of(shape=(2, 32, 16, 3)), (64, 8), (64, 8)),
    ):
        model = build(config, params, image_size=told)
        assert isinstance(model, VisionTransformer)
        assert model.config.image_size == size


def test_image_size_is_asked_for_where_the_grid_is_no_square() -> None:
    params = params_of(V11, image_size=(24, 16))
    message = r"got 12 positions, expected a square number.*pass image_size=\(height, width\)"
    with pytest.raises(ConversionError, match=message):
        build(config_of(shape=None), params)
    build(config_of(shape=None), params, image_size=(24, 16))


def test_image_size_that_does_not_fit_is_an_error() -> None:
    name = "Transformer/posembed_input/pos_embedding"
    message = rf"'{name}': got shape \(1, 16, 8\), expected \(1, 12, 8\)"
    with pytest.raises(ConversionError, match=message):
        build(config_of(), params_of(V11), image_size=(24, 16))


def test_version_1_0_folds_in_networks_only() -> None:
    case = load_case("vit_dynamic_v10_rect_folded")
    model = build(case.config, case.params)
    assert isinstance(model, VisionTransformer)
    assert model.config.token_learner is not None
    assert model.config.token_learner.fold_to_square


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"kind": "Resnet", "args": {}}, "kind is 'Resnet'; it must be one of TokenLearnerModule"),
        ({"kind": "TokenFuser"}, "the configuration has no 'args', the arguments of TokenFuser"),
        (config_of(type="video"), "tokenizer.type is 'video', and the configuration does not"),
        (
            config_of(shape=(2, 4, 32, 16, 3)),
            "the inputs are clips of 4 frames, but tokenizer.type",
        ),
        (config_of(type="square"), "the tokenizer is 'square'; it must be 'patch', 'dynamic' or"),
        (config_of(patches={"size": [8, 4, 2]}), r"patches.size is \(8, 4, 2\); it must be"),
        (config_of(num_group=2), "TokenLearnerViT has the unknown argument 'num_group'; remove"),
    ],
)
def test_configuration_that_cannot_be_is_an_error(config: dict[str, Any], message: str) -> None:
    with pytest.raises(ConversionError, match=message):
        build(config, params_of(V11))


def test_missing_argument_is_named() -> None:
    config = config_of()
    del config["args"]["tokenizer"]["num_tokens"]
    with pytest.raises(ConversionError, match="tokenizer has no argument 'num_tokens'; add it"):
        build(config, params_of(V11))


def test_arguments_without_effect_are_accepted() -> None:
    build(config_of(stochastic_depth=0.1, dtype="float32"), params_of(V11))


def test_a_bare_block_drops_its_branches_as_told() -> None:
    args = {"num_heads": 2, "mlp_dim": 12, "stochastic_depth": 0.1}
    block = build({"kind": "Encoder1DBlock", "args": args}, to_scenic(Block(8, 2, 12)))
    assert isinstance(block, Block)
    assert block.stochastic_depth == 0.1


def test_missing_array_that_would_tell_a_size_is_named() -> None:
    config = {"kind": "TokenLearnerModule", "args": {"num_tokens": 4}}
    with pytest.raises(ConversionError, match="missing array 'LayerNorm_0/scale': got none"):
        build(config, {})
    params = {"LayerNorm_0/scale": np.ones((1, 8), np.float32)}
    message = r"array 'LayerNorm_0/scale': got shape \(1, 8\), expected 1 axes"
    with pytest.raises(ConversionError, match=message):
        build(config, params)


def test_building_draws_no_random_numbers() -> None:
    params = params_of(V11)
    torch.manual_seed(1)
    build(config_of(), params)
    drawn = torch.rand(1)
    torch.manual_seed(1)
    assert drawn == torch.rand(1)


@pytest.mark.parametrize(
    ("name", "value", "limits"),
    [
        ("num_layers", 10**9, "from 1 to 1,000"),  # would be built before an array is looked at
        ("num_layers", 2.0, "from 1 to 1,000"),
        ("hidden_size", "8", "of at least 1"),
        ("mlp_dim", None, "of at least 1"),
        ("num_heads", 0, "of at least 1"),
    ],
)
def test_sizes_that_no_model_has_are_refused(name: str, value: object, limits: str) -> None:
    config = config_of()
    config["args"][name] = value
    with pytest.raises(ConversionError, match=f"{name} is .*; it must be a whole number {limits}"):
        build(config, params_of(V11))
