"""Named configurations."""

from tokenlearner.models.config import TokenLearnerConfig, VisionTransformerConfig


def mini_vit(
    *, num_classes: int = 10, depth: int = 4, num_tokens: int | None = None
) -> VisionTransformerConfig:
    """The mini ViT of the Keras example: 48 px, 6x6 patches, 64 tokens.

    Its attention is four times as wide as its tokens (4 heads of 128), both layers of the MLP are
    activated, the position embedding stays at its random start, and the learner (version 1.0 with
    mean pooling) comes before the last quarter of the blocks. 1,336,458 parameters with 4 blocks;
    1,347,658 with 8 learned tokens.

    Args:
        num_classes: Answers.
        depth: Blocks.
        num_tokens: Tokens to learn; None for no learner.

    Source: keras.io/examples/vision/token_learner.
    """
    learner = None
    if num_tokens is not None:
        learner = TokenLearnerConfig(
            num_tokens=num_tokens, at=3 * depth // 4, version="1.0", pooling="mean"
        )
    return VisionTransformerConfig(
        image_size=(48, 48),
        patch_size=(6, 6),
        num_classes=num_classes,
        dim=128,
        depth=depth,
        num_heads=4,
        head_dim=128,
        mlp_dim=256,
        token_learner=learner,
        activation="gelu",
        mlp_activates_output=True,
        position_embedding="frozen",
        dropout=0.1,
        attention_dropout=0.1,
    )


def conv_vit(
    *,
    num_classes: int = 10,
    image_size: int = 160,
    token_learner: TokenLearnerConfig | None = None,
) -> VisionTransformerConfig:
    """A small vision transformer with a convolutional stem, for a few thousand photos and a CPU.

    Args:
        num_classes: Answers.
        image_size: Height and width in pixels; cells are 16 px.
        token_learner: None for the baseline.
    """
    return VisionTransformerConfig(
        image_size=(image_size, image_size),
        patch_size=(16, 16),
        num_classes=num_classes,
        dim=192,
        depth=6,
        num_heads=3,
        mlp_dim=576,
        stem_widths=(24, 48, 96),
        token_learner=token_learner,
    )
