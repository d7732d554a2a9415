"""The models behind published GFLOPs, as far as they can be told from the figures."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial

from tokenlearner.efficiency import layers
from tokenlearner.efficiency.conv_video_flops import token_bottleneck
from tokenlearner.efficiency.flops import Cost, Stage, count_macs
from tokenlearner.efficiency.operations import Operation, repeat
from tokenlearner.models.config import TokenLearnerConfig, VisionTransformerConfig
from tokenlearner.models.presets import PUBLISHED, mini_vit, vit
from tokenlearner.models.video_config import VideoVisionTransformerConfig
from tokenlearner.models.video_presets import PUBLISHED as KINETICS
from tokenlearner.models.video_presets import vivit

_at_224 = partial(vit, image_size=224, version="1.0")
_L16 = PUBLISHED["L/16"]

IMAGE_MODELS: dict[str, VisionTransformerConfig] = {
    "im_t1_vit_s32": PUBLISHED["S/32"],
    "im_t1_vit_b32": PUBLISHED["B/32"],
    "im_t1_vit_b16": PUBLISHED["B/16"],
    "im_t1_tl_s32": PUBLISHED["S/32, 8 tokens at 6"],
    "im_t1_tl_b16": PUBLISHED["B/16, 16 tokens at 6"],
    "im_t1_tl_s32_22": PUBLISHED["S/32 (22), 8 tokens at 11"],
    "im_t1_tl_b32_20": PUBLISHED["B/32 (20), 8 tokens at 10"],
    "im_t1_tl_b16_21": PUBLISHED["B/16 (21), 8 tokens at 10"],
    "im_t1_tl16_b16_21": PUBLISHED["B/16 (21), 16 tokens at 10"],
    "im_t2_l16": _L16,
    "im_t2_l16_16tl12": PUBLISHED["L/16, 16 tokens at 12"],
    "im_t2_l16_35_16tl12": PUBLISHED["L/16 (24+11), 16 tokens at 12"],
    "im_t2_l16_30_8tl18": PUBLISHED["L/16 (24+6), 8 tokens at 18"],
    "im_t2_l16_35_16tl12_fuser": PUBLISHED["L/16 (24+11), 16 tokens at 12, fuser"],
    "im_t2_l14_35_16tl18": PUBLISHED["L/14 (24+11), 16 tokens at 18"],
    "im_t4_b16_8_n": PUBLISHED["B/16, 8 tokens at 6"],
    "im_t4_b16_8_y": PUBLISHED["B/16, 8 tokens at 6, fuser"],
    "im_t4_b16_16_n": PUBLISHED["B/16, 16 tokens at 6"],
    "im_t4_b16_16_y": PUBLISHED["B/16, 16 tokens at 6, fuser"],
    "im_t4_l16_16at12_n": PUBLISHED["L/16, 16 tokens at 12"],
    "im_t4_l16_16at12_y": PUBLISHED["L/16, 16 tokens at 12, fuser"],
    "im_t4_l16_8at18_n": PUBLISHED["L/16, 8 tokens at 18"],
    "im_t4_l16_8at18_y": PUBLISHED["L/16, 8 tokens at 18, fuser"],
    "im_t4_l10_n": PUBLISHED["L/10 (24+11), 16 tokens at 18"],
    "im_t4_l10_y": PUBLISHED["L/10 (24+11), 16 tokens at 18, fuser"],
    "im_t5_16tl12": PUBLISHED["L/16, 16 tokens at 12"],
    "fs_vit-s32": _at_224("S/32"),
    "fs_vit-b32": _at_224("B/32"),
    "fs_vit-b16": _at_224("B/16"),
    "fs_tl-s32": _at_224("S/32", num_tokens=8),
    "fs_tl-s3222": _at_224("S/32", num_tokens=8, at=11, extra_layers=10),
    "fs_tl-b3220": _at_224("B/32", num_tokens=8, at=10, extra_layers=8),
    "fs_tl-b16": _at_224("B/16", num_tokens=16),
    "fs_tl-b1621": _at_224("B/16", num_tokens=8, at=10, extra_layers=9),
    "loc_base": _at_224("B/16"),
    "loc_0_8": _at_224("B/16", num_tokens=8, at=0),
    "loc_0_16": _at_224("B/16", num_tokens=16, at=0),
    "loc_0.25_8": _at_224("B/16", num_tokens=8, at=3),
    "loc_0.25_16": _at_224("B/16", num_tokens=16, at=3),
    "loc_0.5_8": _at_224("B/16", num_tokens=8, at=6),
    "loc_0.5_16": _at_224("B/16", num_tokens=16, at=6),
    "loc_0.75_8": _at_224("B/16", num_tokens=8, at=9),
    "loc_0.75_16": _at_224("B/16", num_tokens=16, at=9),
}
"""Vision transformers of the article and the slides. Where a source leaves something open, it is
what reproduces the GFLOPs."""

MINI_MODELS: dict[str, VisionTransformerConfig] = {
    "mini_base4": mini_vit(),
    "mini_base8": mini_vit(depth=8),
    "mini_tl8": mini_vit(num_tokens=8),
    "mini_tl4": mini_vit(num_tokens=4),
    "mini_v11_g4_t4": mini_vit(num_tokens=4, groups=4),
    "mini_v11_g8_t8": mini_vit(num_tokens=8, groups=8),
    "mini_v11_g8_t8_alt": mini_vit(num_tokens=4, groups=8),
    "mini_v11_g4_t8": mini_vit(num_tokens=8, groups=4),
    "mini_v11_g4_t8_alt": mini_vit(num_tokens=4, groups=4),
}
"""The Keras example's models. `_alt` has the 4 tokens its figures were counted with."""

