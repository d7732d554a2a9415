"""Exact counts of what a model computes, from its configuration alone.

A stage lists its operations; what they are worth is a matter of convention. Without one named,
counts are multiply-accumulates: 1 for each product of a contraction.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tokenlearner.efficiency import layers
from tokenlearner.efficiency.conventions import MACS, Convention
from tokenlearner.efficiency.operations import Operation, Operations, repeat
from tokenlearner.models.config import VisionTransformerConfig
from tokenlearner.modules.grids import Grid


@dataclass(frozen=True, slots=True)
class Stage:
    """One part of a model.

    Attributes:
        name: `embedding`, `block 0`, `learner 6`, `fuser 6`, `head`, ...
        kind: `embedding`, `block`, `learner`, `fuser`, `pool` or `head`.
        tokens: Tokens that come out.
        operations: What it computes for one image.
    """

    name: str
    kind: str
    tokens: int
    operations: Operations

    @property
    def macs(self) -> int:
        """Multiply-accumulates for one image."""
        return sum(operation.macs for operation in self.operations)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "Stage":
        """Builds a stage from what `dataclasses.asdict` makes of one."""
        operations = tuple(Operation(**operation) for operation in data["operations"])
        return cls(data["name"], data["kind"], data["tokens"], operations)

    def count(self, convention: Convention) -> float:
        """Returns what it computes for one image by a convention."""
        return sum(convention.count(operation) for operation in self.operations)


@dataclass(frozen=True, slots=True)
class Cost:
    """What one image costs.

    Attributes:
        stages: In order of computation.
    """

    stages: tuple[Stage, ...]

    @property
    def macs(self) -> int:
        """Multiply-accumulates for one image."""
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
    linear_fuser_maps: bool = False,
) -> Cost:
    """Counts a vision transformer.

    Args:
        config: The model.
        image_size: Height and width in pixels; the model's own unless given.
        linear_fuser_maps: Count fusers as the paper describes them; see `layers.fuser`.
    """
    height, width = image_size or config.image_size
    grid = (height // config.patch_size[0], width // config.patch_size[1])
    positions = grid[0] * grid[1]
    stages = (
        Stage("embedding", "embedding", positions, _embedding(config, (height, width))),
        *_encoder(config, grid, linear_fuser_maps=linear_fuser_maps),
    )
    return Cost((*stages, _head(config, stages[-1].tokens)))


def count_clip(
    config: VisionTransformerConfig,
    *,
    num_frames: int,
    tubelet_frames: int,
    class_token: bool,
    linear_fuser_maps: bool = False,
) -> Cost:
    """Counts a vision transformer whose patches are tubelets and whose attention spans the clip.

    Args:
        config: The model without its time axis; its learner works on each time index by itself.
        num_frames: Of the clip.
        tubelet_frames: Of a tubelet.
        class_token: Whether a class token takes part and is what the head reads.
        linear_fuser_maps: Count fusers as the paper describes them; see `layers.fuser`.
    """
    grid, steps, prefix = config.grid, num_frames // tubelet_frames, int(class_token)
    tokens = prefix + steps * grid[0] * grid[1]
    tubelets = layers.convolution(
        (num_frames, *config.image_size),
        3,
        config.dim,
        kernel=(tubelet_frames, *config.patch_size),
        stride=(tubelet_frames, *config.patch_size),
        bias=True,
    )
    stages = (
        Stage("embedding", "embedding", tokens, (*tubelets, Operation("add", tokens, config.dim))),
        *_encoder(config, grid, steps=steps, prefix=prefix, linear_fuser_maps=linear_fuser_maps),
    )
    return Cost((*stages, _head(config, stages[-1].tokens, pools=not class_token)))


def _embedding(config: VisionTransformerConfig, image_size: tuple[int, int]) -> Operations:
    patches: list[Operation] = []
    channels, size, dim = 3, image_size, config.dim
    for stage_width in config.stem_widths:
        patches += layers.convolution(
            size, channels, stage_width, kernel=(4, 4), stride=(2, 2), padding=(1, 1)
        )
        size, channels = (size[0] // 2, size[1] // 2), stage_width
        patches += [
            Operation("batch_norm", stage_width, size[0] * size[1]),
            Operation("gelu_tanh", size[0] * size[1], stage_width),
        ]
    if config.stem_widths:
        kernel, stride, padding = (4, 4), (2, 2), (1, 1)
    else:
        kernel, stride, padding = config.patch_size, config.patch_size, (0, 0)
    patches += layers.convolution(
        size, channels, dim, kernel=kernel, stride=stride, padding=padding, bias=True
    )
    return (*patches, Operation("add", patches[-1].rows, dim))


def _encoder(
    config: VisionTransformerConfig,
    grid: Grid,
    *,
    steps: int = 1,
    prefix: int = 0,
    linear_fuser_maps: bool,
) -> Iterator[Stage]:
    learner, positions = config.token_learner, grid[0] * grid[1]
    tokens = prefix + steps * positions
    for index in range(config.depth):
        learns = learner is not None and index in config.learner_blocks
        if learner is not None and learns:
            tokens = prefix + steps * learner.num_tokens
            work = layers.learner(learner, config.dim, grid, config.activation)
            yield Stage(f"learner {index}", "learner", tokens, repeat(work, steps))
        work = layers.block(
            tokens,
            config.dim,
            num_heads=config.num_heads,
            inner_dim=config.num_heads * (config.head_dim or config.dim // config.num_heads),
            mlp_dim=config.mlp_dim,
            activation=config.activation,
            mlp_activates_output=config.mlp_activates_output,
        )
        yield Stage(f"block {index}", "block", tokens, work)
        if learner is not None and learns and learner.fuser:
            tokens = prefix + steps * positions
            work = layers.fuser(
                learner, config.dim, positions, config.activation, linear_maps=linear_fuser_maps
            )
            yield Stage(f"fuser {index}", "fuser", tokens, repeat(work, steps))


def _head(config: VisionTransformerConfig, tokens: int, *, pools: bool = True) -> Stage:
    norm = Operation("layer_norm", tokens, config.dim)
    if not config.num_classes:
        return Stage("norm", "head", tokens, (norm,))
    operations = [norm]
    if pools:
        operations.append(Operation("pool", tokens, config.dim))
    features = config.dim
    if config.representation_size is not None:
        operations += layers.linear(1, features, config.representation_size)
        features = config.representation_size
        operations.append(Operation("tanh", 1, features))
    operations += layers.linear(1, features, config.num_classes)
    return Stage("head", "head", 1, tuple(operations))
