"""`tokenlearner convert` and `export`: one command, a model folder, a report; errors in a line."""

import json
import zipfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests import tiny
from tests.golden.cases import FOLDER, load_case
from tests.shell import call
from tokenlearner.checkpoints import load_model, save_model
from tokenlearner.conversion.flax_files import read_checkpoint, write_checkpoint
from tokenlearner.conversion.torch_ports import load_learner
from tokenlearner.models import (
    VideoVisionTransformer,
    VisionTransformer,
    VisionTransformerConfig,
)

GOLDEN = Path(__file__).parents[1] / "golden"
NEW = GOLDEN / "scenic_checkpoint_new"


def refused(result: Any, message: str) -> None:
    assert result.exit_code == 1, result.output
    assert result.stderr.startswith("tokenlearner: ")
    assert result.stderr.count("\n") == 1
    assert message in result.stderr


class TestScenic:
    def convert(self, out: Path, *options: object) -> Any:
        return call(
            "convert", "scenic", NEW, "--config", NEW / "config.json", "--out", out, *options
        )

    def test_model_folder_and_report(self, tmp_path: Path) -> None:
        (tmp_path / "classes.txt").write_text("\n".join("abcdefg"))
        result = self.convert(
            tmp_path / "mine",
            *("--class-names", tmp_path / "classes.txt", "--reference", NEW / "expected.npz"),
            *("--trained-on", "random numbers", "--licence", "Apache-2.0", "--multi-label"),
        )
        assert result.exit_code == 0, result.output
        model = load_model(tmp_path / "mine")
        assert model.info is not None
        assert model.info.name == "mine"
        assert model.info.multi_label
        assert model.info.class_names == tuple("abcdefg")
        assert model.info.provenance is not None
        assert model.info.provenance.trained_on == "random numbers"
        assert model.info.provenance.recipe.endswith("checkpoint_5000, step 5,000")
        for words in (
            "arrays",
            "opt_state",
            model.info.sha256,
            "outputs: relative error",
            "maps/0",
        ):
            assert words in result.stdout
        with np.load(NEW / "expected.npz") as expected:
            images = torch.from_numpy(expected["inputs"]).permute(0, 3, 1, 2)
            wanted = torch.from_numpy(expected["outputs"])
        with torch.no_grad():
            error = (model(images) - wanted).norm() / wanted.norm()
        assert error <= 1e-5

    def test_nothing_is_written_when_it_differs(self, tmp_path: Path) -> None:
        wrong = GOLDEN / "scenic_checkpoint_old/expected.npz"
        result = self.convert(tmp_path / "out", "--reference", wrong)
        refused(result, "outputs differs from")
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (("--step", 3), "holds no checkpoint of step 3; it has 5000"),
            (("--image-size", "7x"), "--image-size is '7x'; wanted pixels, such as 384 or 256x320"),
            (("--image-size", "64x8"), "expected (1, 8, 16)"),
            (("--class-names", NEW / "config.json"), "names, expected 7"),
            (("--preprocessing", NEW / "config.json"), "holds no preprocessing"),
        ],
    )
    def test_wrong_options(self, tmp_path: Path, options: tuple[object, ...], message: str) -> None:
        refused(self.convert(tmp_path / "out", *options), message)
        assert not (tmp_path / "out").exists()

    def test_preprocessing_of_another_size(self, tmp_path: Path) -> None:
        (tmp_path / "p.json").write_text(json.dumps(asdict(tiny.preprocessing())))
        result = self.convert(tmp_path / "out", "--preprocessing", tmp_path / "p.json")
        refused(result, "got image_size (16, 16), expected")

    def test_a_step_that_is_not_the_newest(self, tmp_path: Path) -> None:
        params = read_checkpoint(NEW / "checkpoint_5000").params
        (tmp_path / "run").mkdir()
        for step, factor in ((3, 1.0), (40, 2.0)):
            scaled = {name: factor * array for name, array in params.items()}
            write_checkpoint(tmp_path / f"run/checkpoint_{step}", scaled, step=step)
        arguments = ("convert", "scenic", tmp_path / "run", "--config", NEW / "config.json")
        arguments += ("--reference", NEW / "expected.npz")
        refused(call(*arguments, "--out", tmp_path / "newest"), "outputs differs from")
        result = call(*arguments, "--out", tmp_path / "m", "--step", 3)
        assert result.exit_code == 0, result.output
        info = load_model(tmp_path / "m").info
        assert info is not None
        assert info.provenance is not None
        assert info.provenance.recipe.endswith("checkpoint_3, step 3")

    def test_clips_there_and_back(self, tmp_path: Path) -> None:
        case = load_case("video_3dconv_v11_fuse")
        write_checkpoint(tmp_path / "checkpoint_3", case.params)
        data = {"num_frames": 8, "crop_size": 32}
        run = {"model": case.config["args"], "dataset_configs": data}
        (tmp_path / "c.json").write_text(json.dumps(run))
        arguments = ("convert", "scenic", tmp_path, "--config", tmp_path / "c.json")
        golden = FOLDER / "video_3dconv_v11_fuse.npz"
        result = call(*arguments, "--out", tmp_path / "m", "--reference", golden)
        assert result.exit_code == 0, result.output
        assert "preprocessing of Scenic's clips" in result.stdout
        assert "maps/1: relative error" in result.stdout
        model = load_model(tmp_path / "m")
        assert isinstance(model, VideoVisionTransformer)
        assert model.info is not None
        assert model.info.preprocessing.mean == (0.5, 0.5, 0.5)
        result = call("export", "scenic", tmp_path / "m", "--out", tmp_path / "checkpoint_0")
        assert result.exit_code == 0, result.output
        found = read_checkpoint(tmp_path / "checkpoint_0").params
        assert found.keys() == case.params.keys()
        assert all(np.array_equal(found[name], array) for name, array in case.params.items())

    def test_clips_of_unknown_length(self, tmp_path: Path) -> None:
        case = load_case("video_3dconv_v11_fuse")
        write_checkpoint(tmp_path / "checkpoint_3", case.params)
        (tmp_path / "c.json").write_text(json.dumps({"model": case.config["args"]}))
        arguments = ("convert", "scenic", tmp_path, "--config", tmp_path / "c.json")
        refused(call(*arguments, "--out", tmp_path / "m"), "frames a clip has; pass num_frames")
        result = call(*arguments, "--out", tmp_path / "m", "--num-frames", 8)
        assert result.exit_code == 0, result.output


