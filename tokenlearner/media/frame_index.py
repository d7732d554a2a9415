"""What a clip's file says of it, frame by frame, before anything is decoded."""

from array import array
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tokenlearner.errors import CorruptMediaError, MediaTooLargeError
from tokenlearner.media.clip_files import OpenClip, import_av
from tokenlearner.media.limits import ClipLimits

# Headers round, and where only the whole file's duration is known, its sound may be a bit longer.
_UNCERTAIN_S = 1.0


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class FrameIndex:
    """The frames of a clip as they will be shown.

    Attributes:
        kind: File type, as `recognise` names it.
        codec: How the pictures are coded: `"h264"`.
        pixel_format: How a pixel is stored, in FFmpeg's words: `"yuv420p"`.
        has_audio: Whether there is sound, too.
        pixel_aspect: Width of a stored pixel divided by its height.
        stamps: When each frame is shown, ascending, in units of `unit_s` on the file's own clock.
        keys: Places in `stamps` of the frames that decode without those before them, ascending.
        end: When the last frame ends.
        unit_s: Seconds of one unit.
        missing_s: How much longer the clip should be by its header; 0 for a whole file.
        is_stored_in_order: Whether the file times its frames as stored although they are shown in
            another order (AVI does); decoded frames can then only be counted.
    """

    kind: str
    codec: str
    pixel_format: str
    has_audio: bool
    pixel_aspect: float
    stamps: NDArray[np.int64]
    keys: NDArray[np.int64]
    end: int
    unit_s: float
    missing_s: float
    is_stored_in_order: bool

    @property
    def duration_s(self) -> float:
        """From the first frame to the end of the last."""
        return (self.end - int(self.stamps[0])) * self.unit_s

    def seconds(self, stamps: NDArray[np.int64]) -> NDArray[np.float64]:
        """Seconds since the first frame."""
        return (stamps - self.stamps[0]) * self.unit_s

    def places_at(self, times_s: NDArray[np.floating]) -> NDArray[np.int64]:
        """Places of the frames that are shown at these seconds since the first frame."""
        # A time computed from a stamp may be a rounding error short of it.
        wanted = self.stamps[0] + times_s / self.unit_s + 1e-6
        return np.maximum(np.searchsorted(self.stamps, wanted, side="right") - 1, 0)


def index_frames(clip: OpenClip, limits: ClipLimits) -> FrameIndex:
    """Reads through a clip without decoding it: some microseconds per frame.

    Raises:
        CorruptMediaError: There is not one frame.
        MediaTooLargeError: It is over the limit of frames or of duration.
    """
    is_stored_in_order = clip.kind == "AVI video" and clip.stream.codec_context.has_b_frames > 0
    stamps, keys = array("q"), array("q")
    num_packets, gap, is_cut = 0, 0, False
    try:
        for packet in clip.container.demux(clip.stream):
            stamp = packet.dts if is_stored_in_order or packet.pts is None else packet.pts
            if not packet.size or stamp is None:
                continue
            num_packets += 1
            is_cut |= packet.is_corrupt
            if packet.is_corrupt or packet.is_discard:
                continue
            stamps.append(stamp)
            gap = packet.duration or gap
            if packet.is_keyframe:
                keys.append(stamp)
            if num_packets > limits.max_frames:
                raise MediaTooLargeError(
                    f"The clip has more than {limits.max_frames:,} frames, which is the limit. Cut "
                    "a shorter one and try again."
                )
    except import_av().FFmpegError:
        is_cut = True
    if not stamps:
        raise CorruptMediaError(
            "The file has a video stream, but not one whole frame. Get a complete copy and try "
            "again."
        )
    shown = np.unique(np.frombuffer(stamps, np.int64))
    gap = gap or int(shown[-1] - shown[0]) // max(1, len(shown) - 1) or 1
    unit = clip.stream.time_base
    assert unit is not None
    duration_s = float((int(shown[-1]) + gap - int(shown[0])) * unit)
    if duration_s > limits.max_duration_s:
        raise MediaTooLargeError(
            f"The clip lasts {duration_s:,.0f} s; the limit is {limits.max_duration_s:,.0f} s. Cut "
            "a shorter one and try again."
        )
    missing_s = _missing_s(clip, begin_s=float(int(shown[0]) * unit), duration_s=duration_s)
    is_cut |= num_packets < clip.stream.frames
    return FrameIndex(
        kind=clip.kind,
        codec=clip.stream.codec.canonical_name,
        pixel_format=clip.stream.pix_fmt or "",
        has_audio=bool(clip.container.streams.audio),
        pixel_aspect=_pixel_aspect(clip),
        stamps=shown,
        keys=np.unique(np.searchsorted(shown, np.frombuffer(keys, np.int64))),
        end=int(shown[-1]) + gap,
        unit_s=float(unit),
        missing_s=max(missing_s, float(unit)) if is_cut or missing_s > _UNCERTAIN_S else 0.0,
        is_stored_in_order=is_stored_in_order,
    )


def _missing_s(clip: OpenClip, *, begin_s: float, duration_s: float) -> float:
    """How much longer the pictures should last by the file's header, if it says so."""
    if clip.stream.duration is not None and clip.stream.time_base is not None:
        return float(clip.stream.duration * clip.stream.time_base) - duration_s
    # Of Matroska only the end of the whole file is known, which may be that of its sound.
    end_s = (clip.container.duration or 0) / 1e6
    missing_s = end_s - begin_s - duration_s
    return 0.0 if missing_s > _UNCERTAIN_S and _has_sound_at(end_s, clip) else missing_s


def _has_sound_at(end_s: float, clip: OpenClip) -> bool:
    """Whether there is sound to the end of the file, so that nothing of the file is missing."""
    if not clip.container.streams.audio:
        return False
    last_s = 0.0
    try:
        clip.container.seek(0)
        for packet in clip.container.demux(clip.container.streams.audio):
            if packet.size and packet.pts is not None and packet.time_base is not None:
                end = packet.pts + (packet.duration or 0)
                last_s = max(last_s, float(end * packet.time_base))
    except import_av().FFmpegError:
        return False
    return last_s > end_s - _UNCERTAIN_S


def _pixel_aspect(clip: OpenClip) -> float:
    # What no camera writes is a mistake, or meant to make frames of any size out of small ones.
    aspect = float(clip.stream.sample_aspect_ratio or 1)
    return aspect if 0.2 <= aspect <= 5 else 1.0
