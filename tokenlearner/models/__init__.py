"""Models: `VisionTransformer`, timm's with a learner, their configuration, what `trace` returns."""

from tokenlearner.models.config import TokenLearnerConfig, VisionTransformerConfig
from tokenlearner.models.encoder import Encoder
from tokenlearner.models.info import ModelInfo, Provenance
from tokenlearner.models.outputs import EncoderTrace, FuserTrace, LearnerTrace, Trace
from tokenlearner.models.timm_config import TimmConfig
from tokenlearner.models.timm_info import describe_timm
from tokenlearner.models.timm_vit import TimmVisionTransformer, insert_token_learner
from tokenlearner.models.vit import VisionTransformer

__all__ = [
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
    "VisionTransformer",
    "VisionTransformerConfig",
    "describe_timm",
    "insert_token_learner",
]
