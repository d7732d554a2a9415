"""A killed run ends where an undisturbed one does, and a checkpoint is whole or the one before."""

import errno
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests import tiny
from tests.training import worker
from tokenlearner.errors import TrainingError
from tokenlearner.training.checkpoint import alone_in
from tokenlearner.training.data import LabelledImages
from tokenlearner.training.loop import CHECKPOINT, Trainer
from tokenlearner.training.recipes import Recipe

CPU = torch.device("cpu")
ROOT = Path(__file__).parents[2]
CASES = ["everything in memory", "muon from files"]


@pytest.fixture(scope="module")
def undisturbed(
    data: LabelledImages, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, dict[str, Any]]:
    """The final states of the cases."""
    states = {}
    for case in CASES:
        trainer = worker.start(case, data.source, tmp_path_factory.mktemp("undisturbed"))
        for _ in trainer.run():
            pass
        states[case] = trainer.train_state.state_dict()
    return states


def start(data: LabelledImages, out: Path, recipe: Recipe | None = None, **options: Any) -> Trainer:
    return Trainer(recipe or tiny.recipe(), data, out, device=CPU, **options)


def finish(trainer: Trainer) -> dict[str, torch.Tensor]:
    for _ in trainer.run():
        pass
    return trainer.result().state_dict()


def assert_same(found: Any, wanted: Any, where: str = "") -> None:
    """Compares nested states, tensors to the last bit."""
    if isinstance(wanted, dict):
        assert found.keys() == wanted.keys(), where
        for name, value in wanted.items():
            assert_same(found[name], value, f"{where}.{name}")
    elif isinstance(wanted, list):
        assert len(found) == len(wanted), where
        for index, value in enumerate(wanted):
            assert_same(found[index], value, f"{where}[{index}]")
    elif isinstance(wanted, torch.Tensor):
        assert torch.equal(found, wanted), where
    else:
        assert found == wanted, where


def kill_while_running(case: str, data: LabelledImages, out: Path, chance: random.Random) -> None:
    command = [sys.executable, "-m", "tests.training.worker", case, data.source, str(out)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        for _ in range(chance.randint(2, 6)):
            assert process.stdout.readline()
        time.sleep(chance.uniform(0, 0.1))
        process.kill()


class TestKilling:
    @pytest.mark.parametrize("case", CASES)
    @pytest.mark.parametrize(
        "seed", [1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 6))]
    )
    def test_at_random_moments(
        self,
        data: LabelledImages,
        undisturbed: dict[str, dict[str, Any]],
        tmp_path: Path,
        case: str,
        seed: int,
    ) -> None:
        chance = random.Random(seed)
        for _ in range(2):
            kill_while_running(case, data, tmp_path, chance)
        trainer = worker.start(case, data.source, tmp_path)
        assert 0 < trainer.step < trainer.num_steps
        finish(trainer)
        assert_same(trainer.train_state.state_dict(), undisturbed[case])

    @pytest.mark.parametrize(
        ("sync", "steps"),
        [
            pytest.param(1, 0, marks=pytest.mark.slow),
            pytest.param(2, 2, marks=pytest.mark.slow),
            (3, 2),
            (4, 3),
        ],
    )
    def test_while_a_checkpoint_is_written(
        self,
        data: LabelledImages,
        undisturbed: dict[str, dict[str, Any]],
        tmp_path: Path,
        sync: int,
        steps: int,
    ) -> None:
        """Checkpoints are due after 2 steps, and after 3, the end of the epoch."""
        case = CASES[0]
        command = [sys.executable, "-m", "tests.training.worker"]
        command += [case, data.source, str(tmp_path), str(sync)]
        found = subprocess.run(command, capture_output=True, cwd=ROOT, check=False, timeout=300)
        assert found.returncode == -signal.SIGKILL, found.stderr
        assert (tmp_path / f"{CHECKPOINT}.new").exists() == (sync % 2 == 1)
        trainer = worker.start(case, data.source, tmp_path)
        assert trainer.step == steps
        finish(trainer)
        assert_same(trainer.train_state.state_dict(), undisturbed[case])


