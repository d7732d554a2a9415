"""`tokenlearner train` with another learner, a recipe from a file, a teacher's weight, parts."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from torch import nn
from typer.testing import Result

from tests import shell, tiny
from tokenlearner.checkpoints import AnyModel, load_model
from tokenlearner.cli.train_job import Job, find_recipe, prepare
from tokenlearner.errors import ConfigError
from tokenlearner.models.config import TokenLearnerConfig
from tokenlearner.models.info import Provenance
from tokenlearner.models.presets import PUBLISHED
from tokenlearner.models.timm_vit import TimmVisionTransformer
from tokenlearner.training.changes import Changes
from tokenlearner.training.data import read_images
from tokenlearner.training.fit import check_fit
from tokenlearner.training.recipes import RECIPES, Distillation

NAME = "imagenette-tiny"
MINE = """
from tests import tiny

def mine():
    return tiny.recipe(name="one-epoch", stages=((1, 16),))
"""


@pytest.fixture(autouse=True)
def _recipes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RECIPES, NAME, lambda: tiny.recipe(stages=((1, 16),)))
    baseline = tiny.recipe(name="baseline", stages=((1, 16),), model=tiny.config(learner=False))
    monkeypatch.setitem(RECIPES, "baseline", lambda: baseline)


def call(data: Path, out: Path, *arguments: object) -> Result:
    words = [*arguments, "--data", data, "--out", out, "--device", "cpu", "--num-workers", 0]
    return shell.call("train", *words)


def origin_of(out: Path) -> Provenance:
    info = load_model(out / "model").info
    assert info is not None
    assert info.provenance is not None
    return info.provenance


def job_of(name: str, data: Path, *, source: AnyModel | None = None, **options: Any) -> Job:
    """What a command prepares; options are those of `Changes` and of `prepare`."""
    changes = {key: options.pop(key) for key in Changes.__slots__ if key in options}
    photos = read_images(data, "train")
    settings: dict[str, Any] = {"teacher": None, "seed": None} | options
    job = prepare(find_recipe(name), photos, source=source, changes=Changes(**changes), **settings)
    if job.recipe.dataset != "imagenet":  # whose classes these photos do not have
        check_fit(job.recipe, photos, model=job.model, teacher=job.teacher)
    return job


class TestLearner:
    def test_of_a_recipe_that_begins_with_other_weights(
        self, data: Path, source: Path, tmp_path: Path
    ) -> None:
        """Of another number of tokens: what draws the maps is fresh, the rest is taken."""
        options = "--num-tokens 4 --at 0 --fuser"
        result = call(data, tmp_path / "run", NAME, "--init", source, *options.split())
        assert result.exit_code == 0, result.output
        assert "Fresh: learner 0, learner 1 (in part), fuser 0, fuser 1." in result.stdout
        model = load_model(tmp_path / "run/model")
        learner = model.config.token_learner
        assert learner == TokenLearnerConfig(num_tokens=4, at=0, fuser=True, bottleneck_dim=4)
        assert model.info is not None
        assert model.info.name == f"{NAME}, changed to 4 tokens at 0, fuser"
        assert f" {options} --init ./tiny" in origin_of(tmp_path / "run").command
        assert origin_of(tmp_path / "run").recipe == NAME

    def test_of_a_recipe_without_one(self, data: Path) -> None:
        job = job_of("baseline", data, num_tokens=3)
        assert job.recipe.model.token_learner == TokenLearnerConfig(num_tokens=3, at=1)
        assert job.name == "baseline, changed to 3 tokens at 1, version 1.1"
        assert job.options == ("--num-tokens", "3")

    def test_what_it_has_already_is_no_change(self, data: Path) -> None:
        assert job_of(NAME, data, num_tokens=2, fuser=False).name == NAME

    @pytest.mark.parametrize("own", ["L/16 (24+11), 16 tokens at 12", "L/16"])
    def test_of_a_network_of_the_paper(self, data: Path, own: str) -> None:
        name = "imagenet-vit-b16-tl16"
        job = job_of(name, data, network=own, num_tokens=8, at=18, fuser=True, version="1.0")
        learner = TokenLearnerConfig(num_tokens=8, at=18, fuser=True, version="1.0")
        assert job.recipe.model.token_learner == learner
        assert job.recipe.model.depth == PUBLISHED[own].depth
        version = "" if PUBLISHED[own].token_learner else ", version 1.0"
        assert job.name == f"{name}, {own}, changed to 8 tokens at 18{version}, fuser"

    def test_a_network_gets_its_learner_before_its_diversity(self, data: Path) -> None:
        job = job_of("scratch-vit-tl8", data, network="B/16", num_tokens=8)
        assert job.recipe.diversity == RECIPES["scratch-vit-tl8"]().diversity > 0
        assert job_of("scratch-vit-tl8", data, network="B/16", diversity=0).recipe.diversity == 0
        with pytest.raises(ConfigError, match=r"wanted 0 \(--diversity 0 in the shell\), or"):
            job_of("scratch-vit-tl8", data, network="B/16")

    def test_errors_take_a_line(self, data: Path, tmp_path: Path) -> None:
        result = call(data, tmp_path / "run", "baseline", "--version", "1.0")
        assert result.exit_code == 1
        assert result.stderr == (
            "tokenlearner: --version 1.0: there is no TokenLearner to change; give --num-tokens as "
            "well, which puts one in\n"
        )
        result = call(data, tmp_path / "run", NAME, "--version", "2.0")
        assert "'2.0' is not one of '1.0', '1.1', 'grouped'" in result.stderr
        assert not (tmp_path / "run").exists()

    def test_without_the_fuser(
        self, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        recipe = RECIPES[NAME]()
        learner = recipe.model.token_learner
        assert learner is not None
        fused = replace(recipe.model, token_learner=replace(learner, fuser=True))
        monkeypatch.setitem(RECIPES, NAME, lambda: replace(recipe, model=fused))
        result = call(data, tmp_path / "run", NAME, "--no-fuser")
        assert result.exit_code == 0, result.output
        model = load_model(tmp_path / "run/model")
        assert model.config.token_learner == learner
        assert not any("fuser" in name for name in model.state_dict())
        assert " --no-fuser" in origin_of(tmp_path / "run").command


class TestLearnerOfAModel:
    def test_trained_further(self, data: Path, source: Path, tmp_path: Path) -> None:
        result = call(
            data, tmp_path / "run", "fine-tune", "--init", source, "--num-tokens", 4, "--epochs", 1
        )
        assert result.exit_code == 0, result.output
        assert "come from tiny as they are. Fresh: learner 1 (in part)" in result.stdout
        model = load_model(tmp_path / "run/model")
        learner = TokenLearnerConfig(num_tokens=4, at=1, bottleneck_dim=4)
        assert model.config.token_learner == learner
        assert model.info is not None
        assert model.info.name == "tiny-fine-tuned, changed to 4 tokens at 1"
        assert model.info.untrained_parts == ()
        assert origin_of(tmp_path / "run").teacher == "tiny"
        assert " --epochs 1 --num-tokens 4 --init ./tiny" in origin_of(tmp_path / "run").command

    def test_the_rate_of_what_is_fresh_does_not_shrink(self, data: Path) -> None:
        assert job_of("fine-tune", data, source=tiny.model(), at=0).recipe.layer_decay == 0.75
        job = job_of("fine-tune", data, source=tiny.model(), num_tokens=4)
        assert job.recipe.layer_decay is None

    def test_who_teaches_it(self, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
        source = tiny.model(learner=False)
        job = job_of("fine-tune", data, source=source, num_tokens=4)
        assert job.teacher is source
        assert job.recipe.distillation == Distillation()
        assert capsys.readouterr().out.endswith("Fresh: learner 1.\n")
        assert (
            job_of("fine-tune", data, source=source, num_tokens=4, teacher="none").teacher is None
        )
        assert job_of("fine-tune", data, source=tiny.model(), at=0).teacher is None
        capsys.readouterr()
        assert source.info is not None
        source.info = replace(source.info, class_names=tiny.CLASSES[::-1])
        assert job_of("fine-tune", data, source=source, num_tokens=4).teacher is source
        source.info = replace(source.info, class_names=("red", "green", "teal"))
        assert job_of("fine-tune", data, source=source, num_tokens=4).teacher is None
        assert "the learner in tiny learns from the labels alone" in capsys.readouterr().out

    def test_a_model_of_timm(self, data: Path) -> None:
        backbone = timm.create_model("test_vit", num_classes=3, img_size=32)
        source = TimmVisionTransformer(backbone).eval()
        source.info = tiny.model().info
        job = job_of("fine-tune", data, source=source, num_tokens=2, fuser=True)
        assert isinstance(job.model, TimmVisionTransformer)
        assert job.model.config.token_learner == TokenLearnerConfig(num_tokens=2, at=3, fuser=True)
        assert job.teacher is source
        assert source.config.token_learner is None

    def test_seed_decides_what_is_fresh(self, data: Path) -> None:
        source, weights = tiny.model(), []
        for seed in (1, 1, 2):
            torch.rand(1)  # as anything else in the process may
            model: Any = job_of("fine-tune", data, source=source, num_tokens=4, seed=seed).model
            weights.append(model.encoder.learners["1"].masking.fc2.weight)
        assert torch.equal(weights[0], weights[1])
        assert not torch.equal(weights[0], weights[2])

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"version": "1.0"}, "the learner of tiny is of version 1.1, whose weights fit no oth"),
            ({"at": 2}, "--at 2: there are 2 blocks; wanted 0"),
        ],
    )
    def test_impossible(self, data: Path, options: dict[str, Any], message: str) -> None:
        with pytest.raises(ConfigError, match=message):
            job_of("fine-tune", data, source=tiny.model(), **options)


class TestOwnRecipe:
    def test_is_carried_out_and_named(
        self, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "mine.py").write_text(MINE)
        monkeypatch.chdir(tmp_path)
        arguments = ("mine.py:mine", "--accumulate", 2, "--num-tokens", 3)
        result = call(data, tmp_path / "run", *arguments)
        assert result.exit_code == 0, result.output
        assert "epoch 1/1" in result.stdout
        origin = origin_of(tmp_path / "run")
        assert origin.recipe == "mine.py:mine"
        assert origin.command.startswith(
            "tokenlearner train mine.py:mine --data colours --out runs/one-epoch --num-tokens 3 "
            "--accumulate 2"
        )
        words = ("evaluate", str(tmp_path / "run/model"), "--data", str(data), "--save")
        assert shell.call(*words, "--device", "cpu").exit_code == 0
        card = (tmp_path / "run/model/README.md").read_text(encoding="utf-8")
        assert "| recipe | mine.py:mine |" in card
        assert origin.command in card

    def test_errors_take_a_line(self, data: Path, tmp_path: Path) -> None:
        (tmp_path / "mine.py").write_text(MINE)
        result = call(data, tmp_path / "run", f"{tmp_path}/mine.py:yours")
        assert result.exit_code == 1
        assert "has no function 'yours'; name one as " in result.stderr
        assert result.stderr.count("\n") == 1


class TestTeacher:
    def test_weight_and_temperature(self, data: Path, source: Path) -> None:
        options: dict[str, Any] = {"teacher_weight": 0.8, "teacher_temperature": 2.0}
        job = job_of(NAME, data, teacher=str(source), **options)
        assert job.recipe.distillation == Distillation(weight=0.8, temperature=2)
        words = "--teacher-weight 0.8 --teacher-temperature 2.0 --teacher ./tiny"
        assert job.options == tuple(words.split())
        only = job_of(NAME, data, teacher=str(source), teacher_weight=0.8).recipe.distillation
        assert only == Distillation(weight=0.8)

    def test_none_in_place_of_the_recipe_s(
        self, data: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        taught = replace(RECIPES[NAME](), distillation=Distillation())
        monkeypatch.setitem(RECIPES, NAME, lambda: taught)
        assert job_of(NAME, data, teacher="none").recipe.distillation is None
        with pytest.raises(ConfigError, match="no teacher was given"):
            job_of(NAME, data)

    def test_of_a_model_that_is_its_own_teacher(self, data: Path) -> None:
        source = tiny.model(learner=False)
        job = job_of("fine-tune", data, source=source, num_tokens=2, teacher_weight=0.9)
        assert job.recipe.distillation == Distillation(weight=0.9)

    @pytest.mark.parametrize("more", [(), ("--teacher", "none")])
    def test_without_one(self, data: Path, tmp_path: Path, more: tuple[str, ...]) -> None:
        result = call(data, tmp_path / "run", NAME, "--teacher-weight", 0.8, *more)
        assert result.exit_code == 1
        assert "--teacher-weight 0.8: there is no teacher; give --teacher MODEL" in result.stderr
        result = call(data, tmp_path / "run", NAME, "--teacher-temperature", 2, *more)
        assert "--teacher-temperature 2.0: there is no teacher" in result.stderr


def test_compiled(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = []

    def leave_as_it_is(network: nn.Module) -> nn.Module:
        compiled.append(network)
        return network

    monkeypatch.setattr(torch, "compile", leave_as_it_is)
    result = call(data, tmp_path / "run", NAME, "--compile")
    assert result.exit_code == 0, result.output
    assert len(compiled) == 1


def test_a_dry_run_says_that_it_does_not_compile(data: Path, tmp_path: Path) -> None:
    said = "memory, speed and time are without --compile"
    result = call(data, tmp_path / "run", NAME, "--dry-run", "--compile")
    assert result.exit_code == 0, result.output
    assert said in result.stdout
    assert said not in call(data, tmp_path / "run", NAME, "--dry-run").stdout
