"""The comparison with recorded outputs, and folders that appear whole or not at all."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests import tiny
from tokenlearner.checkpoints import load_model
from tokenlearner.conversion.folder import (
    name_classes,
    read_preprocessing,
    scenic_preprocessing,
    write_folder,
)
from tokenlearner.conversion.verify import Agreement, Report, check_finite, compare
from tokenlearner.errors import CheckpointError, ConfigError, ConversionError
from tokenlearner.models import VisionTransformer


def record(tmp_path: Path, **changes: Any) -> tuple[VisionTransformer, Path]:
    """A model, and a file of what it computes, but for the changes."""
    model = tiny.model()
    images = torch.randn(2, 3, 16, 16)
    trace = model.trace(images)
    arrays = {
        "inputs": images.permute(0, 2, 3, 1).numpy(),
        "logits": trace.logits.detach().numpy(),
        "maps": trace.learners[0].maps.detach().flatten(2).numpy(),
    }
    arrays = {name: array for name, array in (arrays | changes).items() if array is not None}
    np.savez(tmp_path / "r.npz", allow_pickle=True, **arrays)
    return model, tmp_path / "r.npz"


def test_exact(tmp_path: Path) -> None:
    model, file = record(tmp_path)
    agreements = compare(model, file)
    assert {a.name for a in agreements} == {"outputs", "maps/0"}
    assert max(a.relative for a in agreements) < 1e-6


def test_error_is_relative_to_the_norm(tmp_path: Path) -> None:
    model, file = record(tmp_path)
    with np.load(file) as arrays:
        content = dict(arrays)
    content["logits"][0, 0] += 0.5
    np.savez(file, **content)
    wanted = 0.5 / np.linalg.norm(content["logits"])
    agreement = next(a for a in compare(model, file, tolerance=9) if a.name == "outputs")
    assert agreement.relative == pytest.approx(wanted, rel=1e-4)
    assert agreement.largest == pytest.approx(0.5, rel=1e-4)
    with pytest.raises(ConversionError, match=r"outputs differs from .*r\.npz: got a relative err"):
        compare(model, file)


def test_not_a_number_does_not_pass(tmp_path: Path) -> None:
    model, file = record(tmp_path, logits=np.full((2, 3), np.nan, np.float32))
    with pytest.raises(ConversionError, match="a relative error of nan"):
        compare(model, file, tolerance=1e9)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"logits": None}, "r.npz lacks outputs"),
        ({"inputs": None}, "r.npz lacks inputs"),
        ({"logits": np.zeros((2, 4), np.float32)}, r"outputs: got shape \(2, 4\), expected \(2, 3"),
        ({"maps/1": np.zeros((2, 2, 16))}, "the model has no maps/1; it has outputs, maps/0"),
        ({"logits": np.zeros(3)}, r"outputs: got float64 \(3,\), expected numbers in at least"),
        ({"inputs": np.zeros((2, 5, 5))}, "the inputs do not fit the model"),
        (
            {"logits": np.array([None])},
            "is not a readable .npz file: Object arrays cannot be loaded",
        ),
    ],
)
@pytest.mark.usefixtures("_as_users_run_it")
def test_references_that_cannot_be_used(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    model, file = record(tmp_path, **changes)
    with pytest.raises(ConversionError, match=message):
        compare(model, file)


def test_no_npz(tmp_path: Path) -> None:
    for content in (b"", b"PK\3\4cut", b"text"):
        (tmp_path / "r.npz").write_bytes(content)
        with pytest.raises(ConversionError, match=r"r\.npz is not a readable \.npz file"):
            compare(tiny.model(), tmp_path / "r.npz")


def test_not_finite_is_counted() -> None:
    arrays = {"a": np.ones(3), "b": np.array([1, np.nan, np.inf], np.float32)}
    with pytest.raises(ConversionError, match="file: array 'b': got 2 values that are not finite"):
        check_finite(arrays, Path("file"))


def test_report() -> None:
    report = Report(
        source="x",
        used={"a": (2, 3), "b": ()},
        unused=("opt_state",),
        sha256="ab",
        agreements=(Agreement("outputs", 2e-6, 1.5e-7),),
        notes=("careful",),
    )
    assert list(report.lines()) == [
        "source    x",
        "used      2 arrays, 7 numbers",
        "unused    opt_state",
        "sha256    ab",
        "agrees    outputs: relative error 1.5e-07, largest difference 2.0e-06",
        "note      careful",
    ]
    assert "agrees    not compared; --reference" in "\n".join(Report(source="", used={}).lines())


class TestFolder:
    def test_opens_as_any_other(self, tmp_path: Path) -> None:
        model = tiny.model()
        sha256 = write_folder(tmp_path / "deep/out", model)
        loaded = load_model(tmp_path / "deep/out", sha256=sha256)
        images = torch.randn(1, 3, 16, 16)
        assert torch.equal(loaded(images), model(images))
        assert (tmp_path / "deep/out").stat().st_mode & 0o777 == 0o755

    def test_nothing_is_overwritten(self, tmp_path: Path) -> None:
        (tmp_path / "out").mkdir()
        write_folder(tmp_path / "out", tiny.model())  # an empty folder may be there
        before = (tmp_path / "out/model.safetensors").read_bytes()
        with pytest.raises(ConversionError, match="out already exists; name a new folder"):
            write_folder(tmp_path / "out", tiny.model())
        assert (tmp_path / "out/model.safetensors").read_bytes() == before

    def test_nothing_half_written(self, tmp_path: Path) -> None:
        model = tiny.model()
        model.state_dict()["head.bias"][0] = float("nan")
        with pytest.raises(CheckpointError, match=r"head\.bias holds values that are not finite"):
            write_folder(tmp_path / "out", model)
        assert list(tmp_path.iterdir()) == []


class TestInformation:
    def test_class_names(self, tmp_path: Path) -> None:
        assert name_classes(2, None) == ("class 0", "class 1")
        assert name_classes(1000, None)[:2] == ("tench", "goldfish")
        (tmp_path / "c.txt").write_text("Ähre\n zwei \n\n", encoding="utf-8")
        assert name_classes(2, tmp_path / "c.txt") == ("Ähre", "zwei")
        with pytest.raises(ConversionError, match=r"c\.txt: got 2 names, expected 3"):
            name_classes(3, tmp_path / "c.txt")
        with pytest.raises(ConfigError, match=r"cannot read .*none: .*; give a text file with one"):
            name_classes(3, tmp_path / "none")
        (tmp_path / "marked.txt").write_text("a\n\nb\n", encoding="utf-8-sig")
        with pytest.raises(ConfigError, match=r"marked\.txt has no name in line 2"):
            name_classes(2, tmp_path / "marked.txt")
        (tmp_path / "marked.txt").write_text("a\nb\n", encoding="utf-8-sig")
        assert name_classes(2, tmp_path / "marked.txt") == ("a", "b")

    def test_scenic_crops_32_px_short(self) -> None:
        found = scenic_preprocessing((224, 224))
        assert found.crop_ratio == 0.875
        assert (found.mean[0], found.std[2], found.interpolation) == (0.485, 0.225, "bicubic")

    def test_preprocessing(self, tmp_path: Path) -> None:
        wanted = tiny.preprocessing()
        (tmp_path / "p.json").write_text(json.dumps(asdict(wanted)))
        assert read_preprocessing(tmp_path / "p.json") == wanted
        for text in ("{", "[]", '{"mean": 3}', "[" * 100_000):
            (tmp_path / "p.json").write_text(text)
            with pytest.raises(ConversionError, match=r"p\.json holds no preprocessing"):
                read_preprocessing(tmp_path / "p.json")
