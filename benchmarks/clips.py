"""Measure reading, painting and writing clips on this machine's CPU.

    python -m benchmarks.clips

Makes its clips itself: ten seconds of moving noise, 1280 × 720 px at 30 frames per second, H.264.
Prints a table and writes `benchmarks/results/clips_<cpu>.json`. Every round takes each step once,
so that a busy moment of the machine hits all of them; no round begins when the time is over.
"""

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.recording import Result, summary
from tokenlearner.geometry import Geometry
from tokenlearner.media import (
    DEFAULT_CLIP_LIMITS,
    display_clip,
    encode_video,
    read_clip,
    read_stretch,
)
from tokenlearner.media.deadline import Deadline
from tokenlearner.media.frame_decoding import FrameDecoder
from tokenlearner.media.video_frames import Layout
from tokenlearner.media.videos import index_of
from tokenlearner.rendering import ViewSettings
from tokenlearner.rendering.overlay import paint

FPS, FRAMES, HEIGHT, WIDTH = 30, 300, 720, 1280
SHORT = 96
SAMPLED = 32
NEVER = 10**9
TOUCHED_BYTES = 200 * 2**20


def main() -> None:
    """Measures, prints and writes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=150.0, help="for all of it")
    options = parser.parse_args()
    begun = time.perf_counter()
    with TemporaryDirectory() as folder:
        steps = measurements(Path(folder))
        times: dict[str, list[float]] = {name: [] for name in steps}
        round_s = 0.0
        while not round_s or time.perf_counter() - begun + round_s < options.seconds:
            round_begun = time.perf_counter()
            for name, step in steps.items():
                # The host of a virtual machine takes unused memory back, and the first to write to
                # it again would wait for the host.
                np.ones(TOUCHED_BYTES, np.uint8)
                started = time.perf_counter()
                step()
                times[name].append(1000 * (time.perf_counter() - started))
            round_s = time.perf_counter() - round_begun
    result = Result(
        command=f"python -m benchmarks.clips --seconds {options.seconds:g}",
        model="clips of 720p H.264",
        milliseconds={name: summary(values) for name, values in times.items()},
    )
    result.print_table()
    print(f"wrote {result.write('clips')}")


def measurements(folder: Path) -> dict[str, Callable[[], Any]]:
    """Makes the clips, and returns what is to be timed."""
    paths = {gop: make_clip(folder / f"gop{gop}.mp4", gop) for gop in (250, 30)}
    short = {gop: make_clip(folder / f"gop{gop}.mp4", gop, SHORT) for gop in (4, 8, 16)}
    frames = list(read_stretch(paths[30], end_s=1.0).frames())
    wanted = ((np.arange(SAMPLED) + 0.5) * FRAMES / SAMPLED).astype(int).tolist()
    steps: dict[str, Callable[[], Any]] = {}
    for gop in (250, 30):
        path, name = paths[gop], f"{SAMPLED} of {FRAMES} frames, a key frame every {gop}"
        steps[f"{name}: read_clip"] = lambda path=path: read_clip(path, num_frames=SAMPLED)
        steps[f"{name}: without a jump"] = lambda path=path: decode(path, wanted, NEVER)
        steps[f"{name}: a jump for each"] = lambda path=path: decode_each(path, wanted)
        steps[f"{name}: OpenCV, frame by frame"] = lambda path=path: opencv_grab(path, wanted)
        steps[f"{name}: OpenCV, seeking"] = lambda path=path: opencv_seek(path, wanted)
    for gop in (4, 8, 16):  # where a jump costs as much as decoding what lies between
        path, keys = short[gop], list(range(0, SHORT, gop))
        name = f"only the key frames, one in {gop}"
        steps[f"{name}: without a jump"] = lambda p=path, k=keys: decode(p, k, NEVER)
        steps[f"{name}: jumping"] = lambda p=path, k=keys: decode(p, k, 0)
    for kind in ("mp4", "webm", "gif"):
        steps[f"encode {len(frames)} frames as {kind}"] = lambda kind=kind: encode_video(
            frames, fps=FPS, kind=kind
        )
    steps["16 of 300 frames to first overlay, without the model"] = lambda: first_overlay(paths[30])
    # Without its last frame it is no longer the file, so that it cannot be played as it is.
    steps["299 frames of it, encoded for the page"] = lambda: display_clip(paths[30], end_s=9.95)
    return steps


def make_clip(
    path: Path, gop: int, num_frames: int = FRAMES, *, seed: int = 0, codec: str = "libx264"
) -> Path:
    """Writes a clip of blocks of noise that wander, each frame in one piece as cameras do."""
    noise = np.random.default_rng(seed).integers(0, 256, (HEIGHT // 16, WIDTH // 16, 3), np.uint8)
    blocks = noise.repeat(16, axis=0).repeat(16, axis=1)
    options = {"preset": "veryfast", "sc_threshold": "0"} if codec == "libx264" else {}
    with av.open(str(path), "w") as out:
        stream: Any = out.add_stream(codec, rate=FPS, options=options)
        stream.height, stream.width, stream.pix_fmt = HEIGHT, WIDTH, "yuv420p"
        stream.gop_size, stream.codec_context.thread_type = gop, "FRAME"
        for number in range(num_frames):
            frame = np.ascontiguousarray(np.roll(blocks, 3 * number, axis=1))
            out.mux(stream.encode(av.VideoFrame.from_ndarray(frame)))
        out.mux(stream.encode())
    return path


def decode(path: Path, places: Sequence[int], jump_frames: int) -> list[NDArray[np.uint8]]:
    """Decodes these frames to RGB, jumping only where it saves more than so many frames."""
    deadline = Deadline(600)
    index = index_of(path, DEFAULT_CLIP_LIMITS, deadline)
    decoder = FrameDecoder(path, index, DEFAULT_CLIP_LIMITS, deadline, jump_frames=jump_frames)
    return [Layout.of(frame, 1.0).show(frame, (WIDTH, HEIGHT)) for frame in decoder.frames(places)]


def decode_each(path: Path, places: Sequence[int]) -> list[NDArray[np.uint8]]:
    """Jumps to the key frame before each of these frames, as a player's seeking does."""

    def frames() -> Iterator[NDArray[np.uint8]]:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            assert stream.time_base is not None
            for place in places:
                stamp = round(place / FPS / stream.time_base)
                container.seek(stamp, stream=stream)
                frame = next(f for f in container.decode(stream) if (f.pts or 0) >= stamp)
                yield np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)

    return list(frames())


