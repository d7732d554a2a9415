"""Decoding chosen frames of a clip, and as few of the others as can be."""

import os
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain, pairwise
from multiprocessing import parent_process
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tokenlearner.errors import CorruptMediaError, MediaTooLargeError
from tokenlearner.media.clip_files import OpenClip, check_size, import_av, open_clip
from tokenlearner.media.deadline import Deadline
from tokenlearner.media.frame_index import FrameIndex
from tokenlearner.media.limits import ClipLimits

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

JUMP_FRAMES = 5
"""A jump is made if it saves decoding more frames than this; measured by benchmarks/clips.py."""

_MAX_PARTS = 4
_MIN_PART_FRAMES = 16  # for fewer, opening the clip once more takes longer than it saves

# Their decoders look at `skip_frame` packet by packet. AV1's looks once, VP9's not at all.
_CAN_SKIP = {"h264", "hevc", "mpeg4"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """Frames that are decoded in one go.

    Attributes:
        start: Place of the frame that it begins with: 0, or a key frame.
        places: Places of the frames that are wanted, ascending.
    """

    start: int
    places: tuple[int, ...]


def plan_runs(
    index: FrameIndex, places: Sequence[int], *, jump_frames: int = JUMP_FRAMES
) -> list[Run]:
    """Groups wanted frames so that a jump is made wherever it saves time.

    Args:
        index: Where the clip's key frames are.
        places: The wanted frames, ascending.
        jump_frames: Only to save decoding more frames than this.
    """
    runs: list[tuple[int, list[int]]] = []
    position = 0  # of the frame that would be decoded next
    for place in places:
        before = np.searchsorted(index.keys, place, side="right")
        key = int(index.keys[before - 1]) if before and not index.is_stored_in_order else 0
        saves_time = key - position > jump_frames
        if saves_time or not runs:
            runs.append((key if saves_time else 0, []))
        runs[-1][1].append(place)
        position = place + 1
    return [Run(start=start, places=tuple(wanted)) for start, wanted in runs]


def split_at_keys(
    index: FrameIndex, places: Sequence[int], *, max_parts: int
) -> list[Sequence[int]]:
    """Divides wanted frames into parts to be decoded side by side, each from a key frame on.

    Args:
        index: Where the clip's key frames are.
        places: The wanted frames, ascending, at least one.
        max_parts: It becomes fewer where key frames are rare, or where little is to be decoded.

    Returns:
        The parts in order, as equal in length as the key frames allow.
    """
    span = places[-1] - places[0]
    num_parts = min(max_parts, span // _MIN_PART_FRAMES)
    cuts = {0, len(places)}
    if num_parts > 1 and len(index.keys) and not index.is_stored_in_order:
        for edge in places[0] + np.arange(1, num_parts) * span / num_parts:
            key = index.keys[np.abs(index.keys - edge).argmin()]
            cuts.add(int(np.searchsorted(places, key)))
    return [places[begin:end] for begin, end in pairwise(sorted(cuts))]


def useful_parts() -> int:
    """How many parts of a clip this process may decode side by side: one for each of its cores."""
    if parent_process() is not None:  # the others of a data loader use the other cores
        return 1
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return min(_MAX_PARTS, cores or 1)


class FrameDecoder:
    """Decodes frames of one clip.

    Args:
        source: The file's bytes, or its path.
        index: Frame index of that clip.
        limits: Limits on what may be decoded.
        deadline: For all of it.
        jump_frames: As `plan_runs` has it.

    Attributes:
        num_damaged: Frames so far that were wanted or needed, and broken.
        num_decoded: Frames so far, whoever wanted them.
    """

    def __init__(
        self,
        source: bytes | Path | str,
        index: FrameIndex,
        limits: ClipLimits,
        deadline: Deadline,
        *,
        jump_frames: int = JUMP_FRAMES,
    ) -> None:
        self.num_damaged = self.num_decoded = 0
        self._counting = threading.Lock()
        self._jump_frames = jump_frames
        self._source, self._index = source, index
        self._limits, self._deadline = limits, deadline
        self._counts = index.is_stored_in_order

    def frames(self, places: Sequence[int]) -> Iterator["VideoFrame"]:
        """Decodes the frames at these places of the index, ascending and each once.

        In place of a frame that cannot be decoded comes the one before it, which a player would
        leave on the screen.

        Raises:
            MediaTooLargeError: Too many frames would have to be decoded, or one is too large.
            CorruptMediaError: Nothing can be decoded.
        """
        (frames,) = self.frames_of_parts([places])
        return frames

    def frames_of_parts(self, parts: Sequence[Sequence[int]]) -> list[Iterator["VideoFrame"]]:
        """Does the same for each of the parts; every iterator may run in a thread of its own.

        Raises:
            MediaTooLargeError: Too many frames would have to be decoded for all of them.
        """
        plans = [plan_runs(self._index, part, jump_frames=self._jump_frames) for part in parts]
        num_frames = sum(run.places[-1] - run.start + 1 for run in chain.from_iterable(plans))
        self._check_number(num_frames)
        return [self._decode(plan) for plan in plans]

    def _decode(self, runs: Sequence[Run]) -> Iterator["VideoFrame"]:
        with self._open() as clip:
            for run in runs:
                try:
                    yield from self._decode_run(clip, run)
                except _MissedError:  # before it yielded anything
                    with self._open() as afresh:
                        yield from self._decode_run(afresh, replace(run, start=0))

    @contextmanager
    def _open(self) -> Iterator[OpenClip]:
        with open_clip(self._source, self._limits, self._deadline) as clip:
            # Whole frames in parallel would make every jump wait for them, and wins nothing else.
            clip.stream.codec_context.thread_type = "SLICE"
            yield clip

    def _decode_run(self, clip: OpenClip, run: Run) -> Iterator["VideoFrame"]:
        stamps = self._index.stamps
        pending = deque(stamps[list(run.places)].tolist())
        previous: VideoFrame | None = None
        for number, frame in enumerate(self._decode_from(clip, run.start, set(pending))):
            stamp = stamps[min(number, len(stamps) - 1)] if self._counts else frame.pts
            if stamp is None:
                continue
            if run.start and previous is None and stamp > pending[0]:
                raise _MissedError
            while pending and pending[0] <= stamp:
                is_shown = pending.popleft() == stamp or previous is None
                shown = frame if is_shown or previous is None else previous
                if shown.is_corrupt or not is_shown:
                    self._count_damaged()
                yield shown
            if not pending:
                return
            previous = frame
        if previous is None and run.start:
            raise _MissedError
        if previous is None:
            raise CorruptMediaError(
                "Not one of the clip's frames can be decoded: the file is broken. Get a complete "
                "copy and try again."
            )
        for _ in pending:
            self._count_damaged()
            yield previous

    def _check_number(self, num_frames: int) -> None:
        if num_frames > self._limits.max_decoded_frames:
            raise MediaTooLargeError(
                f"{num_frames:,} frames of this clip would have to be decoded; the limit is "
                f"{self._limits.max_decoded_frames:,}. Choose a shorter section of it."
            )

    def _count_decoded(self) -> None:
        with self._counting:
            self.num_decoded += 1
        self._check_number(self.num_decoded)  # jumps that missed cost more than was planned

    def _count_damaged(self) -> None:
        with self._counting:
            self.num_damaged += 1

    def _decode_from(self, clip: OpenClip, start: int, wanted: set[int]) -> Iterator["VideoFrame"]:
        """Decodes from a place on, without those frames that nobody wants or needs."""
        broken = import_av().FFmpegError
        context = clip.stream.codec_context
        can_skip = self._index.codec in _CAN_SKIP and not self._counts
        if start:
            try:
                clip.container.seek(int(self._index.stamps[start]), stream=clip.stream)
            except broken as error:
                raise _MissedError from error
        packets = clip.container.demux(clip.stream)
        while True:
            self._deadline.check()
            try:
                packet = next(packets, None)
            except broken:
                packet = None
            is_last = packet is None or (packet.pts is None and not packet.size)
            if can_skip and packet is not None:
                context.skip_frame = "DEFAULT" if packet.pts in wanted else "NONREF"
            try:
                decoded = context.decode(packet)  # at last, what the decoder still holds back
            except broken:
                self._count_damaged()
                decoded = []
            for frame in decoded:
                check_size(frame.width, frame.height, self._limits)
                self._count_decoded()
                yield frame
            if is_last:
                return


class _MissedError(Exception):
    """A jump did not arrive at or before the frame that it was made for."""
