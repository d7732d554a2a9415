"""A run from the recipe to the model folder and its card."""

import errno
import os
import sys
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image as PillowImage
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.utils.tensorboard import SummaryWriter

from tests import tiny
from tokenlearner.checkpoints import load_model
from tokenlearner.efficiency.machine import describe_hardware
from tokenlearner.errors import TrainingError
from tokenlearner.models import ModelInfo
from tokenlearner.models.info import Provenance
from tokenlearner.training.board import attention_picture
from tokenlearner.training.data import LabelledImages, read_images
from tokenlearner.training.datasets import DATASETS
from tokenlearner.training.loop import Trainer
from tokenlearner.training.run import command, export, run

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.write_dataset(tmp_path_factory.mktemp("data") / "tiny", test=6)


@pytest.fixture
def data(folder: Path) -> LabelledImages:
    return read_images(folder, "train")


def start(data: LabelledImages, out: Path, **changes: Any) -> Trainer:
    recipe = tiny.recipe(stages=((2, 16),), **changes)
    return Trainer(recipe, data, out, device=CPU, mixed_precision=False)


def origin_of(folder: Path) -> Provenance:
    info = load_model(folder).info
    assert info is not None
    assert info.provenance is not None
    return info.provenance


def made_by_others(licence: str) -> ModelInfo:
    origin = Provenance(
        trained_on="their photos",
        data_licence="theirs alone",
        weights_licence=licence,
        inherited_data="what was before",
    )
    info = tiny.model().info
    assert info is not None
    return replace(info, name="by others", provenance=origin)


