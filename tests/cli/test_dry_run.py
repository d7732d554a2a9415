"""`tokenlearner train --dry-run` over a folder that holds a run: this one, or another."""

from pathlib import Path

import pytest
import torch
from typer.testing import Result

from tests import shell, tiny
from tokenlearner.efficiency.machine import has_bfloat16
from tokenlearner.training.data import read_images
from tokenlearner.training.loop import Trainer
from tokenlearner.training.recipes import RECIPES

NAME = "imagenette-tiny"
CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RECIPES, NAME, lambda: tiny.recipe(stages=((2, 16),)))


def dry_run(data: Path, out: Path, *arguments: object) -> Result:
    words = [NAME, *arguments, "--data", data, "--out", out, "--device", "cpu", "--dry-run"]
    return shell.call("train", *words)


def take_steps(data: Path, out: Path, count: int) -> None:
    """Begins the run, as the command does, and stops it after so many steps."""
    photos = read_images(data, "train", max_unusable=0.2).scan(remember=out / "unusable.json")
    trainer = Trainer(RECIPES[NAME](), photos, out, device=CPU, mixed_precision=has_bfloat16(CPU))
    for report in trainer.run(checkpoint_every=1):
        if report["step"] == count:
            return


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_says_after_which_step_it_goes_on(data: Path, tmp_path: Path) -> None:
    take_steps(data, tmp_path, 2)
    before = contents(tmp_path)
    result = dry_run(data, tmp_path)
    assert result.exit_code == 0, result.output
    assert f"{tmp_path} holds this run, which would resume after step 2 of 6" in result.stdout
    assert result.stdout.index("parameters") < result.stdout.index("would resume")
    assert contents(tmp_path) == before


def test_without_the_photos_that_the_run_left_out(tmp_path: Path) -> None:
    files = {f"{name}/{row}.png": tiny.photo(0, row) for name in "abc" for row in range(8)}
    tiny.write_files(tmp_path / "photos/train", files | {"a/cut.png": b"\x89PNG\r\n\x1a\n cut off"})
    out = tmp_path / "run"
    take_steps(tmp_path / "photos", out, 2)
    (out / "unusable.json").unlink()
    result = dry_run(tmp_path / "photos", out, "--max-unusable", 0.2)
    assert result.exit_code == 0, result.output
    assert "would resume after step 2 of 6" in result.stdout
    assert not (out / "unusable.json").exists()


def test_a_finished_run(data: Path, tmp_path: Path) -> None:
    take_steps(data, tmp_path, 6)
    result = dry_run(data, tmp_path)
    assert result.exit_code == 0, result.output
    assert f"{tmp_path} holds this run, finished; the command would write" in result.stdout
    assert "photos/s" not in result.stdout


def test_another_run_is_refused(data: Path, tmp_path: Path) -> None:
    take_steps(data, tmp_path, 2)
    result = dry_run(data, tmp_path, "--seed", 6)
    assert result.exit_code == 1
    assert "checkpoint.pt belongs to another recipe, other data" in result.stderr
    assert "photos/s" not in result.stdout
