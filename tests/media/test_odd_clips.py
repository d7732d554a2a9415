"""Clips that are stored in odd ways: turned, stretched, cut off, of several sizes, very long."""

import os
import re
import threading
import time
import tracemalloc
from concurrent.futures import ProcessPoolExecutor
from fractions import Fraction
from io import BytesIO
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from tests.media.clip_makers import (
    index_first,
    make_clip,
    number_on,
    numbered,
    numbers_on,
)
from tokenlearner.media import encode_video, probe, read_clip
from tokenlearner.media.frame_decoding import Run, plan_runs, split_at_keys, useful_parts
from tokenlearner.media.frame_index import FrameIndex

STATUS = Path("/proc/self/status")
ONE = 1 << 16
# How players show a picture that is stored with such a matrix (ISO 14496-12, 6.2.2).
MATRICES = {
    "a quarter right": ((0, ONE, -ONE, 0), lambda stored: np.rot90(stored, -1)),
    "a half": ((-ONE, 0, 0, -ONE), lambda stored: np.rot90(stored, 2)),
    "a quarter left": ((0, -ONE, ONE, 0), lambda stored: np.rot90(stored)),
    "mirrored": ((-ONE, 0, 0, ONE), lambda stored: stored[:, ::-1]),
    "upside down": ((ONE, 0, 0, -ONE), lambda stored: stored[::-1]),
}


class TestLayout:
    @pytest.mark.parametrize("name", MATRICES)
    def test_turned_clips_come_upright(self, name: str) -> None:
        (a, b, c, d), shown = MATRICES[name]
        clip = make_clip(3, matrix=(a, b, 0, c, d, 0, 0, 0, 1 << 30))
        read = read_clip(clip, num_frames=3)
        plain = read_clip(make_clip(3), num_frames=3)
        for frame, stored in zip(read.frames, plain.frames, strict=True):
            np.testing.assert_array_equal(frame, shown(stored))
        assert read.notes == ("turned upright by its rotation tag",)
        height, width, _ = shown(plain.frames[0]).shape
        assert (read.facts.height_px, read.facts.width_px) == (height, width)
        assert probe(clip) == read.facts

    def test_turned_clips_are_reduced_upright(self) -> None:
        clip = make_clip(3, matrix=(0, ONE, 0, -ONE, 0, 0, 0, 0, 1 << 30))
        read = read_clip(clip, num_frames=1, max_side_px=48)
        assert read.frames.shape == (1, 48, 32, 3)
        assert number_on(np.rot90(read.frames[0])) == 1

    def test_pixels_that_are_not_square(self) -> None:
        read = read_clip(make_clip(3, pixel_aspect=Fraction(4, 3)), num_frames=1)
        assert read.frames.shape == (1, 64, 128, 3)
        assert (read.facts.width_px, numbers_on(read.frames)) == (128, [1])
        assert read.notes == ("its pixels are not square: stretched from 96 to 128 px",)

    def test_absurd_pixels_are_taken_for_square(self) -> None:
        facts = probe(make_clip(3, pixel_aspect=Fraction(20, 1)))
        assert (facts.width_px, facts.height_px) == (96, 64)

    def test_odd_sides(self) -> None:
        read = read_clip(make_clip(3, size=(63, 95), pixels="yuv444p"), num_frames=1)
        assert read.frames.shape == (1, 63, 95, 3)
        assert numbers_on(read.frames) == [1]

    def test_ten_bits(self) -> None:
        read = read_clip(make_clip(3, pixels="yuv420p10le"), num_frames=1)
        assert (numbers_on(read.frames), int(read.frames.max()) > 200) == ([1], True)

    def test_transparent_parts_are_white(self) -> None:
        from PIL import Image as PillowImage

        first, second = (PillowImage.new("P", (8, 8), index) for index in (0, 1))
        for picture in (first, second):
            picture.putpalette([200, 0, 0, 0, 0, 200, 0, 200, 0])
            picture.paste(2, (0, 0, 4, 8))
        file = BytesIO()
        options: dict[str, Any] = {"duration": 100, "transparency": 2, "disposal": 2}
        first.save(file, "GIF", save_all=True, append_images=[second], **options)
        read = read_clip(file.getvalue(), num_frames=2)
        assert read.frames[:, 4, 1].tolist() == [[255] * 3] * 2
        assert read.frames[:, 4, 6].tolist() == [[200, 0, 0], [0, 0, 200]]
        assert read.notes == ("transparent parts shown on white",)

    def test_a_size_that_changes_on_the_way(self) -> None:
        # VP9 may change its size at a key frame: two streams of packets under one header.
        parts = [
            make_clip(5, codec="libvpx-vp9", container="webm", gop=5, size=size)
            for size in ((64, 96), (128, 192))
        ]
        file = BytesIO()
        with av.open(file, "w", format="matroska") as out:
            with av.open(BytesIO(parts[0]), "r") as first:
                stream = out.add_stream_from_template(first.streams.video[0])
            for place, part in enumerate(parts):
                with av.open(BytesIO(part), "r") as source:
                    for packet in source.demux(source.streams.video[0]):
                        if packet.pts is not None:
                            packet.pts = packet.dts = packet.pts + 500 * place
                            packet.stream = stream
                            out.mux(packet)
        read = read_clip(file.getvalue(), num_frames=10)
        assert read.frames.shape == (10, 64, 96, 3)
        assert numbers_on(read.frames) == [0, 1, 2, 3, 4] * 2


