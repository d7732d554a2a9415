"""Named configurations for clips."""

from functools import partial
from typing import Any

from tokenlearner.models.presets import vit
from tokenlearner.models.video_config import VideoVisionTransformerConfig


def vivit(
    variant: str,
    *,
    num_frames: int = 32,
    tubelet_frames: int = 2,
    num_classes: int = 400,
    class_token: bool = False,
    **image: Any,
) -> VideoVisionTransformerConfig:
    """The vision transformers of the papers on clips, with joint space-time attention.

    Args:
        variant: Size and patch side in pixels, as `vit` takes it.
        num_frames: Frames of a clip.
        tubelet_frames: Frames of a tubelet: 2 for what ViViT calls `x2`.
        num_classes: Number of classes; 400 or 600 for Kinetics.
        class_token: Answer by a token of its own instead of pooling.
        image: Further arguments of `vit`: `image_size`, `num_tokens`, `at`, ...

    Raises:
        ConfigError: As `vit`.

    Source: model 1 of "ViViT: A Video Vision Transformer" (Arnab et al., 2021).
    """
    frame = vit(variant, num_classes=num_classes, **image)
    return VideoVisionTransformerConfig.of_frame(
        frame,
        num_frames=num_frames,
        tubelet_frames=tubelet_frames,
        class_token=class_token,
    )


_kinetics = partial(vivit, version="1.0")

PUBLISHED: dict[str, VideoVisionTransformerConfig] = {
    "L/16x2": _kinetics("L/16", class_token=True),
    "L/16x2, 320 px": _kinetics("L/16", image_size=320),
    "H/14x2": _kinetics("H/14", class_token=True),
    "L/16x2, 16 tokens at 12": _kinetics("L/16", num_tokens=16),
    "L/16x2 (24+6), 8 tokens at 18": _kinetics("L/16", num_tokens=8, at=18, extra_layers=6),
    "L/14x2 (24+11), 16 tokens at 18": _kinetics("L/14", num_tokens=16, at=18, extra_layers=11),
    "L/10x2 (24+11), 16 tokens at 18": _kinetics("L/10", num_tokens=16, at=18, extra_layers=11),
    "L/10x2 (24+11), 16 tokens at 18, fuser": _kinetics(
        "L/10", num_classes=600, num_tokens=16, at=18, extra_layers=11, fuser=True
    ),
}
"""The models of the paper's Kinetics tables: 32 frames of 224 px, or as their names say.

Source: arXiv:2106.11297v2, tables 6 to 8, and the authors' slides. What a row leaves open (class
token, version, depth) is what reproduces its GFLOPs; the last one is the Kinetics-600 row. How many
parameters they have was not published.
"""
