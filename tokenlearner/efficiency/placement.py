"""Where a learner may stand, how many tokens it may learn, and what each choice costs."""

from dataclasses import dataclass, replace

from tokenlearner.efficiency.flops import Cost, count_macs
from tokenlearner.models.config import TokenLearnerConfig, VisionTransformerConfig

PARTS: tuple[str, ...] = ("embedding", "blocks before", "learner", "blocks after", "fuser", "head")
"""Parts of a model in the order of computation; without a learner, all blocks come before it."""


@dataclass(frozen=True, slots=True)
class Curve:
    """What a model costs with a learner of so many tokens before each of its blocks.

    Attributes:
        num_tokens: Tokens it learns.
        macs: Multiply-accumulates for one image; the first is that of a learner before block 0.
    """

    num_tokens: int
    macs: tuple[int, ...]


def place(
    base: VisionTransformerConfig, learner: TokenLearnerConfig, *, extra_layers: int = 0
) -> VisionTransformerConfig:
    """Returns a plain model with a learner and, at the end, more blocks.

    Raises:
        ConfigError: If the learner stands behind the last block.
    """
    return replace(base, depth=base.depth + extra_layers, token_learner=learner)


def curve(
    base: VisionTransformerConfig, learner: TokenLearnerConfig, *, extra_layers: int = 0
) -> Curve:
    """Counts a model with the learner before every one of its blocks in turn.

    Args:
        base: A plain model.
        learner: Its own place does not matter.
        extra_layers: Blocks at the end beyond the model's own.
    """
    places = range(base.depth + extra_layers)
    return Curve(
        learner.num_tokens,
        tuple(
            count_macs(place(base, replace(learner, at=at), extra_layers=extra_layers)).macs
            for at in places
        ),
    )


def macs_by_part(cost: Cost) -> dict[str, int]:
    """Adds up a model's stages by `PARTS`; a part that it does not have is 0.

    Example:
        >>> macs_by_part(count_macs(conv_vit()))["learner"]
        0
    """
    totals: dict[str, int] = dict.fromkeys(PARTS, 0)
    after = False
    for stage in cost.stages:
        after = after or stage.kind == "learner"
        part = stage.kind if stage.kind in totals else "head"
        if stage.kind == "block":
            part = "blocks after" if after else "blocks before"
        totals[part] += stage.macs
    return totals
