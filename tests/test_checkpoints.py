"""Model folders: what is written is read back, and nothing else is accepted."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from tests import tiny
from tokenlearner.checkpoints import AnyModel, for_images, load_model, save_model
from tokenlearner.errors import CheckpointError, ConfigError
from tokenlearner.models import VideoVisionTransformer, VisionTransformer

WEIGHTS = "model.safetensors"
Weights = dict[str, torch.Tensor]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_model(tmp_path / "tiny", tiny.model())
    return tmp_path / "tiny"


def change_config(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    path = folder / "config.json"
    config = json.loads(path.read_text())
    change(config)
    path.write_text(json.dumps(config))


def change_weights(folder: Path, change: Callable[[Weights], Any]) -> None:
    weights = load_file(folder / WEIGHTS)
    change(weights)
    save_file(weights, folder / WEIGHTS)


class TestRoundTrip:
    def test_weights_configuration_and_info(self, tmp_path: Path) -> None:
        model = tiny.model()
        save_model(tmp_path, model)
        loaded = load_model(tmp_path)
        assert loaded.config == model.config
        assert model.info is not None
        assert loaded.info is not None
        assert replace(loaded.info, source="", sha256="") == model.info
        assert loaded.info.source == str(tmp_path)
        images = torch.randn(2, 3, 16, 16)
        assert torch.equal(loaded(images), model(images))

    def test_the_loaded_model_is_for_use(self, folder: Path) -> None:
        model = load_model(folder)
        assert not any(module.training for module in model.modules())
        assert all(parameter.requires_grad for parameter in model.parameters())  # to fine-tune
        assert {p.dtype for p in model.parameters()} == {torch.float32}
        assert {t.device.type for t in model.state_dict().values()} == {"cpu"}

    def test_half_precision_halves_the_file_and_is_widened(self, tmp_path: Path) -> None:
        model = tiny.model()
        save_model(tmp_path, model, dtype=torch.float16)
        stored = load_file(tmp_path / WEIGHTS)
        assert stored["head.weight"].dtype == torch.float16
        assert stored["embedding.1.num_batches_tracked"].dtype == torch.int64
        loaded = load_model(tmp_path).state_dict()
        for name, value in model.state_dict().items():
            wanted = value.half().float() if value.is_floating_point() else value
            assert loaded[name].dtype == value.dtype
            assert torch.equal(loaded[name], wanted)

    def test_checksum(self, folder: Path) -> None:
        info = load_model(folder).info
        assert info is not None
        assert len(info.sha256) == 64
        load_model(folder, sha256=info.sha256.upper())
        with pytest.raises(CheckpointError, match=f"has sha256 {info.sha256}, but 00 was expected"):
            load_model(folder, sha256="00")

    def test_a_model_whose_answers_lack_names_is_not_saved(self, tmp_path: Path) -> None:
        model = tiny.model()
        assert model.info is not None
        model.info = replace(model.info, class_names=("red",))
        with pytest.raises(ConfigError, match="gives 3 answers, but its info names 1 classes"):
            save_model(tmp_path / "new", model)
        assert not (tmp_path / "new").exists()

    def test_a_model_that_was_changed_is_not_saved(self, tmp_path: Path) -> None:
        model = tiny.model()
        model.head = nn.Linear(8, 5)
        with pytest.raises(
            CheckpointError, match="it was changed since, and could not be reloaded"
        ):
            save_model(tmp_path / "x", model)
        assert not (tmp_path / "x").exists()

    def test_a_model_without_info_is_not_saved(self, tmp_path: Path) -> None:
        model = tiny.model()
        model.info = None
        with pytest.raises(ConfigError, match=r"has no info .* set model\.info"):
            save_model(tmp_path / "x", model)
        assert not (tmp_path / "x").exists()

    @pytest.mark.parametrize(
        ("dtype", "value", "message"),
        [
            (torch.float32, torch.nan, "holds values that are not finite as torch.float32"),
            (torch.float16, 1e5, "holds values that are not finite as torch.float16"),
            (torch.int8, 1.0, "cannot be stored as torch.int8; take torch.float32"),
        ],
    )
    def test_weights_that_could_not_be_read_are_not_saved(
        self, dtype: torch.dtype, value: float, message: str, tmp_path: Path
    ) -> None:
        save_model(tmp_path, tiny.model())
        before = (tmp_path / "model.safetensors").read_bytes()
        model = tiny.model()
        next(model.parameters()).data.fill_(value)
        with pytest.raises(CheckpointError, match=message):
            save_model(tmp_path, model, dtype=dtype)
        assert (tmp_path / "model.safetensors").read_bytes() == before


class TestKinds:
    def test_a_model_for_clips_comes_back_as_one(self, tmp_path: Path) -> None:
        model = tiny.clip_model()
        save_model(tmp_path, model)
        assert json.loads((tmp_path / "config.json").read_text())["kind"] == type(model).__name__
        for loaded in (load_model(tmp_path), VideoVisionTransformer.from_pretrained(tmp_path)):
            assert isinstance(loaded, VideoVisionTransformer)
            assert loaded.config == model.config
            clips = torch.randn(2, 3, 4, 16, 16)
            assert torch.equal(loaded(clips), model(clips))
        message = (
            "holds a VideoVisionTransformer, no VisionTransformer; tokenlearner.load opens any"
        )
        with pytest.raises(CheckpointError, match=message):
            VisionTransformer.from_pretrained(tmp_path)

    def test_no_kind(self, folder: Path) -> None:
        change_config(folder, lambda config: config.pop("kind"))
        with pytest.raises(CheckpointError, match=r"config\.json lacks 'kind'"):
            load_model(folder)

    def test_an_unknown_kind(self, folder: Path) -> None:
        change_config(folder, lambda config: config.update(kind="SoundTransformer"))
        with pytest.raises(CheckpointError, match="of the kind 'SoundTransformer'; it must be one"):
            load_model(folder)

    def test_photos_need_a_model_for_images(self) -> None:
        assert isinstance(for_images(tiny.model()), VisionTransformer)
        with pytest.raises(ConfigError, match="tiny-clips takes clips, not photos; choose a model"):
            for_images(tiny.clip_model())

    @pytest.mark.parametrize(
        ("model", "part", "values", "message"),
        [
            (tiny.clip_model, "architecture", {"num_frames": 10**9}, "1,000,000,000 frames, over"),
            (tiny.conv_model, "architecture", {"depths": [10**8]}, "100,000,000 blocks, over the"),
            (tiny.conv_model, "architecture", {"depths": [1] * 99}, "99 stages, over the limit of"),
            (tiny.model, "preprocessing", {"image_size": [8, 10**6]}, "1,000,000 pixels a side, o"),
        ],
    )
    def test_endless_sizes(
        self,
        tmp_path: Path,
        model: Callable[[], AnyModel],
        part: str,
        values: dict[str, Any],
        message: str,
    ) -> None:
        save_model(tmp_path, model())
        change_config(tmp_path, lambda config: config[part].update(values))
        with pytest.raises(CheckpointError, match=f"config.json asks for {message}"):
            load_model(tmp_path)


class TestWrongWeights:
    """The message names the file and the key."""

    def check(self, folder: Path, message: str) -> None:
        with pytest.raises(CheckpointError, match=message) as caught:
            load_model(folder)
        assert WEIGHTS in str(caught.value)

    def test_missing_key(self, folder: Path) -> None:
        change_weights(folder, lambda weights: weights.pop("head.bias"))
        self.check(folder, r"lacks head\.bias, which its configuration asks for")

    def test_many_missing_keys_are_counted(self, folder: Path) -> None:
        def drop_all_but_one(weights: Weights) -> None:
            for name in sorted(weights)[1:]:
                del weights[name]

        change_weights(folder, drop_all_but_one)
        self.check(folder, r"lacks [^ ]+, [^ ]+, [^ ]+ and \d+ more, which")

    def test_unknown_key(self, folder: Path) -> None:
        change_weights(folder, lambda weights: weights.update(extra=torch.zeros(1)))
        self.check(folder, "holds extra, which its configuration lacks")

    def test_shape(self, folder: Path) -> None:
        change_weights(folder, lambda weights: weights.update({"head.bias": torch.zeros(4)}))
        self.check(folder, r"head\.bias is \(4,\), but its configuration asks for \(3,\)")

    @pytest.mark.parametrize("value", [float("nan"), float("inf")])
    def test_not_finite(self, folder: Path, value: float) -> None:
        change_weights(folder, lambda weights: weights["head.bias"].fill_(value))
        self.check(folder, r"head\.bias holds values that are not finite")

    def test_whole_numbers(self, folder: Path) -> None:
        whole = torch.zeros(3, dtype=torch.int64)
        change_weights(folder, lambda weights: weights.update({"head.bias": whole}))
        self.check(folder, r"head\.bias is torch\.int64, but its configuration asks for torch\.flo")

    @pytest.mark.parametrize("size", [0, 4, 100, -1])
    def test_cut_off(self, folder: Path, size: int) -> None:
        path = folder / WEIGHTS
        path.write_bytes(path.read_bytes()[:size])
        self.check(folder, "is not a readable safetensors file")

    def test_no_file(self, folder: Path) -> None:
        (folder / WEIGHTS).unlink()
        self.check(folder, r"cannot read .*: No such file or directory; a model folder holds")


class TestWrongConfiguration:
    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda c: c.update(format="other/1"), "does not say format 'tokenlearner/1'"),
            (lambda c: c.pop("format"), "does not say format"),
            (lambda c: c.pop("architecture"), r"config\.json lacks 'architecture'"),
            (lambda c: c.pop("class_names"), r"config\.json lacks 'class_names'"),
            (lambda c: c.pop("preprocessing"), r"config\.json lacks 'preprocessing'"),
            (lambda c: c["architecture"].update(extra=1), r"has no field \['extra'\]; it has"),
            (lambda c: c["architecture"].pop("dim"), "VisionTransformerConfig: .*'dim'"),
            (lambda c: c["architecture"].update(num_heads=3), "not a multiple of num_heads=3"),
            (lambda c: c["architecture"].update(token_learner={"at": 1}), "TokenLearnerConfig: "),
            (lambda c: c["architecture"]["token_learner"].update(at=2), "it must be 0 to 1"),
            (lambda c: c.update(architecture=[]), r"config\.json cannot be used"),
            (lambda c: c["preprocessing"].update(resize="stretch"), "resize is 'stretch'; wanted"),
            (lambda c: c.update(preprocessing=3), r"config\.json cannot be used"),
            (lambda c: c["provenance"].pop("trained_on"), "cannot be used: .*'trained_on'"),
            (lambda c: c["provenance"].update(seed="1"), r"seed is '1'; wanted int \| None"),
            (lambda c: c["provenance"].update(recipe=7), "recipe is 7; wanted str"),
            (lambda c: c.update(provenance=[]), r"provenance is \[\]; wanted dict"),
            (lambda c: c.update(name=7), "name is 7; wanted str"),
            (lambda c: c.update(multi_label="false"), "multi_label is 'false'; wanted bool"),
            (lambda c: c.update(untrained_parts="head"), "untrained_parts is 'head'; wanted list"),
            (lambda c: c.update(untrained_parts=[1]), "untrained_parts is 1; wanted str"),
            (
                lambda c: c["preprocessing"].update(mean=[float("nan")] * 3),
                r"mean is \(nan, nan, nan\) and std .* wanted one number each",
            ),
            (lambda c: c["preprocessing"].update(std=[None] * 3), r"std is \(None"),
            (lambda c: c["preprocessing"].update(mean="abc"), "mean is 'abc' and std"),
            (lambda c: c["class_names"].append("pink"), "names 4 classes, but the model has 3"),
            (lambda c: c.update(class_names="red"), r"class_names must be a list of texts"),
            (lambda c: c.update(class_names=[1, 2, 3]), r"class_names must be a list of texts"),
            (
                lambda c: c["architecture"].update(depth=10**9),
                "asks for 1,000,000,000 blocks, over",
            ),
            (lambda c: c["architecture"].update(depth=2.5), r"config\.json cannot be used"),
            (lambda c: c["architecture"].update(depth="2"), r"config\.json cannot be used"),
            (lambda c: c["architecture"].update(image_size=[10**15] * 2), r"cannot be used"),
            (lambda c: c["architecture"].update(mlp_dim=10**18), r"cannot be used|is \("),
        ],
    )
    @pytest.mark.usefixtures("_as_users_run_it")
    def test_is_named(self, folder: Path, change: Callable[..., Any], message: str) -> None:
        change_config(folder, change)
        with pytest.raises(CheckpointError, match=message) as caught:
            load_model(folder)
        assert "config.json" in str(caught.value)

    @pytest.mark.parametrize("content", ["", "{", "\xff", "[]", "3", "[" * 100_000])
    def test_no_json_object(self, folder: Path, content: str) -> None:
        (folder / "config.json").write_text(content, encoding="latin-1")
        with pytest.raises(
            CheckpointError, match=r"config\.json (is not JSON|does not say format)"
        ):
            load_model(folder)

    def test_a_long_configuration(self, folder: Path) -> None:
        (folder / "config.json").write_bytes(b" " * (16 * 2**20 + 1))
        with pytest.raises(
            CheckpointError, match=r"config\.json has 16,777,217 bytes, over the lim"
        ):
            load_model(folder)

    def test_no_folder(self, tmp_path: Path) -> None:
        with pytest.raises(CheckpointError, match=r"cannot read .*config\.json: No such file"):
            load_model(tmp_path / "none")

    def test_provenance_of_a_later_version_keeps_what_is_known(self, folder: Path) -> None:
        change_config(folder, lambda c: c["provenance"].update(carbon_kg=3))
        info = load_model(folder).info
        assert info is not None
        assert info.provenance is not None
        assert info.provenance.seed == 0
