"""What the vision transformers for images and for clips share: encoder, pooling and head."""

from typing import Any

from torch import nn

from tokenlearner.errors import ConfigError
from tokenlearner.models.config import VisionTransformerConfig
from tokenlearner.models.encoder import Encoder
from tokenlearner.models.outputs import Trace
from tokenlearner.models.pretrained import PretrainedModel
from tokenlearner.modules.grids import Grid
from tokenlearner.modules.shapes import Tensor


class TransformerClassifier(PretrainedModel):
    """Embedding, encoder, pooling, head; the two children differ in what they embed.

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
        features = config.dim
        if config.representation_size is not None:
            features = config.representation_size
            self.pre_logits = nn.Linear(config.dim, features)
            nn.init.kaiming_normal_(self.pre_logits.weight, nonlinearity="linear")
            nn.init.zeros_(self.pre_logits.bias)
        self.head = None
        if config.num_classes > 0:
            self.head = nn.Linear(features, config.num_classes)
            nn.init.zeros_(self.head.weight)
            nn.init.constant_(self.head.bias, config.head_bias)

    def architecture(self) -> dict[str, Any]:
        return self.config.to_dict()

    def _answer(self, tokens: Tensor, grid: Grid, steps: int | None = None) -> Tensor:
        """Returns the logits, or without head the encoded tokens."""
        encoded = self.encoder(tokens, grid=grid, steps=steps)
        if self.head is None:
            return encoded
        return self._classify(self._represent(encoded))

    def _trace(self, tokens: Tensor, grid: Grid, steps: int | None = None) -> Trace:
        encoder = self.encoder.trace(tokens, grid=grid, steps=steps)
        representation = self._represent(encoder.encoded)
        return Trace(
            logits=self._classify(representation),
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

    def _classify(self, representation: Tensor) -> Tensor:
        assert self.head is not None
        return self.head(representation if self.pre_logits is None else representation.tanh())
