"""The sound of a stretch of a clip, to go with pictures made from it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tokenlearner.errors import ConfigError, MediaTooLargeError
from tokenlearner.media.clip_files import import_av, open_clip
from tokenlearner.media.deadline import Deadline
from tokenlearner.media.frame_index import index_frames
from tokenlearner.media.limits import DEFAULT_CLIP_LIMITS, ClipLimits
from tokenlearner.media.threads import within

if TYPE_CHECKING:
    from av import AudioFrame
    from av.container import OutputContainer

SAMPLES_PER_S = 48_000
_MAX_S = 600.0


@dataclass(frozen=True, eq=False, kw_only=True)
class Sound:
    """Sound at `SAMPLES_PER_S`.

    Attributes:
        samples: float32 [channel, time], one channel or two, from -1 to 1.
    """

    @property
    def layout(self) -> str:
        """What FFmpeg calls this number of channels."""
        return "mono" if len(self.samples) == 1 else "stereo"

    samples: NDArray[np.float32] = field(repr=False)


def read_sound(
    source: bytes | Path | str,
    *,
    start_s: float,
    end_s: float,
    limits: ClipLimits = DEFAULT_CLIP_LIMITS,
) -> Sound | None:
    """Decodes the sound of a stretch; None if the clip has no sound, or none that can be decoded.

    Args:
        source: The file's bytes, or its path.
        start_s: Where it begins, in seconds since the first frame of the pictures.
        end_s: Where it ends. Sound that ends earlier is followed by silence.
        limits: What the clip may measure.

    Raises:
        MediaTooLargeError: The stretch is longer than ten minutes, or the clip over a limit.
        MediaError: As `read_clip` does.
        ConfigError: The stretch is empty or begins before the clip.
    """
    if not 0 <= start_s < end_s:
        raise ConfigError(
            f"The sound goes from {start_s:g} s to {end_s:g} s; wanted a start of at least 0 and "
            "an end after it."
        )
    if end_s - start_s > _MAX_S:
        raise MediaTooLargeError(
            f"The sound of {end_s - start_s:,.0f} s was asked for; the limit is {_MAX_S:.0f} s. "
            "Choose a shorter section, or leave the sound out."
        )

    def read(deadline: Deadline) -> Sound | None:
        av = import_av()
        with open_clip(source, limits, deadline) as clip:
            audio = clip.container.streams.audio
            if not audio or not audio[0].codec_context:  # coded in a way that FFmpeg does not know
                return None
            index = index_frames(clip, limits)
        begin_s = float(index.stamps[0]) * index.unit_s + start_s  # on the file's own clock
        num_samples = round((end_s - start_s) * SAMPLES_PER_S)
        with open_clip(source, limits, deadline) as clip:
            stream = clip.container.streams.audio[0]
            channels = min(stream.codec_context.channels, 2)
            sound = Sound(samples=np.zeros((max(channels, 1), num_samples), np.float32))
            resampler = av.AudioResampler(format="fltp", layout=sound.layout, rate=SAMPLES_PER_S)
            if start_s > 0:
                clip.container.seek(int(begin_s * 1e6))

            def pieces() -> Iterator["AudioFrame"]:
                for frame in clip.container.decode(stream):
                    deadline.check()
                    yield from resampler.resample(frame)
                    if frame.time is not None and frame.time > end_s - start_s + begin_s:
                        return
                yield from resampler.resample(None)  # what it has kept back

            place = 0
            try:
                for piece in pieces():
                    if piece.time is not None:  # else it follows the one before
                        place = round((piece.time - begin_s) * SAMPLES_PER_S)
                    _lay(sound.samples, np.asarray(piece.to_ndarray(), np.float32), place)
                    place += piece.samples
            except av.FFmpegError:
                pass  # Cut off or damaged: silence from here on.
        return sound

    return within(limits.max_wait_s, read)


def _lay(samples: NDArray[np.float32], piece: NDArray[np.float32], place: int) -> None:
    """Copies the part of a piece that lies within the samples."""
    begin, end = max(place, 0), min(place + piece.shape[1], samples.shape[1])
    if begin < end:
        samples[:, begin:end] = piece[:, begin - place : end - place]


class SoundTrack:
    """Writes sound beside the pictures, so that a player finds both in one place.

    Args:
        out: The file that the pictures are written into.
        encoder: FFmpeg's name of an audio encoder.
        sound: Begins with the first picture.
    """

    def __init__(self, out: "OutputContainer", encoder: str, sound: Sound) -> None:
        self._out, self._sound, self._done = out, sound, 0
        self._stream: Any = out.add_stream(encoder, rate=SAMPLES_PER_S)
        self._stream.codec_context.layout = sound.layout

    def write_until(self, seconds: float) -> None:
        """Writes what is heard until then, from the first frame on."""
        end = min(round(seconds * SAMPLES_PER_S), self._sound.samples.shape[1])
        if end <= self._done:
            return
        piece = np.ascontiguousarray(self._sound.samples[:, self._done : end])
        frame = import_av().AudioFrame.from_ndarray(piece, "fltp", self._sound.layout)
        frame.sample_rate, frame.pts = SAMPLES_PER_S, self._done
        frame.time_base = Fraction(1, SAMPLES_PER_S)
        self._out.mux(self._stream.encode(frame))
        self._done = end

    def finish(self) -> None:
        """Writes the rest."""
        self.write_until(self._sound.samples.shape[1] / SAMPLES_PER_S)
        self._out.mux(self._stream.encode())
