"""A vision transformer for images, with or without TokenLearner."""

from typing import Any

import torch
from torch import nn

from tokenlearner.errors import ShapeError
from tokenlearner.models.config import VisionTransformerConfig
from tokenlearner.models.encoder import Encoder
from tokenlearner.models.outputs import Trace
from tokenlearner.models.pretrained import PretrainedModel
from tokenlearner.modules.embed import ConvStem, PatchEmbedding
from tokenlearner.modules.grids import Grid
from tokenlearner.modules.shapes import Float, Tensor


class VisionTransformer(PretrainedModel):
    """Image classifier: patches, encoder, pooling, head.

    `forward` returns logits and nothing else, and compiles with `fullgraph=True`; `trace` returns
    what happened on the way. Nothing is stored on the model, so one instance serves many threads.

    Args:
        config: Everything that decides the architecture.

    Attributes:
        info: Name, answers, preprocessing and origin; None for a model made by hand.

    Source: `TokenLearnerViT` of google-research/scenic; with `num_classes=0`,
    `TokenLearnerViTRepresentation`.
    """

    config: VisionTransformerConfig

    def __init__(self, config: VisionTransformerConfig) -> None:
        super().__init__()
        self.config = config
        if config.stem_widths:
            self.embedding = ConvStem(config.dim, config.stem_widths)
        else:
            self.embedding = PatchEmbedding(config.dim, config.patch_size)
        self.encoder = Encoder(config, config.grid)
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

    @classmethod
    def build(cls, architecture: dict[str, Any], *, device: str = "meta") -> "VisionTransformer":
        config = VisionTransformerConfig.from_dict(architecture)
        with torch.device(device):
            return cls(config)

    def forward(
        self, images: Float[Tensor, "batch 3 height width"]
    ) -> Float[Tensor, "batch ... _"]:
        """Classifies images.

        Args:
            images: Normalised as the model's preprocessing says. Any size of at least one patch;
                for another size than `config.image_size` the position embedding is resampled.

        Returns:
            Logits `[batch, classes]`; without head the encoded tokens `[batch, length, dim]`.

        Raises:
            ShapeError: If `images` is not `[batch, 3, height, width]` or smaller than a patch.
        """
        tokens, grid = self.embed(images)
        encoded = self.encoder(tokens, grid=grid)
        if self.head is None:
            return encoded
        return self._classify(self._represent(encoded))

    def trace(self, images: Float[Tensor, "batch 3 height width"]) -> Trace:
        """Does what `forward` does and returns everything on the way.

        Raises:
            ShapeError: As `forward`, or if the model has no head (trace its `encoder` instead).
        """
        if self.head is None:
            raise ShapeError(
                "this model has no head to trace; call model.encoder.trace(tokens, grid=grid) "
                "with what model.embed(images) returns"
            )
        tokens, grid = self.embed(images)
        encoder = self.encoder.trace(tokens, grid=grid)
        representation = self._represent(encoder.encoded)
        return Trace(
            logits=self._classify(representation),
            embedded=tokens,
            encoder=encoder,
            representation=representation,
            grid=grid,
        )

    def embed(self, images: Tensor) -> tuple[Tensor, Grid]:
        """Returns the patch tokens `[batch, position, dim]`, and the rows and columns they fill.

        Raises:
            ShapeError: If `images` is not `[batch, 3, height, width]` or smaller than a patch.
        """
        height, width = self.config.patch_size
        if images.ndim != 4 or images.shape[1] != 3:
            raise ShapeError(
                f"got images of shape {tuple(images.shape)}; wanted [batch, 3, height, width]"
            )
        if images.shape[2] < height or images.shape[3] < width:
            raise ShapeError(
                f"got images of {images.shape[2]}x{images.shape[3]} px; "
                f"a patch is {height}x{width} px, so they must be at least that large"
            )
        cells = self.embedding(images)
        return cells.flatten(2).transpose(1, 2), (cells.shape[2], cells.shape[3])

    def _represent(self, encoded: Tensor) -> Tensor:
        if self.config.classifier == "gap":
            pooled = encoded.mean(dim=1)
        elif self.config.classifier == "gmp":
            pooled = encoded.amax(dim=1)
        else:
            pooled = encoded.sum(dim=1)
        return pooled if self.pre_logits is None else self.pre_logits(pooled)

    def _classify(self, representation: Tensor) -> Tensor:
        assert self.head is not None
        return self.head(representation if self.pre_logits is None else representation.tanh())