class TestColours:
    @pytest.mark.parametrize(
        ("size", "matrix"), [((96, 128), "ITU601"), ((720, 1280), "ITU709")], ids=str
    )
    def test_the_matrix_that_players_take_where_none_is_named(
        self, size: tuple[int, int], matrix: str
    ) -> None:
        file = BytesIO()
        with av.open(file, "w", format="mp4") as out:
            stream: Any = out.add_stream("libx264", rate=10, options={"preset": "ultrafast"})
            stream.height, stream.width = size
            red = np.broadcast_to(np.array([200, 30, 20], np.uint8), (*size, 3))
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(red)).reformat(
                format="yuv420p", dst_colorspace=matrix
            )
            frame.colorspace = 2
            out.mux(stream.encode(frame))
            out.mux(stream.encode())
        pixel = read_clip(file.getvalue(), num_frames=1).frames[0, 40, 40]
        np.testing.assert_allclose(pixel.astype(int), [200, 30, 20], atol=4)


class TestCutOff:
    def test_what_can_be_read_is_given(self) -> None:
        whole = index_first(make_clip(60, gop=6))
        assert numbers_on(read_clip(whole, num_frames=6).frames) == [5, 15, 25, 35, 45, 55]
        cut = whole[: int(len(whole) * 0.6)]
        read = read_clip(cut, num_frames=5)
        held = read.facts.num_frames
        assert 10 < held < 60
        assert read.facts.duration_s == pytest.approx(held / 10, abs=0.01)
        wanted = np.floor((np.arange(5) + 0.5) * held / 5).astype(int)
        assert np.abs(np.array(numbers_on(read.frames)) - wanted).max() <= 1
        assert read.notes[0] == (
            f"its pictures end after {read.facts.duration_s:.2f} s, though the file says 6.00 s: "
            "it is cut off"
        )

    @pytest.mark.parametrize("container", ["matroska", "avi"])
    def test_other_files_cut_off(self, container: str) -> None:
        whole = make_clip(60, gop=6, container=container)
        read = read_clip(whole[: int(len(whole) * 0.7)], num_frames=3)
        assert 5 < read.facts.num_frames < 60
        assert "it is cut off" in read.notes[0]

    @pytest.mark.parametrize("container", ["matroska", "mp4"])
    def test_sound_that_goes_on_is_no_loss(self, container: str) -> None:
        read = read_clip(make_clip(20, container=container, audio_s=5), num_frames=2)
        assert read.facts.duration_s == pytest.approx(2, abs=0.01)
        assert read.notes == ()

    @pytest.mark.parametrize("container", ["matroska", "mp4"])
    def test_pictures_that_begin_late_are_no_loss(self, container: str) -> None:
        stamps_ms = [3000 + 100 * number for number in range(20)]
        read = read_clip(make_clip(20, container=container, stamps_ms=stamps_ms), num_frames=2)
        assert read.facts.duration_s == pytest.approx(2, abs=0.1)
        assert read.notes == ()

    def test_sound_that_is_cut_off_as_well(self) -> None:
        whole = make_clip(60, gop=6, container="matroska", audio_s=6)
        read = read_clip(whole[: int(len(whole) * 0.6)], num_frames=3)
        assert 5 < read.facts.num_frames < 60
        assert "it is cut off" in read.notes[0]

    def test_damage_in_the_middle_is_told(self) -> None:
        clip = bytearray(make_clip(60, codec="mpeg4", gop=6))
        start = clip.index(b"mdat")
        middle = (start + clip.index(b"moov")) // 2
        clip[middle : middle + 300] = bytes(300)
        read = read_clip(bytes(clip), num_frames=60)
        assert read.frames.shape[0] == 60
        assert numbers_on(read.frames[:10]) == list(range(10))
        assert re.fullmatch(r"\d+ damaged frames? on the way", read.notes[0])


