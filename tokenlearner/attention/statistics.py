"""How distinct, how wide and where a model's attention maps are.

Each function takes maps of either kind, also those of version 1.0 that are no distributions: a map
is first divided by its sum, so only its shape counts. A map of zeros counts as an even one.
"""

import torch

from tokenlearner.modules.shapes import Float, Tensor


def overlap(maps: Float[Tensor, "batch token height width"]) -> Float[Tensor, " batch"]:
    """Returns how much the tokens look at the same places, 0 (nothing shared) to 1 (all the same).

    Two maps share the sum of their element-wise minima, which is 1 minus their total variation
    distance; this is the mean over all pairs of tokens. A single token shares nothing.
    """
    shares = _distributions(maps)
    num_tokens = shares.shape[1]
    if num_tokens == 1:
        return shares.new_zeros(len(shares))
    shared = shares.new_zeros(len(shares))
    for token in range(1, num_tokens):
        pairs = torch.minimum(shares[:, :token], shares[:, token : token + 1])
        shared += pairs.sum(dim=(1, 2))
    return shared / (num_tokens * (num_tokens - 1) / 2)


def entropy(maps: Float[Tensor, "batch token height width"]) -> Float[Tensor, "batch token"]:
    """Returns how much of the grid each token looks at, 1/cells (one cell) to 1 (all evenly).

    That is exp(entropy) / cells, the share of cells an even map of the same entropy covers: a token
    that looks at a quarter of the cells evenly, and at no others, has 0.25.
    """
    shares = _distributions(maps)
    nats = -torch.xlogy(shares, shares).sum(dim=-1)
    return nats.exp() / shares.shape[-1]


def centroids(maps: Float[Tensor, "batch token height width"]) -> Float[Tensor, "batch token 3"]:
    """Returns where each token looks and how widely: row, column, spread.

    Row and column are those of the map's centre of mass; 0 and 1 are the edges of the grid, so the
    centre of cell r of R rows is at (r + 0.5) / R. The spread is the root mean square distance from
    there, in the same unit, of the centres of the cells: 0 for a token that looks at one cell.
    """
    shares = _distributions(maps)
    height, width = maps.shape[2:]
    rows, columns = torch.meshgrid(
        (torch.arange(height, device=maps.device) + 0.5) / height,
        (torch.arange(width, device=maps.device) + 0.5) / width,
        indexing="ij",
    )
    places = torch.stack((rows.flatten(), columns.flatten()), dim=-1)
    centres = shares @ places
    distances = (places - centres.unsqueeze(2)).square().sum(dim=-1)
    spread = (shares * distances).sum(dim=-1, keepdim=True).sqrt()
    return torch.cat((centres, spread), dim=-1)


def _distributions(maps: Tensor) -> Float[Tensor, "batch token position"]:
    flat = maps.flatten(2).float()
    total = flat.sum(dim=-1, keepdim=True)
    return torch.where(total > 0, flat / total, 1 / flat.shape[-1])
