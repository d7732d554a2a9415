"""A clip seen several times: frames at other moments, crops at other places, answers averaged."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch

from tokenlearner.errors import ConfigError, DataError
from tokenlearner.modules.shapes import Float, Tensor
from tokenlearner.preprocess import Preprocessing, prepare
from tokenlearner.training.data import LabelledClips


@dataclass(frozen=True, kw_only=True, slots=True)
class Views:
    """How often a clip is looked at; the model's answers (logits) are averaged.

    The papers' "x 12" is 4 temporal times 3 spatial views.

    Attributes:
        temporal: Sets of frames. Each is evenly spaced over the whole clip; from one to the next
            all frames move by the same part of a gap.
        spatial: Crops side by side along the longer side of the frame.
    """

    temporal: int = 1
    spatial: int = 1

    def __post_init__(self) -> None:
        if self.temporal < 1 or self.spatial < 1:
            raise ConfigError(
                f"{self.temporal} temporal and {self.spatial} spatial views; wanted 1 or more"
            )

    @property
    def count(self) -> int:
        """Views of a clip."""
        return self.temporal * self.spatial


def iter_views(
    data: LabelledClips, preprocessing: Preprocessing, num_frames: int, views: Views
) -> Iterator[Float[Tensor, "views 3 time height width"]]:
    """Yields every clip as a model's input, once for each view.

    Raises:
        DataError: If there are no clips, or one cannot be decoded.
        ConfigError: If several crops are asked of a model that takes the whole frame.
    """
    if not len(data):
        raise DataError(f"{data.source} holds no clips; nothing to measure")
    if views.spatial > 1 and preprocessing.resize != "crop":
        raise ConfigError(
            f"{views.spatial} spatial views of a model that takes the whole frame, squashed; "
            "wanted 1"
        )
    for clip in data.clips(num_frames=num_frames * views.temporal):
        crops = [
            torch.cat([prepare(frame[window], options)[0] for frame in clip.frames])
            for window, options in _windows(clip.frames.shape[1:3], preprocessing, views.spatial)
        ]
        yield torch.stack(
            [
                crop[first :: views.temporal].transpose(0, 1)
                for first in range(views.temporal)
                for crop in crops
            ]
        )


def _windows(
    size: tuple[int, int], preprocessing: Preprocessing, count: int
) -> Iterator[tuple[tuple[slice, slice], Preprocessing]]:
    """Yields parts of a frame, and how each is prepared."""
    if count == 1:
        yield (slice(None), slice(None)), preprocessing
        return
    height, width = size
    wanted_height, wanted_width = preprocessing.image_size
    scale = min(height / wanted_height, width / wanted_width)
    window = (round(wanted_height * scale), round(wanted_width * scale))
    whole = replace(preprocessing, crop_ratio=1.0)
    for share in np.linspace(0, 1, count):
        top, left = (round(share * (side - part)) for side, part in zip(size, window, strict=True))
        yield (slice(top, top + window[0]), slice(left, left + window[1])), whole
