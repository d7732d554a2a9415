"""Counts of models of any kind."""

from tokenlearner.efficiency.conv_video_flops import count_conv_video
from tokenlearner.efficiency.flops import Cost, count_macs
from tokenlearner.efficiency.timm_flops import count_timm_macs
from tokenlearner.models.classifier import TransformerClassifier
from tokenlearner.models.conv_video import ConvVideoNetwork
from tokenlearner.models.timm_vit import TimmVisionTransformer


def count_model(
    model: TransformerClassifier | TimmVisionTransformer | ConvVideoNetwork,
    *,
    image_size: tuple[int, int] | None = None,
    num_frames: int | None = None,
) -> Cost:
    """Counts a model of any kind, for an image or a clip.

    Args:
        model: Is left as it is.
        image_size: Height and width in pixels; by default the model's own.
        num_frames: Frames per clip; by default the model's own.
    """
    if isinstance(model, TimmVisionTransformer):
        return count_timm_macs(model, image_size=image_size)
    if isinstance(model, ConvVideoNetwork):
        return count_conv_video(model.config, image_size=image_size, num_frames=num_frames)
    return count_macs(model.config, image_size=image_size, num_frames=num_frames)
