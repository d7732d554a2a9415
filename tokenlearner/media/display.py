"""A stretch of a clip as a page can play it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from tokenlearner.media.deadline import Deadline
from tokenlearner.media.limits import DEFAULT_CLIP_LIMITS, ClipLimits
from tokenlearner.media.sound import read_sound
from tokenlearner.media.stretches import read_stretch
from tokenlearner.media.threads import within
from tokenlearner.media.video_files import encode_pictures

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

# Of a file that goes to the page as it is.
_MAX_BYTES = 16 * 2**20
_MAX_SIDE_PX = 1920


def display_clip(
    source: bytes | Path | str,
    *,
    start_s: float = 0.0,
    end_s: float | None = None,
    max_side_px: int = 960,
    with_sound: bool = False,
    max_bytes: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    limits: ClipLimits = DEFAULT_CLIP_LIMITS,
) -> bytes:
    """Makes a clip that every browser plays, upright and small enough for a page.

    Second t of it shows second `start_s` + t of the original, frame by frame. A file that does that
    already is returned unchanged, with the sound that it has, up to Full HD and 16 MB: that saves
    the seconds that encoding takes.

    Args:
        source: The file's bytes, or its path.
        start_s: Where the stretch begins, in seconds since the first frame.
        end_s: Where it ends; None is the end of the clip.
        max_side_px: In a new file, larger frames are reduced until neither side is above this.
        with_sound: Whether a new file has the original's sound.
        max_bytes: What a new file may take; None for any size.
        progress: Called with the number of frames done and of all, before each of a new file.
            What it raises ends the work, and is raised.
        limits: What the clip may measure and what reading and writing it may cost.

    Returns:
        The content of an MP4 file with H.264; or of the original, which may be a WebM with VP9.

    Raises:
        MediaError: As `read_clip` does, or a new file would be larger than `max_bytes`.
        ConfigError: The stretch is impossible.
    """

    def make(deadline: Deadline) -> bytes:
        stretch = read_stretch(
            source, start_s=start_s, end_s=end_s, max_side_px=max_side_px, limits=limits
        )
        if (
            stretch.is_playable
            and max(stretch.facts.width_px, stretch.facts.height_px) <= _MAX_SIDE_PX
        ):
            if isinstance(source, bytes):
                if len(source) <= _MAX_BYTES:
                    return source
            elif Path(source).stat().st_size <= _MAX_BYTES:
                return Path(source).read_bytes()
        sound = None
        if with_sound:
            sound = read_sound(source, start_s=start_s, end_s=stretch.end_s, limits=limits)

        def frames_in_time() -> Iterator["VideoFrame"]:
            for number, frame in enumerate(stretch.frames_to_encode()):
                deadline.check()
                if progress is not None:
                    progress(number, len(stretch.times_s))
                yield frame

        return encode_pictures(
            frames_in_time(),
            fps=stretch.facts.fps,
            times_s=(stretch.times_s - start_s).tolist(),
            end_s=stretch.end_s - start_s,
            sound=sound,
            quick=True,
            max_bytes=max_bytes,
        )

    deadline = Deadline(
        limits.max_wait_s, "Preparing the clip for the screen", "Choose a shorter section of it."
    )
    return within(deadline, make)
