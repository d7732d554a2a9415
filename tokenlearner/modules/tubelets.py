"""From clips to a grid of tokens for each time step."""

import math
from typing import Literal, get_args

import torch
from torch import nn

from tokenlearner.errors import ConfigError, ShapeError
from tokenlearner.modules.embed import ConvStem
from tokenlearner.modules.grids import Grid
from tokenlearner.modules.shapes import Float, Tensor

Inflation = Literal["central", "average"]
"""How a kernel for images becomes one for tubelets: see `inflate_kernel`."""


class TubeletEmbedding(nn.Conv3d):
    """One linear map per tubelet, a patch over a few frames.

    What fills no tubelet, in time, height or width, is dropped, as in the official code.

    Args:
        dim: Channels of a token.
        patch_size: Height and width of a tubelet in pixels.
        num_frames: Frames of a tubelet.

    Source: "ViViT: A Video Vision Transformer" (Arnab et al., 2021), section 3.2.
    """

    def __init__(self, dim: int, patch_size: tuple[int, int], *, num_frames: int) -> None:
        size = (num_frames, *patch_size)
        super().__init__(3, dim, kernel_size=size, stride=size)
        nn.init.kaiming_normal_(self.weight, nonlinearity="linear")
        if self.bias is not None:
            nn.init.zeros_(self.bias)


class TubeletStem(ConvStem):
    """The stages of `ConvStem` on every frame, the last of them over the frames of a tubelet.

    Args:
        dim: Channels of a token, reached after the last stage.
        widths: Channels after each stage but the last.
        num_frames: Frames of a tubelet; incomplete ones are dropped.
    """

    def __init__(self, dim: int, widths: tuple[int, ...], *, num_frames: int) -> None:
        super().__init__(dim, widths)
        last = self[-1]
        assert isinstance(last, nn.Conv2d)
        self[-1] = nn.Conv3d(
            last.in_channels,
            dim,
            (num_frames, 4, 4),
            stride=(num_frames, 2, 2),
            padding=(0, 1, 1),
        )

    def forward(
        self, input: Float[Tensor, "batch 3 time height width"]
    ) -> Float[Tensor, "batch dim step rows columns"]:
        frames = input.transpose(1, 2).flatten(0, 1)
        *stages, last = self
        for stage in stages:
            frames = stage(frames)
        return last(frames.unflatten(0, (input.shape[0], input.shape[2])).transpose(1, 2))


def inflate_kernel(
    kernel: Float[Tensor, "dim channels height width"], num_frames: int, *, how: Inflation
) -> Float[Tensor, "dim channels time height width"]:
    """Makes a kernel for tubelets of one for images.

    Args:
        kernel: Kernel of an image model's patch embedding, or of the last stage of its stem.
        num_frames: Frames of a tubelet.
        how: `central` puts it on frame `num_frames // 2` and zeros on the others, so that a tubelet
            starts as that frame's patch; `average` puts an equal part of it on every frame.

    Raises:
        ConfigError: If `how` is neither, or there is no frame.

    Source: the official weight transfer; ViViT, section 3.4.
    """
    if how not in get_args(Inflation) or num_frames < 1:
        raise ConfigError(
            f"how={how!r} and num_frames={num_frames}; wanted 'central' or 'average', and at "
            "least 1 frame"
        )
    if how == "average":
        return torch.stack([kernel / num_frames] * num_frames, dim=2)
    inflated = kernel.new_zeros((*kernel.shape[:2], num_frames, *kernel.shape[2:]))
    inflated[:, :, num_frames // 2] = kernel
    return inflated


def sample_frames(num_frames: int, wanted: int) -> list[int]:
    """Returns which frames of a clip uniform sampling takes, in the official way.

    The step is `num_frames / (wanted + 1)`, so neither end is taken. The official code adds it up
    in float32 and rounds halves to even, which sometimes yields one frame more than was wanted.

    Args:
        num_frames: Frames of the clip.
        wanted: Frames to take; where there are not more than that, all are.

    Examples:
        >>> sample_frames(9, 2)
        [3, 6]
        >>> sample_frames(8, 2)
        [3, 5, 7]

    Source: `sample_frames_uniformly` of google-research/scenic.
    """
    if wanted >= num_frames:
        return list(range(num_frames))
    step = num_frames / (wanted + 1)
    count = math.ceil((num_frames - step) / step)
    narrow = _round_to_float32(step)
    places = [_round_to_float32(narrow + _round_to_float32(narrow * i)) for i in range(count)]
    return [min(round(place), num_frames - 1) for place in places]


def _round_to_float32(value: float) -> float:
    """Returns the nearest number that float32 can hold, by arithmetic that compilers can follow."""
    mantissa, exponent = math.frexp(value)
    return math.ldexp(round(mantissa * 2**24), exponent - 24)


def share_rows(rows: int, columns: int, *, steps: int) -> Grid:
    """Returns each step's grid where the frames of all steps lie in one tall image.

    Where the rows cannot be shared out, a step takes its share of the positions as one row: patches
    then straddle frames, and a step has no rows of its own.

    Raises:
        ShapeError: If the positions cannot be shared out either.
    """
    if rows % steps == 0:
        return rows // steps, columns
    if rows * columns % steps:
        raise ShapeError(
            f"{steps} frames stacked into one image make {rows}x{columns} patches, which {steps} "
            "steps cannot share; take frames whose height is a multiple of the patch's"
        )
    return 1, rows * columns // steps
