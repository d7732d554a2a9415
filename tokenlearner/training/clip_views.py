"""A clip seen several times: frames at other moments, crops at other places, answers averaged."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from tokenlearner.errors import ConfigError, DataError
from tokenlearner.modules.shapes import Float, Tensor
from tokenlearner.preprocess import Preprocessing, prepare
from tokenlearner.training.data import LabelledClips
from tokenlearner.training.data.clips import ample_side_px


@dataclass(frozen=True, kw_only=True, slots=True)
class Views:
    """How often a clip is looked at; the model's answers (logits) are averaged.

    The papers' "x 12" is 4 temporal times 3 spatial views.

    Attributes:
        temporal: Sets of frames. Each is evenly spaced over the whole clip; from one to the next
            all frames move by the same part of a gap.
        spatial: Crops side by side along the longer side of the frame.
        frames_per_s: How many frames of a set come from each second; None spreads them over the
            whole clip. The sets then lie evenly from the beginning of the clip to its end, a single
            one in its middle.
    """

    temporal: int = 1
    spatial: int = 1
    frames_per_s: float | None = None

    def __post_init__(self) -> None:
        if self.temporal < 1 or self.spatial < 1:
            raise ConfigError(
                f"{self.temporal} temporal and {self.spatial} spatial views; wanted 1 or more"
            )
        if self.frames_per_s is not None and not self.frames_per_s > 0:
            raise ConfigError(f"{self.frames_per_s:g} frames per second; wanted more than 0")

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
    for row in range(len(data)):
        inputs = []
        max_side_px = ample_side_px(preprocessing)
        for frames in _sets_of_frames(data, row, num_frames, views, max_side_px):
            size = frames.shape[1:3]
            for window, options in _windows(size, preprocessing, views.spatial):
                pictures = [prepare(frame[window], options)[0] for frame in frames]
                inputs.append(torch.cat(pictures).transpose(0, 1))
        yield torch.stack(inputs)


def _sets_of_frames(
    data: LabelledClips, row: int, num_frames: int, views: Views, max_side_px: int
) -> Iterator[NDArray[np.uint8]]:
    """Yields the frames, RGB `[time, height, width, 3]`, of each temporal view of a clip."""
    if views.frames_per_s is None:
        clip = data.read(row, num_frames=num_frames * views.temporal, max_side_px=max_side_px)
        for first in range(views.temporal):
            yield clip.frames[first :: views.temporal]
        return
    places = np.linspace(0, 1, views.temporal) if views.temporal > 1 else np.array([0.5])
    for place in places.tolist():
        yield data.read_at_rate(
            row,
            num_frames=num_frames,
            frames_per_s=views.frames_per_s,
            place=place,
            max_side_px=max_side_px,
        ).frames


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
