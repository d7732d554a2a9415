"""`tokenlearner evaluate` on all kinds of data: folders, several labels, broken photos, ReaL."""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import timm
import torch

from tests import shell, tiny
from tokenlearner.checkpoints import for_images, load_model, save_model
from tokenlearner.errors import ConfigError
from tokenlearner.models import VisionTransformer, describe_timm
from tokenlearner.models.timm_vit import insert_token_learner
from tokenlearner.training.data import LabelledImages, read_images
from tokenlearner.training.metrics import evaluate

LABELS = (0, 1, 2, 0, 1, 2)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model") / "tiny"
    save_model(folder, tiny.model())
    return folder


call = partial(shell.call, "evaluate", "--device", "cpu")


def write_folder(folder: Path) -> Path:
    """The same photos as in parquet, but the classes in alphabetical order."""
    for row, label in enumerate(LABELS):
        photo = folder / "val" / tiny.CLASSES[label] / f"ILSVRC2012_val_{row + 1:08}.png"
        photo.parent.mkdir(parents=True, exist_ok=True)
        photo.write_bytes(tiny.photo(label, 1000 + row))
    return folder


def write_multi_label(folder: Path) -> Path:
    features = {
        "img": {"_type": "Image"},
        "label": {
            "feature": {"names": list(tiny.CLASSES), "_type": "ClassLabel"},
            "_type": "List",
        },
    }
    tiny.write_parquet(
        folder / "test-00000-of-00001.parquet",
        [tiny.photo(label, row) for row, label in enumerate(LABELS)],
        [[0], [0, 1], [], [0], [1], [0]],
        features=features,
        label_type=pa.list_(pa.int64()),
    )
    return folder


