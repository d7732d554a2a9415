"""The clip model: time steps, what `trace` tells, other lengths and sizes, and the compiler."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from tokenlearner.errors import ConfigError, ShapeError
from tokenlearner.models import (
    TokenLearnerConfig,
    VideoVisionTransformer,
    VideoVisionTransformerConfig,
    VisionTransformer,
    VisionTransformerConfig,
)
from tokenlearner.modules import inflate_kernel

SMALL = VideoVisionTransformerConfig(
    image_size=(16, 24),
    patch_size=(8, 4),
    num_frames=6,
    tubelet_frames=2,
    num_classes=5,
    dim=8,
    depth=3,
    num_heads=2,
    mlp_dim=12,
)
V11 = TokenLearnerConfig(num_tokens=4, at=1)
LEARNERS = {
    "none": None,
    "1.0": replace(V11, version="1.0"),
    "1.1": V11,
    "1.1 and fuser": replace(V11, fuser=True),
}
every_learner = pytest.mark.parametrize("learner", LEARNERS.values(), ids=LEARNERS)


def random_model(config: VideoVisionTransformerConfig) -> VideoVisionTransformer:
    """A model in which no term is hidden by a zero."""
    model = VideoVisionTransformer(config).eval()
    for name, parameter in model.named_parameters():
        if "norm" not in name:
            nn.init.normal_(parameter, std=0.2)
    return model


def test_a_model_for_images_is_not_made_of_its_configuration() -> None:
    with pytest.raises(ConfigError, match="for clips; build a VideoVisionTransformer from it"):
        VisionTransformer(SMALL)


@every_learner
@pytest.mark.parametrize("class_token", [False, True], ids=["pooled", "class token"])
def test_trace_tells_what_forward_does(
    learner: TokenLearnerConfig | None, class_token: bool
) -> None:
    model = random_model(replace(SMALL, token_learner=learner, class_token=class_token))
    clips = torch.randn(2, 3, 6, 16, 24)
    trace = model.trace(clips)
    torch.testing.assert_close(trace.logits, model(clips), rtol=0, atol=0)
    assert (trace.steps, trace.grid) == (3, (2, 6))
    assert [t.block for t in trace.learners] == list(model.config.learner_blocks)
    lengths = [block.shape[1] for block in trace.blocks]
    assert lengths == list(model.config.tokens_per_block)
    assert lengths[0] == 3 * 2 * 6 + class_token
    if learner is not None:
        assert lengths[1] == 3 * 4 + class_token
    for traced in trace.learners:
        assert traced.maps.shape == (2, 3, 4, 2, 6)
        pooled = torch.einsum("btsn,btnc->btsc", traced.maps.flatten(3), traced.tokens_before)
        torch.testing.assert_close(traced.tokens_after, pooled)
    for traced in trace.fusers:
        assert traced.maps.shape == (2, 3, 4, 2, 6)
        assert traced.update.shape == (2, 3, 12, 8)


def test_every_time_index_has_a_map_of_its_own() -> None:
    """Its learner does what it would do for an image, and sees no other step."""
    model = random_model(replace(SMALL, token_learner=replace(V11, at=0)))
    trace = model.trace(torch.randn(2, 3, 6, 16, 24))
    traced, learner = trace.learners[0], model.encoder.learners["0"]
    by_step = trace.encoder.positioned.unflatten(1, (3, 12))
    for step in range(3):
        tokens, maps = learner(by_step[:, step], grid=(2, 6), return_maps=True)
        torch.testing.assert_close(traced.maps[:, step], maps)
        torch.testing.assert_close(traced.tokens_after[:, step], tokens)


def test_blocks_attend_over_all_steps() -> None:
    model = random_model(replace(SMALL, token_learner=V11))
    clip = torch.randn(1, 3, 6, 16, 24, requires_grad=True)
    last_step = model.trace(clip).encoder.blocks[0].unflatten(1, (3, 12))[:, 2]
    last_step.sum().backward()
    assert clip.grad is not None
    assert bool((clip.grad.abs().amax(dim=(0, 1, 3, 4)) > 0).all())  # every frame counts


def test_tubelet_meets_its_place_in_time_and_on_the_grid() -> None:
    """A flash in one cell of one frame changes the token of that cell at that step only."""
    model = random_model(SMALL)
    clip = torch.zeros(1, 3, 6, 16, 24)
    clip[:, :, 3, 8:16, 8:12] = 1.0  # second step, second row, third column
    tokens, grid, steps = model.embed(clip)
    dark, _, _ = model.embed(torch.zeros(1, 3, 6, 16, 24))
    changed = (tokens != dark).any(dim=-1).view(steps, *grid)
    assert changed.nonzero().tolist() == [[1, 1, 2]]
    trace = model.trace(clip)
    torch.testing.assert_close(
        trace.encoder.positioned, trace.embedded + model.encoder.position_embedding
    )


def test_class_token_answers_and_stays_out_of_the_learner() -> None:
    model = random_model(replace(SMALL, token_learner=V11, class_token=True))
    encoder = model.encoder
    assert encoder.class_token is not None
    assert encoder.position_embedding.shape == (1, 37, 8)
    trace = model.trace(torch.randn(2, 3, 6, 16, 24))
    first = encoder.class_token[0, 0] + encoder.position_embedding[0, 0]
    torch.testing.assert_close(trace.encoder.positioned[:, 0], first.expand(2, -1))
    before = trace.encoder.blocks[0][:, 1:].unflatten(1, (3, 12))
    torch.testing.assert_close(trace.learners[0].tokens_before, before)
    after = torch.cat(
        (trace.encoder.blocks[0][:, :1], trace.learners[0].tokens_after.flatten(1, 2)), dim=1
    )
    torch.testing.assert_close(trace.encoder.blocks[1], encoder.blocks[1](after))
    torch.testing.assert_close(trace.representation, trace.encoder.encoded[:, 0])


def test_fuser_writes_each_step_back_onto_its_grid() -> None:
    learner = LEARNERS["1.1 and fuser"]
    model = random_model(replace(SMALL, token_learner=learner, class_token=True))
    trace = model.trace(torch.randn(2, 3, 6, 16, 24))
    first, second = trace.fusers
    written = trace.learners[0].tokens_before + first.update
    torch.testing.assert_close(trace.learners[1].tokens_before, written)
    written = torch.cat(
        (trace.encoder.blocks[2][:, :1], (written + second.update).flatten(1, 2)), 1
    )
    torch.testing.assert_close(trace.encoder.encoded, model.encoder.norm(written))


@torch.no_grad()
@pytest.mark.parametrize("stem_widths", [(), (4, 6)], ids=["patches", "stem"])
def test_an_image_model_starts_a_clip_model(stem_widths: tuple[int, ...]) -> None:
    """On a still clip of one step the clip model answers as the image model does."""
    image_config = VisionTransformerConfig(
        image_size=(16, 24),
        patch_size=(8, 8),
        stem_widths=stem_widths,
        token_learner=V11,
        **{name: getattr(SMALL, name) for name in ("num_classes", "dim", "depth", "num_heads")},
        mlp_dim=12,
    )
    images = VisionTransformer(image_config).eval()
    for parameter in images.parameters():
        nn.init.normal_(parameter, std=0.2)
    config = VideoVisionTransformerConfig(**image_config_fields(image_config), num_frames=2)
    clips = VideoVisionTransformer(config).eval()
    weights = images.state_dict()
    last = f"embedding.{len(images.embedding) - 1}.weight" if stem_widths else "embedding.weight"  # pyright: ignore
    weights[last] = inflate_kernel(weights[last], 2, how="average")
    clips.load_state_dict(weights)
    image = torch.randn(3, 3, 16, 24)
    still = image.unsqueeze(2).expand(-1, -1, 2, -1, -1)
    torch.testing.assert_close(clips(still), images(image))


def image_config_fields(config: VisionTransformerConfig) -> dict[str, Any]:
    return config.to_dict() | {"token_learner": config.token_learner}


@every_learner
@pytest.mark.parametrize("class_token", [False, True], ids=["pooled", "class token"])
def test_other_lengths_and_sizes_resample_the_position_embedding(
    learner: TokenLearnerConfig | None, class_token: bool
) -> None:
    model = random_model(replace(SMALL, token_learner=learner, class_token=class_token))
    trace = model.trace(torch.randn(2, 3, 11, 37, 14))
    assert (trace.steps, trace.grid) == (5, (4, 3))
    placed = trace.encoder.positioned[:, int(class_token) :]
    offset = (placed - trace.embedded)[0].view(5, 4, 3, -1)
    volume = model.encoder.position_embedding[0, int(class_token) :].view(3, 2, 6, -1)
    for step in (0, -1):  # ends lie on ends, corners on corners
        for row, column in ((0, 0), (0, -1), (-1, 0), (-1, -1)):
            torch.testing.assert_close(offset[step, row, column], volume[step, row, column])
    torch.testing.assert_close(offset[2, 0, 0], volume[1, 0, 0])  # and the middle on the middle
    for traced in trace.learners:
        assert traced.maps.shape == (2, 5, 4, 4, 3)


def test_sampled_frames_are_the_official_ones() -> None:
    config = replace(SMALL, num_frames=8, tubelet_frames=1, sampled_frames=2)
    assert (config.used_frames, config.steps) == (3, 3)
    model = random_model(config)
    clip = torch.randn(1, 3, 8, 16, 24)
    tokens, _, steps = model.embed(clip)
    assert steps == 3
    every = random_model(replace(config, sampled_frames=None))
    every.embedding.load_state_dict(model.embedding.state_dict())
    torch.testing.assert_close(tokens, every.embed(clip[:, :, [3, 5, 7]])[0])


def test_stacked_frames_straddle_patches_where_the_height_is_no_multiple() -> None:
    config = replace(SMALL, image_size=(12, 24), num_frames=4, tubelet_frames=1, stack_frames=True)
    assert (config.grid, config.steps) == ((1, 9), 4)  # 6 rows of 6 patches for 4 frames
    model = random_model(config)
    clip = torch.randn(2, 3, 4, 12, 24)
    tokens, grid, steps = model.embed(clip)
    assert (tokens.shape, grid, steps) == ((2, 36, 8), (1, 9), 4)
    tall = torch.cat(clip.unbind(2), dim=2)
    patch = tall[:, :, 8:16, 4:8]  # second row, second column: frame 0 and frame 1
    weight, bias = model.embedding.state_dict().values()
    wanted = torch.einsum("bchw,dchw->bd", patch, weight[:, :, 0]) + bias
    torch.testing.assert_close(tokens[:, 7], wanted)


def test_features_and_head_apart() -> None:
    model = random_model(replace(SMALL, class_token=True, token_learner=V11))
    clips = torch.randn(2, 3, 6, 16, 24)
    features = model.forward_features(clips)
    assert features.shape == (2, 1 + 12, model.num_features)
    assert torch.equal(model.forward_head(features), model(clips))
    assert model.no_weight_decay() == {"encoder.position_embedding", "encoder.class_token"}


def test_without_head_the_encoded_tokens_come_out() -> None:
    model = random_model(replace(SMALL, num_classes=0, token_learner=V11))
    clips = torch.randn(2, 3, 6, 16, 24)
    tokens, grid, steps = model.embed(clips)
    assert model(clips).shape == (2, 12, 8)
    traced = model.encoder.trace(tokens, grid=grid, steps=steps)
    assert torch.equal(traced.encoded, model(clips))
    with pytest.raises(ConfigError, match=r"no head to trace; call model.encoder.trace\(tokens, g"):
        model.trace(clips)


def test_clips_that_cannot_be_are_errors() -> None:
    model = random_model(SMALL)
    with pytest.raises(ShapeError, match=r"shape \(2, 3, 16, 24\); wanted \[batch, 3, time, heig"):
        model.embed(torch.randn(2, 3, 16, 24))
    with pytest.raises(ShapeError, match=r"shape \(2, 6, 3, 16, 24\); wanted \[batch, 3, time"):
        model.embed(torch.randn(2, 6, 3, 16, 24))
    message = "clips of 1 frames of 16x24 px; a tubelet is 2 frames of 8x4 px, so they must be"
    with pytest.raises(ShapeError, match=message):
        model.embed(torch.randn(2, 3, 1, 16, 24))
    with pytest.raises(ShapeError, match="clips of 6 frames of 7x24 px"):
        model.embed(torch.randn(2, 3, 6, 7, 24))
    stacked = random_model(replace(SMALL, tubelet_frames=1, stack_frames=True))
    with pytest.raises(ShapeError, match="clips of 2 frames of 3x24 px"):
        stacked.embed(torch.randn(2, 3, 2, 3, 24))
    with pytest.raises(ShapeError, match=r"got 36 tokens, .* fill a grid of \(2, 6\) at 2"):
        model.encoder(torch.randn(2, 36, 8), steps=2)


COMPILE = """
import torch
from dataclasses import replace
from tests.models.test_vivit import LEARNERS, SMALL, random_model

