"""Counts of the convolutional video network, against PyTorch's own counter and our recorder."""

from dataclasses import replace

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from tokenlearner.efficiency import CONVENTIONS, count_model
from tokenlearner.efficiency.conv_video_flops import count_conv_video, token_bottleneck
from tokenlearner.efficiency.flops import Cost
from tokenlearner.efficiency.published_models import published_cost
from tokenlearner.efficiency.recorder import record
from tokenlearner.errors import ConfigError
from tokenlearner.models import TokenLearnerConfig
from tokenlearner.models.conv_video import ConvVideoNetwork
from tokenlearner.models.conv_video_config import PUBLISHED, ConvVideoConfig, x2plus1d_m
from tokenlearner.modules.space_time import TokenBottleneck

LEARNER = TokenLearnerConfig(num_tokens=3, at=2, version="1.0", fuser=True, bottleneck_dim=5)
BACKBONE = ConvVideoConfig(
    num_classes=7,
    image_size=(36, 52),
    num_frames=5,
    widths=(8, 16),
    depths=(2, 3),
    head_dim=20,
)
CASES = {
    "backbone": BACKBONE,
    "learner": replace(BACKBONE, token_learner=LEARNER, spatial_convolution=False),
    "learner after a convolution": replace(BACKBONE, token_learner=LEARNER),
    "X(2+1)D-M": x2plus1d_m(num_classes=887, num_tokens=None),
    "Charades": PUBLISHED["Charades"],
}


def make(config: ConvVideoConfig) -> ConvVideoNetwork:
    with torch.device("meta"):
        return ConvVideoNetwork(config).eval().requires_grad_(False)


@pytest.mark.parametrize("name", CASES)
def test_agrees_with_pytorch(name: str) -> None:
    config = CASES[name]
    model = make(config)
    clips = torch.empty(1, 3, config.num_frames, *config.image_size, device="meta")
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(clips)
    assert 2 * count_model(model).macs == counter.get_total_flops()


def test_agrees_at_another_size() -> None:
    model = make(CASES["learner"])
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.empty(1, 3, 9, 33, 70, device="meta"))
    cost = count_model(model, image_size=(33, 70), num_frames=9)
    assert 2 * cost.macs == counter.get_total_flops()


def test_no_frames_are_no_size() -> None:
    with pytest.raises(ConfigError, match="num_frames is 0; it must be at least 1"):
        count_conv_video(BACKBONE, num_frames=0)


def test_the_backbone_holds_what_pytorch_computes() -> None:
    found = record(make(BACKBONE), torch.empty(1, 3, 5, 36, 52, device="meta"))
    cost = count_conv_video(BACKBONE)
    for convention in CONVENTIONS.values():
        assert cost.giga(convention) == sum(map(convention.count, found)) / 1e9


def test_stages_and_their_tokens() -> None:
    stages = count_conv_video(CASES["learner"]).stages
    assert [(stage.name, stage.tokens) for stage in stages] == [
        ("embedding", 5 * 18 * 26),
        ("block 0", 5 * 9 * 13),
        ("block 1", 5 * 9 * 13),
        ("block 2", 5 * 5 * 7),
        ("learner 3", 5 * 3),
        ("block 3", 5 * 5 * 7),
        ("fuser 3", 5 * 5 * 7),
        ("learner 4", 5 * 3),
        ("block 4", 5 * 5 * 7),
        ("fuser 4", 5 * 5 * 7),
        ("head", 1),
    ]


def test_a_module_alone_counts_what_it_computes() -> None:
    learner = TokenLearnerConfig(num_tokens=2, at=1, version="1.0", fuser=True, bottleneck_dim=4)
    module = TokenBottleneck(6, 2, spatial=False, bottleneck_dim=4).eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        module(torch.zeros(1, 6, 3, 4, 5))
    cost = Cost(token_bottleneck(learner, 6, (3, 4, 5)))
    assert 2 * cost.macs == counter.get_total_flops()


@pytest.mark.parametrize(("name", "num_attentions"), [("ch_joint", 1), ("ch_space_time", 2)])
def test_attention_with_the_published_parameters(name: str, num_attentions: int) -> None:
    projections = [
        work
        for stage in published_cost(name).stages
        for work in stage.operations
        if work.kind == "projection"
    ]
    parameters = sum(work.terms * work.width for work in projections)
    assert parameters == num_attentions * 297_216  # printed: 0.30 and 0.59 million