class TestResuming:
    def test_every_detail_survives(self, data: LabelledImages, tmp_path: Path) -> None:
        recipe = tiny.recipe(optimizer="muon", muon_learning_rate=1e-3)
        first = start(data, tmp_path, recipe)
        for report in first.run(checkpoint_every=4):
            if report["step"] == 4:
                break
        second = start(data, tmp_path, recipe)
        assert (second.step, second.saved_step) == (4, 4)
        assert second.seconds == first.seconds > 0
        assert second.hardware == first.hardware != ()
        assert_same(second.train_state.state_dict(), first.train_state.state_dict())

    def test_the_best_epoch_survives(self, data: LabelledImages, tmp_path: Path) -> None:
        recipe = tiny.recipe(keep="best", ema_decay=None)
        wanted = finish(start(data, tmp_path / "a", recipe))
        for report in start(data, tmp_path / "b", recipe).run():
            if report["step"] == 9:
                break
        resumed = start(data, tmp_path / "b", recipe)
        assert resumed.best[0] >= 0
        assert_same(finish(resumed), wanted)

    def test_a_finished_run_only_gives_its_result(
        self, data: LabelledImages, tmp_path: Path
    ) -> None:
        wanted = finish(start(data, tmp_path))
        again = start(data, tmp_path)
        assert list(again.run()) == []
        assert_same(again.result().state_dict(), wanted)

    def test_a_part_of_a_checkpoint_beside_a_whole_one_is_ignored(
        self, data: LabelledImages, tmp_path: Path
    ) -> None:
        next(start(data, tmp_path).run(checkpoint_every=1))
        whole = (tmp_path / CHECKPOINT).read_bytes()
        (tmp_path / f"{CHECKPOINT}.new").write_bytes(whole[: len(whole) // 2])
        assert start(data, tmp_path).step == 1

    @pytest.mark.parametrize(
        "content",
        [b"", b"no checkpoint", b"X\1\0\0\0\xff.", b".+", b"hg", b"G\xa8!", None],
        ids=["none", "other", "no text", "no stack", "no memo", "no number", "half"],
    )
    def test_broken_checkpoint(
        self, data: LabelledImages, tmp_path: Path, content: bytes | None
    ) -> None:
        next(start(data, tmp_path).run(checkpoint_every=1))
        path = tmp_path / CHECKPOINT
        path.write_bytes(path.read_bytes()[:5000] if content is None else content)
        with pytest.raises(
            TrainingError, match=r"checkpoint\.pt is not a readable checkpoint.*delete"
        ):
            start(data, tmp_path)

    @pytest.mark.parametrize("content", [[1, 2], {"step": 3}, torch.zeros(2)])
    def test_another_file_of_pytorch(
        self, data: LabelledImages, tmp_path: Path, content: Any
    ) -> None:
        torch.save(content, tmp_path / CHECKPOINT)
        with pytest.raises(TrainingError, match=r"checkpoint\.pt is not a readable checkpoint"):
            start(data, tmp_path)

    @pytest.mark.parametrize("change", [{"learning_rate": 1e-4}, {"seed": 1}, {"holdout": 7}])
    def test_another_recipe_is_refused(
        self, data: LabelledImages, tmp_path: Path, change: dict[str, Any]
    ) -> None:
        next(start(data, tmp_path).run(checkpoint_every=1))
        with pytest.raises(TrainingError, match="belongs to another recipe, other data, other"):
            start(data, tmp_path, tiny.recipe(**change))

    def test_other_data_precision_or_weights_are_refused(
        self, data: LabelledImages, tmp_path: Path
    ) -> None:
        next(start(data, tmp_path).run(checkpoint_every=1))
        options: list[dict[str, Any]] = [{"mixed_precision": False}, {"model": tiny.model()}]
        for changed in options:
            with pytest.raises(TrainingError, match="weights to start from or another precision"):
                start(data, tmp_path, **changed)
        other = replace(data, labels=data.labels[::-1].copy())
        with pytest.raises(TrainingError, match="belongs to another recipe, other data, other"):
            start(other, tmp_path)

    def test_processes_without_a_common_folder_are_refused(
        self, data: LabelledImages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("tokenlearner.training.loop.gather", lambda step: [step, step + 7])
        with pytest.raises(
            TrainingError, match=r"after the steps 0, 7; wanted one folder .* share"
        ):
            start(data, tmp_path)

    def test_one_run_in_a_folder(self, tmp_path: Path) -> None:
        with (
            alone_in(tmp_path),
            pytest.raises(TrainingError, match="another run is going on in"),
            alone_in(tmp_path),
        ):
            raise AssertionError("two runs in one folder")
        with alone_in(tmp_path):
            pass

    def test_divided_otherwise_it_goes_on(self, data: LabelledImages, tmp_path: Path) -> None:
        next(start(data, tmp_path).run(checkpoint_every=1))
        assert start(data, tmp_path, accumulate=2).step == 1


class TestFullDisk:
    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
    def test_the_checkpoint_before_is_left(self, data: LabelledImages, tmp_path: Path) -> None:
        """/dev/full takes no byte, as a full disk."""
        steps = start(data, tmp_path).run(checkpoint_every=1)
        next(steps)
        before = (tmp_path / CHECKPOINT).read_bytes()
        (tmp_path / f"{CHECKPOINT}.new").symlink_to("/dev/full")
        with pytest.raises(
            TrainingError,
            match=r"checkpoint\.pt: No space left on device; the one before is intact\. Free some",
        ):
            next(steps)
        assert [path.name for path in tmp_path.iterdir()] == [CHECKPOINT]
        assert (tmp_path / CHECKPOINT).read_bytes() == before
        assert start(data, tmp_path).step == 1

    def test_found_out_at_the_last_moment(
        self, data: LabelledImages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A network disk may report that it is full when the file is forced out."""
        steps = start(data, tmp_path).run(checkpoint_every=1)
        next(steps)

        def fail(_: int) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(os, "fsync", fail)
        with pytest.raises(
            TrainingError, match="No space left on device; the one before is intact"
        ):
            next(steps)
        monkeypatch.undo()
        assert [path.name for path in tmp_path.iterdir()] == [CHECKPOINT]
        assert start(data, tmp_path).step == 1
