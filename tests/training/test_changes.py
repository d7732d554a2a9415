"""What a person may change about a recipe."""

from dataclasses import replace
from typing import Any

import pytest
import timm

from tests import tiny
from tokenlearner.errors import ConfigError
from tokenlearner.models.config import TokenLearnerConfig
from tokenlearner.models.timm_info import describe_timm
from tokenlearner.models.timm_vit import TimmVisionTransformer
from tokenlearner.training.changes import Changes
from tokenlearner.training.fine_tune import fine_tuning
from tokenlearner.training.recipes import RECIPES, Distillation


def test_nothing_wished_for_changes_nothing() -> None:
    for make in RECIPES.values():
        assert Changes().apply(make()) == make()
    assert Changes().options == ()


@pytest.mark.parametrize(
    ("epochs", "stages"),
    [
        (120, ((72, 96), (32, 128), (16, 160))),
        (60, ((36, 96), (16, 128), (8, 160))),
        (15, ((9, 96), (4, 128), (2, 160))),
        (4, ((2, 96), (1, 128), (1, 160))),
        (2, ((1, 96), (1, 160))),
        (1, ((1, 160),)),
    ],
)
def test_stages_keep_their_shares(epochs: int, stages: tuple[tuple[int, int], ...]) -> None:
    """Of 36, 16 and 8 epochs; the last trains at the model's own resolution and stays."""
    recipe = Changes(epochs=epochs).apply(RECIPES["imagenette-conv-vit"]())
    assert recipe.stages == stages
    assert recipe.epochs == epochs
    assert recipe.warmup_epochs == pytest.approx(4 * epochs / 60)


def test_rates_keep_their_ratios() -> None:
    before = RECIPES["imagenette-fine-vit"]()
    after = Changes(learning_rate=before.learning_rate / 4).apply(before)
    assert after.learning_rate == before.learning_rate / 4
    assert after.end_learning_rate == pytest.approx(before.end_learning_rate / 4)
    assert after.muon_learning_rate == pytest.approx(before.muon_learning_rate / 4)


def test_batch_size() -> None:
    assert Changes(batch_size=7).apply(tiny.recipe()).batch_size == 7


def test_diversity() -> None:
    changes = Changes(diversity=0.1)
    assert changes.apply(tiny.recipe()).diversity == 0.1
    assert changes.options == ("--diversity", "0.1")
    with pytest.raises(
        ConfigError, match=r"wanted 0 \(--diversity 0 in the shell\), or a model with a Tok"
    ):
        changes.apply(RECIPES["imagenette-conv-vit"]())


def test_image_size() -> None:
    """Of 96 px at first and 160 px at last, with patches of 8 px."""
    recipe = Changes(image_size=224).apply(RECIPES["imagenette-fine-vit"]())
    assert recipe.model.image_size == recipe.preprocessing.image_size == (224, 224)
    assert recipe.stages == ((40, 136), (1, 224))  # 134.4 px would be no whole patches
    assert recipe.canvas == (224, 224)
    smallest = Changes(image_size=8).apply(RECIPES["imagenette-fine-vit"]())
    assert smallest.stages == ((40, 8), (1, 8))


def test_image_size_without_a_canvas() -> None:
    recipe = Changes(image_size=384).apply(RECIPES["imagenet-vit-b16-tl16"]())
    assert (recipe.canvas, recipe.stages) == (None, ((90, 384),))


@pytest.mark.parametrize("name", RECIPES)
def test_the_size_that_it_has_changes_nothing(name: str) -> None:
    """Of the convolutional networks too, which train at another size than they are made for."""
    recipe = RECIPES[name]()
    assert Changes(image_size=recipe.model.image_size[0]).apply(recipe) == recipe


