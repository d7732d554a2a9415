"""What the vision transformers for images and for clips share: encoder, pooling and head."""

from abc import abstractmethod
from dataclasses import replace
from typing import Any

from torch import nn

from tokenlearner.errors import ConfigError
from tokenlearner.models.config import VisionTransformerConfig
from tokenlearner.models.encoder import Encoder
from tokenlearner.models.outputs import Trace
from tokenlearner.models.pretrained import PretrainedModel
from tokenlearner.modules.grids import Grid
from tokenlearner.modules.shapes import Float, Tensor


class TransformerClassifier(PretrainedModel):
    """Embedding, encoder, pooling, head; subclasses differ only in their embedding.

    Args:
        config: Everything that decides the architecture.
        embedding: From pixels to patch tokens.
        encoder: From patch tokens to encoded ones.
    """

    config: VisionTransformerConfig

    def __init__(
        self, config: VisionTransformerConfig, embedding: nn.Module, encoder: Encoder
    ) -> None:
        super().__init__()
        self.config = config
        self.embedding = embedding
        self.encoder = encoder
        self.pre_logits = None
        if config.representation_size is not None:
            self.pre_logits = nn.Linear(config.dim, config.representation_size)
            nn.init.kaiming_normal_(self.pre_logits.weight, nonlinearity="linear")
            nn.init.zeros_(self.pre_logits.bias)
        self.head = _make_head(config)

    @property
    def num_classes(self) -> int:
        """Answers; 0 without head."""
        return self.config.num_classes

    @property
    def num_features(self) -> int:
        """Channels of a token."""
        return self.config.dim

    @abstractmethod
    def embed(self, x: Tensor, /) -> tuple[Tensor, Grid] | tuple[Tensor, Grid, int]:
        """Returns the patch tokens, the rows and columns they fill, and of clips the time steps."""

    def forward_features(self, x: Tensor) -> Float[Tensor, "batch length dim"]:
        """Returns the tokens after the last block and the final norm, a class token first."""
        tokens, grid, *steps = self.embed(x)
        return self.encoder(tokens, grid=grid, steps=steps[0] if steps else None)

    def forward_head(
        self, x: Float[Tensor, "batch length dim"], pre_logits: bool = False
    ) -> Float[Tensor, "batch _"]:
        """Pools what `forward_features` returned and classifies it.

        Args:
            x: The encoded tokens.
            pre_logits: Return what the head is given instead of what it returns.

        Returns:
            Logits `[batch, classes]`; with `pre_logits`, or without head, `[batch, features]`.
        """
        features = self._activate(self._represent(x))
        return features if pre_logits or self.head is None else self.head(features)

    def get_classifier(self) -> nn.Linear | None:
        """Returns the head; None if there is none."""
        return self.head

    def reset_classifier(self, num_classes: int) -> None:
        """Replaces the head by a fresh one. `info`, which is not true of it, is gone then.

        Args:
            num_classes: Number of classes; 0 for no head.

        Raises:
            ConfigError: If it is no whole number or negative.
        """
        self.config = replace(self.config, num_classes=num_classes)
        self.head = _make_head(self.config)
        if self.head is not None:
            like = next(self.parameters())
            self.head.to(like.device, like.dtype)
        self.info = None

    def no_weight_decay(self) -> set[str]:
        """Returns the names of parameters that timm's optimisers spare from weight decay.

        The official recipes decay them, and so do those of this library.
        """
        wanted = {"encoder.position_embedding", "encoder.class_token"}
        return {name for name, _ in self.named_parameters() if name in wanted}

    def architecture(self) -> dict[str, Any]:
        return self.config.to_dict()

    def _answer(self, x: Tensor) -> Tensor:
        """Returns the logits, or without head the encoded tokens."""
        encoded = self.forward_features(x)
        return encoded if self.head is None else self.forward_head(encoded)

    def _trace(self, tokens: Tensor, grid: Grid, steps: int | None = None) -> Trace:
        assert self.head is not None
        encoder = self.encoder.trace(tokens, grid=grid, steps=steps)
        representation = self._represent(encoder.encoded)
        return Trace(
            logits=self.head(self._activate(representation)),
            embedded=tokens,
            encoder=encoder,
            representation=representation,
            grid=grid,
            steps=steps,
        )

    def _check_head(self, call: str) -> None:
        if self.head is None:
            raise ConfigError(f"this model has no head to trace; call {call} returns")

    def _represent(self, encoded: Tensor) -> Tensor:
        if self.encoder.class_token is not None:
            pooled = encoded[:, 0]
        elif self.config.classifier == "gap":
            pooled = encoded.mean(dim=1)
        elif self.config.classifier == "gmp":
            pooled = encoded.amax(dim=1)
        else:
            pooled = encoded.sum(dim=1)
        return pooled if self.pre_logits is None else self.pre_logits(pooled)

    def _activate(self, representation: Tensor) -> Tensor:
        return representation if self.pre_logits is None else representation.tanh()


def _make_head(config: VisionTransformerConfig) -> nn.Linear | None:
    if not config.num_classes:
        return None
    head = nn.Linear(config.representation_size or config.dim, config.num_classes)
    nn.init.zeros_(head.weight)
    nn.init.constant_(head.bias, config.head_bias)
    return head
