"""Pictures to an animated GIF."""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from tokenlearner.errors import ConfigError
from tokenlearner.media.clip_files import import_av
from tokenlearner.media.encoding import read_whole, spaced, within

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

_UNITS_PER_S = 100
_SHORTEST_FRAME, _LONGEST_FRAME = 2, 65_535  # browsers slow shorter ones down
_FAST = PillowImage.Quantize.FASTOCTREE


def encode_gif(
    frames: Iterator[NDArray[np.uint8]],
    fps: float,
    times_s: Sequence[float] | None,
    end_s: float | None,
    max_bytes: int | None,
) -> bytes:
    """Each frame with 256 colours of its own."""
    starts = (number / fps for number in count()) if times_s is None else iter(times_s)
    stamps = (round(_UNITS_PER_S * start) for start in starts)
    last_s = 1 / fps
    if times_s is not None and end_s is not None:
        last_s = max(last_s, end_s - times_s[-1])
    final = round(_UNITS_PER_S * last_s)
    _check_frame(final)
    av = import_av()
    with TemporaryDirectory() as folder:
        path = Path(folder, "clip.gif")
        options = {"loop": "0", "final_delay": str(max(final, _SHORTEST_FRAME))}
        with av.open(str(path), "w", format="gif", options=options) as out:
            stream, before = None, None
            timed = zip(within(frames, path, max_bytes), stamps, strict=False)
            for frame, stamp in spaced(timed, _SHORTEST_FRAME):
                picture = _with_palette(frame)
                if stream is None:
                    stream = out.add_stream("gif", rate=_UNITS_PER_S)
                    stream.width, stream.height = picture.width, picture.height
                    stream.pix_fmt = "pal8"
                if before is not None:
                    _check_frame(stamp - before)
                before = stamp
                picture.pts, picture.time_base = stamp, Fraction(1, _UNITS_PER_S)
                out.mux(stream.encode(picture))
            if stream is not None:
                out.mux(stream.encode())
        return read_whole(path, max_bytes)


def _with_palette(frame: NDArray[np.uint8]) -> "VideoFrame":
    reduced = PillowImage.fromarray(frame).quantize(256, _FAST)
    colors = np.array(reduced.getpalette("RGB"), np.uint8).reshape(-1, 3)
    palette = np.full((256, 4), 255, np.uint8)  # alpha, red, green, blue
    palette[: len(colors), 1:] = colors
    return import_av().VideoFrame.from_ndarray((np.asarray(reduced), palette), format="pal8")


def _check_frame(units: int) -> None:
    if units > _LONGEST_FRAME:
        raise ConfigError(
            "A GIF shows a frame for 655 s at most. Choose mp4 or webm for this clip."
        )
