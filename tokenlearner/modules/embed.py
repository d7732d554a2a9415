"""From pixels to a grid of tokens, and where each token sits."""

import torch.nn.functional as F
from torch import nn

from tokenlearner.errors import ShapeError
from tokenlearner.modules.grids import Grid
from tokenlearner.modules.shapes import Float, Tensor


class PatchEmbedding(nn.Conv2d):
    """One linear map per patch: a convolution whose kernel is its stride.

    An incomplete last row or column of patches is dropped, as in the official code.

    Args:
        dim: Channels of a token.
        patch_size: Height and width of a patch in pixels.
        in_channels: Channels of the image.
    """

    def __init__(self, dim: int, patch_size: tuple[int, int], *, in_channels: int = 3) -> None:
        super().__init__(in_channels, dim, kernel_size=patch_size, stride=patch_size)
        nn.init.kaiming_normal_(self.weight, nonlinearity="linear")
        if self.bias is not None:
            nn.init.zeros_(self.bias)


class ConvStem(nn.Sequential):
    """Overlapping convolutions instead of patches: halves the grid once per entry of `widths`.

    Each stage is a 4x4 convolution of stride 2 with padding 1. An even kernel keeps every cell
    centred on the pixels it stands for; the usual 3x3 would shift the grid by nearly half a cell
    after four stages, and the attention maps with it.

    Args:
        dim: Channels of a token, reached after the last stage.
        widths: Channels after each stage but the last.
        in_channels: Channels of the image.

    Source: the idea is that of "Early Convolutions Help Transformers See Better" (Xiao et al.,
    2021).
    """

    def __init__(self, dim: int, widths: tuple[int, ...], *, in_channels: int = 3) -> None:
        layers: list[nn.Module] = []
        for width in widths:
            layers += [
                nn.Conv2d(in_channels, width, 4, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(width),
                nn.GELU(approximate="tanh"),
            ]
            in_channels = width
        layers.append(nn.Conv2d(in_channels, dim, 4, stride=2, padding=1))
        super().__init__(*layers)


def resample_position_embedding(
    embedding: Float[Tensor, "1 position dim"],
    *,
    old: Grid,
    new: Grid,
    old_steps: int = 1,
    new_steps: int = 1,
) -> Float[Tensor, "1 new_position dim"]:
    """Returns a position embedding for another grid or number of time steps.

    Linear along each axis, ends on ends; that of an image is repeated at every step.

    Args:
        embedding: Step by step, row by row.
        old: Rows and columns of a step, as they are.
        new: Rows and columns of a step, as wanted.
        old_steps: Time steps, as they are; 1 for images.
        new_steps: Time steps, as wanted.

    Source: the rule by which the official code transfers checkpoints to another resolution, and
    from images to clips. It knows none from clips to longer ones; the one here is ours.

    Raises:
        ShapeError: If `embedding` does not lie on the grid `old` at `old_steps` steps.
    """
    if embedding.shape[1] != old_steps * old[0] * old[1]:
        times = f" at {old_steps} steps" if old_steps > 1 else ""
        raise ShapeError(
            f"{embedding.shape[1]} position embeddings do not fill a grid of {old}{times}"
        )
    if old != new:
        planes = embedding[0].unflatten(0, (old_steps, *old)).movedim(3, 1)
        planes = F.interpolate(planes, size=new, mode="bilinear", align_corners=True)
        embedding = planes.movedim(1, 3).flatten(0, 2)[None]
    if old_steps != new_steps:
        lines = embedding.unflatten(1, (old_steps, -1)).flatten(2).transpose(1, 2)
        lines = F.interpolate(lines, size=new_steps, mode="linear", align_corners=True)
        embedding = lines.transpose(1, 2).reshape(1, -1, embedding.shape[2])
    return embedding
