"""Few-shot transfer: the regression by hand, the draws, and the way from photos to a number."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from tests import tiny
from tokenlearner.errors import ConfigError, DataError
from tokenlearner.models.timm_vit import insert_token_learner
from tokenlearner.preprocess import prepare
from tokenlearner.training.data import LabelledImages, read_images
from tokenlearner.training.few_shot import (
    STRENGTH,
    STRENGTHS,
    draw,
    few_shot,
    iter_features,
    report,
    score,
)
from tokenlearner.training.metrics import evaluate
from tokenlearner.training.ridge import ridge_accuracies

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.write_dataset(tmp_path_factory.mktemp("data") / "tiny", train=30, test=12)


@pytest.fixture(scope="module")
def train(folder: Path) -> LabelledImages:
    return read_images(folder, "train")


@pytest.fixture(scope="module")
def test(folder: Path) -> LabelledImages:
    return read_images(folder, "test")


class TestRidge:
    def test_by_hand(self) -> None:
        """Features -1, -1, 2: mean 0, deviation √2; standardised, their squares add up to 3.

        Of the first class, with targets 1, 1, -1, the slope is -2√2 / (3 + s) and the bias's share
        100² / (3 · 100² + s), so it wins left of x = (3 + s) / (6 + s / 5000) on the feature's own
        scale: 0.5 without regularisation, 1.0 with s = 3, beyond 2500 with s = 30,000, where
        the bias is still half of what it was: the answer is the commoner class.
        """
        train = torch.tensor([[-1.0], [-1.0], [2.0]])
        targets = torch.tensor([[1.0, -1], [1, -1], [-1, 1]])
        test = torch.tensor([[0.4], [0.75], [1.2], [2000.0]])
        found = ridge_accuracies(train, targets, test, torch.zeros(4).long(), [1e-6, 3, 30_000])
        assert found == [0.25, 0.5, 1.0]
        found = ridge_accuracies(train, targets, test, torch.ones(4).long(), [1e-6, 3, 30_000])
        assert found == [0.75, 0.5, 0.0]

    @pytest.mark.parametrize("num_train", [12, 90])
    def test_is_the_solution_of_the_normal_equations(self, num_train: int) -> None:
        """With fewer photos than features, and with more."""
        generator = torch.Generator().manual_seed(num_train)
        train, test = (
            torch.randn(count, 30, generator=generator, dtype=torch.float64)
            for count in (num_train, 400)
        )
        labels = torch.arange(num_train) % 3
        train[:, 0] += labels
        answers = torch.randint(3, (400,), generator=generator)
        targets = 2.0 * F.one_hot(labels, 3) - 1
        strengths = [0.01, 1.0, 100.0, 1e4]
        deviation = train.std(dim=0, correction=0) + 1e-5
        x, seen = (
            torch.cat([(part - train.mean(dim=0)) / deviation, torch.full((len(part), 1), 100)], 1)
            for part in (train, test)
        )
        wanted = []
        for strength in strengths:
            weights = torch.linalg.solve(x.T @ x + strength * torch.eye(31), x.T @ targets.double())
            wanted.append(float(((seen @ weights).argmax(dim=1) == answers).double().mean()))
        assert ridge_accuracies(train, targets, test, answers, strengths) == wanted
        assert len(set(wanted)) > 1

    def test_scale_and_position_of_the_features_do_not_matter(self) -> None:
        generator = torch.Generator().manual_seed(0)
        train, test = (torch.randn(count, 7, generator=generator).double() for count in (15, 200))
        targets = 2.0 * F.one_hot(torch.arange(15) % 3, 3) - 1
        labels = torch.randint(3, (200,), generator=generator)
        wanted = ridge_accuracies(train, targets, test, labels, STRENGTHS)
        found = ridge_accuracies(1e4 * train + 7, targets, 1e4 * test + 7, labels, STRENGTHS)
        assert found == pytest.approx(wanted, abs=0.005)

    def test_a_feature_that_is_always_the_same_says_nothing(self) -> None:
        train = torch.tensor([[-1.0, 5], [1, 5]])
        targets = torch.tensor([[1.0, -1], [-1, 1]])
        test = torch.tensor([[-1.0, 900], [1, -900]])
        assert ridge_accuracies(train, targets, test, torch.tensor([0, 1]), [1.0]) == [1.0]

    def test_strengths_are_above_0(self) -> None:
        with pytest.raises(ConfigError, match="got a strength of 0; wanted numbers above 0"):
            ridge_accuracies(
                torch.ones(2, 1), torch.ones(2, 2), torch.ones(1, 1), torch.tensor([0]), [1, 0]
            )


class TestDraw:
    def test_as_many_of_each_class_and_the_same_again(
        self, train: LabelledImages, test: LabelledImages
    ) -> None:
        draws = draw(train, test, shots=4, seeds=(0, 1, 2))
        for rows in draws.rows:
            assert len(set(rows)) == 12
            assert np.bincount(draws.photos.labels[rows]).tolist() == [4, 4, 4]
        assert set(draws.rows.flatten()) == set(range(len(draws.photos)))
        pairs = dict(zip(train.encoded, train.labels, strict=True))
        assert [pairs[photo] for photo in draws.photos.encoded] == draws.photos.labels.tolist()
        first, second, third = map(set, draws.rows.tolist())
        assert first != second != third
        again = draw(train, test, shots=4, seeds=(0, 1, 2))
        assert np.array_equal(again.rows, draws.rows)
        assert again.photos.sha256 == draws.photos.sha256

    def test_more_shots_contain_fewer(self, train: LabelledImages, test: LabelledImages) -> None:
        one, five = (set(draw(train, test, shots=n, seeds=[7]).photos.encoded) for n in (1, 5))
        assert one < five

    def test_unusable_photos_are_passed_over_and_named(
        self, train: LabelledImages, test: LabelledImages
    ) -> None:
        encoded = [b"broken" if row < 12 else photo for row, photo in enumerate(train.encoded)]
        draws = draw(replace(train, encoded=tuple(encoded)), test, shots=6, seeds=[0])
        assert b"broken" not in list(draws.photos.encoded)
        assert len(draws.photos) == 18
        assert 0 < len(draws.unusable) <= 12
        assert all(re.search(r"row \d is no|row 1[01] is no", why) for why in draws.unusable)

    def test_too_few_photos(self, train: LabelledImages, test: LabelledImages) -> None:
        few = train.take([*range(0, 30, 3), *range(1, 10, 3), *range(2, 30, 3)])
        with pytest.raises(
            DataError, match=r"of the class 'green' in .*tiny: 3; wanted at least 5 of each class"
        ):
            draw(few, test, shots=5, seeds=[0])

    def test_a_single_class(self, train: LabelledImages, test: LabelledImages) -> None:
        red = [
            replace(data.take(np.flatnonzero(data.labels == 0)), class_names=("red",))
            for data in (train, test)
        ]
        with pytest.raises(DataError, match="has one class, red, which any classifier always ans"):
            draw(*red, shots=1, seeds=[0])

    def test_other_classes(self, train: LabelledImages, test: LabelledImages) -> None:
        other = replace(test, class_names=("red", "green", "pink"))
        with pytest.raises(DataError, match="classes red, green, blue, but the test photos red, "):
            draw(train, other, shots=1, seeds=[0])

    def test_unnamed_classes_that_the_test_photos_lack(
        self, train: LabelledImages, test: LabelledImages
    ) -> None:
        """Such classes are counted up to the highest that a split holds."""
        train = replace(train, class_names=("0", "1", "2"))
        test = replace(test.take(np.flatnonzero(test.labels < 2)), class_names=("0", "1"))
        draws = draw(train, test, shots=2, seeds=[0])
        assert sorted(draws.photos.labels) == [0, 0, 1, 1, 2, 2]
        result = score(draws, torch.randn(6, 5), test, torch.randn(len(test), 5))
        assert result.num_classes == 3

    def test_classes_that_the_test_photos_lack(
        self, train: LabelledImages, test: LabelledImages
    ) -> None:
        test = test.take(np.flatnonzero(test.labels != 1))
        # As a folder numbers its classes that has none of the second.
        folder = replace(test, class_names=("red", "blue"), labels=np.minimum(test.labels, 1))
        features, test_features = torch.randn(6, 5), torch.randn(len(test), 5)
        wanted = score(draw(train, test, shots=2, seeds=[0]), features, test, test_features)
        draws = draw(train, folder, shots=2, seeds=[0])
        assert score(draws, features, folder, test_features) == wanted

    def test_unnamed_classes_that_the_training_photos_lack(
        self, train: LabelledImages, test: LabelledImages
    ) -> None:
        train = replace(train.take(np.flatnonzero(train.labels < 2)), class_names=("0", "1"))
        test = replace(test, class_names=("0", "1", "2"))
        with pytest.raises(DataError, match=r"of the class '2' in .*tiny: 0; wanted at least 1 "):
            draw(train, test, shots=1, seeds=[0])

    def test_several_labels(self, train: LabelledImages, test: LabelledImages) -> None:
        several = replace(test, labels=np.ones((12, 3), bool))
        with pytest.raises(DataError, match="has several labels per photo; few-shot wants one"):
            draw(train, several, shots=1, seeds=[0])

    @pytest.mark.parametrize(("shots", "seeds"), [(0, [0]), (5, [])])
    def test_out_of_range(
        self, train: LabelledImages, test: LabelledImages, shots: int, seeds: list[int]
    ) -> None:
        with pytest.raises(ConfigError, match="wanted at least 1 of each"):
            draw(train, test, shots=shots, seeds=seeds)


class TestFewShot:
    def test_features_are_what_the_head_sees(self, test: LabelledImages) -> None:
        model = tiny.model()
        assert model.info is not None
        assert model.head is not None
        features = torch.cat(list(iter_features(model, test, device=CPU, batch_size=5)))
        images = torch.cat(
            [prepare(image.pixels, model.info.preprocessing)[0] for image in test.images()]
        )
        torch.testing.assert_close(model.head(features), model(images))

    def test_features_of_a_model_of_timm(self, test: LabelledImages) -> None:
        from timm.models.vision_transformer import VisionTransformer

        backbone = VisionTransformer(
            img_size=16, patch_size=4, embed_dim=8, depth=2, num_heads=2, num_classes=3
        )
        model = insert_token_learner(backbone, num_tokens=2)
        model.info = tiny.model().info
        assert model.info is not None
        features = torch.cat(list(iter_features(model, test, device=CPU, batch_size=5)))
        images = torch.cat(
            [prepare(image.pixels, model.info.preprocessing)[0] for image in test.images()]
        )
        torch.testing.assert_close(backbone.head(features), model(images))
        assert evaluate(model, test, device=CPU).num_images == 12

    def test_is_the_regression_on_the_drawn_photos(
        self, train: LabelledImages, test: LabelledImages
    ) -> None:
        model = tiny.model().train()  # it is put into eval mode
        result = few_shot(model, train, test, shots=3, seeds=(4, 5), strengths=[1.0], device=CPU)
        every, seen = (
            torch.cat(list(iter_features(model, data, device=CPU, batch_size=64)))
            for data in (train, test)
        )
        by_photo = {photo: row for row, photo in enumerate(train.encoded)}
        wanted = []
        for seed in (4, 5):
            drawn = draw(train, test, shots=3, seeds=[seed]).photos
            rows = [by_photo[photo] for photo in drawn.encoded]
            targets = 2.0 * F.one_hot(torch.from_numpy(train.labels[rows]), 3) - 1
            labels = torch.from_numpy(test.labels)
            wanted.append(ridge_accuracies(every[rows], targets, seen, labels, [1.0, STRENGTH]))
        for column, accuracy in enumerate(result.sweep):
            percent = [100 * values[column] for values in wanted]
            assert accuracy.draws_percent == pytest.approx(percent)
            assert accuracy.mean_percent == pytest.approx(sum(percent) / 2)
            assert accuracy.spread_percent == pytest.approx(abs(percent[0] - percent[1]) / 2**0.5)
        assert [accuracy.strength for accuracy in result.sweep] == [1.0, STRENGTH]
        assert result.reported == result.sweep[1]
        assert (result.num_classes, result.num_images, result.seeds) == (3, 12, (4, 5))

    def test_the_strength_is_not_chosen_by_the_answers(
        self, train: LabelledImages, test: LabelledImages
    ) -> None:
        """Noise hides the class, and the same noise stands alone beside it.

        Hardly regularised, the difference finds the class; strongly, no feature can be cancelled.
        """
        draws = draw(train, test, shots=2, seeds=[0])
        generator = torch.Generator().manual_seed(0)
        known, seen = (
            torch.cat([F.one_hot(torch.from_numpy(labels), 3) + 3 * noise, noise], dim=1)
            for labels in (draws.photos.labels, test.labels)
            for noise in [torch.randn(len(labels), 3, generator=generator)]
        )
        result = score(draws, known, test, seen)
        assert result.sweep[0].mean_percent == 100
        assert result.reported.strength == 1024
        assert result.reported.mean_percent < 100

    def test_a_single_draw_has_no_spread(self, train: LabelledImages, test: LabelledImages) -> None:
        result = few_shot(tiny.model(), train, test, shots=1, seeds=[0], device=CPU)
        assert result.reported.spread_percent is None
        assert tuple(accuracy.strength for accuracy in result.sweep) == STRENGTHS

    def test_report(self, train: LabelledImages, test: LabelledImages) -> None:
        model = tiny.model()
        draws = draw(train, test, shots=2, seeds=(0, 1))
        features = [
            torch.cat(list(iter_features(model, data, device=CPU, batch_size=64)))
            for data in (draws.photos, test)
        ]
        result = score(draws, features[0], test, features[1])
        content = report(
            result, model, draws, test, splits=("train", "test"), command="it", device=CPU
        )
        content = json.loads(json.dumps(content))
        assert content["few_shot"]["shots"] == 2
        assert content["few_shot"]["reported"]["strength"] == 1024
        assert content["few_shot"]["reported"] in content["few_shot"]["sweep"]
        assert content["data"] == {
            "source": "tiny",
            "train_split": "train",
            "test_split": "test",
            "drawn_sha256": draws.photos.sha256,
            "test_sha256": test.sha256,
        }
        assert content["command"] == "it"
