"""The networks of the papers by name, and sizes as the command line gives them."""

import re
from typing import Any

from tokenlearner.errors import ConfigError
from tokenlearner.models.conv_video import ConvVideoNetwork
from tokenlearner.models.conv_video_config import PUBLISHED as CONV_VIDEO
from tokenlearner.models.presets import PUBLISHED
from tokenlearner.models.video_presets import PUBLISHED as KINETICS
from tokenlearner.models.vit import VisionTransformer
from tokenlearner.models.vivit import VideoVisionTransformer

OF_THE_PAPER: dict[str, tuple[Any, Any]] = {
    name: (kind, config)
    for kind, models in (
        (VisionTransformer, PUBLISHED),
        (VideoVisionTransformer, KINETICS),
        (ConvVideoNetwork, CONV_VIDEO),
    )
    for name, config in models.items()
}
"""The models of the papers' tables: class and configuration by name."""

WITH_LEARNER = [name for name, (_, config) in OF_THE_PAPER.items() if config.token_learner]
"""The names of those that have one."""


def parse_size(text: str) -> tuple[int, int]:
    """Returns the height and width that `--image-size` gives: one number for both, or two.

    Raises:
        ConfigError: If it gives none.
    """
    size = re.fullmatch(r"([1-9]\d{0,4})(?:x([1-9]\d{0,4}))?", text, re.ASCII)
    if size is None:
        raise ConfigError(
            f"--image-size is {text[:20]!r}; wanted pixels, such as 384 or 256x320, up to 99999"
        )
    height, width = size.groups(default=size[1])
    return int(height), int(width)
