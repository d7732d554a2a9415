"""How distinct, how wide and where a model's attention maps are.

Each function takes maps of either kind, also those of version 1.0 that are no distributions: a map
is first divided by its sum, so only its shape counts. A map of zeros counts as an even one. Axes
before the token's are batches: photos, clips, time steps, or none, as in `Explanation.maps`. All
are computed in float32 and can be differentiated.
"""

import numpy as np
import torch

from tokenlearner.errors import ShapeError
from tokenlearner.modules.shapes import Float, Tensor

Maps = Tensor | np.ndarray
"""`[..., token, height, width]`."""


def overlap(maps: Maps) -> Float[Tensor, "*batch"]:
    """Returns how much the tokens look at the same places, 0 (nothing shared) to 1 (all the same).

    Two maps share the sum of their element-wise minima, which is 1 minus their total variation
    distance; this is the mean over all pairs of tokens. A single token shares nothing.

    Raises:
        ShapeError: If there are fewer than three axes, or no cells.
    """
    shares = _distributions(maps).flatten(-2)
    num_tokens = shares.shape[-2]
    shared = shares.new_zeros(shares.shape[:-2])
    for token in range(1, num_tokens):
        pairs = torch.minimum(shares[..., :token, :], shares[..., token : token + 1, :])
        shared = shared + pairs.sum(dim=(-2, -1))
    return shared / max(1, num_tokens * (num_tokens - 1) / 2)


def effective_area(maps: Maps) -> Float[Tensor, "*batch token"]:
    """Returns how much of the grid each token looks at, 1/cells (one cell) to 1 (all evenly).

    That is exp(entropy) / cells, the share of cells an even map of the same entropy covers: a token
    that looks at a quarter of the cells evenly, and at no others, has 0.25.

    Raises:
        ShapeError: If there are fewer than three axes, or no cells.
    """
    shares = _distributions(maps).flatten(-2)
    nats = torch.special.entr(_away_from_zero(shares)).sum(dim=-1)
    return nats.exp() / shares.shape[-1]


def centroids(maps: Maps) -> Float[Tensor, "*batch token 3"]:
    """Returns where each token looks and how widely: row, column, spread.

    Row and column are those of the map's centre of mass; 0 and 1 are the edges of the grid, so the
    centre of cell r of R rows is at (r + 0.5) / R. The spread is the root mean square distance from
    there, in the same unit, of the centres of the cells: 0 for a token that looks at one cell.

    Raises:
        ShapeError: If there are fewer than three axes, or no cells.
    """
    shares = _distributions(maps)
    height, width = shares.shape[-2:]
    rows, columns = torch.meshgrid(
        (torch.arange(height, device=shares.device) + 0.5) / height,
        (torch.arange(width, device=shares.device) + 0.5) / width,
        indexing="ij",
    )
    places = torch.stack((rows.flatten(), columns.flatten()), dim=-1)
    shares = shares.flatten(-2)
    centres = shares @ places
    distances = (places - centres.unsqueeze(-2)).square().sum(dim=-1)
    spread = _away_from_zero((shares * distances).sum(dim=-1, keepdim=True)).sqrt()
    return torch.cat((centres, spread), dim=-1)


def _distributions(maps: Maps) -> Float[Tensor, "*batch token height width"]:
    if isinstance(maps, np.ndarray):
        maps = torch.from_numpy(np.array(maps, np.float32))  # read-only and mirrored ones, too
    maps = maps.float()
    if maps.ndim < 3 or 0 in maps.shape[-2:]:
        raise ShapeError(f"the maps are {tuple(maps.shape)}; wanted [..., token, height, width]")
    total = maps.sum(dim=(-2, -1), keepdim=True)
    is_empty = total <= 0  # divided by 1, because the gradient of 0 / 0 would be no number
    shares = maps / torch.where(is_empty, 1.0, total)
    return torch.where(is_empty, 1 / (maps.shape[-2] * maps.shape[-1]), shares)


def _away_from_zero(values: Tensor) -> Tensor:
    """Logarithm and root have no gradient at 0; here it is 0, as of what cannot shrink."""
    return values.clamp_min(torch.finfo(values.dtype).tiny)
