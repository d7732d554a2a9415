"""Named configurations."""

from dataclasses import replace
from functools import partial

from tokenlearner.errors import ConfigError
from tokenlearner.models.config import TokenLearnerConfig, Version, VisionTransformerConfig
from tokenlearner.models.video_config import VideoVisionTransformerConfig

_SIZES = {  # dim, blocks, heads, hidden width of the MLP
    "Ti": (192, 12, 3, 768),
    "S": (384, 12, 6, 1536),
    "B": (768, 12, 12, 3072),
    "L": (1024, 24, 16, 4096),
    "H": (1280, 32, 16, 5120),
}


def vit(
    variant: str,
    *,
    image_size: int = 224,
    num_classes: int = 1000,
    num_tokens: int | None = None,
    at: int | None = None,
    version: Version = "1.1",
    fuser: bool = False,
    extra_layers: int = 0,
) -> VisionTransformerConfig:
    """The vision transformers of the papers.

    Args:
        variant: Size and patch side in pixels, as in `B/16`; sizes are Ti, S, B, L and H.
        image_size: Height and width in pixels.
        num_classes: Number of classes.
        num_tokens: Tokens to learn; None for no learner.
        at: Blocks before the learner; by default half of the size's own.
        version: Of the learner. The papers' results are those of 1.0, the official configuration
            takes 1.1.
        fuser: Write the result of every block after the learner back onto the grid.
        extra_layers: Blocks at the end beyond the size's own: 11 for what the paper calls `24+11`.

    Raises:
        ConfigError: If there is no such variant, or a learner is described that is not asked for.

    Source: "An Image is Worth 16x16 Words" (Dosovitskiy et al., 2021); Ti and S as in the official
    configuration.
    """
    size, _, patch = variant.partition("/")
    if size not in _SIZES or not patch.isdecimal():
        raise ConfigError(
            f"variant is {variant!r}; it must be one of {', '.join(_SIZES)}, a slash and the "
            "patch side in pixels, as in 'B/16'"
        )
    if num_tokens is None and (at is not None or fuser):
        raise ConfigError("at and fuser describe a learner; give num_tokens too")
    dim, depth, num_heads, mlp_dim = _SIZES[size]
    learner = None
    if num_tokens is not None:
        learner = TokenLearnerConfig(
            num_tokens=num_tokens,
            at=depth // 2 if at is None else at,
            version=version,
            fuser=fuser,
        )
    return VisionTransformerConfig(
        image_size=(image_size, image_size),
        patch_size=(int(patch), int(patch)),
        num_classes=num_classes,
        dim=dim,
        depth=depth + extra_layers,
        num_heads=num_heads,
        mlp_dim=mlp_dim,
        token_learner=learner,
    )


_at_384 = partial(vit, image_size=384, version="1.0")
_at_512 = partial(vit, image_size=512, version="1.0")

PUBLISHED: dict[str, VisionTransformerConfig] = {
    "S/32": _at_384("S/32"),
    "B/32": _at_384("B/32"),
    "B/16": _at_384("B/16"),
    "S/32, 8 tokens at 6": _at_384("S/32", num_tokens=8),
    "S/32 (22), 8 tokens at 11": _at_384("S/32", num_tokens=8, at=11, extra_layers=10),
    "B/32 (20), 8 tokens at 10": _at_384("B/32", num_tokens=8, at=10, extra_layers=8),
    "B/16, 8 tokens at 6": _at_384("B/16", num_tokens=8),
    "B/16, 16 tokens at 6": _at_384("B/16", num_tokens=16),
    "B/16, 8 tokens at 6, fuser": _at_384("B/16", num_tokens=8, fuser=True),
    "B/16, 16 tokens at 6, fuser": _at_384("B/16", num_tokens=16, fuser=True),
    "B/16 (21), 8 tokens at 10": _at_384("B/16", num_tokens=8, at=10, extra_layers=9),
    "B/16 (21), 16 tokens at 10": _at_384("B/16", num_tokens=16, at=10, extra_layers=9),
    "L/16": _at_512("L/16"),
    "L/16, 16 tokens at 12": _at_512("L/16", num_tokens=16),
    "L/16, 8 tokens at 18": _at_512("L/16", num_tokens=8, at=18),
    "L/16, 16 tokens at 12, fuser": _at_512("L/16", num_tokens=16, fuser=True),
    "L/16, 8 tokens at 18, fuser": _at_512("L/16", num_tokens=8, at=18, fuser=True),
    "L/16 (24+6), 8 tokens at 18": _at_512("L/16", num_tokens=8, at=18, extra_layers=6),
    "L/16 (24+11), 16 tokens at 12": _at_512("L/16", num_tokens=16, extra_layers=11),
    "L/16 (24+11), 16 tokens at 12, fuser": _at_512(
        "L/16", num_tokens=16, extra_layers=11, fuser=True
    ),
    "L/14 (24+11), 16 tokens at 18": _at_512("L/14", num_tokens=16, at=18, extra_layers=11),
    "L/10 (24+11), 16 tokens at 18": _at_512("L/10", num_tokens=16, at=18, extra_layers=11),
    "L/10 (24+11), 16 tokens at 18, fuser": _at_512(
        "L/10", num_tokens=16, at=18, extra_layers=11, fuser=True
    ),
    "L/8 (24+11), 16 tokens at 18": _at_512("L/8", num_tokens=16, at=18, extra_layers=11),
}
"""The models of the paper's ImageNet tables, fine-tuned at 384 px (S, B) and 512 px (L).

Source: arXiv:2106.11297v2, tables 1 to 4. What a row leaves open (its resolution, the version, the
place of a learner) is what reproduces its GFLOPs.
"""


