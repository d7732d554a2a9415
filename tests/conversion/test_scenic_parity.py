"""Converted weights compute what the official code computed with them, step by step."""

import os
from collections.abc import Iterator

import pytest
import torch
from einops import rearrange
from torch import Tensor, nn

from tests.golden.cases import Case, list_cases, load_case
from tokenlearner.conversion.scenic import build
from tokenlearner.models import (
    Encoder,
    EncoderTrace,
    VideoVisionTransformer,
    VisionTransformer,
)
from tokenlearner.modules import Block, TokenFuser, TokenLearner, TokenLearnerV11

TOLERANCE = 1e-5  # of the norm; float32 rounding leaves about 1e-6


def relative_error(actual: Tensor, reference: Tensor) -> float:
    assert actual.shape == reference.shape
    assert actual.dtype == torch.float32
    return float((actual - reference).norm() / reference.norm())


def channels_first(x: Tensor) -> Tensor:
    return x if x.ndim == 3 else rearrange(x, "b ... c -> b c ...")


def flat(x: Tensor) -> Tensor:
    return rearrange(x, "b c h w -> b (h w) c") if x.ndim == 4 else x


@torch.no_grad()
def compute(module: nn.Module, case: Case) -> dict[str, Tensor]:
    """Everything our module computes, under the names in the file."""
    x = channels_first(case.inputs)
    match module:
        case TokenLearner() | TokenLearnerV11():
            grid = None if x.ndim == 4 or module.version == "1.0" else (1, x.shape[1])
            tokens, maps = module(x, grid=grid, return_maps=True)
            return {"outputs": tokens, "maps/0": maps.flatten(2)}
        case TokenFuser():
            assert case.original is not None
            original = channels_first(case.original)
            update = module(x, original)
            assert update.shape == original.shape
            return {"outputs": flat(update)}
        case Encoder():
            return {"outputs": module(x), **dict(name_encoder(module.trace(x), ""))}
        case VisionTransformer(head=None):
            embedded, grid = module.embed(x)
            return {
                "outputs": module(x),
                "acts/embedding": embedded.unflatten(1, grid),
                **dict(name_encoder(module.encoder.trace(embedded, grid=grid), "Transformer/")),
            }
        case VideoVisionTransformer(head=None):
            embedded, grid, steps = module.embed(x)
            traced = module.encoder.trace(embedded, grid=grid, steps=steps)
            return {
                "outputs": module(x),
                "acts/embedding": embedded.unflatten(1, (steps, *grid)).flatten(0, 1),
                **dict(name_encoder(traced, "Transformer/")),
            }
        case VisionTransformer() | VideoVisionTransformer():
            trace = module.trace(x)
            return {
                "outputs": module(x),
                "acts/embedding": trace.embedded.view(case.recorded["acts/embedding"].shape),
                "acts/pre_logits": trace.representation,
                **dict(name_encoder(trace.encoder, "Transformer/")),
            }
    return {"outputs": module(x)}


def name_encoder(trace: EncoderTrace, prefix: str) -> Iterator[tuple[str, Tensor]]:
    yield f"acts/{prefix}posembed_input", trace.positioned
    yield f"acts/{prefix}encoder_norm", trace.encoded
    for index, block in enumerate(trace.blocks):
        yield f"acts/{prefix}encoderblock_{index}", block
    for order, learner in enumerate(trace.learners):
        yield f"maps/{order}", learner.maps.flatten(0, -4).flatten(2)
        # The name tells the version; a trace does not, so both names are offered.
        yield f"acts/{prefix}TokenLearnerModule_{order}", learner.tokens_after.flatten(0, -3)
        yield f"acts/{prefix}TokenLearnerModuleV11_{order}", learner.tokens_after.flatten(0, -3)
    for order, fuser in enumerate(trace.fusers):
        yield f"acts/{prefix}TokenFuser_{order}", fuser.update.flatten(0, -3)


@pytest.mark.parametrize("name", list_cases())
def test_outputs_maps_and_activations(name: str) -> None:
    case = load_case(name)
    module = build(case.config, case.params)
    assert not any(part.training for part in module.modules())
    ours = compute(module, case)
    errors = {
        key: relative_error(ours[key], reference)
        for key, reference in {"outputs": case.outputs, **case.recorded}.items()
    }
    assert max(errors.values()) <= TOLERANCE, errors


def test_biases_without_effect_are_loaded() -> None:
    """No output tells whether these are right, so they are looked at."""
    checked = set()
    for name in list_cases():
        case = load_case(name)
        for key, bias in list_inert_biases(build(case.config, case.params)):
            wanted = torch.from_numpy(case.params[key]).flatten()
            assert torch.equal(bias, wanted), (name, key)
            checked.add(key.split("/")[-2])
    assert checked == {"Dense_0", "Dense_1", "key"}


def list_inert_biases(module: nn.Module, prefix: str = "") -> Iterator[tuple[str, Tensor]]:
    match module:
        case TokenLearnerV11():  # softmax over positions removes it
            yield f"{prefix}token_masking/Dense_1/bias", module.masking.fc2.bias
        case TokenFuser():  # the norm after it removes it
            yield f"{prefix}Dense_0/bias", module.mix.bias
        case Block():  # softmax over keys removes it
            key_bias = module.attention.qkv.bias.chunk(3)[1]
            yield f"{prefix}MultiHeadDotProductAttention_0/key/bias", key_bias
        case Encoder():
            for index, block in enumerate(module.blocks):
                yield from list_inert_biases(block, f"{prefix}encoderblock_{index}/")
            for order, learner in enumerate(module.learners.values()):
                yield from list_inert_biases(learner, f"{prefix}TokenLearnerModuleV11_{order}/")
            for order, fuser in enumerate(module.fusers.values()):
                yield from list_inert_biases(fuser, f"{prefix}TokenFuser_{order}/")
        case VisionTransformer() | VideoVisionTransformer():
            yield from list_inert_biases(module.encoder, f"{prefix}Transformer/")


def test_every_layer_norm_has_the_official_epsilon() -> None:
    """At an ordinary scale an output hardly tells."""
    checked = 0
    for name in list_cases():
        case = load_case(name)
        for part in build(case.config, case.params).modules():
            if isinstance(part, nn.LayerNorm):
                assert part.eps == 1e-6, name
                checked += 1
    assert checked


@pytest.mark.skipif("TOKENLEARNER_GOLDEN" in os.environ, reason="another folder has other cases")
def test_no_case_is_missing() -> None:
    assert len(list_cases()) == 54


def test_folder_holds_every_kind_of_clips() -> None:
    cases = [load_case(name) for name in list_cases()]
    clips = [case for case in cases if case.inputs.ndim == 5]
    methods = [
        (case.config["args"]["tokenizer"].get("temporal_encoding_config") or {}).get("method")
        for case in clips
    ]
    assert set(methods) == {"3d_conv", "temporal_sampling", None}
    assert any(case.config["args"].get("temporal_dimensions", 1) > 1 for case in cases)


def test_folder_holds_every_kind() -> None:
    kinds = {load_case(name).config["kind"] for name in list_cases()}
    assert kinds >= {
        "Encoder1DBlock",
        "EncoderMod",
        "TokenFuser",
        "TokenLearnerModule",
        "TokenLearnerModuleV11",
        "TokenLearnerViT",
        "TokenLearnerViTRepresentation",
    }
