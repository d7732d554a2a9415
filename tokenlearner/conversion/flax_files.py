"""Flax checkpoint files, read and written without JAX or Flax: msgpack and NumPy.

    checkpoint = read_checkpoint(file)
    checkpoint.params          # flat dict, nested Flax names joined by `/`

A file is one msgpack map of nested maps. An array is an extension of type 1: a msgpack list of
shape, name of the dtype and bytes in C order. Arrays over 1 GiB lie in pieces in a map that has the
key `__msgpack_chunked_array__`.

Source: flax.serialization.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tokenlearner.conversion.flax_folders import SAVE_WITH_FLAX
from tokenlearner.errors import ConversionError
from tokenlearner.storage import write_whole

_CHUNKED = "__msgpack_chunked_array__"
_CHUNK_BYTES = 2**30
_ARRAY, _SCALAR = 1, 3  # types of extensions
_DTYPES = ("bool", "float16", "float32", "float64", "int8", "int16", "int32", "int64")
_DTYPES += ("uint8", "uint16", "uint32", "uint64")
# What no checkpoint of a model comes near, and what keeps a small file from filling the memory.
_MOST_ENTRIES, _DEEPEST, _MOST_AXES = 100_000, 64, 32
_PLACEHOLDERS = ("PLACEHOLDER://", "//GDAPlaceholder:")


class _Extension(NamedTuple):
    """An extension as it lies in the file; only those of the parameters are opened."""

    code: int
    data: bytes


@dataclass(frozen=True, slots=True)
class FlaxCheckpoint:
    """What a checkpoint file holds.

    Attributes:
        file: Where it was read from.
        layout: Where in the file the parameters lie: `params`, `optimizer/target`,
            `optimizer/target/params`, or empty for a file of parameters alone.
        params: They, by their nested names joined by `/`; half precision widened to float32.
        step: Training step that the file tells; None if it does not.
        left_out: What else lies in the file, such as the optimizer's state.
    """

    file: Path
    layout: str
    params: dict[str, np.ndarray]
    step: int | None
    left_out: tuple[str, ...]


def read_checkpoint(file: Path) -> FlaxCheckpoint:
    """Reads the parameters of a checkpoint file.

    Raises:
        ConversionError: If it is not a complete msgpack file, holds no parameters, or an array is
            broken.
    """
    tree = _unpack(file.read_bytes(), file)
    if not isinstance(tree, dict):
        raise ConversionError(f"{file} holds {type(tree).__name__}, expected a map of parameters")
    layout, params = _find_params(tree, file)
    return FlaxCheckpoint(
        file=file,
        layout=layout,
        params={name: _array(leaf, name, file) for name, leaf in _walk(params, file)},
        step=_step_of(tree),
        left_out=tuple(sorted(set(tree) - {layout.partition("/")[0]})) if layout else (),
    )


def write_checkpoint(file: Path, params: Mapping[str, np.ndarray], *, step: int = 0) -> None:
    """Writes parameters as the official code restores them: `params` in a train state.

    Args:
        file: Appears whole or not at all.
        params: Flat dict, nested names joined by `/`.
        step: Training step to tell.
    """
    tree: dict[str, Any] = {}
    for name, array in params.items():
        *folders, last = name.split("/")
        place = tree
        for folder in folders:
            place = place.setdefault(folder, {})
        place[last] = _pack_array(array)
    state = {"global_step": step, "model_state": {}, "params": tree}
    write_whole(file, _msgpack().packb(state, use_bin_type=True))


def _msgpack() -> Any:
    try:
        import msgpack
    except ImportError as error:
        raise ConversionError("Scenic checkpoints need msgpack; pip install msgpack") from error
    return msgpack


def _unpack(data: bytes, file: Path) -> Any:
    try:
        return _msgpack().unpackb(
            data,
            ext_hook=_Extension,
            object_pairs_hook=_unique,
            max_map_len=_MOST_ENTRIES,
            max_array_len=_MOST_ENTRIES,
        )
    except (ValueError, TypeError, RecursionError) as error:
        reason = str(error) or type(error).__name__
        raise ConversionError(f"{file} is not a complete msgpack file: {reason}") from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    mapping = dict(pairs)
    if len(mapping) < len(pairs):
        raise ValueError("a map names a key twice")
    if not all(isinstance(key, str) for key in mapping):
        raise ValueError("a map has a key that is not text")
    return mapping


def _find_params(tree: dict[str, Any], file: Path) -> tuple[str, dict[str, Any]]:
    layout, params = "", tree
    optimizer = tree.get("optimizer")
    if isinstance(optimizer, dict) and "target" in optimizer:
        layout, params = "optimizer/target", optimizer["target"]
    elif "params" in tree:
        layout, params = "params", tree["params"]
    if layout and isinstance(params, dict) and set(params) == {"params"}:  # an older form
        layout, params = f"{layout}/params", params["params"]
    if not isinstance(params, dict) or not params:
        raise ConversionError(
            f"{file}: {layout or 'it'} holds no parameters; wanted params or optimizer/target"
        )
    return layout, params


def _step_of(tree: dict[str, Any]) -> int | None:
    step = tree.get("global_step")
    if isinstance(step, _Extension):
        try:
            step = int(_open(step, "global_step"))
        except (ConversionError, TypeError, ValueError):
            return None
    return step if isinstance(step, int) else None


def _walk(
    tree: dict[str, Any], file: Path, above: tuple[str, ...] = ()
) -> Iterator[tuple[str, Any]]:
    if len(above) > _DEEPEST:
        raise ConversionError(f"{file} is nested deeper than {_DEEPEST} levels at {above[0]!r}")
    for name, value in tree.items():
        if "/" in name:  # two arrays could get the same name
            raise ConversionError(f"{file}: got the name {name!r}, expected none with a slash")
        place = (*above, name)
        if isinstance(value, dict) and _CHUNKED not in value:
            yield from _walk(value, file, place)
        else:
            yield "/".join(place), value


def _array(leaf: Any, name: str, file: Path) -> np.ndarray:
    """Opens a leaf of the parameters."""
    try:
        if isinstance(leaf, dict):
            return _join(leaf, name)
        if isinstance(leaf, _Extension):
            return _open(leaf, name)
    except ConversionError as error:
        raise ConversionError(f"{file}: {error}") from error
    if isinstance(leaf, str) and leaf.startswith(_PLACEHOLDERS):
        raise ConversionError(
            f"{file}: array {name!r} lies beside it in Orbax's TensorStore format, which needs JAX "
            f"to read; {SAVE_WITH_FLAX}"
        )
    raise ConversionError(f"{file}: {name!r} is {type(leaf).__name__}, expected an array")


def _open(extension: _Extension, name: str) -> np.ndarray:
    if extension.code not in (_ARRAY, _SCALAR):
        raise ConversionError(f"{name!r} is an extension of type {extension.code}, expected 1")
    try:
        content = _msgpack().unpackb(extension.data, max_array_len=_MOST_AXES)
    except (ValueError, TypeError) as error:
        raise ConversionError(f"array {name!r} is broken: {error}") from error
    if not isinstance(content, list) or len(content) != 3:
        raise ConversionError(f"array {name!r} is broken: wanted shape, dtype and bytes")
    shape, dtype, data = content
    shape = _shape(shape, name)
    if dtype != "bfloat16" and dtype not in _DTYPES:
        raise ConversionError(f"array {name!r}: got dtype {dtype!r}, expected float32")
    stored = np.dtype(np.uint16 if dtype == "bfloat16" else dtype)
    if not isinstance(data, bytes) or len(data) != math.prod(shape) * stored.itemsize:
        raise ConversionError(
            f"array {name!r}: got {len(data) if isinstance(data, bytes) else 'no'} bytes, expected "
            f"{math.prod(shape) * stored.itemsize} for {dtype} {shape}"
        )
    flat = np.frombuffer(data, stored.newbyteorder("<"))
    if dtype == "bfloat16":  # the upper half of a float32
        flat = (flat.astype(np.uint32) << 16).view(np.float32)
    elif dtype == "float16":
        flat = flat.astype(np.float32)
    return _reshape(flat, shape, name)


def _join(chunks: dict[str, Any], name: str) -> np.ndarray:
    """Joins an array that Flax cut because msgpack holds no more than 4 GiB in one."""
    shape, pieces = chunks.get("shape"), chunks.get("chunks")
    if not isinstance(pieces, dict) or not pieces or set(pieces) != set(_numbered(pieces)):
        raise ConversionError(f"array {name!r} is broken: its pieces are not numbered from 0")
    if isinstance(shape, dict) and set(shape) == set(_numbered(shape)):
        shape = [shape[key] for key in _numbered(shape)]
    shape = _shape(shape, name)
    parts = []
    for key in _numbered(pieces):
        if not isinstance(pieces[key], _Extension):
            raise ConversionError(f"array {name!r} is broken: piece {key} is not an array")
        parts.append(_open(pieces[key], name).ravel())
    flat = np.concatenate(parts)
    if flat.size != math.prod(shape):
        raise ConversionError(
            f"array {name!r}: got {flat.size} numbers in {len(parts)} pieces, expected "
            f"{math.prod(shape)} for {shape}"
        )
    return _reshape(flat, shape, name)


def _numbered(entries: dict[str, Any]) -> list[str]:
    return [str(number) for number in range(len(entries))]


def _shape(shape: Any, name: str) -> tuple[int, ...]:
    if not isinstance(shape, list) or not all(type(n) is int and n >= 0 for n in shape):
        raise ConversionError(f"array {name!r}: got shape {shape!r}, expected whole numbers from 0")
    return tuple(shape)


def _reshape(flat: np.ndarray, shape: tuple[int, ...], name: str) -> np.ndarray:
    try:
        return flat.reshape(shape)
    except ValueError as error:  # an axis that no array can have, beside one of length 0
        raise ConversionError(f"array {name!r}: got shape {shape}: {error}") from error


def _pack_array(array: np.ndarray) -> Any:
    if array.nbytes <= _CHUNK_BYTES:
        msgpack = _msgpack()
        content = (array.shape, array.dtype.name, array.tobytes())
        return msgpack.ExtType(_ARRAY, msgpack.packb(content, use_bin_type=True))
    length = max(1, _CHUNK_BYTES // array.itemsize)
    flat = array.ravel()
    pieces = [flat[start : start + length] for start in range(0, flat.size, length)]
    return {
        _CHUNKED: True,
        "shape": {str(axis): size for axis, size in enumerate(array.shape)},
        "chunks": {str(order): _pack_array(piece) for order, piece in enumerate(pieces)},
    }
