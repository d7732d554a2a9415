"""Keras files that lead elsewhere, or claim more than they hold."""

import io
import lzma
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import pytest

from tokenlearner.conversion import keras_files
from tokenlearner.conversion.keras_files import read_keras
from tokenlearner.errors import ConversionError


@pytest.fixture
def model(golden: Path, tmp_path: Path) -> Path:
    """A `.h5` file to be spoiled, and beside it one that nobody asked to open."""
    for name in ("model.h5", "other.h5"):
        (tmp_path / name).write_bytes((golden / "frozen.h5").read_bytes())
    return tmp_path / "model.h5"


class TestHdf5:
    BIAS = "model_weights/dense/dense/bias:0"

    def test_a_dataset_larger_than_its_file(self, model: Path) -> None:
        with h5py.File(model, "r+") as file:
            del file[self.BIAS]
            file.create_dataset(self.BIAS, (2**20, 2**20), "f4", chunks=(64, 64))
        with pytest.raises(
            ConversionError, match=r"got 0 bytes in the file, expected 4,398,046,51"
        ):
            read_keras(model)

    def test_a_dataset_in_another_file(self, model: Path) -> None:
        with h5py.File(model, "r+") as file:
            del file[self.BIAS]
            file.create_dataset(self.BIAS, (12,), "f4", external=[("/dev/zero", 0, 48)])
        with pytest.raises(ConversionError, match="bias:0: got"):
            read_keras(model)

    @pytest.mark.parametrize("place", ["model_weights", BIAS])
    @pytest.mark.parametrize(
        "link",
        [lambda to: h5py.ExternalLink("other.h5", to), lambda _: h5py.SoftLink("/elsewhere")],
        ids=["external", "soft"],
    )
    def test_links(self, model: Path, place: str, link: Callable[[str], Any]) -> None:
        with h5py.File(model, "r+") as file:
            file.move(place, "elsewhere")
            file[place] = link(place)
            assert file[place].name  # h5py would follow it
        with pytest.raises(ConversionError, match=f"{place} is a link to elsewhere, expected what"):
            read_keras(model)

    @pytest.mark.parametrize("spelling", ["dense/bias:0", "./dense//kernel:0"])
    def test_an_array_that_is_named_twice(self, model: Path, spelling: str) -> None:
        with h5py.File(model, "r+") as file:
            names = ["dense/kernel:0", spelling]
            file["model_weights/dense"].attrs["weight_names"] = names
            del file[self.BIAS]
            file[self.BIAS] = file["model_weights/dense/dense/kernel:0"]
        with pytest.raises(ConversionError, match="is named twice, expected an array of its own"):
            read_keras(model)


def pack(file: Path, members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return file


class TestZip:
    @pytest.fixture
    def members(self, golden: Path) -> dict[str, bytes]:
        with zipfile.ZipFile(golden / "plain.keras") as archive:
            return {name: archive.read(name) for name in archive.namelist()}

    @pytest.mark.parametrize("name", ["config.json", "model.weights.h5"])
    def test_bombs(
        self,
        name: str,
        members: dict[str, bytes],
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(keras_files, "MOST_JSON_BYTES", 2**20)
        file = pack(tmp_path / "x.keras", {**members, name: bytes(2**24)})
        with pytest.raises(ConversionError, match=rf"x\.keras: {name} unpacks to far more than"):
            read_keras(file)

    def test_a_bomb_that_lies_about_its_size(
        self, members: dict[str, bytes], tmp_path: Path
    ) -> None:
        file = pack(tmp_path / "x.keras", {**members, "config.json": bytes(2**24)})
        told = struct.pack("<I", 2**24)
        file.write_bytes(file.read_bytes().replace(told, struct.pack("<I", 100)))
        with pytest.raises(
            ConversionError, match=r"not a complete \.keras file: Bad CRC-32 for file"
        ):
            read_keras(file)

    def test_broken_lzma(self, members: dict[str, bytes], tmp_path: Path) -> None:
        file = pack(tmp_path / "x.keras", members, zipfile.ZIP_LZMA)
        data = bytearray(file.read_bytes())
        middle = len(data) // 2
        data[middle : middle + 64] = b"\xff" * 64
        file.write_bytes(data)
        with pytest.raises(ConversionError, match=r"not a complete \.keras file") as caught:
            read_keras(file)
        assert isinstance(caught.value.__cause__, lzma.LZMAError)

    def test_encrypted(self, members: dict[str, bytes], tmp_path: Path) -> None:
        file = pack(tmp_path / "x.keras", members)
        data = bytearray(file.read_bytes())
        with zipfile.ZipFile(file) as archive:
            places = [info.header_offset + 6 for info in archive.infolist()]
            place = archive.start_dir
            for _ in places:
                place = data.index(b"PK\x01\x02", place)
                data[place + 8] |= 1
                place += 4
        for place in places:
            data[place] |= 1
        file.write_bytes(data)
        with pytest.raises(ConversionError, match=r"File 'config\.json' is encrypted"):
            read_keras(file)

    def test_no_member_is_written_anywhere(self, members: dict[str, bytes], tmp_path: Path) -> None:
        (tmp_path / "in").mkdir()
        evil = {"../evil": b"1", str(tmp_path / "evil"): b"1"}
        read_keras(pack(tmp_path / "in/x.keras", {**evil, **members}))
        assert [path.name for path in tmp_path.rglob("*")] == ["in", "x.keras"]

    def test_links_inside(self, members: dict[str, bytes], tmp_path: Path) -> None:
        content = io.BytesIO(members["model.weights.h5"])
        with h5py.File(content, "r+") as file:
            del file["layers"]
            file["layers"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "/layers")
        members["model.weights.h5"] = content.getvalue()
        with pytest.raises(ConversionError, match="layers is a link to elsewhere"):
            read_keras(pack(tmp_path / "x.keras", members))


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("Conv2D", "conv2d"),
        ("Conv2DTranspose", "conv2d_transpose"),
        ("GlobalAveragePooling1D", "global_average_pooling1d"),
        ("LayerNormalization", "layer_normalization"),
        ("MultiHeadAttention", "multi_head_attention"),
        ("TFOpLambda", "tf_op_lambda"),
        ("PatchEncoder", "patch_encoder"),
        ("ReLU", "re_lu"),
        ("LSTM", "lstm"),
    ],
)
def test_names_of_classes(kind: str, name: str) -> None:
    assert keras_files._snake_case(kind) == name
