"""Pictures to clips: H.264 in MP4, which every browser plays, VP9 in WebM, or GIF."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import chain, count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from tokenlearner.errors import ConfigError, ShapeError
from tokenlearner.media.clip_files import import_av
from tokenlearner.media.encoding import read_whole, spaced, within
from tokenlearner.media.gif_files import encode_gif
from tokenlearner.media.sound import Sound, SoundTrack
from tokenlearner.media.video_frames import BT709, LIMITED, rgb_to_encode

if TYPE_CHECKING:
    from av.container import OutputContainer
    from av.video.frame import VideoFrame

_LEAST_FPS, _MOST_FPS = 1e-4, 1000.0  # a frame in three hours; a slow-motion camera
_LATEST_S = 86_400.0

_Picture = TypeVar("_Picture")


@dataclass(frozen=True, kw_only=True, slots=True)
class _Coding:
    """FFmpeg's encoders of a kind of file, their options, and what they can take."""

    video: str
    max_side_px: int
    units_per_s: int  # of timestamps that follow no rate
    options: dict[str, str]
    audio: str
    container_options: dict[str, str]


_CODINGS = {
    "mp4": _Coding(
        video="libx264",
        max_side_px=16_384,
        units_per_s=90_000,
        options={"preset": "veryfast", "crf": "20"},
        audio="aac",
        container_options={"movflags": "faststart"},  # the index first: plays while it loads
    ),
    "webm": _Coding(
        video="libvpx-vp9",
        max_side_px=65_535,
        units_per_s=1000,
        options={"deadline": "realtime", "cpu-used": "8", "crf": "32", "b": "0", "row-mt": "1"},
        audio="libopus",
        container_options={},
    ),
}
VIDEO_KINDS = (*_CODINGS, "gif")
"""What `encode_video` can make."""


def encode_video(
    frames: Iterable[NDArray[np.uint8]],
    *,
    fps: float,
    times_s: Sequence[float] | None = None,
    end_s: float | None = None,
    kind: str = "mp4",
    sound: Sound | None = None,
    quick: bool = False,
    max_bytes: int | None = None,
) -> bytes:
    """Encodes frames as they come, one in memory at a time.

    MP4 and WebM want even sides: an odd one gets its last row or column twice. Frames that come
    faster than a kind of file can show them are left out: in a GIF those above 50 per second.

    Args:
        frames: uint8 RGB [height, width, 3], all of one size.
        fps: Frames per second; broadcast rates such as 29.97 are kept exactly in an MP4.
        times_s: When each frame is shown, ascending, where it is not at a constant rate; `fps`
            then only says how long the last one stays.
        end_s: Until when the last one stays, if that is longer; only with `times_s`.
        kind: One of `VIDEO_KINDS`: `"mp4"` (H.264), `"webm"` (VP9) or `"gif"`.
        sound: From `read_sound`; begins with the first frame. Not for GIF.
        quick: Encode H.264 about three times as fast, into a larger file.
        max_bytes: What the file may take; None for any size.

    Returns:
        The content of a file.

    Raises:
        ConfigError: There are no frames, or an option is impossible.
        ShapeError: A frame is of another shape, size or type.
        MediaTooLargeError: The file would be larger than `max_bytes`.
    """
    if kind not in VIDEO_KINDS:
        raise ConfigError(f"kind is {kind!r}; choose one of {', '.join(VIDEO_KINDS)}.")
    if kind == "gif" and sound is not None:
        raise ConfigError("A GIF has no sound. Choose mp4 or webm, or leave the sound out.")
    checked = _checked(frames)
    if kind == "gif":
        fps = _check_rate(fps, times_s, end_s)
        timed = _with_a_time_each(checked, times_s)
        return encode_gif(timed, fps, times_s, end_s, max_bytes)
    pictures = (rgb_to_encode(_even(frame)) for frame in checked)
    return encode_pictures(
        pictures,
        fps=fps,
        times_s=times_s,
        end_s=end_s,
        kind=kind,
        sound=sound,
        quick=quick,
        max_bytes=max_bytes,
    )


def encode_pictures(
    pictures: Iterable["VideoFrame"],
    *,
    fps: float,
    times_s: Sequence[float] | None = None,
    end_s: float | None = None,
    kind: str = "mp4",
    sound: Sound | None = None,
    quick: bool = False,
    max_bytes: int | None = None,
) -> bytes:
    """Encodes frames that have an encoder's format already, as `encode_video` does.

    Args:
        pictures: PyAV frames from `rgb_to_encode` or `Stretch.frames_to_encode`, at least one.
        fps: As `encode_video` has it, like all that follows.
        times_s: When each is shown.
        end_s: Until when the last one stays.
        kind: `"mp4"` or `"webm"`.
        sound: From `read_sound`.
        quick: Encode H.264 about three times as fast, into a larger file.
        max_bytes: What the file may take.

    Raises:
        ConfigError: An option is impossible.
        MediaTooLargeError: The file would be larger than `max_bytes`.
    """
    fps = _check_rate(fps, times_s, end_s)
    rest = _with_a_time_each(pictures, times_s)
    first = next(rest)
    coding = _CODINGS[kind]
    if max(first.width, first.height) > coding.max_side_px:
        raise ConfigError(
            f"The clip would be {first.width:,} × {first.height:,} px; a side of a {kind} has at "
            f"most {coding.max_side_px:,}. Reduce its frames first."
        )
    # The index can only be put first in a real file.
    with TemporaryDirectory() as folder:
        path = Path(folder, f"clip.{kind}")
        if quick and kind == "mp4":
            coding = replace(coding, options=coding.options | {"preset": "ultrafast"})
        with import_av().open(
            str(path), "w", format=kind, container_options=coding.container_options
        ) as out:
            size = first.width, first.height
            checked = within(chain([first], rest), path, max_bytes)
            _write(out, coding, checked, size, fps, times_s, end_s, sound)
        return read_whole(path, max_bytes)


