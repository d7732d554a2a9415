"""Statistics of maps, computed by hand."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from tokenlearner.attention import centroids, effective_area, overlap
from tokenlearner.attention.statistics import Maps
from tokenlearner.errors import ShapeError

LEFT = [[0.5, 0.0, 0.0, 0.0], [0.5, 0.0, 0.0, 0.0]]  # all of the first column
TOP = [[0.25, 0.25, 0.25, 0.25], [0.0, 0.0, 0.0, 0.0]]  # all of the first row
CORNER = [[0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]]


def maps_of(*maps: list[list[float]]) -> Tensor:
    return torch.tensor([maps])


@pytest.mark.parametrize(
    ("maps", "share"),
    [
        ((LEFT, LEFT), 1.0),
        ((LEFT, TOP), 0.25),  # they meet in the first cell: min(0.5, 0.25)
        ((LEFT, CORNER), 0.0),
        ((LEFT, TOP, CORNER), 0.25 / 3),
        ((LEFT, LEFT, CORNER), 1 / 3),
        ((LEFT,), 0.0),
    ],
)
def test_overlap(maps: tuple[list[list[float]], ...], share: float) -> None:
    assert overlap(maps_of(*maps)).tolist() == pytest.approx([share])


def test_overlap_is_one_minus_the_mean_total_variation() -> None:
    maps = torch.rand(3, 5, 2, 7)
    shares = (maps / maps.sum(dim=(2, 3), keepdim=True)).flatten(2)
    for batch in range(3):
        pairs = torch.combinations(torch.arange(5))
        distances = (shares[batch][pairs[:, 0]] - shares[batch][pairs[:, 1]]).abs().sum(dim=-1) / 2
        torch.testing.assert_close(overlap(maps)[batch], 1 - distances.mean())


def test_effective_area() -> None:
    even = [[0.125] * 4] * 2
    uneven = [[0.75, 0.25, 0.0, 0.0], [0.0] * 4]
    nats = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    expected = [1.0, 0.25, 0.5, 0.125, math.exp(nats) / 8]
    found = effective_area(maps_of(even, LEFT, TOP, CORNER, uneven))
    assert found.tolist()[0] == pytest.approx(expected)


def test_centroids_on_a_grid_that_is_no_square() -> None:
    row, column, spread = centroids(maps_of(LEFT, TOP, CORNER)).unbind(dim=-1)
    assert row.tolist()[0] == pytest.approx([0.5, 0.25, 0.75])  # centres of rows: 1/4, 3/4
    assert column.tolist()[0] == pytest.approx([0.125, 0.5, 0.875])  # of columns: 1/8 to 7/8
    # LEFT: each cell a quarter away. TOP: two cells 1/8 and two 3/8 away.
    assert spread.tolist()[0] == pytest.approx([0.25, math.sqrt((1 / 64 + 9 / 64) / 2), 0.0])


@pytest.mark.parametrize("function", [overlap, effective_area, centroids])
def test_scale_of_a_map_does_not_count(function: object) -> None:
    assert callable(function)
    maps = torch.rand(2, 3, 2, 5)
    scale = torch.tensor([1.0, 40.0, 0.3]).view(1, 3, 1, 1)
    torch.testing.assert_close(function(maps * scale), function(maps))


def test_map_of_zeros_counts_as_even() -> None:
    maps = torch.stack((torch.zeros(2, 4), torch.full((2, 4), 0.3)))[None]
    assert overlap(maps).tolist() == pytest.approx([1.0])
    assert effective_area(maps).tolist()[0] == pytest.approx([1.0, 1.0])


def test_maps_of_a_photo_or_of_clips_with_time_steps() -> None:
    clips = torch.rand(2, 5, 4, 3, 6)  # batch, step, token, height, width
    for function in (overlap, effective_area, centroids):
        found = function(clips)
        for clip, steps in zip(clips, found, strict=True):
            for step, wanted in zip(clip, steps, strict=True):
                torch.testing.assert_close(function(step), wanted)
                torch.testing.assert_close(function(step.numpy()), wanted)
    assert overlap(clips).shape == (2, 5)
    assert effective_area(clips).shape == (2, 5, 4)
    assert centroids(clips).shape == (2, 5, 4, 3)


@pytest.mark.parametrize("function", [overlap, effective_area, centroids])
def test_too_few_axes(function: Callable[[Tensor], Tensor]) -> None:
    with pytest.raises(ShapeError, match=r"are \(3, 6\); wanted \[\.\.\., token, height, width\]"):
        function(torch.rand(3, 6))


@pytest.mark.parametrize("function", [overlap, effective_area, centroids])
def test_gradients_are_numbers(function: Callable[[Tensor], Tensor]) -> None:
    """Also where a softmax left nothing but one cell, and of a map of zeros."""
    logits = torch.tensor([[200.0, 0.0, 0.0, 0.0], [0.0, 0.0, 1.0, 2.0]], requires_grad=True)
    maps = torch.cat((logits.softmax(dim=-1), 0 * logits[:1])).view(3, 2, 2)
    function(maps).sum().backward()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()
    assert logits.grad.abs().sum() > 0


@pytest.mark.parametrize("function", [overlap, effective_area, centroids])
def test_views_of_arrays(function: Callable[[Maps], Tensor]) -> None:
    maps = np.random.default_rng(0).random((2, 3, 4))
    mirrored = maps[:, :, ::-1]
    maps.flags.writeable = False
    assert torch.equal(function(maps), function(torch.from_numpy(maps.copy())))
    assert torch.equal(function(mirrored), function(torch.from_numpy(mirrored.copy())))


@pytest.mark.parametrize("function", [overlap, effective_area, centroids])
def test_no_cells(function: Callable[[Tensor], Tensor]) -> None:
    with pytest.raises(ShapeError, match=r"the maps are \(2, 0, 4\); wanted"):
        function(torch.ones(2, 0, 4))


def test_half_precision_is_computed_in_single() -> None:
    maps = torch.rand(2, 3, 20, 20)
    torch.testing.assert_close(
        effective_area(maps.bfloat16()), effective_area(maps.bfloat16().float()), rtol=0, atol=0
    )
