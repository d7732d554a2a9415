"""The image model: sizes, what `trace` tells, other resolutions, and the compiler."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from tests import tiny
from tokenlearner.errors import ConfigError, ShapeError
from tokenlearner.models import TokenLearnerConfig, VisionTransformer, VisionTransformerConfig
from tokenlearner.modules import Block, TokenLearnerGrouped

SMALL = VisionTransformerConfig(
    image_size=(16, 24), patch_size=(8, 4), num_classes=5, dim=8, depth=3, num_heads=2, mlp_dim=12
)
LEARNERS = {
    "none": None,
    "1.0": TokenLearnerConfig(num_tokens=4, at=1, version="1.0"),
    "1.1": TokenLearnerConfig(num_tokens=4, at=1),
    "grouped": TokenLearnerConfig(num_tokens=4, at=1, version="grouped", groups=2),
    "1.0 and fuser": TokenLearnerConfig(num_tokens=4, at=1, version="1.0", fuser=True),
    "1.1 and fuser": TokenLearnerConfig(num_tokens=4, at=1, fuser=True),
}
every_learner = pytest.mark.parametrize("learner", LEARNERS.values(), ids=LEARNERS)


def random_model(config: VisionTransformerConfig) -> VisionTransformer:
    """A model in which no term is hidden by a zero."""
    model = VisionTransformer(config).eval()
    for name, parameter in model.named_parameters():
        if "norm" not in name:
            nn.init.normal_(parameter, std=0.2)
    return model


@every_learner
def test_trace_tells_what_forward_does(learner: TokenLearnerConfig | None) -> None:
    model = random_model(replace(SMALL, token_learner=learner))
    images = torch.randn(2, 3, 16, 24)
    trace = model.trace(images)
    torch.testing.assert_close(trace.logits, model(images), rtol=0, atol=0)
    assert trace.grid == (2, 6)
    assert [t.block for t in trace.learners] == list(model.config.learner_blocks)
    lengths = [block.shape[1] for block in trace.encoder.blocks]
    assert lengths == list(model.config.tokens_per_block)
    for traced in trace.learners:
        assert traced.maps.shape == (2, 4, 2, 6)
        values = traced.tokens_before
        module = model.encoder.learners[str(traced.block)]
        if isinstance(module, TokenLearnerGrouped):
            values = module.values(values.transpose(1, 2)).transpose(1, 2)
        pooled = torch.einsum("bsn,bnc->bsc", traced.maps.flatten(2), values)
        torch.testing.assert_close(traced.tokens_after, pooled)
    for traced in trace.fusers:
        assert traced.maps.shape == (2, 4, 2, 6)


def test_fuser_writes_every_block_back_onto_the_grid() -> None:
    model = random_model(replace(SMALL, token_learner=LEARNERS["1.1 and fuser"]))
    trace = model.trace(torch.randn(2, 3, 16, 24))
    first, second = trace.fusers
    torch.testing.assert_close(trace.learners[0].tokens_before, trace.blocks[0])
    written = trace.learners[0].tokens_before + first.update
    torch.testing.assert_close(trace.learners[1].tokens_before, written)
    torch.testing.assert_close(trace.encoder.encoded, model.encoder.norm(written + second.update))


def test_fresh_fuser_makes_its_block_the_identity() -> None:
    learner = TokenLearnerConfig(num_tokens=4, at=0, fuser=True)
    model = VisionTransformer(replace(SMALL, token_learner=learner)).eval()
    trace = model.trace(torch.randn(2, 3, 16, 24)).encoder
    torch.testing.assert_close(trace.encoded, model.encoder.norm(trace.positioned))


def test_stochastic_depth_grows_from_none_in_the_first_block() -> None:
    def rates(**changes: Any) -> list[float]:
        encoder = VisionTransformer(replace(SMALL, **changes)).encoder
        return [b.stochastic_depth for b in encoder.blocks if isinstance(b, Block)]

    assert rates(depth=4, stochastic_depth=0.3) == pytest.approx([0.0, 0.1, 0.2, 0.3])
    assert rates(depth=1, stochastic_depth=0.3) == [0.0]
    assert rates() == [0.0, 0.0, 0.0]


def test_position_embedding_meets_its_patch() -> None:
    model = random_model(SMALL)
    images = torch.randn(2, 3, 16, 24)
    cells = model.embedding(images)
    trace = model.trace(images)
    for row, column in ((0, 5), (1, 2)):
        position = 6 * row + column
        torch.testing.assert_close(trace.embedded[:, position], cells[:, :, row, column])
        torch.testing.assert_close(
            trace.encoder.positioned[:, position],
            cells[:, :, row, column] + model.encoder.position_embedding[0, position],
        )


@pytest.mark.parametrize(
    ("classifier", "pool"),
    [
        ("gap", lambda x: x.sum(dim=1) / x.shape[1]),
        ("gmp", lambda x: x.max(dim=1).values),
        ("gsp", lambda x: x.sum(dim=1)),
    ],
)
@pytest.mark.parametrize("representation_size", [None, 6])
def test_head(classifier: Any, pool: Any, representation_size: int | None) -> None:
    config = replace(SMALL, classifier=classifier, representation_size=representation_size)
    model = random_model(config)
    trace = model.trace(torch.randn(2, 3, 16, 24))
    features = pool(trace.encoder.encoded)
    if model.pre_logits is not None:
        features = model.pre_logits(features)
    torch.testing.assert_close(trace.representation, features)
    if model.pre_logits is not None:
        features = features.tanh()
    assert model.head is not None
    torch.testing.assert_close(trace.logits, model.head(features))


@pytest.mark.parametrize("changes", [{}, {"representation_size": 5}, {"num_classes": 0}])
def test_features_and_head_apart(changes: dict[str, Any]) -> None:
    model = random_model(replace(SMALL, token_learner=LEARNERS["1.1"], **changes))
    images = torch.randn(2, 3, 16, 24)
    features = model.forward_features(images)
    assert features.shape == (2, 4, model.num_features)
    pooled = model.forward_head(features, pre_logits=True)
    head = model.get_classifier()
    assert torch.equal(model.forward_head(features), pooled if head is None else head(pooled))
    if head is not None:
        assert torch.equal(model.forward_head(features), model(images))


def test_the_head_can_be_replaced() -> None:
    model = random_model(replace(SMALL, representation_size=5)).bfloat16()
    model.info = tiny.model().info
    model.reset_classifier(7)
    assert model.info is None  # it told of a trained head
    assert model.num_classes == model.config.num_classes == 7
    assert model(torch.randn(2, 3, 16, 24).bfloat16()).shape == (2, 7)
    model.reset_classifier(0)
    assert model.get_classifier() is None
    with pytest.raises(ConfigError, match="num_classes is -1; it must be 0 or more"):
        model.reset_classifier(-1)


def test_weight_decay_spares_the_position_embedding() -> None:
    model = random_model(SMALL)
    assert model.no_weight_decay() == {"encoder.position_embedding"}
    frozen = random_model(replace(SMALL, position_embedding="frozen"))
    assert frozen.no_weight_decay() == set()


def test_without_head_the_encoded_tokens_come_out() -> None:
    learner = LEARNERS["1.1"]
    model = random_model(replace(SMALL, num_classes=0, token_learner=learner))
    images = torch.randn(2, 3, 16, 24)
    tokens, grid = model.embed(images)
    assert model(images).shape == (2, 4, 8)
    assert torch.equal(model.encoder.trace(tokens, grid=grid).encoded, model(images))
    with pytest.raises(ConfigError, match=r"no head to trace; call model.encoder.trace\(tokens, g"):
        model.trace(images)


@every_learner
def test_other_resolutions_resample_the_position_embedding(
    learner: TokenLearnerConfig | None,
) -> None:
    model = random_model(replace(SMALL, token_learner=learner))
    trace = model.trace(torch.randn(2, 3, 37, 14))
    assert trace.grid == (4, 3)
    offset = (trace.encoder.positioned - trace.embedded)[0].view(4, 3, -1)
    plane = model.encoder.position_embedding[0].view(2, 6, -1)
    for row, column in ((0, 0), (0, -1), (-1, 0), (-1, -1)):  # corners lie on corners
        torch.testing.assert_close(offset[row, column], plane[row, column])
    for traced in trace.learners:
        assert traced.maps.shape == (2, 4, 4, 3)


def test_rectangular_images_keep_rows_apart_from_columns() -> None:
    """A bright square in one cell changes the tokens of that cell only."""
    model = random_model(SMALL)
    images = torch.zeros(1, 3, 16, 24)
    images[:, :, 8:16, 8:12] = 1.0  # second row, third column
    tokens, grid = model.embed(images)
    dark, _ = model.embed(torch.zeros(1, 3, 16, 24))
    changed = (tokens != dark).any(dim=-1).view(grid)
    assert changed.nonzero().tolist() == [[1, 2]]


def test_images_that_cannot_be_are_errors() -> None:
    model = random_model(SMALL)
    with pytest.raises(ShapeError, match=r"shape \(3, 16, 24\); wanted \[batch, 3, height, width"):
        model.embed(torch.randn(3, 16, 24))
    with pytest.raises(ShapeError, match=r"shape \(2, 1, 16, 24\); wanted \[batch, 3, height, wi"):
        model.embed(torch.randn(2, 1, 16, 24))
    with pytest.raises(ShapeError, match="images of 16x3 px; a patch is 8x4 px, so they must be"):
        model.embed(torch.randn(2, 3, 16, 3))


COMPILE = """
import torch
from dataclasses import replace
from tests.models.test_vit import LEARNERS, SMALL, random_model

images = torch.randn(2, 3, 16, 24)
for name in ("none", "1.1", "grouped", "1.0 and fuser"):
    torch.compiler.reset()
    model = random_model(replace(SMALL, depth=2, token_learner=LEARNERS[name]))
    compiled = torch.compile(model, fullgraph=True, backend="eager")
    with torch.no_grad():
        torch.testing.assert_close(compiled(images), model(images))
    print(name)
torch.compiler.reset()
rates = {"dropout": 0.1, "attention_dropout": 0.1, "stochastic_depth": 0.1}
model = random_model(replace(SMALL, depth=2, **rates)).train()
torch.compile(model, fullgraph=True, backend="eager")(images)
print("training")
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
    compiled = ["none", "1.1", "grouped", "1.0 and fuser", "training"]
    assert result.stdout.splitlines() == compiled, result.stderr
