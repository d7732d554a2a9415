"""Models of the Keras example: recorded ones, and what is refused. `test_keras_live` makes more."""

import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from tokenlearner.conversion.keras import open_keras
from tokenlearner.conversion.scenic import to_scenic
from tokenlearner.conversion.verify import TOLERANCE, compare
from tokenlearner.errors import ConversionError

GOLDEN = {
    "frozen.h5": ("1.0", "frozen"),
    "frozen_saved": ("1.0", "frozen"),
    "sum.h5": ("1.0", "frozen"),
    "grouped.keras": ("grouped", "frozen"),
    "learned_tanh.keras": ("1.0", "learned"),
    "plain.keras": (None, "frozen"),
}


def reference(path: Path) -> Path:
    return path.with_name(path.stem.removesuffix("_saved") + ".npz")


@pytest.mark.parametrize("name", GOLDEN)
def test_logits_and_maps(golden: Path, name: str) -> None:
    found = open_keras(golden / name, tanh_gelu="tanh" in name)
    config = found.model.config
    version, position = GOLDEN[name]
    assert (config.token_learner and config.token_learner.version) == version
    assert config.position_embedding == position
    assert (config.head_dim, config.mlp_activates_output, config.depth) == (6, True, 4)
    if config.token_learner:
        assert (config.token_learner.at, config.token_learner.num_tokens) == (3, 3)
    agreements = compare(found.model, reference(golden / name))
    assert [a.name for a in agreements] == (["outputs", "maps/0"] if version else ["outputs"])
    assert max(a.relative for a in agreements) <= TOLERANCE


def test_every_number_comes_over(golden: Path) -> None:
    found = open_keras(golden / "learned_tanh.keras", tanh_gelu=True)
    used = sum(int(np.prod(shape)) for shape in found.used.values())
    assert used == sum(value.numel() for value in found.model.state_dict().values())


def test_pooling(golden: Path) -> None:
    for name, pooling in (("frozen.h5", "mean"), ("sum.h5", "sum")):
        learner = open_keras(golden / name).model.config.token_learner
        assert learner is not None
        assert learner.pooling == pooling


def test_the_wrong_gelu_is_noticed(golden: Path) -> None:
    model = open_keras(golden / "learned_tanh.keras").model
    with pytest.raises(ConversionError, match="outputs differs from"):
        compare(model, golden / "learned_tanh.npz")


def test_preprocessing(golden: Path) -> None:
    preprocessing = open_keras(golden / "frozen.h5").preprocessing
    assert preprocessing is not None
    assert preprocessing.image_size == (16, 16)
    assert preprocessing.mean == (0, 0, 0)
    assert preprocessing.std == (1, 1, 1)
    assert (preprocessing.resize, preprocessing.interpolation) == ("squash", "bilinear")


def test_a_sigmoid_head_gives_each_class_a_probability_of_its_own(
    golden: Path, tmp_path: Path
) -> None:
    assert not open_keras(golden / "plain.keras").multi_label
    path = tmp_path / "x.keras"
    path.write_bytes((golden / "plain.keras").read_bytes())
    rewrite(path, lambda c: layer(c, "Dense", -1).update(activation="sigmoid"))
    found = open_keras(path)
    assert found.multi_label
    assert "outputs are compared before the sigmoid" in found.notes


def test_scenic_cannot_take_a_grouped_learner(golden: Path) -> None:
    with pytest.raises(ConversionError, match="version 'grouped', which is the Keras example's"):
        to_scenic(open_keras(golden / "grouped.keras").model)


def rewrite(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Changes the configuration of a .keras file."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(members["config.json"])
    change(config)
    members["config.json"] = json.dumps(config).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)


def open_for_change(path: Path) -> Any:
    return h5py.File(path, "r+")


def layer(config: dict[str, Any], kind: str, order: int = 0) -> dict[str, Any]:
    return [x for x in config["config"]["layers"] if x["class_name"] == kind][order]["config"]


def augmentation(config: dict[str, Any]) -> list[dict[str, Any]]:
    return layer(config, "Sequential")["layers"]


class TestPhotos:
    def read(self, golden: Path, tmp_path: Path, change: Callable[[dict[str, Any]], Any]) -> Any:
        path = tmp_path / "x.keras"
        path.write_bytes((golden / "plain.keras").read_bytes())
        rewrite(path, change)
        return open_keras(path).preprocessing

    def test_minus_one_to_one(self, golden: Path, tmp_path: Path) -> None:
        found = self.read(
            golden,
            tmp_path,
            lambda c: augmentation(c)[1]["config"].update(scale=1 / 127.5, offset=-1),
        )
        assert found.mean == pytest.approx((0.5,) * 3)
        assert found.std == pytest.approx((0.5,) * 3)

    def test_normalization_after_rescaling(self, golden: Path, tmp_path: Path) -> None:
        options = {"mean": [0.5, 0.4, 0.3], "variance": [0.04, 0.09, 0.16]}
        entry = {"class_name": "Normalization", "config": options}
        found = self.read(golden, tmp_path, lambda c: augmentation(c).insert(2, entry))
        assert found.mean == pytest.approx((0.5, 0.4, 0.3))
        assert found.std == pytest.approx((0.2, 0.3, 0.4))

    def test_centre_crop(self, golden: Path, tmp_path: Path) -> None:
        def change(config: dict[str, Any]) -> None:
            augmentation(config)[3]["class_name"] = "CenterCrop"

        found = self.read(golden, tmp_path, change)
        assert (found.resize, found.crop_ratio) == ("crop", 16 / 20)

    def test_unknown_scale_and_unknown_layer(self, golden: Path, tmp_path: Path) -> None:
        assert self.read(golden, tmp_path, lambda c: augmentation(c).pop(1)) is None
        with pytest.raises(ConversionError, match=r"\(Hashing\) stands before the patches"):
            self.read(golden, tmp_path, lambda c: augmentation(c)[4].update(class_name="Hashing"))
        entry = {"class_name": "Normalization", "config": {"name": "n"}}
        with pytest.raises(ConversionError, match=r"'n' \(Normalization\) got .* by adapt\(\)"):
            self.read(golden, tmp_path, lambda c: augmentation(c).insert(2, entry))


