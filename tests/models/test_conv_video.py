"""The convolutional video network: published sizes, what `trace` tells, folders, the compiler."""

import json
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from tests import tiny
from tokenlearner.checkpoints import for_images, load_model, save_model
from tokenlearner.clips import explain_clip
from tokenlearner.errors import ConfigError, ShapeError
from tokenlearner.media.videos import Clip, ClipFacts
from tokenlearner.models import (
    ConvVideoConfig,
    ConvVideoNetwork,
    ModelInfo,
    TokenLearnerConfig,
    VideoVisionTransformer,
)
from tokenlearner.models.conv_video_config import PUBLISHED, x2plus1d_m
from tokenlearner.modules.space_time import SplitConvolution, TokenBottleneck, spatial_convolution

LEARNER = TokenLearnerConfig(num_tokens=2, at=1, version="1.0", fuser=True, bottleneck_dim=4)
SMALL = ConvVideoConfig(
    num_classes=3,
    image_size=(32, 48),
    num_frames=4,
    widths=(4, 8),
    depths=(2, 3),
    head_dim=16,
    token_learner=LEARNER,
)


def random_model(config: ConvVideoConfig) -> ConvVideoNetwork:
    """A model in which no fuser starts at zero."""
    model = ConvVideoNetwork(config).eval()
    for name, parameter in model.named_parameters():
        if "fuser" in name:
            nn.init.normal_(parameter, std=0.5)
    return model


def count_parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def measure(module: nn.Module) -> tuple[float, float]:
    """Millions of parameters, and GFLOPs on 64 frames of 8x8 positions, as the paper counts."""
    with FlopCounterMode(display=False) as counter:
        module(torch.empty(1, 432, 64, 8, 8, device="meta"))
    return count_parameters(module) / 1e6, counter.get_total_flops() / 1e9


class TestPublishedSizes:
    """Tables 11 and 12 of arXiv:2106.11297v2, at width 432."""

    def test_spatial_convolution(self) -> None:
        with torch.device("meta"):
            parameters, gflops = measure(spatial_convolution(432, 432))
        assert (round(parameters, 2), round(gflops, 1)) == (1.68, 13.8)

    def test_split_convolution(self) -> None:
        with torch.device("meta"):
            parameters, gflops = measure(SplitConvolution(432))
        assert (round(parameters, 2), round(gflops, 1)) == (2.24, 18.3)

    @pytest.mark.parametrize(("spatial", "published"), [(False, 0.81), (True, 2.49)])
    def test_token_bottleneck(self, spatial: bool, published: float) -> None:
        with torch.device("meta"):
            parameters, gflops = measure(TokenBottleneck(432, 8, spatial=spatial))
        assert round(parameters, 2) == published
        # The paper says 3.4 (17.2 with the convolution); these are the products alone.
        assert round(gflops - 13.8 * spatial, 1) == pytest.approx(1.8, abs=0.11)

    def test_backbone_with_whole_convolutions_would_be_x3d_m(self) -> None:
        """PyTorchVideo's model zoo gives 3.79 M for 400 classes."""
        with torch.device("meta"):
            backbone = ConvVideoNetwork(x2plus1d_m(num_classes=400, num_tokens=None))
        inner_widths = 3 * 54 + 5 * 108 + 11 * 216 + 7 * 432
        whole = count_parameters(backbone) + inner_widths * (27 - 9 - 3)
        assert round(whole / 1e6, 2) == 3.79

    @pytest.mark.parametrize(("name", "num_classes"), [("Charades", 157), ("AViD", 887)])
    def test_presets(self, name: str, num_classes: int) -> None:
        config = PUBLISHED[name]
        assert config.num_classes == num_classes
        assert (config.grid, config.num_frames, config.depth) == ((8, 8), 64, 26)
        assert config.learner_blocks == (20, 21, 22, 23, 24, 25)
        with torch.device("meta"):
            model = ConvVideoNetwork(config)
        bottlenecks = [part for part in model.modules() if isinstance(part, TokenBottleneck)]
        assert len(bottlenecks) == 6
        assert {part.learner.in_channels for part in bottlenecks} == {432}


def test_trace_tells_what_forward_does() -> None:
    model = random_model(SMALL)
    clips = torch.randn(2, 3, 4, 32, 48)
    trace = model.trace(clips)
    torch.testing.assert_close(trace.logits, model(clips), rtol=0, atol=0)
    assert (trace.steps, trace.grid) == (4, (4, 6))
    assert [traced.block for traced in trace.learners] == [1, 3, 4]
    assert [traced.block for traced in trace.fusers] == [1, 3, 4]
    assert trace.learners[0].maps.shape == (2, 4, 2, 8, 12)  # the first stage has finer cells
    for traced in trace.learners[1:]:
        assert traced.maps.shape == (2, 4, 2, 4, 6)
        pooled = torch.einsum("btsn,btnc->btsc", traced.maps.flatten(3), traced.tokens_before)
        torch.testing.assert_close(traced.tokens_after, pooled)
    for traced in trace.fusers[1:]:
        assert traced.maps.shape == (2, 4, 2, 4, 6)
        assert traced.update.shape == (2, 4, 24, 18)


