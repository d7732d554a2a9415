"""What a model saw on its way: returned by `trace`, never hooked and never stored.

For clips there is one more axis, time steps, after the batch: learners and fusers work on every
step alone. The blocks between them see the tokens of all steps at once, step after step.
"""

from dataclasses import dataclass

from tokenlearner.modules.shapes import Float, Tensor


@dataclass(frozen=True, slots=True)
class LearnerTrace:
    """One TokenLearner at work.

    Attributes:
        block: Zero-based index of the first block that sees the learned tokens.
        maps: Where each token looked: 0..1 (version 1.0), or sums to 1 over the grid (the others).
        tokens_before: What came in.
        tokens_after: The learned tokens.
    """

    block: int
    maps: Float[Tensor, "batch *time token height width"]
    tokens_before: Float[Tensor, "batch *time position dim"]
    tokens_after: Float[Tensor, "batch *time token dim"]


@dataclass(frozen=True, slots=True)
class FuserTrace:
    """One TokenFuser at work.

    Attributes:
        block: Zero-based index of the block whose result it writes back.
        maps: How strongly each position took each token, 0..1.
        update: What was added to the grid.
    """

    block: int
    maps: Float[Tensor, "batch *time token height width"]
    update: Float[Tensor, "batch *time position dim"]


@dataclass(frozen=True, slots=True)
class EncoderTrace:
    """An encoder at work.

    Attributes:
        positioned: The tokens with their position embedding; a class token comes first.
        blocks: What each block returned (with a fuser: before it is written back).
        learners: In order of use; empty without TokenLearner.
        fusers: In order of use; empty without TokenFuser.
        encoded: The result, after the final norm.
    """

    positioned: Float[Tensor, "batch length dim"]
    blocks: tuple[Tensor, ...]
    learners: tuple[LearnerTrace, ...]
    fusers: tuple[FuserTrace, ...]
    encoded: Float[Tensor, "batch encoded_length dim"]


@dataclass(frozen=True, slots=True)
class ConvTrace:
    """A convolutional video network at work.

    Attributes:
        logits: Class scores before softmax or sigmoid.
        blocks: What each block returned.
        learners: In order of use.
        fusers: In order of use.
        representation: Input of the last layer.
        grid: Rows and columns of the last block's tokens; those of earlier learners' maps are in
            the maps.
        steps: Time steps; every frame is one.
    """

    logits: Float[Tensor, "batch classes"]
    blocks: tuple[Tensor, ...]
    learners: tuple[LearnerTrace, ...]
    fusers: tuple[FuserTrace, ...]
    representation: Float[Tensor, "batch features"]
    grid: tuple[int, int]
    steps: int


@dataclass(frozen=True, slots=True)
class Trace:
    """A classifier at work.

    Attributes:
        logits: Class scores before softmax or sigmoid.
        embedded: The patch tokens before the position embedding, step after step.
        encoder: All that happened between.
        representation: Input of the last layer: the pooled tokens, or the representation layer's
            output before its tanh.
        grid: Rows and columns of the patch tokens, at each time step.
        steps: Time steps of a clip; None for an image.
    """

    logits: Float[Tensor, "batch classes"]
    embedded: Float[Tensor, "batch position dim"]
    encoder: EncoderTrace
    representation: Float[Tensor, "batch features"]
    grid: tuple[int, int]
    steps: int | None = None

    @property
    def blocks(self) -> tuple[Tensor, ...]:
        """What each block returned (with a fuser: before it is written back)."""
        return self.encoder.blocks

    @property
    def learners(self) -> tuple[LearnerTrace, ...]:
        """The TokenLearners in order of use."""
        return self.encoder.learners

    @property
    def fusers(self) -> tuple[FuserTrace, ...]:
        """The TokenFusers in order of use."""
        return self.encoder.fusers
