"""Patches come from where they should, and position embeddings go where they should."""

import json

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.golden.cases import FOLDER
from tokenlearner.errors import ShapeError
from tokenlearner.modules import ConvStem, PatchEmbedding, resample_position_embedding


@torch.no_grad()
def test_patch_is_read_row_by_row_and_remainders_dropped() -> None:
    embedding = PatchEmbedding(1, (2, 3))
    embedding.weight.zero_()
    embedding.weight[0, 1, 1, 2] = 1.0  # green, second row, third column of a patch
    image = torch.zeros(1, 3, 5, 10)
    image[0, 1] = torch.arange(50.0).view(5, 10)
    assert embedding(image)[0, 0].tolist() == [[12.0, 15.0, 18.0], [32.0, 35.0, 38.0]]


def test_stem_keeps_every_cell_centred_on_its_pixels() -> None:
    """A mirrored image gives the mirrored grid, if the weights are mirrored too."""
    stem = ConvStem(4, (2, 3)).eval()
    image = torch.randn(1, 3, 16, 24)
    cells = stem(image)
    assert cells.shape == (1, 4, 2, 3)
    with torch.no_grad():
        for layer in stem:
            if isinstance(layer, nn.Conv2d):
                layer.weight.copy_(layer.weight.flip(-1))
    torch.testing.assert_close(stem(image.flip(-1)), cells.flip(-1))


def official_resizes() -> list[str]:
    with np.load(FOLDER / "extras_posemb_transfer.npz") as arrays:
        cases = json.loads(str(arrays["config"]))["cases"]
    return [name for name, case in cases.items() if case["change"] == "resize"]


@pytest.mark.parametrize("name", official_resizes())
def test_resampling_matches_the_official_transfer(name: str) -> None:
    with np.load(FOLDER / "extras_posemb_transfer.npz") as arrays:
        before, after = (torch.from_numpy(arrays[f"{name}/{end}"]) for end in ("in", "out"))
    old, new = (round(x.shape[1] ** 0.5) for x in (before, after))
    ours = resample_position_embedding(before, old=(old, old), new=(new, new))
    assert float((ours - after).norm() / after.norm()) < 1e-6


@pytest.mark.parametrize("name", ["tile", "resize_tile_3dconv", "resize_tile_sampling"])
def test_going_from_images_to_clips_matches_the_official_transfer(name: str) -> None:
    with np.load(FOLDER / "extras_posemb_transfer.npz") as arrays:
        before, after = (torch.from_numpy(arrays[f"{name}/{end}"]) for end in ("in", "out"))
    steps = {"tile": 3, "resize_tile_3dconv": 3, "resize_tile_sampling": 4}[name]
    side = round((after.shape[1] / steps) ** 0.5)
    ours = resample_position_embedding(before, old=(4, 4), new=(side, side), new_steps=steps)
    assert float((ours - after).norm() / after.norm()) < 1e-6


def test_other_numbers_of_steps_keep_ends_and_directions() -> None:
    spatial = ramp(3, 5)
    short = torch.cat([torch.cat((spatial, torch.full((1, 15, 1), t)), 2) for t in (0.0, 1.0)], 1)
    long = resample_position_embedding(short, old=(3, 5), new=(2, 4), old_steps=2, new_steps=5)
    steps = long.view(5, 8, 3)
    torch.testing.assert_close(steps[:, :, 2], torch.linspace(0, 1, 5)[:, None].expand(-1, 8))
    torch.testing.assert_close(steps[..., :2], ramp(2, 4).expand(5, -1, -1))


def ramp(rows: int, columns: int) -> Tensor:
    """Two channels: how far down, and how far right, both from 0 to 1."""
    down, right = torch.meshgrid(
        torch.linspace(0, 1, rows), torch.linspace(0, 1, columns), indexing="ij"
    )
    return torch.stack((down, right), dim=-1).view(1, rows * columns, 2)


def test_resampling_keeps_directions_and_corners_on_any_grid() -> None:
    resampled = resample_position_embedding(ramp(3, 5), old=(3, 5), new=(7, 4))
    torch.testing.assert_close(resampled, ramp(7, 4))


def test_resampling_to_the_same_grid_changes_nothing() -> None:
    embedding = torch.randn(1, 15, 4)
    assert resample_position_embedding(embedding, old=(3, 5), new=(3, 5)) is embedding


def test_embedding_that_does_not_fill_its_grid_is_an_error() -> None:
    with pytest.raises(ShapeError, match=r"15 position embeddings do not fill a grid of \(4, 4\)$"):
        resample_position_embedding(torch.randn(1, 15, 4), old=(4, 4), new=(2, 2))
    with pytest.raises(ShapeError, match=r"do not fill a grid of \(4, 4\) at 2 steps"):
        resample_position_embedding(torch.randn(1, 16, 4), old=(4, 4), new=(4, 4), old_steps=2)
