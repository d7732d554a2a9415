"""A learner inside timm's models: the same numbers as theirs and ours, and what is refused."""

import copy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from torch import nn

from tests.models.timm_models import (
    KINDS,
    NUM_POSITIONS,
    PLAIN,
    ROTATED,
    SMALL,
    EveryPosition,
    backbone,
    images,
    with_learner,
)
from tokenlearner import describe_timm
from tokenlearner.errors import ConfigError, ShapeError
from tokenlearner.models import (
    TimmVisionTransformer,
    TokenLearnerConfig,
    VisionTransformer,
    VisionTransformerConfig,
    insert_token_learner,
)

every_kind = pytest.mark.parametrize("kind", KINDS)


def split(x: torch.Tensor, model: TimmVisionTransformer) -> tuple[torch.Tensor, torch.Tensor]:
    """The prefix, and the rest."""
    return x[:, : model.num_prefix_tokens], x[:, model.num_prefix_tokens :]


class TestIdentity:
    """With one-hot maps on all positions in order, timm's own numbers come out."""

    @every_kind
    def test_without_learner(self, kind: str) -> None:
        plain = backbone(kind)
        x = images()
        assert torch.equal(TimmVisionTransformer(plain)(x), plain(x))

    @pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ROTATED])
    @pytest.mark.parametrize("at", [0, 2, 3])
    def test_one_hot_maps(self, kind: str, at: int) -> None:
        model = with_learner(kind, at=at)
        model.learners[str(at)] = EveryPosition()
        x = images()
        wanted = model.backbone.forward_features(x)
        torch.testing.assert_close(model.forward_features(x), wanted)
        torch.testing.assert_close(model(x), model.backbone(x))
        pre_logits = model.backbone.forward_head(wanted, pre_logits=True)
        torch.testing.assert_close(model.forward_head(wanted, pre_logits=True), pre_logits)

    @pytest.mark.parametrize("kind", sorted(ROTATED))
    def test_rotations_end_at_the_learner(self, kind: str) -> None:
        model = with_learner(kind, at=2)
        model.learners["2"] = EveryPosition()
        timms, x = model.backbone, images()
        wanted, rope = timms._pos_embed(timms.patch_embed(x))
        wanted = timms.norm_pre(wanted)
        for index, block in enumerate(timms.blocks):
            rotation = rope[index] if kind == "mixed rotations" else rope
            wanted = block(wanted, rope=rotation if index < 2 else None)
        torch.testing.assert_close(model.forward_features(x), timms.norm(wanted))
        # They do matter, so that leaving them out is a decision that this test sees.
        assert not torch.allclose(model(x), timms(x), atol=1e-3)


class TestTrace:
    @every_kind
    @pytest.mark.parametrize("fuser", [False, True])
    def test_tells_what_forward_does(self, kind: str, fuser: bool) -> None:
        model, x = with_learner(kind, fuser=fuser), images()
        trace = model.trace(x)
        torch.testing.assert_close(trace.logits, model(x), rtol=0, atol=0)
        assert trace.grid == (2, 3)
        assert [t.block for t in trace.learners] == list(model.config.learner_blocks)
        lengths = [block.shape[1] for block in trace.encoder.blocks]
        assert lengths == list(model.config.tokens_per_block)
        for learner in trace.learners:
            assert learner.maps.shape == (2, 3, 2, 3)
            torch.testing.assert_close(learner.maps.sum(dim=(2, 3)), torch.ones(2, 3))
            pooled = torch.einsum("bsn,bnc->bsc", learner.maps.flatten(2), learner.tokens_before)
            torch.testing.assert_close(learner.tokens_after, pooled)
        cells = model.backbone.patch_embed.proj(x).flatten(2).transpose(1, 2)
        torch.testing.assert_close(trace.embedded, cells)

    @pytest.mark.parametrize("kind", ["mean", "distilled DeiT", "DINO v2, registers", "EVA-02"])
    def test_the_prefix_passes_beside_the_learner(self, kind: str) -> None:
        model = with_learner(kind)
        trace = model.trace(images())
        prefix, positions = split(trace.encoder.blocks[1], model)
        (learner,) = trace.learners
        assert torch.equal(learner.tokens_before, positions)
        entered = torch.cat((prefix, learner.tokens_after), dim=1)
        torch.testing.assert_close(model.backbone.blocks[2](entered), trace.encoder.blocks[2])

    @pytest.mark.parametrize("kind", ["mean", "distilled DeiT", "DINO v2, registers"])
    def test_the_fuser_writes_every_block_back_onto_the_grid(self, kind: str) -> None:
        model = with_learner(kind, fuser=True)
        trace = model.trace(images())
        for index in (0, 1):
            learner, fuser = trace.learners[index], trace.fusers[index]
            prefix, tokens = split(trace.encoder.blocks[2 + index], model)
            module = model.fusers[str(2 + index)]
            torch.testing.assert_close(fuser.update, module(tokens, learner.tokens_before))
            assert fuser.maps.shape == (2, 3, 2, 3)
            written = torch.cat((prefix, learner.tokens_before + fuser.update), dim=1)
            if index == 0:
                assert torch.equal(trace.learners[1].tokens_before, split(written, model)[1])
            else:
                wanted = model.backbone.norm(written)
                torch.testing.assert_close(trace.encoder.encoded, wanted)

    def test_maps_lie_on_their_patches(self) -> None:
        """The map of a learner that looks for brightness peaks on the bright patch."""
        model = with_learner("mean", at=0, num_tokens=1)
        nn.init.zeros_(model.backbone.pos_embed)
        nn.init.zeros_(model.backbone.patch_embed.proj.bias)
        x = 0.01 * images()
        x[:, :, 8:16, 16:24] = 1.0  # second row, third column
        learner: Any = model.learners["0"]
        positions = model.trace(x).learners[0].tokens_before
        direction = positions[0, 5]

        def attend(y: torch.Tensor, grid: Any) -> torch.Tensor:
            return (y @ direction)[:, None].softmax(dim=-1)

        learner.attend = attend
        maps = model.trace(x).learners[0].maps
        assert maps[0, 0].argmax() == 5
        assert maps[0, 0, 1, 2] > 0.5

    @pytest.mark.parametrize("changes", [{"num_classes": 0}, {"global_pool": ""}])
    def test_no_answers_to_trace(self, changes: dict[str, Any]) -> None:
        model, x = insert_token_learner(backbone(**changes), num_tokens=3), images()
        with pytest.raises(
            ConfigError, match=r"no answers to trace .* call trace_features, or give"
        ):
            model.trace(x)
        embedded, encoder = model.trace_features(x)
        assert embedded.shape == (2, NUM_POSITIONS, 16)
        assert torch.equal(encoder.encoded, model.forward_features(x))