def _check_rate(fps: float, times_s: Sequence[float] | None, end_s: float | None) -> float:
    if not fps > 0:
        raise ConfigError(f"fps is {fps}; wanted above 0.")
    if end_s is not None and not (times_s is not None and 0 <= end_s <= _LATEST_S):
        raise ConfigError(
            f"end_s is {end_s:g}; wanted from 0 to {_LATEST_S:g} s, and with times_s."
        )
    if times_s is not None:
        _check_times(times_s)
        fps = min(fps, _MOST_FPS)
    if not _LEAST_FPS <= fps <= _MOST_FPS:
        raise ConfigError(f"fps is {fps:g}; wanted from {_LEAST_FPS:g} to {_MOST_FPS:g}.")
    return fps


def _check_times(times_s: Sequence[float]) -> None:
    times = np.asarray(times_s, np.float64)
    # Written so that NaN is refused, too.
    is_ascending = len(times) and times[0] >= 0 and (np.diff(times) >= 0).all()
    if not is_ascending or times[-1] > _LATEST_S:
        raise ConfigError(
            f"times_s has {len(times)} times; wanted one for each frame, ascending from 0 or later "
            f"to at most {_LATEST_S:g} s."
        )


def _with_a_time_each(
    pictures: Iterable[_Picture], times_s: Sequence[float] | None
) -> Iterator[_Picture]:
    for index, picture in enumerate(pictures):
        if times_s is not None and index >= len(times_s):
            raise ConfigError(
                f"times_s has {len(times_s)} times, and there are more frames than that; wanted "
                "one for each frame."
            )
        yield picture


def _checked(frames: Iterable[NDArray[np.uint8]]) -> Iterator[NDArray[np.uint8]]:
    shape: tuple[int, ...] | None = None
    for frame in frames:
        if frame.ndim != 3 or frame.shape[2] != 3 or frame.dtype != np.uint8 or not frame.size:
            raise ShapeError(
                f"Got a {frame.dtype} frame of shape {list(frame.shape)}; wanted uint8 RGB "
                "[height, width, 3]. Convert it first."
            )
        shape = shape or frame.shape
        if frame.shape != shape:
            raise ShapeError(
                f"Got a frame of {frame.shape[1]} × {frame.shape[0]} px after one of {shape[1]} × "
                f"{shape[0]} px; wanted one size. Resize them first."
            )
        yield frame
    if shape is None:
        raise ConfigError("There are no frames to make a clip of; wanted at least one.")


def _even(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width, _ = frame.shape
    return np.pad(frame, [(0, height % 2), (0, width % 2), (0, 0)], "edge")


def _write(
    out: "OutputContainer",
    coding: _Coding,
    pictures: Iterable["VideoFrame"],
    size: tuple[int, int],
    fps: float,
    times_s: Sequence[float] | None,
    end_s: float | None,
    sound: Sound | None,
) -> None:
    from av.video.frame import PictureType

    # Kept exact are 30000/1001 frames per second as well as one frame per 3600 seconds.
    slow = fps < 1
    rate = Fraction(1 / fps if slow else fps).limit_denominator(1001) ** (-1 if slow else 1)
    unit = 1 / rate if times_s is None else Fraction(1, coding.units_per_s)
    stream: Any = out.add_stream(coding.video, rate=rate, options=coding.options)
    context = stream.codec_context
    context.width, context.height = size
    context.time_base, context.pix_fmt = unit, "yuv420p"
    context.gop_size = max(1, round(rate))  # a key frame each second: players jump to any place
    context.colorspace = context.color_primaries = context.color_trc = BT709
    context.color_range = LIMITED
    track = None if sound is None else SoundTrack(out, coding.audio, sound)
    stamps = count() if times_s is None else (round(time / unit) for time in times_s)
    timed = zip(pictures, stamps, strict=False)
    last = None
    if times_s is not None and end_s is not None:
        again_s = end_s - 1 / fps
        if again_s - times_s[-1] > 0.5 / fps:  # less is how unevenly frames come
            last = len(times_s) - 1, round(again_s / unit)
    for picture, stamp in spaced(_with_last_again(timed, last), 1):
        picture.pts, picture.time_base = stamp, unit
        picture.pict_type = PictureType.NONE  # a decoded one still says what it was in its file
        out.mux(stream.encode(picture))
        if track:
            track.write_until(float(stamp * unit))
    out.mux(stream.encode())
    if track:
        track.finish()


def _with_last_again(
    timed: Iterable[tuple["VideoFrame", int]], last: tuple[int, int] | None
) -> Iterator[tuple["VideoFrame", int]]:
    """Shows the last frame once more, as none stays longer than the rate says.

    Args:
        timed: Frames, and when each is shown.
        last: Which is the last, and when to show it again; None for not at all.
    """
    for number, (picture, stamp) in enumerate(timed):
        yield picture, stamp
        if last is not None and number == last[0]:
            yield picture, last[1]