class TestExport:
    def test_back_key_by_key(self, tmp_path: Path) -> None:
        call("convert", "scenic", NEW, "--config", NEW / "config.json", "--out", tmp_path / "m")
        result = call("export", "scenic", tmp_path / "m", "--out", tmp_path / "checkpoint_0")
        assert result.exit_code == 0, result.output
        found = read_checkpoint(tmp_path / "checkpoint_0").params
        wanted = read_checkpoint(NEW / "checkpoint_5000").params
        assert found.keys() == wanted.keys()
        for name, array in wanted.items():
            assert np.array_equal(found[name], array), name
        again = call("export", "scenic", tmp_path / "m", "--out", tmp_path / "checkpoint_0")
        refused(again, "checkpoint_0 already exists")

    def test_step(self, tmp_path: Path) -> None:
        call("convert", "scenic", NEW, "--config", NEW / "config.json", "--out", tmp_path / "m")
        for options, step in (((), 0), (("--step", 1200), 1200)):
            out = tmp_path / f"checkpoint_{step}"
            result = call("export", "scenic", tmp_path / "m", "--out", out, *options)
            assert result.exit_code == 0, result.output
            assert read_checkpoint(out).step == step

    def test_what_the_official_code_cannot_do(self, tmp_path: Path) -> None:
        save_model(tmp_path / "m", tiny.model())
        result = call("export", "scenic", tmp_path / "m", "--out", tmp_path / "x")
        refused(result, "no counterpart of the parameter")
        assert not (tmp_path / "x").exists()


class TestKeras:
    @pytest.fixture
    def models(self, tmp_path: Path) -> Path:
        with zipfile.ZipFile(GOLDEN / "keras_models.zip") as archive:
            archive.extractall(tmp_path / "keras")
        return tmp_path / "keras"

    def test_model_folder_and_report(self, models: Path, tmp_path: Path) -> None:
        out, reference = tmp_path / "out", models / "frozen.npz"
        arguments = ("convert", "keras", models / "frozen_saved", "--out", out)
        result = call(*arguments, "--reference", reference)
        assert result.exit_code == 0, result.output
        model = load_model(out)
        assert model.info is not None
        assert model.info.preprocessing.image_size == (16, 16)
        assert "maps/0: relative error" in result.stdout
        assert "gelu is the exact one" in result.stdout

    def test_gelu(self, models: Path, tmp_path: Path) -> None:
        arguments = ("convert", "keras", models / "learned_tanh.keras", "--out", tmp_path / "out")
        arguments += ("--reference", models / "learned_tanh.npz")
        refused(call(*arguments), "outputs differs from")
        refused(call(*arguments, "--gelu", "erf"), "--gelu is 'erf'; choose one of exact, tanh")
        assert call(*arguments, "--gelu", "tanh").exit_code == 0


