"""Counts of convolutional video networks, by what PyTorch says that their parts compute."""

import torch
from torch import Tensor, nn

from tokenlearner.efficiency.flops import Cost, Stage
from tokenlearner.efficiency.operations import Operations
from tokenlearner.efficiency.recorder import record
from tokenlearner.models.conv_video import ConvVideoNetwork


def count_conv_video(
    model: ConvVideoNetwork,
    *,
    image_size: tuple[int, int] | None = None,
    num_frames: int | None = None,
) -> Cost:
    """Counts a convolutional video network.

    A stage's tokens are the positions of its grid in all frames; learner and fuser are part of
    their block.

    Args:
        model: Is left as it is.
        image_size: Height and width in pixels; the model's own unless given.
        num_frames: Of a clip; the model's own unless given.
    """
    config = model.config
    with torch.device("meta"):
        copy = ConvVideoNetwork(config).eval()
        x = torch.empty(1, 3, num_frames or config.num_frames, *(image_size or config.image_size))
    stages = []
    of_kind: dict[object, tuple[Operations, Tensor]] = {}  # blocks of the same shapes cost the same

    def take(name: str, kind: str, part: nn.Module) -> None:
        nonlocal x
        shapes = (x.shape, tuple(parameter.shape for parameter in part.parameters()))
        if shapes not in of_kind:
            with torch.no_grad():
                result = part(x)
            of_kind[shapes] = record(part, x), result[0] if isinstance(result, tuple) else result
        work, x = of_kind[shapes]
        positions = x.shape[2] * x.shape[3] * x.shape[4] if x.ndim == 5 else 1
        stages.append(Stage(name, kind, positions, work))

    take("embedding", "embedding", copy.stem)
    for index, block in enumerate(copy.blocks):
        take(f"block {index}", "block", block)
    take("pool", "pool", copy.pool)
    take("head", "head", copy.head)
    return Cost(tuple(stages))
