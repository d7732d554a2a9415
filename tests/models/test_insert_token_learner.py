"""Putting a learner into a timm model: what it becomes, and what is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch

from tests.models.timm_models import backbone, images
from tokenlearner.checkpoints import load_model, save_model
from tokenlearner.errors import ConfigError
from tokenlearner.geometry import Geometry
from tokenlearner.inference import explain
from tokenlearner.models import (
    TimmVisionTransformer,
    TokenLearnerConfig,
    describe_timm,
    insert_token_learner,
)


def test_the_middle_is_the_default() -> None:
    model = insert_token_learner(backbone())
    assert model.token_learner == TokenLearnerConfig(num_tokens=8, at=2)


def test_the_model_is_used_as_it_is() -> None:
    plain = backbone().train()
    model = insert_token_learner(plain, num_tokens=3, at=1, version="1.0", fuser=True)
    assert model.backbone is plain
    assert model.training
    assert set(model.fusers) == {"1", "2", "3"}


def test_dtype_follows_the_model() -> None:
    model = insert_token_learner(backbone().to(torch.bfloat16), num_tokens=3)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}
    assert model(images().bfloat16()).dtype == torch.bfloat16


def test_options_of_the_versions() -> None:
    every: tuple[dict[str, Any], ...] = (
        {"version": "1.0", "pooling": "mean"},
        {"bottleneck_dim": 5},
        {"version": "grouped", "groups": 2},
    )
    for options in every:
        learner = insert_token_learner(backbone(), num_tokens=3, **options).token_learner
        assert learner is not None
        assert {name: getattr(learner, name) for name in options} == options


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"at": 4}, "at is 4, but there are 4 blocks; it must be 0 to 3"),
        ({"at": -1}, "at is -1; wanted a whole number, 0"),
        ({"num_tokens": 0}, "num_tokens is 0; it must be at least 1"),
        ({"version": "2"}, "version is '2'; it must be '1.0', '1.1' or 'grouped'"),
        ({"pooling": "mean"}, "pooling and fold_to_square are options of version 1.0 only"),
    ],
)
@pytest.mark.usefixtures("_as_users_run_it")
def test_what_cannot_be(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        insert_token_learner(backbone(), **arguments)


def test_built_with_a_learner_of_unknown_settings() -> None:
    architecture = {"timm": "test_vit", "token_learner": {"at": 1, "heads": 4}}
    with pytest.raises(ConfigError, match=r"TokenLearnerConfig has no field \['heads'\]; it has"):
        TimmVisionTransformer.build(architecture)


@pytest.mark.parametrize("name", ["test_efficientnet", "swin_tiny_patch4_window7_224"])
def test_other_models(name: str) -> None:
    with torch.device("meta"):
        other = timm.create_model(name)
    with pytest.raises(ConfigError, match=f"got a {type(other).__name__}; wanted timm's Vision"):
        insert_token_learner(other)


@pytest.mark.parametrize("kind", ["class token", "EVA-02"])
def test_a_grid_with_holes(kind: str) -> None:
    with pytest.raises(ConfigError, match=r"create it with patch_drop_rate=0"):
        insert_token_learner(backbone(kind, patch_drop_rate=0.5))
    with pytest.raises(ConfigError, match=r"images of 4 channels, and photos have 3; create it w"):
        insert_token_learner(backbone(kind, in_chans=4))


def test_padding_that_maps_would_miss() -> None:
    plain = backbone("dynamic size", dynamic_img_pad=True, img_size=(17, 24))
    with pytest.raises(
        ConfigError, match=r"pads its images of 17x24 px to patches of 8x8, and map"
    ):
        insert_token_learner(plain)


@pytest.mark.parametrize(
    ("name", "cells"),
    [
        ("vitamin_small_224", "strided"),
        ("vit_base_mci_224", "even"),
        ("vit_tiny_r_s16_p8_224", "even"),
        ("vit_tiny_patch16_224", "even"),
    ],
)
def test_how_the_grid_lies(name: str, cells: str) -> None:
    with torch.device("meta"):
        model = insert_token_learner(timm.create_model(name))
    assert model.cells == cells


@pytest.mark.parametrize("name", ["vitamin_small_224", "vit_base_mci_224"])
def test_the_cells_of_a_hybrid_lie_where_they_look(name: str) -> None:
    """By the gradient of the middle cell's features, whose centre is the cell's to a pixel."""
    torch.manual_seed(0)
    model = insert_token_learner(timm.create_model(name)).eval()
    image = torch.randn(1, 3, 224, 224, requires_grad=True)
    features = model.backbone.patch_embed(image)[0]
    rows, columns = model.config.grid
    row, column = rows // 2, columns // 2
    (features[row * columns + column] * torch.randn(features.shape[1])).sum().backward()
    assert image.grad is not None
    weight = image.grad[0].square().sum(dim=0)
    centres = torch.arange(224) + 0.5
    found = [float((weight.sum(dim=1 - axis) * centres).sum() / weight.sum()) for axis in (0, 1)]
    size = (224, 224)
    seen = Geometry(source_size=size, model_size=size, box=(0, 0, 224, 224), cells=model.cells)
    down, across = seen.axes((rows, columns))
    assert found == pytest.approx([down.centres_px[row], across.centres_px[column]], abs=1.5)


def test_a_hybrid_whose_patches_come_from_convolutions(tmp_path: Path) -> None:
    model = insert_token_learner(
        timm.create_model("vit_tiny_r_s16_p8_224", img_size=96), num_tokens=4
    ).eval()
    x = torch.randn(2, 3, 96, 96)
    trace = model.trace(x)
    assert (trace.grid, model.config.patch_size) == ((3, 3), (32, 32))
    assert trace.learners[0].maps.shape == (2, 4, 3, 3)
    model.info = describe_timm(model)
    save_model(tmp_path, model)
    torch.testing.assert_close(load_model(tmp_path)(x), model(x))
    assert explain(model, np.zeros((50, 60, 3), np.uint8)).maps.shape == (4, 3, 3)
