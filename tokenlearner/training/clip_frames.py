"""Which frames of a clip training sees: a function of random numbers that are given."""

import torch

from tokenlearner.modules.shapes import Tensor, UInt8
from tokenlearner.training.recipes import ClipSampling
from tokenlearner.training.seeds import draw_uniform


def draw_frames(
    clips: UInt8[Tensor, "batch kept 3 height width"],
    num_frames: int,
    options: ClipSampling,
    generator: torch.Generator,
    *,
    places: Tensor | None = None,
    count: int | None = None,
) -> UInt8[Tensor, "batch time 3 height width"]:
    """Returns frames from a random stretch of each clip, in their order.

    Args:
        clips: Frames evenly spaced in time.
        num_frames: How many are taken; more than there are repeat some.
        options: How long the stretch is.
        generator: Source of every random number, on the CPU.
        places: Places of `clips` in a batch of which they are a part, int64 `[batch]`.
        count: Clips in that batch. A clip is sampled alike in the whole batch and in any part.
    """
    count = len(clips) if count is None else count
    length = draw_uniform(*options.stretch, count, places, generator)
    start = draw_uniform(0.0, 1.0, count, places, generator) * (1 - length)
    jitter = torch.stack(
        [draw_uniform(0.0, 1.0, count, places, generator) for _ in range(num_frames)], dim=1
    )
    shares = start[:, None] + length[:, None] * (torch.arange(num_frames) + jitter) / num_frames
    rows = (shares * clips.shape[1]).long().clamp(max=clips.shape[1] - 1)
    return clips[torch.arange(len(clips))[:, None], rows.to(clips.device)]