CLIP_MODELS: dict[str, VideoVisionTransformerConfig] = {
    "k_vivit_l16": KINETICS["L/16x2"],
    "k_vivit_l16_320": KINETICS["L/16x2, 320 px"],
    "k_vivit_h14": KINETICS["H/14x2"],
    "k_vivit_h16_v2": vivit("H/16", image_size=320, class_token=True),
    "k_tl_16at12_l16": KINETICS["L/16x2, 16 tokens at 12"],
    "k_tl_8at18_l16": KINETICS["L/16x2 (24+6), 8 tokens at 18"],
    "k_tl_16at18_l14": KINETICS["L/14x2 (24+11), 16 tokens at 18"],
    "k_tl_16at18_l10": KINETICS["L/10x2 (24+11), 16 tokens at 18"],
    "k_tl_16at18_l10_fuser": KINETICS["L/10x2 (24+11), 16 tokens at 18, fuser"],
}
"""ViViT with joint attention over 32 frames in tubelets of 2."""


def published_config(name: str) -> VisionTransformerConfig | None:
    """Returns the configuration of a published value's model; None where we have no such model.

    Args:
        name: Name of a `published.Count`.
    """
    return (IMAGE_MODELS | CLIP_MODELS | MINI_MODELS).get(name)


@cache
def published_cost(name: str) -> Cost:
    """Counts the model of a published value.

    Args:
        name: Name of a `published.Count`.
    """
    config = published_config(name)
    if config is None:
        return _OTHERS[name]()
    cost = count_macs(config, linear_fuser_maps=True)
    return _as_the_notebook(cost) if name in MINI_MODELS else cost


def _as_the_notebook(cost: Cost) -> Cost:
    """Adds what the Keras example has inside its model: rescaling photos, softmax of answers."""
    photo = Stage("rescaling", "embedding", 0, (Operation("scale", 32 * 32, 3),))
    answers = Stage("softmax", "head", 1, (Operation("softmax", 1, 10),))
    return Cost((photo, *cost.stages, answers))