class TestRun:
    def test_scalars_go_on_after_a_stop(self, data: LabelledImages, tmp_path: Path) -> None:
        for report_ in run(start(data, tmp_path)):
            if report_["step"] == 4:  # one step after the checkpoint
                break
        list(run(start(data, tmp_path)))
        events = EventAccumulator(str(tmp_path))
        events.Reload()
        assert [event.step for event in events.Scalars("loss")] == [1, 2, 3, 4, 5, 6]
        assert [event.step for event in events.Scalars("heldout_accuracy")] == [3, 6]
        assert {"learning_rate", "images_per_second"} <= set(events.Tags()["scalars"])

    def test_without_tensorboard(
        self, data: LabelledImages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
        with pytest.warns(UserWarning, match="TensorBoard is not installed, so no curves"):
            assert len(list(run(start(data, tmp_path)))) == 6
        assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.pt"]

    def test_a_disk_that_is_full_in_the_end(
        self, data: LabelledImages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        trainer = start(data, tmp_path)
        list(run(trainer))

        def fill(*_: Any) -> None:
            assert (tmp_path / "model").is_dir()
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(os, "fsync", fill)
        wanted = (
            r"cannot write .*model: No space left on device; the trained weights are in .*\.pt\. "
            "Free some space and give the same command again"
        )
        with pytest.raises(TrainingError, match=wanted):
            export(trainer, data="colours")
        assert not (tmp_path / "model").exists()
        monkeypatch.undo()
        assert load_model(export(start(data, tmp_path), data="colours")).info is not None

    def test_a_full_disk_takes_the_curves_and_leaves_the_run(
        self, data: LabelledImages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_: object) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(SummaryWriter, "add_scalar", refuse)
        said: list[str] = []
        assert len(list(run(start(data, tmp_path), warn=said.append))) == 6
        wanted = "no more curves are written for TensorBoard: No space left on device"
        assert said == [wanted]

    def test_unusable_photos_are_told(self, data: LabelledImages, tmp_path: Path) -> None:
        encoded = [data.encoded[row] for row in range(len(data))]
        encoded[5] = encoded[5][:60]
        broken = replace(data, encoded=tuple(encoded), max_unusable=0.1)
        said: list[str] = []
        list(run(start(broken, tmp_path, canvas=None, holdout=0), warn=said.append))
        assert [words[:30] for words in said] == ["1 unusable training photo was "]

    @pytest.mark.parametrize("holdout", [6, 0])
    def test_pictures_and_settings_for_tensorboard(
        self, data: LabelledImages, tmp_path: Path, holdout: int
    ) -> None:
        trainer = start(data, tmp_path, holdout=holdout)
        list(run(trainer))
        events = EventAccumulator(str(tmp_path))
        events.Reload()
        (*_, last) = events.Images("attention")
        photos = trainer.shown_images
        wanted = attention_picture(trainer.result(), photos, trainer.recipe.preprocessing)
        shown = np.asarray(PillowImage.open(BytesIO(last.encoded_image_string)))
        assert np.array_equal(shown, wanted.permute(1, 2, 0).numpy())
        assert events.Tags()["scalars"].count("final_heldout_accuracy") == 1


class TestExport:
    def test_the_folder_holds_the_result_and_its_origin(
        self, data: LabelledImages, tmp_path: Path
    ) -> None:
        trainer = start(data, tmp_path)
        list(trainer.run())
        folder = export(trainer, data="tiny")
        assert folder == tmp_path / "model"
        model = load_model(folder)
        for name, value in trainer.result().state_dict().items():
            stored = value.half().float() if value.is_floating_point() else value
            assert torch.equal(model.state_dict()[name], stored), name
        assert model.info is not None
        assert model.info.class_names == tiny.CLASSES
        assert model.info.preprocessing == trainer.recipe.preprocessing
        origin = model.info.provenance
        assert origin is not None
        assert origin.trained_on == "tiny"
        assert origin.data_licence == "not stated"
        assert origin.weights_licence == "Apache-2.0"
        assert origin.hardware == describe_hardware(CPU)
        assert origin.hours == pytest.approx(trainer.seconds / 3600, rel=0.01)
        assert (origin.epochs, origin.seed) == (2, 0)
        assert origin.versions["torch"] == str(torch.__version__)

    def test_only_photos_with_its_classes_are_the_recipe_s_data_set(
        self, data: LabelledImages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        known = replace(DATASETS["imagenette"], class_names=tiny.CLASSES[::-1])
        monkeypatch.setitem(DATASETS, "imagenette", known)
        trainer = start(data, tmp_path)
        list(trainer.run())
        origin = origin_of(export(trainer, data="tiny"))
        assert origin.trained_on == "Imagenette"
        assert "non-commercial" in origin.data_licence

    def test_terms_of_the_models_it_was_made_from(
        self, data: LabelledImages, tmp_path: Path
    ) -> None:
        trainer = start(data, tmp_path)
        list(trainer.run())

        def made_from(licence: str, *of_teacher: str) -> Provenance:
            start, *teachers = (made_by_others(licence) for licence in (licence, *of_teacher))
            return origin_of(
                export(trainer, data="tiny", started_from=start, teacher=next(iter(teachers), None))
            )

        origin = made_from("cc-by-nc-4.0", "apache-2.0")
        assert (origin.started_from, origin.teacher) == ("by others", "by others")
        assert origin.weights_licence == "cc-by-nc-4.0"
        assert origin.inherited_data == "their photos (theirs alone); what was before"
        assert made_from("apache-2.0").weights_licence == "Apache-2.0"
        assert made_from("apache-2.0", "").weights_licence == ""
        assert made_from("mit", "cc-by-nc-4.0").weights_licence == "cc-by-nc-4.0 and mit"

    def test_random_weights_to_start_from_have_no_terms(
        self, data: LabelledImages, tmp_path: Path
    ) -> None:
        trainer = start(data, tmp_path)
        list(trainer.run())
        folder = export(trainer, data="tiny", started_from=tiny.model(trained=False).info)
        assert origin_of(folder).weights_licence == "Apache-2.0"

    def test_several_labels_are_remembered(self, data: LabelledImages, tmp_path: Path) -> None:
        several = replace(data, labels=np.eye(3, dtype=bool)[data.labels])
        for photos, is_multi_label in ((data, False), (several, True)):
            out = tmp_path / str(is_multi_label)
            trainer = start(photos, out, loss="sigmoid")
            list(trainer.run())
            info = load_model(export(trainer, data="tiny")).info
            assert info is not None
            assert info.multi_label == is_multi_label

    def test_again_from_the_finished_run(self, data: LabelledImages, tmp_path: Path) -> None:
        trainer = start(data, tmp_path)
        list(trainer.run())
        folder = export(trainer, data="tiny")
        before = {path.name: path.read_bytes() for path in folder.iterdir()}
        export(start(data, tmp_path), data="tiny")
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == before

    def test_the_date_is_that_of_the_last_step(self, data: LabelledImages, tmp_path: Path) -> None:
        trainer = start(data, tmp_path)
        list(trainer.run())
        os.utime(tmp_path / "checkpoint.pt", (0, 86400 * 365))
        info = load_model(export(trainer, data="tiny")).info
        assert info is not None
        assert info.provenance is not None
        assert info.provenance.date == "1971-01-01"

    def test_command_names_what_differs_from_the_defaults(
        self, data: LabelledImages, tmp_path: Path
    ) -> None:
        trainer = start(data, tmp_path, seed=3)
        assert command(trainer, data="owner/tiny") == (
            "tokenlearner train imagenette-tiny --data owner/tiny --out runs/imagenette-tiny "
            "--seed 3 --no-mixed-precision"
        )
        assert "--data 'my photos' --out" in command(trainer, data="my photos")
