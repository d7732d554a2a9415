"""Checkpoint files of the official train loop: what opens, which one, and what is refused."""

import json
import struct
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pytest

from tokenlearner.conversion import flax_files
from tokenlearner.conversion.flax_files import read_checkpoint, write_checkpoint
from tokenlearner.conversion.flax_folders import find_checkpoint
from tokenlearner.errors import ConversionError

GOLDEN = Path(__file__).parents[1] / "golden"
SMALL = {"a/kernel": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.ones(2, np.float32)}


def pack(array: np.ndarray, *, shape: Any = None, dtype: str | None = None) -> msgpack.ExtType:
    content = (shape or array.shape, dtype or array.dtype.name, array.tobytes())
    return msgpack.ExtType(1, msgpack.packb(content))


def write(file: Path, tree: Any) -> Path:
    data = msgpack.packb(tree)
    assert data is not None
    file.write_bytes(data)
    return file


class TestWhichCheckpoint:
    def test_newest_counts_in_numbers(self, tmp_path: Path) -> None:
        for step in (9, 12, 100, 99):
            (tmp_path / f"checkpoint_{step}").touch()
        assert find_checkpoint(tmp_path).name == "checkpoint_100"
        assert find_checkpoint(tmp_path, 9).name == "checkpoint_9"

    def test_file(self, tmp_path: Path) -> None:
        file = write(tmp_path / "any.name", {})
        assert find_checkpoint(file) == file
        with pytest.raises(ConversionError, match=r"--step picks .* but .*any\.name is a file"):
            find_checkpoint(file, 3)

    def test_unfinished_and_other_files_are_passed_over(self, tmp_path: Path) -> None:
        (tmp_path / "checkpoint_5").touch()
        for name in (
            "checkpoint_9.orbax-checkpoint-tmp-1690000000",
            "checkpoint_9_gda",
            "checkpoint_tmp",
            "events.out.tfevents.1690000000",
            "config.json",
        ):
            (tmp_path / name).touch()
        assert find_checkpoint(tmp_path).name == "checkpoint_5"

    @pytest.mark.parametrize("place", ["checkpoint_8/", "8/default/", "step_8/state/", "./"])
    def test_folders_of_orbax(self, tmp_path: Path, place: str) -> None:
        (tmp_path / place).mkdir(parents=True, exist_ok=True)
        write_checkpoint(tmp_path / place / "checkpoint", SMALL)
        found = read_checkpoint(find_checkpoint(tmp_path))
        assert np.array_equal(found.params["a/kernel"], SMALL["a/kernel"])

    @pytest.mark.parametrize("name", ["manifest.ocdbt", "_METADATA", "d"])
    def test_arrays_in_tensorstore_are_refused(self, tmp_path: Path, name: str) -> None:
        (tmp_path / "checkpoint_8").mkdir()
        (tmp_path / "checkpoint_8" / name).touch()
        with pytest.raises(
            ConversionError, match="TensorStore format, which needs JAX to read; op"
        ):
            find_checkpoint(tmp_path)

    def test_arrays_beside_the_file_are_refused(self, tmp_path: Path) -> None:
        tree = {"params": {"a": {"kernel": "PLACEHOLDER://params.a.kernel"}}}
        file = write(tmp_path / "checkpoint", tree)
        with pytest.raises(ConversionError, match=r"array 'a/kernel' lies beside it in Orbax's"):
            read_checkpoint(file)

    def test_what_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(ConversionError, match="there is no file or folder"):
            find_checkpoint(tmp_path / "none")
        with pytest.raises(ConversionError, match=r"holds no checkpoint; wanted checkpoint_STEP"):
            find_checkpoint(tmp_path)
        (tmp_path / "checkpoint_5").touch()
        with pytest.raises(ConversionError, match="holds no checkpoint of step 6; it has 5"):
            find_checkpoint(tmp_path, 6)
        (tmp_path / "best_5").touch()
        with pytest.raises(ConversionError, match="holds best_5 and checkpoint_5; name the one"):
            find_checkpoint(tmp_path)


