"""Clips that we write: the frames, colours and times that were put in come out again."""

from collections.abc import Iterator
from contextlib import nullcontext
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image as PillowImage
from PIL import ImageSequence

from tests.media.clip_makers import make_clip, make_tone, numbered, numbers_on
from tokenlearner.errors import ConfigError, MediaTooLargeError, ShapeError, UnsupportedMediaError
from tokenlearner.media import (
    display_clip,
    encode_video,
    gif_files,
    probe,
    read_clip,
    read_sound,
)
from tokenlearner.media.sound import SAMPLES_PER_S, Sound
from tokenlearner.media.video_files import VIDEO_KINDS


def frames(count: int, height: int = 64, width: int = 96) -> Iterator[NDArray[np.uint8]]:
    return (numbered(number, height, width) for number in range(count))


class TestPictures:
    @pytest.mark.parametrize("kind", VIDEO_KINDS)
    def test_every_frame_comes_out_again(self, kind: str) -> None:
        clip = read_clip(encode_video(frames(12), fps=10, kind=kind), num_frames=12)
        assert numbers_on(clip.frames) == list(range(12))
        np.testing.assert_allclose(clip.times_s, np.arange(12) / 10, atol=2e-3)
        wanted = {"mp4": ("h264", "MP4 video"), "gif": ("gif", "GIF")}
        assert (clip.facts.codec, clip.facts.container) == wanted.get(
            kind, ("vp9", "Matroska or WebM video")
        )
        assert clip.facts.duration_s == pytest.approx(1.2, abs=2e-3)

    @pytest.mark.parametrize("kind", ["mp4", "webm"])
    def test_odd_sides_get_a_row_or_column_more(self, kind: str) -> None:
        for height, width in ((63, 96), (64, 95), (1, 1)):
            data = encode_video(frames(2, height, width), fps=10, kind=kind)
            facts = probe(data)
            assert (facts.height_px, facts.width_px) == (height + height % 2, width + width % 2)

    def test_a_gif_keeps_odd_sides(self) -> None:
        facts = probe(encode_video(frames(2, 63, 95), fps=10, kind="gif"))
        assert (facts.height_px, facts.width_px) == (63, 95)

    @pytest.mark.parametrize("kind", VIDEO_KINDS)
    def test_colours_are_kept(self, kind: str) -> None:
        colours = [(255, 255, 255), (200, 30, 20), (20, 180, 40), (30, 50, 210), (0, 0, 0)]
        plain = (np.full((96, 128, 3), colour, np.uint8) for colour in colours)
        clip = read_clip(encode_video(plain, fps=5, kind=kind), num_frames=5)
        np.testing.assert_allclose(clip.frames[:, 48, 64].astype(int), colours, atol=5)

    def test_a_broadcast_rate_is_exact(self) -> None:
        facts = probe(encode_video(frames(30), fps=30000 / 1001))
        assert facts.fps == pytest.approx(30000 / 1001, rel=1e-9)

    @pytest.mark.parametrize("kind", ["mp4", "webm"])
    def test_a_slide_show(self, kind: str) -> None:
        facts = probe(encode_video(frames(3), fps=1 / 600, kind=kind))
        assert facts.num_frames == 3
        assert facts.duration_s == pytest.approx(1800)

    def test_times_count_more_than_a_rate_that_no_file_can_say(self) -> None:
        data = encode_video(frames(3), fps=1e12, times_s=[0.0, 1.0, 2.0])
        assert numbers_on(read_clip(data, num_frames=2).frames) == [0, 1]
        assert probe(data).duration_s == pytest.approx(2, abs=2e-3)

    @pytest.mark.parametrize("kind", VIDEO_KINDS)
    def test_a_variable_rate(self, kind: str) -> None:
        times = [0.0, 0.1, 0.5, 0.6, 1.5]
        clip = read_clip(
            encode_video(frames(5), fps=10, times_s=times, kind=kind), num_frames=16, end_s=1.6
        )
        assert numbers_on(clip.frames) == [0, 1, 1, 1, 1, 2, *[3] * 9, 4]
        np.testing.assert_allclose(sorted(set(clip.times_s)), times, atol=2e-3)

    @pytest.mark.parametrize("kind", VIDEO_KINDS)
    def test_the_last_frame_stays_till_the_end(self, kind: str) -> None:
        data = encode_video(frames(3), fps=10, times_s=[0.0, 0.1, 0.2], end_s=2.5, kind=kind)
        assert probe(data).duration_s == pytest.approx(2.5, abs=0.02)
        assert numbers_on(read_clip(data, num_frames=5).frames) == [2] * 5
        # An end before the last frame's own changes nothing, nor does one of frames that are left.
        short = encode_video(frames(3), fps=10, times_s=[0.0, 0.1, 0.2], end_s=0.1, kind=kind)
        assert probe(short).duration_s == pytest.approx(0.3, abs=0.02)

    def test_a_fraction_of_a_frame_more_is_no_frame_more(self) -> None:
        data = encode_video(frames(3), fps=10, times_s=[0.0, 0.1, 0.2], end_s=0.33)
        assert probe(data).num_frames == 3

    def test_a_gif_may_begin_late(self) -> None:
        data = encode_video(frames(3), fps=10, times_s=[700.0, 700.1, 700.2], kind="gif")
        assert probe(data).num_frames == 3

    @pytest.mark.parametrize("kind", VIDEO_KINDS)
    @pytest.mark.parametrize("end_s", [float("inf"), float("nan"), 1e6, -1.0])
    def test_impossible_ends(self, kind: str, end_s: float) -> None:
        with pytest.raises(ConfigError, match=r"end_s is .*; wanted from 0 to 86400 s, and with"):
            encode_video(frames(2), fps=10, times_s=[0.0, 0.1], end_s=end_s, kind=kind)
        with pytest.raises(ConfigError, match="end_s is 1; wanted from 0 to 86400 s, and with tim"):
            encode_video(frames(2), fps=10, end_s=1.0, kind=kind)

    def test_frames_that_do_not_come_are_not_made_up(self) -> None:
        data = encode_video(frames(2), fps=10, times_s=[0.0, 0.1, 0.2], end_s=2.5)
        assert probe(data).duration_s == pytest.approx(0.2, abs=0.02)

    def test_the_index_comes_first_in_an_mp4(self) -> None:
        data = encode_video(frames(5), fps=10)
        assert data.index(b"moov") < data.index(b"mdat")

    def test_frames_are_taken_one_at_a_time(self) -> None:
        def stopping() -> Iterator[NDArray[np.uint8]]:
            yield from frames(3)
            raise KeyboardInterrupt

        for kind in VIDEO_KINDS:
            with pytest.raises(KeyboardInterrupt):
                encode_video(stopping(), fps=10, kind=kind)

    def test_rounded_gif_times_do_not_add_up(self) -> None:
        gif = PillowImage.open(BytesIO(encode_video(frames(30), fps=30, kind="gif")))
        durations = [frame.info["duration"] for frame in ImageSequence.Iterator(gif)]
        assert set(durations) <= {30, 40}
        assert sum(durations) == 1000

    @pytest.mark.parametrize("times_s", [None, [number / 240 for number in range(480)]])
    def test_a_gif_keeps_time_at_rates_that_it_cannot_show(
        self, times_s: list[float] | None
    ) -> None:
        blank = [np.zeros((2, 2, 3), np.uint8)] * 480
        facts = probe(encode_video(blank, fps=240, times_s=times_s, kind="gif"))
        assert facts.duration_s == pytest.approx(2, abs=0.021)
        assert 80 <= facts.num_frames <= 101

    @pytest.mark.parametrize("kind", ["mp4", "webm"])
    def test_frames_at_the_same_time(self, kind: str) -> None:
        times = [0.0, 0.0, 1e-6, 0.1, 0.2]
        data = encode_video(frames(5), fps=10, times_s=times, kind=kind)
        assert numbers_on(read_clip(data, num_frames=3).frames) == [0, 3, 4]
        assert probe(data).num_frames == 3

    def test_a_gif_is_written_while_its_frames_come(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setattr(gif_files, "TemporaryDirectory", lambda: nullcontext(tmp_path))
        random, sizes = np.random.default_rng(0), []

        def noise() -> Iterator[NDArray[np.uint8]]:
            for _ in range(60):
                yield random.integers(0, 256, (64, 96, 3), np.uint8)
                sizes.extend(path.stat().st_size for path in tmp_path.iterdir())

        whole = len(encode_video(noise(), fps=10, kind="gif"))
        assert sizes[-1] > 0.3 * whole  # FFmpeg keeps a quarter of a megabyte back

    @pytest.mark.parametrize("kind", VIDEO_KINDS)
    def test_a_file_that_gets_too_large_is_given_up_at_once(self, kind: str) -> None:
        random, taken = np.random.default_rng(0), []

        def noise() -> Iterator[NDArray[np.uint8]]:
            for number in range(400):
                taken.append(number)
                yield random.integers(0, 256, (128, 128, 3), np.uint8)

        advice = "shorter section, or mp4" if kind == "gif" else "shorter section"
        with pytest.raises(
            MediaTooLargeError, match=f"The {kind} would be larger than 0 MB. Choose a {advice}"
        ):
            encode_video(noise(), fps=25, kind=kind, max_bytes=100_000)
        assert len(taken) < 200
        few = [np.zeros((16, 16, 3), np.uint8)]
        assert len(encode_video(few, fps=5, kind=kind, max_bytes=100_000)) < 100_000

    def test_a_gif_shows_the_colours_of_each_frame(self) -> None:
        shown = [np.full((8, 8, 3), color, np.uint8) for color in ((250, 9, 30), (7, 200, 90))]
        shown[0][:, 4:] = 128, 0, 255
        found = read_clip(encode_video(shown, fps=5, kind="gif"), num_frames=2).frames
        np.testing.assert_allclose(found.astype(int), np.stack(shown), atol=4)


class TestRefused:
    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"fps": 0}, "fps is 0; wanted above 0"),
            ({"fps": float("nan")}, "fps is nan; wanted above 0"),
            ({"fps": 1e-9}, "fps is 1e-09; wanted from 0.0001 to 1000"),
            ({"fps": float("inf")}, "fps is inf; wanted from 0.0001 to 1000"),
            ({"fps": 5, "times_s": []}, "times_s has 0 times; wanted one for each frame"),
            ({"fps": 5, "times_s": [0.0, 2.0, 1.0]}, "3 times; wanted .* ascending from 0"),
            ({"fps": 5, "times_s": [0.0, float("nan")]}, "2 times; wanted .* ascending from 0"),
            ({"fps": 5, "times_s": [0.0, 1e12]}, "2 times; wanted .* to at most 86400 s"),
            ({"fps": 1e-3, "kind": "gif"}, "shows a frame for 655 s at most. Choose mp4 or webm"),
            ({"fps": 5, "kind": "avi"}, "kind is 'avi'; choose one of mp4, webm, gif"),
            (
                {"fps": 5, "kind": "gif", "sound": Sound(samples=np.zeros((2, 9), np.float32))},
                "A GIF has no sound. Choose mp4 or webm, or leave",
            ),
        ],
    )
    def test_impossible_options(self, options: dict, message: str) -> None:
        with pytest.raises(ConfigError, match=message):
            encode_video(frames(1), **options)

    @pytest.mark.parametrize("kind", VIDEO_KINDS)
    def test_more_frames_than_times(self, kind: str) -> None:
        with pytest.raises(ConfigError, match="times_s has 2 times, and there are more frames"):
            encode_video(frames(3), fps=5, times_s=[0.0, 0.2], kind=kind)
        assert probe(encode_video(frames(2), fps=5, times_s=[0.0, 0.2, 0.4], kind=kind))

    @pytest.mark.parametrize("kind", VIDEO_KINDS)
    def test_no_frames(self, kind: str) -> None:
        with pytest.raises(ConfigError, match="There are no frames to make a clip of"):
            encode_video([], fps=5, kind=kind)

    @pytest.mark.usefixtures("_as_users_run_it")
    def test_frames_of_another_kind(self) -> None:
        for frame in (np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((0, 4, 3))):
            with pytest.raises(ShapeError, match=r"Got a \w+ frame of shape .* Convert it first"):
                encode_video([frame], fps=5)  # pyright: ignore[reportArgumentType]

    def test_frames_that_no_encoder_takes(self) -> None:
        with pytest.raises(ConfigError, match=r"would be 16,386 × 2 px; .* at most 16,384\. Red"):
            encode_video([np.zeros((1, 16_385, 3), np.uint8)], fps=5)

    def test_frames_of_several_sizes(self) -> None:
        with pytest.raises(ShapeError, match="a frame of 8 × 4 px after one of 8 × 6 px"):
            encode_video([numbered(0, 6, 8), numbered(0, 4, 8)], fps=5)