class TestLearner:
    @pytest.mark.parametrize(
        ("changes", "wanted"),
        [
            ({"num_tokens": 4}, {"num_tokens": 4}),
            ({"at": 5}, {"at": 5}),
            ({"at": 0}, {"at": 0}),
            ({"fuser": True}, {"fuser": True}),
            ({"version": "1.0"}, {"version": "1.0"}),
            ({"num_tokens": 3, "version": "grouped"}, {"num_tokens": 3, "version": "grouped"}),
        ],
    )
    def test_only_what_is_wished_for_changes(
        self, changes: dict[str, Any], wanted: dict[str, Any]
    ) -> None:
        before = RECIPES["imagenette-fine-vit-tl8"]()
        assert before.model.token_learner is not None
        learner = replace(before.model.token_learner, **wanted)
        model: Any = before.model
        after = replace(before, model=replace(model, token_learner=learner))
        assert Changes(**changes).apply(before) == after

    def test_a_fuser_is_taken_away(self) -> None:
        recipe = Changes(fuser=False).apply(RECIPES["imagenette-fine-vit-tl8-fuser"]())
        assert recipe.model == RECIPES["imagenette-fine-vit-tl8"]().model

    @pytest.mark.parametrize("name", ["imagenette-fine-vit", "gestures-vivit"])
    def test_a_baseline_gets_one_in_the_middle(self, name: str) -> None:
        recipe = Changes(num_tokens=8).apply(RECIPES[name]())
        assert recipe.model.token_learner == TokenLearnerConfig(num_tokens=8, at=3)
        assert recipe.model.depth == 6
        assert Changes(num_tokens=8).apply(recipe) == recipe

    def test_a_convolutional_network_gets_one_in_its_last_stage(self) -> None:
        made = RECIPES["avid-conv-video-tl8"]()
        model: Any = made.model
        baseline = replace(made, model=replace(model, token_learner=None))
        assert Changes(num_tokens=8).apply(baseline) == made

    def test_options_of_another_version_are_dropped(self) -> None:
        """The Keras example's mean pooling and groups would be refused."""
        pooled = Changes(version="1.1").apply(RECIPES["cifar10-mini-vit-tl8"]())
        assert pooled.model.token_learner == TokenLearnerConfig(num_tokens=8, at=3)
        grouped = Changes(version="1.0").apply(RECIPES["cifar10-mini-vit-g4-tl8"]())
        assert grouped.model.token_learner == TokenLearnerConfig(
            num_tokens=8, at=3, version="1.0", pooling="sum"
        )
        same = Changes(version="1.0", num_tokens=4).apply(RECIPES["cifar10-mini-vit-tl8"]())
        assert same.model == RECIPES["cifar10-mini-vit-tl4"]().model

    def test_maps_of_a_new_one_are_kept_apart(self) -> None:
        recipe = Changes(num_tokens=8, diversity=0.1).apply(RECIPES["imagenette-conv-vit"]())
        assert recipe.diversity == 0.1

    @pytest.mark.parametrize(
        ("name", "changes", "message"),
        [
            ("imagenette-fine-vit-tl8", Changes(at=6), r"--at 6: there are 6 blocks; .* to 5"),
            ("imagenette-fine-vit-tl8", Changes(at=-1), r"--at -1: there are 6 blocks"),
            (
                "imagenette-fine-vit",
                Changes(version="1.0"),
                "--version 1.0: there is no TokenLearner to change; give --num-tokens as well",
            ),
            ("imagenette-fine-vit", Changes(at=2, fuser=False), "^--at 2 --no-fuser: there is no"),
            ("imagenette-fine-vit", Changes(num_tokens=0), "num_tokens is 0; it must be at least"),
            ("avid-conv-video-tl8", Changes(fuser=False), "needs version '1.0' and fuser=True"),
        ],
    )
    def test_impossible(self, name: str, changes: Changes, message: str) -> None:
        with pytest.raises(ConfigError, match=message):
            changes.apply(RECIPES[name]())


class TestTeacher:
    def test_weight_and_temperature(self) -> None:
        recipe = tiny.recipe(distillation=Distillation(weight=0.3, temperature=3.0))
        after = Changes(teacher_weight=0.8).apply(recipe).distillation
        assert after == Distillation(weight=0.8, temperature=3.0)
        after = Changes(teacher_temperature=2.0).apply(recipe).distillation
        assert after == Distillation(weight=0.3, temperature=2.0)

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            (Changes(teacher_weight=0.0), "^--teacher-weight 0.0: there is no teacher; give --te"),
            (Changes(teacher_temperature=2.0), "^--teacher-temperature 2.0: there is no teacher"),
        ],
    )
    def test_without_one(self, changes: Changes, message: str) -> None:
        with pytest.raises(ConfigError, match=message):
            changes.apply(tiny.recipe())

    def test_a_temperature_that_is_none(self) -> None:
        with pytest.raises(ConfigError, match="a temperature above 0"):
            Changes(teacher_temperature=0.0).apply(tiny.recipe(distillation=Distillation()))


def test_options_are_those_of_the_command() -> None:
    changes = Changes(epochs=3, batch_size=32, learning_rate=2e-5, image_size=96)
    words = "--epochs 3 --batch-size 32 --learning-rate 2e-05 --image-size 96"
    assert changes.options == tuple(words.split())
    assert Changes(batch_size=4).options == ("--batch-size", "4")
    assert Changes(learning_rate=0.00012345678).options[1] == "0.00012345678"
    learner = Changes(num_tokens=4, at=0, version="1.0", fuser=False, teacher_weight=0.0)
    words = "--num-tokens 4 --at 0 --version 1.0 --no-fuser --teacher-weight 0.0"
    assert learner.options == tuple(words.split())
    assert Changes(fuser=True).options == ("--fuser",)


class TestErrors:
    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            (Changes(epochs=0), "0 epochs were asked for; wanted one or more"),
            (Changes(batch_size=0), "batch_size=0"),
            (Changes(learning_rate=0), "the learning rate is 0; wanted one above 0"),
            (Changes(learning_rate=float("nan")), "the learning rate is nan; wanted one above 0"),
            (Changes(learning_rate=float("inf")), "the learning rate is inf; wanted one above 0"),
            (Changes(image_size=4), r"image_size=\(4, 4\) holds no patch"),
        ],
    )
    def test_impossible(self, changes: Changes, message: str) -> None:
        with pytest.raises(ConfigError, match=message):
            changes.apply(RECIPES["imagenette-fine-vit"]())

    def test_a_model_of_timm_keeps_its_size(self) -> None:
        model = TimmVisionTransformer(timm.create_model("test_vit", num_classes=3, img_size=32))
        model.info = describe_timm(model, pretrained=True, class_names=tiny.CLASSES)
        with pytest.raises(ConfigError, match=r"made with, 32 px; .* insert --image-size 64"):
            Changes(image_size=64).apply(fine_tuning(model))
