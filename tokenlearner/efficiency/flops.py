"""Exact counts of what a model computes, from its configuration alone.

A stage lists its operations; what they are worth is a matter of convention. Where none is named,
counts are multiply-accumulates: 1 for each product of a contraction.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from tokenlearner.efficiency import layers
from tokenlearner.efficiency.conventions import MACS, Convention
from tokenlearner.efficiency.operations import Operation, Operations, repeat
from tokenlearner.models.config import VisionTransformerConfig
from tokenlearner.models.video_config import VideoVisionTransformerConfig


@dataclass(frozen=True, slots=True)
class Stage:
    """One part of a model.

    Attributes:
        name: `embedding`, `block 0`, `learner 6`, `fuser 6`, `head`, ...
        kind: `embedding`, `block`, `learner`, `fuser`, `pool` or `head`.
        tokens: Tokens that come out.
        operations: What it computes for one image or clip.
    """

    name: str
    kind: str
    tokens: int
    operations: Operations

    @property
    def macs(self) -> int:
        """Multiply-accumulates for one image or clip."""
        return sum(operation.macs for operation in self.operations)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "Stage":
        """Builds a stage from what `dataclasses.asdict` makes of one."""
        operations = tuple(Operation(**operation) for operation in data["operations"])
        return cls(data["name"], data["kind"], data["tokens"], operations)

    def count(self, convention: Convention) -> float:
        """Returns what it computes for one image or clip by a convention."""
        return sum(convention.count(operation) for operation in self.operations)


@dataclass(frozen=True, slots=True)
class Cost:
    """What one image or clip costs.

    Attributes:
        stages: In order of computation.
    """

    stages: tuple[Stage, ...]

    @property
    def macs(self) -> int:
        """Multiply-accumulates for one image or clip."""
        return sum(stage.macs for stage in self.stages)

    @property
    def gmacs(self) -> float:
        """Billions of multiply-accumulates."""
        return self.macs / 1e9

    def giga(self, convention: Convention = MACS) -> float:
        """Returns billions by a convention, in its unit."""
        return sum(stage.count(convention) for stage in self.stages) / 1e9


def count_macs(
    config: VisionTransformerConfig,
    *,
    image_size: tuple[int, int] | None = None,
    num_frames: int | None = None,
    linear_fuser_maps: bool = False,
) -> Cost:
    """Counts a vision transformer for images or for clips.

    Args:
        config: The model.
        image_size: Height and width in pixels; by default the model's own.
        num_frames: Frames per clip; by default the model's own.
        linear_fuser_maps: Count fusers as the paper describes them; see `layers.fuser`.

    Raises:
        ConfigError: If no patch fits into the image, or no tubelet into the clip.
    """
    if image_size is not None:
        config = replace(config, image_size=image_size)
    steps, apart, pools = 1, 0, True
    if isinstance(config, VideoVisionTransformerConfig):
        if num_frames is not None:
            config = replace(config, num_frames=num_frames)
        steps, apart, pools = config.steps, int(config.class_token), not config.class_token
    length = apart + steps * config.grid[0] * config.grid[1]
    work = (*_patches(config), Operation("add", length, config.dim))
    embedding = Stage("embedding", "embedding", length, work)
    blocks = tuple(_encoder(config, steps, apart, linear_fuser_maps=linear_fuser_maps))
    return Cost((embedding, *blocks, _head(config, blocks[-1].tokens, pools=pools)))


def _patches(config: VisionTransformerConfig) -> Operations:
    """The patch embedding, or the stem: its first stages see single frames."""
    frames, tubelet, (height, width) = 1, 1, config.image_size
    if isinstance(config, VideoVisionTransformerConfig):
        frames, tubelet = config.used_frames, config.tubelet_frames
        if config.stack_frames:
            frames, height = 1, frames * height
    work, channels = [], 3
    for stem_width in config.stem_widths:
        work += layers.convolution(
            (frames, height, width),
            channels,
            stem_width,
            kernel=(1, 4, 4),
            stride=(1, 2, 2),
            padding=(0, 1, 1),
        )
        height, width, channels = height // 2, width // 2, stem_width
        positions = frames * height * width
        work.append(Operation("batch_norm", channels, positions))
        work.append(Operation("gelu_tanh", positions, channels))
    if config.stem_widths:
        kernel, stride, padding = (4, 4), (2, 2), (1, 1)
    else:
        kernel, stride, padding = config.patch_size, config.patch_size, (0, 0)
    work += layers.convolution(
        (frames, height, width),
        channels,
        config.dim,
        kernel=(tubelet, *kernel),
        stride=(tubelet, *stride),
        padding=(0, *padding),
        bias=True,
    )
    return tuple(work)


def _encoder(
    config: VisionTransformerConfig, steps: int, apart: int, *, linear_fuser_maps: bool
) -> Iterator[Stage]:
    """The blocks, on the tokens of all steps and those apart; learners and fusers step by step."""
    learner, dim, positions = config.token_learner, config.dim, config.grid[0] * config.grid[1]
    tokens = apart + steps * positions
    for index in range(config.depth):
        here = learner if index in config.learner_blocks else None
        if here is not None:
            tokens = apart + steps * here.num_tokens
            work = layers.learner(here, dim, config.grid, config.activation)
            yield Stage(f"learner {index}", "learner", tokens, repeat(work, steps))
        work = layers.block(
            tokens,
            dim,
            num_heads=config.num_heads,
            inner_dim=config.num_heads * (config.head_dim or dim // config.num_heads),
            mlp_dim=config.mlp_dim,
            activation=config.activation,
            mlp_activates_output=config.mlp_activates_output,
        )
        yield Stage(f"block {index}", "block", tokens, work)
        if here is not None and here.fuser:
            tokens = apart + steps * positions
            work = layers.fuser(
                here, dim, positions, config.activation, linear_maps=linear_fuser_maps
            )
            yield Stage(f"fuser {index}", "fuser", tokens, repeat(work, steps))


def _head(config: VisionTransformerConfig, tokens: int, *, pools: bool) -> Stage:
    work, features = [Operation("layer_norm", tokens, config.dim)], config.dim
    if not config.num_classes:
        return Stage("head", "head", tokens, tuple(work))
    if pools:
        work.append(Operation("pool", tokens, config.dim))
    if config.representation_size is not None:
        work += layers.linear(1, features, config.representation_size)
        features = config.representation_size
        work.append(Operation("tanh", 1, features))
    work += layers.linear(1, features, config.num_classes)
    return Stage("head", "head", 1, tuple(work))
