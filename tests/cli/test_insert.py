"""`tokenlearner insert`: timm's model with a learner, as a folder that everything else opens."""

from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import load_file, save_file

from tests import hub_cache, tiny
from tests.shell import call
from tokenlearner.checkpoints import load_model
from tokenlearner.models import TokenLearnerConfig
from tokenlearner.training.fine_tune import teacher_of


@pytest.fixture
def timms_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, torch.Tensor]:
    """Timm's repository of a small model, in the cache."""
    hub_cache.use(monkeypatch, tmp_path / "cache")
    weights = timm.create_model("test_vit").state_dict()
    repository = hub_cache.add(tmp_path / "cache", "timm/test_vit.r160_in1k")
    save_file(weights, repository / "model.safetensors")
    return weights


def test_writes_a_folder_that_explain_opens(tmp_path: Path) -> None:
    out = tmp_path / "model"
    result = call("insert", "test_vit", "--num-tokens", 4, "--at", 3, "--out", out, color=True)
    assert result.exit_code == 0, result.output
    assert f"wrote {out}: 101 → 5 tokens, " in result.output
    assert "\x1b[31mIts weights are random" in result.output  # red
    model: Any = load_model(out)
    assert model.token_learner == TokenLearnerConfig(num_tokens=4, at=3)
    assert "# test_vit-tl4" in (out / "README.md").read_text()

    photo = tmp_path / "photo.png"
    photo.write_bytes(tiny.photo(1, 3, size=(30, 44)))
    again = call("explain", photo, "--model", out, "--out", tmp_path / "out", color=True)
    assert again.exit_code == 0, again.output
    assert "\x1b[31m  Its weights are random" in again.output
    assert (tmp_path / "out/photo-overlay.png").exists()


def test_withtimms_weights(timms_weights: dict[str, torch.Tensor], tmp_path: Path) -> None:
    out = tmp_path / "model"
    result = call("insert", "test_vit", "--pretrained", "--version", "1.0", "--fuser", "--out", out)
    assert result.exit_code == 0, result.output
    assert "Not trained yet: TokenLearner and TokenFuser." in result.output
    found = load_model(out).state_dict()
    for name, value in timms_weights.items():
        assert torch.equal(found[f"backbone.{name}"], value)


def test_a_fresh_head(timms_weights: dict[str, torch.Tensor], tmp_path: Path) -> None:
    out = tmp_path / "model"
    result = call("insert", "test_vit", "--pretrained", "--num-classes", 3, "--out", out)
    assert result.exit_code == 0, result.output
    assert "Not trained yet: TokenLearner and head." in result.output
    info = load_model(out).info
    assert info is not None
    assert info.class_names == ("class 0", "class 1", "class 2")


def test_for_another_size(timms_weights: dict[str, torch.Tensor], tmp_path: Path) -> None:
    """Timm resamples its position embedding; all else stays as its weights are."""
    out = tmp_path / "model"
    result = call("insert", "test_vit", "--pretrained", "--image-size", 96, "--out", out)
    assert result.exit_code == 0, result.output
    model: Any = load_model(out)
    assert model.config.image_size == model.info.preprocessing.image_size == (96, 96)
    assert model.config.grid == (6, 6)
    backbone = model.backbone.state_dict()
    assert timms_weights["pos_embed"].shape != backbone.pop("pos_embed").shape
    for name, value in backbone.items():
        assert torch.equal(value, timms_weights[name]), name


