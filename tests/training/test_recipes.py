"""The shipped recipes, as far as they can be checked without carrying them out."""

import inspect
import math
import re
from dataclasses import replace
from typing import Any

import pytest
import torch

from benchmarks import cifar10_table
from tests import tiny
from tokenlearner import zoo
from tokenlearner.efficiency import count_model
from tokenlearner.errors import ConfigError
from tokenlearner.models.config import VisionTransformerConfig
from tokenlearner.models.conv_video import ConvVideoNetwork
from tokenlearner.models.conv_video_config import x2plus1d_m
from tokenlearner.models.imagenet import imagenet_names
from tokenlearner.training.datasets import DATASETS, dataset_titled
from tokenlearner.training.recipes import RECIPES, Distillation

NAMES = list(RECIPES)


@pytest.mark.parametrize("name", NAMES)
def test_name_command_and_data_set_agree(name: str) -> None:
    function = RECIPES[name]
    assert function().name == name
    assert f"tokenlearner train {name} --data" in (inspect.getdoc(function) or "")
    assert function().dataset in {*DATASETS, ""}


@pytest.mark.parametrize("name", NAMES)
def test_the_docstring_says_what_to_expect(name: str) -> None:
    said = " ".join((inspect.getdoc(RECIPES[name]) or "").split())
    tested = {row: entry["mean_percent"] for row, entry in cifar10_table.read().items()}
    tested |= {model: zoo.metrics(model)["metrics"]["top1_percent"] for model in zoo.names()}
    if name in tested:
        assert f"{tested[name]:.2f} % o" in said
        assert re.search(r"[0-9.]+ hours on ", said)
    elif RECIPES[name]().dataset:
        assert "ot carried " in said


@pytest.mark.parametrize("name", [name for name in NAMES if name + "-tl8" in NAMES])
def test_a_pair_differs_in_the_learner_alone(name: str) -> None:
    baseline, other = RECIPES[name](), RECIPES[f"{name}-tl8"]()
    assert other.model.token_learner is not None
    assert other.model.token_learner.num_tokens == 8
    plain = replace(other.model, token_learner=None)
    same = replace(other, name=name, model=plain, diversity=0.0)
    assert same == baseline


def test_published_epochs_and_parameters() -> None:
    counts = {
        "cifar10-mini-vit": 1_336_458,
        "cifar10-mini-vit-tl8": 1_347_658,
        "cifar10-mini-vit-tl4": 1_341_754,
        "cifar10-mini-vit-8-layers": 2_657_418,
        "cifar10-mini-vit-g4-tl4": 1_345_418,
        "cifar10-mini-vit-g8-tl8": 1_341_834,
        "cifar10-mini-vit-g4-tl8": 1_345_930,
    }
    for name, count in counts.items():
        recipe = RECIPES[name]()
        assert recipe.epochs == 20
        model = recipe.build()
        assert sum(p.numel() for p in model.parameters()) == count


@pytest.mark.parametrize("suffix", ["", "-tl8"])
def test_the_tuned_models_cost_no_more_than_the_published_ones(suffix: str) -> None:
    tuned, published = (
        count_model(RECIPES[f"cifar10-{kind}-vit{suffix}"]().build()).macs
        for kind in ("tuned", "mini")
    )
    assert 0.5 * published < tuned < 0.8 * published


@pytest.mark.parametrize(
    ("name", "classes", "loss"),
    [("charades-conv-video-tl8", 157, "sigmoid"), ("avid-conv-video-tl8", 887, "softmax")],
)
def test_convolutional_networks_are_the_published_ones(name: str, classes: int, loss: str) -> None:
    recipe = RECIPES[name]()
    assert recipe.loss == loss
    assert recipe.stages[-1][1] == 224  # it is tested at 256
    assert recipe.preprocessing.image_size == recipe.model.image_size == (256, 256)
    with torch.device("meta"):
        built, preset = recipe.build(), ConvVideoNetwork(x2plus1d_m(num_classes=classes))
    count, wanted = (sum(p.numel() for p in model.parameters()) for model in (built, preset))
    assert count == wanted == 17_801_496 + classes * (2048 + 1)


def test_sides_grow_by_stage() -> None:
    recipe = tiny.recipe(stages=((3, 12), (2, 16)))
    assert [recipe.image_side_px(epoch) for epoch in range(6)] == [12, 12, 12, 16, 16, 16]
    assert recipe.epochs == 5


def test_facts_of_a_data_set_by_its_title() -> None:
    assert dataset_titled("CIFAR-10") is DATASETS["cifar10"]
    assert dataset_titled("my holiday photos").title == "my holiday photos"
    assert dataset_titled("my holiday photos").licence == "not stated"


