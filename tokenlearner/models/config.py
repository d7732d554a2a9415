"""What a vision transformer is made of, as plain data."""

from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, TypeVar

from tokenlearner.errors import ConfigError
from tokenlearner.models.checks import (
    require_choice,
    require_counts,
    require_list_of_counts,
    require_pair,
    require_shares,
)
from tokenlearner.modules.grids import Grid
from tokenlearner.modules.mlp import Activation
from tokenlearner.modules.token_learner import Pooling

Version = Literal["1.0", "1.1", "grouped"]
Classifier = Literal["gap", "gmp", "gsp"]
PositionEmbedding = Literal["learned", "frozen"]
Config = TypeVar("Config", bound="VisionTransformerConfig")


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenLearnerConfig:
    """Where a TokenLearner sits and of what kind it is.

    Attributes:
        num_tokens: Tokens to learn.
        at: Zero-based index of the first block that sees the learned tokens, which is the number of
            blocks that work on the full grid.
        version: `1.0` (convolutions, sigmoid), `1.1` (MLP, softmax), or `grouped` (grouped
            convolutions, softmax: the Keras example's own version 1.1).
        fuser: Write the result of every block from `at` on back onto the grid.
        pooling: Version 1.0: `sum` or `mean` over positions.
        bottleneck_dim: Version 1.1 and fuser: hidden width of the MLP that draws the maps.
        fold_to_square: Version 1.0: see `TokenLearner`; for converted checkpoints.
        groups: Version grouped: groups of its convolutions; must divide the model's `dim`.
    """

    num_tokens: int
    at: int
    version: Version = "1.1"
    fuser: bool = False
    pooling: Pooling = "sum"
    bottleneck_dim: int = 64
    fold_to_square: bool = False
    groups: int = 1

    def __post_init__(self) -> None:
        require_counts(self, "num_tokens", "bottleneck_dim", "groups")
        if not isinstance(self.at, int) or self.at < 0:
            raise ConfigError(
                f"at is {self.at!r}; wanted a whole number, 0 (before the first block) or more"
            )
        require_choice(self, "version", Version)
        require_choice(self, "pooling", Pooling)
        if self.version != "1.0" and (self.pooling != "sum" or self.fold_to_square):
            raise ConfigError("pooling and fold_to_square are options of version 1.0 only")
        if self.version != "grouped" and self.groups != 1:
            raise ConfigError("groups is an option of version 'grouped' only")

    def blocks(self, depth: int) -> tuple[int, ...]:
        """Returns which of `depth` blocks have a learner before them."""
        return tuple(range(self.at, depth)) if self.fuser else (self.at,)