class TestOtherModels:
    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (
                lambda c: layer(c, "LayerNormalization").update(epsilon=1e-3),
                r"layer 'layer_normalization\S*': got epsilon 0.001, expected 1e-06",
            ),
            (
                lambda c: layer(c, "Dense").update(activation="relu"),
                "got activation='relu', expected 'gelu'",
            ),
            (
                lambda c: layer(c, "Dense", 1).update(activation="relu"),
                "got activation 'relu', expected 'gelu' or 'linear'",
            ),
            (
                lambda c: layer(c, "Conv2D").update(strides=[2, 2]),
                r"got strides=\(2, 2\), expected \(4, 4\)",
            ),
            (lambda c: layer(c, "MultiHeadAttention").update(num_heads=3), "got blocks"),
            (
                lambda c: layer(c, "Sequential", 1)["layers"][4].update(
                    config={
                        **layer(c, "Sequential", 1)["layers"][4]["config"],
                        "activation": "gelu",
                    }
                ),
                "got activation='gelu', expected 'sigmoid'",
            ),
            (
                lambda c: augmentation(c)[3]["config"].update(height=20),
                "got 16 position embeddings, expected 20 for images of 20x16 px",
            ),
            (lambda c: c["config"]["layers"].pop(), "got 77 arrays, expected 75 for the layers"),
            (lambda c: c.update({"class_name": "MyModel"}), "its class is MyModel"),
            (lambda c: c.pop("config"), "holds no functional Keras model: KeyError 'config'"),
            (lambda c: c["config"].update(layers=3), "holds no functional Keras model: Type"),
        ],
    )
    def test_are_refused(
        self, golden: Path, tmp_path: Path, change: Callable[..., Any], message: str
    ) -> None:
        path = tmp_path / "changed.keras"
        path.write_bytes((golden / "learned_tanh.keras").read_bytes())
        rewrite(path, change)
        with pytest.raises(ConversionError, match=message) as caught:
            open_keras(path)
        assert "changed.keras" in str(caught.value)


class TestBrokenFiles:
    def test_no_keras_file(self, tmp_path: Path) -> None:
        (tmp_path / "x.keras").write_bytes(b"\x80\x04pickle")
        with pytest.raises(
            ConversionError, match=r"x\.keras is neither a \.keras or \.h5 file nor"
        ):
            open_keras(tmp_path / "x.keras")
        with pytest.raises(ConversionError, match=r"cannot read .*none"):
            open_keras(tmp_path / "none")

    @pytest.mark.parametrize("name", ["frozen.h5", "grouped.keras"])
    @pytest.mark.parametrize("share", [0.01, 0.5, 0.98])
    def test_cut_off(self, golden: Path, tmp_path: Path, name: str, share: float) -> None:
        data = (golden / name).read_bytes()
        (tmp_path / name).write_bytes(data[: int(len(data) * share)])
        with pytest.raises(ConversionError, match=name):
            open_keras(tmp_path / name)

    @pytest.mark.parametrize("part", ["keras_metadata.pb", "variables.index", "variables.data"])
    @pytest.mark.parametrize("share", [0, 0.3, 0.9])
    def test_saved_model_cut_off(
        self, golden: Path, tmp_path: Path, part: str, share: float
    ) -> None:
        for file in (golden / "frozen_saved").rglob("*.*"):
            target = tmp_path / file.relative_to(golden / "frozen_saved")
            target.parent.mkdir(exist_ok=True)
            data = file.read_bytes()
            keep = int(len(data) * share) if file.name.startswith(part) else len(data)
            target.write_bytes(data[:keep])
        with pytest.raises(ConversionError, match=re.escape(str(tmp_path))):
            open_keras(tmp_path)

    def test_saved_model_without_metadata(self, tmp_path: Path) -> None:
        with pytest.raises(
            ConversionError, match=r"has no keras_metadata\.pb, so it is not a Keras 2"
        ):
            open_keras(tmp_path)

    def test_weights_alone(self, tmp_path: Path) -> None:
        with h5py.File(tmp_path / "x.h5", "w") as file:
            file["a"] = np.zeros(3)
        with pytest.raises(
            ConversionError, match="holds weights without their model; save it with"
        ):
            open_keras(tmp_path / "x.h5")

    def test_not_finite(self, golden: Path, tmp_path: Path) -> None:
        path = tmp_path / "x.h5"
        path.write_bytes((golden / "frozen.h5").read_bytes())
        with open_for_change(path) as file:
            file["model_weights/dense/dense/kernel:0"][0, 0] = np.inf
        with pytest.raises(
            ConversionError, match=r"x\.h5: array 'dense/kernel': got 1 values that"
        ):
            open_keras(path)