def mini_vit(
    *,
    num_classes: int = 10,
    depth: int = 4,
    num_tokens: int | None = None,
    groups: int | None = None,
) -> VisionTransformerConfig:
    """The mini ViT of the Keras example: 48 px, 6x6 patches, 64 tokens.

    Its attention is four times as wide as its tokens (4 heads of 128), both layers of the MLP are
    activated, the position embedding stays at its random start, and the learner (version 1.0 with
    mean pooling) comes before the last quarter of the blocks. 1,336,458 parameters with 4 blocks;
    1,347,658 with 8 learned tokens.

    Args:
        num_classes: Number of classes.
        depth: Blocks.
        num_tokens: Tokens to learn; None for no learner.
        groups: Draw the maps with grouped convolutions, so many groups, instead of version 1.0.

    Raises:
        ConfigError: If there are groups but no learner.

    Source: keras.io/examples/vision/token_learner, and TokenLearner-V1.1 of
    github.com/ariG23498/TokenLearner.
    """
    if groups is not None and num_tokens is None:
        raise ConfigError("groups describes a learner; give num_tokens too")
    learner = None
    if num_tokens is not None:
        at = 3 * depth // 4
        learner = TokenLearnerConfig(num_tokens=num_tokens, at=at, version="1.0", pooling="mean")
        if groups is not None:
            learner = TokenLearnerConfig(
                num_tokens=num_tokens, at=at, version="grouped", groups=groups
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


def small_photo_vit(
    *,
    num_classes: int = 10,
    image_size: int = 32,
    token_learner: TokenLearnerConfig | None = None,
) -> VisionTransformerConfig:
    """`fine_vit` for photos of CIFAR-10's size: cells of 4 px.

    Args:
        num_classes: Number of classes.
        image_size: Height and width in pixels.
        token_learner: None for the baseline.
    """
    fine = fine_vit(num_classes=num_classes, image_size=image_size, token_learner=token_learner)
    return replace(fine, patch_size=(4, 4), stem_widths=(64,))


def conv_vit(
    *,
    num_classes: int = 10,
    image_size: int = 160,
    token_learner: TokenLearnerConfig | None = None,
) -> VisionTransformerConfig:
    """A small vision transformer with a convolutional stem, for a few thousand photos and a CPU.

    Args:
        num_classes: Number of classes.
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


def conv_vivit(
    *,
    num_classes: int,
    image_size: int = 128,
    num_frames: int = 16,
    token_learner: TokenLearnerConfig | None = None,
) -> VideoVisionTransformerConfig:
    """`conv_vit` on clips: tubelets of two frames, joint space-time attention.

    Args:
        num_classes: Number of classes.
        image_size: Height and width in pixels; cells are 16 px.
        num_frames: Frames of a clip.
        token_learner: None for the baseline.
    """
    image = conv_vit(num_classes=num_classes, image_size=image_size, token_learner=token_learner)
    return VideoVisionTransformerConfig.of_frame(image, num_frames=num_frames, tubelet_frames=2)


def fine_vit(
    *,
    num_classes: int = 10,
    image_size: int = 160,
    token_learner: TokenLearnerConfig | None = None,
) -> VisionTransformerConfig:
    """A small vision transformer on a fine grid: cells of 8 px, so that maps follow outlines.

    Args:
        num_classes: Number of classes.
        image_size: Height and width in pixels.
        token_learner: None for the baseline.
    """
    return VisionTransformerConfig(
        image_size=(image_size, image_size),
        patch_size=(8, 8),
        num_classes=num_classes,
        dim=128,
        depth=6,
        num_heads=4,
        mlp_dim=384,
        stem_widths=(32, 64),
        token_learner=token_learner,
    )
