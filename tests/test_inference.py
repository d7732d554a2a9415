"""`explain` and the object it returns."""

import json
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from PIL import Image as PillowImage

from tests import tiny
from tests.answers import assert_same
from tests.models import timm_models
from tokenlearner.attention.token_facts import describe_tokens
from tokenlearner.efficiency import count_macs
from tokenlearner.errors import (
    ConfigError,
    MeasurementError,
    MediaError,
    ShapeError,
    TokenLearnerError,
)
from tokenlearner.inference import Explanation, explain, explain_all
from tokenlearner.media import read_image
from tokenlearner.models import (
    TokenLearnerConfig,
    VisionTransformer,
    describe_timm,
    insert_token_learner,
)
from tokenlearner.preprocess import prepare


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    path.write_bytes(tiny.photo(1, 3, size=(30, 44)))
    return path


class TestExplain:
    def test_is_the_model_s_answer_to_the_prepared_photo(self, photo: Path) -> None:
        model = tiny.model()
        explanation = explain(model, photo)
        assert model.info is not None
        pixels = read_image(photo).pixels
        images, geometry = prepare(pixels, model.info.preprocessing)
        trace = model.trace(images)
        np.testing.assert_allclose(
            explanation.probabilities, trace.logits[0].softmax(0).detach(), rtol=1e-6
        )
        assert explanation.geometry == geometry
        assert np.array_equal(explanation.image, pixels)
        learner, wanted = explanation.learners[0], trace.learners[0]
        np.testing.assert_allclose(learner.maps, wanted.maps[0].detach(), rtol=1e-6)
        np.testing.assert_allclose(learner.tokens, wanted.tokens_after[0].detach(), rtol=1e-6)
        assert (learner.block, learner.version) == (1, "1.1")
        assert explanation.maps is learner.maps
        np.testing.assert_allclose(explanation.maps.sum(axis=(1, 2)), [1, 1], rtol=1e-5)

    def test_takes_a_photo_in_any_form(self, photo: Path) -> None:
        model = tiny.model()
        wanted = explain(model, photo)
        data = photo.read_bytes()
        with PillowImage.open(photo) as picture:
            forms = [str(photo), data, picture, read_image(photo), read_image(photo).pixels]
            for form in forms:
                assert_same(explain(model, form), wanted)

    def test_token_facts_are_those_of_the_maps(self, photo: Path) -> None:
        explanation = explain(tiny.model(), photo)
        learner = explanation.learners[0]
        assert explanation.token_facts() == describe_tokens(
            learner.maps, learner.tokens, geometry=explanation.geometry
        )
        with pytest.raises(ConfigError, match="learner 1 was asked for, but tiny has 1; choose 0"):
            explanation.token_facts(1)

    def test_in_the_number_format_of_the_weights(self, photo: Path) -> None:
        model = tiny.model()
        whole = explain(model, photo)
        half = explain(model.bfloat16(), photo)
        assert half.maps.dtype == half.probabilities.dtype == np.float32
        np.testing.assert_allclose(half.maps, whole.maps, atol=0.02)
        np.testing.assert_allclose(half.probabilities, whole.probabilities, atol=0.05)

    @pytest.mark.parametrize("part", ["head", "learners"])
    def test_answers_that_are_no_numbers(self, photo: Path, part: str) -> None:
        model = tiny.model()
        for name, weight in model.named_parameters():
            if part in name and name.endswith("weight"):
                weight.data.mul_(float("inf"))
        with pytest.raises(MeasurementError, match=r"an answer or maps that are not finite: its w"):
            explain(model, photo)

    def test_padding_that_maps_would_miss(self, photo: Path) -> None:
        plain = timm_models.backbone("dynamic size", dynamic_img_pad=True)
        model = insert_token_learner(plain).eval()
        info = describe_timm(model)
        preprocessing = replace(info.preprocessing, image_size=(20, 24), crop_ratio=1.0)
        model.info = replace(info, preprocessing=preprocessing)
        with pytest.raises(ConfigError, match=r"pads images of 20x24 px to patches of 8x8, and ma"):
            explain(model, photo)

    def test_several_answers_may_be_right_at_once(self, photo: Path) -> None:
        model = tiny.model()
        assert model.info is not None
        model.info = replace(model.info, multi_label=True)
        images, _ = prepare(read_image(photo).pixels, model.info.preprocessing)
        np.testing.assert_allclose(
            explain(model, photo).probabilities, model(images)[0].sigmoid().detach(), rtol=1e-6
        )

    def test_path_bytes_object_and_pixels_are_the_same(self, photo: Path) -> None:
        model = tiny.model()
        wanted = explain(model, photo)
        for image in (str(photo), read_image(photo), read_image(photo).pixels):
            assert_same(explain(model, image), wanted)

    def test_facts(self, photo: Path) -> None:
        model = tiny.model()
        explanation = explain(model, photo)
        assert explanation.model_name == "tiny"
        assert explanation.tokens_per_layer == model.config.tokens_per_block == (16, 2)
        assert explanation.macs == count_macs(model.config).macs
        assert explanation.num_parameters == sum(p.numel() for p in model.parameters())
        assert explanation.trained
        assert not explain(tiny.model(trained=False), photo).trained

    def test_predictions_are_sorted(self, photo: Path) -> None:
        explanation = replace(
            explain(tiny.model(), photo), probabilities=np.array([0.2, 0.5, 0.3], np.float32)
        )
        assert [name for name, _ in explanation.predictions] == ["green", "blue", "red"]
        assert [p for _, p in explanation.predictions] == pytest.approx([0.5, 0.3, 0.2])

    def test_a_learner_per_block_with_a_fuser(self, photo: Path) -> None:
        learner = TokenLearnerConfig(num_tokens=2, at=0, version="1.0", fuser=True)
        model = VisionTransformer(replace(tiny.config(), token_learner=learner)).eval()
        model.info = tiny.model().info
        explanation = explain(model, photo)
        assert [(m.block, m.version) for m in explanation.learners] == [(0, "1.0"), (1, "1.0")]

    def test_a_baseline_has_no_maps(self, photo: Path) -> None:
        explanation = explain(tiny.model(learner=False), photo)
        assert explanation.learners == ()
        with pytest.raises(ConfigError, match="tiny has no TokenLearner, so there are no maps"):
            _ = explanation.maps

    def test_without_info(self, photo: Path) -> None:
        model = tiny.model()
        model.info = None
        with pytest.raises(ConfigError, match=r"has no info .* set model\.info to a"):
            explain(model, photo)

    def test_answers_without_names(self, photo: Path) -> None:
        model = tiny.model()
        assert model.info is not None
        model.info = replace(model.info, class_names=())
        with pytest.raises(ConfigError, match="tiny gives 3 answers, but its info names 0 classes"):
            explain(model, photo)

    def test_unusable_photos(self, tmp_path: Path) -> None:
        with pytest.raises(MediaError, match="cannot be read"):
            explain(tiny.model(), tmp_path / "none.jpg")
        with pytest.raises(ShapeError, match="wanted uint8 RGB"):
            explain(tiny.model(), np.zeros((4, 4), np.uint8))

    def test_those_before_an_unusable_one_are_explained(self, photo: Path) -> None:
        found = explain_all(tiny.model(), [photo, photo, np.zeros((4, 4), np.uint8)])
        assert len([next(found), next(found)]) == 2
        with pytest.raises(ShapeError, match="wanted uint8 RGB"):
            next(found)

    @pytest.mark.usefixtures("_as_users_run_it")
    def test_no_photo_at_all(self) -> None:
        with pytest.raises(ShapeError, match="Got a dict; wanted a photo: a file's path or bytes"):
            explain(tiny.model(), cast("Any", {"image": b""}))

    def test_dropout_is_off_and_the_weights_stay_trainable(self, photo: Path) -> None:
        model = tiny.model()
        with pytest.raises(ConfigError, match=r"in training mode.*; call model\.eval\(\)"):
            explain(model.train(), photo)
        assert model.training
        assert_same(explain(model.eval(), photo), explain(model, photo))
        model(torch.zeros(1, 3, 16, 16)).sum().backward()
        model.requires_grad_(False)
        next(model.parameters()).add_(1)  # inference tensors would refuse

    def test_threads_do_not_mix_their_results(self, photo: Path) -> None:
        model = tiny.model()
        images = [read_image(tiny.photo(k % 3, k, size=(20, 20))).pixels for k in range(8)]
        wanted = [explain(model, image) for image in images]
        found: dict[int, Explanation] = {}

        def work(first: int) -> None:
            for _ in range(5):
                for k in range(first, 8, 4):
                    found[k] = explain(model, images[k])

        threads = [threading.Thread(target=work, args=(first,)) for first in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for k, explanation in found.items():
            assert_same(explanation, wanted[k])


class TestFile:
    @pytest.fixture
    def explanation(self, photo: Path) -> Explanation:
        return explain(tiny.model(), photo)

    @pytest.mark.parametrize("learner", [True, False])
    def test_round_trip(self, photo: Path, tmp_path: Path, learner: bool) -> None:
        explanation = explain(tiny.model(learner=learner), photo)
        explanation.save(tmp_path / "e.npz")
        loaded = Explanation.load(tmp_path / "e.npz")
        assert_same(loaded, explanation)
        assert loaded.predictions == explanation.predictions

    def test_the_name_is_taken_as_it_is(self, explanation: Explanation, tmp_path: Path) -> None:
        explanation.save(tmp_path / "no-ending")
        assert_same(Explanation.load(str(tmp_path / "no-ending")), explanation)

    @pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04 no archive", None])
    def test_broken(self, explanation: Explanation, tmp_path: Path, content: bytes | None) -> None:
        path = tmp_path / "e.npz"
        path.write_bytes(explanation.to_npz()[:-200] if content is None else content)
        with pytest.raises(
            TokenLearnerError, match=r"e\.npz is not an explanation that this version"
        ):
            Explanation.load(path)

    def test_any_damaged_byte_is_noticed_or_harmless(
        self, explanation: Explanation, tmp_path: Path
    ) -> None:
        data = explanation.to_npz()
        random = np.random.default_rng(0)
        for position in random.integers(0, len(data), 300):
            damaged = bytearray(data)
            damaged[position] ^= 0xFF
            (tmp_path / "e.npz").write_bytes(damaged)
            try:
                loaded = Explanation.load(tmp_path / "e.npz")
            except TokenLearnerError:
                continue
            assert_same(loaded, explanation)

    def test_missing(self, tmp_path: Path) -> None:
        with pytest.raises(TokenLearnerError, match=r"cannot read .*none\.npz: No such file"):
            Explanation.load(tmp_path / "none.npz")

    def test_other_arrays(self, tmp_path: Path) -> None:
        np.savez(tmp_path / "other.npz", image=np.zeros(3))
        with pytest.raises(TokenLearnerError, match="is not an explanation"):
            Explanation.load(tmp_path / "other.npz")
        np.save(tmp_path / "one.npy", np.zeros(3))
        with pytest.raises(TokenLearnerError, match="is not an explanation"):
            Explanation.load(tmp_path / "one.npy")

    def test_another_format(self, explanation: Explanation, tmp_path: Path) -> None:
        about = json.dumps({"format": "tokenlearner-explanation/9"})
        np.savez(tmp_path / "e.npz", about=np.array(about))
        with pytest.raises(TokenLearnerError, match=r"its format is 'tokenlearner-explanation/9'"):
            Explanation.load(tmp_path / "e.npz")

    def test_pickled_arrays_are_not_opened(self, tmp_path: Path) -> None:
        np.savez(tmp_path / "e.npz", about=np.array([{"a": 1}], dtype=object))
        with pytest.raises(TokenLearnerError, match="allow_pickle=False"):
            Explanation.load(tmp_path / "e.npz")


class TestOtherSizes:
    """Where preprocessing, configuration and patches do not agree about the size."""

    def test_cost_is_that_of_the_input(self, photo: Path) -> None:
        model = tiny.model()
        assert model.info is not None
        preprocessing = replace(model.info.preprocessing, image_size=(32, 48))
        model.info = replace(model.info, preprocessing=preprocessing)
        explanation = explain(model, photo)
        rows, columns = (32 // model.config.patch_size[0], 48 // model.config.patch_size[1])
        assert explanation.maps.shape[1:] == (rows, columns)
        assert explanation.tokens_per_layer[0] == rows * columns

    def test_cells_lie_on_their_patches_where_a_remainder_is_dropped(self, photo: Path) -> None:
        model = tiny.model()
        assert model.info is not None
        patch = model.config.patch_size
        side = 3 * patch[0] + patch[0] - 1  # the last patch is not whole
        preprocessing = replace(model.info.preprocessing, image_size=(side, side))
        model.info = replace(model.info, preprocessing=preprocessing)
        pixels = np.zeros((side, side, 3), np.uint8)
        geometry = explain(model, pixels).geometry
        assert geometry.cell_box(2, 2, (3, 3)) == pytest.approx(
            (2 * patch[1], 2 * patch[0], 3 * patch[1], 3 * patch[0])
        )
