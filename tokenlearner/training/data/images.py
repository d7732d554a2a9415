"""Labelled photos, and labels as a loss takes them."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F

from tokenlearner.errors import DataError, MediaError, ShapeError
from tokenlearner.media.images import Image, read_header, read_image
from tokenlearner.modules.shapes import Float, Tensor
from tokenlearner.preprocess import Preprocessing, prepare
from tokenlearner.training.data.files import LabelledFiles


@dataclass(frozen=True, slots=True, eq=False)
class LabelledImages(LabelledFiles):
    """One split of a data set of photos."""

    things: ClassVar[str] = "photos"

    @staticmethod
    def decode(content: bytes) -> Image:
        return read_image(content)

    def read(self, row: int) -> Image:
        """Returns one photo, decoded as any photo is that someone gives to a model.

        Raises:
            DataError: If it is missing or corrupt; the message names its file.
        """
        try:
            return read_image(self._photos[row])
        except MediaError as error:
            raise DataError(
                f"{self.source}: {self._photos.name(row)} is not a usable photo. {error}"
            ) from error

    def images(self) -> Iterator[Image]:
        """Yields every photo.

        Raises:
            DataError: As `read` does. After `scan` only of what changed since.
        """
        return (self.read(row) for row in range(len(self)))

    def kinds(self) -> set[tuple[str, int, int]]:
        """Returns which formats and sizes, height and width in pixels, there are.

        Headers say so.

        Raises:
            MediaError: If one is none, which `scan` would have found.
        """
        return {read_header(self._photos[row]) for row in range(len(self))}

    def stack(self, preprocessing: Preprocessing) -> Tensor:
        """Returns all photos at one size, uint8 `[n, 3, height, width]`.

        Args:
            preprocessing: Its `image_size` and way of resizing are used, its normalisation is not.

        Raises:
            DataError: As `images` does.
        """
        plain = replace(preprocessing, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
        images = torch.empty(len(self), 3, *preprocessing.image_size, dtype=torch.uint8)
        for row, image in enumerate(self.images()):
            images[row] = (prepare(image.pixels, plain)[0][0] * 255).round()
        return images


def targets(labels: Tensor | np.ndarray, num_classes: int) -> Float[Tensor, "batch classes"]:
    """Returns labels as a loss takes them: 1 for the classes of a photo, 0 for the others.

    Args:
        labels: As `LabelledImages.labels`, int64 `[batch]` or bool `[batch, classes]`.
        num_classes: How many there are.

    Raises:
        ShapeError: If the labels are for another number of classes.

    Examples:
        >>> targets(np.array([2, 0]), 3).tolist()
        [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
    """
    labels = torch.as_tensor(labels)
    if labels.ndim == 1 and (not len(labels) or 0 <= labels.min() <= labels.max() < num_classes):
        return F.one_hot(labels, num_classes).float()
    if labels.ndim == 2 and labels.shape[1] == num_classes:
        return labels.float()
    raise ShapeError(
        f"got labels of shape {list(labels.shape)} for {num_classes} classes; wanted "
        f"[batch] with values of 0 to {num_classes - 1}, or [batch, {num_classes}]"
    )