clips = torch.randn(2, 3, 6, 16, 24)
sampled = {"num_frames": 8, "tubelet_frames": 1, "sampled_frames": 2, "stack_frames": True}
for name, changes in (
    ("none", {"class_token": True}),
    ("1.1", {"patch_size": (8, 8), "stem_widths": (4, 6)}),
    ("1.0", sampled),
    ("1.1 and fuser", {"class_token": True}),
):
    torch.compiler.reset()
    model = random_model(replace(SMALL, depth=2, token_learner=LEARNERS[name], **changes))
    compiled = torch.compile(model, fullgraph=True, backend="eager")
    with torch.no_grad():
        torch.testing.assert_close(compiled(clips), model(clips))
        longer = torch.randn(2, 3, 8, 16, 24)
        torch.testing.assert_close(compiled(longer), model(longer))
    print(name)
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
    assert result.stdout.splitlines() == ["none", "1.1", "1.0", "1.1 and fuser"], result.stderr


@pytest.mark.parametrize("class_token", [False, True])
def test_exports_with_any_batch_size(class_token: bool) -> None:
    model = random_model(replace(SMALL, class_token=class_token))
    clips = torch.randn(2, 3, 6, 16, 24)
    exported = torch.export.export(model, (clips,), dynamic_shapes=({0: torch.export.Dim("b")},))
    torch.testing.assert_close(exported.module()(clips[:1]), model(clips[:1]))
