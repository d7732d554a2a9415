"""What TensorBoard shows of a run besides its curves."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from tokenlearner.checkpoints import AnyModel
from tokenlearner.geometry import Geometry
from tokenlearner.inference import geometry_of
from tokenlearner.modules.shapes import Tensor, UInt8
from tokenlearner.preprocess import Preprocessing
from tokenlearner.training.objective import Normaliser
from tokenlearner.training.recipes import Recipe

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

DARKEST = 0.15
"""Brightness of what a token does not look at, so that the photo can still be made out."""


class Board:
    """Writes for TensorBoard as long as that works: a run is worth more than its curves.

    Args:
        folder: Where to.
        purge_step: What was written for this step and later ones is dropped.
        warn: Told once why nothing is written, or nothing more.
    """

    def __init__(self, folder: Path, *, purge_step: int, warn: Callable[[str], None]) -> None:
        self._warn, self._writer = warn, None
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            warn("TensorBoard is not installed, so no curves are written: pip install tensorboard")
            return
        try:
            self._writer = SummaryWriter(str(folder), purge_step=purge_step)
        except OSError as error:
            self._give_up(error)

    def write(self, content: Callable[["SummaryWriter"], None]) -> None:
        """Has something written, if that works."""
        if self._writer is None:
            return
        try:
            content(self._writer)
        except OSError as error:
            self._give_up(error)

    def close(self) -> None:
        """Writes what is left."""
        self.write(lambda writer: writer.close())

    def _give_up(self, error: OSError) -> None:
        self._writer = None
        self._warn(f"no more curves are written for TensorBoard: {error.strerror or error}")


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
    with torch.inference_mode():
        trace = model.trace(Normaliser(preprocessing, photos.device)(photos))
    if photos.ndim == 5:
        photos = photos[:, photos.shape[1] // 2]
    columns = [photos]
    if trace.learners:
        maps = trace.learners[-1].maps.float()
        if maps.ndim == 5:
            maps = maps[:, maps.shape[1] // 2]
        maps = maps / maps.amax(dim=(1, 2, 3), keepdim=True).clamp(min=1e-12)
        height, width = size = (photos.shape[2], photos.shape[3])
        whole = Geometry(source_size=size, model_size=size, box=(0, 0, width, height))
        geometry = geometry_of(model, whole, trace.grid)
        laid = torch.stack([torch.from_numpy(geometry.to_source(m)) for m in maps.cpu().numpy()])
        light = DARKEST + (1 - DARKEST) * laid.to(photos)
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
