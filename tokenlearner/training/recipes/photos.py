"""Photos of one's own."""

from dataclasses import replace

from tokenlearner.training.recipes.imagenette import imagenette_fine_vit, imagenette_fine_vit_tl8
from tokenlearner.training.recipes.recipe import Recipe


def scratch_vit() -> Recipe:
    """The fine-grid model from scratch on your own photos, with as many classes as they have.

    tokenlearner train scratch-vit --data PHOTOS --out runs/scratch-vit

    The settings of `imagenette-fine-vit`, which suit some ten thousand photos.
    """
    return replace(imagenette_fine_vit(), name="scratch-vit", dataset="", holdout=0, keep="last")


def scratch_vit_tl8() -> Recipe:
    """The same with 8 learned tokens, whose maps are kept apart.

    tokenlearner train scratch-vit-tl8 --data PHOTOS --out runs/scratch-vit-tl8
    """
    return replace(
        imagenette_fine_vit_tl8(), name="scratch-vit-tl8", dataset="", holdout=0, keep="last"
    )
