"""Modules: tensors in, tensors out. Nothing is stored on them between calls."""

from tokenlearner.modules.attention import Attention
from tokenlearner.modules.blocks import Block
from tokenlearner.modules.embed import (
    ConvStem,
    PatchEmbedding,
    resample_position_embedding,
)
from tokenlearner.modules.mlp import Mlp
from tokenlearner.modules.token_fuser import TokenFuser
from tokenlearner.modules.token_learner import (
    TokenLearner,
    TokenLearnerGrouped,
    TokenLearnerV11,
    pool_tokens,
)
from tokenlearner.modules.tubelets import (
    TubeletEmbedding,
    TubeletStem,
    inflate_kernel,
    sample_frames,
)

__all__ = [
    "Attention",
    "Block",
    "ConvStem",
    "Mlp",
    "PatchEmbedding",
    "TokenFuser",
    "TokenLearner",
    "TokenLearnerGrouped",
    "TokenLearnerV11",
    "TubeletEmbedding",
    "TubeletStem",
    "inflate_kernel",
    "pool_tokens",
    "resample_position_embedding",
    "sample_frames",
]
