"""What training sees of a photo: a function of the seed, the epoch and its row, and nothing else.

The photos of a small set lie in memory at one size; those of a large one are decoded at every use.
"""

import math
import random
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

import numpy as np
import torch
from PIL import Image as PillowImage
from torch.utils.data import Dataset

from tokenlearner.checkpoints import ClipConfig
from tokenlearner.errors import DataError
from tokenlearner.modules.shapes import Tensor, UInt8
from tokenlearner.preprocess import prepare
from tokenlearner.training.augment import Augmentation
from tokenlearner.training.data import LabelledClips, LabelledImages
from tokenlearner.training.data.clips import FINENESS
from tokenlearner.training.recipes import Recipe
from tokenlearner.training.seeds import seeded

Sample = tuple[Tensor, int, str]
"""Pixels uint8 `[3, height, width]` or `[time, 3, height, width]`, their row, and why it is not the
one asked for, if it is not.
"""

STRONGEST = 9.99
"""Largest magnitude of a change."""

LONGEST_GAP = 100
"""Unusable photos in succession after which something else must be wrong."""


def open_photos(
    data: LabelledImages | LabelledClips, recipe: Recipe, device: torch.device
) -> Tensor | Dataset[Sample]:
    """Returns all photos at one size, uint8 `[n, 3, height, width]`, or what makes samples.

    The latter where photos are decoded or varied one by one. A stack moves to a GPU if it takes
    less than a quarter of the memory that is free there. Clips are `[n, kept, 3, height, width]`.
    """
    if recipe.canvas is None:
        if isinstance(data, LabelledClips):
            return SamplesFromClips(data, recipe)
        return SamplesFromFiles(data, recipe)
    whole = replace(recipe.preprocessing, image_size=recipe.canvas, crop_ratio=1.0)
    if isinstance(data, LabelledClips):
        assert recipe.clips is not None
        stacked = data.stack(whole, num_frames=recipe.clips.frames_kept)
    else:
        stacked = data.stack(whole)
    if recipe.augmentation.rand_augment is not None:
        return SamplesInMemory(stacked, recipe)
    if device.type == "cuda" and stacked.nbytes < torch.cuda.mem_get_info(device)[0] / 4:
        return stacked.to(device)
    return stacked


def stack(data: LabelledImages | LabelledClips, recipe: Recipe) -> Tensor:
    """Returns photos or clips as the recipe's model gets them in use, uint8, in memory."""
    if isinstance(data, LabelledClips):
        assert isinstance(recipe.model, ClipConfig)
        assert recipe.clips is not None
        return data.stack(
            recipe.preprocessing,
            num_frames=recipe.model.num_frames,
            frames_per_s=recipe.clips.frames_per_s,
        )
    return data.stack(recipe.preprocessing)


class SamplesInMemory(Dataset[Sample]):
    """Photos of one size, varied by RandAugment.

    Args:
        stack: All of them.
        recipe: Decides the variation.
    """

    def __init__(self, stack: UInt8[Tensor, "n 3 height width"], recipe: Recipe) -> None:
        self._stack = stack
        self._seed = recipe.seed
        self._change = _make_rand_augment(recipe)

    def __getitem__(self, key: tuple[int, int]) -> Sample:
        epoch, row = key
        with seeded(self._seed, 4, epoch, row):
            return self._change(self._stack[row]), row, ""


class SamplesFromFiles(Dataset[Sample]):
    """Photos decoded, cropped to the epoch's size and varied by RandAugment.

    The place of an unusable photo is taken by the next one that can be used.

    Args:
        data: Where they come from.
        recipe: Decides size, crop and variation.
    """

    def __init__(self, data: LabelledImages, recipe: Recipe) -> None:
        self._data = data
        self._recipe = recipe
        self._change = _make_rand_augment(recipe)

    def __getitem__(self, key: tuple[int, int]) -> Sample:
        epoch, row = key
        pixels, used, reason = self._read(row)
        side = self._recipe.image_side_px(epoch)
        with seeded(self._recipe.seed, 4, epoch, row):
            return self._change(_crop(pixels, side, self._recipe)), used, reason

    def _read(self, row: int) -> tuple[np.ndarray, int, str]:
        photo, used, reason = _read_or_next(self._data, row, self._data.read)
        return photo.pixels, used, reason


