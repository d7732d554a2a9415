"""Models for images and clips, timm's with a learner, configurations, what `trace` returns."""

from tokenlearner.models.config import TokenLearnerConfig, VisionTransformerConfig
from tokenlearner.models.conv_video import ConvVideoNetwork
from tokenlearner.models.conv_video_config import ConvVideoConfig
from tokenlearner.models.encoder import Encoder
from tokenlearner.models.info import ModelInfo, Provenance
from tokenlearner.models.outputs import ConvTrace, EncoderTrace, FuserTrace, LearnerTrace, Trace
from tokenlearner.models.timm_config import TimmConfig
from tokenlearner.models.timm_info import describe_timm
from tokenlearner.models.timm_vit import TimmVisionTransformer, insert_token_learner
from tokenlearner.models.video_config import VideoVisionTransformerConfig
from tokenlearner.models.vit import VisionTransformer
from tokenlearner.models.vivit import VideoVisionTransformer

__all__ = [
    "ConvTrace",
    "ConvVideoConfig",
    "ConvVideoNetwork",
    "Encoder",
    "EncoderTrace",
    "FuserTrace",
    "LearnerTrace",
    "ModelInfo",
    "Provenance",
    "TimmConfig",
    "TimmVisionTransformer",
    "TokenLearnerConfig",
    "Trace",
    "VideoVisionTransformer",
    "VideoVisionTransformerConfig",
    "VisionTransformer",
    "VisionTransformerConfig",
    "describe_timm",
    "insert_token_learner",
]
