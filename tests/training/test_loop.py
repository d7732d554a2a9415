"""The trainer: a killed run ends where an undisturbed one does, and other promises."""

import math
import random
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests import tiny
from tokenlearner.errors import ConfigError, DataError, TrainingError
from tokenlearner.models.vit import VisionTransformer
from tokenlearner.training.data import LabelledImages, read_parquet
from tokenlearner.training.loop import CHECKPOINT, Trainer
from tokenlearner.training.recipes import Recipe

CPU = torch.device("cpu")

TRAIN_SLOWLY = """
import sys, time, torch
from pathlib import Path
from tests import tiny
from tokenlearner.training.data import read_parquet
from tokenlearner.training.loop import Trainer

torch.set_num_threads(1)
data = read_parquet(sys.argv[1], "train")
trainer = Trainer(tiny.recipe(), data, Path(sys.argv[2]), device=torch.device("cpu"))
print(trainer.step, flush=True)
for report in trainer.run(checkpoint_every=2):
    print(report["step"], flush=True)
    time.sleep(0.05)
"""


@pytest.fixture(autouse=True)
def _one_thread() -> Any:
    """Sums over several threads may round in another order."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> LabelledImages:
    return read_parquet(tiny.write_dataset(tmp_path_factory.mktemp("data")), "train")


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


class TestResuming:
    @pytest.mark.parametrize("seed", [1, 2])
    def test_a_killed_run_ends_with_the_same_weights(
        self, data: LabelledImages, tmp_path: Path, seed: int
    ) -> None:
        wanted = finish(start(data, tmp_path / "undisturbed"))
        out = tmp_path / "killed"
        chance = random.Random(seed)
        command = [sys.executable, "-c", TRAIN_SLOWLY, data.source, str(out)]
        root = Path(__file__).parents[2]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root) as process:
            assert process.stdout is not None
            for _ in range(chance.randint(4, 10)):
                assert process.stdout.readline()
            time.sleep(chance.uniform(0, 0.1))
            process.kill()
        trainer = start(data, out)
        assert 0 < trainer.step < trainer.num_steps
        assert_equal(finish(trainer), wanted)

    def test_every_detail_survives(self, data: LabelledImages, tmp_path: Path) -> None:
        first = start(data, tmp_path)
        for report in first.run(checkpoint_every=4):
            if report["step"] == 4:
                break
        second = start(data, tmp_path)
        assert (second.step, second.saved_step) == (4, 4)
        assert second.seconds == first.seconds > 0
        assert second.hardware == first.hardware != ()
        assert_equal(second.model.state_dict(), first.model.state_dict())
        assert first.average is not None
        assert second.average is not None
        assert_equal(second.average.state_dict(), first.average.state_dict())
        found, wanted = second.optimizer.state_dict(), first.optimizer.state_dict()
        assert found["param_groups"] == wanted["param_groups"]
        for index, state in wanted["state"].items():
            assert_equal(found["state"][index], state)

    def test_the_best_epoch_survives(self, data: LabelledImages, tmp_path: Path) -> None:
        recipe = tiny.recipe(keep="best", ema_decay=None)
        wanted = finish(start(data, tmp_path / "a", recipe))
        for report in start(data, tmp_path / "b", recipe).run():
            if report["step"] == 9:
                break
        resumed = start(data, tmp_path / "b", recipe)
        assert resumed.best[0] >= 0
        assert_equal(finish(resumed), wanted)

    def test_a_finished_run_only_gives_its_result(
        self, data: LabelledImages, tmp_path: Path
    ) -> None:
        wanted = finish(start(data, tmp_path))
        again = start(data, tmp_path)
        assert list(again.run()) == []
        assert_equal(again.result().state_dict(), wanted)

    def test_a_part_of_a_checkpoint_beside_a_whole_one_is_ignored(
        self, data: LabelledImages, tmp_path: Path
    ) -> None:
        next(start(data, tmp_path).run(checkpoint_every=1))
        whole = (tmp_path / CHECKPOINT).read_bytes()
        (tmp_path / f"{CHECKPOINT}.new").write_bytes(whole[: len(whole) // 2])
        assert start(data, tmp_path).step == 1

    @pytest.mark.parametrize(
        "content", [b"", b"no checkpoint", None], ids=["none", "other", "half"]
    )
    def test_broken_checkpoint(
        self, data: LabelledImages, tmp_path: Path, content: bytes | None
    ) -> None:
        next(start(data, tmp_path).run(checkpoint_every=1))
        path = tmp_path / CHECKPOINT
        path.write_bytes(path.read_bytes()[:5000] if content is None else content)
        with pytest.raises(
            TrainingError, match=r"checkpoint\.pt is no readable checkpoint.*delete"
        ):
            start(data, tmp_path)

    @pytest.mark.parametrize("change", [{"learning_rate": 1e-4}, {"seed": 1}, {"holdout": 7}])
    def test_another_recipe_is_refused(
        self, data: LabelledImages, tmp_path: Path, change: dict[str, Any]
    ) -> None:
        next(start(data, tmp_path).run(checkpoint_every=1))
        with pytest.raises(TrainingError, match="belongs to another recipe, other data or"):
            start(data, tmp_path, tiny.recipe(**change))

    def test_other_data_or_precision_is_refused(self, data: LabelledImages, tmp_path: Path) -> None:
        next(start(data, tmp_path).run(checkpoint_every=1))
        with pytest.raises(TrainingError, match="other data or another precision; choose another"):
            start(data, tmp_path, mixed_precision=False)
        other = replace(data, labels=data.labels[::-1].copy())
        with pytest.raises(TrainingError, match="other data or another precision; choose another"):
            start(other, tmp_path)

    def test_a_checkpoint_that_cannot_be_written_leaves_the_one_before(
        self, data: LabelledImages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        steps = start(data, tmp_path).run(checkpoint_every=1)
        next(steps)

        def fill_the_disk(state: object, path: Path) -> None:
            path.write_bytes(b"a part")
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(torch, "save", fill_the_disk)
        with pytest.raises(
            TrainingError, match="No space left on device; the one before is intact"
        ):
            next(steps)
        monkeypatch.undo()
        assert [path.name for path in tmp_path.iterdir()] == [CHECKPOINT]
        assert start(data, tmp_path).step == 1


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

    def test_vectors_decay_only_if_asked_to(self, data: LabelledImages, tmp_path: Path) -> None:
        for decay_vectors, wanted in ((False, 0.0), (True, 0.05)):
            recipe = tiny.recipe(decay_vectors=decay_vectors)
            trainer = start(data, tmp_path / str(decay_vectors), recipe)
            matrices, vectors = trainer.optimizer.param_groups
            assert (matrices["weight_decay"], vectors["weight_decay"]) == (0.05, wanted)
            assert {p.ndim for p in vectors["params"]} == {1}
            assert min(p.ndim for p in matrices["params"]) == 2

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
        wanted = None
        for _ in trainer.run():
            current = trainer.model.state_dict()[name].clone()
            wanted = current if wanted is None else 0.5 * wanted + 0.5 * current
        assert wanted is not None
        torch.testing.assert_close(trainer.result().state_dict()[name], wanted)

    def test_result_is_in_eval_mode_on_the_cpu(self, data: LabelledImages, tmp_path: Path) -> None:
        trainer = start(data, tmp_path)
        next(trainer.run())
        result = trainer.result()
        assert isinstance(result, VisionTransformer)
        assert not any(module.training for module in result.modules())


class TestErrors:
    def test_the_loss_is_no_number(self, data: LabelledImages, tmp_path: Path) -> None:
        trainer = start(data, tmp_path)
        with torch.no_grad():
            next(trainer.model.parameters()).fill_(math.nan)
        with pytest.raises(
            TrainingError, match=r"the loss is nan at step 0.*Lower the learning rate"
        ):
            next(trainer.run())

    def test_other_classes(self, data: LabelledImages, tmp_path: Path) -> None:
        recipe = tiny.recipe(model=replace(tiny.config(), num_classes=4))
        with pytest.raises(
            DataError, match="has 3 classes, but the recipe imagenette-tiny is for 4"
        ):
            start(data, tmp_path, recipe)

    def test_fewer_photos_than_are_held_out(self, data: LabelledImages, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"has 24 photos, but the recipe .* holds 24 out; give"):
            start(data, tmp_path, tiny.recipe(holdout=24))

    def test_the_best_of_nothing(self) -> None:
        with pytest.raises(ConfigError, match="keep='best' needs held-out photos; set holdout"):
            tiny.recipe(keep="best", holdout=0)

    def test_last_stage_of_another_size(self) -> None:
        with pytest.raises(ConfigError, match="the last stage trains at 20 px, but the model"):
            tiny.recipe(stages=((1, 20),))