class SamplesFromClips(Dataset[Sample]):
    """Clips decoded in a random stretch and cropped, all frames alike, to the epoch's size.

    The place of an unusable clip is taken by the next one that can be used.

    Args:
        data: Where they come from.
        recipe: Decides stretch, size and crop.
    """

    def __init__(self, data: LabelledClips, recipe: Recipe) -> None:
        self._data = data
        self._recipe = recipe

    def __getitem__(self, key: tuple[int, int]) -> Sample:
        epoch, row = key
        side = self._recipe.image_side_px(epoch)
        model, sampling = self._recipe.model, self._recipe.clips
        assert isinstance(model, ClipConfig)
        assert sampling is not None
        with seeded(self._recipe.seed, 4, epoch, row):
            if sampling.frames_per_s is None:
                length = random.uniform(*sampling.stretch)
                start = random.uniform(0.0, 1.0 - length)
                read = partial(self._data.read, start=start, end=min(start + length, 1.0))
            else:
                read = partial(
                    self._data.read_at_rate,
                    frames_per_s=sampling.frames_per_s,
                    place=random.uniform(0.0, 1.0),
                )
            clip, used, reason = _read_or_next(
                self._data,
                row,
                partial(
                    read,
                    num_frames=model.num_frames,
                    max_side_px=_ample_side_px(side, self._recipe.augmentation),
                ),
            )
            box = _draw_box(clip.frames[0], self._recipe)
        frames = [_cut(frame, box, side, self._recipe) for frame in clip.frames]
        return torch.stack(frames), used, reason


T = TypeVar("T")


def _read_or_next(
    data: LabelledImages | LabelledClips, row: int, read: Callable[[int], T]
) -> tuple[T, int, str]:
    used, reason = row, ""
    for _ in range(min(LONGEST_GAP, len(data))):
        try:
            return read(used), used, reason
        except DataError as error:
            reason = reason or str(error)
            used = (used + 1) % len(data)
    raise DataError(
        f"{data.source}: {LONGEST_GAP} {data.things} in succession cannot be used, or all of "
        f"them, from row {row} on; check the data. The first: {reason}"
    )


Box = tuple[int, int, int, int]
"""Top, left, height and width in pixels."""


def _crop(pixels: np.ndarray, side: int, recipe: Recipe) -> Tensor:
    """Returns a random part of a photo uint8 RGB `[height, width, 3]`, `side` pixels square."""
    return _cut(pixels, _draw_box(pixels, recipe), side, recipe)


def _ample_side_px(side: int, options: Augmentation) -> int:
    """Returns a longer side of frames of which the smallest crop is as fine as `side`.

    Of frames up to 5:1, and of those that are to be squashed up to 2:1.
    """
    return round(side * max(FINENESS, math.sqrt(FINENESS * options.aspect / options.area[0])))


def _draw_box(pixels: np.ndarray, recipe: Recipe) -> Box:
    from timm.data.transforms import RandomResizedCropAndInterpolation

    options = recipe.augmentation
    height, width = pixels.shape[:2]
    # What is squashed for the model in use keeps its own aspect here.
    aspect = width / height if recipe.preprocessing.resize == "squash" else 1.0
    ratio = (aspect / options.aspect, aspect * options.aspect)
    top, left, rows, columns = RandomResizedCropAndInterpolation.get_params(
        PillowImage.fromarray(pixels), options.area, ratio
    )
    rows, columns = max(1, rows), max(1, columns)  # it rounds 0.4 of a photo's 1 px down
    return min(top, height - rows), min(left, width - columns), rows, columns


def _cut(pixels: np.ndarray, box: Box, side: int, recipe: Recipe) -> Tensor:
    top, left, height, width = box
    plain = replace(
        recipe.preprocessing,
        image_size=(side, side),
        resize="squash",
        crop_ratio=1.0,
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
    )
    images, _ = prepare(pixels[top : top + height, left : left + width], plain)
    return (images[0] * 255).round().to(torch.uint8)


def _make_rand_augment(recipe: Recipe) -> Callable[[Tensor], Tensor]:
    options = recipe.augmentation.rand_augment
    if options is None:
        return _leave
    from timm.data import auto_augment

    fill = tuple(round(255 * value) for value in recipe.preprocessing.mean)
    changes = auto_augment.rand_augment_ops(
        magnitude=options.magnitude,
        hparams={
            "img_mean": fill,
            "magnitude_std": options.magnitude_std,
            # At 10 "posterize" would keep no bit at all, which Pillow refuses.
            "magnitude_max": STRONGEST,
        },
        transforms=auto_augment.rand_augment_choices("", increasing=True),
    )
    return _OnTensors(auto_augment.RandAugment(changes, options.num_layers))


def _leave(pixels: Tensor) -> Tensor:
    return pixels


class _OnTensors:
    """A change of Pillow's images, of tensors."""

    def __init__(self, change: Any) -> None:
        self._change = change

    def __call__(self, pixels: Tensor) -> Tensor:
        image = PillowImage.fromarray(pixels.permute(1, 2, 0).contiguous().numpy())
        return torch.from_numpy(np.array(self._change(image))).permute(2, 0, 1)
