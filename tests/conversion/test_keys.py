"""The table of names and layouts: hand-made arrays, both directions, and what does not fit."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tests.golden.cases import list_cases, load_case
from tokenlearner.conversion.keys import list_keys
from tokenlearner.conversion.scenic import build, load, to_scenic
from tokenlearner.errors import ConversionError
from tokenlearner.models import TokenLearnerConfig, VisionTransformer, VisionTransformerConfig
from tokenlearner.models.presets import conv_vit, mini_vit
from tokenlearner.modules import Block, ConvStem, TokenLearner, TokenLearnerV11

SMALL: dict[str, Any] = {
    "image_size": (16, 24),
    "patch_size": (8, 8),
    "num_classes": 5,
    "dim": 8,
    "depth": 3,
    "num_heads": 2,
    "mlp_dim": 12,
}


def small_model(**learner: Any) -> VisionTransformer:
    config = TokenLearnerConfig(num_tokens=4, **learner) if learner else None
    return VisionTransformer(VisionTransformerConfig(**SMALL, token_learner=config))


@pytest.mark.parametrize("name", list_cases())
def test_round_trip_is_bit_exact(name: str) -> None:
    case = load_case(name)
    back = to_scenic(build(case.config, case.params))
    assert back.keys() == case.params.keys()
    for key, array in case.params.items():
        assert back[key].dtype == np.float32
        assert back[key].shape == array.shape
        assert back[key].tobytes() == array.tobytes(), key


@pytest.mark.parametrize(
    "module",
    [
        small_model(),
        small_model(at=1),
        small_model(at=1, version="1.0"),
        small_model(at=1, fuser=True),
        Block(8, 2, 12),
        TokenLearner(4, 8),
    ],
)
def test_every_number_is_written_once(module: nn.Module) -> None:
    keys = list_keys(module)
    state = module.state_dict()
    for tensor in state.values():
        tensor.zero_()
    for key in keys.values():
        key.write(state[key.ours], np.ones(key.shape, np.float32))
    assert all(bool((tensor == 1).all()) for tensor in state.values())
    assert sum(np.prod(key.shape) for key in keys.values()) == sum(
        tensor.numel() for tensor in state.values()
    )


def test_dense_kernel_is_transposed() -> None:
    learner = TokenLearnerV11(4, 8, bottleneck_dim=3)
    params = to_scenic(learner)
    params["token_masking/Dense_0/kernel"][5, 2] = 7.0  # from channel 5 to hidden unit 2
    load(learner, params)
    assert learner.masking.fc1.weight[2, 5] == 7.0


def test_convolution_kernel_moves_rows_and_columns() -> None:
    learner = TokenLearner(4, 8)
    params = to_scenic(learner)
    params["Conv_0/kernel"][0, 2, 5, 1] = 7.0  # row 0, column 2, from channel 5 to token 1
    load(learner, params)
    assert learner.convs[0].get_parameter("weight")[1, 5, 0, 2] == 7.0


@pytest.mark.parametrize(("name", "part"), [("query", 0), ("key", 1), ("value", 2)])
def test_attention_kernels_are_joined_head_by_head(name: str, part: int) -> None:
    block = Block(8, 2, 12)
    params = to_scenic(block)
    prefix = f"MultiHeadDotProductAttention_0/{name}"
    params[f"{prefix}/kernel"][5, 1, 2] = 7.0  # from channel 5 to number 2 of head 1
    params[f"{prefix}/bias"][1, 2] = 8.0
    load(block, params)
    row = part * 8 + 1 * 4 + 2
    assert block.attention.qkv.weight[row, 5] == 7.0
    assert block.attention.qkv.bias[row] == 8.0


def test_attention_output_kernel_reads_heads() -> None:
    block = Block(8, 2, 12)
    params = to_scenic(block)
    params["MultiHeadDotProductAttention_0/out/kernel"][1, 2, 5] = 7.0
    load(block, params)
    assert block.attention.out.weight[5, 1 * 4 + 2] == 7.0


def test_learners_are_counted_in_order_of_use() -> None:
    model = small_model(at=1, fuser=True)
    ours = {key.official: key.ours for key in list_keys(model).values()}
    for order, block in enumerate((1, 2)):
        learner = f"Transformer/TokenLearnerModuleV11_{order}/token_masking/Dense_1/bias"
        assert ours[learner] == f"encoder.learners.{block}.masking.fc2.bias"
        fuser = f"Transformer/TokenFuser_{order}/fuser_mix_norm2/scale"
        assert ours[fuser] == f"encoder.fusers.{block}.mix_norm2.weight"


def test_arrays_are_copied() -> None:
    block = Block(8, 2, 12)
    params = to_scenic(block)
    params["LayerNorm_0/scale"][:] = 3.0
    assert bool((block.norm1.weight == 1).all())
    for array in params.values():
        array.flags.writeable = False
    load(block, params)
    with torch.no_grad():
        block.norm1.weight.zero_()
    assert bool((params["LayerNorm_0/scale"] == 3.0).all())


KEY = "MultiHeadDotProductAttention_0/key/kernel"


def test_unknown_array_is_named() -> None:
    params = to_scenic(Block(8, 2, 12)) | {"Conv_9/kernel": np.zeros((1, 8), np.float32)}
    message = r"unknown array 'Conv_9/kernel': got shape \(1, 8\), expected no such array"
    with pytest.raises(ConversionError, match=message):
        load(Block(8, 2, 12), params)


def test_missing_array_is_named() -> None:
    params = to_scenic(Block(8, 2, 12))
    del params[KEY]
    message = rf"missing array '{KEY}': got none, expected shape \(8, 2, 4\)"
    with pytest.raises(ConversionError, match=message):
        load(Block(8, 2, 12), params)


def test_misshapen_array_is_named() -> None:
    params = to_scenic(Block(8, 2, 12))
    params[KEY] = params[KEY].reshape(8, 8)  # as many numbers, but no heads
    message = rf"array '{KEY}': got shape \(8, 8\), expected \(8, 2, 4\)"
    with pytest.raises(ConversionError, match=message):
        load(Block(8, 2, 12), params)


def test_array_of_another_type_is_named() -> None:
    params = to_scenic(Block(8, 2, 12))
    params[KEY] = params[KEY].astype(np.float64)
    with pytest.raises(ConversionError, match=f"array '{KEY}': got float64, expected float32"):
        load(Block(8, 2, 12), params)


def test_nothing_is_written_when_something_does_not_fit() -> None:
    params = {name: array + 1 for name, array in to_scenic(Block(8, 2, 12)).items()}
    del params[KEY]
    block = Block(8, 2, 12)
    before = {name: tensor.clone() for name, tensor in block.state_dict().items()}
    with pytest.raises(ConversionError):
        load(block, params)
    assert all(bool((before[name] == t).all()) for name, t in block.state_dict().items())


def test_a_long_list_of_problems_is_cut() -> None:
    with pytest.raises(ConversionError, match=r"\n- missing array .*\n- and 8 more$"):
        load(Block(8, 2, 12), {})


def test_module_without_counterpart_is_refused() -> None:
    with pytest.raises(ConversionError, match="no counterpart of ConvStem; convert a VisionTr"):
        to_scenic(ConvStem(8, (4,)))


def test_parameter_without_counterpart_is_refused() -> None:
    with pytest.raises(ConversionError, match=r"counterpart of the parameter 'embedding\.0\.weig"):
        to_scenic(VisionTransformer(conv_vit(image_size=32)))


def test_grouped_convolutions_are_refused() -> None:
    message = "the official code cannot do this: a learner of version 'grouped'"
    with pytest.raises(ConversionError, match=message):
        to_scenic(small_model(at=1, version="grouped", groups=2))


def test_what_the_official_code_cannot_do_is_refused() -> None:
    with pytest.raises(ConversionError) as caught:
        to_scenic(VisionTransformer(mini_vit(num_tokens=8)))
    for difference in ("exact GELU", "after the last layer", "attention wider", "mean pooling"):
        assert difference in str(caught.value)
    with pytest.raises(ConversionError, match=r"version 1\.0 on a 2x3 grid that is not folded"):
        to_scenic(small_model(at=1, version="1.0"))
    with pytest.raises(ConversionError, match=r"version 1\.0 with num_layers=1"):
        to_scenic(TokenLearner(4, 8, num_layers=1))
    with pytest.raises(ConversionError, match="bottleneck_dim other than 64"):
        to_scenic(small_model(at=1, bottleneck_dim=32))
