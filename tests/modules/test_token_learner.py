"""Where the maps land and what they pool: values, not shapes."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
from einops import rearrange
from torch import Tensor

from tokenlearner.errors import ConfigError, ShapeError
from tokenlearner.modules import (
    TokenLearner,
    TokenLearnerGrouped,
    TokenLearnerV11,
    pool_tokens,
)

ROWS, COLUMNS, CHANNELS = 3, 5, 8
GRID = (ROWS, COLUMNS)
CELLS = [(0, 4), (2, 1)]  # the cell that token 0 looks at, and token 1

Learner = TokenLearner | TokenLearnerV11 | TokenLearnerGrouped
MAKERS: dict[str, Callable[[int, int], Learner]] = {
    "1.0": TokenLearner,
    "1.1": TokenLearnerV11,
    "grouped": partial(TokenLearnerGrouped, groups=2),
}
every_version = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)


def marked_grid() -> Tensor:
    """A feature map whose cell CELLS[s] alone is marked in channel s; every cell has its number."""
    x = torch.zeros(1, CHANNELS, ROWS, COLUMNS)
    x[:, 2] = 1.0
    for token, (row, column) in enumerate(CELLS):
        x[0, 2, row, column] = 0.0
        x[0, token, row, column] = 1.0
    x[0, 7] = 0.01 * torch.arange(ROWS * COLUMNS).view(GRID)
    return x


@torch.no_grad()
def looking_at_marks(version: str) -> Learner:
    """Weights by hand: token s looks where channel s is marked, and nowhere else."""
    if version == "1.1":
        learner = TokenLearnerV11(2, CHANNELS, bottleneck_dim=2)
        for layer in (learner.masking.fc1, learner.masking.fc2):
            layer.weight.zero_()
            layer.bias.zero_()
        learner.masking.fc1.weight[:, :2] = torch.eye(2)
        learner.masking.fc2.weight.copy_(1000 * torch.eye(2))
        return learner
    learner = TokenLearner(2, CHANNELS)
    for conv in learner.convs:
        kernel = conv.get_parameter("weight")
        kernel.zero_()
        kernel[:, :2, 1, 1] = torch.eye(2)  # the cell itself
    learner.convs[-1].get_parameter("weight").mul_(10_000)
    return learner


@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.parametrize("layout", ["feature map", "tokens"])
def test_one_hot_map_lands_on_its_cell(version: str, layout: str) -> None:
    learner = looking_at_marks(version)
    grid = marked_grid()
    if layout == "feature map":
        tokens, maps = learner(grid, return_maps=True)
    else:
        tokens, maps = learner(rearrange(grid, "b c h w -> b (h w) c"), grid=GRID, return_maps=True)
    expected = torch.zeros(1, 2, *GRID)
    for token, (row, column) in enumerate(CELLS):
        expected[0, token, row, column] = 1.0
        torch.testing.assert_close(tokens[0, token], grid[0, :, row, column])
    torch.testing.assert_close(maps, expected)


@torch.no_grad()
def test_convolution_sees_the_right_neighbour() -> None:
    learner = looking_at_marks("1.0")
    assert isinstance(learner, TokenLearner)
    kernel = learner.convs[0].get_parameter("weight")
    kernel.copy_(kernel.roll(-1, dims=2))  # from the cell itself to the one above it
    _, maps = learner(marked_grid(), return_maps=True)
    # Below (0, 4); below (2, 1) the grid ends, and above the first row nothing is known.
    assert (maps > 0.9).nonzero().tolist() == [[0, 0, 1, 4]]
    assert (maps == 0.5).nonzero().tolist() == [[0, s, 0, c] for s in (0, 1) for c in range(5)]


@every_version
def test_feature_map_and_tokens_agree(make: Callable[[int, int], Learner]) -> None:
    learner = make(4, CHANNELS)
    x = torch.randn(2, CHANNELS, *GRID)
    tokens, maps = learner(x, return_maps=True)
    flat_tokens, flat_maps = learner(
        rearrange(x, "b c h w -> b (h w) c"), grid=GRID, return_maps=True
    )
    assert maps.shape == (2, 4, *GRID)
    torch.testing.assert_close(flat_tokens, tokens)
    torch.testing.assert_close(flat_maps, maps)
    torch.testing.assert_close(learner(x), tokens)


@every_version
def test_tokens_are_the_grid_weighted_by_the_maps(make: Callable[[int, int], Learner]) -> None:
    learner = make(4, CHANNELS)
    x = torch.randn(2, CHANNELS, *GRID)
    tokens, maps = learner(x, return_maps=True)
    if isinstance(learner, TokenLearnerGrouped):
        x = learner.values(x.flatten(2)).unflatten(2, GRID)
    torch.testing.assert_close(tokens, torch.einsum("bshw,bchw->bsc", maps, x))


@every_version
def test_square_needs_no_grid(make: Callable[[int, int], Learner]) -> None:
    learner = make(4, CHANNELS)
    x = torch.randn(2, 16, CHANNELS)
    torch.testing.assert_close(learner(x), learner(x, grid=(4, 4)))


@pytest.mark.parametrize("version", ["1.1", "grouped"])
@torch.no_grad()
def test_softmax_maps_sum_to_one(version: str) -> None:
    learner = MAKERS[version](4, CHANNELS)
    _, maps = learner(torch.randn(2, CHANNELS, *GRID), return_maps=True)
    torch.testing.assert_close(maps.sum(dim=(2, 3)), torch.ones(2, 4))
    assert float(maps.min()) >= 0.0


@torch.no_grad()
def test_sigmoid_maps_lie_between_zero_and_one() -> None:
    _, maps = TokenLearner(4, CHANNELS)(10 * torch.randn(2, CHANNELS, *GRID), return_maps=True)
    assert 0.0 <= float(maps.min()) < 0.5 < float(maps.max()) <= 1.0
    assert float((maps.sum(dim=(2, 3)) - 1).abs().min()) > 0.1  # no distribution


@pytest.mark.parametrize("version", ["1.1", "grouped"])
def test_permuted_positions_permute_the_maps_and_leave_the_tokens(version: str) -> None:
    learner = MAKERS[version](4, CHANNELS)
    x = torch.randn(2, ROWS * COLUMNS, CHANNELS)
    order = torch.randperm(ROWS * COLUMNS)
    tokens, maps = learner(x, grid=GRID, return_maps=True)
    permuted_tokens, permuted_maps = learner(x[:, order], grid=GRID, return_maps=True)
    torch.testing.assert_close(permuted_maps.flatten(2), maps.flatten(2)[:, :, order])
    torch.testing.assert_close(permuted_tokens, tokens)


def test_mean_pooling_is_the_sum_divided_by_positions() -> None:
    by_sum, by_mean = TokenLearner(4, CHANNELS), TokenLearner(4, CHANNELS, pooling="mean")
    by_mean.load_state_dict(by_sum.state_dict())
    x = torch.randn(2, CHANNELS, *GRID)
    torch.testing.assert_close(by_mean(x), by_sum(x) / (ROWS * COLUMNS))


def test_a_mean_fits_where_the_sum_does_not() -> None:
    x = torch.full((1, 4096, CHANNELS), 40, dtype=torch.float16)
    maps = torch.ones(1, 2, 4096, dtype=torch.float16)
    assert TokenLearner(2, CHANNELS, pooling="mean").pool(x, maps).unique().tolist() == [40]


def test_folding_takes_any_grid_for_a_square() -> None:
    folding, true = TokenLearner(4, CHANNELS, fold_to_square=True), TokenLearner(4, CHANNELS)
    folding.load_state_dict(true.state_dict())
    x = torch.randn(2, 16, CHANNELS)
    tokens, maps = folding(x, grid=(2, 8), return_maps=True)
    square_tokens, square_maps = true(x, grid=(4, 4), return_maps=True)
    torch.testing.assert_close(tokens, square_tokens)
    torch.testing.assert_close(maps.flatten(2), square_maps.flatten(2))
    assert maps.shape == (2, 4, 2, 8)  # shown where the cells really are
    assert not torch.allclose(tokens, true(x, grid=(2, 8)))


def test_folding_needs_a_number_of_cells_that_makes_a_square() -> None:
    folding = TokenLearner(4, CHANNELS, fold_to_square=True)
    with pytest.raises(ShapeError, match=r"folds its tokens .* 2 x 7 cells make no"):
        folding(torch.randn(2, 14, CHANNELS), grid=(2, 7))


def test_pooling_by_hand() -> None:
    x = torch.tensor([[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]])
    maps = torch.tensor([[[0.5, 0.0, 0.5], [1.0, 1.0, 1.0]]])
    assert pool_tokens(x, maps).tolist() == [[[3.0, 4.0], [9.0, 12.0]]]


@pytest.mark.parametrize("version", ["1.1", "grouped"])
def test_tokens_are_pooled_from_what_came_in_not_from_its_norm(version: str) -> None:
    learner = MAKERS[version](4, CHANNELS)
    x = torch.randn(2, 16, CHANNELS)
    torch.testing.assert_close(learner(10 * x), 10 * learner(x), rtol=1e-3, atol=1e-3)


@every_version
def test_shape_errors_say_what_to_do(make: Callable[[int, int], Learner]) -> None:
    learner = make(4, CHANNELS)
    sequence = torch.randn(2, 15, CHANNELS)
    with pytest.raises(ShapeError, match=r"15 positions are not a square grid; pass grid=\(rows"):
        learner(sequence, return_maps=True)
    with pytest.raises(ShapeError, match=r"grid=\(4, 4\) has 16 cells, but there are 15 positions"):
        learner(sequence, grid=(4, 4))
    with pytest.raises(ShapeError, match=r"grid is \(-3, -5\); wanted \(rows, columns\), both at"):
        learner(sequence, grid=(-3, -5))
    with pytest.raises(ShapeError, match="wanted at least one position"):
        learner(sequence[:, :0])
    with pytest.raises(ShapeError, match="wanted at least one position"):
        learner(torch.randn(2, CHANNELS, 0, 5))
    with pytest.raises(ShapeError, match=r"map is 3x5, but grid=\(5, 3\); leave grid out"):
        learner(torch.randn(2, CHANNELS, *GRID), grid=(5, 3))
    with pytest.raises(ShapeError, match=r"shape \(2, 8\); wanted tokens \[batch, position, dim\]"):
        learner(torch.randn(2, 8))
    with pytest.raises(ShapeError, match="have 15 channels, but the module was made for 8"):
        learner(rearrange(sequence, "b n c -> b c n"))


def test_impossible_learners_are_refused() -> None:
    with pytest.raises(ConfigError, match="num_tokens=0, in_channels=8; both must be at least 1"):
        TokenLearnerV11(0, 8)
