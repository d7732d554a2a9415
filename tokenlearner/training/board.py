"""What TensorBoard shows of a run besides its curves."""

from dataclasses import asdict
from typing import Any

import torch
import torch.nn.functional as F

from tokenlearner.checkpoints import AnyModel
from tokenlearner.modules.shapes import Tensor, UInt8
from tokenlearner.preprocess import Preprocessing
from tokenlearner.training.recipes import Recipe

DARKEST = 0.15
"""Brightness of what a token does not look at, so that the photo can still be made out."""


def hparams(recipe: Recipe) -> dict[str, bool | int | float | str]:
    """Returns a recipe's settings, flat, as `SummaryWriter.add_hparams` takes them.

    Examples:
        >>> hparams(cifar10_mini_vit())["model.token_learner"]
        'None'
    """
    return dict(_flatten("", asdict(recipe)))


def attention_picture(
    model: AnyModel,
    images: UInt8[Tensor, "batch *time 3 height width"],
    preprocessing: Preprocessing,
) -> UInt8[Tensor, "3 picture_height picture_width"]:
    """Returns a row per photo: the photo, then the photo lit by what each learned token looks at.

    Brightness is shared by all tokens of a photo: full where the strongest map is strongest. With
    several learners the last one's maps are shown; without any, the photos alone. Of a clip its
    middle is shown.

    Args:
        model: In eval mode.
        images: Photos of the model's size, on the model's device.
        preprocessing: How the model takes them.
    """
    photos = images.float() / 255
    mean, std = (
        photos.new_tensor(values)[:, None, None]
        for values in (preprocessing.mean, preprocessing.std)
    )
    inputs = (photos - mean) / std
    with torch.inference_mode():
        learners = model.trace(inputs.transpose(1, 2) if inputs.ndim == 5 else inputs).learners
    if photos.ndim == 5:
        photos = photos[:, photos.shape[1] // 2]
    columns = [photos]
    if learners:
        maps = learners[-1].maps.float()
        if maps.ndim == 5:
            maps = maps[:, maps.shape[1] // 2]
        maps = maps / maps.amax(dim=(1, 2, 3), keepdim=True).clamp(min=1e-12)
        maps = F.interpolate(maps, photos.shape[2:], mode="bilinear", align_corners=False)
        light = DARKEST + (1 - DARKEST) * maps
        columns += [photos * one[:, None] for one in light.unbind(dim=1)]
    picture = torch.cat([torch.cat(list(row), dim=2) for row in zip(*columns, strict=True)], dim=1)
    return (picture * 255).round().to(torch.uint8).cpu()


def _flatten(prefix: str, values: dict[str, Any]) -> list[tuple[str, bool | int | float | str]]:
    flat = []
    for name, value in values.items():
        if isinstance(value, dict):
            flat += _flatten(f"{prefix}{name}.", value)
        else:
            plain = isinstance(value, bool | int | float | str)
            flat.append((prefix + name, value if plain else str(value)))
    return flat
