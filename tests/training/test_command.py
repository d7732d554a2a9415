"""The command that repeats a run, when several processes shared it."""

from pathlib import Path

import pytest
import torch

from tests import tiny
from tokenlearner.training import run
from tokenlearner.training.data import read_images
from tokenlearner.training.loop import Trainer

ALONE = "tokenlearner train imagenette-tiny --data tiny --out runs/imagenette-tiny"


@pytest.fixture
def trainer(tmp_path: Path) -> Trainer:
    data = read_images(tiny.write_dataset(tmp_path / "data"), "train")
    return Trainer(tiny.recipe(), data, tmp_path / "run", device=torch.device("cpu"))


@pytest.mark.parametrize(
    ("processes", "on_each_machine", "start"),
    [
        (1, None, ""),
        (1, "1", ""),
        (8, "8", "torchrun --nproc-per-node 8 --no-python "),
        (8, None, "torchrun --nproc-per-node 8 --no-python "),
        (16, "8", "torchrun --nnodes 2 --nproc-per-node 8 --no-python "),
    ],
)
def test_starts_as_many_processes(
    trainer: Trainer,
    monkeypatch: pytest.MonkeyPatch,
    processes: int,
    on_each_machine: str | None,
    start: str,
) -> None:
    monkeypatch.setattr(run, "num_processes", lambda: processes)
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    if on_each_machine is not None:
        monkeypatch.setenv("LOCAL_WORLD_SIZE", on_each_machine)
    assert run.command(trainer, data="tiny") == start + ALONE


def test_names_the_recipe_as_it_is_found(trainer: Trainer) -> None:
    found = run.command(trainer, data="tiny", recipe_name="mine.py:mine", options=["--epochs", "2"])
    assert found == (
        "tokenlearner train mine.py:mine --data tiny --out runs/imagenette-tiny --epochs 2 "
        "--seed 0"  # the file's recipe may have another
    )