class TestDecodingLittle:
    def index(self, count: int, keys: list[int]) -> FrameIndex:
        return FrameIndex(
            kind="MP4 video",
            codec="h264",
            pixel_format="yuv420p",
            has_audio=False,
            pixel_aspect=1.0,
            stamps=np.arange(count, dtype=np.int64),
            keys=np.array(keys, np.int64),
            end=count,
            unit_s=0.1,
            missing_s=0.0,
            is_stored_in_order=False,
        )

    def test_jumps_are_made_where_they_save_decoding(self) -> None:
        index = self.index(1000, [0, 250, 500, 750])
        assert plan_runs(index, [10, 20, 240]) == [Run(start=0, places=(10, 20, 240))]
        assert plan_runs(index, [300]) == [Run(start=250, places=(300,))]
        assert plan_runs(index, [10, 249, 251, 760, 999]) == [
            Run(start=0, places=(10, 249, 251)),
            Run(start=750, places=(760, 999)),
        ]

    def test_files_without_key_frames_are_decoded_from_the_start(self) -> None:
        assert plan_runs(self.index(500, []), [400, 450]) == [Run(start=0, places=(400, 450))]

    def test_parts_to_decode_side_by_side_begin_at_key_frames(self) -> None:
        index = self.index(1000, [0, 200, 450, 900])
        places = list(range(0, 1000, 10))
        parts = split_at_keys(index, places, max_parts=2)
        assert [(part[0], part[-1]) for part in parts] == [(0, 440), (450, 990)]
        parts = split_at_keys(index, places, max_parts=4)  # nearest to 247.5, 495 and 742.5
        assert [part[0] for part in parts] == [0, 200, 450, 900]
        assert [place for part in parts for place in part] == places
        assert split_at_keys(index, places, max_parts=1) == [places]
        assert split_at_keys(index, [7], max_parts=4) == [[7]]
        assert split_at_keys(index, [190, 195, 200, 205], max_parts=4) == [[190, 195, 200, 205]]
        assert split_at_keys(self.index(1000, [0]), places, max_parts=4) == [places]
        assert split_at_keys(self.index(1000, []), places, max_parts=4) == [places]
        assert split_at_keys(index, [0, 100, 199], max_parts=2) == [[0, 100, 199]]

    @pytest.mark.parametrize(("cores", "parts"), [(3, 3), (9, 4)])
    def test_as_many_parts_as_cores_but_few(
        self, cores: int, parts: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        own = set(range(cores))
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: own, raising=False)
        assert useful_parts() == parts

    def test_one_part_beside_other_workers(self) -> None:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as workers:
            assert workers.submit(useful_parts).result(timeout=120) == 1

    def test_the_frames_of_a_gif_need_those_before_them(self) -> None:
        gif = encode_video((numbered(number) for number in range(60)), fps=10, kind="gif")
        assert numbers_on(read_clip(gif, num_frames=2).frames) == [15, 45]

    def test_few_frames_are_decoded_of_a_long_clip(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from tokenlearner.media import frame_decoding

        sizes = []
        check = frame_decoding.check_size
        monkeypatch.setattr(frame_decoding, "check_size", lambda *a: (sizes.append(a), check(*a)))
        read = read_clip(make_clip(600, gop=30), num_frames=4)
        assert numbers_on(read.frames) == [75, 225, 375, 525]
        assert 4 <= len(sizes) <= 4 * 30


@pytest.mark.slow
@pytest.mark.skipif(not STATUS.exists(), reason="the system does not tell a process its memory")
def test_memory_is_bounded_by_the_sampled_frames(tmp_path: Path) -> None:
    # Ten minutes at 25 frames per second: decoded, 15,000 frames of 320 x 240 px are 3.5 GB.
    path = tmp_path / "long.mp4"
    with av.open(str(path), "w") as out:
        stream: Any = out.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        stream.height, stream.width, stream.gop_size = 240, 320, 250
        pictures = [
            av.VideoFrame.from_ndarray(numbered(number, 240, 320)).reformat(format="yuv420p")
            for number in range(0, 4096, 7)
        ]
        for number in range(15_000):
            frame = pictures[number // 25 % len(pictures)]
            frame.pts = number
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    read_clip(path, num_frames=1, end_s=1.0)  # loads the decoder
    before = resident_bytes()
    peak = Peak()
    tracemalloc.start()
    try:
        with peak:
            read = read_clip(path, num_frames=16)
        _, traced = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    seconds = np.array([int(time_s) for time_s in read.times_s])
    assert numbers_on(read.frames) == (seconds % len(pictures) * 7).tolist()
    assert read.facts.duration_s == 600.0
    sampled = read.frames.nbytes  # 3.7 MB
    assert traced < 3 * sampled
    assert peak.bytes - before < sampled + 60e6  # what the decoder itself holds


def resident_bytes() -> int:
    lines = STATUS.read_text().splitlines()
    (size,) = (line.split()[1] for line in lines if line.startswith("VmRSS"))
    return int(size) * 1024


class Peak:
    """The most memory that this process had in between."""

    def __init__(self) -> None:
        self.bytes = 0
        self._over = threading.Event()

    def __enter__(self) -> "Peak":
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.is_set():
            self.bytes = max(self.bytes, resident_bytes())
            time.sleep(0.005)
