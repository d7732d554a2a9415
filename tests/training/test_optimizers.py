"""Which optimiser moves which parameter, how far and when."""

import math
from dataclasses import replace

import pytest
import torch
from timm.optim import param_groups_layer_decay  # pyright: ignore[reportPrivateImportUsage]
from torch import nn

from tests import tiny, tiny_clips
from tests.models import timm_models
from tokenlearner.models import VisionTransformer
from tokenlearner.models.config import TokenLearnerConfig
from tokenlearner.training.optimizers import (
    is_block_matrix,
    layer_scales,
    make_optimizers,
    rate_factor,
    set_rates,
)
from tokenlearner.training.recipes import Recipe

FUSED = replace(
    tiny.config(), token_learner=TokenLearnerConfig(num_tokens=2, at=1, fuser=True), depth=3
)


def groups(recipe: Recipe) -> dict[str, tuple[str, float, float]]:
    """Returns each parameter's optimiser, peak rate and decay."""
    model = recipe.build()
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    found = {
        names[id(parameter)]: (type(optimizer).__name__, group["peak"], group["weight_decay"])
        for optimizer in make_optimizers(model, recipe)
        for group in optimizer.param_groups
        for parameter in group["params"]
    }
    assert found.keys() == set(names.values())
    return found


@pytest.mark.parametrize("decay_vectors", [False, True])
def test_vectors_decay_only_if_asked_to(decay_vectors: bool) -> None:
    recipe = tiny.recipe(decay_vectors=decay_vectors)
    found = groups(recipe)
    assert found["embedding.0.weight"] == ("AdamW", 3e-3, 0.05)
    assert found["encoder.position_embedding"] == ("AdamW", 3e-3, 0.05)
    for name in ("head.bias", "encoder.blocks.0.norm1.weight", "embedding.1.bias"):
        assert found[name] == ("AdamW", 3e-3, 0.05 if decay_vectors else 0.0)


def test_decay_is_apart_from_the_gradient() -> None:
    """As in Scenic, whose `adam` with a weight decay is optax' `adamw`: p - rate * decay * p."""
    recipe = tiny.recipe(weight_decay=0.3)
    model = recipe.build()
    (optimizer,) = make_optimizers(model, recipe)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    name = "encoder.position_embedding"
    after = dict(model.named_parameters())
    torch.testing.assert_close(after[name].detach(), before[name] * (1 - 3e-3 * 0.3))
    assert torch.equal(after["encoder.norm.weight"], before["encoder.norm.weight"])


def test_muon_takes_the_matrices_of_the_blocks() -> None:
    found = groups(tiny.recipe(optimizer="muon", muon_learning_rate=2e-2))
    by_muon = {name for name, group in found.items() if group[0] == "Muon"}
    assert {".".join(name.split(".")[3:]) for name in by_muon} == {
        "attention.qkv.weight",
        "attention.out.weight",
        "mlp.fc1.weight",
        "mlp.fc2.weight",
    }
    assert all(found[name] == ("Muon", 2e-2, 0.05) for name in by_muon)
    assert {found[name][:2] for name in found.keys() - by_muon} == {("AdamW", 3e-3)}


def test_muon_moves_a_matrix_as_far_as_adamw_would() -> None:
    """Its step is orthogonal; `match_rms_adamw` gives its elements a root mean square of 0.2."""
    recipe = tiny.recipe(optimizer="muon", muon_learning_rate=1e-2, weight_decay=0.0)
    model = recipe.build()
    assert isinstance(model, VisionTransformer)
    weight = model.encoder.blocks[0].get_parameter("mlp.fc1.weight")
    before = weight.detach().clone()
    muon, _ = make_optimizers(model, recipe)
    weight.grad = torch.randn_like(weight)
    muon.step()
    moved = (weight.detach() - before).square().mean().sqrt()
    assert float(moved) == pytest.approx(0.2 * 1e-2, rel=0.3)


def test_layers_by_hand() -> None:
    """Three blocks: the embedding is four layers below the head."""
    found = groups(tiny.recipe(model=FUSED, layer_decay=0.5, learning_rate=1.0))
    rates = {
        "embedding.0.weight": 1 / 16,
        "encoder.position_embedding": 1 / 16,
        "encoder.blocks.0.norm1.weight": 1 / 8,
        "encoder.blocks.1.mlp.fc1.weight": 1 / 4,
        "encoder.learners.1.norm.weight": 1 / 4,
        "encoder.fusers.1.norm.weight": 1 / 4,
        "encoder.blocks.2.mlp.fc1.bias": 1 / 2,
        "encoder.learners.2.masking.fc1.weight": 1 / 2,
        "encoder.norm.weight": 1 / 2,
        "head.weight": 1,
        "head.bias": 1,
    }
    assert {name: found[name][1] for name in rates} == rates