TIMM_NAME_OF_OURS = {
    "encoder.position_embedding": "pos_embed",
    "embedding.": "patch_embed.proj.",
    "encoder.norm": "norm",
    "attention.qkv": "attn.qkv",
    "attention.out": "attn.proj",
    "encoder.blocks": "blocks",
    "encoder.learners": "learners",
    "encoder.fusers": "fusers",
}


def timm_name(ours: str) -> str:
    for a, b in TIMM_NAME_OF_OURS.items():
        ours = ours.replace(a, b)
    return ours if ours.startswith(("learners", "fusers")) else f"backbone.{ours}"


@pytest.mark.parametrize(
    "learner",
    [
        None,
        TokenLearnerConfig(num_tokens=3, at=1),
        TokenLearnerConfig(num_tokens=3, at=0, version="1.0", fuser=True),
        TokenLearnerConfig(num_tokens=3, at=2, version="grouped"),
    ],
    ids=["none", "1.1", "1.0 and fuser", "grouped"],
)
def test_the_same_weights_as_our_own_model_give_the_same_answer(
    learner: TokenLearnerConfig | None,
) -> None:
    config = VisionTransformerConfig(
        image_size=(16, 24),
        patch_size=(8, 8),
        num_classes=5,
        dim=16,
        depth=4,
        num_heads=2,
        mlp_dim=64,
        token_learner=learner,
    )
    ours = VisionTransformer(config).eval()
    for name, parameter in ours.named_parameters():
        if "norm" not in name:
            nn.init.normal_(parameter, std=0.2)
    plain = timm.create_model(
        "vit_tiny_patch16_224", **SMALL, **PLAIN, fc_norm=False, act_layer="gelu_tanh"
    )
    theirs = TimmVisionTransformer(plain, learner).eval()
    theirs.load_state_dict({timm_name(name): value for name, value in ours.state_dict().items()})
    x = images()
    torch.testing.assert_close(theirs(x), ours(x))
    found, wanted = theirs.trace(x), ours.trace(x)
    torch.testing.assert_close(found.representation, wanted.representation)
    for mine, other in zip(wanted.learners, found.learners, strict=True):
        torch.testing.assert_close(other.maps, mine.maps)


