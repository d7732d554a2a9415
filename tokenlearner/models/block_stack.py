"""Transformer blocks with learners and fusers around some: what all vision transformers share."""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import nn

from tokenlearner.models.outputs import EncoderTrace, FuserTrace, LearnerTrace
from tokenlearner.modules.grids import Grid
from tokenlearner.modules.shapes import Float, Tensor


@dataclass(slots=True)
class Record:
    """Collects intermediates during one call."""

    blocks: list[Tensor] = field(default_factory=list)
    learners: list[LearnerTrace] = field(default_factory=list)
    fusers: list[FuserTrace] = field(default_factory=list)

    def to_trace(self, positioned: Tensor, encoded: Tensor) -> EncoderTrace:
        """Returns what was collected, between what went in and what came out."""
        return EncoderTrace(
            positioned=positioned,
            blocks=tuple(self.blocks),
            learners=tuple(self.learners),
            fusers=tuple(self.fusers),
            encoded=encoded,
        )


def run_blocks(
    x: Float[Tensor, "batch length dim"],
    num_blocks: int,
    call: Callable[[int, Tensor], Tensor],
    learners: nn.ModuleDict,
    fusers: nn.ModuleDict,
    *,
    grid: Grid,
    steps: int | None = None,
    num_apart: int = 0,
    record: Record | None = None,
) -> Float[Tensor, "batch encoded_length dim"]:
    """Takes tokens through the blocks: shortened before a learner, full again after a fuser.

    Args:
        x: Tokens of the grid, in clips step after step, after `num_apart` others.
        num_blocks: How many there are.
        call: Applies the block with this index.
        learners: By the index of the block that they stand before.
        fusers: By the index of the block that they stand after; they write back onto the grid that
            the learner before the block saw.
        grid: Rows and columns.
        steps: Time steps; None for images.
        num_apart: Tokens, such as the class token, that pass beside learners and fusers.
        record: Takes what happens on the way.
    """
    for index in range(num_blocks):
        name, before = str(index), None
        if name in learners:
            apart, before = _split(x, num_apart, steps)
            learned, maps = _in_each_step(learners[name], before, grid=grid)
            x = _join(apart, learned)
            if record:
                record.learners.append(LearnerTrace(index, maps, before, learned))
        x = call(index, x)
        if record:
            record.blocks.append(x)
        if name in fusers:
            assert before is not None
            apart, learned = _split(x, num_apart, steps)
            update, maps = _in_each_step(fusers[name], learned, before, grid=grid)
            x = _join(apart, before + update)
            if record:
                record.fusers.append(FuserTrace(index, maps, update))
    return x


def _split(x: Tensor, num_apart: int, steps: int | None) -> tuple[Tensor, Tensor]:
    """Returns the tokens that stand apart, and the others `[batch, (step,) length, dim]`."""
    apart, others = x[:, :num_apart], x[:, num_apart:]
    return apart, others if steps is None else others.unflatten(1, (steps, -1))


def _in_each_step(module: nn.Module, *tokens: Tensor, grid: Grid) -> tuple[Tensor, Tensor]:
    """Applies a learner or fuser to every image, or to every step of every clip."""
    places = tokens[0].shape[:-2]
    result, maps = module(*(x.flatten(0, -3) for x in tokens), return_maps=True, grid=grid)
    return result.unflatten(0, places), maps.unflatten(0, places)


def _join(apart: Tensor, tokens: Tensor) -> Tensor:
    """Undoes `_split`."""
    x = tokens.flatten(1, -2)
    return torch.cat((apart, x), dim=1) if apart.shape[1] else x
