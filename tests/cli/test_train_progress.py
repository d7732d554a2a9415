"""What `tokenlearner train` says while it trains, without training."""

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from tokenlearner.cli import train_progress

pytestmark = pytest.mark.usefixtures("_as_users_run_it")


@pytest.fixture
def trainer() -> Any:
    recipe = SimpleNamespace(clips=None, epochs=2)
    return SimpleNamespace(num_steps=4, step=0, steps_per_epoch=2, recipe=recipe)


def test_an_epoch_is_told_by_its_means(
    trainer: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*_: object, **__: object) -> Iterator[dict[str, float]]:
        for step, (loss, rate) in enumerate([(3.0, 10), (1.0, 30), (0.5, 20), (0.7, 20)], 1):
            yield {"step": step, "loss": loss, "images_per_second": rate}

    monkeypatch.setattr(train_progress, "run", run)
    train_progress.follow(trainer)
    told = capsys.readouterr().out
    assert "epoch 1/2, loss 2.000, 15 photos/s\n" in told  # 2 steps in 1/10 + 1/30 of a unit
    assert "epoch 2/2, loss 0.600, 20 photos/s\n" in told


def test_names_of_files_stay_as_they_are(
    trainer: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    warning = f"train/cat/IMG[red]{'a' * 200}.png is not a usable photo"

    def run(_: object, *, warn: Callable[[str], None]) -> Iterator[dict[str, float]]:
        warn(warning)
        return iter(())

    monkeypatch.setattr(train_progress, "run", run)
    train_progress.follow(trainer)
    assert warning in capsys.readouterr().out
