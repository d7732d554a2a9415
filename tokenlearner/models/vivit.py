"""A vision transformer for clips, with or without TokenLearner."""

from typing import Any

import torch

from tokenlearner.errors import ConfigError, ShapeError
from tokenlearner.models.classifier import TransformerClassifier
from tokenlearner.models.encoder import Encoder
from tokenlearner.models.outputs import Trace
from tokenlearner.models.video_config import VideoVisionTransformerConfig
from tokenlearner.modules.grids import Grid
from tokenlearner.modules.shapes import Float, Tensor
from tokenlearner.modules.tubelets import (
    TubeletEmbedding,
    TubeletStem,
    sample_frames,
    share_rows,
)


class VideoVisionTransformer(TransformerClassifier):
    """Clip classifier: tubelets, joint space-time attention, pooling, head.

    Every block attends over all time steps at once; a learner looks at each step alone, so its maps
    are `[batch, time, token, height, width]`. `forward`, `trace` and their promises are those of
    `VisionTransformer`.

    Args:
        config: Everything that decides the architecture.

    Attributes:
        info: Name, class names, preprocessing and origin; None for a model made by hand.

    Source: `TokenLearnerViT` of google-research/scenic with the tokenizer `video`; with
    `num_classes=0`, `TokenLearnerViTRepresentation` on clips; ViViT's model 1 without learner.
    """

    takes = "video"
    config: VideoVisionTransformerConfig  # pyright: ignore[reportIncompatibleVariableOverride]

    def __init__(self, config: VideoVisionTransformerConfig) -> None:
        if not isinstance(config, VideoVisionTransformerConfig):
            raise ConfigError(f"config is {config!r}; wanted a VideoVisionTransformerConfig")
        frames = config.tubelet_frames
        if config.stem_widths:
            embedding = TubeletStem(config.dim, config.stem_widths, num_frames=frames)
        else:
            embedding = TubeletEmbedding(config.dim, config.patch_size, num_frames=frames)
        encoder = Encoder(config, config.grid, steps=config.steps, class_token=config.class_token)
        super().__init__(config, embedding, encoder)

    @classmethod
    def build(
        cls, architecture: dict[str, Any], *, device: str = "cpu"
    ) -> "VideoVisionTransformer":
        config = VideoVisionTransformerConfig.from_dict(architecture)
        with torch.device(device):
            return cls(config)

    def forward(
        self, clips: Float[Tensor, "batch 3 time height width"]
    ) -> Float[Tensor, "batch ... _"]:
        """Classifies clips.

        Args:
            clips: Every frame normalised as the model's preprocessing says. Any number of frames
                and any size of at least one tubelet; for others than `config.num_frames` and
                `config.image_size` the position embedding is resampled.

        Returns:
            Logits `[batch, classes]`; without head the encoded tokens `[batch, length, dim]`.

        Raises:
            ShapeError: If `clips` is not `[batch, 3, time, height, width]` or smaller than a
                tubelet.
        """
        return self._answer(clips)

    def trace(self, clips: Float[Tensor, "batch 3 time height width"]) -> Trace:
        """Does what `forward` does and returns everything on the way.

        Raises:
            ShapeError: As `forward`.
            ConfigError: If the model has no head (trace its `encoder` instead).
        """
        self._check_head(
            "model.encoder.trace(tokens, grid=grid, steps=steps) with what model.embed(clips)"
        )
        return self._trace(*self.embed(clips))

    def embed(self, clips: Tensor) -> tuple[Tensor, Grid, int]:
        """Returns tokens `[batch, position, dim]`, rows and columns of a time step, and the steps.

        Raises:
            ShapeError: If `clips` is not `[batch, 3, time, height, width]` or smaller than a
                tubelet.
        """
        if clips.ndim != 5 or clips.shape[1] != 3:
            raise ShapeError(
                f"got clips of shape {tuple(clips.shape)}; wanted [batch, 3, time, height, width]"
            )
        frames, height, width = clips.shape[2:]
        if self.config.sampled_frames is not None:
            chosen = sample_frames(frames, self.config.sampled_frames)
            if len(chosen) < frames:
                # Not by a list, which a GPU would wait for, and a CUDA graph refuse.
                clips = torch.stack([clips[:, :, frame] for frame in chosen], dim=2)
                frames = len(chosen)
        if self.config.stack_frames:
            clips = clips.flatten(2, 3).unsqueeze(2)
        wanted = (self.config.tubelet_frames, *self.config.patch_size)
        if any(have < want for have, want in zip(clips.shape[2:], wanted, strict=True)):
            raise ShapeError(
                f"got clips of {frames} frames of {height}x{width} px; a tubelet "
                f"is {wanted[0]} frames of {wanted[1]}x{wanted[2]} px, so they must be at least "
                "that long and large"
            )
        cells = self.embedding(clips)
        steps, rows, columns = cells.shape[2:]
        if self.config.stack_frames:
            steps = frames
            rows, columns = share_rows(rows, columns, steps=steps)
        return cells.flatten(2).transpose(1, 2), (rows, columns), steps
