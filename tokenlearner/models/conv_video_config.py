"""What a convolutional video network is made of, as plain data."""

import math
from dataclasses import asdict, dataclass
from typing import Any

from tokenlearner.errors import ConfigError
from tokenlearner.models.checks import (
    require_counts,
    require_list_of_counts,
    require_pair,
    require_shares,
)
from tokenlearner.models.config import TokenLearnerConfig, build_config, require_learner
from tokenlearner.modules.grids import Grid


@dataclass(frozen=True, kw_only=True, slots=True)
class ConvVideoConfig:
    """X(2+1)D: X3D with every 3-D convolution split into a spatial and a temporal one.

    The defaults are X3D-M's: four stages, each of which starts by halving the grid, after a stem
    that halves it too.

    Attributes:
        num_classes: Number of classes.
        image_size: Height and width in pixels that the model is made for.
        num_frames: Frames of the clips that it is made for.
        widths: Channels of each stage; the stem has those of the first.
        depths: Blocks of each stage.
        expansion: How much wider than its stage a block is inside.
        squeeze_ratio: Inner width of squeeze-and-excitation, in every other block.
        head_dim: Width of the layer before the last.
        token_learner: None for the backbone alone. Otherwise, from block `at` on, those blocks that
            do not halve the grid learn tokens, let them attend and fuse them back. Its version must
            be 1.0, with a fuser.
        spatial_convolution: A 3x3 convolution before each learner.
        dropout: Probability, before the last layer.

    Source: "X3D" (Feichtenhofer, 2020), table 1 and PyTorchVideo's model; arXiv:2106.11297v2.
    """

    num_classes: int
    image_size: tuple[int, int] = (256, 256)
    num_frames: int = 64
    widths: tuple[int, ...] = (24, 48, 96, 192)
    depths: tuple[int, ...] = (3, 5, 11, 7)
    expansion: float = 2.25
    squeeze_ratio: float = 0.0625
    head_dim: int = 2048
    token_learner: TokenLearnerConfig | None = None
    spatial_convolution: bool = True
    dropout: float = 0.5

    def __post_init__(self) -> None:
        require_counts(self, "num_classes", "num_frames", "head_dim")
        require_list_of_counts(self, "widths", of="channels")
        require_list_of_counts(self, "depths", of="blocks")
        require_pair(self, "image_size")
        require_shares(self, "dropout")
        require_learner(self.token_learner)
        if not self.widths or len(self.widths) != len(self.depths):
            raise ConfigError(
                f"widths={self.widths} and depths={self.depths}; wanted one of each for every stage"
            )
        for name in ("expansion", "squeeze_ratio"):
            value = getattr(self, name)
            if not isinstance(value, int | float) or not 0 < value < math.inf:
                raise ConfigError(f"{name} is {value!r}; it must be a positive number")
        if self.inner_width(min(self.widths)) < 1:
            raise ConfigError(
                f"expansion is {self.expansion} and the least of widths={self.widths} "
                f"{min(self.widths)}: a block would have no channel inside; give a larger one"
            )
        learner = self.token_learner
        if learner is not None and (learner.version != "1.0" or not learner.fuser):
            raise ConfigError(
                f"token_learner has version {learner.version!r} and fuser={learner.fuser}; this "
                "network needs version '1.0' and fuser=True"
            )
        if learner is not None and (learner.pooling != "sum" or learner.fold_to_square):
            raise ConfigError(
                f"token_learner has pooling={learner.pooling!r} and "
                f"fold_to_square={learner.fold_to_square}; this network's learners support neither"
            )
        if learner is not None and not self.learner_blocks:
            raise ConfigError(
                f"token_learner.at is {learner.at}, and no block from there on keeps its grid; "
                f"there are {self.depth} blocks"
            )

    @property
    def depth(self) -> int:
        """Blocks of all stages."""
        return sum(self.depths)

    @property
    def stage_starts(self) -> tuple[int, ...]:
        """The blocks that halve the grid."""
        return tuple(sum(self.depths[:stage]) for stage in range(len(self.depths)))

    @property
    def learner_blocks(self) -> tuple[int, ...]:
        """The blocks that learn tokens."""
        if self.token_learner is None:
            return ()
        later = range(self.token_learner.at, self.depth)
        return tuple(block for block in later if block not in self.stage_starts)

    @property
    def patch_size(self) -> tuple[int, int]:
        """Height and width in pixels of a cell of the last stage."""
        side = 2 ** (len(self.widths) + 1)
        return side, side

    @property
    def grid(self) -> Grid:
        """Rows and columns of the last stage."""
        side = self.patch_size[0]
        return -(-self.image_size[0] // side), -(-self.image_size[1] // side)

    def inner_width(self, width: int) -> int:
        """Returns the channels inside a block of a stage with so many."""
        return int(self.expansion * width)

    def squeeze_width(self, inner_width: int) -> int:
        """Returns the inner width of squeeze-and-excitation on so many channels, as X3D rounds it.

        That is to a multiple of eight which is no more than a tenth below.
        """
        width = inner_width * self.squeeze_ratio
        rounded = max(8, int(width + 4) // 8 * 8)
        return rounded if rounded >= 0.9 * width else rounded + 8

    def to_dict(self) -> dict[str, Any]:
        """Returns JSON-able data."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "ConvVideoConfig":
        """Builds a configuration from what `to_dict` returned.

        Raises:
            ConfigError: If a field is unknown, missing or out of range.
        """
        data = dict(data)
        if data.get("token_learner") is not None:
            data["token_learner"] = build_config(TokenLearnerConfig, data["token_learner"])
        return build_config(cls, data)


def x2plus1d_m(
    *, num_classes: int, num_tokens: int | None = 8, spatial_convolution: bool = True
) -> ConvVideoConfig:
    """X(2+1)D-M on clips of 64 frames of 256 px, as the paper tests it.

    That the blocks which learn tokens are those of the last stage follows from the sizes of the
    paper's tables 11 and 12: width 432 on an 8x8 grid. That it is all of them is our choice.

    Args:
        num_classes: Number of classes.
        num_tokens: Tokens to learn in each frame; None for the backbone alone.
        spatial_convolution: A 3x3 convolution before each learner.
    """
    learner = None
    if num_tokens is not None:
        learner = TokenLearnerConfig(num_tokens=num_tokens, at=19, version="1.0", fuser=True)
    return ConvVideoConfig(
        num_classes=num_classes, token_learner=learner, spatial_convolution=spatial_convolution
    )


PUBLISHED: dict[str, ConvVideoConfig] = {
    "Charades": x2plus1d_m(num_classes=157),
    "AViD": x2plus1d_m(num_classes=887),
}
"""The models of the Charades (several answers at once) and AViD rows of arXiv:2106.11297v2."""
