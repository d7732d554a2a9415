"""What official arguments mean for models that take clips."""

from typing import Any

import pytest

from tests.golden.cases import load_case
from tokenlearner.conversion.scenic import build, to_scenic
from tokenlearner.errors import ConversionError
from tokenlearner.models import VideoVisionTransformer, VideoVisionTransformerConfig


@pytest.mark.parametrize(
    ("name", "facts"),
    [
        ("video_3dconv_v11_rect", {"num_frames": 8, "tubelet_frames": 4, "grid": (3, 3)}),
        ("video_3dconv_v11_ragged", {"num_frames": 8, "tubelet_frames": 3, "steps": 2}),
        ("video_sampling_v11_extra_frame", {"sampled_frames": 2, "steps": 3}),
        ("video_sampling_v11_straddle", {"stack_frames": True, "grid": (1, 6)}),
        ("representation_5d_v11_fuse", {"num_frames": 3, "tubelet_frames": 1, "steps": 3}),
    ],
)
def test_what_becomes_of_the_arguments(name: str, facts: dict[str, Any]) -> None:
    case = load_case(name)
    model = build(case.config, case.params)
    assert isinstance(model, VideoVisionTransformer)
    assert {key: getattr(model.config, key) for key in facts} == facts


def test_sizes_that_no_input_shape_tells() -> None:
    case = load_case("video_3dconv_v11_fuse")
    config = {"kind": case.config["kind"], "args": case.config["args"]}
    model = build(config, case.params, num_frames=8)
    assert isinstance(model, VideoVisionTransformer)
    assert model.config.image_size == (32, 32)
    told = build(config, case.params, num_frames=9, image_size=(64, 16))
    assert isinstance(told, VideoVisionTransformer)
    assert (told.config.num_frames, told.config.image_size) == (9, (64, 16))
    with pytest.raises(ConversionError, match="how many frames a clip has; pass num_frames"):
        build(config, case.params)
    with pytest.raises(ConversionError, match="got 32 positions in each time step, expected a"):
        build(config, case.params, num_frames=4)
    with pytest.raises(ConversionError, match="64 positions cannot be 3 time steps"):
        build(config, case.params, num_frames=6)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"type": "dynamic"},
            "8 frames, but tokenizer.type is 'dynamic'; only 'video'",
        ),
        (
            {"patches": {"size": [8, 8]}},
            r"\(8, 8\); it must be \(height, width, frames\)",
        ),
        ({"temporal_encoding_config": {"method": "lstm"}}, "method is 'lstm'; it must be '3d_"),
        (
            {"temporal_encoding_config": {"method": "3d_conv", "n_frames": 3}},
            "temporal_encoding_config has the unknown argument 'n_frames'",
        ),
    ],
)
def test_configuration_that_cannot_be(changes: dict[str, Any], message: str) -> None:
    case = load_case("video_3dconv_v11_fuse")
    args = case.config["args"]
    config = case.config | {"args": args | {"tokenizer": args["tokenizer"] | changes}}
    with pytest.raises(ConversionError, match=message):
        build(config, case.params)


def test_time_steps_of_a_bare_encoder() -> None:
    case = load_case("encoder_mod_patch_t2")
    args = case.config["args"] | {"tokenizer_type": "patch", "temporal_dimensions": 5}
    with pytest.raises(ConversionError, match="18 positions cannot be 5 time steps"):
        build(case.config | {"args": args}, case.params)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"class_token": True}, "no counterpart of the parameter 'encoder.class_token'"),
        ({"sampled_frames": 2, "tubelet_frames": 1}, "sampling frames without stacking them"),
        ({"num_classes": 0}, "tubelets without a head"),
        ({"num_classes": 0, "tubelet_frames": 1, "stack_frames": True}, "stacking frames wit"),
    ],
)
def test_what_the_official_code_cannot_do(changes: dict[str, Any], message: str) -> None:
    sizes: dict[str, Any] = {"image_size": (32, 32), "num_frames": 4, "num_classes": 5}
    sizes |= {"dim": 8, "depth": 2, "num_heads": 2, "mlp_dim": 12}
    config = VideoVisionTransformerConfig(**(sizes | changes))
    with pytest.raises(ConversionError, match=message):
        to_scenic(VideoVisionTransformer(config))