class TestTorch:
    @pytest.fixture
    def state(self, tmp_path: Path) -> Path:
        state = {
            f"conv_layers.{n}.weight": torch.randn(3, 5 if n == 0 else 3, 3, 3)
            for n in (0, 2, 4, 6)
        }
        state |= {"layer_norm.weight": torch.ones(5), "layer_norm.bias": torch.zeros(5)}
        torch.save(state, tmp_path / "port.pt")
        return tmp_path / "port.pt"

    def test_file_and_report(self, state: Path, tmp_path: Path) -> None:
        out = tmp_path / "out.safetensors"
        result = call("convert", "torch", state, "--port", "kashu7100", "--out", out)
        assert result.exit_code == 0, result.output
        assert load_learner(out).num_tokens == 3
        assert "one norm over all positions" in result.stdout
        again = call("convert", "torch", state, "--port", "kashu7100", "--out", out)
        refused(again, "already exists")

    def test_prefix_and_pooling(self, state: Path, tmp_path: Path) -> None:
        inner = {f"body.learner.{name}": value for name, value in torch.load(state).items()}
        torch.save(inner | {"head.weight": torch.zeros(2, 2)}, tmp_path / "model.pt")
        learners, x = {}, torch.randn(1, 9, 5)
        arguments = ("convert", "torch", tmp_path / "model.pt", "--port", "kashu7100")
        for pooling in ("sum", "mean"):
            out = tmp_path / f"{pooling}.safetensors"
            options = ("--prefix", "body.learner.", "--pooling", pooling)
            result = call(*arguments, "--out", out, *options)
            assert result.exit_code == 0, result.output
            assert "head.weight" in result.stdout
            learners[pooling] = load_learner(out)
        torch.testing.assert_close(learners["sum"](x), 9 * learners["mean"](x))

    @pytest.mark.parametrize(
        ("content", "reason"), [(b"", "EOFError"), (b".+", ""), (b"G\xa8!", "unpack requires")]
    )
    def test_broken_files(self, content: bytes, reason: str, tmp_path: Path) -> None:
        (tmp_path / "x.pt").write_bytes(content)
        result = call("convert", "torch", tmp_path / "x.pt", "--port", "kashu7100", "--out", "y")
        refused(result, f"not a complete torch.save file: {reason}")

    def test_another_port(self, state: Path, tmp_path: Path) -> None:
        result = call("convert", "torch", state, "--port", "lumo", "--out", tmp_path / "x")
        refused(result, "--port is 'lumo'; choose one of kashu7100")


def inexact(file: Path, reference: Path) -> Path:
    """A reference whose outputs are 1 % larger than those in another."""
    with np.load(reference) as arrays:
        content = {name: arrays[name] for name in arrays.files}
    name = "outputs" if "outputs" in content else "logits"
    np.savez(file, **content | {name: 1.01 * content[name]})
    return file


@pytest.mark.parametrize("kind", ["scenic", "keras"])
def test_name_and_tolerance(kind: str, tmp_path: Path) -> None:
    if kind == "scenic":
        words, reference = (NEW, "--config", NEW / "config.json"), NEW / "expected.npz"
    else:
        with zipfile.ZipFile(GOLDEN / "keras_models.zip") as archive:
            archive.extractall(tmp_path)
        words, reference = (tmp_path / "frozen.h5",), tmp_path / "frozen.npz"
    reference = inexact(tmp_path / "inexact.npz", reference)
    arguments = ("convert", kind, *words, "--out", tmp_path / "out", "--reference", reference)
    refused(call(*arguments, "--name", "mine"), "outputs differs from")
    result = call(*arguments, "--name", "mine", "--tolerance", 0.02)
    assert result.exit_code == 0, result.output
    info = load_model(tmp_path / "out").info
    assert info is not None
    assert info.name == "mine"


def test_a_plain_transformer_goes_both_ways(tmp_path: Path) -> None:
    """Without a configuration file from Scenic: `kind` and `args` will do."""
    config = VisionTransformerConfig(
        image_size=(16, 16),
        num_classes=3,
        dim=8,
        depth=2,
        num_heads=2,
        mlp_dim=12,
        patch_size=(4, 4),
    )
    model = VisionTransformer(config)
    model.info = tiny.model(learner=False).info
    assert model.head is not None
    torch.nn.init.normal_(model.head.weight)
    save_model(tmp_path / "m", model)
    assert call("export", "scenic", tmp_path / "m", "--out", tmp_path / "c").exit_code == 0
    tokenizer = {"type": "patch", "patches": {"size": (4, 4)}, "num_tokens": 8}
    tokenizer |= {"tokenlearner_loc": 0, "use_tokenfuse": False}
    args = {"num_classes": 3, "hidden_size": 8, "num_layers": 2, "num_heads": 2, "mlp_dim": 12}
    described = {"kind": "TokenLearnerViT", "args": {**args, "tokenizer": tokenizer}}
    (tmp_path / "c.txt").write_text(repr(described))
    back = ("convert", "scenic", tmp_path / "c", "--config", tmp_path / "c.txt")
    result = call(*back, "--out", tmp_path / "back")
    assert result.exit_code == 0, result.output
    images = torch.randn(2, 3, 16, 16)
    assert torch.equal(load_model(tmp_path / "back")(images), load_model(tmp_path / "m")(images))