def test_fresh_token_bottleneck_is_its_convolution() -> None:
    """The fuser starts at zero, so there is only the residual."""
    module = TokenBottleneck(6, 2)
    assert module.spatial is not None
    x = torch.randn(2, 6, 3, 4, 5)
    torch.testing.assert_close(module(x)[0], module.spatial(x))
    bare = TokenBottleneck(6, 2, spatial=False)
    torch.testing.assert_close(bare(x)[0], x)


def test_update_is_written_to_its_own_frame_and_position() -> None:
    module = TokenBottleneck(6, 2, spatial=False)
    for parameter in module.fuser.parameters():
        nn.init.normal_(parameter)
    x = torch.randn(2, 6, 3, 4, 5)
    result, maps, before, after, fuser_maps, update = module(x)
    assert maps.shape == fuser_maps.shape == (2, 3, 2, 4, 5)
    assert after.shape == (2, 3, 2, 6)
    for frame, row, column in ((0, 0, 0), (2, 1, 3)):
        position = 5 * row + column
        torch.testing.assert_close(before[:, frame, position], x[:, :, frame, row, column])
        written = x[:, :, frame, row, column] + update[:, frame, position]
        torch.testing.assert_close(result[:, :, frame, row, column], written)


def test_attention_keeps_one_value_per_channel() -> None:
    """Computed by hand: each channel weighs the tokens of all frames by itself."""
    module = TokenBottleneck(3, 2, spatial=False)
    tokens = torch.randn(1, 8, 3)
    query, key, value = module.attention.qkv(tokens).chunk(3, dim=2)
    mixed = torch.zeros(1, 8, 3)
    for channel in range(3):
        scores = query[0, :, channel, None] * key[0, None, :, channel]
        mixed[0, :, channel] = scores.softmax(dim=1) @ value[0, :, channel]
    torch.testing.assert_close(module.attention(tokens), module.attention.out(mixed))


def test_tokens_of_one_frame_reach_the_others() -> None:
    module = TokenBottleneck(6, 2, spatial=False)
    for parameter in module.fuser.parameters():
        nn.init.normal_(parameter)
    x = torch.randn(1, 6, 3, 4, 4, requires_grad=True)
    module(x)[0][:, :, 2].sum().backward()
    assert x.grad is not None
    assert bool((x.grad[:, :, 0] != 0).any())


def test_split_convolution_is_spatial_then_temporal() -> None:
    convolution = SplitConvolution(1)
    weights = list(convolution.parameters())
    with torch.no_grad():
        for weight in weights:
            weight.zero_()
        weights[0][0, 0, 0, 0, 2] = 2.0  # from above right
        weights[1][0, 0, 2, 0, 0] = 3.0  # from the next frame
    x = torch.zeros(1, 1, 3, 3, 3)
    x[0, 0, 1, 0, 2] = 1.0
    assert convolution(x).nonzero().tolist() == [[0, 0, 0, 1, 1]]
    assert convolution(x)[0, 0, 0, 1, 1] == 6.0


def test_folder(tmp_path: Path) -> None:
    model = random_model(SMALL)
    preprocessing = replace(tiny.preprocessing(), image_size=(32, 48))
    model.info = ModelInfo(name="conv", class_names=tiny.CLASSES, preprocessing=preprocessing)
    save_model(tmp_path, model)
    loaded = load_model(tmp_path)
    assert isinstance(loaded, ConvVideoNetwork)
    assert loaded.config == SMALL
    clips = torch.randn(1, 3, 4, 32, 48)
    torch.testing.assert_close(loaded(clips), model(clips), rtol=0, atol=0)
    with pytest.raises(ConfigError, match="conv takes clips, not photos"):
        for_images(loaded)


