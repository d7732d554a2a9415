"""What a vision transformer for clips is made of, as plain data."""

from dataclasses import dataclass, fields
from typing import Any

from tokenlearner.errors import ConfigError
from tokenlearner.models.checks import require_counts
from tokenlearner.models.config import VisionTransformerConfig
from tokenlearner.modules.grids import Grid
from tokenlearner.modules.tubelets import sample_frames, share_rows


@dataclass(frozen=True, kw_only=True)  # slots would leave super() without its class
class VideoVisionTransformerConfig(VisionTransformerConfig):
    """A vision transformer for clips.

    What it shares with one for images describes every frame, or every time step.

    Attributes:
        num_frames: Frames of the clips that the model is made for.
        tubelet_frames: Frames that one token spans, a time step; the stem's last convolution
            reaches over them.
        sampled_frames: Take about as many frames of a clip first, evenly spread (see
            `sample_frames`); None takes all.
        stack_frames: Embed the frames as one tall image, as the official code does where it samples
            them. For converted checkpoints: patches straddle frames whose height is not a multiple
            of the patch's.
        class_token: A learned token beside those of the grid, which learners do not see; the head
            reads it instead of pooling (the ViViT of 224 px).
    """

    num_frames: int
    tubelet_frames: int = 2
    sampled_frames: int | None = None
    stack_frames: bool = False
    class_token: bool = False

    @classmethod
    def of_frame(
        cls, frame: VisionTransformerConfig, **clip: Any
    ) -> "VideoVisionTransformerConfig":
        """Makes one for clips of one for images, which describes their frames.

        Args:
            frame: For images.
            clip: The fields that only clips have.

        Raises:
            ConfigError: If the two do not go together.
        """
        return cls(**{field.name: getattr(frame, field.name) for field in fields(frame)}, **clip)

    def __post_init__(self) -> None:
        require_counts(self, "num_frames", "tubelet_frames")
        require_counts(self, "sampled_frames", optional=True)
        if self.stack_frames and (self.tubelet_frames > 1 or self.stem_widths):
            raise ConfigError(
                "stack_frames embeds single frames by patches; "
                "it goes with tubelet_frames=1 and without stem_widths"
            )
        if self.steps < 1:
            raise ConfigError(
                f"{self.used_frames} of num_frames={self.num_frames} are used, fewer than the "
                f"{self.tubelet_frames} of a tubelet; take more frames or shorter tubelets"
            )
        if self.class_token and self.classifier != "gap":
            raise ConfigError(
                f"class_token=True replaces pooling; leave classifier out (it is "
                f"{self.classifier!r})"
            )
        super().__post_init__()

    @property
    def used_frames(self) -> int:
        """Frames that are embedded: all, or those that sampling takes."""
        if self.sampled_frames is None:
            return self.num_frames
        return len(sample_frames(self.num_frames, self.sampled_frames))

    @property
    def steps(self) -> int:
        """Time steps: tubelets one after the other."""
        return self.used_frames // self.tubelet_frames

    @property
    def grid(self) -> Grid:
        """Rows and columns of patches at each time step."""
        height, width = self.image_size
        rows, columns = height // self.patch_size[0], width // self.patch_size[1]
        if not self.stack_frames:
            return rows, columns
        rows = self.used_frames * height // self.patch_size[0]
        return share_rows(rows, columns, steps=self.used_frames)

    @property
    def tokens_per_block(self) -> tuple[int, ...]:
        """How many tokens each block works on, at all time steps together."""
        per_step = super().tokens_per_block
        return tuple(self.steps * tokens + self.class_token for tokens in per_step)