def test_layers_of_convolutional_networks() -> None:
    """Three blocks, the last with a learner inside."""
    found = groups(tiny_clips.recipe(model=tiny.conv_config(), layer_decay=0.5, learning_rate=1.0))
    rates = {
        "stem.0.weight": 1 / 16,
        "blocks.0.widen.0.weight": 1 / 8,
        "blocks.1.shortcut.0.weight": 1 / 4,
        "blocks.2.middle.attention.qkv.weight": 1 / 2,
        "pool.project.weight": 1,
        "head.bias": 1,
    }
    assert {name: found[name][1] for name in rates} == rates


@pytest.mark.parametrize("kind", timm_models.KINDS)
def test_layers_of_timms_models_are_those_that_timm_sees(kind: str) -> None:
    model = timm_models.with_learner(kind, at=2, fuser=True)
    model.reset_classifier(3)
    wanted = timm_scales(model.backbone)
    found = timm_scales(model)
    assert layer_scales(model, 0.5) == found
    assert len(set(wanted.values())) == len(model.backbone.blocks) + 2
    block = wanted["blocks.2.norm1.weight"]
    for name, scale in found.items():
        if name.startswith(("learners.2.", "fusers.2.")):
            assert scale == block
    assert {name: found[f"backbone.{name}"] for name in wanted} == wanted


def timm_scales(model: nn.Module) -> dict[str, float]:
    """What timm's own layer-wise decay multiplies each parameter's rate by."""
    groups = param_groups_layer_decay(model, layer_decay=0.5)
    scale_of = {id(p): group["lr_scale"] for group in groups for p in group["params"]}
    return {name: scale_of[id(parameter)] for name, parameter in model.named_parameters()}


def test_the_schedule_scales_every_group() -> None:
    recipe = tiny.recipe(optimizer="muon", muon_learning_rate=2e-2, layer_decay=0.5)
    optimizers = make_optimizers(recipe.build(), recipe)
    for factor in (0.5, 0.25):  # not one after the other
        set_rates(optimizers, factor)
        for group in (group for optimizer in optimizers for group in optimizer.param_groups):
            assert group["lr"] == factor * group["peak"]


class TestSchedule:
    """Five epochs of three steps."""

    def rates(self, **changes: object) -> list[float]:
        recipe = tiny.recipe(**changes)
        return [rate_factor(recipe, step, 3) for step in range(15)]

    def test_cosine(self) -> None:
        rates = self.rates()  # 3 steps of warm-up, then 12 of half a cosine
        assert rates[:4] == pytest.approx([1 / 3, 2 / 3, 1, 1])
        assert rates[9] == pytest.approx(0.5)
        assert rates[14] == pytest.approx((1 + math.cos(math.pi * 11 / 12)) / 2)

    def test_constant(self) -> None:
        assert self.rates(schedule="constant", warmup_epochs=0) == [1.0] * 15

    def test_cosine_to_an_end(self) -> None:
        rates = self.rates(learning_rate=1e-2, end_learning_rate=2e-3)
        assert rates[3] == 1
        assert rates[9] == pytest.approx(0.6)
        assert rates[14] == pytest.approx(0.2 + 0.8 * (1 + math.cos(math.pi * 11 / 12)) / 2)

    def test_linear_is_scenic_s(self) -> None:
        """The factor `linear_decay` works on the rate above the end."""
        base, end, warmup, total = 5e-3, 1e-5, 3, 15
        recipe = tiny.recipe(schedule="linear", learning_rate=base, end_learning_rate=end)
        for step in range(warmup, total):
            progress = max(0.0, (step - warmup) / (total - warmup))
            wanted = (base - end) * max(1 - progress, 0.0) + end
            assert base * rate_factor(recipe, step, 3) == pytest.approx(wanted)

    def test_part_of_an_epoch_to_warm_up(self) -> None:
        rates = self.rates(schedule="constant", warmup_epochs=0.5)  # one and a half steps
        assert rates[:3] == pytest.approx([1 / 1.5, 1, 1])


def test_matrices_of_timms_blocks_are_muons() -> None:
    matrix, vector = nn.Parameter(torch.ones(2, 2)), nn.Parameter(torch.ones(2))
    assert is_block_matrix("backbone.blocks.2.mlp.fc1.weight", matrix)
    assert not is_block_matrix("backbone.blocks.2.mlp.fc1.bias", vector)
    assert not is_block_matrix("backbone.head.weight", matrix)