def _pooled(*places: tuple[int, int]) -> Cost:
    """Counts L/16 at 512 px with its grid averaged over squares before some blocks.

    Args:
        places: The block, and the side of a square in positions.
    """
    squares, side, stages = dict(places), _L16.grid[0], list(count_macs(_L16).stages)
    counted = [stages[0]]
    for index in range(_L16.depth):
        if index in squares:
            pooling = Operation("pool", side * side, _L16.dim)
            side //= squares[index]
            counted.append(Stage(f"pool {index}", "pool", side * side, (pooling,)))
        size = (side * _L16.patch_size[0], side * _L16.patch_size[1])
        counted += count_macs(replace(_L16, image_size=size)).stages[1 + index : 2 + index]
    size = (side * _L16.patch_size[0], side * _L16.patch_size[1])
    return Cost((*counted, count_macs(replace(_L16, image_size=size)).stages[-1]))


def _without_one_attention() -> Cost:
    """Counts L/16 with 16 tokens at 12, the first block without its attention."""
    embedding, first, *others = count_macs(PUBLISHED["L/16, 16 tokens at 12"]).stages
    norms = [i for i, work in enumerate(first.operations) if work.kind == "layer_norm"]
    return Cost((embedding, replace(first, operations=first.operations[norms[1] :]), *others))


def _convolutions(*, temporal: bool) -> Cost:
    """Counts a 3x3 convolution of 432 channels on 64 frames of 8x8, and one in time after it."""
    spatial = layers.convolution((8, 8), 432, 432, kernel=(3, 3), padding=(1, 1))
    stages = [Stage("spatial convolution", "block", 8 * 8 * 64, repeat(spatial, 64))]
    if temporal:
        along = layers.convolution((64,), 432, 432, kernel=(3,), padding=(1,))
        stages.append(Stage("temporal convolution", "block", 8 * 8 * 64, repeat(along, 64)))
    return Cost(tuple(stages))


def _self_attention(groups: int, tokens: int) -> Stage:
    """Counts self-attention inside each of some groups of tokens, as Tables 11 and 12 have it.

    Query and key of 128 channels, value of 432 and no output projection have 0.297 million
    parameters, and so the parameters of all its rows. The source gives no sizes, nor heads.
    """
    every = groups * tokens
    work = (
        Operation("projection", every, 128 + 128 + 432, 432),
        Operation("attention", every, tokens, 128),
        Operation("attention", every, 432, tokens),
    )
    return Stage(f"attention of {tokens}", "block", every, work)


_JOINT = _self_attention(1, 8 * 8 * 64)
_IN_SPACE = _self_attention(64, 8 * 8)
_IN_TIME = _self_attention(8 * 8, 64)


def _modules(*stages: Stage, convolution: bool = False, learner: bool = False) -> Cost:
    """Counts modules one after another, on 64 frames of 8x8 positions of 432 channels.

    Args:
        stages: Those of attention.
        convolution: A 3x3 convolution before them.
        learner: What `TokenBottleneck` does without one: learner, vector attention, fuser.
    """
    counted = list(_convolutions(temporal=False).stages) if convolution else []
    counted += stages
    if learner:
        counted += token_bottleneck(
            TokenLearnerConfig(num_tokens=8, at=19, version="1.0", fuser=True), 432, (64, 8, 8)
        )
    return Cost(tuple(counted))


_OTHERS: dict[str, Callable[[], Cost]] = {
    "im_t2_l16_16tl12_alt": _without_one_attention,
    "im_t5_pool_9_18": partial(_pooled, (9, 4), (18, 4)),
    "im_t5_pool_12_18": partial(_pooled, (12, 4), (18, 4)),
    "im_t5_pool4x4_12": partial(_pooled, (12, 8)),
    "ch_conv2d_delta": partial(_convolutions, temporal=False),
    "ch_conv2d_conv1d": partial(_convolutions, temporal=True),
    "ch_joint": partial(_modules, _JOINT),
    "ch_conv2d_joint": partial(_modules, _JOINT, convolution=True),
    "ch_conv2d_time": partial(_modules, _IN_TIME, convolution=True),
    "ch_space_time": partial(_modules, _IN_SPACE, _IN_TIME),
    "ch_conv2d_space_time": partial(_modules, _IN_SPACE, _IN_TIME, convolution=True),
    "ch_learner": partial(_modules, learner=True),
    "ch_space_learner": partial(_modules, _IN_SPACE, learner=True),
    "ch_conv2d_learner": partial(_modules, convolution=True, learner=True),
}