class TestSizes:
    @pytest.mark.parametrize("kind", ["dynamic size", "DINO v2, registers", "EVA-02"])
    @pytest.mark.parametrize("size", [(32, 16), (8, 40), (16, 24)])
    def test_dynamic_size(self, kind: str, size: tuple[int, int]) -> None:
        plain, x = backbone(kind, dynamic_img_size=True), images(*size)
        model = insert_token_learner(plain, num_tokens=3)
        assert model.trace(x).learners[0].maps.shape == (2, 3, size[0] // 8, size[1] // 8)
        if kind not in ROTATED:
            model.learners["2"] = EveryPosition()
            torch.testing.assert_close(model(x), plain(x))

    def test_padding(self) -> None:
        model = insert_token_learner(backbone("dynamic size", dynamic_img_pad=True), num_tokens=3)
        assert model.trace(images(17, 24)).grid == (3, 3)

    def test_a_resized_backbone(self) -> None:
        model = insert_token_learner(backbone(), num_tokens=3)
        model.backbone.set_input_size((32, 16))
        assert model.config.image_size == (32, 16)
        assert model.trace(images(32, 16)).grid == (4, 2)

    @pytest.mark.parametrize(
        ("kind", "shape", "message"),
        [
            ("class token", (2, 3, 16, 16), "16x16 px; this model takes 16x24 px only. For other"),
            ("dynamic size", (2, 3, 16, 20), "16x20 px; wanted multiples of its patches of 8x8 px"),
            ("dynamic size", (2, 3, 0, 16), "0x16 px; wanted multiples"),
            ("dynamic size", (2, 1, 16, 24), r"shape \(2, 1, 16, 24\); wanted \[batch, 3, height"),
            (
                "class token",
                (3, 16, 24),
                r"shape \(3, 16, 24\); wanted \[batch, 3, height, width\]",
            ),
        ],
    )
    @pytest.mark.usefixtures("_as_users_run_it")
    def test_wrong_images(self, kind: str, shape: tuple[int, ...], message: str) -> None:
        model = with_learner(kind)
        for way in (model, model.trace, model.trace_features):
            with pytest.raises(ShapeError, match=message):
                way(torch.zeros(shape))


class TestTraining:
    @pytest.mark.parametrize("kind", ["class token", "EVA-02", "mixed rotations"])
    @pytest.mark.parametrize("fuser", [False, True])
    def test_gradient_checkpointing(self, kind: str, fuser: bool) -> None:
        model, x = with_learner(kind, fuser=fuser).train(), images()
        model(x).sum().backward()
        wanted = {
            name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None
        }
        model.zero_grad()
        calls = []
        model.backbone.blocks[3].register_forward_pre_hook(lambda *_: calls.append(3))
        model.set_grad_checkpointing()
        model(x).sum().backward()
        assert calls == [3, 3]
        found = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
        assert found.keys() == wanted.keys()
        for name, gradient in wanted.items():
            torch.testing.assert_close(found[name], gradient)

    def test_every_part_learns(self) -> None:
        model = with_learner("mean and maximum", fuser=True).train()
        model(images()).square().sum().backward()
        still = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]
        assert still == []

    def test_a_class_token_never_reads_what_the_last_fuser_writes(self) -> None:
        model = with_learner("class token", fuser=True).train()
        model(images()).square().sum().backward()
        still = {name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()}
        assert still == {f"fusers.3.{name}" for name, _ in model.fusers["3"].named_parameters()}

    def test_a_distilled_deit_gives_both_answers(self) -> None:
        model = with_learner("distilled DeiT").train()
        model.backbone.set_distilled_training(True)
        first, second = model(images())
        assert first.shape == second.shape == (2, 5)

    def test_the_head_can_be_replaced(self) -> None:
        model = with_learner()
        model.info = describe_timm(model, pretrained=True)
        model.reset_classifier(7)
        assert model.info is None  # it told of a trained head
        assert model.num_classes == model.config.num_classes == 7
        assert model(images()).shape == (2, 7)

    def test_weight_decay_spares_what_timm_spares(self) -> None:
        model = with_learner()
        names = {name for name, _ in model.named_parameters()}
        assert model.no_weight_decay() & names == {"backbone.pos_embed", "backbone.cls_token"}


@every_kind
def test_state_dict_round_trip(kind: str) -> None:
    model, x = with_learner(kind, fuser=True), images()
    other = with_learner(kind, fuser=True)
    assert not torch.allclose(other(x), model(x))
    other.load_state_dict(copy.deepcopy(model.state_dict()))
    assert torch.equal(other(x), model(x))


COMPILE = """
import torch
from tests.models.timm_models import images, with_learner

for kind, learner in (
    ("distilled DeiT", {"version": "1.0", "fuser": True}),
    ("dynamic size", {}),
    ("EVA-02", {}),
    ("mixed rotations", {"at": 0}),
):
    torch.compiler.reset()
    model, x = with_learner(kind, **learner), images()
    compiled = torch.compile(model, fullgraph=True, backend="eager")
    with torch.no_grad():
        torch.testing.assert_close(compiled(x), model(x))
    print(kind)
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
    wanted = "distilled DeiT,dynamic size,EVA-02,mixed rotations"
    assert result.stdout.splitlines() == wanted.split(","), result.stderr
