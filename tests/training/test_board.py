"""What TensorBoard shows besides curves."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from tests import tiny
from tokenlearner.models import VisionTransformer
from tokenlearner.training.board import DARKEST, attention_picture, hparams

PREPROCESSING = tiny.preprocessing()


def photos() -> torch.Tensor:
    return torch.randint(
        256, (3, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(1)
    )


def test_settings_are_flat_and_plain() -> None:
    found = hparams(tiny.recipe())
    assert found["learning_rate"] == 3e-3
    assert found["model.token_learner.num_tokens"] == 2
    assert found["stages"] == "((3, 12), (2, 16))"
    assert found["layer_decay"] == "None"
    assert all(isinstance(value, bool | int | float | str) for value in found.values())


def test_a_row_per_photo_and_a_column_per_token() -> None:
    picture = attention_picture(tiny.model(), photos(), PREPROCESSING)
    assert picture.shape == (3, 3 * 16, 3 * 16)
    assert torch.equal(picture[:, 16:32, :16], photos()[1])


def test_brightness_is_the_map(monkeypatch: pytest.MonkeyPatch) -> None:
    """With one cell that a token looks at alone, the photo shows there and is dark elsewhere."""
    model = tiny.model()
    learner = model.encoder.learners["1"]

    def look(x: torch.Tensor, grid: object) -> torch.Tensor:
        maps = torch.zeros(len(x), 2, 16)
        maps[:, 0, 0] = 1.0  # the first token: the top left cell of 4x4
        maps[:, 1, 15] = 0.5  # the second one: the last cell, half as much
        return maps

    monkeypatch.setattr(learner, "attend", look)
    white = torch.full((1, 3, 16, 16), 255, dtype=torch.uint8)
    picture = attention_picture(model, white, PREPROCESSING)[0].float() / 255
    first, second = picture[:, 16:32], picture[:, 32:]
    assert first[0, 0] == 1
    assert float(first[15, 15]) == pytest.approx(DARKEST, abs=0.01)
    assert float(second[15, 15]) == pytest.approx(DARKEST + (1 - DARKEST) / 2, abs=0.01)
    assert float(second[0, 0]) == pytest.approx(DARKEST, abs=0.01)


def test_a_convolutions_cells_lie_where_it_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its first cell is centred on the first pixel, so half of it lies outside."""
    model = tiny.conv_model()
    maps = torch.zeros(1, 2, 4, 2, 2)
    maps[..., 1, 1] = 1.0
    trace = SimpleNamespace(learners=[SimpleNamespace(maps=maps)], grid=(2, 2))
    monkeypatch.setattr(model, "trace", lambda clips: trace)
    white = torch.full((1, 4, 3, 16, 16), 255, dtype=torch.uint8)
    light = attention_picture(model, white, PREPROCESSING)[0, :, 16:32].float() / 255
    assert light[8, 8] == 1  # the centre of the second cell of 8 px
    assert float(light[4, 4]) == pytest.approx(DARKEST + (1 - DARKEST) / 4, abs=0.15)
    assert float(light[0, 0]) == pytest.approx(DARKEST, abs=0.01)


def test_patches_lie_where_explain_has_them() -> None:
    """Also where they leave a remainder of the photo out, 2 px here of 18."""
    model = VisionTransformer(replace(tiny.config(), image_size=(18, 18))).eval()
    white = torch.full((1, 3, 18, 18), 255, dtype=torch.uint8)
    light = attention_picture(model, white, PREPROCESSING)[0, :, 18:].float()
    assert light[:16, :16].min() > 0
    darkest = 255 * DARKEST
    np.testing.assert_allclose(light[16:, :16], darkest, atol=1)
    np.testing.assert_allclose(light[:, 16:18], darkest, atol=1)


def test_without_a_learner_the_photos_alone() -> None:
    picture = attention_picture(tiny.model(learner=False), photos(), PREPROCESSING)
    assert torch.equal(picture, torch.cat(list(photos()), dim=1))
