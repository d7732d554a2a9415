"""A whole run of the official train loop: checkpoint and configuration become a model."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tokenlearner.conversion.flax_files import read_checkpoint, write_checkpoint
from tokenlearner.conversion.flax_folders import find_checkpoint
from tokenlearner.conversion.scenic import to_scenic
from tokenlearner.conversion.scenic_files import describe, open_scenic, read_config
from tokenlearner.conversion.verify import TOLERANCE, compare
from tokenlearner.errors import ConversionError

GOLDEN = Path(__file__).parents[1] / "golden"
RUNS = {"new": "params", "old": "optimizer/target"}
SMALL = {"a/kernel": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.ones(2, np.float32)}


class TestGolden:
    @pytest.mark.parametrize("run", RUNS)
    def test_logits_and_maps(self, run: str) -> None:
        folder = GOLDEN / f"scenic_checkpoint_{run}"
        model, checkpoint = open_scenic(folder, folder / "config.json")
        assert checkpoint.layout == RUNS[run]
        agreements = compare(model, folder / "expected.npz")
        assert {agreement.name for agreement in agreements} >= {"outputs", "maps/0"}
        assert max(agreement.relative for agreement in agreements) <= TOLERANCE

    @pytest.mark.parametrize("run", RUNS)
    def test_export_and_back_key_by_key(self, run: str, tmp_path: Path) -> None:
        folder = GOLDEN / f"scenic_checkpoint_{run}"
        model, checkpoint = open_scenic(folder, folder / "config.json")
        write_checkpoint(tmp_path / "checkpoint_7", to_scenic(model), step=7)
        back = read_checkpoint(find_checkpoint(tmp_path))
        assert (back.layout, back.step) == ("params", 7)
        assert back.params.keys() == checkpoint.params.keys()
        for name, array in checkpoint.params.items():
            assert back.params[name].tobytes() == array.tobytes(), name
            assert back.params[name].shape == array.shape

    def test_step_and_what_is_left_out(self) -> None:
        checkpoint = read_checkpoint(GOLDEN / "scenic_checkpoint_new/checkpoint_5000")
        assert checkpoint.step == 5000
        assert "opt_state" in checkpoint.left_out
        assert "params" not in checkpoint.left_out

    def test_other_weights_do_not_pass(self, tmp_path: Path) -> None:
        folder = GOLDEN / "scenic_checkpoint_new"
        model, _ = open_scenic(folder, folder / "config.json")
        assert model.head is not None
        model.head.weight.data[0, 0] += 0.01
        with pytest.raises(
            ConversionError, match=r"outputs differs from .* got a relative error of"
        ):
            compare(model, folder / "expected.npz")


class TestRun:
    @pytest.fixture
    def run(self, tmp_path: Path) -> Path:
        shutil.copytree(GOLDEN / "scenic_checkpoint_new", tmp_path / "run")
        return tmp_path / "run"

    def change(self, run: Path, name: str, value: Any) -> None:
        params = dict(read_checkpoint(run / "checkpoint_5000").params)
        if value is None:
            del params[name]
        else:
            params[name] = value
        write_checkpoint(run / "checkpoint_5000", params)

    @pytest.mark.parametrize(
        ("name", "value", "message"),
        [
            ("output_projection/bias", None, "missing array 'output_projection/bias'"),
            ("extra/kernel", SMALL["b"], r"unknown array 'extra/kernel': got shape \(2,\)"),
            ("output_projection/bias", np.zeros(8, np.float32), r"got shape \(8,\), expected \(7,"),
            ("output_projection/bias", np.zeros(7), "got float64, expected float32"),
            ("output_projection/bias", np.full(7, np.nan, np.float32), "got 7 values that are not"),
            (
                "Transformer/TokenLearnerModuleV11_0/Conv_0/kernel",
                SMALL["b"],
                "is from before March 2022, when version 1.1 was another module",
            ),
        ],
    )
    def test_message_names_file_and_array(
        self, run: Path, name: str, value: Any, message: str
    ) -> None:
        self.change(run, name, value)
        with pytest.raises(ConversionError, match=message) as caught:
            open_scenic(run, run / "config.json")
        assert "checkpoint_5000" in str(caught.value)

    def test_without_a_head(self, run: Path) -> None:
        for part in ("kernel", "bias"):
            self.change(run, f"output_projection/{part}", None)
        config = json.loads((run / "config.json").read_text())
        config["model"]["representation_size"] = None
        (run / "config.json").write_text(json.dumps(config))
        params = read_checkpoint(run / "checkpoint_5000").params
        for name in [name for name in params if name.startswith("pre_logits")]:
            self.change(run, name, None)
        model, _ = open_scenic(run, run / "config.json")
        assert model.head is None

    def test_configurations(self, run: Path) -> None:
        full = json.loads((run / "config.json").read_text())
        params = read_checkpoint(run / "checkpoint_5000").params
        wanted = describe(full, params)
        assert wanted["args"]["num_classes"] == 7
        assert describe(full["model"], params) == wanted
        assert describe({"model": full["model"], "num_classes": 7}, params) == wanted
        assert describe(wanted, params) == wanted

    def test_configuration_as_python_text(self, run: Path) -> None:
        full = json.loads((run / "config.json").read_text())
        (run / "config.txt").write_text(f"\n{full!r}\n")
        assert read_config(run / "config.txt") == full

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("__import__('os').remove('x')", "neither JSON nor the text of a Python dict"),
            ("[1]", "holds list, expected a dict"),
            ("{" * 10_000, "neither JSON nor"),
            ("\0", "neither JSON nor"),
            ('{"model_name": "vit"}', "model_name is 'vit'; it must be one of token_learner_cl"),
            ('{"model": {}}', "no section 'model' with a 'hidden_size'"),
            (" " * (2**20 + 1), "is over 1,048,576 bytes"),
        ],
    )
    def test_configuration_that_is_none(self, run: Path, text: str, message: str) -> None:
        (run / "config.json").write_text(text)
        with pytest.raises(ConversionError, match=message):
            open_scenic(run, run / "config.json")

    def test_number_of_another_type(self, run: Path) -> None:
        config = json.loads((run / "config.json").read_text())
        config["model"]["num_layers"] = "three"
        (run / "config.json").write_text(json.dumps(config))
        with pytest.raises(
            ConversionError, match=r"config\.json: .*num_layers is 'three'; it must"
        ):
            open_scenic(run, run / "config.json")

    @pytest.mark.parametrize(
        "change",
        [
            lambda c: c["model"].update(hidden_size=2**33),  # no machine has the memory
            lambda c: c.update(dataset_meta_data="imagenet"),
        ],
    )
    def test_configuration_of_another_type(self, run: Path, change: Callable[..., Any]) -> None:
        config = json.loads((run / "config.json").read_text())
        change(config)
        (run / "config.json").write_text(json.dumps(config))
        with pytest.raises(ConversionError, match=r"config\.json does not describe a model"):
            open_scenic(run, run / "config.json")
