"""A vision transformer for images, with or without TokenLearner."""

from typing import Any

import torch

from tokenlearner.errors import ConfigError, ShapeError
from tokenlearner.models.classifier import TransformerClassifier
from tokenlearner.models.config import VisionTransformerConfig
from tokenlearner.models.encoder import Encoder
from tokenlearner.models.outputs import Trace
from tokenlearner.models.video_config import VideoVisionTransformerConfig
from tokenlearner.modules.embed import ConvStem, PatchEmbedding
from tokenlearner.modules.grids import Grid
from tokenlearner.modules.shapes import Float, Tensor


class VisionTransformer(TransformerClassifier):
    """Image classifier: patches, encoder, pooling, head.

    `forward` returns logits and nothing else, and compiles with `fullgraph=True`; `trace` returns
    what happened on the way. Nothing is stored on the model, so one instance serves many threads.

    Args:
        config: Everything that decides the architecture.

    Attributes:
        info: Name, class names, preprocessing and origin; None for a model made by hand.

    Raises:
        ConfigError: If the configuration is one for clips.

    Source: `TokenLearnerViT` of google-research/scenic; with `num_classes=0`,
    `TokenLearnerViTRepresentation`.
    """

    def __init__(self, config: VisionTransformerConfig) -> None:
        if isinstance(config, VideoVisionTransformerConfig):
            raise ConfigError(
                "this configuration is for clips; build a VideoVisionTransformer from it"
            )
        if not isinstance(config, VisionTransformerConfig):
            raise ConfigError(f"config is {config!r}; wanted a VisionTransformerConfig")
        if config.stem_widths:
            embedding = ConvStem(config.dim, config.stem_widths)
        else:
            embedding = PatchEmbedding(config.dim, config.patch_size)
        super().__init__(config, embedding, Encoder(config, config.grid))

    @classmethod
    def build(cls, architecture: dict[str, Any], *, device: str = "cpu") -> "VisionTransformer":
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
        return self._answer(images)

    def trace(self, images: Float[Tensor, "batch 3 height width"]) -> Trace:
        """Does what `forward` does and returns everything on the way.

        Raises:
            ShapeError: As `forward`.
            ConfigError: If the model has no head (trace its `encoder` instead).
        """
        self._check_head("model.encoder.trace(tokens, grid=grid) with what model.embed(images)")
        return self._trace(*self.embed(images))

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
