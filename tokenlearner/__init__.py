"""TokenLearner in PyTorch: exact modules, models that show where they look, and measured costs.

    import tokenlearner

    model = tokenlearner.load("imagenette-fine-vit-tl8")
    explanation = tokenlearner.explain(model, "photo.jpg")
    explanation.predictions[0], explanation.maps.shape

The method is by Ryoo, Piergiovanni, Arnab, Dehghani and Angelova, "TokenLearner: Adaptive
Space-Time Tokenization for Videos", NeurIPS 2021 (arXiv:2106.11297).
"""

from tokenlearner import zoo
from tokenlearner.answers import LearnerMaps
from tokenlearner.clips import ClipExplanation, explain_clip
from tokenlearner.errors import TokenLearnerError
from tokenlearner.inference import Explanation, explain, explain_all
from tokenlearner.media.images import Image, read_image
from tokenlearner.media.videos import Clip, read_clip
from tokenlearner.models import (
    ConvVideoConfig,
    ConvVideoNetwork,
    ModelInfo,
    Provenance,
    TimmVisionTransformer,
    TokenLearnerConfig,
    Trace,
    VideoVisionTransformer,
    VideoVisionTransformerConfig,
    VisionTransformer,
    VisionTransformerConfig,
    describe_timm,
    insert_token_learner,
)
from tokenlearner.modules import TokenFuser, TokenLearner, TokenLearnerGrouped, TokenLearnerV11
from tokenlearner.preprocess import Preprocessing
from tokenlearner.zoo import load

__version__ = "0.1.0"

__all__ = [
    "Clip",
    "ClipExplanation",
    "ConvVideoConfig",
    "ConvVideoNetwork",
    "Explanation",
    "Image",
    "LearnerMaps",
    "ModelInfo",
    "Preprocessing",
    "Provenance",
    "TimmVisionTransformer",
    "TokenFuser",
    "TokenLearner",
    "TokenLearnerConfig",
    "TokenLearnerError",
    "TokenLearnerGrouped",
    "TokenLearnerV11",
    "Trace",
    "VideoVisionTransformer",
    "VideoVisionTransformerConfig",
    "VisionTransformer",
    "VisionTransformerConfig",
    "describe_timm",
    "explain",
    "explain_all",
    "explain_clip",
    "insert_token_learner",
    "load",
    "read_clip",
    "read_image",
    "zoo",
]
