"""Variables of a TensorFlow SavedModel, read without TensorFlow; nothing of its graph is run.

    bundle = read_bundle(Path("model/variables/variables"))
    bundle.variable("layer_with_weights-0/kernel")

`variables.index` is a sorted table of blocks; it tells for each key the dtype, shape and place of a
tensor in `variables.data-*`. One key holds the graph of objects, which leads from attribute names
to keys.

Source: tensor_bundle.proto, trackable_object_graph.proto and lib/io/table_format.txt of TensorFlow.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tokenlearner.errors import ConversionError

_MAGIC = 0xDB4775248B80FB57.to_bytes(8, "little")
_FOOTER_BYTES = 48
_MOST_KEY_BYTES = 4096  # each key may repeat the one before it, at no cost in the file
_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
_DTYPES = {1: np.dtype("<f4"), 2: np.dtype("<f8"), 3: np.dtype("<i4"), 9: np.dtype("<i8")}
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5  # wire types

Message = dict[int, list[int | bytes]]


@dataclass(frozen=True, slots=True)
class Bundle:
    """The variables of a SavedModel.

    Attributes:
        prefix: Path of its files without their endings.
        entries: What the index tells of each key.
        children: For each object, the numbers of its children, by attribute.
        keys: For each object that is a variable, its key.
        read: Keys that were read. Each is read once, lest a small file fill the memory.
    """

    prefix: Path
    entries: dict[str, Message]
    children: list[dict[str, int]]
    keys: dict[int, str]
    read: set[str] = field(default_factory=set)

    def find(self, path: str) -> int | None:
        """Returns the number of the object that attribute names joined by `/` lead to."""
        node = 0
        for name in path.split("/"):
            if name not in self.children[node]:
                return None
            node = self.children[node][name]
        return node

    def variable(self, path: str) -> np.ndarray:
        """Returns the value of a variable.

        Raises:
            ConversionError: If there is none, if another has it too, or if its data are missing or
                cut off.
        """
        node = self.find(path)
        if node is None or node not in self.keys:
            raise ConversionError(f"{self.prefix}.index: missing variable {path!r}")
        return self._read(self.keys[node])

    def names_under(self, path: str) -> Iterator[str]:
        """Yields the names of the variables that an object, or an object of it, has."""
        node = self.find(path)
        for name, child in self.children[node].items() if node is not None else ():
            if child in self.keys:
                yield name
            for inner, grandchild in self.children[child].items():
                if grandchild in self.keys and name != "keras_api":
                    yield f"{name}/{inner}"

    def _read(self, key: str) -> np.ndarray:
        if key in self.read:
            raise ConversionError(f"{self.prefix}.index: {key!r} is the value of two variables")
        self.read.add(key)
        entry = self.entries[key]
        dtype = _DTYPES.get(_number(entry, 1))
        if dtype is None or 7 in entry:
            raise ConversionError(f"{self.prefix}.index: {key!r} is not a complete float32 tensor")
        shape = tuple(_number(_parse(dim), 1) for dim in _parse(_bytes(entry, 2)).get(2, []))
        data = _slice(self.prefix, entry, key)
        if len(data) != math.prod(shape) * dtype.itemsize:
            raise ConversionError(
                f"{self.prefix}.index: {key!r}: got {len(data)} bytes, expected "
                f"{math.prod(shape) * dtype.itemsize} for {dtype} {shape}"
            )
        return np.frombuffer(data, dtype).reshape(shape)


def read_bundle(prefix: Path) -> Bundle:
    """Reads the index; variables are read when they are asked for.

    Raises:
        ConversionError: If it is missing, broken or of a kind that is not read here.
    """
    index = prefix.with_name(prefix.name + ".index")
    try:
        data = index.read_bytes()
        entries = {name.decode(): _parse(value) for name, value in _table(data) if name}
        _check_places(prefix, entries)
        if _GRAPH not in entries:
            raise ConversionError(f"{index} has no graph of objects; it is not a Keras SavedModel")
        graph = _parse(_text(_slice(prefix, entries[_GRAPH], _GRAPH)))
        return _objects(prefix, entries, graph)
    except OSError as error:
        raise ConversionError(f"cannot read {error.filename}: {error.strerror}") from error
    except (IndexError, KeyError, TypeError, ValueError, OverflowError) as error:
        raise ConversionError(f"{index} is not a complete TensorFlow index: {error}") from error


def parse_message(data: bytes, origin: Path) -> Message:
    """Returns the fields of a protocol buffer by number.

    Raises:
        ConversionError: If it is broken.
    """
    try:
        return _parse(data)
    except (IndexError, KeyError, TypeError, ValueError) as error:
        raise ConversionError(f"{origin} is not a complete protocol buffer: {error}") from error


def _check_places(prefix: Path, entries: dict[str, Message]) -> None:
    """Raises ValueError if tensors share bytes: more of them are named than the files hold."""
    files = prefix.parent.glob(f"{prefix.name}.data-*-of-*")
    there = sum(file.stat().st_size for file in files)
    named = sum(_number(entry, 5) for entry in entries.values())
    if named > there:
        raise ValueError(f"its tensors have {named:,} bytes, but its data files {there:,}")


def _objects(prefix: Path, entries: dict[str, Message], graph: Message) -> Bundle:
    children, keys = [], {}
    nodes = [_parse(node) for node in graph.get(1, [])]
    for number, node in enumerate(nodes):
        names = {}
        for child in map(_parse, node.get(1, [])):
            target = _number(child, 1)
            if target >= len(nodes):
                raise ValueError(f"object {number} has a child {target} of {len(nodes)}")
            names[_bytes(child, 2).decode()] = target
        children.append(names)
        for attribute in map(_parse, node.get(2, [])):
            key = _bytes(attribute, 3).decode()
            if key in entries:
                keys[number] = key
    if not children:
        raise ValueError("its graph of objects is empty")
    return Bundle(prefix, entries, children, keys)


def _slice(prefix: Path, entry: Message, key: str) -> bytes:
    shard, offset, size = (_number(entry, field) for field in (3, 4, 5))
    files = sorted(prefix.parent.glob(f"{prefix.name}.data-{shard:05d}-of-*"))
    if len(files) != 1:
        raise ConversionError(f"{prefix}.data-{shard:05d}-of-*: got {len(files)} files, expected 1")
    if offset + size > files[0].stat().st_size:
        raise ConversionError(f"{files[0]} is cut off before the end of {key!r}")
    with files[0].open("rb") as file:
        file.seek(offset)
        return file.read(size)


def _text(data: bytes) -> bytes:
    """Returns the one string of a tensor of strings: its length, a checksum of that, itself."""
    length, start = _varint(data, 0)
    if len(data) != start + 4 + length:
        raise ValueError("its graph of objects is cut off")
    return data[start + 4 :]


def _table(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    if len(data) < _FOOTER_BYTES or data[-8:] != _MAGIC:
        raise ValueError("it does not end as a table does")
    footer = data[-_FOOTER_BYTES:]
    at = 0
    handle = []
    for _ in range(4):
        number, at = _varint(footer, at)
        handle.append(number)
    last = None
    for _, place in _block(data, handle[2], handle[3]):
        offset, at = _varint(place, 0)
        size, _ = _varint(place, at)
        for key, value in _block(data, offset, size):
            if last is not None and key <= last:  # also a block that is named again and again
                raise ValueError("its keys are not in order")
            last = key
            yield key, value


def _block(data: bytes, offset: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    block = data[offset : offset + size]
    if len(block) < 4 or offset + size >= len(data):
        raise ValueError("a block is cut off")
    if data[offset + size] != 0:
        raise ValueError("its blocks are compressed")
    end = size - 4 - 4 * int.from_bytes(block[-4:], "little")
    key, at = b"", 0
    while at < end:
        shared, at = _varint(block, at)
        fresh, at = _varint(block, at)
        length, at = _varint(block, at)
        key = key[:shared] + block[at : at + fresh]
        if len(key) > _MOST_KEY_BYTES:
            raise ValueError(f"a key is longer than {_MOST_KEY_BYTES} bytes")
        yield key, block[at + fresh : at + fresh + length]
        at += fresh + length


def _parse(data: int | bytes) -> Message:
    if not isinstance(data, bytes):
        raise TypeError("a message was expected")
    message: Message = {}
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        value: int | bytes
        if tag & 7 == _VARINT:
            value, at = _varint(data, at)
        else:
            if tag & 7 == _BYTES:
                length, at = _varint(data, at)
            else:
                length = {_FIXED64: 8, _FIXED32: 4}[tag & 7]
            value = data[at : at + length]
            at += length
            if at > len(data):
                raise ValueError("a message is cut off")
        message.setdefault(tag >> 3, []).append(value)
    return message


def _varint(data: bytes, at: int) -> tuple[int, int]:
    number = 0
    for order in range(10):
        byte = data[at]
        at += 1
        number |= (byte & 0x7F) << (7 * order)
        if byte < 0x80:
            return number, at
    raise ValueError("a number is longer than 64 bits")


def _number(message: Message, field: int) -> int:
    value = message.get(field, [0])[-1]
    if not isinstance(value, int):
        raise TypeError(f"field {field} is not a number")
    return value


def _bytes(message: Message, field: int) -> bytes:
    value = message.get(field, [b""])[-1]
    if not isinstance(value, bytes):
        raise TypeError(f"field {field} is not text")
    return value
