"""Reading clips that anyone may have sent: bounded, recognised by content, upright, RGB."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tokenlearner.errors import ConfigError, MediaError, MediaTooLargeError, ShapeError
from tokenlearner.media.clip_files import open_clip
from tokenlearner.media.deadline import Deadline
from tokenlearner.media.frame_decoding import FrameDecoder, split_at_keys, useful_parts
from tokenlearner.media.frame_index import FrameIndex, index_frames
from tokenlearner.media.limits import DEFAULT_CLIP_LIMITS, ClipLimits
from tokenlearner.media.threads import side_by_side, within
from tokenlearner.media.video_frames import Layout

if TYPE_CHECKING:
    from av.video.frame import VideoFrame


@dataclass(frozen=True, kw_only=True, slots=True)
class ClipFacts:
    """What a clip is.

    Attributes:
        duration_s: From its first frame to the end of its last, of what the file really holds.
        fps: Frames per second, on average.
        width_px: As shown, upright.
        height_px: As shown, upright.
        codec: How its pictures are coded: `"h264"`, `"vp9"`, `"av1"`, `"mpeg4"`.
        container: The kind of file: `"MP4 video"`, `"Matroska or WebM video"`, `"GIF"`.
        has_audio: Whether there is sound, too.
        num_frames: In the file.
    """

    duration_s: float
    fps: float
    width_px: int
    height_px: int
    codec: str
    container: str
    has_audio: bool
    num_frames: int


@dataclass(frozen=True, eq=False, kw_only=True)
class Clip:
    """Some frames of a clip, ready to use.

    Attributes:
        frames: uint8 RGB [time, height, width, 3], upright, C-contiguous and read-only.
        times_s: When each frame is first shown, in seconds since the first frame of the file.
        facts: What the whole clip is.
        notes: What was done to show it, and what is missing, in plain words; empty for an ordinary
            clip.
    """

    frames: NDArray[np.uint8] = field(repr=False)
    times_s: NDArray[np.float64] = field(repr=False)
    facts: ClipFacts
    notes: tuple[str, ...] = ()

    @classmethod
    def of_frames(cls, frames: NDArray[np.uint8], *, fps: float) -> "Clip":
        """Makes a clip of frames that are in memory already.

        Args:
            frames: uint8 RGB [time, height, width, 3]; copied.
            fps: Frames per second.

        Raises:
            ConfigError: `fps` is not above 0.
            ShapeError: The frames are of another shape or type, or there are none.
        """
        if not 0 < fps < float("inf"):
            raise ConfigError(f"fps is {fps}; wanted a finite number above 0.")
        fps = float(fps)
        frames = np.array(frames, order="C")
        check_frames(frames)
        frames.flags.writeable = False
        count, height, width, _ = frames.shape
        facts = ClipFacts(
            duration_s=count / fps,
            fps=fps,
            width_px=width,
            height_px=height,
            codec="none",
            container="frames in memory",
            has_audio=False,
            num_frames=count,
        )
        return cls(frames=frames, times_s=np.arange(count) / fps, facts=facts)


def check_frames(frames: NDArray[np.uint8]) -> None:
    """Checks the frames of a clip.

    Raises:
        ShapeError: They are not uint8 RGB [time, height, width, 3], or there are none.
    """
    if frames.ndim != 4 or frames.shape[3] != 3 or frames.dtype != np.uint8 or not frames.size:
        raise ShapeError(
            f"Got {frames.dtype} frames of shape {list(frames.shape)}; wanted uint8 RGB "
            "[time, height, width, 3], at least one frame. Open a file with "
            "tokenlearner.read_clip."
        )


def probe(source: bytes | Path | str, *, limits: ClipLimits = DEFAULT_CLIP_LIMITS) -> ClipFacts:
    """Looks at a clip: counts its frames, and decodes the first.

    Args:
        source: The file's bytes, or its path.
        limits: What the clip may measure.

    Raises:
        MediaError: As `read_clip` does.
    """

    def look(deadline: Deadline) -> ClipFacts:
        index = index_of(source, limits, deadline)
        decoder = FrameDecoder(source, index, limits, deadline)
        return facts_of(index, Layout.of(next(decoder.frames([0])), index.pixel_aspect))

    return within(limits.max_wait_s, look)


def read_clip(
    source: bytes | Path | str,
    *,
    num_frames: int,
    start_s: float = 0.0,
    end_s: float | None = None,
    max_side_px: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    limits: ClipLimits = DEFAULT_CLIP_LIMITS,
) -> Clip:
    """Reads frames of an MP4, MOV, WebM, MKV, AVI or GIF clip, recognised by its content.

    The stretch is divided into `num_frames` equal parts, and the frame that is on the screen in the
    middle of each part is taken, whatever the clip's frame rate does. In a stretch of fewer frames
    some are taken more than once. Up to four parts of the clip are decoded at a time, each in a
    thread; never is more of it in memory than what is returned and a few frames of each decoder.

    Args:
        source: The file's bytes, or its path.
        num_frames: How many to read.
        start_s: Where the stretch begins, in seconds since the first frame.
        end_s: Where it ends; None is the end of the clip.
        max_side_px: Larger frames are reduced until neither side is above this.
        progress: Called with the number of frames read and of all, after each, from one thread at a
            time. What it raises ends the work, and is raised.
        limits: What the clip may measure and what reading it may cost.

    Raises:
        UnsupportedMediaError: The content is of another kind, or there are no pictures in it.
        MediaTooLargeError: The clip, or what was asked of it, is over a limit.
        CorruptMediaError: The file is broken, or cut off before its first frame.
        MediaTimeoutError: It takes longer than `limits.max_wait_s`.
        MediaError: There is no such file, the stretch lies outside of the clip, or PyAV is missing.
        ConfigError: `num_frames`, `max_side_px` or the stretch is impossible.
    """
    for name, value in (("num_frames", num_frames), ("max_side_px", max_side_px)):
        if value is not None and value < 1:
            raise ConfigError(f"{name} is {value}; wanted at least 1.")
    if num_frames > limits.max_frames:
        raise MediaTooLargeError(
            f"{num_frames:,} frames were asked for; no clip may have more than "
            f"{limits.max_frames:,}. Ask for fewer frames."
        )

    def read(deadline: Deadline) -> Clip:
        index = index_of(source, limits, deadline)
        end, end_note = end_of_stretch(index.duration_s, start_s, end_s)
        middles = start_s + (np.arange(num_frames) + 0.5) * ((end - start_s) / num_frames)
        places, repeats = np.unique(index.places_at(middles), return_counts=True)
        decoder = FrameDecoder(source, index, limits, deadline)
        parts = split_at_keys(index, places.tolist(), max_parts=useful_parts())
        decoded = decoder.frames_of_parts(parts)
        first = next(decoded[0])
        decoded[0] = chain([first], decoded[0])
        layout = Layout.of(first, index.pixel_aspect)
        width, height = layout.fit(max_side_px)
        _check_sampled(num_frames, width, height, limits)
        frames = np.empty((num_frames, height, width, 3), np.uint8)
        counter = _Counter(num_frames, progress)

        def fill(begin: int, times: list[int], pictures: Iterator["VideoFrame"]) -> None:
            for picture, copies in zip(pictures, times, strict=True):
                frames[begin : begin + copies] = layout.show(picture, (width, height))
                begin += copies
                counter.add(copies)

        tasks, number = [], 0
        for part, pictures in zip(parts, decoded, strict=True):
            times = repeats[number : number + len(part)].tolist()
            tasks.append(partial(fill, int(repeats[:number].sum()), times, pictures))
            number += len(part)
        side_by_side(tasks)
        frames.flags.writeable = False
        facts = facts_of(index, layout)
        return Clip(
            frames=frames,
            times_s=index.seconds(index.stamps[np.repeat(places, repeats)]),
            facts=facts,
            notes=(
                *layout.notes,
                *_notes_on_size(facts, width, height),
                *end_note,
                *_notes_on_loss(index, decoder.num_damaged),
                *_notes_on_repeats(len(places), num_frames),
            ),
        )

    return within(limits.max_wait_s, read)


class _Counter:
    """Counts the frames that several threads have read, and tells `progress` until it raises."""

    def __init__(self, total: int, progress: Callable[[int, int], None] | None) -> None:
        self._done, self._total, self._progress = 0, total, progress
        self._counting = threading.Lock()

    def add(self, number: int) -> None:
        with self._counting:
            self._done += number
            if self._progress is not None:
                # What it raises in one thread, it is not asked in another.
                progress, self._progress = self._progress, None
                progress(self._done, self._total)
                self._progress = progress


def index_of(source: bytes | Path | str, limits: ClipLimits, deadline: Deadline) -> FrameIndex:
    """Opens a clip only to index its frames."""
    with open_clip(source, limits, deadline) as clip:
        return index_frames(clip, limits)


def facts_of(index: FrameIndex, layout: Layout) -> ClipFacts:
    """What people want to know of a clip, from its index and the layout of its first frame."""
    return ClipFacts(
        duration_s=index.duration_s,
        fps=len(index.stamps) / index.duration_s,
        width_px=layout.width_px,
        height_px=layout.height_px,
        codec=index.codec,
        container=index.kind,
        has_audio=index.has_audio,
        num_frames=len(index.stamps),
    )


def end_of_stretch(
    duration_s: float, start_s: float, end_s: float | None
) -> tuple[float, tuple[str, ...]]:
    """Where a stretch of a clip really ends, and a note if that is not where it should.

    Raises:
        MediaError: It begins after the clip.
        ConfigError: It is empty or begins before the clip.
    """
    # Written so that NaN is refused, too.
    if not start_s >= 0 or (end_s is not None and not end_s > start_s):
        raise ConfigError(
            f"The section goes from {start_s:g} s to {end_s} s; wanted a start of at least 0 and "
            "an end after it."
        )
    if start_s >= duration_s:
        raise MediaError(
            f"The section begins at {start_s:g} s, but the clip lasts {duration_s:.2f} s. Begin "
            "earlier."
        )
    if end_s is None or end_s <= duration_s:
        return (duration_s if end_s is None else end_s), ()
    # A slider's rounding is not worth a note.
    is_rounding = end_s - duration_s < 0.1
    return duration_s, () if is_rounding else (f"the clip ends at {duration_s:.2f} s",)


def _check_sampled(num_frames: int, width: int, height: int, limits: ClipLimits) -> None:
    if num_frames * width * height > limits.max_sampled_pixels:
        raise MediaTooLargeError(
            f"{num_frames:,} frames of {width:,} × {height:,} px are "
            f"{num_frames * width * height / 1e6:,.0f} megapixels; the limit is "
            f"{limits.max_sampled_pixels / 1e6:,.0f}. Ask for fewer frames or smaller ones."
        )


def _notes_on_size(facts: ClipFacts, width: int, height: int) -> tuple[str, ...]:
    if (width, height) == (facts.width_px, facts.height_px):
        return ()
    return (f"reduced from {facts.width_px} × {facts.height_px} to {width} × {height} px",)


def _notes_on_loss(index: FrameIndex, num_damaged: int) -> tuple[str, ...]:
    notes = []
    if index.missing_s:
        promised_s = index.duration_s + index.missing_s
        notes.append(
            f"its pictures end after {index.duration_s:.2f} s, though the file says "
            f"{promised_s:.2f} s: it is cut off"
        )
    if num_damaged:
        notes.append(f"{num_damaged} damaged frame{'s' * (num_damaged > 1)} on the way")
    return tuple(notes)


def _notes_on_repeats(num_distinct: int, num_frames: int) -> tuple[str, ...]:
    if num_distinct == num_frames:
        return ()
    return (
        f"the section has {num_distinct} frame{'s' * (num_distinct > 1)} to choose from, so some "
        f"appear more than once among the {num_frames}",
    )
