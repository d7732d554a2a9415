"""Folders of timm's models, and what timm knows about a model."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from PIL import Image as PillowImage
from safetensors.torch import save_file
from timm.data.config import resolve_model_data_config
from timm.data.transforms_factory import create_transform
from torch import nn

from tests.models.timm_models import KINDS, NUM_POSITIONS, images, with_learner
from tokenlearner.checkpoints import load_model, save_model
from tokenlearner.errors import CheckpointError, ConfigError
from tokenlearner.inference import Explanation, explain
from tokenlearner.models import (
    ModelInfo,
    Provenance,
    TimmVisionTransformer,
    VisionTransformer,
    describe_timm,
    insert_token_learner,
)
from tokenlearner.preprocess import Preprocessing, prepare


def described(model: TimmVisionTransformer, **changes: Any) -> TimmVisionTransformer:
    """With an info that says nothing special."""
    info = ModelInfo(
        name="mine",
        class_names=("a", "b", "c", "d", "e"),
        preprocessing=Preprocessing(image_size=(16, 24), mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)),
    )
    model.info = replace(info, **changes)
    return model


class TestFolders:
    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("fuser", [False, True])
    def test_round_trip(self, kind: str, fuser: bool, tmp_path: Path) -> None:
        model, x = described(with_learner(kind, fuser=fuser)), images()
        save_model(tmp_path, model)
        loaded = load_model(tmp_path)
        assert isinstance(loaded, TimmVisionTransformer)
        assert loaded.config == model.config
        assert loaded.info is not None
        assert replace(loaded.info, source="", sha256="") == model.info
        assert not any(module.training for module in loaded.modules())
        assert torch.equal(loaded(x), model(x))

    def test_without_learner(self, tmp_path: Path) -> None:
        model = described(TimmVisionTransformer(with_learner().backbone))
        save_model(tmp_path, model)
        assert torch.equal(load_model(tmp_path)(x := images()), model(x))

    def test_what_was_changed_by_timms_own_methods(self, tmp_path: Path) -> None:
        model = with_learner()
        model.reset_classifier(3, "avg")
        model.backbone.set_input_size((32, 16))
        save_model(tmp_path, described(model, class_names=("a", "b", "c")))
        assert torch.equal(load_model(tmp_path)(x := images(32, 16)), model(x))

    def test_a_model_that_was_changed_by_hand(self, tmp_path: Path) -> None:
        model = described(with_learner())
        model.backbone.blocks[0].mlp = nn.Linear(16, 16)
        with pytest.raises(
            CheckpointError, match="it was changed since, and could not be reloaded"
        ):
            save_model(tmp_path / "x", model)
        assert not (tmp_path / "x").exists()

    def test_a_model_made_without_create_model(self, tmp_path: Path) -> None:
        plain = timm.models.VisionTransformer(depth=2, embed_dim=32, num_heads=2, num_classes=5)
        with pytest.raises(
            CheckpointError, match=r"create it with timm\.create_model from timm 1\.0"
        ):
            save_model(tmp_path, described(insert_token_learner(plain, num_tokens=3)))

    def test_a_setting_that_no_file_can_hold(self, tmp_path: Path) -> None:
        plain = timm.create_model("test_vit", norm_layer=nn.LayerNorm, num_classes=5)
        with pytest.raises(CheckpointError, match="could not be reloaded: norm_layer=<class"):
            save_model(tmp_path, described(insert_token_learner(plain, num_tokens=3)))

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda a: a.update(timm="no_such_model"), "has no model 'no_such_model'"),
            (lambda a: a.update(timm="hf-hub:owner/name"), "has no model 'hf-hub:owner/name'"),
            (lambda a: a.update(timm="local-dir:x"), "has no model 'local-dir:x'"),
            (lambda a: a.update(timm=3), "has no model 3"),
            (
                lambda a: a.update(timm="swin_tiny_patch4_window7_224"),
                "timm cannot make swin|wanted",
            ),
            (lambda a: a["arguments"].update(pretrained=True), "pretrained=True is not a setting"),
            (
                lambda a: a["arguments"].update(checkpoint_path="x.pth"),
                "checkpoint_path='x.pth' is",
            ),
            (
                lambda a: a["arguments"].update(pretrained_cfg_overlay={"file": "x.pth"}),
                "pretrained_cfg_overlay=.* is not a setting",
            ),
            (lambda a: a["arguments"].update(cache_dir="x"), "cache_dir='x' is not a setting"),
            (lambda a: a["arguments"].update(embed_dim={"a": 1}), "embed_dim=.* is not a setting"),
            (
                lambda a: a["arguments"].update(depth=10**9),
                "asks for 1,000,000,000 blocks, over the",
            ),
            (lambda a: a["arguments"].update(num_heads=3), "timm cannot make vit_tiny_patch16_224"),
            (lambda a: a.update(arguments=3), "cannot be used"),
            (lambda a: a.update(extra=1), r"a timm model has no \['extra'\]"),
            (lambda a: a["token_learner"].update(at=4), "at is 4, but there are 4 blocks"),
            (lambda a: a["token_learner"].update(extra=1), "cannot be used: .*'extra'"),
        ],
    )
    @pytest.mark.usefixtures("_as_users_run_it")
    def test_a_configuration_cannot_do_anything_else(
        self, change: Callable[[Any], Any], message: str, tmp_path: Path
    ) -> None:
        save_model(tmp_path, described(with_learner()))
        file = tmp_path / "config.json"
        config = json.loads(file.read_text())
        change(config["architecture"])
        file.write_text(json.dumps(config))
        with pytest.raises(CheckpointError, match=message) as caught:
            load_model(tmp_path)
        assert f"{file} " in str(caught.value)

    def test_nothing_is_made_before_the_weights_fit(self, tmp_path: Path) -> None:
        save_model(tmp_path, described(with_learner()))
        file = tmp_path / "config.json"
        config = json.loads(file.read_text())
        config["architecture"]["arguments"]["img_size"] = [2**20, 2**20]  # a petabyte
        file.write_text(json.dumps(config))
        with pytest.raises(CheckpointError, match=r"backbone\.pos_embed is \(1, 7, 16\), but its"):
            load_model(tmp_path)

    def test_wrong_weights(self, tmp_path: Path) -> None:
        save_model(tmp_path, described(with_learner()))
        save_file({"backbone.pos_embed": torch.zeros(1)}, tmp_path / "model.safetensors")
        with pytest.raises(CheckpointError, match=r"lacks backbone\..* and \d+ more, which its"):
            load_model(tmp_path)

    def test_another_class_says_where_to_turn(self, tmp_path: Path) -> None:
        save_model(tmp_path, described(with_learner()))
        with pytest.raises(
            CheckpointError, match=r"holds a TimmVisionTransformer.*tokenlearner\.lo"
        ):
            VisionTransformer.from_pretrained(tmp_path)


class TestExplanation:
    def test_of_a_photo(self, tmp_path: Path) -> None:
        model = described(with_learner(), untrained_parts=("TokenLearner",))
        photo = np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8)
        explanation = explain(model, photo)
        assert explanation.maps.shape == (3, 2, 3)
        assert explanation.tokens_per_layer == (NUM_POSITIONS + 1,) * 2 + (4,) * 2
        assert explanation.macs > 0
        assert explanation.untrained_parts == ("TokenLearner",)
        inputs, _ = prepare(photo, model.info.preprocessing)  # pyright: ignore[reportOptionalMemberAccess]
        wanted = model(inputs).softmax(dim=1)[0].detach().numpy()
        np.testing.assert_allclose(explanation.probabilities, wanted, rtol=1e-5)
        explanation.save(tmp_path / "x.npz")
        assert Explanation.load(tmp_path / "x.npz").untrained_parts == ("TokenLearner",)


class TestDescribe:
    def test_pretrained(self) -> None:
        info = describe_timm(
            insert_token_learner(timm.create_model("test_vit"), num_tokens=4), pretrained=True
        )
        assert info.name == "test_vit-tl4"
        assert info.class_names[:2] == ("tench", "goldfish")
        assert info.untrained_parts == ("TokenLearner",)
        assert info.provenance is not None
        assert info.provenance.started_from == "timm/test_vit.r160_in1k"
        assert info.provenance.weights_licence == "apache-2.0"
        assert info.warning.startswith(
            "Not trained yet: TokenLearner. Until then neither answer no"
        )

    def test_one_s_own_weights(self) -> None:
        model = insert_token_learner(timm.create_model("test_vit", num_classes=3), num_tokens=4)
        provenance = Provenance(trained_on="my birds")
        info = describe_timm(model, provenance=provenance, class_names=["robin", "wren", "tit"])
        assert (info.provenance, info.untrained_parts) == (provenance, ("TokenLearner",))
        with pytest.raises(ConfigError, match="pretrained says that the weights are timm's, and"):
            describe_timm(model, pretrained=True, provenance=provenance)

    def test_how_to_describe_is_said_where_it_is_missing(self) -> None:
        model = insert_token_learner(timm.create_model("test_vit"), num_tokens=4).eval()
        with pytest.raises(ConfigError, match=r"model\.info = tokenlearner\.describe_timm\(model"):
            explain(model, np.zeros((9, 9, 3), np.uint8))

    def test_random(self) -> None:
        model = insert_token_learner(timm.create_model("test_vit"), num_tokens=4)
        info = describe_timm(model, pretrained=False, name="mine")
        assert (info.name, info.provenance, info.untrained_parts) == ("mine", None, ())
        assert info.warning.startswith("Its weights are random")

    def test_a_fresh_head(self) -> None:
        plain = timm.create_model("test_vit", num_classes=3)
        info = describe_timm(insert_token_learner(plain, num_tokens=4, fuser=True), pretrained=True)
        assert info.class_names == ("class 0", "class 1", "class 2")
        assert info.untrained_parts == ("TokenLearner", "TokenFuser", "head")
        given = describe_timm(
            insert_token_learner(plain, num_tokens=4), pretrained=True, class_names=["a", "b", "c"]
        )
        assert given.class_names == ("a", "b", "c")

    def test_labels_of_the_checkpoint(self) -> None:
        plain: Any = timm.create_model("test_vit", num_classes=2)
        plain.pretrained_cfg = plain.pretrained_cfg | {
            "num_classes": 2,
            "label_names": ["n1", "n2"],
            "label_descriptions": {"n1": "cat"},
        }
        info = describe_timm(TimmVisionTransformer(plain), pretrained=True)
        assert info.class_names == ("cat", "n2")
        assert info.untrained_parts == ()

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("vit_small_patch14_dinov2", r"has no head .*; give it one with num_classes=\.\.\."),
            (
                "vit_pe_core_tiny_patch16_384",
                "does not say what the 512 outputs of this model stan",
            ),
        ],
    )
    def test_no_answers(self, name: str, message: str) -> None:
        with torch.device("meta"):
            model = insert_token_learner(timm.create_model(name))
        with pytest.raises(ConfigError, match=message):
            describe_timm(model, pretrained=True)

    @pytest.mark.parametrize(
        "changes",
        [{"crop_mode": "border"}, {"crop_mode": "squash"}, {"interpolation": "lanczos"}],
    )
    def test_preprocessing_that_is_not_ours(self, changes: dict[str, Any]) -> None:
        plain: Any = timm.create_model("test_vit")
        plain.pretrained_cfg = plain.pretrained_cfg | {"crop_pct": 0.9} | changes
        with pytest.raises(ConfigError, match="timm prepares photos for test_vit with crop_mode "):
            describe_timm(TimmVisionTransformer(plain), pretrained=True)

    @pytest.mark.parametrize(("mode", "crop"), [("center", 0.8), ("squash", 1.0)])
    def test_preprocessing_is_timms(self, mode: str, crop: float) -> None:
        plain: Any = timm.create_model("test_vit")
        plain.pretrained_cfg = plain.pretrained_cfg | {"crop_mode": mode, "crop_pct": crop}
        info = describe_timm(TimmVisionTransformer(plain), pretrained=True)
        side = 400 if mode == "center" else 333
        noise = np.random.default_rng(0).integers(0, 255, (25, 25, 3), dtype=np.uint8)
        photo = PillowImage.fromarray(noise).resize((side, 400), PillowImage.Resampling.BICUBIC)
        data = resolve_model_data_config(plain)
        transform: Any = create_transform(**data, is_training=False)
        wanted = transform(photo)
        found, _ = prepare(np.asarray(photo), info.preprocessing)
        assert found.shape[1:] == wanted.shape
        assert (found[0] - wanted).abs().max() < 0.02  # a level of 255 is 0.017


def test_timm_loads_its_own_weights(tmp_path: Path) -> None:
    source = timm.create_model("test_vit")
    save_file(source.state_dict(), tmp_path / "weights.safetensors")
    overlay = {"file": str(tmp_path / "weights.safetensors")}
    plain = timm.create_model("test_vit", pretrained=True, pretrained_cfg_overlay=overlay)
    model = insert_token_learner(plain, num_tokens=4)
    for name, value in source.state_dict().items():
        assert torch.equal(model.state_dict()[f"backbone.{name}"], value)
    model.info = describe_timm(model, pretrained=True)
    save_model(tmp_path / "model", model)
    x = torch.randn(1, 3, 160, 160)
    assert torch.equal(load_model(tmp_path / "model")(x), model.eval()(x))
