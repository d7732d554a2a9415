"""The plain models that the placement explorer puts a learner into."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from app import resources
from tokenlearner import zoo
from tokenlearner.errors import TokenLearnerError
from tokenlearner.models import TokenLearnerConfig, VisionTransformerConfig
from tokenlearner.models.presets import vit

TOKEN_COUNTS = (1, 2, 4, 8, 16, 32, 64)
_SIZES = {"Ti": "Tiny", "S": "Small", "B": "Base", "L": "Large", "H": "Huge"}
_PATCHES_PX = (8, 10, 14, 16, 32)
_SIDES_PX = (128, 160, 192, 224, 256, 288, 320, 384, 448, 512)


@dataclass(frozen=True, kw_only=True, slots=True)
class Design:
    """A plain model in all its sizes of patch and photo.

    Attributes:
        title: For people.
        patches_px: Sides of a patch to choose from.
        sides_px: Sides of the photo to choose from; no patch is larger.
        usual: Patch and photo to begin with.
        learner: What is put into it; its place and its tokens are chosen.
        build: The model for a side of the patch and of the photo.
        model: Name of the shipped model with a learner; empty for a size of the papers.
    """

    title: str
    patches_px: tuple[int, ...]
    sides_px: tuple[int, ...]
    usual: tuple[int, int]
    learner: TokenLearnerConfig
    build: Callable[[int, int], VisionTransformerConfig]
    model: str = ""


def designs() -> dict[str, Design]:
    """Everything to choose from, by its name in links."""
    papers = {
        size: Design(
            title=f"ViT-{size} ({word})",
            patches_px=_PATCHES_PX,
            sides_px=_SIDES_PX,
            usual=(16, 224),
            learner=TokenLearnerConfig(num_tokens=8, at=0),
            build=partial(_vit, size),
        )
        for size, word in _SIZES.items()
    }
    return papers | dict(filter(None, map(_shipped, zoo.ENTRIES)))


def _vit(size: str, patch_px: int, side_px: int) -> VisionTransformerConfig:
    return vit(f"{size}/{patch_px}", image_size=side_px)


def _shipped(entry: zoo.ZooEntry) -> tuple[str, Design] | None:
    """A shipped baseline and the first model that learns tokens; None for any other entry."""
    if entry.baseline is None or zoo.counterpart(entry.baseline) != entry.name:
        return None
    try:
        config = resources.load_model(entry.name, resources.pick_device("auto")).config
    except TokenLearnerError:  # the sidebar says so where it is chosen
        return None
    # Models for clips are a kind of their own, with other costs.
    if type(config) is not VisionTransformerConfig or config.token_learner is None:
        return None
    plain = replace(config, token_learner=None)
    side_px, patch_px = config.image_size[0], config.patch_size[0]
    return entry.name, Design(
        title=f"Ours: {zoo.entry(entry.baseline).title.replace(', baseline', '')}",
        patches_px=(patch_px,),
        sides_px=tuple(side_px * step // 2 for step in range(1, 7)),
        usual=(patch_px, side_px),
        learner=config.token_learner,
        build=lambda _, side: replace(plain, image_size=(side, side)),
        model=entry.name,
    )