class TestRefusedAtOnce:
    @pytest.fixture(autouse=True)
    def _nothing_is_decoded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(LabelledImages, "scan", lambda *_, **__: pytest.fail("decoded"))

    def test_other_classes(self, model: Path, tmp_path: Path) -> None:
        for name in ("red", "pink"):
            (tmp_path / "test" / name).mkdir(parents=True)
            (tmp_path / "test" / name / "a.png").write_bytes(tiny.photo(0, 0))
        result = call(model, "--data", tmp_path)
        assert result.exit_code == 1
        assert "only in the data: pink" in result.stderr

    def test_a_model_folder_that_cannot_be_written(
        self, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        tiny.write_dataset(tmp_path, test=6)
        monkeypatch.setattr("os.access", lambda *_: False)
        result = call(model, "--data", tmp_path, "--save")
        assert result.exit_code == 1
        assert f"cannot write {model / 'metrics.json'}: permission denied" in result.stderr


class TestFolder:
    def test_gives_the_figures_of_the_same_photos_in_parquet(
        self, model: Path, tmp_path: Path
    ) -> None:
        tiny.write_dataset(tmp_path / "table", test=6)
        write_folder(tmp_path / "folder")
        (tmp_path / "folder/val/red/a.heic").touch()
        table = call(model, "--data", tmp_path / "table", "--json", tmp_path / "new/table.json")
        folder = call(
            model, "--data", tmp_path / "folder", "--split", "val", "--json", tmp_path / "f.json"
        )
        assert table.exit_code == 0, table.output
        assert folder.exit_code == 0, folder.output
        assert f"wrote {tmp_path / 'f.json'}" in folder.stdout
        assert "files in val that are no photos, passed over: 1 .heic\n" in folder.stderr
        assert "passed over" not in table.stderr
        wanted, found = (
            json.loads((tmp_path / name).read_text()) for name in ("new/table.json", "f.json")
        )
        for name in ("loss", "map_overlap"):  # in another order
            assert found["metrics"].pop(name) == pytest.approx(wanted["metrics"].pop(name))
        assert found["metrics"] == wanted["metrics"]
        assert found["command"] == "tokenlearner evaluate ./tiny --data folder --split val"
        assert not (model / "metrics.json").exists()

    def test_how_distinct_the_maps_are_is_told_where_there_are_some(
        self, model: Path, tmp_path: Path
    ) -> None:
        folder = write_folder(tmp_path / "folder")
        options = ("--data", folder, "--split", "val", "--json", tmp_path / "result.json")
        result = call(model, *options)
        shared = json.loads((tmp_path / "result.json").read_text())["metrics"]["map_overlap"]
        assert f"two maps overlap by {100 * shared:.1f} % on average" in result.stdout
        save_model(tmp_path / "baseline", tiny.model(learner=False))
        result = call(tmp_path / "baseline", *options)
        assert "two maps" not in result.stdout
        assert "map_overlap" not in json.loads((tmp_path / "result.json").read_text())["metrics"]

    def test_a_broken_photo_is_named_and_left_out(self, model: Path, tmp_path: Path) -> None:
        write_folder(tmp_path / "folder")
        red = tmp_path / "folder/val/red"
        for row in range(120):
            (red / f"{row}.png").write_bytes(tiny.photo(0, row))
        (red / "7.png").write_bytes(tiny.photo(0, 0)[:200])
        result = call(
            model, "--data", tmp_path / "folder", "--split", "val", "--json", tmp_path / "f.json"
        )
        assert result.exit_code == 0, result.output
        assert "1 photo is missing or corrupt in val and left out:" in result.stderr
        assert "red/7.png: " in result.stderr
        assert "125 photos" in result.stdout
        (reason,) = json.loads((tmp_path / "f.json").read_text())["data"]["unusable"]
        assert "red/7.png" in reason

    def test_too_many_broken_photos(self, model: Path, tmp_path: Path) -> None:
        folder = write_folder(tmp_path / "folder")
        (folder / "val/red/ILSVRC2012_val_00000001.png").write_bytes(b"no photo")
        result = call(model, "--data", folder, "--split", "val")
        assert result.exit_code == 1
        assert "1 of 6 photos are missing or corrupt" in result.stderr
        assert "ILSVRC2012_val_00000001.png" in result.stderr


class TestReal:
    def test_is_measured_beside(self, model: Path, tmp_path: Path) -> None:
        folder = write_folder(tmp_path / "folder")
        # In the alphabet's order: blue, green, red.
        entries = [[2 - label] for label in LABELS]
        entries[0], entries[1] = [], [0, 1, 2]
        (tmp_path / "real.json").write_text(json.dumps(entries))
        options = (
            "--split",
            "val",
            "--real",
            tmp_path / "real.json",
            "--json",
            tmp_path / "r.json",
        )
        result = call(model, "--data", folder, *options)
        assert result.exit_code == 0, result.output
        content = json.loads((tmp_path / "r.json").read_text())
        assert content["metrics"]["real_num_images"] == 5
        assert f"ReaL   {content['metrics']['real_percent']:6.2f} % of 5 photos" in result.stdout
        assert content["data"]["real"]["source"] == "real.json"
        assert content["command"].endswith("--split val --real real.json")

    def test_of_another_length(self, model: Path, tmp_path: Path) -> None:
        tiny.write_dataset(tmp_path / "table", test=6)
        (tmp_path / "real.json").write_text("[[0]]")
        result = call(model, "--data", tmp_path / "table", "--real", tmp_path / "real.json")
        assert result.exit_code == 1
        assert "has the labels of 1 photos, but" in result.stderr

    def test_missing(self, model: Path, tmp_path: Path) -> None:
        tiny.write_dataset(tmp_path / "table", test=6)
        result = call(model, "--data", tmp_path / "table", "--real", tmp_path / "none.json")
        assert result.exit_code == 1
        assert result.stderr.endswith(f"{tmp_path / 'none.json'}: No such file or directory\n")


class TestSeveralLabels:
    def test_prints_mean_average_precision(self, model: Path, tmp_path: Path) -> None:
        data = write_multi_label(tmp_path / "several")
        result = call(model, "--data", data, "--json", tmp_path / "m.json")
        assert result.exit_code == 0, result.output
        photos = read_images(data, "test")
        wanted = evaluate(for_images(load_model(model)), photos, device=torch.device("cpu"))
        assert wanted.average_precision_percent is not None
        assert f"mAP    {wanted.map_percent:6.2f} % over 2 classes" in result.stdout
        assert "classes without photos: blue" in result.stdout
        assert f"top-1  {wanted.top1_percent:6.2f} % of 5 photos with a label" in result.stdout
        red, green = (wanted.average_precision_percent[name] for name in ("red", "green"))
        assert f"average precision:\nred    {red:6.2f} %\ngreen  {green:6.2f} %" in result.stdout
        assert json.loads((tmp_path / "m.json").read_text())["metrics"]["num_unlabelled"] == 1

    def test_named_columns(self, model: Path, tmp_path: Path) -> None:
        data = write_multi_label(tmp_path / "several")
        options = (
            "--image-column",
            "img",
            "--label-column",
            "label",
            "--json",
            tmp_path / "m.json",
        )
        result = call(model, "--data", data, *options)
        assert result.exit_code == 0, result.output
        command = json.loads((tmp_path / "m.json").read_text())["command"]
        assert command.endswith("--split test --image-column img --label-column label")
        wrong = call(model, "--data", data, "--label-column", "c")
        assert wrong.exit_code == 1
        assert "has no column 'c'; it has img (Image), label (list of ClassLabel)" in wrong.stderr


@pytest.mark.parametrize("several", [False, True])
def test_unnamed_classes_of_which_a_split_lacks_the_last(tmp_path: Path, several: bool) -> None:
    network = tiny.model()
    assert network.info is not None
    network.info = replace(network.info, class_names=("0", "1", "2"), multi_label=several)
    save_model(tmp_path / "model", network)
    features: dict[str, Any] = {"img": {"_type": "Image"}, "label": {"_type": "Value"}}
    tiny.write_parquet(
        tmp_path / "data/test.parquet",
        [tiny.photo(0, row) for row in range(3)],
        [[0, 1], [1], [0]] if several else [0, 1, 0],
        features=features,
        label_type=pa.list_(pa.int64()) if several else None,
    )
    result = call(tmp_path / "model", "--data", tmp_path / "data", "--label-column", "label")
    assert result.exit_code == 0, result.output
    assert "3 photos" in result.stdout


@pytest.mark.parametrize("num_classes", [5, 6])
def test_top_5_is_of_more_than_five_classes(tmp_path: Path, num_classes: int) -> None:
    """Or it is 100 %, whatever the model answers."""
    names = tuple("abcdef")[:num_classes]
    network = VisionTransformer(replace(tiny.config(), num_classes=num_classes)).eval()
    info = tiny.model().info
    assert info is not None
    network.info = replace(info, class_names=names)
    save_model(tmp_path / "model", network)
    photos = {f"{name}/1.png": tiny.photo(0, row) for row, name in enumerate(names)}
    tiny.write_files(tmp_path / "data/test", photos)
    result = call(tmp_path / "model", "--data", tmp_path / "data", "--save")
    assert result.exit_code == 0, result.output
    card = (tmp_path / "model/README.md").read_text()
    for text in (result.stdout, card):
        assert ("top-5" in text) == (num_classes > 5)


def test_a_thousand_classes_do_not_fill_the_screen(tmp_path: Path) -> None:
    network = tiny.model()
    assert network.info is not None
    names = [f"class {number}" for number in range(1000)]
    features = {"img": {"_type": "Image"}, "label": {"names": names, "_type": "ClassLabel"}}
    file = tmp_path / "many/test-00000-of-00001.parquet"
    tiny.write_parquet(
        file, [tiny.photo(0, row) for row in range(30)], range(30), features=features
    )
    save_model(tmp_path / "tiny", network)
    result = call(tmp_path / "tiny", "--data", file.parent)
    assert result.exit_code == 1
    assert "has the classes class 0, class 1, class 2 and 997 more, but tiny" in result.stderr
    assert len(result.stderr.replace(str(file.parent), "")) < 250


def test_so_many_photos_in_a_pass(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny.write_dataset(tmp_path / "data", test=6)
    passes = []
    forward = VisionTransformer.forward

    def count(self: VisionTransformer, images: torch.Tensor) -> torch.Tensor:
        passes.append(len(images))
        return forward(self, images)

    monkeypatch.setattr(VisionTransformer, "forward", count)
    outputs = []
    for options in ((), ("--batch-size", 4)):
        result = call(model, "--data", tmp_path / "data", *options)
        assert result.exit_code == 0, result.output
        outputs.append(result.stdout)
    assert passes == [6, 4, 2]
    assert outputs[0] == outputs[1]


def test_the_result_is_kept_where_the_card_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> str:
        raise ConfigError("no card today")

    monkeypatch.setattr("tokenlearner.cli.evaluate.render_card", fail)
    save_model(tmp_path / "tiny", tiny.model())
    tiny.write_dataset(tmp_path / "data", test=6)
    options = ("--save", "--json", tmp_path / "m.json")
    result = call(tmp_path / "tiny", "--data", tmp_path / "data", *options)
    assert result.exit_code == 1
    assert "no card today" in result.stderr
    assert json.loads((tmp_path / "m.json").read_text())["metrics"]["num_images"] == 6


def test_the_card_of_a_learner_in_a_model_of_timm(tmp_path: Path) -> None:
    backbone = timm.create_model("test_vit", num_classes=3, img_size=32)
    network = insert_token_learner(backbone, num_tokens=2)
    network.info = describe_timm(network, pretrained=True, class_names=tiny.CLASSES)
    save_model(tmp_path / "timm", network)
    tiny.write_dataset(tmp_path / "data", test=6)
    result = call(tmp_path / "timm", "--data", tmp_path / "data", "--save")
    assert result.exit_code == 0, result.output
    card = (tmp_path / "timm/README.md").read_text()
    assert "timm's `test_vit`, that classifies photos into 3 classes" in card
    assert "**Not trained yet: TokenLearner and head. Until then" in card
    assert "| started from | timm/test_vit.r160_in1k |" in card
    assert "On the test split of data, 6 photos" in card
    for unknown in ("| time |", "| recipe |", "None", "It was trained"):
        assert unknown not in card
    assert (tmp_path / "timm/metrics.json").exists()
