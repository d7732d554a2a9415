"""Variables of a SavedModel, byte by byte, and files that claim more than they hold."""

import struct
from pathlib import Path

import numpy as np
import pytest

from tokenlearner.conversion.tensor_bundle import read_bundle
from tokenlearner.errors import ConversionError

GRAPH = b"_CHECKPOINTABLE_OBJECT_GRAPH"
VALUES = np.array([1.5, -2.0], np.float32)


def varint(number: int) -> bytes:
    low, rest = number & 0x7F, number >> 7
    return bytes([low | 0x80]) + varint(rest) if rest else bytes([low])


def message(*fields: tuple[int, int | bytes]) -> bytes:
    data = b""
    for number, value in fields:
        if isinstance(value, int):
            data += varint(number << 3) + varint(value)
        else:
            data += varint(number << 3 | 2) + varint(len(value)) + value
    return data


def entry(offset: int, size: int, *, dtype: int = 1, length: int = 2) -> bytes:
    shape = message((2, message((1, length))))
    return message((1, dtype), (2, shape), (4, offset), (5, size))


def block(entries: list[tuple[int, bytes, bytes]]) -> bytes:
    """Entries are what of the last key is kept, what is added to that, and the value."""
    lines = (varint(kept) + varint(len(new)) + varint(len(v)) + new + v for kept, new, v in entries)
    return b"".join(lines) + struct.pack("<II", 0, 1)


def table(*blocks: list[tuple[int, bytes, bytes]], repeat: int = 1) -> bytes:
    data, index = b"", []
    for entries in blocks:
        body = block(entries)
        index += [(0, bytes([n]), varint(len(data)) + varint(len(body))) for n in range(repeat)]
        data += body + bytes(5)  # not compressed; a checksum
    body = block(index)
    footer = varint(0) * 2 + varint(len(data)) + varint(len(body))
    magic = struct.pack("<Q", 0xDB4775248B80FB57)
    return data + body + bytes(5) + footer.ljust(40, b"\0") + magic


def write(folder: Path, index: bytes, data: bytes = b"") -> Path:
    (folder / "v.index").write_bytes(index)
    (folder / "v.data-00000-of-00001").write_bytes(data)
    return folder / "v"


def model(folder: Path, value: bytes, *, more: bytes = b"") -> Path:
    """A root with two attributes, `a` and `b`, that lead to one variable."""
    children = [(1, message((1, 1), (2, name))) for name in (b"a", b"b")]
    graph = message((1, message(*children)), (1, message((2, message((3, b"weights"))))))
    text = varint(len(graph)) + bytes(4) + graph
    data = VALUES.tobytes() + text + more
    entries = [(0, GRAPH, entry(8, len(text), dtype=7)), (0, b"weights", value)]
    return write(folder, table(entries), data)


def test_a_variable_is_read_once(tmp_path: Path) -> None:
    bundle = read_bundle(model(tmp_path, entry(0, 8)))
    assert bundle.variable("a").tolist() == VALUES.tolist()
    with pytest.raises(ConversionError, match="'weights' is the value of two variables"):
        bundle.variable("b")
    with pytest.raises(ConversionError, match="missing variable 'c'"):
        bundle.variable("c")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (entry(10**6, 8), r"v\.data-00000-of-00001 is cut off before the end of 'weights'"),
        (entry(2**63, 8), "is cut off before the end of"),
        (entry(0, 8, length=3), r"got 8 bytes, expected 12 for float32 \(3,\)"),
        (entry(0, 8, length=2**62), "got 8 bytes, expected"),
        (entry(0, 8, dtype=4), "'weights' is not a complete float32 tensor"),
    ],
)
def test_places_outside_the_file(tmp_path: Path, value: bytes, message: str) -> None:
    bundle = read_bundle(model(tmp_path, value))
    with pytest.raises(ConversionError, match=message):
        bundle.variable("a")


def test_tensors_that_share_bytes(tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match=r"its tensors have \S+ bytes, but its data files"):
        read_bundle(model(tmp_path, entry(0, 9)))


def test_keys_that_grow_at_no_cost(tmp_path: Path) -> None:
    keys = [(0, b"k" * 4000, b"")] + [(4000 + n, b"k", b"") for n in range(200)]
    with pytest.raises(ConversionError, match="a key is longer than 4096 bytes"):
        read_bundle(write(tmp_path, table(keys)))


def test_a_block_that_is_named_again_and_again(tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match="its keys are not in order"):
        read_bundle(write(tmp_path, table([(0, b"a", b""), (0, b"b", b"")], repeat=2)))