class TestLayouts:
    @pytest.mark.parametrize(
        ("tree", "layout"),
        [
            ({"params": {"a": 0}}, "params"),
            ({"params": {"params": {"a": 0}}}, "params/params"),
            ({"optimizer": {"target": {"a": 0}, "state": {}}}, "optimizer/target"),
            ({"optimizer": {"target": {"params": {"a": 0}}}}, "optimizer/target/params"),
            ({"a": 0}, ""),
        ],
    )
    def test_each(self, tmp_path: Path, tree: dict[str, Any], layout: str) -> None:
        text = json.dumps(tree)
        filled = json.loads(
            text, object_hook=lambda d: d | ({"a": pack(SMALL["b"])} if "a" in d else {})
        )
        found = read_checkpoint(write(tmp_path / "x", filled))
        assert found.layout == layout
        assert np.array_equal(found.params["a"], SMALL["b"])

    def test_pieces_of_a_large_array(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(flax_files, "_CHUNK_BYTES", 8)
        write_checkpoint(tmp_path / "x", SMALL)
        stored = msgpack.unpackb((tmp_path / "x").read_bytes())["params"]["a"]["kernel"]
        assert stored["__msgpack_chunked_array__"] is True
        assert stored["shape"] == {"0": 2, "1": 3}
        assert sorted(stored["chunks"]) == ["0", "1", "2"]
        found = read_checkpoint(tmp_path / "x").params
        assert np.array_equal(found["a/kernel"], SMALL["a/kernel"])

    def test_pieces_are_joined_by_number(self, tmp_path: Path) -> None:
        pieces = {str(n): pack(np.full(1, n, np.float32)) for n in range(12)}
        chunked = {"__msgpack_chunked_array__": True, "shape": [12], "chunks": pieces}
        found = read_checkpoint(write(tmp_path / "x", {"params": {"a": chunked}}))
        assert found.params["a"].tolist() == list(range(12))

    def test_half_precision_is_widened(self, tmp_path: Path) -> None:
        bfloat16 = pack(np.array([0x3FC0, 0xC000], np.uint16), dtype="bfloat16")
        half = pack(np.array([1.5], np.float16))
        found = read_checkpoint(write(tmp_path / "x", {"params": {"a": bfloat16, "b": half}}))
        assert found.params["a"].tolist() == [1.5, -2.0]
        assert {array.dtype for array in found.params.values()} == {np.dtype(np.float32)}


def nested(depth: int) -> Any:
    tree: Any = {"a": 1}
    for _ in range(depth):
        tree = {"a": tree}
    return tree


class TestBroken:
    @pytest.mark.parametrize(
        ("leaf", "message"),
        [
            (pack(SMALL["b"], shape=(3,)), r"got 8 bytes, expected 12 for float32 \(3,\)"),
            (pack(SMALL["b"], shape=(2**40, 2**40)), "got 8 bytes, expected"),
            (pack(SMALL["b"][:0], shape=(0, 2**62, 2**62)), r"'a': got shape \(0, 4611686"),
            (pack(SMALL["b"], shape=(-2,)), "expected whole numbers from 0"),
            (pack(SMALL["b"], dtype="object"), "got dtype 'object', expected float32"),
            (msgpack.ExtType(1, b"\xc1"), "array 'a' is broken"),
            (msgpack.ExtType(1, msgpack.packb([1])), "wanted shape, dtype and bytes"),
            (msgpack.ExtType(2, b""), "extension of type 2, expected 1"),
            (3.5, "'a' is float, expected an array"),
            ({"__msgpack_chunked_array__": True}, "its pieces are not numbered from 0"),
            (
                {
                    "__msgpack_chunked_array__": True,
                    "shape": [3],
                    "chunks": {"0": pack(SMALL["b"])},
                },
                r"got 2 numbers in 1 pieces, expected 3",
            ),
        ],
    )
    def test_array_is_named(self, tmp_path: Path, leaf: Any, message: str) -> None:
        file = write(tmp_path / "checkpoint_1", {"params": {"a": leaf}})
        with pytest.raises(ConversionError, match=message) as caught:
            read_checkpoint(file)
        assert "checkpoint_1" in str(caught.value)

    @pytest.mark.parametrize("size", [0, 1, 1000, -1])
    def test_cut_off(self, tmp_path: Path, size: int) -> None:
        data = (GOLDEN / "scenic_checkpoint_old/checkpoint_15000").read_bytes()[:size]
        (tmp_path / "x").write_bytes(data)
        with pytest.raises(ConversionError, match=r"x is not a complete msgpack file"):
            read_checkpoint(tmp_path / "x")

    @pytest.mark.parametrize(
        "bomb",
        [
            b"\x81\xa1a" * 100_000 + b"\x01",  # maps in maps
            b"\x91" * 100_000,  # lists in lists
            b"\xdf\xff\xff\xff\xff",  # a map of 4 thousand million entries
            b"\xdd\xff\xff\xff\xff",
            b"\x81\xa6params\xc9\xff\xff\xff\xff\x01",  # an extension of 4 GiB
            b"\x81\xa6params\xc6\xff\xff\xff\xff",
            b"\xdd" + struct.pack(">I", 300_000) + b"\xc0" * 300_000,
            b"\x81\x91\x01\x01",  # a key that is a list
            b"\x80\x80",  # two documents
            b"\x82\xa1a\x01\xa1a\x02",  # a key twice
            b"\x81\xc4\x01a\x01",  # a key of bytes
        ],
    )
    @pytest.mark.usefixtures("_as_users_run_it")  # checked types would refuse some of them first
    def test_bombs(self, tmp_path: Path, bomb: bytes) -> None:
        (tmp_path / "x").write_bytes(bomb)
        with pytest.raises(ConversionError, match="x is not a complete msgpack file"):
            read_checkpoint(tmp_path / "x")

    def test_two_arrays_of_one_name(self, tmp_path: Path) -> None:
        array = pack(SMALL["b"])
        file = write(tmp_path / "x", {"params": {"a/b": array, "a": {"b": array}}})
        with pytest.raises(ConversionError, match="got the name 'a/b', expected none with a slash"):
            read_checkpoint(file)

    def test_deep_parameters(self, tmp_path: Path) -> None:
        file = write(tmp_path / "x", {"params": nested(200)})
        with pytest.raises(ConversionError, match="is nested deeper than 64 levels at 'a'"):
            read_checkpoint(file)

    @pytest.mark.parametrize(
        "tree", [{}, {"params": {}}, {"params": 3}, {"optimizer": {"target": 1}}]
    )
    def test_no_parameters(self, tmp_path: Path, tree: Any) -> None:
        with pytest.raises(ConversionError, match=r"x: .* holds no parameters; wanted params or"):
            read_checkpoint(write(tmp_path / "x", tree))
