"""Clips that are too large, of another kind, broken or slow are refused, each with its reason."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image as PillowImage

from tests.media.clip_makers import index_first, make_clip, make_tone
from tests.media.photo_files import save
from tokenlearner.errors import (
    CorruptMediaError,
    MediaError,
    MediaTimeoutError,
    MediaTooLargeError,
    UnsupportedMediaError,
)
from tokenlearner.media import (
    ClipLimits,
    display_clip,
    frame_decoding,
    probe,
    read_clip,
    read_stretch,
)
from tokenlearner.media.deadline import Deadline
from tokenlearner.media.threads import within


class TestLimits:
    @pytest.mark.parametrize(
        ("limits", "message"),
        [
            ({"max_pixels": 6143}, r"have 0\.0 megapixels \(96 × 64 px\); the limit is .* Save it"),
            ({"max_duration_s": 2.5}, "The clip lasts 3 s; the limit is 2 s. Cut a shorter one"),
            ({"max_frames": 29}, "more than 29 frames, which is the limit. Cut a shorter one"),
            ({"max_decoded_frames": 20}, "28 frames of this clip would .* the limit is 20. Choose"),
            (
                {"max_sampled_pixels": 12_287},
                r"2 frames of 96 × 64 px are 0 megapixels; the limit is .* Ask for fewer frames",
            ),
        ],
        ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
    )
    def test_each(self, limits: dict[str, Any], message: str) -> None:
        clip = make_clip(30, gop=100, sc_threshold="0")
        with pytest.raises(MediaTooLargeError, match=message):
            read_clip(clip, num_frames=2, end_s=3.0, start_s=2.0, limits=ClipLimits(**limits))

    @pytest.mark.parametrize("num_frames", [10**12, 10**30])
    def test_more_frames_than_any_clip_has(self, num_frames: int) -> None:
        with pytest.raises(MediaTooLargeError, match=r"0 frames were asked for; no .* Ask for f"):
            read_clip(make_clip(2), num_frames=num_frames)

    def test_the_limits_themselves_are_allowed(self) -> None:
        clip = make_clip(30, gop=100, sc_threshold="0")
        limits = ClipLimits(
            max_bytes=len(clip),
            max_pixels=6144,
            max_duration_s=3.0,
            max_frames=30,
            max_decoded_frames=23,
            max_sampled_pixels=12_288,
        )
        assert read_clip(clip, num_frames=2, limits=limits).times_s.shape == (2,)

    def test_bytes(self, tmp_path: Path) -> None:
        path = tmp_path / "large.mp4"
        path.write_bytes(bytes(3 * 2**20))
        limits = ClipLimits(max_bytes=2 * 2**20)
        for source in (path, path.read_bytes()):
            with pytest.raises(MediaTooLargeError) as caught:
                probe(source, limits=limits)
            assert str(caught.value) == (
                "The file has 3.0 MB; the limit is 2 MB. Cut or save the clip smaller and try "
                "again."
            )

    def test_only_the_header_is_read_of_too_large_frames(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(
            frame_decoding.FrameDecoder, "frames_of_parts", lambda *_: pytest.fail("decoded")
        )
        for limits in (ClipLimits(max_pixels=1), ClipLimits(max_frames=1)):
            with pytest.raises(MediaTooLargeError):
                read_clip(make_clip(3), num_frames=1, limits=limits)


class TestOtherFiles:
    @pytest.mark.parametrize(
        ("data", "kind"),
        [
            (save(PillowImage.new("L", (4, 4)), "PNG"), "a PNG, not a clip"),
            (save(PillowImage.new("L", (4, 4)), "JPEG"), "a JPEG, not a clip"),
            (b"not a clip at all", "plain text, not a clip"),
            # A playlist would make FFmpeg open the files that it names.
            (b"#EXTM3U\n#EXTINF:1,\n/etc/passwd\n", "plain text, not a clip"),
            (b"ffconcat version 1.0\nfile '/etc/passwd'\n", "plain text, not a clip"),
            (b"FLV\x01" + bytes(40), "a Flash video, which is not supported. Save the clip"),
            (b"ID3" + bytes(40), "an MP3 audio file, not a clip"),
            (b"PK\x03\x04" + bytes(40), "a ZIP archive, not a clip"),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_what_it_looks_like_is_named(self, data: bytes, kind: str) -> None:
        for read in (probe, display_clip):
            with pytest.raises(UnsupportedMediaError) as caught:
                read(data)
            assert f"The file's content is {kind}" in str(caught.value)
            assert "MP4, MOV, WebM, MKV, AVI or GIF" in str(caught.value)

    def test_unknown_content(self) -> None:
        with pytest.raises(UnsupportedMediaError, match=r"content is not that of a clip\. Choose"):
            probe(bytes(50))

    def test_empty(self) -> None:
        with pytest.raises(UnsupportedMediaError, match=r"The file is empty \(0 bytes\). Choose a"):
            probe(b"")

    def test_a_clip_s_name_does_not_help(self, tmp_path: Path) -> None:
        path = tmp_path / "clip.mp4"
        path.write_text("Not a clip at all.")
        with pytest.raises(UnsupportedMediaError, match="plain text, not a clip"):
            probe(path)

    def test_sound_without_pictures(self) -> None:
        with pytest.raises(UnsupportedMediaError) as caught:
            probe(make_tone())
        assert str(caught.value) == (
            "This MP4 video has sound, but no pictures. Choose a clip with a video stream."
        )

    def test_an_unusual_codec(self) -> None:
        clip = make_clip(3, codec="ffv1", container="matroska")
        with pytest.raises(
            UnsupportedMediaError, match=r"are coded as ffv1, .* Save the clip with"
        ):
            probe(clip)

    def test_no_file(self, tmp_path: Path) -> None:
        with pytest.raises(MediaError, match=r"no\.mp4' cannot be read \(No such file .* Give the"):
            probe(tmp_path / "no.mp4")
        with pytest.raises(MediaError, match=r"is not a file\. Give the path of a clip"):
            probe(tmp_path)
        with pytest.raises(MediaError, match=r"cannot be read \(.*null byte\)"):
            probe("a\0b.mp4")

    @pytest.mark.usefixtures("_as_users_run_it")
    def test_no_source(self) -> None:
        with pytest.raises(MediaError, match="Got a BytesIO; wanted a clip: a file's path, or its"):
            probe(BytesIO(b""))  # type: ignore[arg-type]

    def test_without_pyav(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "av", None)
        with pytest.raises(MediaError) as caught:
            probe(b"anything")
        assert str(caught.value) == (
            "Clips need the package av (PyAV), which is not installed here. Install it with: "
            "pip install av"
        )


class TestBrokenFiles:
    def test_the_index_is_missing(self) -> None:
        clip = make_clip(30)
        with pytest.raises(CorruptMediaError) as caught:
            probe(clip[: clip.index(b"moov")])
        assert str(caught.value) == (
            "The file begins like an MP4 video, but it cannot be opened: its index or header is "
            "missing or broken, as when a recording or download was cut off. Get a complete copy "
            "and try again."
        )

    def test_a_stream_without_frames(self) -> None:
        file = BytesIO()
        options = {"movflags": "empty_moov"}  # the index before the first frame, which never comes
        with av.open(file, "w", format="mp4", container_options=options) as out:
            stream: Any = out.add_stream("libx264", rate=10)
            stream.height, stream.width = 64, 96
            out.start_encoding()
        with pytest.raises(CorruptMediaError) as caught:
            probe(file.getvalue())
        assert str(caught.value) == (
            "The file has a video stream, but not one whole frame. Get a complete copy and try "
            "again."
        )

    def test_cut_off_before_the_first_frame(self) -> None:
        clip = index_first(make_clip(30))
        with pytest.raises(CorruptMediaError, match=r"not one whole frame|cannot be opened"):
            probe(clip[: clip.index(b"mdat") + 10])

    def test_nothing_can_be_decoded(self) -> None:
        clip = bytearray(index_first(make_clip(10)))
        start = clip.index(b"mdat") + 4
        clip[start:] = b"\xff" * (len(clip) - start)
        with pytest.raises(CorruptMediaError, match=r"Not one of the clip's frames can be decoded"):
            probe(bytes(clip))

    @pytest.mark.parametrize("container", ["mp4", "matroska", "avi", "webm", "gif"])
    def test_damaged_bytes_raise_nothing_but_media_errors(self, container: str) -> None:
        codec = {"webm": "libvpx-vp9", "avi": "mpeg4", "gif": "gif"}.get(container, "libx264")
        pixels = "rgb8" if codec == "gif" else "yuv420p"
        whole = make_clip(12, codec=codec, container=container, pixels=pixels)
        random = np.random.default_rng(7)
        limits = ClipLimits(max_pixels=100_000)
        for _ in range(25):
            data = np.frombuffer(whole, np.uint8).copy()
            places = random.integers(12, len(data), 20)
            data[places] = random.integers(0, 256, 20)
            with suppress(MediaError):
                read_clip(data.tobytes(), num_frames=4, limits=limits)


class TestTime:
    def test_a_decoder_that_hangs_is_left_behind(self, monkeypatch: pytest.MonkeyPatch) -> None:
        release = threading.Event()

        def hang(*_: object) -> Iterator[Any]:
            release.wait(30)
            yield from ()

        monkeypatch.setattr(frame_decoding.FrameDecoder, "_decode_from", hang)
        started = time.monotonic()
        try:
            for read in (probe, lambda clip, limits: read_clip(clip, num_frames=1, limits=limits)):
                with pytest.raises(MediaTimeoutError) as caught:
                    read(make_clip(3), limits=ClipLimits(max_wait_s=1))
                assert str(caught.value) == (
                    "Reading the clip took longer than 1 s, so it was given up. Choose a shorter "
                    "or smaller clip, or fewer frames."
                )
        finally:
            release.set()
        assert time.monotonic() - started < 10

    def test_so_is_one_that_hangs_while_a_stretch_is_gone_through(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        release = threading.Event()
        stretch = read_stretch(make_clip(9), limits=ClipLimits(max_wait_s=1))

        def hang(*_: object) -> Iterator[Any]:
            release.wait(30)
            yield from ()

        monkeypatch.setattr(frame_decoding.FrameDecoder, "_decode_from", hang)
        try:
            for frames in (stretch.frames(), stretch.frames_to_encode()):
                with pytest.raises(MediaTimeoutError, match="took longer than 1 s"):
                    next(frames)
        finally:
            release.set()

    def test_encoding_that_takes_too_long_has_its_own_advice(self) -> None:
        def dawdle(*_: int) -> None:
            time.sleep(0.3)

        with pytest.raises(MediaTimeoutError) as caught:
            display_clip(make_clip(20), end_s=0.9, progress=dawdle, limits=ClipLimits(max_wait_s=1))
        assert str(caught.value) == (
            "Preparing the clip for the screen took longer than 1 s, so it was given up. Choose a "
            "shorter section of it."
        )

    def test_a_slow_decoder_stops_at_its_next_step(self, monkeypatch: pytest.MonkeyPatch) -> None:
        steps = []

        def slow(width: int, height: int, limits: ClipLimits) -> None:
            steps.append(threading.current_thread().name)
            time.sleep(0.3)

        monkeypatch.setattr(frame_decoding, "check_size", slow)
        with pytest.raises(MediaTimeoutError):
            read_clip(make_clip(60), num_frames=60, limits=ClipLimits(max_wait_s=1))
        assert "clip" in steps
        end = time.monotonic() + 20
        while any(thread.name == "clip" for thread in threading.enumerate()):
            assert time.monotonic() < end
            time.sleep(0.05)
        assert len(steps) < 30

    def test_a_deadline_passes_or_is_made_to(self) -> None:
        deadline = Deadline(0.0)
        with pytest.raises(MediaTimeoutError):
            deadline.check()
        deadline = Deadline(60.0)
        deadline.check()
        deadline.expire()
        with pytest.raises(MediaTimeoutError):
            deadline.check()

    def test_what_the_work_says_is_said(self) -> None:
        assert within(5.0, lambda deadline: deadline.left_s > 4) is True

        def fail(_: Deadline) -> None:
            raise KeyError("its own")

        with pytest.raises(KeyError, match="its own"):
            within(5.0, fail)

        def time_out(_: Deadline) -> None:
            raise TimeoutError("its own")

        with pytest.raises(TimeoutError, match="its own"):
            within(5.0, time_out)
