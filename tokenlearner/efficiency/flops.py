"""Exact multiply-accumulate counts of every contraction, from the configuration alone.

One multiply-accumulate counts 1, which is what the papers print as FLOPs. Convolutions count their
zero padding, as hardware computes it. Norms, activations, softmax, biases and residuals are left
out; `torch.utils.flop_counter` leaves them out too, and counts twice this.
"""

from dataclasses import dataclass

from tokenlearner.models.config import TokenLearnerConfig, VisionTransformerConfig
from tokenlearner.modules.grids import Grid


@dataclass(frozen=True, slots=True)
class Stage:
    """One part of a model.

    Attributes:
        name: `embedding`, `block 0`, `learner 6`, `fuser 6`, `head`, ...
        kind: `embedding`, `block`, `learner`, `fuser` or `head`.
        macs: Multiply-accumulates for one image.
        tokens: Tokens that come out.
    """

    name: str
    kind: str
    macs: int
    tokens: int


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
        """Billions of multiply-accumulates: the papers' GFLOPs."""
        return self.macs / 1e9


def count_macs(
    config: VisionTransformerConfig, *, image_size: tuple[int, int] | None = None
) -> Cost:
    """Counts a vision transformer.

    Args:
        config: The model.
        image_size: Height and width in pixels; the model's own unless given.
    """
    height, width = image_size or config.image_size
    grid = (height // config.patch_size[0], width // config.patch_size[1])
    positions = grid[0] * grid[1]
    stages = [Stage("embedding", "embedding", _embedding(config, (height, width)), positions)]
    learner = config.token_learner
    tokens = positions
    for block in range(config.depth):
        if learner is not None and block in config.learner_blocks:
            tokens = learner.num_tokens
            macs = _learner(learner, config.dim, grid)
            stages.append(Stage(f"learner {block}", "learner", macs, tokens))
        stages.append(Stage(f"block {block}", "block", _block(config, tokens), tokens))
        if learner is not None and learner.fuser and block in config.learner_blocks:
            macs = _fuser(learner, config.dim, positions)
            stages.append(Stage(f"fuser {block}", "fuser", macs, positions))
            tokens = positions
    if config.num_classes:
        features = config.representation_size or config.dim
        macs = features * config.num_classes
        if config.representation_size is not None:
            macs += config.dim * config.representation_size
        stages.append(Stage("head", "head", macs, 1))
    return Cost(tuple(stages))


def _embedding(config: VisionTransformerConfig, image_size: tuple[int, int]) -> int:
    height, width = image_size
    if not config.stem_widths:
        patch_height, patch_width = config.patch_size
        positions = (height // patch_height) * (width // patch_width)
        return positions * patch_height * patch_width * 3 * config.dim
    macs, channels = 0, 3
    for stage_width in (*config.stem_widths, config.dim):
        height, width = height // 2, width // 2
        macs += height * width * 4 * 4 * channels * stage_width
        channels = stage_width
    return macs


def _block(config: VisionTransformerConfig, tokens: int) -> int:
    inner = config.num_heads * (config.head_dim or config.dim // config.num_heads)
    projections = 4 * tokens * config.dim * inner
    attention = 2 * tokens * tokens * inner
    mlp = 2 * tokens * config.dim * config.mlp_dim
    return projections + attention + mlp


def _learner(learner: TokenLearnerConfig, dim: int, grid: Grid) -> int:
    positions, tokens = grid[0] * grid[1], learner.num_tokens
    pooling = tokens * positions * dim
    if learner.version == "1.0":
        return positions * 9 * tokens * (dim + 3 * tokens) + pooling
    if learner.version == "grouped":
        return positions * dim * (2 * dim // learner.groups + tokens) + pooling
    return positions * learner.bottleneck_dim * (dim + tokens) + pooling


def _fuser(learner: TokenLearnerConfig, dim: int, positions: int) -> int:
    tokens = learner.num_tokens
    mixing = tokens * tokens * dim
    weights = positions * learner.bottleneck_dim * (dim + tokens)
    return mixing + weights + positions * tokens * dim
