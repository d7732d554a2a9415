"""Opening clips that anyone may have sent: recognised by content, bounded, nothing decoded yet."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedIOBase, BytesIO
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from tokenlearner.errors import (
    CorruptMediaError,
    MediaError,
    MediaTooLargeError,
    UnsupportedMediaError,
)
from tokenlearner.media.deadline import Deadline
from tokenlearner.media.limits import ClipLimits
from tokenlearner.media.recognition import HEAD_BYTES, recognise, with_article

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

# The demuxer is named, never guessed: FFmpeg also knows playlists, which open other files.
_DEMUXERS = {
    "MP4 video": "mov",
    "QuickTime video": "mov",
    "Matroska or WebM video": "matroska",
    "AVI video": "avi",
    "GIF": "gif",
}
CLIP_KINDS = frozenset(_DEMUXERS)
"""Kinds of files that can be clips, as `recognise` names them."""

_CODECS = {"av1", "gif", "h264", "hevc", "mjpeg", "mpeg4", "vp8", "vp9"}
_WANTED = "MP4, MOV, WebM, MKV, AVI or GIF"


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class OpenClip:
    """A clip's container and the video stream in it, and what its header says.

    Attributes:
        container: As PyAV opened it.
        stream: The one with the pictures.
        kind: File type, as `recognise` names it.
    """

    container: "InputContainer"
    stream: "VideoStream"
    kind: str


def import_av() -> ModuleType:
    """Imports PyAV, which only clips need.

    Raises:
        MediaError: It is not installed.
    """
    try:
        import av
    except ImportError as error:
        raise MediaError(
            "Clips need the package av (PyAV), which is not installed here. Install it with: "
            "pip install av"
        ) from error
    return av


@contextmanager
def open_clip(
    source: bytes | Path | str, limits: ClipLimits, deadline: Deadline
) -> Iterator[OpenClip]:
    """Opens a clip as far as its header.

    Raises:
        UnsupportedMediaError: The content is of another kind, there are no pictures in it, or they
            are coded in an unusual way.
        MediaTooLargeError: The file or its frames are over a limit.
        CorruptMediaError: The header is broken or missing.
        MediaError: There is no such file, or PyAV is not installed.
    """
    av = import_av()
    with _open_bytes(source, limits) as file:
        kind = _require_clip(file.read(HEAD_BYTES))
        file.seek(0)
        try:
            container: InputContainer = av.open(
                _TimedFile(file, deadline), format=_DEMUXERS[kind], metadata_errors="ignore"
            )
        except (av.FFmpegError, ValueError) as error:
            raise CorruptMediaError(
                f"The file begins like {with_article(kind)}, but it cannot be opened: its index or "
                "header is missing or broken, as when a recording or download was cut off. Get a "
                "complete copy and try again."
            ) from error
        with container:
            stream = _find_pictures(container, kind)
            check_size(stream.width, stream.height, limits)
            yield OpenClip(container=container, stream=stream, kind=kind)


@contextmanager
def _open_bytes(source: bytes | Path | str, limits: ClipLimits) -> Iterator[BufferedIOBase]:
    if isinstance(source, bytes):
        _check_bytes(len(source), limits)
        yield BytesIO(source)
        return
    if not isinstance(source, str | Path):
        raise MediaError(
            f"Got a {type(source).__name__}; wanted a clip: a file's path, or its bytes."
        )
    path = Path(source)
    try:
        # A pipe or device would be waited for, or never end.
        if not stat.S_ISREG(path.stat().st_mode):
            raise MediaError(f"{str(source)!r} is not a file. Give the path of a clip.")
        file = path.open("rb")
    except (OSError, ValueError) as error:  # no path has a zero in it
        reason = getattr(error, "strerror", None) or error
        raise MediaError(
            f"{str(source)!r} cannot be read ({reason}). Give the path of a clip."
        ) from error
    with file:
        _check_bytes(os.fstat(file.fileno()).st_size, limits)
        yield file


def _check_bytes(num_bytes: int, limits: ClipLimits) -> None:
    if num_bytes > limits.max_bytes:
        raise MediaTooLargeError(
            f"The file has {num_bytes / 2**20:,.1f} MB; the limit is "
            f"{limits.max_bytes / 2**20:g} MB. Cut or save the clip smaller and try again."
        )


def _require_clip(head: bytes) -> str:
    if not head:
        raise UnsupportedMediaError(f"The file is empty (0 bytes). Choose a clip: {_WANTED}.")
    kind = recognise(head)
    if kind in _DEMUXERS:
        return kind
    if kind is None:
        raise UnsupportedMediaError(
            f"The file's content is not that of a clip. Choose one in {_WANTED}."
        )
    if kind.endswith("video"):
        raise UnsupportedMediaError(
            f"The file's content is {with_article(kind)}, which is not supported. Save the clip as "
            f"{_WANTED} and try again.",
            kind=kind,
        )
    raise UnsupportedMediaError(
        f"The file's content is {with_article(kind)}, not a clip. Choose one in {_WANTED}.",
        kind=kind,
    )


def _find_pictures(container: "InputContainer", kind: str) -> "VideoStream":
    # Cover art of music is a video stream, too, by FFmpeg's reckoning.
    cover = import_av().stream.Disposition.attached_pic
    streams = [stream for stream in container.streams.video if not stream.disposition & cover]
    if not streams:
        what = "sound" if container.streams.audio else "neither pictures nor sound"
        raise UnsupportedMediaError(
            f"This {kind} has {what}{', but no pictures' * (what == 'sound')}. Choose a clip with "
            "a video stream."
        )
    stream = streams[0]
    codec = stream.codec.canonical_name if stream.codec_context else "unknown"
    if codec not in _CODECS:
        raise UnsupportedMediaError(
            f"The pictures of this {kind} are coded as {codec}, which is not supported. Save the "
            "clip with H.264, VP9 or AV1 and try again."
        )
    return stream


def check_size(width: int, height: int, limits: ClipLimits) -> None:
    """Checks the size of a frame as it is stored.

    Raises:
        CorruptMediaError: There is no size.
        MediaTooLargeError: It is over the limit.
    """
    if min(width, height) < 1:
        raise CorruptMediaError(
            f"The clip's header gives its size as {width} × {height} px. Get another copy of it."
        )
    if width * height > limits.max_pixels:
        raise MediaTooLargeError(
            f"The clip's frames have {width * height / 1e6:,.1f} megapixels ({width:,} × "
            f"{height:,} px); the limit is {limits.max_pixels / 1e6:.3g} megapixels. Save it "
            "smaller and try again."
        )


class _TimedFile:
    """A file that stops giving bytes at the deadline, which ends whatever demuxer reads it."""

    def __init__(self, file: BufferedIOBase, deadline: Deadline) -> None:
        self._file, self._deadline = file, deadline

    def read(self, size: int) -> bytes:
        self._deadline.check()
        return self._file.read(size)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()
