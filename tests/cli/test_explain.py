"""`tokenlearner explain`: the same numbers and pictures as the library, and errors in a line."""

import os
import re
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import jaxtyping
import numpy as np
import pytest
import torch
from PIL import Image as PillowImage

from tests import shell, tiny
from tokenlearner.attention.token_facts import facts_csv
from tokenlearner.checkpoints import load_model, save_model
from tokenlearner.inference import Explanation, explain
from tokenlearner.media import read_image
from tokenlearner.models import VisionTransformer
from tokenlearner.rendering import ViewSettings, render_overlay, render_sheet

ROOT = Path(__file__).parents[2]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    save_model(tmp_path / "tiny", tiny.model())
    return tmp_path / "tiny"


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "parrot.png"
    path.write_bytes(tiny.photo(1, 3, size=(30, 44)))
    return path


call = partial(shell.call, "explain")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def pixels(path: Path) -> np.ndarray:
    with PillowImage.open(path) as image:
        return np.asarray(image)


class TestResults:
    def test_files_are_those_of_the_library(self, model: Path, photo: Path, tmp_path: Path) -> None:
        out = tmp_path / "out/deep"
        result = call(photo, "--model", model, "--out", out)
        assert result.exit_code == 0, result.output
        assert names(out) == [
            "parrot-overlay.png",
            "parrot-sheet.png",
            "parrot-tokens.csv",
            "parrot.npz",
        ]
        wanted = explain(load_model(model), photo)
        found = Explanation.load(out / "parrot.npz")
        assert np.array_equal(found.maps, wanted.maps)
        assert found.predictions == wanted.predictions
        overlay = pixels(out / "parrot-overlay.png")
        assert overlay.shape == (30, 44, 3)
        assert np.array_equal(overlay, render_overlay(wanted))
        sheet = render_sheet(wanted)
        assert np.array_equal(pixels(out / "parrot-sheet.png"), sheet)
        facts = wanted.token_facts()
        assert (out / "parrot-tokens.csv").read_text() == facts_csv(facts)
        # Each token in a line under the answers.
        table = [line.split() for line in result.output.splitlines() if "looks at" in line]
        assert table[0][0] == "token"
        for number, token in enumerate(facts, start=1):
            place = f"{token.x_px:.0f}, {token.y_px:.0f}"
            line = rf"^ +{number} +{token.peak:.3g} .* {place} +{100 * token.overlap:.0f} %$"
            assert re.search(line, result.output, re.MULTILINE), line

    def test_settings_reach_the_pictures(self, model: Path, photo: Path, tmp_path: Path) -> None:
        options = "--token 1,2 --opacity 0.9 --colormap magma --interpolation patch --scale token"
        out = tmp_path / "out"
        options += " --mass 0.5 --weak cover"
        result = call(photo, "--model", model, "--out", out, *options.split())
        assert result.exit_code == 0, result.output
        explanation = explain(load_model(model), photo)
        settings = ViewSettings(
            tokens=(0, 1),
            opacity=0.9,
            colormap="magma",
            interpolation="patch",
            scale="token",
            mass=0.5,
            weak="cover",
        )
        wanted = render_overlay(explanation, settings)
        assert np.array_equal(pixels(out / "parrot-overlay.png"), wanted)
        assert not np.array_equal(wanted, render_overlay(explanation, ViewSettings()))
        assert call(photo, "--model", model, "--out", out, "--mode", "composite").exit_code == 0
        composite = render_overlay(explanation, ViewSettings(mode="composite"))
        assert np.array_equal(pixels(out / "parrot-overlay.png"), composite)

    def test_prints_the_answer_and_the_files(
        self, model: Path, photo: Path, tmp_path: Path
    ) -> None:
        out = tmp_path / "out"
        result = call(photo, "--model", model, "--out", out)
        for name, probability in explain(load_model(model), photo).predictions:
            assert f"{name:<5}  {100 * probability:5.1f} %" in result.stdout
        assert f"wrote {out / 'parrot.npz'}" in result.stdout
        assert "random" not in result.stdout
        again = call(photo, "--model", model, "--out", out)
        assert f"replaced {out / 'parrot.npz'}" in again.stdout

    def test_says_what_was_done_to_a_photo(self, model: Path, tmp_path: Path) -> None:
        PillowImage.new("CMYK", (20, 20)).save(tmp_path / "cmyk.jpg")
        result = call(tmp_path / "cmyk.jpg", "--model", model, "--out", tmp_path / "out")
        (note,) = read_image(tmp_path / "cmyk.jpg").notes
        assert result.stdout.endswith(f"\n  {note}\n")

    def test_photos_of_the_same_name_do_not_overwrite_each_other(
        self, model: Path, photo: Path, tmp_path: Path
    ) -> None:
        others = []
        for label, name in enumerate(["a/parrot.jpg", "b/PARROT.png", "parrot-2.png"]):
            path = tmp_path / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(tiny.photo(label, label, size=(9, 9 + label)))
            others.append(path)
        out = tmp_path / "out"
        result = call(photo, *others, "--model", model, "--out", out)
        assert result.exit_code == 0, result.output
        widths = {path.stem: Explanation.load(path).image.shape[1] for path in out.glob("*.npz")}
        assert widths == {"parrot": 44, "parrot-2": 9, "PARROT-3": 10, "parrot-2-2": 11}

    def test_a_folder_stands_for_what_is_in_it(self, model: Path, tmp_path: Path) -> None:
        content = {"b.png": 0, "deeper/a.PNG": 1, "deeper/b.png": 2}
        files = {name: tiny.photo(1, seed) for name, seed in content.items()}
        others = {"notes.txt": b"no photo", "._b.png": b"of the system", "c.mp4/notes.txt": b""}
        folder = tiny.write_files(tmp_path / "photos", {**files, **others})
        out = folder / "results"
        for _ in range(2):  # the second time there are results, which are no photos of the user's
            result = call(folder, "--model", model, "--out", out)
            assert result.exit_code == 0, result.output
            found = [path.name for path in out.glob("*.npz")]
            assert sorted(found) == ["a.npz", "b-2.npz", "b.npz"]
        wanted = read_image(folder / "b.png").pixels
        assert np.array_equal(Explanation.load(out / "b.npz").image, wanted)

    def test_results_beside_or_above_the_photos(
        self, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        tiny.write_files(tmp_path / "photos", {"a.png": tiny.photo(1, 0)})
        monkeypatch.chdir(tmp_path)
        result = call("photos", "--model", model, "--out", ".")
        assert result.exit_code == 0, result.output
        assert (tmp_path / "a.npz").exists()
        result = call("photos", "--model", model, "--out", "photos")
        assert (result.exit_code, result.output.count("\n")) == (1, 1)
        assert "--out is photos, the folder that holds the photos; name another" in result.output

    def test_an_empty_folder(self, model: Path, tmp_path: Path) -> None:
        folder = tiny.write_files(tmp_path / "photos", {"notes.txt": b"no photo"})
        result = call(folder, "--model", model, "--out", tmp_path / "out")
        assert (result.exit_code, result.output.count("\n")) == (1, 1)
        assert "photos has no photos or clips in it; name another folder" in result.output

    def test_a_baseline_has_an_answer_but_no_maps(self, photo: Path, tmp_path: Path) -> None:
        save_model(tmp_path / "plain", tiny.model(learner=False))
        result = call(photo, "--model", tmp_path / "plain", "--out", tmp_path / "out")
        assert result.exit_code == 0, result.output
        assert names(tmp_path / "out") == ["parrot.npz"]
        assert "has no TokenLearner, so there are no maps" in result.stdout

    def test_random_weights_are_called_so(self, photo: Path, tmp_path: Path) -> None:
        save_model(tmp_path / "random", tiny.model(trained=False))
        result = call(photo, "--model", tmp_path / "random", "--out", tmp_path / "out")
        assert "Its weights are random" in result.stdout


class TestErrors:
    def check(self, result: Any, *words: str) -> None:
        assert result.exit_code == 1
        assert result.stdout == ""
        assert result.stderr.count("\n") == 1
        assert result.stderr.startswith("tokenlearner: ")
        for word in words:
            assert word in result.stderr

    def test_unusable_photos_are_skipped_and_told(
        self, model: Path, photo: Path, tmp_path: Path
    ) -> None:
        broken = tmp_path / "broken.jpg"
        broken.write_bytes(photo.read_bytes()[:300])
        out = tmp_path / "out"
        missing = tmp_path / "missing.jpg"
        result = call(broken, missing, photo, "--model", model, "--out", out)
        assert result.exit_code == 1
        first, second = result.stderr.splitlines()
        assert first.startswith(f"tokenlearner: {broken}: This PNG photo is broken or cut off")
        assert second.startswith(f"tokenlearner: {missing}: ")
        assert names(out) == [
            "parrot-overlay.png",
            "parrot-sheet.png",
            "parrot-tokens.csv",
            "parrot.npz",
        ]

    def test_unknown_model(self, photo: Path, tmp_path: Path) -> None:
        result = call(photo, "--model", "nonsense", "--out", tmp_path / "out")
        self.check(result, "'nonsense' is neither a shipped model")
        assert not (tmp_path / "out").exists()

    @pytest.mark.parametrize(
        ("option", "value", "message"),
        [
            ("--token", "0", "--token is '0'; wanted numbers from 1, such as 2 or 1,3"),
            ("--token", "1,", "--token is '1,'; wanted"),
            ("--token", "9" * 5000, "9'; wanted numbers from 1, such as"),
            ("--token", "one", "--token is 'one'; wanted"),
            ("--token", "3", "asks for token 3, but the model has 2; choose from 1 to 2"),
            (
                "--style",
                "video",
                "--style is 'video'; choose one of token, composite or, for clips, mosa",
            ),
            ("--mode", "video", "--style is 'video'; choose one of token, composite"),
            ("--opacity", "1.5", "opacity is 1.5; give a number from 0 to 1"),
            ("--colormap", "jet", "colormap is 'jet'; choose one of inferno"),
            ("--interpolation", "cubic", "interpolation is 'cubic'; choose one of smooth, patch"),
            ("--scale", "log", "scale is 'log'; choose one of shared, token"),
            ("--weak", "hide", "weak is 'hide'; choose one of fade, cover"),
            ("--mass", "0", "mass is 0.0; give a number above 0"),
            ("--device", "abacus", "no device 'abacus' here; choose auto or one of"),
        ],
    )
    def test_wrong_options(
        self,
        model: Path,
        photo: Path,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        option: str,
        value: str,
        message: str,
    ) -> None:
        monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
        out = tmp_path / "out"
        result = call(photo, "--model", model, "--out", out, option, value)
        self.check(result, message)
        assert not out.exists()

    def test_a_full_disk_leaves_no_part_of_a_file(
        self, model: Path, photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        full = OSError(28, "No space left on device", "parrot.npz")
        monkeypatch.setattr(os, "fsync", Mock(side_effect=full))
        result = call(photo, "--model", model, "--out", tmp_path / "out")
        self.check(result, "No space left on device")
        assert names(tmp_path / "out") == []

    @pytest.mark.parametrize(
        ("error", "said"),
        [
            (torch.OutOfMemoryError("CUDA out of memory."), ": CUDA out of memory.; process"),
            (MemoryError(), "; process"),
        ],
    )
    def test_lack_of_memory(
        self,
        error: Exception,
        said: str,
        model: Path,
        photo: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        def fail(*_: object) -> None:
            raise error

        monkeypatch.setattr(VisionTransformer, "trace", fail)
        result = call(photo, "--model", model, "--out", photo.parent / "out")
        self.check(result, f"out of memory{said}")

    def test_a_file_in_the_results_place_is_found_before_the_model(self, photo: Path) -> None:
        result = call(photo, "--model", "nowhere", "--out", photo)
        self.check(result, f"--out is {photo}, but it is a file; wanted a folder")

    def test_no_name_is_not_the_current_folder(self, photo: Path) -> None:
        result = call(photo, "", "--model", "nowhere", "--out", photo.parent / "out")
        assert result.exit_code == 2
        assert "it is ''; wanted the path of a photo, a clip or a folder" in result.stderr

    def test_usage(self, photo: Path) -> None:
        result = call(photo)
        assert result.exit_code == 2
        assert "Missing option '--model'" in result.stderr

    def test_in_a_process_of_its_own(self, photo: Path, tmp_path: Path) -> None:
        command = [sys.executable, "-m", "tokenlearner", "explain", str(photo)]
        command += ["--model", str(tmp_path / "none"), "--out", str(tmp_path / "out")]
        result = subprocess.run(
            command, capture_output=True, text=True, cwd=ROOT, check=False, timeout=300
        )
        assert result.returncode == 1
        assert result.stdout == ""
        assert len(result.stderr.splitlines()) == 1
        assert "nor a folder" in result.stderr
