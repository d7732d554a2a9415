"""Clips made for the tests, odd ones too: every frame shows its own number in black and white."""

import os
import struct
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from io import BytesIO
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

BITS = 12
HEIGHT, WIDTH = 64, 96


def numbered(number: int, height: int = HEIGHT, width: int = WIDTH) -> NDArray[np.uint8]:
    """A frame of three rows of four fields, white where the bit is set, the lowest bit first."""
    bits = (number >> np.arange(BITS)) & 1
    fields = np.where(bits, 235, 20).astype(np.uint8).reshape(3, 4)
    rows, columns = np.arange(height) * 3 // height, np.arange(width) * 4 // width
    return np.repeat(fields[np.ix_(rows, columns)][:, :, None], 3, axis=2)


def number_on(frame: NDArray[np.uint8]) -> int:
    """The number that a frame shows."""
    height, width, _ = frame.shape
    middles = frame[height // 6 :: height // 3, width // 8 :: width // 4, 1][:3, :4]
    return int(((middles > 127).ravel() << np.arange(BITS)).sum())


def numbers_on(frames: Iterable[NDArray[np.uint8]]) -> list[int]:
    return [number_on(frame) for frame in frames]


def make_clip(
    num_frames: int = 30,
    *,
    codec: str = "libx264",
    container: str = "mp4",
    fps: int = 10,
    stamps_ms: Sequence[int] | None = None,
    size: tuple[int, int] = (HEIGHT, WIDTH),
    pixels: str = "yuv420p",
    gop: int = 12,
    matrix: tuple[int, ...] | None = None,
    pixel_aspect: Fraction | None = None,
    audio_s: float = 0.0,
    container_options: dict[str, str] | None = None,
    **options: str,
) -> bytes:
    """A clip of numbered frames.

    Args:
        num_frames: Numbered from 0.
        codec: FFmpeg's encoder.
        container: FFmpeg's muxer.
        fps: Frames per second.
        stamps_ms: When each frame is shown, in place of a constant rate.
        size: Height and width as stored.
        pixels: FFmpeg's name of the pixel format.
        gop: Frames from one key frame to the next.
        matrix: The nine numbers of a display matrix.
        pixel_aspect: Width of a pixel divided by its height.
        audio_s: Seconds of a tone beside the pictures.
        container_options: Of the muxer.
        options: Of the encoder.
    """
    file = BytesIO()
    with (
        _usual_priority(),
        av.open(file, "w", format=container, container_options=container_options or {}) as out,
    ):
        stream: Any = out.add_stream(codec, rate=fps, options=options)
        stream.height, stream.width = size
        stream.pix_fmt = pixels
        stream.gop_size = gop
        if stamps_ms is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        if pixel_aspect is not None:
            stream.codec_context.sample_aspect_ratio = pixel_aspect
        if matrix is not None:
            stream.set_display_matrix(matrix)
        tone = out.add_stream("aac", rate=8000, layout="mono") if audio_s else None
        for number in range(num_frames):
            frame = av.VideoFrame.from_ndarray(numbered(number, *size), format="rgb24")
            if stamps_ms is not None:
                frame.pts, frame.time_base = stamps_ms[number], Fraction(1, 1000)
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
        if tone is not None:
            _mux_tone(out, tone, audio_s)
    return file.getvalue()


@contextmanager
def _usual_priority() -> Iterator[None]:
    """Takes back what SVT-AV1 does for root: it makes the thread that calls it a real-time one.

    So would be all that the thread starts later, and real-time browsers can stop a whole machine.
    """
    if not hasattr(os, "sched_getscheduler"):  # Linux alone has it
        yield
        return
    before = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        os.sched_setscheduler(0, *before)


def make_tone(seconds: float = 1.0) -> bytes:
    """An MP4 of sound alone."""
    file = BytesIO()
    with av.open(file, "w", format="mp4") as out:
        _mux_tone(out, out.add_stream("aac", rate=8000, layout="mono"), seconds)
    return file.getvalue()


def _mux_tone(out: Any, stream: Any, seconds: float) -> None:
    wave = 0.3 * np.sin(np.arange(int(8000 * seconds)) * (2 * np.pi * 440 / 8000))
    frame = av.AudioFrame.from_ndarray(wave[None].astype(np.float32), "fltp", "mono")
    frame.sample_rate, frame.pts = 8000, 0
    out.mux(stream.encode(frame))
    out.mux(stream.encode())


def index_first(clip: bytes) -> bytes:
    """The same MP4 with its index before its pictures, as for the web."""
    boxes = dict(_boxes(clip))
    moov, moved = bytearray(boxes[b"moov"]), len(boxes[b"moov"])
    at = moov.index(b"stco") + 8  # after the name, version and flags
    (count,) = struct.unpack_from(">I", moov, at)
    for place in range(at + 4, at + 4 + 4 * count, 4):
        struct.pack_into(">I", moov, place, struct.unpack_from(">I", moov, place)[0] + moved)
    rest = b"".join(box for name, box in boxes.items() if name not in (b"ftyp", b"moov"))
    return boxes[b"ftyp"] + bytes(moov) + rest


def _boxes(clip: bytes) -> Iterable[tuple[bytes, bytes]]:
    at = 0
    while at < len(clip):
        (length,) = struct.unpack_from(">I", clip, at)
        yield clip[at + 4 : at + 8], clip[at : at + length]
        at += length
