"""The transformer encoder, with or without TokenLearner and TokenFuser."""

import torch
from torch import nn

from tokenlearner.errors import ShapeError
from tokenlearner.models.block_stack import Record, run_blocks
from tokenlearner.models.config import TokenLearnerConfig, VisionTransformerConfig
from tokenlearner.models.outputs import EncoderTrace
from tokenlearner.modules.blocks import Block
from tokenlearner.modules.dropout import Dropout
from tokenlearner.modules.embed import resample_position_embedding
from tokenlearner.modules.grids import Grid
from tokenlearner.modules.mlp import Activation
from tokenlearner.modules.shapes import Float, Tensor
from tokenlearner.modules.token_fuser import TokenFuser
from tokenlearner.modules.token_learner import (
    LAYER_NORM_EPS,
    TokenLearner,
    TokenLearnerGrouped,
    TokenLearnerV11,
)


class Encoder(nn.Module):
    """Position embedding, pre-norm blocks, final norm; a learner before block `at`.

    Without a fuser there is one learner, and block `at` and all later ones see its tokens only.
    With a fuser every block from `at` on has its own learner and fuser: it works on the learned
    tokens, and its result is written back onto the full grid. In clips the blocks see the tokens of
    all time steps at once, learners and fusers those of each step alone.

    Args:
        config: Sizes, learner and variants; what concerns stem and head is ignored.
        grid: Rows and columns the position embedding is made for.
        steps: Time steps it is made for; None for images.
        class_token: Put a learned token before the others. Learners and fusers do not see it.

    Source: `EncoderMod` and `EncoderModFuser` of the official code.
    """

    position_embedding: Tensor

    def __init__(
        self,
        config: VisionTransformerConfig,
        grid: Grid,
        *,
        steps: int | None = None,
        class_token: bool = False,
    ) -> None:
        super().__init__()
        self.grid = grid
        self.steps = steps
        self.class_token = nn.Parameter(torch.zeros(1, 1, config.dim)) if class_token else None
        positions = (steps or 1) * grid[0] * grid[1]
        embedding = torch.empty(1, positions + class_token, config.dim)
        if config.position_embedding == "learned":
            self.position_embedding = nn.Parameter(nn.init.normal_(embedding, std=0.02))
        else:  # the Keras example draws it once and never trains it
            self.register_buffer("position_embedding", nn.init.uniform_(embedding, -0.05, 0.05))
        self.dropout = Dropout(config.embedding_dropout)
        self.blocks = nn.ModuleList(
            Block(
                config.dim,
                config.num_heads,
                config.mlp_dim,
                head_dim=config.head_dim,
                activation=config.activation,
                mlp_activates_output=config.mlp_activates_output,
                dropout=config.dropout,
                attention_dropout=config.attention_dropout,
                stochastic_depth=config.stochastic_depth * index / max(config.depth - 1, 1),
            )
            for index in range(config.depth)
        )
        learner = config.token_learner
        self.learners, self.fusers = nn.ModuleDict(), nn.ModuleDict()
        if learner is not None:
            for block in map(str, config.learner_blocks):
                self.learners[block] = make_learner(
                    learner, config.dim, activation=config.activation, dropout=config.dropout
                )
                if learner.fuser:
                    self.fusers[block] = make_fuser(
                        learner, config.dim, activation=config.activation, dropout=config.dropout
                    )
        self.norm = nn.LayerNorm(config.dim, eps=LAYER_NORM_EPS)

    def forward(
        self,
        tokens: Float[Tensor, "batch position dim"],
        *,
        grid: Grid | None = None,
        steps: int | None = None,
    ) -> Float[Tensor, "batch length dim"]:
        """Encodes tokens.

        Args:
            tokens: Patch tokens, row by row, in clips step after step; without the class token.
            grid: Rows and columns of a step; by default the grid the encoder was made for. For
                another grid the position embedding is resampled.
            steps: Time steps, likewise.

        Returns:
            The tokens after the last block and the final norm: the learned ones, or with a fuser
            (or without learner) one per position; a class token comes first.

        Raises:
            ShapeError: If `grid`, `steps` and `tokens` do not fit.
        """
        grid, steps = grid or self.grid, steps or self.steps
        return self._encode(self._place(tokens, grid, steps), grid, steps, None)

    def trace(
        self,
        tokens: Float[Tensor, "batch position dim"],
        *,
        grid: Grid | None = None,
        steps: int | None = None,
    ) -> EncoderTrace:
        """Does what `forward` does and returns everything on the way."""
        grid, steps, record = grid or self.grid, steps or self.steps, Record()
        positioned = self._place(tokens, grid, steps)
        return record.to_trace(positioned, self._encode(positioned, grid, steps, record))

    def _encode(
        self, positioned: Tensor, grid: Grid, steps: int | None, record: Record | None
    ) -> Tensor:
        x = run_blocks(
            positioned,
            len(self.blocks),
            lambda index, x: self.blocks[index](x),
            self.learners,
            self.fusers,
            grid=grid,
            steps=steps,
            num_apart=self._num_apart,
            record=record,
        )
        return self.norm(x)

    @property
    def _num_apart(self) -> int:
        return 0 if self.class_token is None else 1

    def _place(self, tokens: Tensor, grid: Grid, steps: int | None) -> Tensor:
        """Puts the class token first, adds the position embedding, and drops out."""
        if tokens.shape[1] != (steps or 1) * grid[0] * grid[1]:
            times = f" at {steps} steps" if steps else ""
            raise ShapeError(
                f"got {tokens.shape[1]} tokens, which do not fill a grid of {grid}{times}; pass "
                "their own grid=(rows, columns)" + (" and steps" if steps else "")
            )
        embedding = resample_position_embedding(
            self.position_embedding[:, self._num_apart :],
            old=self.grid,
            new=grid,
            old_steps=self.steps or 1,
            new_steps=steps or 1,
        )
        placed = tokens + embedding
        if self.class_token is not None:
            first = self.class_token + self.position_embedding[:, :1]
            placed = torch.cat((first.expand(tokens.shape[0], -1, -1), placed), dim=1)
        return self.dropout(placed)


def make_learner(
    learner: TokenLearnerConfig,
    dim: int,
    *,
    activation: Activation = "gelu_tanh",
    dropout: float = 0.0,
) -> nn.Module:
    """Returns a fresh TokenLearner for tokens of `dim` channels."""
    if learner.version == "1.0":
        return TokenLearner(
            learner.num_tokens,
            dim,
            pooling=learner.pooling,
            activation=activation,
            fold_to_square=learner.fold_to_square,
        )
    if learner.version == "grouped":
        return TokenLearnerGrouped(learner.num_tokens, dim, groups=learner.groups)
    return TokenLearnerV11(
        learner.num_tokens,
        dim,
        bottleneck_dim=learner.bottleneck_dim,
        activation=activation,
        dropout=dropout,
    )


def make_fuser(
    learner: TokenLearnerConfig,
    dim: int,
    *,
    activation: Activation = "gelu_tanh",
    dropout: float = 0.0,
) -> TokenFuser:
    """Returns a fresh TokenFuser for what `make_learner` makes."""
    return TokenFuser(
        learner.num_tokens,
        dim,
        bottleneck_dim=learner.bottleneck_dim,
        activation=activation,
        dropout=dropout,
    )