def opencv_grab(path: Path, places: Sequence[int]) -> list[Any]:
    """Goes through the clip with OpenCV and converts only the wanted frames."""
    capture, wanted, frames = cv2.VideoCapture(str(path)), set(places), []
    for number in range(places[-1] + 1):
        capture.grab()
        if number in wanted:
            frames.append(cv2.cvtColor(capture.retrieve()[1], cv2.COLOR_BGR2RGB))
    return frames


def opencv_seek(path: Path, places: Sequence[int]) -> list[Any]:
    """Asks OpenCV for each of the wanted frames by its number."""
    capture, frames = cv2.VideoCapture(str(path)), []
    for number in places:
        capture.set(cv2.CAP_PROP_POS_FRAMES, number)
        frames.append(cv2.cvtColor(capture.read()[1], cv2.COLOR_BGR2RGB))
    return frames


def first_overlay(path: Path) -> NDArray[np.uint8]:
    """All that the page does before the first overlay, but for the model."""
    clip = read_clip(path, num_frames=16)
    display_clip(path)
    maps = np.random.default_rng(0).random((16, 8, 10, 10), dtype=np.float32)
    size = (HEIGHT, WIDTH)
    geometry = Geometry(source_size=size, model_size=size, box=(0.0, 0.0, WIDTH, HEIGHT))
    return paint(clip.frames[0], geometry, maps[0], ViewSettings(), steps=maps)


if __name__ == "__main__":
    main()
