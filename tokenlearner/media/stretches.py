"""A stretch of a clip, every frame of it, one at a time."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from tokenlearner.media.deadline import Deadline
from tokenlearner.media.frame_decoding import FrameDecoder
from tokenlearner.media.frame_index import FrameIndex
from tokenlearner.media.limits import DEFAULT_CLIP_LIMITS, ClipLimits
from tokenlearner.media.threads import ahead, within
from tokenlearner.media.video_frames import Layout
from tokenlearner.media.videos import ClipFacts, end_of_stretch, facts_of, index_of

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

_PLAYABLE = {
    ("MP4 video", "h264"),
    ("MP4 video", "vp9"),
    ("Matroska or WebM video", "vp9"),
}

_AHEAD = 3  # frames that are decoded while one is worked on
_STARTS_AT_ONCE_S = 1e-3

_Picture = TypeVar("_Picture")


@dataclass(frozen=True, eq=False, kw_only=True)
class Stretch:
    """All frames of a part of a clip.

    Attributes:
        facts: What the whole clip is.
        shown_s: When each frame comes on the screen in the file, in seconds since its first frame;
            the first of the stretch may do so before the stretch begins.
        start_s: Where it begins.
        end_s: Where it ends.
        width_px: Width of the frames as decoded.
        height_px: Height of the frames as decoded.
    """

    facts: ClipFacts
    shown_s: NDArray[np.float64] = field(repr=False)
    start_s: float
    end_s: float
    width_px: int
    height_px: int
    _source: bytes | Path | str = field(repr=False)
    _limits: ClipLimits = field(repr=False)
    _index: FrameIndex = field(repr=False)
    _layout: Layout = field(repr=False)
    _places: range = field(repr=False)

    @property
    def times_s(self) -> NDArray[np.float64]:
        """The same as `shown_s` within the stretch, whose first frame comes when it begins."""
        return np.maximum(self.shown_s, self.start_s)

    @property
    def is_playable(self) -> bool:
        """Whether the file is all of this stretch, and every browser plays it upright."""
        index = self._index
        return (
            (index.kind, index.codec) in _PLAYABLE
            and index.pixel_format in ("yuv420p", "yuvj420p")
            and not self._layout.notes
            and not index.missing_s
            and len(self._places) == len(index.stamps)
            and self.start_s == 0  # a first frame that lasts long may be cut
            # A browser's clock is the file's own, on which the first frame may come later.
            and abs(int(index.stamps[0])) * index.unit_s < _STARTS_AT_ONCE_S
        )

    def frames(self) -> Iterator[NDArray[np.uint8]]:
        """Decodes the frames, a few ahead: uint8 RGB [height, width, 3], upright.

        The file stays open until the last one is taken or the iterator is closed.

        Raises:
            MediaError: As `read_clip` does; the time limit is for each frame.
        """
        size = self.width_px, self.height_px
        return self._converted(lambda frame: self._layout.show(frame, size))

    def frames_to_encode(self) -> Iterator["VideoFrame"]:
        """The same for `encode_pictures`; an odd side gets a pixel more.

        Raises:
            MediaError: As `frames` does.
        """
        size = self.width_px + self.width_px % 2, self.height_px + self.height_px % 2
        return self._converted(lambda frame: self._layout.to_encode(frame, size))

    def _converted(self, convert: Callable[["VideoFrame"], _Picture]) -> Iterator[_Picture]:
        deadline = Deadline(self._limits.max_wait_s)
        decoder = FrameDecoder(self._source, self._index, self._limits, deadline)
        return ahead(map(convert, decoder.frames(self._places)), _AHEAD, deadline)


def read_stretch(
    source: bytes | Path | str,
    *,
    start_s: float = 0.0,
    end_s: float | None = None,
    max_side_px: int | None = None,
    limits: ClipLimits = DEFAULT_CLIP_LIMITS,
) -> Stretch:
    """Looks a stretch of a clip up, so that its frames can be read one after the other.

    Args:
        source: The file's bytes, or its path.
        start_s: Where the stretch begins, in seconds since the first frame.
        end_s: Where it ends; None is the end of the clip.
        max_side_px: Larger frames are reduced until neither side is above this.
        limits: What the clip may measure and what reading it may cost.

    Raises:
        MediaError: As `read_clip` does.
        ConfigError: The stretch is impossible.
    """

    def look(deadline: Deadline) -> Stretch:
        index = index_of(source, limits, deadline)
        end, _ = end_of_stretch(index.duration_s, start_s, end_s)
        first = next(FrameDecoder(source, index, limits, deadline).frames([0]))
        layout = Layout.of(first, index.pixel_aspect)
        width, height = layout.fit(max_side_px)
        stamps_s = index.seconds(index.stamps)
        (begin,) = index.places_at(np.array([start_s])).tolist()
        places = range(begin, max(begin + 1, int(np.searchsorted(stamps_s, end - 1e-9))))
        return Stretch(
            facts=facts_of(index, layout),
            shown_s=stamps_s[places.start : places.stop],
            start_s=start_s,
            end_s=end,
            width_px=width,
            height_px=height,
            _source=source,
            _limits=limits,
            _index=index,
            _layout=layout,
            _places=places,
        )

    return within(limits.max_wait_s, look)
