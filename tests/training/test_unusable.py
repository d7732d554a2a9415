"""Photos that a run has to do without; of several processes in test_distributed.py."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests import tiny
from tokenlearner.errors import DataError
from tokenlearner.training.data import LabelledImages
from tokenlearner.training.loop import NUM_SHOWN, Trainer
from tokenlearner.training.unusable import Unusable

NUM_STEPS = 4  # of an epoch


def spoil(data: LabelledImages, *rows: int, max_unusable: float) -> LabelledImages:
    encoded = [data.encoded[index] for index in range(len(data))]
    for row in rows:
        encoded[row] = encoded[row][:60]
    return replace(data, encoded=tuple(encoded), max_unusable=max_unusable)


def start(data: LabelledImages, out: Path, **changes: Any) -> Trainer:
    recipe = tiny.recipe(**({"canvas": None, "holdout": 0, "stages": ((3, 16),)} | changes))
    return Trainer(recipe, data, out, device=torch.device("cpu"))


def run(trainer: Trainer, *, steps: int | None = None, checkpoint_every: int = 200) -> list[str]:
    """Trains to the end or some steps; returns what was said of photos."""
    said: list[str] = []
    for report in trainer.run(warn=said.append, checkpoint_every=checkpoint_every):
        if report["step"] == steps:
            break
    return said


class TestInTraining:
    def test_they_are_replaced_and_named(self, data: LabelledImages, tmp_path: Path) -> None:
        trainer = start(spoil(data, 5, max_unusable=0.1), tmp_path)
        (said,) = run(trainer)  # at the end of the first epoch; the others find no more
        ((row, reason),) = trainer.unusable.items()
        assert f"row {row} is not a usable photo" in reason
        assert trainer.labels[row] == data.labels[5]
        assert said == f"1 unusable training photo was replaced so far: {reason}"

    def test_nothing_is_said_of_none(self, data: LabelledImages, tmp_path: Path) -> None:
        assert run(start(data, tmp_path)) == []

    def test_it_is_a_warning_where_nobody_else_is_told(
        self, data: LabelledImages, tmp_path: Path
    ) -> None:
        trainer = start(spoil(data, 5, 6, max_unusable=0.1), tmp_path)
        with pytest.warns(UserWarning, match="2 unusable training photos were replaced so far: "):
            list(trainer.run())

    def test_too_many_stop_the_run(self, data: LabelledImages, tmp_path: Path) -> None:
        trainer = start(spoil(data, 5, max_unusable=0.01), tmp_path)
        with pytest.raises(
            DataError,
            match=r"1 of 24 training photos cannot be used, more than max_unusable .*not a usable",
        ):
            run(trainer)


class TestResuming:
    @pytest.mark.parametrize("stop", [NUM_STEPS, NUM_STEPS + 2])
    def test_they_are_kept(self, data: LabelledImages, tmp_path: Path, stop: int) -> None:
        """After an epoch, in which all were found, and in the next one."""
        broken = spoil(data, 5, 6, 7, 8, max_unusable=0.5)
        undisturbed = start(broken, tmp_path / "a")
        assert len(run(undisturbed)) == 1
        first = start(broken, tmp_path / "b")
        said = run(first, steps=stop, checkpoint_every=2)
        assert "4 unusable training photos were replaced so far: " in said[0]
        assert said[0].endswith("; and 1 more")
        second = start(broken, tmp_path / "b")
        assert second.step == stop
        assert second.unusable == first.unusable == undisturbed.unusable
        assert list(second.unusable) == sorted(second.unusable)
        assert run(second) == []  # it has been said
        wanted = undisturbed.train_state.model.state_dict()
        for name, value in second.train_state.model.state_dict().items():
            assert torch.equal(value, wanted[name]), name
        finished = start(broken, tmp_path / "b")
        assert finished.unusable == undisturbed.unusable

    def test_what_was_not_said_is_said_then(self, data: LabelledImages, tmp_path: Path) -> None:
        """The run stops in its first epoch."""
        broken = spoil(data, *range(0, 24, 2), max_unusable=1.0)
        assert run(start(broken, tmp_path), steps=2, checkpoint_every=2) == []
        resumed = start(broken, tmp_path)
        assert 0 < len(resumed.unusable) < 12
        (said,) = run(resumed, steps=NUM_STEPS)
        assert said.startswith("12 unusable training photos were replaced so far: ")

    def test_they_count_as_before(self, data: LabelledImages, tmp_path: Path) -> None:
        """The limit is for both sessions together."""
        broken = spoil(data, *range(0, 24, 2), max_unusable=1.0)
        run(start(broken, tmp_path), steps=1, checkpoint_every=1)
        found = len(start(broken, tmp_path).unusable)
        assert found > 0
        with pytest.raises(DataError, match=rf"^{found} of 24 training photos cannot be used"):
            start(replace(broken, max_unusable=(found - 0.5) / 24), tmp_path)
        resumed = start(replace(broken, max_unusable=11.5 / 24), tmp_path)
        with pytest.raises(DataError, match=r"^12 of 24 training photos cannot be used"):
            run(resumed, steps=NUM_STEPS)


class TestLimit:
    def test_it_is_one_for_all(self, data: LabelledImages) -> None:
        """What was left out on reading, held out and trained on."""
        data = replace(data, unusable=("a",), max_unusable=3 / 25)
        found = Unusable(data, ("b",))
        found.note({7: "c"})
        found.note({7: "c"})  # the same one, in the next epoch
        with pytest.raises(
            DataError, match=re.escape("4 of 25 training photos cannot be used") + ".*: a; b; c$"
        ):
            found.note({3: "d"})
        with pytest.raises(DataError, match="4 of 25"):
            Unusable(data, ("b", "c", "d"))


class TestShownImages:
    """Photos to watch a run by."""

    def test_held_out(self, data: LabelledImages, tmp_path: Path) -> None:
        trainer = start(data, tmp_path, holdout=6)
        assert torch.equal(trainer.shown_images, trainer.heldout_images[:NUM_SHOWN])

    def test_trained_on_where_nothing_is_held_out(
        self, data: LabelledImages, tmp_path: Path
    ) -> None:
        training, _ = data.split(0, seed=0)
        wanted = training.take(range(5)).stack(tiny.preprocessing())
        assert torch.equal(start(data, tmp_path).shown_images, wanted[:4])
        in_memory = start(data, tmp_path / "b", canvas=(16, 16))
        assert torch.equal(in_memory.shown_images, wanted[:4])
        order = {content: row for row, content in enumerate(data.encoded)}
        second = order[training.encoded[1]]
        trainer = start(spoil(data, second, max_unusable=0.1), tmp_path / "c")
        assert torch.equal(trainer.shown_images, wanted[[0, 2, 3, 4]])
        assert trainer.unusable == {}  # it counts once it is trained on

    def test_none(self, data: LabelledImages, tmp_path: Path) -> None:
        trainer = start(spoil(data, *range(24), max_unusable=1.0), tmp_path)
        assert len(trainer.shown_images) == 0
