"""Clips for a page: what browsers play goes through unchanged, the rest is made so."""

from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from tests.media.clip_makers import make_clip, numbers_on
from tokenlearner.errors import ConfigError, MediaError
from tokenlearner.media import display_clip, probe, read_clip, read_stretch

ONE = 1 << 16
TURNED = (0, ONE, 0, -ONE, 0, 0, 0, 0, 1 << 30)
WEBM: dict[str, Any] = {
    "codec": "libvpx-vp9",
    "container": "webm",
    "deadline": "realtime",
    "cpu-used": "8",
}


def coloured_clip(colorspace: int, color_range: int, matrix: tuple[int, ...] | None) -> bytes:
    """A clip of eight colours that a page cannot play, by matrix and range in ITU-T H.273."""
    corners = np.array(list(np.ndindex(2, 2, 2)), np.uint8) * 190 + 30
    rgb = np.ascontiguousarray(corners.reshape(2, 4, 3).repeat(32, axis=0).repeat(32, axis=1))
    file = BytesIO()
    with av.open(file, "w", format="matroska" if matrix is None else "mp4") as out:
        stream: Any = out.add_stream("libx264", rate=10, options={"crf": "12"})
        stream.height, stream.width, stream.pix_fmt = *rgb.shape[:2], "yuv420p"
        context = stream.codec_context
        context.colorspace, context.color_range = colorspace, color_range
        if matrix is not None:
            stream.set_display_matrix(matrix)
        for _ in range(4):
            frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
            yuv = frame.reformat(
                format="yuv420p", dst_colorspace=colorspace, dst_color_range=color_range
            )
            out.mux(stream.encode(yuv))
        out.mux(stream.encode())
    return file.getvalue()


class TestDisplay:
    def test_what_browsers_play_is_not_touched(self, tmp_path: Path) -> None:
        for clip in (make_clip(5), make_clip(5, audio_s=0.5), make_clip(5, **WEBM)):
            path = tmp_path / "clip"
            path.write_bytes(clip)
            assert display_clip(clip) == clip
            assert display_clip(path, end_s=9.0) == clip

    @pytest.mark.parametrize(
        "options",
        [
            {"codec": "mpeg4", "container": "avi"},
            {"container": "matroska"},
            {"container": "mov"},
            {"pixels": "yuv444p"},
            {"matrix": TURNED},
            {"pixel_aspect": Fraction(2, 1)},
            {"size": (48, 1936)},
            {"stamps_ms": [1000, 1100, 1200, 1300, 1400, 1500, 1600, 1700], **WEBM},
        ],
        ids=str,
    )
    def test_anything_else_becomes_h264(self, options: dict) -> None:
        clip = make_clip(8, **options)
        shown = display_clip(clip)
        assert shown != clip
        facts, original = probe(shown), probe(clip)
        assert (facts.codec, facts.container, facts.num_frames) == ("h264", "MP4 video", 8)
        scale = min(1.0, 960 / original.width_px)
        assert facts.width_px == original.width_px * scale
        assert facts.height_px == pytest.approx(original.height_px * scale, abs=1)
        assert facts.fps == pytest.approx(original.fps, rel=0.01)

    @pytest.mark.parametrize("colours", [(1, 1), (5, 1), (6, 2)], ids=str)
    @pytest.mark.parametrize("matrix", [None, TURNED], ids=["as stored", "turned"])
    def test_colours_stay(self, colours: tuple[int, int], matrix: tuple[int, ...] | None) -> None:
        clip = coloured_clip(*colours, matrix)
        before, after = (
            read_clip(data, num_frames=4).frames for data in (clip, display_clip(clip))
        )
        assert before.shape == after.shape
        assert before.min() < 40
        assert before.max() > 200
        # With a wrong matrix or range it is 9 and more.
        assert np.abs(before.astype(int) - after).mean() < 4

    def test_a_stretch_keeps_its_times(self) -> None:
        # The frames come at 0, 0.1, 0.4, 0.5, 0.9 and 1.0 s.
        clip = make_clip(6, stamps_ms=[0, 100, 400, 500, 900, 1000])
        display = display_clip(clip, start_s=0.3, end_s=0.95)
        shown = read_clip(display, num_frames=13, end_s=0.65)
        assert numbers_on(shown.frames) == [1, 1, *[2] * 2, *[3] * 8, 4]
        np.testing.assert_allclose(sorted(set(shown.times_s)), [0.0, 0.1, 0.2, 0.6], atol=2e-3)

    def test_a_cut_within_a_first_frame_that_lasts_long(self) -> None:
        """No frame is left out, but all come sooner than in the file."""
        clip = make_clip(3, stamps_ms=[0, 2000, 2100])
        display = display_clip(clip, start_s=1.5)
        np.testing.assert_allclose(read_stretch(display).times_s, [0, 0.5, 0.6], atol=2e-3)

    def test_a_last_frame_that_lasts_long_stays_till_the_end(self) -> None:
        # Frames at 0, 0.1 and 0.2 s; with the one of 6 s outside, the last lasts till 5 s.
        clip = make_clip(4, stamps_ms=[0, 100, 200, 6000], container="matroska")
        display = display_clip(clip, end_s=5.0)
        assert probe(display).duration_s == pytest.approx(5.0, abs=0.01)
        assert numbers_on(read_clip(display, num_frames=5).frames) == [2] * 5

    def test_sound_on_demand(self) -> None:
        clip = make_clip(20, audio_s=2.0)
        assert not probe(display_clip(clip, end_s=1.0)).has_audio
        assert probe(display_clip(clip, end_s=1.0, with_sound=True)).has_audio
        assert not probe(display_clip(make_clip(20), end_s=1.0, with_sound=True)).has_audio

    def test_progress_until_it_raises(self) -> None:
        told: list[tuple[int, int]] = []

        def progress(done: int, total: int) -> None:
            told.append((done, total))
            if done == 4:
                raise InterruptedError

        with pytest.raises(InterruptedError):
            display_clip(make_clip(8, container="mov"), progress=progress)
        assert told == [(done, 8) for done in range(5)]

    def test_a_stretch_after_the_end(self) -> None:
        with pytest.raises(MediaError, match="begins at 9 s, but the clip lasts"):
            display_clip(make_clip(5), start_s=9.0)


class TestStretch:
    def test_every_frame_of_it(self) -> None:
        stretch = read_stretch(make_clip(30), start_s=0.55, end_s=1.4)
        assert numbers_on(stretch.frames()) == list(range(5, 14))
        np.testing.assert_allclose(stretch.times_s, [0.55, *np.arange(6, 14) / 10], atol=1e-9)
        assert numbers_on(stretch.frames()) == list(range(5, 14))  # as often as wanted

    def test_the_whole_clip(self) -> None:
        with pytest.raises(ConfigError, match="max_side_px is 0; it must be at least 1"):
            read_stretch(make_clip(10), max_side_px=0)
        stretch = read_stretch(make_clip(10), max_side_px=48)
        assert numbers_on(stretch.frames()) == list(range(10))
        assert (stretch.width_px, stretch.height_px, stretch.end_s) == (48, 32, 1.0)

    def test_less_than_a_frame(self) -> None:
        stretch = read_stretch(make_clip(10), start_s=0.52, end_s=0.53)
        assert numbers_on(stretch.frames()) == [5]