def test_a_data_set_that_is_not_known() -> None:
    with pytest.raises(ConfigError, match="dataset is 'imagenet2'; wanted one of cifar10, "):
        tiny.recipe(dataset="imagenet2")


@pytest.mark.parametrize("name", ["cifar10", "imagenette", "pointing-gestures"])
def test_a_data_set_is_known_by_its_classes(name: str) -> None:
    dataset = DATASETS[name]
    assert len(dataset.class_names) == dataset.num_classes
    assert dataset.has_classes(dataset.class_names[::-1])
    assert not dataset.has_classes(dataset.class_names[1:])
    assert not dataset.has_classes(tuple(map(str, range(dataset.num_classes))))


def test_data_sets_of_too_many_classes_to_list() -> None:
    assert DATASETS["imagenet"].has_classes(imagenet_names())
    assert not DATASETS["imagenet"].has_classes(tuple(map(str, range(1000))))
    assert DATASETS["avid"].has_classes(tuple(map(str, range(887))))
    assert not DATASETS["avid"].has_classes(tuple(map(str, range(886))))


def test_muon_needs_a_rate_and_the_others_have_none() -> None:
    with pytest.raises(ConfigError, match=r"optimizer='muon' with muon_learning_rate=0.0"):
        tiny.recipe(optimizer="muon")
    with pytest.raises(ConfigError, match="the others have none"):
        tiny.recipe(muon_learning_rate=1e-3)


@pytest.mark.usefixtures("_as_users_run_it")
@pytest.mark.parametrize("name", ["optimizer", "schedule", "loss", "keep", "weights_dtype"])
def test_a_word_that_is_none_of_the_choices(name: str) -> None:
    with pytest.raises(ConfigError, match=f"{name} is 'other'; wanted one of '"):
        tiny.recipe(**{name: "other"})


@pytest.mark.parametrize(
    "changes", [{"batch_size": 0}, *({"learning_rate": rate} for rate in (0.0, math.nan, math.inf))]
)
def test_a_step_needs_photos_and_a_rate(changes: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="wanted a photo or more in a step and a rate above 0"):
        tiny.recipe(**changes)


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("stages", (), "(epochs, image side in pixels) once or more, both at least 1"),
        ("stages", ((0, 16),), "(epochs, image side in pixels) once or more, both at least 1"),
        ("stages", ((1, 0), (1, 16)), "(epochs, image side in pixels) once or more, both at least"),
        ("holdout", -5, "0 or more"),
        ("warmup_epochs", -1.0, "0 or more, and finite"),
        ("muon_learning_rate", math.inf, "0 or more, and finite"),
        ("weight_decay", -0.1, "0 or more, and finite"),
        ("weight_decay", math.nan, "0 or more, and finite"),
        ("diversity", -1.0, "0 or more, and finite"),
        ("diversity", math.inf, "0 or more, and finite"),
        ("end_learning_rate", 9.0, "0 to the peak, 0.003"),
        ("end_learning_rate", -1.0, "0 to the peak, 0.003"),
        ("label_smoothing", 1.5, "0 to 1"),
        ("ema_decay", 1.5, "0 to 1"),
        ("ema_decay", math.nan, "0 to 1"),
        ("layer_decay", 0.0, "above 0 and up to 1"),
        ("layer_decay", 1.5, "above 0 and up to 1"),
        ("gradient_clip", -1.0, "above 0, or None"),
        ("gradient_clip", math.nan, "above 0, or None"),
        ("seed", -1, "0 to 2**63 - 1"),
        ("seed", 2**63, "0 to 2**63 - 1"),
    ],
)
def test_numbers_out_of_range(name: str, value: Any, wanted: str) -> None:
    optimizer = "muon" if name == "muon_learning_rate" else "adamw"
    with pytest.raises(ConfigError, match=re.escape(f"{name} is {value}; wanted {wanted}")):
        tiny.recipe(**{name: value, "optimizer": optimizer})


def test_distillation_out_of_range() -> None:
    with pytest.raises(ConfigError, match=r"weight=1.5, temperature=1.0; wanted a weight of 0 to"):
        Distillation(weight=1.5)
    with pytest.raises(ConfigError, match="a temperature above 0"):
        Distillation(temperature=0.0)
    with pytest.raises(ConfigError, match="temperature=nan; wanted"):
        Distillation(temperature=math.nan)


def test_the_official_imagenet_configuration() -> None:
    recipe = RECIPES["imagenet-vit-b16-tl16"]()
    learner = recipe.model.token_learner
    assert learner is not None
    assert isinstance(recipe.model, VisionTransformerConfig)
    assert (learner.num_tokens, learner.at, learner.version) == (16, 9, "1.1")
    assert recipe.model.head_bias == -10
    steps_per_epoch = -(-1_281_167 // recipe.batch_size)
    assert round(recipe.warmup_epochs * steps_per_epoch) == 10_000
