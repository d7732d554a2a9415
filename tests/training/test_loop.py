"""The trainer: what it promises but resuming, which has its own file."""

import copy
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests import tiny
from tests.training import worker
from tokenlearner.errors import ConfigError, DataError, TrainingError
from tokenlearner.models.vit import VisionTransformer
from tokenlearner.training.augment import Augmentation
from tokenlearner.training.data import LabelledImages
from tokenlearner.training.loop import CHECKPOINT, Trainer
from tokenlearner.training.objective import Objective
from tokenlearner.training.recipes import Distillation, Recipe

CPU = torch.device("cpu")


def start(data: LabelledImages, out: Path, recipe: Recipe | None = None, **options: Any) -> Trainer:
    return Trainer(recipe or tiny.recipe(), data, out, device=CPU, **options)


def finish(trainer: Trainer) -> dict[str, torch.Tensor]:
    for _ in trainer.run():
        pass
    return trainer.result().state_dict()


def assert_equal(found: dict[str, torch.Tensor], wanted: dict[str, torch.Tensor]) -> None:
    assert found.keys() == wanted.keys()
    different = [name for name in wanted if not torch.equal(found[name], wanted[name])]
    assert different == []


class TestTraining:
    def test_it_learns(self, data: LabelledImages, tmp_path: Path) -> None:
        recipe = tiny.recipe(learning_rate=1e-2, stages=((16, 16),))
        reports = list(start(data, tmp_path, recipe).run())
        assert reports[-1]["loss"] < 0.8 < reports[0]["loss"] == pytest.approx(math.log(3), abs=0.1)
        assert reports[-1]["heldout_accuracy"] == 1

    def test_reports(self, data: LabelledImages, tmp_path: Path) -> None:
        trainer = start(data, tmp_path)
        reports = list(trainer.run())
        assert [report["step"] for report in reports] == list(range(1, 16))
        with_accuracy = [int(r["step"]) for r in reports if "heldout_accuracy" in r]
        assert with_accuracy == [3, 6, 9, 12, 15]
        assert all(report["images_per_second"] > 0 for report in reports)

    def test_the_same_seed_gives_the_same_weights_and_another_does_not(
        self, data: LabelledImages, tmp_path: Path
    ) -> None:
        once = finish(start(data, tmp_path / "a"))
        torch.manual_seed(5)  # what else is drawn in the process does not matter
        assert_equal(finish(start(data, tmp_path / "b")), once)
        other = finish(start(data, tmp_path / "c", tiny.recipe(seed=1)))
        assert not torch.equal(other["head.weight"], once["head.weight"])

    def test_mixed_precision_is_close_to_float32(
        self, data: LabelledImages, tmp_path: Path
    ) -> None:
        mixed = list(start(data, tmp_path / "a").run())
        exact = list(start(data, tmp_path / "b", mixed_precision=False).run())
        assert mixed[-1]["loss"] != exact[-1]["loss"]
        assert mixed[-1]["loss"] == pytest.approx(exact[-1]["loss"], abs=0.02)

    def test_learning_rates(self, data: LabelledImages, tmp_path: Path) -> None:
        trainer = start(data, tmp_path)  # 3 steps of warm-up, then 12 of half a cosine
        rates = [trainer.learning_rate(step) / 3e-3 for step in range(15)]
        assert rates[:4] == pytest.approx([1 / 3, 2 / 3, 1, 1])
        assert rates[9] == pytest.approx(0.5)
        assert rates[14] == pytest.approx((1 + math.cos(math.pi * 11 / 12)) / 2)
        constant = replace(tiny.recipe(), schedule="constant", warmup_epochs=0)
        assert start(data, tmp_path / "b", constant).learning_rate(14) == 3e-3

    def test_validation_leaves_training_alone(self, data: LabelledImages, tmp_path: Path) -> None:
        """Batch norm's statistics, and with them the weights, are those of a run without it."""
        recipe = tiny.recipe(ema_decay=None)
        watched = start(data, tmp_path / "a", recipe)
        blind = start(data, tmp_path / "b", recipe)
        blind.heldout_labels = blind.heldout_labels[:0]
        assert_equal(finish(watched), finish(blind))

    def test_the_average_includes_batch_norm_s_statistics(
        self, data: LabelledImages, tmp_path: Path
    ) -> None:
        trainer = start(data, tmp_path, tiny.recipe(ema_decay=0.5, stages=((1, 16),)))
        name = "embedding.1.running_mean"
        wanted = torch.zeros(())
        for step, _ in enumerate(trainer.run()):
            current = trainer.train_state.model.state_dict()[name].clone()
            # Over few steps at first, and never over the random start.
            decay = min(0.5, (1 + step) / (10 + step)) if step else 0.0
            wanted = decay * wanted + (1 - decay) * current
        torch.testing.assert_close(trainer.result().state_dict()[name], wanted)

    def test_result_is_in_eval_mode_on_the_cpu(self, data: LabelledImages, tmp_path: Path) -> None:
        trainer = start(data, tmp_path)
        next(trainer.run())
        result = trainer.result()
        assert isinstance(result, VisionTransformer)
        assert not any(module.training for module in result.modules())


