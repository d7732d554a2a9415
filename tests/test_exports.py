"""The public surface is a list; changing it is a decision, taken here."""

import tokenlearner

PUBLIC = [
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


def test_public_names_are_these() -> None:
    assert tokenlearner.__all__ == PUBLIC


def test_public_names_exist() -> None:
    assert [name for name in tokenlearner.__all__ if not hasattr(tokenlearner, name)] == []