def test_explains_a_clip() -> None:
    model = random_model(replace(SMALL, image_size=(36, 36)))
    preprocessing = replace(tiny.preprocessing(), image_size=(36, 36))
    model.info = ModelInfo(name="conv", class_names=tiny.CLASSES, preprocessing=preprocessing)
    frames = np.random.default_rng(0).integers(0, 255, (5, 40, 50, 3), dtype=np.uint8)
    facts = ClipFacts(
        duration_s=1.0,
        fps=5.0,
        width_px=50,
        height_px=40,
        codec="h264",
        container="mp4",
        has_audio=False,
        num_frames=5,
    )
    clip = Clip(frames=frames, times_s=np.arange(5) / 5, facts=facts, notes=())
    explanation = explain_clip(model, clip)
    assert explanation.learners[-1].maps.shape == (5, 2, 5, 5)
    assert explanation.step_frames == ((0, 1), (1, 2), (2, 3), (3, 4), (4, 5))
    assert explanation.geometry.model_size == (36, 36)
    assert explanation.geometry.cells == "strided"
    assert explanation.frame_probabilities is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_classes": 0}, "num_classes is 0; it must be at least 1"),
        ({"depths": (2,)}, r"widths=\(4, 8\) and depths=\(2,\); wanted one of each for every"),
        ({"num_classes": "4"}, "num_classes is '4'; it must be a whole number"),
        ({"num_frames": 16.5}, "num_frames is 16.5; it must be a whole number"),
        ({"widths": (4, 0)}, r"widths is \(4, 0\); wanted numbers of channels"),
        ({"widths": 24}, "widths is 24; wanted numbers of channels"),
        ({"depths": (2, True)}, r"depths is \(2, True\); wanted numbers of blocks"),
        ({"expansion": 0.0}, "expansion is 0.0; it must be a positive number"),
        ({"expansion": math.inf}, "expansion is inf; it must be a positive number"),
        ({"expansion": 0.01}, "expansion is 0.01 and the least of widths="),
        ({"squeeze_ratio": "small"}, "squeeze_ratio is 'small'; it must be a positive number"),
        ({"image_size": (0, 32)}, r"image_size is \(0, 32\); wanted \(height, width\) in px"),
        ({"image_size": 256}, r"image_size is 256; wanted \(height, width\) in px"),
        ({"dropout": 1.0}, "dropout is 1.0; it must be in 0 <= p < 1"),
        ({"dropout": None}, "dropout is None; it must be in 0 <= p < 1"),
        ({"token_learner": {"at": 2}}, "token_learner is {'at': 2}; wanted a TokenLearnerConfig"),
        (
            {"token_learner": TokenLearnerConfig(num_tokens=2, at=1)},
            "version '1.1' and fuser=False; this network needs version '1.0' and fuser=True",
        ),
        (
            {"token_learner": TokenLearnerConfig(num_tokens=2, at=5, version="1.0", fuser=True)},
            "at is 5, and no block from there on keeps its grid; there are 5 blocks",
        ),
        (
            {"token_learner": replace(LEARNER, pooling="mean")},
            "pooling='mean' and fold_to_square=False; this network's learners support neither",
        ),
    ],
)
@pytest.mark.usefixtures("_as_users_run_it")
def test_configuration_that_cannot_be(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        replace(SMALL, **changes)


@pytest.mark.usefixtures("_as_users_run_it")
def test_a_configuration_for_another_model() -> None:
    config: Any = tiny.model().config
    with pytest.raises(ConfigError, match="wanted a ConvVideoConfig"):
        ConvVideoNetwork(config)
    with pytest.raises(ConfigError, match="wanted a VideoVisionTransformerConfig"):
        VideoVisionTransformer(config)


def test_configuration_round_trip() -> None:
    as_json = json.loads(json.dumps(SMALL.to_dict()))
    assert hash(ConvVideoConfig.from_dict(as_json)) == hash(SMALL)
    with pytest.raises(ConfigError, match=r"ConvVideoConfig has no field \['width'\]"):
        ConvVideoConfig.from_dict(SMALL.to_dict() | {"width": 3})


def test_clips_that_cannot_be_are_errors() -> None:
    check = random_model(SMALL).check
    with pytest.raises(ShapeError, match=r"shape \(1, 2, 4, 32, 48\); wanted \[batch, 3, time, h"):
        check(torch.randn(1, 2, 4, 32, 48))
    with pytest.raises(ShapeError, match=r"shape \(1, 3, 32, 48\); wanted \[batch, 3, time, heig"):
        check(torch.randn(1, 3, 32, 48))


COMPILE = """
import torch
from tests.models.test_conv_video import SMALL, random_model

clips = torch.randn(2, 3, 4, 32, 48)
model = random_model(SMALL)
compiled = torch.compile(model, fullgraph=True, backend="eager")
with torch.no_grad():
    torch.testing.assert_close(compiled(clips), model(clips))
print("compiled")
"""


def test_forward_compiles_as_one_graph() -> None:
    """In a fresh interpreter: shape checks wrap functions, and a wrapped one does not compile."""
    result = subprocess.run(
        [sys.executable, "-c", COMPILE],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert result.stdout.splitlines() == ["compiled"], result.stderr