def loudness(sound: Sound | None) -> list[float]:
    """Root mean square of each tenth of a second."""
    assert sound is not None
    tenths = sound.samples[0][: sound.samples.shape[1] // 4800 * 4800].reshape(-1, 4800)
    return np.sqrt((tenths**2).mean(axis=1)).round(2).tolist()


class TestSound:
    def test_a_stretch_of_a_tone(self) -> None:
        # Pictures of 2 s, a tone of 1 s, whose encoder fades at both ends.
        sound = read_sound(make_clip(20, audio_s=1.0), start_s=0.5, end_s=2.0)
        assert sound is not None
        assert sound.samples.shape == (1, 1.5 * SAMPLES_PER_S)
        level = loudness(sound)
        np.testing.assert_allclose(level[:4], 0.21, atol=0.02)
        np.testing.assert_allclose(level[6:], 0.0, atol=0.01)
        pitch = np.abs(np.fft.rfft(sound.samples[0, : SAMPLES_PER_S // 2])).argmax() * 2
        assert pitch == 440

    def test_a_clip_without_sound(self) -> None:
        assert read_sound(make_clip(3), start_s=0.0, end_s=0.3) is None

    def test_sound_without_pictures(self) -> None:
        with pytest.raises(UnsupportedMediaError, match="has sound, but no pictures"):
            read_sound(make_tone(), start_s=0.0, end_s=0.3)

    def test_sound_that_nobody_can_decode(self) -> None:
        clip = make_clip(3, container="matroska", audio_s=0.3)
        odd = clip.replace(b"A_AAC", b"A_XXX")
        assert odd != clip
        assert read_sound(odd, start_s=0.0, end_s=0.3) is None
        assert probe(display_clip(odd, with_sound=True)).num_frames == 3

    @pytest.mark.parametrize(
        ("start_s", "end_s"), [(1, 0), (-1, 1), (float("nan"), 1), (0, float("nan"))]
    )
    def test_impossible_stretches(self, start_s: float, end_s: float) -> None:
        with pytest.raises(ConfigError, match=r"The sound goes from .* s; wanted a start of"):
            read_sound(make_clip(3), start_s=start_s, end_s=end_s)

    def test_too_long_a_stretch(self) -> None:
        with pytest.raises(MediaTooLargeError, match=r"sound of 700 s .* limit is 600 s\. Choose"):
            read_sound(make_clip(3), start_s=0.0, end_s=700.0)

    @pytest.mark.parametrize("kind", ["mp4", "webm"])
    def test_it_goes_with_the_pictures(self, kind: str) -> None:
        sound = read_sound(make_clip(10, audio_s=1.0), start_s=0.0, end_s=1.0)
        data = encode_video(frames(10), fps=10, kind=kind, sound=sound)
        assert probe(data).has_audio
        assert numbers_on(read_clip(data, num_frames=10).frames) == list(range(10))
        again = read_sound(data, start_s=0.0, end_s=1.0)
        np.testing.assert_allclose(loudness(again)[1:9], loudness(sound)[1:9], atol=0.02)