@dataclass(frozen=True, kw_only=True, slots=True)
class VisionTransformerConfig:
    """A vision transformer for images.

    Attributes:
        image_size: Height and width in pixels that the model is made for.
        num_classes: Number of classes; 0 for no head (`forward` then returns the encoded tokens).
        dim: Channels of a token.
        depth: Blocks.
        num_heads: Attention heads of a block.
        mlp_dim: Hidden width of a block's MLP.
        patch_size: Height and width of a patch in pixels.
        head_dim: Channels of a head; by default `dim / num_heads`.
        stem_widths: Empty for a linear patch embedding. Otherwise the channels of a convolutional
            stem's stages but the last; the patch size must be 2 to the power of the stages.
        token_learner: None for a plain vision transformer.
        classifier: How tokens are pooled for the head: mean, maximum or sum.
        representation_size: Width of a tanh layer before the head; None for no such layer.
        activation: GELU variant everywhere.
        mlp_activates_output: Activation after both layers of a block's MLP (the Keras example).
        position_embedding: `learned`, or `frozen` at its random start (the Keras example).
        embedding_dropout: Probability, after the position embedding.
        dropout: Probability, inside blocks, learners and fusers.
        attention_dropout: Probability, on attention weights.
        stochastic_depth: Probability that the last block leaves out a branch, for each sample;
            it grows linearly from 0 in the first block.
        head_bias: Start value of the head's bias (-10 in the official ImageNet configuration).
    """

    image_size: tuple[int, int]
    num_classes: int
    dim: int
    depth: int
    num_heads: int
    mlp_dim: int
    patch_size: tuple[int, int] = (16, 16)
    head_dim: int | None = None
    stem_widths: tuple[int, ...] = ()
    token_learner: TokenLearnerConfig | None = None
    classifier: Classifier = "gap"
    representation_size: int | None = None
    activation: Activation = "gelu_tanh"
    mlp_activates_output: bool = False
    position_embedding: PositionEmbedding = "learned"
    embedding_dropout: float = 0.0
    dropout: float = 0.0
    attention_dropout: float = 0.0
    stochastic_depth: float = 0.0
    head_bias: float = 0.0

    def __post_init__(self) -> None:
        require_counts(self, "dim", "depth", "num_heads", "mlp_dim")
        require_counts(self, "head_dim", "representation_size", optional=True)
        require_pair(self, "image_size", "patch_size")
        require_list_of_counts(self, "stem_widths", of="channels")
        require_shares(
            self, "embedding_dropout", "dropout", "attention_dropout", "stochastic_depth"
        )
        if not isinstance(self.num_classes, int) or self.num_classes < 0:
            raise ConfigError(f"num_classes is {self.num_classes!r}; it must be 0 or more")
        require_choice(self, "activation", Activation)
        require_learner(self.token_learner)
        require_choice(self, "position_embedding", PositionEmbedding)
        if self.head_dim is None and self.dim % self.num_heads:
            raise ConfigError(
                f"dim={self.dim} is not a multiple of num_heads={self.num_heads}; change one, "
                "or give head_dim"
            )
        if min(self.grid) < 1:
            raise ConfigError(
                f"image_size={self.image_size} holds no patch of {self.patch_size}; "
                "take larger images or smaller patches"
            )
        if self.stem_widths and self.patch_size != (2 ** (len(self.stem_widths) + 1),) * 2:
            raise ConfigError(
                f"a stem of {len(self.stem_widths) + 1} stages makes cells of "
                f"{2 ** (len(self.stem_widths) + 1)} px, but patch_size={self.patch_size}"
            )
        # The official code does not implement "token" either.
        require_choice(self, "classifier", Classifier)
        if self.token_learner and self.token_learner.at >= self.depth:
            raise ConfigError(
                f"token_learner.at is {self.token_learner.at}, but there are {self.depth} blocks; "
                f"it must be 0 to {self.depth - 1}"
            )
        if self.token_learner and self.dim % self.token_learner.groups:
            raise ConfigError(
                f"token_learner.groups is {self.token_learner.groups}, "
                f"which does not divide dim={self.dim}"
            )

    @property
    def grid(self) -> Grid:
        """Rows and columns of patches."""
        return (
            self.image_size[0] // self.patch_size[0],
            self.image_size[1] // self.patch_size[1],
        )

    @property
    def learner_blocks(self) -> tuple[int, ...]:
        """The blocks that have a learner before them."""
        return () if self.token_learner is None else self.token_learner.blocks(self.depth)

    @property
    def tokens_per_block(self) -> tuple[int, ...]:
        """How many tokens each block works on."""
        full = self.grid[0] * self.grid[1]
        learner = self.token_learner
        if learner is None:
            return (full,) * self.depth
        return (full,) * learner.at + (learner.num_tokens,) * (self.depth - learner.at)

    def to_dict(self) -> dict[str, Any]:
        """Returns JSON-able data."""
        return asdict(self)

    @classmethod
    def from_dict(cls: type[Config], data: dict[str, Any]) -> Config:
        """Builds a configuration from what `to_dict` returned.

        Raises:
            ConfigError: If a field is unknown, missing or out of range.
        """
        data = dict(data)
        if data.get("token_learner") is not None:
            data["token_learner"] = build_config(TokenLearnerConfig, data["token_learner"])
        return build_config(cls, data)


def require_learner(learner: object) -> None:
    """Requires a configuration of a learner, or None.

    Raises:
        ConfigError: If it is anything else.
    """
    if not isinstance(learner, TokenLearnerConfig | None):
        raise ConfigError(f"token_learner is {learner!r}; wanted a TokenLearnerConfig or None")


T = TypeVar("T")


def build_config(cls: type[T], data: dict[str, Any]) -> T:
    """Builds a configuration of fields by name, and says which ones it does not know."""
    known = {f.name for f in fields(cls)}  # pyright: ignore[reportArgumentType]
    if unknown := sorted(set(data) - known):
        raise ConfigError(f"{cls.__name__} has no field {unknown}; it has {sorted(known)}")
    # JSON knows no tuples.
    data = {key: tuple(v) if isinstance(v, list) else v for key, v in data.items()}
    try:
        return cls(**data)
    except TypeError as error:
        raise ConfigError(f"{cls.__name__}: {error}") from error