class TestOwnWeights:
    @pytest.fixture
    def weights(self, tmp_path: Path) -> Path:
        save_file(
            timm.create_model("test_vit", num_classes=3).state_dict(), tmp_path / "w.safetensors"
        )
        return tmp_path / "w.safetensors"

    @pytest.mark.parametrize("kind", ["safetensors", "pth"])
    def test_only_the_learner_is_untrained(self, weights: Path, kind: str, tmp_path: Path) -> None:
        wanted = load_file(weights)
        if kind == "pth":  # as training scripts write them
            weights = tmp_path / "w.pth"
            torch.save({"state_dict": {f"module.{k}": v for k, v in wanted.items()}}, weights)
        (tmp_path / "names.txt").write_text("robin\nwren\nblue tit\n")
        out = tmp_path / "model"
        options = ["--weights", weights, "--trained-on", "my birds"]
        names = ["--class-names", tmp_path / "names.txt"]
        result = call("insert", "test_vit", *options, *names, "--out", out)
        assert result.exit_code == 0, result.output
        assert "Not trained yet: TokenLearner." in result.output
        model: Any = load_model(out)
        assert model.info.class_names == ("robin", "wren", "blue tit")
        assert model.info.provenance.trained_on == "my birds"
        for name, value in wanted.items():
            assert torch.equal(model.backbone.state_dict()[name], value), name
        # So the model as it was can teach the one with the learner.
        assert teacher_of(model, model.info.class_names, multi_label=False) is not None

    @pytest.mark.usefixtures("_as_users_run_it")
    def test_what_does_not_fit(self, weights: Path, tmp_path: Path) -> None:
        given = ["--weights", weights, "--trained-on", "my birds"]
        pickled = tmp_path / "evil.pth"
        torch.save(Path("/"), pickled)
        names = tiny.write_files(tmp_path, {"names.bin": b"\xff\xfe\x00"}) / "names.bin"
        empty = tiny.write_files(tmp_path, {"empty.txt": b" \n\n"}) / "empty.txt"
        for arguments, message in (
            (given, "w.safetensors does not fit VisionTransformer: "),
            ([*given, "--pretrained"], "--pretrained loads timm's weights and --weights your own"),
            (given[:2], "--weights and --trained-on go together; give both or neither"),
            (given[2:], "--weights and --trained-on go together; give both or neither"),
            (["--weights", tmp_path / "none.pth", *given[2:]], "there is no file"),
            (["--weights", pickled, *given[2:]], "evil.pth does not fit VisionTransformer: "),
            (["--class-names", names], "names.bin: "),
            (["--class-names", empty], "empty.txt has no names in it; give a text file with"),
            ([*given, "--num-classes", "3", "--class-names", tmp_path / "none"], "cannot read"),
        ):
            result = call("insert", "test_vit", *arguments, "--out", tmp_path / "model")
            assert result.exit_code == 1
            assert result.stderr.count("\n") == 1, result.stderr
            assert message in result.stderr
            assert not (tmp_path / "model").exists()


class TestErrors:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["vit_base_patch16"], "has no model 'vit_base_patch16'; it has vit_base_patch16_18x2"),
            (["nonsense"], "has no model 'nonsense'; it has vit_"),
            (["../test_vit"], "has no model '../test_vit'"),
            (["resnet18"], "got a ResNet; wanted timm's VisionTransformer or Eva"),
            (["test_vit", "--at", "9"], "at is 9, but there are"),
            (["test_vit", "--num-tokens", "0"], "num_tokens is 0"),
            (["test_vit", "--version", "2"], "version is '2'"),
            (["test_vit", "--image-size", "5"], "5x5 px hold no patch of 16x16"),
            (["resnet18", "--image-size", "64"], "timm's resnet18 takes no --image-size"),
            (["vit_small_patch14_dinov2"], "has no head (num_classes is 0)"),
        ],
    )
    @pytest.mark.usefixtures("_as_users_run_it")
    def test_one_line(self, arguments: list[str], message: str, tmp_path: Path) -> None:
        result = call("insert", *arguments, "--out", tmp_path / "model")
        assert result.exit_code == 1
        assert result.stderr.count("\n") == 1
        assert message in result.stderr
        assert not (tmp_path / "model").exists()

    def test_weights_that_are_out_of_reach(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        hub_cache.use(monkeypatch, tmp_path / "cache")
        result = call("insert", "test_vit", "--pretrained", "--out", tmp_path / "model")
        assert result.exit_code == 1
        assert "tokenlearner: timm cannot make test_vit: " in result.stderr
        assert not (tmp_path / "model").exists()

    def test_a_file_is_no_model_folder(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("kept")
        result = call("insert", "nonsense", "--out", tmp_path / "file")
        assert result.exit_code == 1
        assert "file, but it is a file; wanted a folder" in result.stderr

    def test_a_model_is_not_overwritten(self, tmp_path: Path) -> None:
        assert call("insert", "test_vit", "--out", tmp_path).exit_code == 0
        result = call("insert", "test_vit", "--out", tmp_path)
        assert result.exit_code == 1
        assert f"{tmp_path} already holds a model; name another folder" in result.stderr
