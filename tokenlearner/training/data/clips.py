"""Labelled clips from class folders and CSV lists."""

import csv
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch

from tokenlearner.errors import DataError, MediaError
from tokenlearner.media.videos import Clip, probe, read_clip
from tokenlearner.modules.shapes import Tensor
from tokenlearner.preprocess import Preprocessing, prepare
from tokenlearner.training.data.files import (
    MAX_UNUSABLE,
    LabelledFiles,
    check_request,
    limit_unusable,
)
from tokenlearner.training.data.folder import CLIP_EXTENSIONS, read_folder
from tokenlearner.training.data.photos import PhotosInFolder

_CLASS, _CLASSES, _PATH, _SPLIT = "class", "classes", "path", "split"
_FRAMES_LOOKED_AT = 4

# All frames of a clip are in memory at once, so large ones are reduced: to a longer side of so many
# times what the model sees, which leaves frames up to 5:1 at least as fine as that.
FINENESS = 5


@dataclass(frozen=True, slots=True, eq=False)
class LabelledClips(LabelledFiles):
    """One split of a data set of clips."""

    things: ClassVar[str] = "clips"

    @staticmethod
    def decode(content: bytes) -> Clip:
        return read_clip(content, num_frames=_FRAMES_LOOKED_AT)

    def read(
        self,
        row: int,
        *,
        num_frames: int,
        start: float = 0.0,
        end: float = 1.0,
        max_side_px: int | None = None,
    ) -> Clip:
        """Returns frames of a clip, spread evenly over a stretch of it.

        Args:
            row: Which clip.
            num_frames: How many frames.
            start: Where the stretch that they are taken from begins, as a share of the duration.
            end: Where it ends.
            max_side_px: Larger frames are reduced until neither side is above this.

        Raises:
            DataError: If the clip is missing or corrupt; the message names its file.
        """
        if (start, end) == (0.0, 1.0):
            return self._read(row, num_frames, None, max_side_px)
        return self._read(
            row,
            num_frames,
            lambda duration_s: (start * duration_s, end * duration_s),
            max_side_px,
        )

    def read_at_rate(
        self,
        row: int,
        *,
        num_frames: int,
        frames_per_s: float,
        place: float = 0.5,
        max_side_px: int | None = None,
    ) -> Clip:
        """Returns frames of a clip at a fixed rate; a clip shorter than that is used whole.

        Args:
            row: Which clip.
            num_frames: How many frames.
            frames_per_s: How many of them come from each second.
            place: Where in the clip they lie: from 0, at its beginning, to 1, at its end.
            max_side_px: Larger frames are reduced until neither side is above this.

        Raises:
            DataError: As `read`.
        """

        def stretch(duration_s: float) -> tuple[float, float]:
            length_s = min(num_frames / frames_per_s, duration_s)
            start_s = place * (duration_s - length_s)
            return start_s, start_s + length_s

        return self._read(row, num_frames, stretch, max_side_px)

    def _read(
        self,
        row: int,
        num_frames: int,
        stretch: Callable[[float], tuple[float, float]] | None,
        max_side_px: int | None,
    ) -> Clip:
        """Reads a stretch, start and end in seconds, that depends on the clip's duration."""
        try:
            content = self._photos[row]
            start_s, end_s = 0.0, None
            if stretch is not None:
                start_s, end_s = stretch(probe(content).duration_s)
            return read_clip(
                content,
                num_frames=num_frames,
                start_s=start_s,
                end_s=end_s,
                max_side_px=max_side_px,
            )
        except MediaError as error:
            raise DataError(
                f"{self.source}: {self._photos.name(row)} is not a usable clip. {error}"
            ) from error

    def kinds(self) -> set[tuple[str, int, int]]:
        """Returns which codecs and sizes, height and width in pixels, there are."""
        facts = [probe(content) for content in self._photos]
        return {(clip.codec, clip.height_px, clip.width_px) for clip in facts}

    def stack(
        self, preprocessing: Preprocessing, *, num_frames: int, frames_per_s: float | None = None
    ) -> Tensor:
        """Returns all clips at one size, uint8 `[n, time, 3, height, width]`.

        Args:
            preprocessing: Its `image_size` and way of resizing are used, its normalisation is not.
            num_frames: Frames of each clip, evenly spaced in time.
            frames_per_s: How many of them come from each second, in the middle of the clip; None
                spreads them over the whole clip.

        Raises:
            DataError: As `read`.
        """
        plain = replace(preprocessing, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
        read = partial(self.read, num_frames=num_frames)
        if frames_per_s is not None:
            read = partial(self.read_at_rate, num_frames=num_frames, frames_per_s=frames_per_s)
        max_side_px = ample_side_px(preprocessing)
        size = (len(self), num_frames, 3, *preprocessing.image_size)
        clips = torch.empty(size, dtype=torch.uint8)
        for row in range(len(self)):
            for place, frame in enumerate(read(row, max_side_px=max_side_px).frames):
                clips[row, place] = (prepare(frame, plain)[0][0] * 255).round()
        return clips


def ample_side_px(preprocessing: Preprocessing) -> int:
    """Returns a longer side of frames that is as fine as a model needs, whatever their shape."""
    return FINENESS * round(max(preprocessing.image_size) / preprocessing.crop_ratio)


def read_clips(
    source: str | Path, split: str, *, max_unusable: float = MAX_UNUSABLE
) -> LabelledClips:
    """Reads one split of a data set of clips; none is decoded.

    Args:
        source: A folder with clips as `SPLIT/CLASS/NAME.mp4` (WebM, MKV, AVI, MOV or GIF as well);
            or a CSV file with the columns `path` (from the file's own folder), `class`, or
            `classes` with any number of names between semicolons, and, unless the whole file is
            one split, `split`.
        split: `train`, `val`, `test`, ...: as it is called there.
        max_unusable: Share of the clips that may be missing or corrupt, 0..1.

    Raises:
        DataError: If there is no such split or column, it is empty, or more clips than that are
            missing.
        ConfigError: If the split has no name or `max_unusable` is no share.
    """
    check_request(split, max_unusable)
    place = Path(source)
    if place.is_file() and place.suffix.lower() == ".csv":
        clips, labels, class_names, unusable = _read_list(place, split)
    elif (place / split).is_dir():
        clips, labels, class_names, unusable = read_folder(
            place / split, extensions=CLIP_EXTENSIONS, things="clips"
        )
    else:
        found = sorted(entry.name for entry in place.iterdir()) if place.is_dir() else []
        there = f"it holds {', '.join(found[:6])}"
        if not found:
            there = "there is no such folder"
            if place.exists():
                there = "it is empty" if place.is_dir() else "it is a file of another kind"
        raise DataError(
            f"{source} has no split {split!r}: wanted a folder {split} of class folders, or a CSV "
            f"file with the columns {_PATH} and {_CLASS}; {there}"
        )
    total = len(clips) + len(unusable)
    limit_unusable(str(source), unusable, total, max_unusable, things=LabelledClips.things)
    if not len(clips):
        raise DataError(f"{source} has a split {split!r}, but none of its clips can be used")
    return LabelledClips(str(source), clips, labels, class_names, tuple(unusable), max_unusable)


def _read_list(
    file: Path, split: str
) -> tuple[PhotosInFolder, np.ndarray, tuple[str, ...], list[str]]:
    try:
        with file.open(newline="", encoding="utf-8-sig") as lines:
            reader = csv.DictReader(lines, restval="")
            columns, rows = list(reader.fieldnames or ()), list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{file} cannot be read as a CSV list: {error}") from error
    column = _CLASSES if _CLASSES in columns else _CLASS
    if missing := sorted({_PATH, column} - set(columns)):
        raise DataError(
            f"{file} has no column {missing[0]!r}; it has {', '.join(columns) or 'none'}. Wanted "
            f"{_PATH}, and {_CLASS} or {_CLASSES}"
        )
    if _SPLIT in columns:
        splits = sorted({row[_SPLIT] for row in rows})
        # Classes are those of the whole list, so that all splits number them alike.
        names = sorted({name for row in rows for name in _names(row[column])})
        rows = [row for row in rows if row[_SPLIT] == split]
        if not rows:
            raise DataError(f"{file} has no split {split!r}; it has {', '.join(splits)}")
    else:
        names = sorted({name for row in rows for name in _names(row[column])})
    if not names:
        raise DataError(f"{file} names no class; wanted names in the column {column!r}")
    usable, sizes, unusable = [], [], []
    for row in rows:
        path = file.parent / row[_PATH]
        size = path.stat().st_size if path.is_file() else 0
        if size:
            usable.append(row)
            sizes.append(size)
        else:
            reason = "The file is empty" if path.is_file() else "There is no such file"
            unusable.append(f"{row[_PATH]}: {reason}")
    paths = np.array([os.fsencode(row[_PATH]) for row in usable], "S")
    clips = PhotosInFolder(file.parent, paths, np.array(sizes, np.int64))
    numbers = {name: number for number, name in enumerate(names)}
    found = [[numbers[name] for name in _names(row[column])] for row in usable]
    if column == _CLASSES:
        labels = np.zeros((len(usable), len(names)), bool)
        for row, classes in enumerate(found):
            labels[row, classes] = True
        return clips, labels, tuple(names), unusable
    for row, classes in zip(usable, found, strict=True):
        if len(classes) != 1:
            raise DataError(
                f"{file}: {row[_PATH]} has the class {row[column]!r}; wanted one name, or the "
                f"column {_CLASSES!r} for any number"
            )
    return clips, np.array(found, np.int64).reshape(-1), tuple(names), unusable


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(";") if name.strip()]
