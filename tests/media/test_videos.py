"""Reading clips: the frames that are on the screen at the wanted times, whatever the file does."""

import os
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.media.clip_makers import make_clip, numbers_on
from tokenlearner.errors import ConfigError, MediaError, MediaTooLargeError
from tokenlearner.media import ClipLimits, probe, read_clip, videos
from tokenlearner.media.frame_decoding import FrameDecoder

ONE, NONE = 1 << 16, 0

KINDS = {
    "h264 mp4": ("libx264", "mp4", {}),
    "h264 mov": ("libx264", "mov", {}),
    "h264 mkv": ("libx264", "matroska", {}),
    "h264 avi": ("libx264", "avi", {}),
    "vp9 webm": ("libvpx-vp9", "webm", {"deadline": "realtime", "cpu-used": "8"}),
    "av1 mp4": ("libsvtav1", "mp4", {"preset": "12", "svtav1-params": "lp=1"}),
    "mpeg4 avi": ("mpeg4", "avi", {}),
    "mpeg4 mp4": ("mpeg4", "mp4", {}),
    "mjpeg avi": ("mjpeg", "avi", {"pixels": "yuvj420p"}),
}


class TestSampling:
    @pytest.mark.parametrize("kind", KINDS)
    def test_frames_in_the_middle_of_equal_parts_of_every_format(self, kind: str) -> None:
        codec, container, options = KINDS[kind]
        clip = make_clip(30, codec=codec, container=container, **options)
        read = read_clip(clip, num_frames=6)
        # Three seconds at ten frames per second: on the screen at 0.25, 0.75, ... s.
        assert numbers_on(read.frames) == [2, 7, 12, 17, 22, 27]
        np.testing.assert_allclose(read.times_s, [0.2, 0.7, 1.2, 1.7, 2.2, 2.7], atol=2e-3)
        assert read.notes == ()
        facts = read.facts
        assert (facts.codec, facts.width_px, facts.height_px) == (kind.split()[0], 96, 64)
        assert (facts.num_frames, facts.has_audio) == (30, False)
        assert facts.duration_s == pytest.approx(3.0, abs=0.04)
        assert facts.fps == pytest.approx(10.0, rel=0.02)
        assert probe(clip) == facts

    @pytest.mark.skipif(not hasattr(os, "sched_getscheduler"), reason="Linux alone has it")
    @pytest.mark.parametrize("kind", KINDS)
    def test_making_a_clip_leaves_the_priority_of_the_tests_alone(self, kind: str) -> None:
        codec, container, options = KINDS[kind]
        before = os.sched_getscheduler(0)
        make_clip(2, codec=codec, container=container, **options)
        assert os.sched_getscheduler(0) == before

    @pytest.mark.parametrize("gop", [1, 4, 12, 250])
    def test_any_stretch_of_any_structure(self, gop: int) -> None:
        clip = make_clip(60, gop=gop)
        assert numbers_on(read_clip(clip, num_frames=60).frames) == list(range(60))
        for start, end in ((0.0, 0.5), (2.05, 4.05), (5.5, 6.0)):
            read = read_clip(clip, num_frames=4, start_s=start, end_s=end)
            wanted = start + (np.arange(4) + 0.5) * (end - start) / 4
            assert numbers_on(read.frames) == np.floor(wanted * 10 + 1e-6).astype(int).tolist()

    def test_a_variable_frame_rate_is_sampled_by_time(self) -> None:
        # Nine frames in the first 0.9 s, the tenth stays for 8 s, the last for 0.1 s.
        stamps = [*range(0, 1000, 100), 9000]
        read = read_clip(make_clip(11, stamps_ms=stamps), num_frames=9, end_s=9.0)
        assert numbers_on(read.frames) == [5, 9, 9, 9, 9, 9, 9, 9, 9]
        assert read.times_s.tolist() == [0.5] + [0.9] * 8
        assert read.notes == (
            "the section has 2 frames to choose from, so some appear more than once among the 9",
        )

    def test_times_begin_with_the_first_frame(self) -> None:
        read = read_clip(make_clip(4, stamps_ms=[5000, 5100, 5200, 5300]), num_frames=4)
        np.testing.assert_allclose(read.times_s, [0.0, 0.1, 0.2, 0.3], atol=1e-3)
        assert read.facts.duration_s == pytest.approx(0.4, abs=0.01)

    def test_one_frame_is_a_clip(self) -> None:
        read = read_clip(make_clip(1), num_frames=1)
        assert (numbers_on(read.frames), read.times_s.tolist(), read.notes) == ([0], [0.0], ())
        assert read.facts.duration_s == pytest.approx(0.1, abs=0.01)

    def test_the_name_does_not_matter(self, tmp_path: Path) -> None:
        path = tmp_path / "clip.jpg"
        path.write_bytes(make_clip(5))
        for source in (path, str(path), path.read_bytes()):
            assert numbers_on(read_clip(source, num_frames=1).frames) == [2]

    def test_frames_are_contiguous_and_read_only(self) -> None:
        frames = read_clip(make_clip(3), num_frames=2).frames
        assert (frames.dtype, frames.shape, frames.flags.c_contiguous) == (
            np.uint8,
            (2, 64, 96, 3),
            True,
        )
        with pytest.raises(ValueError, match="read-only"):
            frames[0] = 0

    def test_larger_frames_are_reduced(self) -> None:
        read = read_clip(make_clip(5, size=(96, 192)), num_frames=2, max_side_px=96)
        assert read.frames.shape == (2, 48, 96, 3)
        assert (numbers_on(read.frames), read.facts.width_px) == ([1, 3], 192)
        assert read.notes == ("reduced from 192 × 96 to 96 × 48 px",)
        assert read_clip(make_clip(5), num_frames=2, max_side_px=96).notes == ()

    def test_a_stretch_beyond_the_end_stops_there(self) -> None:
        read = read_clip(make_clip(10), num_frames=2, end_s=9.0)
        assert numbers_on(read.frames) == [2, 7]
        assert read.notes == ("the clip ends at 1.00 s",)
        assert read_clip(make_clip(10), num_frames=2, end_s=1.05).notes == ()

    def test_progress_until_it_raises(self) -> None:
        heard: list[tuple[int, int]] = []

        def progress(done: int, total: int) -> None:
            heard.append((done, total))
            if done >= 5:
                raise InterruptedError

        # Two frames for three: what is taken more than once is done at once.
        read_clip(make_clip(2), num_frames=3, progress=lambda *said: heard.append(said))
        assert heard == [(1, 3), (3, 3)]
        heard.clear()
        with pytest.raises(InterruptedError):
            read_clip(make_clip(8), num_frames=8, progress=progress)
        assert heard == [(1, 8), (2, 8), (3, 8), (4, 8), (5, 8)]

    def test_progress_of_parts_side_by_side(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(videos, "useful_parts", lambda: 3)
        clip, heard = make_clip(90, gop=6), []
        read = read_clip(clip, num_frames=45, progress=lambda *said: heard.append(said))
        assert numbers_on(read.frames) == list(range(1, 90, 2))
        assert heard == [(done, 45) for done in range(1, 46)]
        heard.clear()

        def progress(*said: int) -> None:
            heard.append(said)
            if len(heard) == 7:
                raise InterruptedError

        with pytest.raises(InterruptedError):
            read_clip(clip, num_frames=45, progress=progress)
        time.sleep(0.2)
        assert len(heard) == 7

    def test_a_jump_that_misses_in_a_later_part(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(videos, "useful_parts", lambda: 3)
        decode = FrameDecoder._decode_from

        def miss(self: FrameDecoder, clip: Any, start: int, wanted: set[int]) -> Iterator[Any]:
            # As if the file's index of key frames were wrong.
            frames = decode(self, clip, start, wanted)
            return islice(frames, 40, None) if start else frames

        monkeypatch.setattr(FrameDecoder, "_decode_from", miss)
        clip = make_clip(90, gop=6)
        assert numbers_on(read_clip(clip, num_frames=45).frames) == list(range(1, 90, 2))
        # And what that costs is limited.
        with pytest.raises(MediaTooLargeError, match="Choose a shorter section"):
            read_clip(clip, num_frames=45, limits=ClipLimits(max_decoded_frames=100))


class TestRequests:
    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"num_frames": 1, "start_s": float("nan")}, "from nan s to None s; wanted a start"),
            ({"num_frames": 1, "end_s": float("nan")}, "from 0 s to nan s; wanted a start"),
            ({"num_frames": 0}, "num_frames is 0; wanted at least 1"),
            ({"num_frames": 1, "max_side_px": 0}, "max_side_px is 0; wanted at least 1"),
            ({"num_frames": 1, "start_s": -1.0}, "goes from -1 s to None s; wanted a start of"),
            ({"num_frames": 1, "start_s": 2.0, "end_s": 2.0}, "from 2 s to 2.0 s; wanted"),
        ],
    )
    def test_impossible_ones(self, options: dict, message: str) -> None:
        with pytest.raises(ConfigError, match=message):
            read_clip(make_clip(1), **options)

    def test_a_stretch_after_the_end(self) -> None:
        with pytest.raises(
            MediaError, match=r"begins at 3 s, but the clip lasts 1\.00 s\. Begin earlier"
        ):
            read_clip(make_clip(10), num_frames=1, start_s=3.0)

    def test_limits_make_sense(self) -> None:
        with pytest.raises(ConfigError, match="max_frames is 0; a limit is at least 1"):
            ClipLimits(max_frames=0)
