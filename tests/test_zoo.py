"""Finding models by name, folder and Hub id; and the shipped models themselves."""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app.gallery import load_samples
from tests import hub_cache, tiny
from tests.hub_cache import COMMIT
from tokenlearner import explain, zoo
from tokenlearner.checkpoints import save_model
from tokenlearner.errors import CheckpointError
from tokenlearner.models import VideoVisionTransformer, VisionTransformer
from tokenlearner.training.datasets import DATASETS
from tokenlearner.training.recipes import RECIPES
from tokenlearner.zoo import ZooEntry

FIRST_SAMPLE = load_samples()[0]


def each(entries: Iterable[ZooEntry]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("entry", list(entries), ids=lambda entry: entry.name)


SHIPPED = each(zoo.ENTRIES)
WITH_BASELINE = each(entry for entry in zoo.ENTRIES if entry.baseline)
OF_FIRST_SAMPLE = each(entry for entry in zoo.ENTRIES if FIRST_SAMPLE.subject(entry.dataset))


def sha256_of(folder: Path) -> str:
    return hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()


class TestByName:
    @pytest.fixture(autouse=True)
    def _shipped(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Two small models take the place of the shipped ones."""
        entries = []
        for name, learner in (("tiny-tl2", True), ("tiny", False)):
            save_model(tmp_path / name, tiny.model(learner=learner, name=name))
            entry = ZooEntry(
                name=name,
                title=name,
                dataset="imagenette",
                sha256=sha256_of(tmp_path / name),
                baseline="tiny" if learner else None,
            )
            entries.append(entry)
        (tmp_path / "tiny/README.md").write_text("# tiny — a card", encoding="utf-8")
        (tmp_path / "tiny/metrics.json").write_text('{"metrics": {"top1_percent": 50.0}}')
        monkeypatch.setattr(zoo, "ENTRIES", tuple(entries))
        monkeypatch.setenv("TOKENLEARNER_CHECKPOINTS", str(tmp_path))

    def test_a_model_trained_anew_is_not_called_as_the_shipped_one(self, tmp_path: Path) -> None:
        anew = tiny.model(name="tiny")
        assert anew.head is not None
        anew.head.weight.data += 1
        save_model(tmp_path / "run/model", anew)
        places = {"tiny": "tiny", tmp_path / "tiny": "tiny", tmp_path / "run/model": "./model"}
        for place, wanted in places.items():
            info = zoo.load(place).info
            assert info is not None
            assert zoo.reference(info) == wanted

    def test_names_in_order(self) -> None:
        assert zoo.names() == ("tiny-tl2", "tiny")
        assert zoo.entry("tiny-tl2").baseline == "tiny"

    def test_counterparts(self, monkeypatch: pytest.MonkeyPatch) -> None:
        learner, baseline = zoo.ENTRIES
        second = replace(learner, name="tiny-tl4")
        alone = replace(baseline, name="other")
        monkeypatch.setattr(zoo, "ENTRIES", (learner, second, baseline, alone))
        wanted = {"tiny-tl2": "tiny", "tiny-tl4": "tiny", "tiny": "tiny-tl2", "other": None}
        assert {name: zoo.counterpart(name) for name in zoo.names()} == wanted

    def test_load(self) -> None:
        model = zoo.load("tiny-tl2")
        assert model.info is not None
        assert model.info.name == "tiny-tl2"
        assert model.info.sha256 == zoo.entry("tiny-tl2").sha256

    def test_card_and_metrics(self) -> None:
        assert zoo.card("tiny") == "# tiny — a card"
        assert zoo.metrics("tiny")["metrics"]["top1_percent"] == 50

    def test_altered_weights_are_refused(self) -> None:
        save_model(zoo.folder("tiny"), tiny.model(learner=False))
        with pytest.raises(CheckpointError, match="the file was altered or cut off"):
            zoo.load("tiny")

    def test_unknown_name(self) -> None:
        for function in (zoo.entry, zoo.folder, zoo.metrics, zoo.counterpart):
            with pytest.raises(CheckpointError, match="unknown model 'x'; available: tiny-tl2, ti"):
                function("x")
        for function in (zoo.load, zoo.card):
            with pytest.raises(
                CheckpointError,
                match=r"'x' is neither a shipped model \(tiny-tl2, tiny\) nor a folder",
            ):
                function("x")
        with pytest.raises(CheckpointError, match="'' is neither a shipped model"):
            zoo.load("")

    def test_a_folder_is_loaded_as_it_is(self, tmp_path: Path) -> None:
        save_model(tmp_path / "mine", tiny.model(name="mine"))
        for path in (tmp_path / "mine", str(tmp_path / "mine")):
            info = zoo.load(path).info
            assert info is not None
            assert (info.name, info.source) == ("mine", str(tmp_path / "mine"))


class TestFromTheHub:
    @pytest.fixture(autouse=True)
    def _cache(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        hub_cache.use(monkeypatch, tmp_path)
        older = hub_cache.add(tmp_path, "owner/tiny", revision="v1", commit=COMMIT[::-1])
        save_model(older, tiny.model(name="older"))
        save_model(hub_cache.add(tmp_path, "owner/tiny"), tiny.model(name="newest"))

    @pytest.mark.parametrize(
        ("wanted", "name", "commit"),
        [
            ("hf-hub:owner/tiny", "newest", COMMIT),
            ("hf-hub:owner/tiny@main", "newest", COMMIT),
            ("hf-hub:owner/tiny@v1", "older", COMMIT[::-1]),
            (f"hf-hub:owner/tiny@{COMMIT[::-1]}", "older", COMMIT[::-1]),
        ],
    )
    def test_revisions(self, wanted: str, name: str, commit: str) -> None:
        info = zoo.load(wanted).info
        assert info is not None
        assert info.name == name
        assert info.source == f"hf-hub:owner/tiny@{commit}"

    def test_options_of_the_hub(self, tmp_path: Path) -> None:
        options: dict[str, Any] = {"revision": "v1", "local_files_only": True}
        info = zoo.load("hf-hub:owner/tiny", **options).info
        assert info is not None
        assert (info.name, info.source) == ("older", f"hf-hub:owner/tiny@{COMMIT[::-1]}")
        with pytest.raises(CheckpointError, match="revision is 'v1', but there are revisions on"):
            zoo.load(zoo.names()[0], **options)
        with pytest.raises(
            CheckpointError, match="owner/tiny@v1 is not in the local cache and loc"
        ):
            zoo.load("hf-hub:owner/tiny", cache_dir=tmp_path / "other", **options)

    @pytest.mark.parametrize("wanted", ["owner/other", "owner/tiny@v2"])
    def test_not_in_the_cache(self, wanted: str) -> None:
        with pytest.raises(
            CheckpointError, match=f"{wanted} is not in the local cache .* or unset HF_HUB_OFFLINE"
        ):
            zoo.load(f"hf-hub:{wanted}")

    def test_no_valid_id(self) -> None:
        with pytest.raises(CheckpointError, match="the Hub has no model a//b: "):
            zoo.load("hf-hub:a//b")

    def test_its_card(self, tmp_path: Path) -> None:
        with pytest.raises(CheckpointError, match=r"cannot read .*README\.md: No such file"):
            zoo.card("hf-hub:owner/tiny@v1")
        card = hub_cache.add(tmp_path, "owner/tiny") / "README.md"
        card.write_text("---\nlicense: mit\n---\n\n# newest\n")
        assert zoo.card("hf-hub:owner/tiny") == "# newest\n"
        card.write_bytes(b"\xff\xfe caf\xe9")
        with pytest.raises(CheckpointError, match=r"cannot read .*README\.md: it is not UTF-8"):
            zoo.card("hf-hub:owner/tiny")

    def test_a_broken_file_in_the_cache(self, tmp_path: Path) -> None:
        folder = hub_cache.add(tmp_path, "owner/tiny")
        (folder / "config.json").write_text("{}")
        with pytest.raises(CheckpointError, match=r"config\.json does not say format"):
            zoo.load("hf-hub:owner/tiny")


class TestShipped:
    def test_there_is_a_pair_of_each_data_set(self) -> None:
        for dataset in ("imagenette", "cifar10"):
            entries = [entry for entry in zoo.ENTRIES if entry.dataset == dataset]
            baselines = {entry.baseline for entry in entries if entry.baseline}
            assert baselines
            assert baselines <= {entry.name for entry in entries}

    @SHIPPED
    def test_the_folder_is_complete_and_small(self, entry: ZooEntry) -> None:
        files = {path.name: path for path in zoo.folder(entry.name).iterdir()}
        assert set(files) == {"config.json", "model.safetensors", "README.md", "metrics.json"}
        assert sum(path.stat().st_size for path in files.values()) <= 25 * 2**20

    @SHIPPED
    def test_it_loads_and_tells_its_origin(self, entry: ZooEntry) -> None:
        model = zoo.load(entry.name)  # which checks the weights' sha256
        assert model.info is not None
        assert model.info.name == entry.name
        assert model.info.provenance is not None
        assert RECIPES[model.info.provenance.recipe]().dataset == entry.dataset
        is_baseline = entry.name in {other.baseline for other in zoo.ENTRIES}
        assert (model.config.token_learner is None) == is_baseline

    @WITH_BASELINE
    def test_baseline_differs_in_the_learner_alone(self, entry: ZooEntry) -> None:
        assert entry.baseline is not None
        model, baseline = zoo.load(entry.name), zoo.load(entry.baseline)
        assert isinstance(model, VisionTransformer | VideoVisionTransformer)
        assert isinstance(baseline, type(model))
        config, plain = model.config.to_dict(), baseline.config.to_dict()
        assert config.pop("token_learner")
        assert plain.pop("token_learner") is None
        assert config == plain
        assert model.info is not None
        assert baseline.info is not None
        assert model.info.class_names == baseline.info.class_names
        assert model.info.preprocessing == baseline.info.preprocessing

    @SHIPPED
    def test_metrics_are_of_these_weights_on_the_whole_test_split(self, entry: ZooEntry) -> None:
        content = zoo.metrics(entry.name)
        assert content["weights_sha256"] == entry.sha256 == sha256_of(zoo.folder(entry.name))
        assert content["model"] == entry.name
        assert content["data"]["split"] == "test"
        sizes = {"imagenette": 3925, "cifar10": 10_000, "pointing-gestures": 66}
        assert content["metrics"]["num_images"] == sizes[entry.dataset]
        assert content["command"].startswith(f"tokenlearner evaluate {entry.name} --data ")
        wanted_percent = {"imagenette": 70.0, "cifar10": 54.5, "pointing-gestures": 50.0}
        assert content["metrics"]["top1_percent"] >= wanted_percent[entry.dataset]

    @SHIPPED
    def test_the_card_says_what_a_user_should_know(self, entry: ZooEntry) -> None:
        card, content = zoo.card(entry.name), zoo.metrics(entry.name)
        info = zoo.load(entry.name).info
        assert info is not None
        assert info.provenance is not None
        for wanted in (
            info.provenance.trained_on,
            info.provenance.data_licence,
            info.provenance.weights_licence,
            info.provenance.command,
            entry.sha256,
            f"{content['metrics']['top1_percent']:.2f} %",
            "## Limits",
        ):
            assert wanted in card, wanted
        epochs = re.findall(r"(\d+) epochs? at \d+ px", card)
        assert sum(map(int, epochs)) == info.provenance.epochs

    @SHIPPED
    def test_its_classes_are_those_of_its_data_set(self, entry: ZooEntry) -> None:
        info, dataset = zoo.load(entry.name).info, DATASETS[entry.dataset]
        assert info is not None
        assert info.provenance is not None
        assert info.provenance.trained_on == dataset.title
        assert dataset.has_classes(info.class_names)

    @SHIPPED
    def test_no_file_names_a_path_of_a_machine(self, entry: ZooEntry) -> None:
        for name in ("config.json", "README.md", "metrics.json"):
            text = (zoo.folder(entry.name) / name).read_text(encoding="utf-8")
            assert not re.search(r"(?<![\w.:/])/(home|root|tmp|work|mnt|Users)/", text), name

    @OF_FIRST_SAMPLE
    def test_it_knows_the_photo_that_the_app_opens_with(self, entry: ZooEntry) -> None:
        found = explain(zoo.load(entry.name), FIRST_SAMPLE.path).predictions[0][0]
        assert found == FIRST_SAMPLE.subject(entry.dataset)

    def test_the_model_that_the_app_opens_with_knows_its_first_photo(self) -> None:
        assert FIRST_SAMPLE.subject(zoo.ENTRIES[0].dataset) is not None
