"""Runs in slices: nothing is read in vain, what is stopped goes on, only finished runs count."""

from pathlib import Path

import pytest
import torch

from benchmarks import cifar10_table, diversity, on_gpu, placement, recording, slices
from benchmarks.slices import Slice
from tests import tiny
from tokenlearner.efficiency.machine import has_bfloat16
from tokenlearner.training.data import read_images
from tokenlearner.training.loop import CHECKPOINT, Trainer
from tokenlearner.training.recipes import RECIPES
from tokenlearner.training.run import export

CPU = torch.device("cpu")
NAME = "cifar10-mini-vit"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.write_dataset(tmp_path_factory.mktemp("data") / "cifar10", test=6)


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(RECIPES, NAME, lambda: tiny.recipe(name=NAME, dataset="cifar10"))
    monkeypatch.setattr(cifar10_table, "FILE", tmp_path / "results.json")
    monkeypatch.setattr(cifar10_table, "FOLDER", tmp_path)
    monkeypatch.setattr(placement, "FILE", tmp_path / "placement.json")


class Steps(Slice):
    """Time for so many looks at the clock."""

    def __init__(self, looks: int) -> None:
        super().__init__(0, CPU)
        self.looks = looks

    @property
    def over(self) -> bool:
        self.looks -= 1
        return self.looks < 0


def test_without_time_nothing_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = RECIPES[NAME]()
    assert Slice(0, CPU).train(recipe, tmp_path / "no data", tmp_path / "run") is None
    assert on_gpu.work(Slice(0, CPU), [NAME], data=tmp_path, out=tmp_path) == [NAME]
    assert len(on_gpu.work(Slice(0, CPU), ["placement"], data=tmp_path, out=tmp_path)) == 33
    monkeypatch.setattr(recording, "FOLDER", tmp_path)
    speed = "training-speed"
    assert on_gpu.work(Slice(1, CPU), [speed], data=tmp_path, out=tmp_path) == [speed]
    assert not (tmp_path / "run").exists()


def test_a_step_that_fails_does_not_stop_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    left = on_gpu.work(Slice(1, CPU), [NAME, NAME], data=tmp_path, out=tmp_path)
    assert left == [NAME, NAME]
    assert capsys.readouterr().err.count(f"{NAME}: there is no folder") == 2


def test_the_finest_grid_comes_first(data: Path) -> None:
    assert on_gpu.list_steps(data.parent / "nowhere") == ["realised", "training-speed"]
    (data.parent / "imagenette").mkdir()
    (data.parent / "pointing-gestures").mkdir()  # whose recipes are for clips
    steps = on_gpu.list_steps(data.parent)
    assert steps[-4:] == ["realised", "training-speed", "cifar10-table", "placement"]
    assert not [step for step in steps if "gestures" in step]
    assert steps[0] == "imagenette-fine-vit"
    assert steps.index("imagenette-conv-vit") < steps.index(NAME) < steps.index("realised")


def test_a_stopped_run_goes_on_and_a_finished_one_is_left_alone(data: Path, tmp_path: Path) -> None:
    recipe = RECIPES[NAME]()
    trainer = Trainer(
        recipe,
        read_images(data, "train"),
        tmp_path / "whole",
        device=CPU,
        mixed_precision=has_bfloat16(CPU),
    )
    for _ in trainer.run():
        pass
    whole = export(trainer, data="cifar10")
    assert Steps(5).train(recipe, data, tmp_path / "run") is None
    assert torch.load(tmp_path / "run" / CHECKPOINT, weights_only=True)["step"] == 5
    model = Steps(1000).train(recipe, data, tmp_path / "run")
    assert model is not None
    weights = (model / "model.safetensors").read_bytes()
    assert weights == (whole / "model.safetensors").read_bytes()
    assert Slice(0, CPU).train(recipe, tmp_path / "no data", tmp_path / "run") == model


def test_only_finished_runs_are_in_the_table(data: Path, tmp_path: Path) -> None:
    def fill(slice_: Slice, where: Path = data) -> list[str]:
        return cifar10_table.fill(slice_, [NAME], [0, 1], data=where, out=tmp_path)

    both = [f"{NAME} with seed {seed}" for seed in (0, 1)]
    assert fill(Steps(5)) == both
    assert cifar10_table.read() == {}
    # One look before the first step, one after each of the 15, one before the test.
    slices.read_split.cache_clear()
    assert fill(Steps(11)) == both
    assert cifar10_table.read() == {}
    assert fill(Steps(1)) == both[1:]
    runs = cifar10_table.read()[NAME]["runs"]
    assert list(runs) == ["0"]
    assert 0 <= runs["0"]["top1_percent"] <= 100
    assert runs["0"]["hours"] >= 0
    assert fill(Steps(1000)) == []
    assert fill(Slice(0, CPU), tmp_path / "no data") == []
    assert list(cifar10_table.read()[NAME]["runs"]) == ["0", "1"]


def test_ways_to_keep_maps_apart() -> None:
    usual, *others = (diversity.Way("usual"), *diversity.WAYS)
    assert usual.start(usual.recipe()) is None
    assert len({way.folder for way in (usual, *others)}) == 1 + len(others)
    for way in others:
        recipe = way.recipe()
        assert (recipe.diversity, recipe.model) == (way.diversity, usual.recipe().model)
        if way.spread > 1:
            torch.manual_seed(recipe.seed)
            plain, start = recipe.build().state_dict(), way.start(recipe)
            assert start is not None
            changed = {k for k, v in start.state_dict().items() if not torch.equal(v, plain[k])}
            assert changed == {"encoder.learners.3.masking.fc2.weight"}
