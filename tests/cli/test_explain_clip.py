"""`tokenlearner explain` on clips: what it writes, says, and says no to."""

import csv
import os
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage

from tests import shell, tiny
from tests.media.clip_makers import HEIGHT, WIDTH, make_clip, make_tone
from tokenlearner.checkpoints import load_model, save_model
from tokenlearner.clips import ClipExplanation, explain_clip
from tokenlearner.errors import MediaTooLargeError
from tokenlearner.media import probe, read_clip
from tokenlearner.models.config import TokenLearnerConfig
from tokenlearner.models.vit import VisionTransformer
from tokenlearner.rendering import ViewSettings
from tokenlearner.rendering.filmstrip import render_filmstrip, render_token_tube
from tokenlearner.rendering.video import render_overlay_video

FILES = [
    "walk-filmstrip.png",
    "walk-overlay.mp4",
    "walk-tokens.png",
    "walk-tracks.csv",
    "walk.npz",
]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    save_model(tmp_path / "tiny", tiny.model())
    return tmp_path / "tiny"


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Thirty frames in three seconds, with sound, under the name of a photo."""
    path = tmp_path / "walk.jpg"
    path.write_bytes(make_clip(30, audio_s=3.0))
    return path


def with_two_learners(folder: Path) -> Path:
    learner = TokenLearnerConfig(num_tokens=2, at=1, fuser=True)
    network = VisionTransformer(replace(tiny.config(), depth=3, token_learner=learner))
    network.info = tiny.model().info
    save_model(folder / "two", network)
    return folder / "two"


call = partial(shell.call, "explain")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def pixels(path: Path) -> np.ndarray:
    with PillowImage.open(path) as picture:
        return np.asarray(picture)


class TestResults:
    def test_files_are_those_of_the_library(self, model: Path, clip: Path, tmp_path: Path) -> None:
        out = tmp_path / "out"
        result = call(clip, "--model", model, "--out", out, "--frames", 4)
        assert result.exit_code == 0, result.output
        assert names(out) == FILES
        wanted = explain_clip(load_model(model), clip, num_frames=4)
        found = ClipExplanation.load(out / "walk.npz")
        assert np.array_equal(found.maps, wanted.maps)
        assert np.array_equal(found.frames, wanted.frames)
        assert (out / "walk-tracks.csv").read_text() == wanted.tracks().to_csv()
        assert np.array_equal(pixels(out / "walk-tokens.png"), render_token_tube(wanted))
        assert np.array_equal(pixels(out / "walk-filmstrip.png"), render_filmstrip(wanted))
        film = render_overlay_video(wanted, clip)
        assert_same_film(out / "walk-overlay.mp4", film)

    def test_options_reach_the_film(self, model: Path, clip: Path, tmp_path: Path) -> None:
        out = tmp_path / "out"
        options = "--frames 3 --start 0.5 --end 1.5 --token 2 --opacity 0.9 --sound"
        result = call(clip, "--model", model, "--out", out, *options.split())
        assert result.exit_code == 0, result.output
        shown = read_clip(clip, num_frames=3, start_s=0.5, end_s=1.5)
        found = ClipExplanation.load(out / "walk.npz")
        assert np.array_equal(found.frames, shown.frames)
        assert np.array_equal(found.times_s, shown.times_s)
        settings = ViewSettings(tokens=(1,), opacity=0.9)
        assert np.array_equal(pixels(out / "walk-filmstrip.png"), render_filmstrip(found, settings))
        film = render_overlay_video(found, clip, settings, start_s=0.5, end_s=1.5)
        assert_same_film(out / "walk-overlay.mp4", film)
        facts = probe(out / "walk-overlay.mp4")
        assert (facts.num_frames, facts.has_audio) == (10, True)
        assert not probe(film).has_audio

    @pytest.mark.parametrize("style", ["composite", "mosaic"])
    def test_styles(self, model: Path, clip: Path, tmp_path: Path, style: str) -> None:
        out = tmp_path / "out"
        result = call(clip, "--model", model, "--out", out, "--frames", 2, "--style", style)
        assert result.exit_code == 0, result.output
        mode = "composite" if style == "composite" else "token"
        film = render_overlay_video(
            ClipExplanation.load(out / "walk.npz"),
            clip,
            ViewSettings(tokens=(0,), mode=mode),
            mosaic=style == "mosaic",
        )
        assert_same_film(out / "walk-overlay.mp4", film)
        size = (HEIGHT, WIDTH)
        assert (frames_of(film).shape[1:3] != size) == (style == "mosaic")

    def test_another_kind_of_film(self, model: Path, clip: Path, tmp_path: Path) -> None:
        out = tmp_path / "out"
        result = call(clip, "--model", model, "--out", out, "--frames", 2, "--film", "gif")
        assert result.exit_code == 0, result.output
        assert names(out) == [name.replace("mp4", "gif") for name in FILES]
        assert probe(out / "walk-overlay.gif").num_frames == 30

    def test_another_learner(self, clip: Path, tmp_path: Path) -> None:
        out = tmp_path / "out"
        options = ("--frames", 2, "--learner", 2)
        result = call(clip, "--model", with_two_learners(tmp_path), "--out", out, *options)
        assert result.exit_code == 0, result.output
        found = ClipExplanation.load(out / "walk.npz")
        assert (out / "walk-learner2-tracks.csv").read_text() == found.tracks(1).to_csv()
        assert found.tracks(1).to_csv() != found.tracks(0).to_csv()
        tube = render_token_tube(found, ViewSettings(), learner=1)
        assert np.array_equal(pixels(out / "walk-learner2-tokens.png"), tube)
        film = render_overlay_video(found, clip, ViewSettings(), learner=1)
        assert_same_film(out / "walk-learner2-overlay.mp4", film)
        means = found.tracks(1).strength.mean(axis=0)
        assert [line.split()[1] for line in result.stdout.splitlines()[-2:]] == [
            f"{mean:.3f}" for mean in means
        ]

    def test_says_what_it_saw_and_what_the_tokens_follow(
        self, model: Path, clip: Path, tmp_path: Path
    ) -> None:
        result = call(clip, "--model", model, "--out", tmp_path / "out", "--frames", 4)
        found = ClipExplanation.load(tmp_path / "out" / "walk.npz")
        for name, probability in found.predictions:
            assert f"{name:<5}  {100 * probability:5.1f} %" in result.stdout
        assert "4 of 30 frames, 0.30 to 2.60 s of 3.00 s" in result.stdout
        tracks = found.tracks()
        header, first, second = result.stdout.splitlines()[-3:]
        assert header.split() == ["token", "peak", "looks", "at", "moves", "stays", "itself"]
        for token, line in enumerate((first, second)):
            assert line.split() == [
                str(token + 1),
                f"{tracks.strength[:, token].mean():.3f}",
                f"{100 * tracks.effective_area[:, token].mean():.0f}",
                "%",
                f"{np.nanmean(tracks.speed_px_s[:, token]):.0f}",
                "px/s",
                f"{np.nanmean(tracks.similarity[:, token]):.3f}",
            ]

    def test_one_frame_has_no_movement(self, model: Path, clip: Path, tmp_path: Path) -> None:
        result = call(clip, "--model", model, "--out", tmp_path / "out", "--frames", 1)
        assert result.exit_code == 0, result.output
        assert result.stdout.splitlines()[-1].split()[-3:] == ["–", "px/s", "–"]
        text = (tmp_path / "out" / "walk-tracks.csv").read_text()
        rows = list(csv.DictReader(text.splitlines()))
        assert [row["speed_px_s"] for row in rows] == ["", ""]

    def test_a_model_for_clips(self, clip: Path, tmp_path: Path) -> None:
        save_model(tmp_path / "clips", tiny.clip_model())
        result = call(clip, "--model", tmp_path / "clips", "--out", tmp_path / "out")
        assert result.exit_code == 0, result.output
        found = ClipExplanation.load(tmp_path / "out" / "walk.npz")
        assert found.step_frames == ((0, 2), (2, 4))
        assert names(tmp_path / "out") == FILES

    def test_a_baseline_has_an_answer_but_no_maps(self, clip: Path, tmp_path: Path) -> None:
        save_model(tmp_path / "plain", tiny.model(learner=False))
        result = call(clip, "--model", tmp_path / "plain", "--out", tmp_path / "out")
        assert result.exit_code == 0, result.output
        assert names(tmp_path / "out") == ["walk.npz"]
        assert "16 of 30 frames" in result.stdout
        assert "has no TokenLearner, so there are no maps" in result.stdout

    def test_a_film_that_cannot_be_made_takes_nothing_else_along(
        self, model: Path, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_: object, **__: object) -> bytes:
            raise MediaTooLargeError("40,000 frames. Choose a shorter section of it.")

        monkeypatch.setattr("tokenlearner.cli.explain_clip.render_overlay_video", refuse)
        out = tmp_path / "out"
        result = call(clip, "--model", model, "--out", out, "--frames", 4)
        assert result.exit_code == 1
        assert f"tokenlearner: {clip}: no video: 40,000 frames. Choose a shor" in result.stderr
        assert names(out) == [name for name in FILES if not name.endswith(".mp4")]
        assert "4 of 30 frames" in result.stdout

    def test_large_frames_are_reduced(self, model: Path, tmp_path: Path) -> None:
        path = tmp_path / "wide.mp4"
        path.write_bytes(make_clip(4, size=(48, 2048)))
        result = call(path, "--model", model, "--out", tmp_path / "out", "--frames", 2)
        assert result.exit_code == 0, result.output
        assert "reduced from 2048 × 48 to 1920 × 45 px" in result.output
        assert explain_clip(load_model(model), path, num_frames=2).frames.shape[2] == 1920
        whole = explain_clip(load_model(model), path, num_frames=2, max_side_px=None)
        assert whole.frames.shape[2] == 2048

    def test_a_gif_is_a_clip(self, model: Path, tmp_path: Path) -> None:
        path = tmp_path / "walk.gif"
        path.write_bytes(make_clip(6, codec="gif", container="gif", pixels="rgb8"))
        result = call(path, "--model", model, "--out", tmp_path / "out", "--frames", 2)
        assert result.exit_code == 0, result.output
        assert names(tmp_path / "out") == FILES

    def test_photos_beside_clips(self, model: Path, clip: Path, tmp_path: Path) -> None:
        photo = tmp_path / "walk.png"
        photo.write_bytes(tiny.photo(0, 0))
        out = tmp_path / "out"
        result = call(photo, clip, "--model", model, "--out", out, "--frames", 2)
        assert result.exit_code == 0, result.output
        assert {"walk-sheet.png", "walk.npz", "walk-2-overlay.mp4", "walk-2.npz"} <= set(names(out))


class TestErrors:
    def test_unusable_clips_are_skipped_and_told(
        self, model: Path, clip: Path, tmp_path: Path
    ) -> None:
        sound, broken = tmp_path / "sound.mp4", tmp_path / "broken.mp4"
        sound.write_bytes(make_tone())
        broken.write_bytes(clip.read_bytes()[:400])
        out = tmp_path / "out"
        result = call(sound, broken, clip, "--model", model, "--out", out, "--frames", 2)
        assert result.exit_code == 1
        first, second = result.stderr.splitlines()
        assert first.startswith(f"tokenlearner: {sound}: This MP4 video has sound, but no pictures")
        assert second.startswith(f"tokenlearner: {broken}: The file begins like an MP4 video, but")
        assert names(out) == FILES

    def test_what_is_neither_is_what_its_name_says(self, model: Path, tmp_path: Path) -> None:
        empty, text, missing = (tmp_path / f"{name}.mp4" for name in ("empty", "text", "missing"))
        empty.write_bytes(b"")
        text.write_text("a note")
        pipe, photo = tmp_path / "pipe.mp4", tmp_path / "pipe.jpg"
        for path in (pipe, photo):
            os.mkfifo(path)
        out = tmp_path / "out"
        result = call(empty, text, missing, pipe, photo, "--model", model, "--out", out)
        assert result.exit_code == 1
        lines = result.stderr.splitlines()
        assert lines[0].endswith(
            "is empty (0 bytes). Choose a clip: MP4, MOV, WebM, MKV, AVI or GIF."
        )
        assert "content is plain text, not a clip. Choose one in MP4" in lines[1]
        assert lines[2].endswith("(No such file or directory). Give the path of a clip.")
        assert lines[3].endswith("is not a file. Give the path of a clip.")
        assert lines[4].endswith("is not a file. Give the path of a photo or clip.")

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (["--end", "nan"], "The section goes from 0 s to nan s; wanted"),
            (["--start", "5"], "begins at 5 s, but the clip lasts 3.00 s"),
            (["--start", "2", "--end", "1"], "The section goes from 2 s to 1.0 s; wanted"),
        ],
    )
    def test_stretches_that_are_not_there(
        self, model: Path, clip: Path, tmp_path: Path, options: list[str], message: str
    ) -> None:
        result = call(clip, "--model", model, "--out", tmp_path / "out", *options)
        assert result.exit_code == 1
        assert message in result.stderr
        assert names(tmp_path / "out") == []

    def test_a_mosaic_is_for_clips(self, model: Path, tmp_path: Path) -> None:
        photo = tmp_path / "photo.png"
        photo.write_bytes(tiny.photo(0, 0))
        result = call(photo, "--model", model, "--out", tmp_path / "out", "--style", "mosaic")
        assert result.exit_code == 1
        assert (
            f"--style mosaic is for clips, and {photo} is not one; leave the option out"
            in result.stderr
        )

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (["--film", "avi"], "--film is 'avi'; choose one of mp4, webm, gif"),
            (["--film", "gif", "--sound"], "--sound: a GIF has no sound"),
            (["--learner", "2"], "asks for learner 2, but the model has 1; choose 1"),
        ],
    )
    def test_options_that_cannot_be(
        self, model: Path, clip: Path, tmp_path: Path, options: list[str], message: str
    ) -> None:
        result = call(clip, "--model", model, "--out", tmp_path / "out", *options)
        assert result.exit_code == 1
        assert message in result.stderr
        assert not (tmp_path / "out").exists()

    def test_a_photo_for_a_model_for_clips(self, tmp_path: Path) -> None:
        save_model(tmp_path / "clips", tiny.clip_model())
        photo = tmp_path / "photo.png"
        photo.write_bytes(tiny.photo(0, 0))
        result = call(photo, "--model", tmp_path / "clips", "--out", tmp_path / "out")
        assert result.exit_code == 1
        assert "takes clips, not photos" in result.stderr


def frames_of(film: Path | bytes) -> np.ndarray:
    return read_clip(film, num_frames=5).frames


def assert_same_film(found: Path, wanted: bytes) -> None:
    """The same pictures but for rounding; the container may hold the time of day."""
    one, other = (frames_of(film).astype(int) for film in (found, wanted))
    assert one.shape == other.shape
    assert np.abs(one - other).mean() < 0.5
