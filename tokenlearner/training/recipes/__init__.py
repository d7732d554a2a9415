"""How models are trained: one function per recipe, which says what to expect."""

from collections.abc import Callable

from tokenlearner.training.recipes import (
    cifar10,
    conv_video,
    gestures,
    imagenet,
    imagenette,
    photos,
)
from tokenlearner.training.recipes.recipe import ClipSampling, Distillation, Recipe

__all__ = ["RECIPES", "ClipSampling", "Distillation", "Recipe"]

RECIPES: dict[str, Callable[[], Recipe]] = {
    recipe.__name__.replace("_", "-"): recipe
    for recipe in (
        cifar10.cifar10_mini_vit,
        cifar10.cifar10_mini_vit_tl8,
        cifar10.cifar10_mini_vit_tl4,
        cifar10.cifar10_mini_vit_8_layers,
        cifar10.cifar10_mini_vit_g4_tl4,
        cifar10.cifar10_mini_vit_g8_tl8,
        cifar10.cifar10_mini_vit_g4_tl8,
        cifar10.cifar10_tuned_vit,
        cifar10.cifar10_tuned_vit_tl8,
        imagenette.imagenette_conv_vit,
        imagenette.imagenette_conv_vit_tl8,
        imagenette.imagenette_fine_vit,
        imagenette.imagenette_fine_vit_tl8,
        imagenette.imagenette_fine_vit_tl16,
        imagenette.imagenette_fine_vit_tl8_fuser,
        gestures.gestures_vivit,
        gestures.gestures_vivit_tl8,
        conv_video.charades_conv_video_tl8,
        conv_video.avid_conv_video_tl8,
        photos.scratch_vit,
        photos.scratch_vit_tl8,
        imagenet.imagenet_vit_b16_tl16,
    )
}
