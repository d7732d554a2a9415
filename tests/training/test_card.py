"""The model card says what is known, and nothing else."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub import ModelCard

from tests import tiny
from tokenlearner.checkpoints import AnyModel
from tokenlearner.errors import ConfigError
from tokenlearner.models import TokenLearnerConfig, VisionTransformer
from tokenlearner.models.info import Provenance
from tokenlearner.training import card
from tokenlearner.training.card import render_card
from tokenlearner.training.data import read_images
from tokenlearner.training.datasets import DATASETS
from tokenlearner.training.metrics import evaluate, report
from tokenlearner.training.recipes import RECIPES
from tokenlearner.training.recipes.settings import settings_of

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.write_dataset(tmp_path_factory.mktemp("data") / "tiny", test=6)


def of_origin(**changes: Any) -> VisionTransformer:
    """A trained model of which something else is told."""
    network = tiny.model()
    assert network.info is not None
    assert network.info.provenance is not None
    network.info = replace(network.info, provenance=replace(network.info.provenance, **changes))
    return network


def card_of(model: AnyModel, content: dict[str, Any]) -> str:
    return render_card(model, content, place="here")


class TestCard:
    @pytest.fixture
    def content(self, folder: Path) -> dict[str, Any]:
        photos = read_images(folder, "test")
        model = tiny.model()
        measured = evaluate(model, photos, device=CPU)
        return report(measured, model, photos, split="test", command="evaluate it", device=CPU)

    def test_front_matter_is_what_the_hub_reads(self, content: dict[str, Any]) -> None:
        data = ModelCard(card_of(tiny.model(), content)).data.to_dict()
        assert data["license"] == "apache-2.0"
        assert data["library_name"] == "tokenlearner"
        assert data["datasets"] == ["frgfm/imagenette"]
        assert "attention-maps" in data["tags"]
        (result,) = data["model-index"][0]["results"]
        assert result["dataset"]["split"] == "test"
        figures = [metric["value"] for metric in result["metrics"]]
        metrics = content["metrics"]
        assert figures == [round(metrics["top1_percent"], 2)]  # of three classes five are all

    def test_front_matter_of_a_model_of_clips(self, content: dict[str, Any]) -> None:
        model = tiny.clip_model()
        assert model.info is not None
        model.info = replace(model.info, provenance=tiny.model().info.provenance)  # pyright: ignore[reportOptionalMemberAccess]
        data = ModelCard(card_of(model, content)).data.to_dict()
        assert data["pipeline_tag"] == "video-classification"
        (result,) = data["model-index"][0]["results"]
        assert result["task"]["type"] == "video-classification"

    def test_of_a_convolutional_network(self, content: dict[str, Any]) -> None:
        model = tiny.conv_model()
        assert model.info is not None
        model.info = replace(model.info, provenance=tiny.model().info.provenance)  # pyright: ignore[reportOptionalMemberAccess]
        text = card_of(model, content)
        assert (
            "A convolutional network, X(2+1)D, that classifies clips into 3 classes of Imagenette"
            in text
        )
        assert "In 1 of 3 blocks a TokenLearner (version 1.0) summarises the grid of every" in text
        assert "| blocks | 1 of width 4, 2 of width 8 |" in text
        assert "convolutional-network" in ModelCard(text).data.to_dict()["tags"]

    def test_with_fuser_each_layer_has_a_learner(self, content: dict[str, Any]) -> None:
        trained = tiny.model()
        learner = TokenLearnerConfig(num_tokens=2, at=1, fuser=True)
        model = VisionTransformer(replace(trained.config, token_learner=learner))
        model.info = trained.info
        text = card_of(model, content)
        assert "After 1 of 2 layers, each layer has a TokenLearner (version 1.1), which" in text
        assert "a TokenFuser writes its result back onto the grid" in text

    def test_of_several_labels(self, content: dict[str, Any]) -> None:
        model = tiny.model()
        assert model.info is not None
        model.info = replace(model.info, multi_label=True)
        content["metrics"]["map_percent"] = 12.345
        text = card_of(model, content)
        assert "It gives every photo a probability for each of its 3 classes" in text
        (result,) = ModelCard(text).data.to_dict()["model-index"][0]["results"]
        assert result["metrics"][0]["type"] == "mean_average_precision"
        assert result["metrics"][0]["value"] == 12.35
        content["metrics"]["num_unlabelled"] = 3  # which top-1 leaves out
        assert _interval(card_of(model, content)) != _interval(text)

    def test_everything_a_user_should_know(self, content: dict[str, Any]) -> None:
        text = card_of(tiny.model(), content)
        metrics = content["metrics"]
        for wanted in (
            "# tiny",
            "red, green, blue",
            "After 1 of 2 layers a TokenLearner (version 1.1)",
            "| tokens per layer | 16 → 2 |",
            "tokenlearner train imagenette-tiny --data tiny --out runs/imagenette-tiny",
            "| hardware | a test machine, 2 cores |",
            "| time | 1.5 hours |",
            "| seed | 0 |",
            "the test split of Imagenette, 6 photos",
            f"| top-1 | {metrics['top1_percent']:.2f} % |",
            f"| green | {metrics['per_class_percent']['green']:.1f} % |",
            "| chance level | 33.3 % |",
            "evaluate it",
            content["data"]["sha256"],
            "published under Apache-2.0. Training data: licence of the photos",
            "non-commercial research and education",
            "squashed to one square size",
            "It is not intended for decisions about people",
            "Jeremy Howard",
            "arXiv:2106.11297",
        ):
            assert wanted in text, wanted

    def test_numbers_come_from_the_report(self, content: dict[str, Any]) -> None:
        content["metrics"]["top1_percent"] = 12.3456
        content["metrics"]["num_images"] = 98765
        text = card_of(tiny.model(), content)
        assert "| top-1 | 12.35 % |" in text
        assert "98,765 photos" in text
        assert '"value": 12.35' in text

    def test_notes_on_the_copy_of_the_data(self, content: dict[str, Any]) -> None:
        network = tiny.model()
        assert network.info is not None
        assert network.info.provenance is not None
        network.info = replace(
            network.info, provenance=replace(network.info.provenance, trained_on="CIFAR-10")
        )
        jpeg = DATASETS["cifar10"].if_jpeg
        assert jpeg not in card_of(network, content)
        content["data"]["formats"] = ["JPEG"]
        assert jpeg in card_of(network, content)
        assert "squashed" not in card_of(network, content)

    def test_photos_of_several_sizes_were_not_squashed(self, content: dict[str, Any]) -> None:
        content["data"]["size_px"] = None
        assert "The copy used" not in card_of(tiny.model(), content)

    def test_settings_of_the_run_are_told_rather_than_of_its_recipe(
        self, content: dict[str, Any]
    ) -> None:
        settings = settings_of(RECIPES["imagenette-conv-vit"]()) | {"held out": "3 photos"}
        text = card_of(of_origin(recipe="imagenette-fine-vit", settings=settings), content)
        assert "36 epochs at 96 px, 16 epochs at 128 px, 8 epochs at 160 px" in text
        assert "running average (decay 0.998), of the last epoch, stored as float16" in text
        assert "| held out | 3 photos |" in text
        assert "Muon" not in text

    def test_a_baseline_is_called_so(self, content: dict[str, Any]) -> None:
        text = card_of(tiny.model(learner=False), content)
        assert "It has no TokenLearner: it is the baseline" in text

    def test_without_origin(self, content: dict[str, Any]) -> None:
        with pytest.raises(ConfigError, match="a model card needs provenance"):
            card_of(tiny.model(trained=False), content)

    def test_somebodys_own_data_set(self, content: dict[str, Any]) -> None:
        network = tiny.model()
        assert network.info is not None
        assert network.info.provenance is not None
        other = replace(network.info.provenance, trained_on="my holiday photos", recipe="")
        network.info = replace(network.info, provenance=other)
        text = card_of(network, content)
        assert "the test split of my holiday photos" in text
        assert "ImageNet" not in text
        assert "The data: " not in text
        assert "datasets" not in ModelCard(text).data.to_dict()

    def test_started_from_another_model(self, content: dict[str, Any]) -> None:
        network = tiny.model()
        assert network.info is not None
        assert network.info.provenance is not None
        assert "| started from | random weights |" in card_of(network, content)
        other = replace(network.info.provenance, started_from="that-one", teacher="another")
        network.info = replace(network.info, provenance=other)
        text = card_of(network, content)
        assert "| started from | that-one |" in text
        assert "| teacher | another |" in text
        assert (
            "It was trained further on Imagenette, starting from the weights of that-one, with "
            "another as the teacher, to show"
        ) in text
        assert "alone" not in text

    def test_what_was_inherited(self, content: dict[str, Any]) -> None:
        network = of_origin(
            started_from="that-one", inherited_data="their photos (no trade)", weights_licence=""
        )
        text = card_of(network, content)
        assert "The model was made from that-one, trained on their photos (no trade)." in text
        assert "The licence of the weights is not known." in text
        assert "Data behind the weights it was made from: their photos (no trade)." in text
        assert "license" not in ModelCard(text).data.to_dict()

    def test_several_licences(self, content: dict[str, Any]) -> None:
        text = card_of(of_origin(weights_licence="mit and cc-by-nc-4.0"), content)
        assert ModelCard(text).data.to_dict()["license"] == "other"

    def test_of_a_converted_model(self, content: dict[str, Any]) -> None:
        network = tiny.model()
        assert network.info is not None
        origin = Provenance(trained_on="unknown data", recipe="converted from Keras, x.h5")
        network.info = replace(network.info, provenance=origin)
        text = card_of(network, content)
        assert (
            "A vision transformer with a convolutional stem that classifies photos into 3 classes:"
            in text
        )
        assert "| recipe | converted from Keras, x.h5 |" in text
        for unknown in (
            "None",
            "random weights",
            "| time |",
            "recipes/",
            "It was trained",
            "published",
        ):
            assert unknown not in text, unknown

    def test_of_which_nothing_is_known(self, content: dict[str, Any]) -> None:
        network = tiny.model()
        assert network.info is not None
        network.info = replace(network.info, provenance=Provenance(trained_on="unknown data"))
        assert "How it was trained is not known." in card_of(network, content)

    def test_measured_on_another_data_set(self, content: dict[str, Any]) -> None:
        content["data"]["source"] = "imagenet-v2"
        text = card_of(tiny.model(), content)
        assert "On the test split of imagenet-v2, 6 photos" in text
        assert "squashed to one square size" not in text
        (result,) = ModelCard(text).data.to_dict()["model-index"][0]["results"]
        assert (result["dataset"]["type"], result["dataset"]["name"]) == ("other", "imagenet-v2")
        content["data"]["source"] = "frgfm/imagenette"
        assert "On the test split of Imagenette, 6 photos" in card_of(tiny.model(), content)

    def test_names_stay_in_their_cells(self, content: dict[str, Any]) -> None:
        content["metrics"]["per_class_percent"] = {"café | bar\n": 50.0}
        assert "| café \\| bar | 50.0 % |\n" in card_of(tiny.model(), content)

    def test_many_classes_are_not_listed(self, content: dict[str, Any]) -> None:
        content["metrics"]["per_class_percent"] = {f"class {row}": 50.0 for row in range(21)}
        assert "| class 3 |" not in card_of(tiny.model(), content)

    def test_several_labels_per_photo(self, content: dict[str, Any]) -> None:
        content["metrics"] |= {"per_class_percent": {}, "map_percent": 43.21}
        text = card_of(tiny.model(), content)
        assert "| mean average precision | 43.21 % |" in text
        assert "| class |" not in text

    def test_no_path_of_a_machine(self, content: dict[str, Any], folder: Path) -> None:
        text = card_of(tiny.model(), content) + json.dumps(content)
        assert str(folder.parent) not in text


@pytest.mark.parametrize(
    ("right", "count", "interval"),
    # By statsmodels' proportion_confint(right, count, method="wilson").
    [(39, 66, "47.0 to 70.1"), (0, 10, "0.0 to 27.8"), (5739, 10_000, "56.4 to 58.4")],
)
def test_how_sure_a_top_1_is(right: int, count: int, interval: str) -> None:
    metrics = {"top1_percent": 100 * right / count, "num_images": count}
    assert f"size (Wilson) | {interval} % |" in card._certainty(metrics, 10)


def _interval(card: str) -> str:
    return next(line for line in card.splitlines() if "(Wilson)" in line)
