"""`tokenlearner train` that begins with a model: further training, other classes, a teacher."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from typer.testing import Result

from tests import shell, tiny
from tokenlearner import zoo
from tokenlearner.checkpoints import load_model, save_model
from tokenlearner.cli.train_job import find_recipe, prepare
from tokenlearner.errors import ConfigError
from tokenlearner.models import VisionTransformer, VisionTransformerConfig
from tokenlearner.models.presets import PUBLISHED
from tokenlearner.training.data import read_images
from tokenlearner.training.recipes import RECIPES

NAME = "imagenette-tiny"


@pytest.fixture(autouse=True)
def _recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RECIPES, NAME, lambda: tiny.recipe(stages=((1, 16),)))


def call(data: Path, out: Path, *arguments: object) -> Result:
    return shell.call("train", *arguments, "--data", data, "--out", out, "--device", "cpu")


class TestDryRun:
    def test_tells_what_a_run_takes_and_writes_nothing(self, data: Path, tmp_path: Path) -> None:
        result = call(data, tmp_path / "run", NAME, "--dry-run")
        assert result.exit_code == 0, result.output
        for wanted in ("parameters", "GFLOPs per photo", "steps", "GiB", "photos/s", "second"):
            assert wanted in result.stdout
        assert not (tmp_path / "run").exists()

    @pytest.mark.parametrize("arguments", [[], ["--dry-run"]])
    def test_what_does_not_fit_is_said_before_anything_is_done(
        self, data: Path, tmp_path: Path, arguments: list[str]
    ) -> None:
        result = call(data, tmp_path / "run", "cifar10-mini-vit", *arguments)
        assert result.exit_code == 1
        assert "but the recipe cifar10-mini-vit is for 10" in result.stderr
        assert "preparing" not in result.stdout
        assert not (tmp_path / "run").exists()


class TestInit:
    def test_seed_decides_the_fresh_parts(self, data: Path, tmp_path: Path) -> None:
        save_model(tmp_path / "baseline", tiny.model(learner=False))
        weights = []
        for seed in (1, 2):
            job = prepare(
                find_recipe(NAME),
                read_images(data, "train"),
                source=zoo.load(tmp_path / "baseline"),
                teacher=None,
                seed=seed,
            )
            assert isinstance(job.model, VisionTransformer)
            weights.append(job.model.encoder.learners["1"].state_dict())
        assert any(not torch.equal(weights[0][name], weights[1][name]) for name in weights[0])

    def test_says_what_was_taken(self, data: Path, source: Path, tmp_path: Path) -> None:
        result = call(data, tmp_path / "run", NAME, "--init", source)
        assert result.exit_code == 0, result.output
        assert "come from tiny as they are" in result.stdout
        info = load_model(tmp_path / "run/model").info
        assert info is not None
        assert info.provenance is not None
        assert info.provenance.started_from == "tiny"
        assert "--init ./tiny" in info.provenance.command

    def test_learns_from_a_teacher(self, data: Path, source: Path, tmp_path: Path) -> None:
        result = call(data, tmp_path / "run", NAME, "--teacher", source)
        assert result.exit_code == 0, result.output
        info = load_model(tmp_path / "run/model").info
        assert info is not None
        assert info.provenance is not None
        assert info.provenance.teacher == "tiny"


def test_a_convolutional_network_starts_no_transformer(data: Path, tmp_path: Path) -> None:
    save_model(tmp_path / "conv", tiny.conv_model())
    result = call(data, tmp_path / "run", NAME, "--init", tmp_path / "conv")
    assert result.exit_code == 1
    assert "a ConvVideoNetwork cannot start a VisionTransformer" in result.stderr


def test_the_command_names_models_of_the_hub_with_their_commit(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, place = tiny.model(), "hf-hub:owner/tiny@0123456789abcdef0123456789abcdef01234567"
    assert model.info is not None
    model.info = replace(model.info, source=place)
    monkeypatch.setattr(zoo, "load", lambda name: model)
    job = prepare(
        find_recipe(NAME), read_images(data, "train"), source=model, teacher=place, seed=None
    )
    assert job.options == ("--init", place, "--teacher", place)


class TestHoldout:
    @pytest.mark.parametrize(
        ("name", "count", "wish", "wanted"),
        [
            ("scratch-vit", 60, None, 3),
            ("scratch-vit", 19, None, 0),
            ("fine-tune", 60, None, 3),
            ("scratch-vit", 60, 12, 12),
            ("scratch-vit", 60, 0, 0),
            (NAME, 60, None, 6),  # the recipe was made for its data, and says
            (NAME, 60, 5, 5),
            ("own", 60, None, 7),
        ],
    )
    def test_one_in_twenty_of_photos_of_ones_own(
        self,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        name: str,
        count: int,
        wish: int | None,
        wanted: int,
    ) -> None:
        monkeypatch.setitem(RECIPES, "own", lambda: tiny.recipe(dataset="", holdout=7))
        photos = read_images(tiny.write_dataset(tmp_path, train=count, test=1), "train")
        source = tiny.model() if name == "fine-tune" else None
        job = prepare(
            find_recipe(name), photos, source=source, teacher="none", seed=None, holdout=wish
        )
        assert job.recipe.holdout == wanted
        assert ("--holdout" in job.options) == (wish is not None)

    def test_watches_the_run(self, data: Path, source: Path, tmp_path: Path) -> None:
        arguments = ("fine-tune", "--init", source, "--num-workers", 0, "--holdout", 6)
        result = call(data, tmp_path / "run", *arguments)
        assert result.exit_code == 0, result.output
        assert "held-out accuracy" in result.stdout
        info = load_model(tmp_path / "run/model").info
        assert info is not None
        assert info.provenance is not None
        assert " --holdout 6" in info.provenance.command

    def test_broken_photos_among_them_are_named(self, source: Path, tmp_path: Path) -> None:
        files = {f"{name}/{row}.png": tiny.photo(0, row) for name in "ab" for row in range(4)}
        broken = {f"a/broken{row}.png": b"\x89PNG\r\n\x1a\n cut off" for row in range(2)}
        tiny.write_files(tmp_path / "photos/train", files | broken)
        arguments = ("fine-tune", "--init", source, "--num-workers", 0, "--max-unusable", "0.2")
        result = call(tmp_path / "photos", tmp_path / "run", *arguments, "--holdout", 8)
        assert result.exit_code == 0, result.output
        for name in broken:
            assert Path(name).name in result.stderr


class TestNetworkOfThePaper:
    def test_takes_the_place_of_the_recipe_s_own(self, data: Path) -> None:
        name = "S/32 (22), 8 tokens at 11"
        job = prepare(
            find_recipe("imagenet-vit-b16-tl16"),
            read_images(data, "train"),
            source=None,
            teacher=None,
            seed=None,
            network=name,
        )
        found, own = job.recipe.model, RECIPES["imagenet-vit-b16-tl16"]().model
        assert isinstance(found, VisionTransformerConfig)
        assert isinstance(own, VisionTransformerConfig)
        assert (found.depth, found.patch_size, found.token_learner) == (
            22,
            (32, 32),
            PUBLISHED[name].token_learner,
        )
        assert (found.image_size, found.num_classes) == (own.image_size, own.num_classes)
        assert (found.stochastic_depth, found.head_bias) == (0.1, -10.0)
        assert job.name == f"imagenet-vit-b16-tl16, {name}"
        assert job.options == ("--network", name)

    @pytest.mark.parametrize(
        ("recipe", "network", "message"),
        [
            ("imagenet-vit-b16-tl16", "L/16, 16 tokens", "available: L/16, 16 tokens at 12"),
            ("gestures-vivit", "S/32", "unknown --network 'S/32' for gestures-vivit; available: "),
            ("charades-conv-video-tl8", "S/32", "trains a convolutional network; leave"),
            ("fine-tune", "S/32", "trains the network of --init; leave --network out"),
        ],
    )
    def test_is_refused(self, data: Path, recipe: str, network: str, message: str) -> None:
        photos = read_images(data, "train")
        with pytest.raises(ConfigError, match=message):
            prepare(
                find_recipe(recipe),
                photos,
                source=tiny.model(),
                teacher=None,
                seed=None,
                network=network,
            )


def test_inflation_is_part_of_the_command(data: Path) -> None:
    job = prepare(
        find_recipe(NAME),
        read_images(data, "train"),
        source=tiny.model(),
        teacher=None,
        seed=None,
        inflation="average",
    )
    assert job.options == ("--init", "tiny", "--inflation", "average")