class TestModel:
    def test_training_starts_from_the_given_weights(
        self, data: LabelledImages, tmp_path: Path
    ) -> None:
        model = tiny.model()
        wanted = {name: value.clone() for name, value in model.state_dict().items()}
        trainer = start(data, tmp_path, tiny.recipe(ema_decay=None), model=model)
        assert_equal(trainer.train_state.model.state_dict(), wanted)
        next(trainer.run())
        assert trainer.train_state.model is model
        assert not torch.equal(model.state_dict()["head.weight"], wanted["head.weight"])

    def test_another_architecture(self, data: LabelledImages, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match=r"not built as the recipe imagenette-tiny .*wanted"):
            start(data, tmp_path, model=tiny.model(learner=False))


class TestDividing:
    @pytest.mark.parametrize("accumulate", [2, 3])
    def test_parts_give_the_gradients_of_the_whole(
        self, data: LabelledImages, tmp_path: Path, accumulate: int
    ) -> None:
        """With all kinds of augmentation, and an odd number of photos in the last step."""
        recipe, options = worker.CASES["plain"]
        whole = start(data, tmp_path, recipe, **options)
        parts = start(data, tmp_path, recipe, **options, accumulate=accumulate)
        first, second, counts = whole.load(), parts.load(), []
        for _ in range(whole.steps_per_epoch):
            loss, count = whole.take_step(first)
            divided, same = parts.take_step(second)
            counts.append(count)
            assert (float(divided), same) == (pytest.approx(float(loss), rel=1e-5), count)
            pairs = zip(
                whole.train_state.model.parameters(),
                parts.train_state.model.parameters(),
                strict=True,
            )
            for wanted, found in pairs:
                torch.testing.assert_close(found.grad, wanted.grad, rtol=1e-3, atol=1e-6)
        assert counts == [5, 5, 5, 3]

    def test_validation_takes_no_more_at_once_than_a_step(
        self, data: LabelledImages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        counts: list[int] = []
        count_hits = Objective.count_hits
        monkeypatch.setattr(
            Objective, "count_hits", lambda *a: counts.append(len(a[2])) or count_hits(*a)
        )
        recipe, model = tiny.recipe(holdout=7), tiny.model()
        whole = start(data, tmp_path, recipe, model=model)._validate()
        assert start(data, tmp_path, recipe, model=model, accumulate=2)._validate() == whole
        assert counts == [6, 1, 3, 3, 1]

    def test_no_part(self, data: LabelledImages, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="accumulate is 0; it must be at least 1"):
            start(data, tmp_path, accumulate=0)


class TestFiles:
    """Photos that are decoded whenever they are used."""

    def recipe(self, **changes: Any) -> Recipe:
        augmentation = Augmentation(area=(0.5, 1.0), aspect=4 / 3, colour=0.3)
        return tiny.recipe(canvas=None, augmentation=augmentation, **changes)

    def test_it_learns(self, data: LabelledImages, tmp_path: Path) -> None:
        recipe = self.recipe(learning_rate=1e-2, stages=((16, 16),))
        reports = list(start(data, tmp_path, recipe).run())
        assert reports[-1]["loss"] < 0.8 < reports[0]["loss"]
        assert reports[-1]["heldout_accuracy"] == 1

    def test_workers_change_nothing(self, data: LabelledImages, tmp_path: Path) -> None:
        alone = finish(start(data, tmp_path / "a", self.recipe()))
        assert_equal(finish(start(data, tmp_path / "b", self.recipe(), num_workers=1)), alone)


class TestTeacher:
    RECIPE = tiny.recipe(distillation=Distillation(weight=0.5, temperature=2.0))

    def test_its_weights_and_statistics_stay(self, data: LabelledImages, tmp_path: Path) -> None:
        teacher = tiny.model().train()
        wanted = {name: value.clone() for name, value in teacher.state_dict().items()}
        list(start(data, tmp_path, self.RECIPE, teacher=teacher).run())
        assert_equal(teacher.state_dict(), wanted)

    def test_another_teacher_is_another_run(self, data: LabelledImages, tmp_path: Path) -> None:
        next(start(data, tmp_path, self.RECIPE, teacher=tiny.model()).run(checkpoint_every=1))
        with pytest.raises(TrainingError, match="belongs to another recipe"):
            start(data, tmp_path, self.RECIPE, teacher=tiny.model())

    def test_one_without_the_other(self, data: LabelledImages, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="no teacher was given; give both or neither"):
            start(data, tmp_path, self.RECIPE)
        with pytest.raises(ConfigError, match="it has no distillation; give both or neither"):
            start(data, tmp_path, teacher=tiny.model())

    def test_other_classes(self, data: LabelledImages, tmp_path: Path) -> None:
        teacher = tiny.model()
        assert teacher.info is not None
        teacher.info = replace(teacher.info, class_names=("a", "b", "c"))
        with pytest.raises(DataError, match="red, green, blue, but the teacher tiny answers with"):
            start(data, tmp_path, self.RECIPE, teacher=teacher)

    def test_the_same_classes_in_another_order(self, data: LabelledImages, tmp_path: Path) -> None:
        """With its head's rows and the names of its answers turned alike, it teaches the same."""
        teacher = tiny.model()
        turned = copy.deepcopy(teacher)
        assert teacher.info is not None
        assert turned.head is not None
        turned.head.weight = torch.nn.Parameter(turned.head.weight[[2, 0, 1]])
        turned.info = replace(teacher.info, class_names=("blue", "red", "green"))
        wanted = finish(start(data, tmp_path / "a", self.RECIPE, teacher=teacher))
        assert_equal(finish(start(data, tmp_path / "b", self.RECIPE, teacher=turned)), wanted)
        turned.info = teacher.info
        other = finish(start(data, tmp_path / "c", self.RECIPE, teacher=turned))
        assert not torch.equal(other["head.weight"], wanted["head.weight"])

    @pytest.mark.parametrize("of_teacher", [True, False])
    def test_a_teacher_with_answers_of_another_kind(
        self, data: LabelledImages, tmp_path: Path, of_teacher: bool
    ) -> None:
        several = replace(data, labels=np.eye(3, dtype=bool)[data.labels])
        teacher = tiny.model()
        assert teacher.info is not None
        teacher.info = replace(teacher.info, multi_label=of_teacher)
        recipe = tiny.recipe(loss="sigmoid", distillation=Distillation())
        gives, has = ("any number of classes", "one class")[:: 1 if of_teacher else -1]
        message = f"teacher tiny gives {gives} per photo, but .* has {has}; give another teacher"
        with pytest.raises(ConfigError, match=message):
            start(data if of_teacher else several, tmp_path, recipe, teacher=teacher)
        for_one = (several if of_teacher else data, tmp_path / "fits", recipe)
        start(*for_one, teacher=teacher)  # with a sigmoid too, where one class is to be told


class TestLossOfNumbers:
    """The checkpoint before stays, however late it shows."""

    @pytest.mark.parametrize("accumulate", [1, 2])
    @pytest.mark.parametrize("report_every", [1, 3])
    def test_the_loss_is_no_number(
        self, data: LabelledImages, tmp_path: Path, accumulate: int, report_every: int
    ) -> None:
        trainer = start(data, tmp_path, accumulate=accumulate)
        next(trainer.run(checkpoint_every=1))
        before = (tmp_path / CHECKPOINT).read_bytes()
        with torch.no_grad():
            next(trainer.train_state.model.parameters()).fill_(math.nan)
        with pytest.raises(
            TrainingError,
            match=r"the loss is nan at step 1; the last good state is in .*Lower the learning rate",
        ):
            list(trainer.run(report_every=report_every))
        assert (tmp_path / CHECKPOINT).read_bytes() == before
        with pytest.raises(TrainingError, match="the weights are not finite after step"):
            trainer.save()

    def test_before_the_first_checkpoint(self, data: LabelledImages, tmp_path: Path) -> None:
        for clip, advice in ((None, ", or take a recipe with a gradient_clip"), (1.0, "")):
            trainer = start(data, tmp_path, tiny.recipe(gradient_clip=clip))
            with torch.no_grad():
                next(trainer.train_state.model.parameters()).fill_(math.nan)
            with pytest.raises(TrainingError) as caught:
                list(trainer.run())
            said = (
                "there is no checkpoint yet. Lower the learning rate (--learning-rate in the "
                f"shell), which is 0.003{advice}, and start in another folder"
            )
            assert str(caught.value).endswith(said)

    def test_the_weights_are_not_though_the_loss_still_was(
        self, data: LabelledImages, tmp_path: Path
    ) -> None:
        """The first step's loss is that of the weights before it, and float32 ends at 3e38."""
        recipe, options = worker.CASES["diverging"]
        recipe = replace(recipe, learning_rate=1e39)
        trainer = start(data, tmp_path, recipe, **options)
        with pytest.raises(TrainingError, match="the weights are not finite after step 1; the"):
            list(trainer.run(checkpoint_every=1))
        assert not (tmp_path / CHECKPOINT).exists()


class TestErrors:
    def test_other_classes(self, data: LabelledImages, tmp_path: Path) -> None:
        recipe = tiny.recipe(model=replace(tiny.config(), num_classes=4))
        with pytest.raises(
            DataError,
            match=r"has 3 classes \(.*red.*\), but the recipe .*-tiny is for 4; .*fine-tune",
        ):
            start(data, tmp_path, recipe)

    def test_several_labels_per_photo(self, data: LabelledImages, tmp_path: Path) -> None:
        several = replace(data, labels=torch.eye(3, dtype=torch.bool).numpy()[data.labels])
        with pytest.raises(
            DataError, match=r"softmax loss .* is for one; take a recipe with loss='sigmoid'"
        ):
            start(several, tmp_path)
        recipe = tiny.recipe(loss="sigmoid", learning_rate=1e-2, stages=((8, 16),))
        reports = list(start(several, tmp_path, recipe).run())
        assert reports[-1]["heldout_accuracy"] == 1

    def test_one_class(self, data: LabelledImages, tmp_path: Path) -> None:
        one = replace(data, labels=0 * data.labels, class_names=("red",))
        recipe = tiny.recipe()
        single = replace(recipe, model=replace(recipe.model, num_classes=1))
        with pytest.raises(DataError, match="has one class, 'red', which any model always answ"):
            start(one, tmp_path, single)

    def test_fewer_photos_than_are_held_out(self, data: LabelledImages, tmp_path: Path) -> None:
        with pytest.raises(
            DataError, match=r"has 24 photos, and 24 are to be held out .*--holdout"
        ):
            start(data, tmp_path, tiny.recipe(holdout=24))

    def test_the_best_of_nothing(self) -> None:
        with pytest.raises(ConfigError, match=r"keep='best', which needs .*\(--holdout in"):
            tiny.recipe(keep="best", holdout=0)

    def test_last_stage_of_another_size(self) -> None:
        with pytest.raises(ConfigError, match="the last stage trains at 20 px, but the model"):
            tiny.recipe(stages=((1, 20),))
