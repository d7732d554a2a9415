"""Models: `VisionTransformer` for images, its configuration, and what `trace` returns."""

from tokenlearner.models.config import TokenLearnerConfig, VisionTransformerConfig
from tokenlearner.models.encoder import Encoder
from tokenlearner.models.info import ModelInfo, Provenance
from tokenlearner.models.outputs import EncoderTrace, FuserTrace, LearnerTrace, Trace
from tokenlearner.models.vit import VisionTransformer

__all__ = [
    "Encoder",
    "EncoderTrace",
    "FuserTrace",
    "LearnerTrace",
    "ModelInfo",
    "Provenance",
    "TokenLearnerConfig",
    "Trace",
    "VisionTransformer",
    "VisionTransformerConfig",
]
