"""Layers and weights of a saved Keras model, read without Keras or TensorFlow.

Three formats hold the same: `.keras` (a zip of config.json and model.weights.h5), `.h5` (HDF5 with
the configuration as an attribute) and Keras 2's SavedModel folder (keras_metadata.pb and a tensor
bundle). The configuration is read as data; no layer, lambda or graph in it is run.
"""

import io
import lzma
import re
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tokenlearner.conversion.keras_layers import (
    ATTENTION,
    MOST_JSON_BYTES,
    PAIRS,
    KerasLayer,
    make_layers,
    parse_json,
    roles_of,
)
from tokenlearner.conversion.tensor_bundle import Bundle, parse_message, read_bundle
from tokenlearner.errors import ConversionError

_MOST_RATIO = 50  # a zip's content over its size; weights hardly shrink


def read_keras(path: Path) -> tuple[KerasLayer, ...]:
    """Returns the layers of a saved model in the order of use.

    Raises:
        ConversionError: If it is none, is broken, or h5py is missing.
    """
    try:
        if path.is_dir():
            return _read_saved_model(path)
        with path.open("rb") as file:
            start = file.read(8)
        if start.startswith(b"PK"):
            return _read_zip(path)
        if start == b"\x89HDF\r\n\x1a\n":
            return _read_hdf5(path)
    except OSError as error:
        raise ConversionError(f"cannot read {path}: {error}") from error
    except (KeyError, TypeError, AttributeError, IndexError, ValueError, RecursionError) as error:
        raise ConversionError(
            f"{path} holds no functional Keras model: {type(error).__name__} {error}"
        ) from error
    raise ConversionError(
        f"{path} is neither a .keras or .h5 file nor a SavedModel folder, whatever its name says"
    )


def _h5py() -> Any:
    try:
        import h5py
    except ImportError as error:
        raise ConversionError("Keras files need h5py; pip install h5py") from error
    return h5py


def _make_reader(file: Any) -> Callable[[dict[str, Any]], dict[str, np.ndarray]]:
    """Returns what reads datasets, each once, and only as large as it lies in this very file.

    A link could lead to any other file of this machine, and a small file could name one array often
    enough to fill the memory.
    """
    h5py = _h5py()

    elsewhere = file.visititems_links(
        lambda name, link: None if isinstance(link, h5py.HardLink) else name
    )
    if elsewhere is not None:
        raise ValueError(f"{elsewhere} is a link to elsewhere, expected what it names")
    taken = set()

    def read(datasets: dict[str, Any]) -> dict[str, np.ndarray]:
        for dataset in datasets.values():
            if not isinstance(dataset, h5py.Dataset):
                raise TypeError(f"{dataset.name} is not a dataset")
            stored = dataset.id.get_storage_size()
            if dataset.external or dataset.is_virtual or dataset.nbytes > stored:
                raise ValueError(
                    f"{dataset.name}: got {stored:,} bytes in the file, expected "
                    f"{dataset.nbytes:,} for {dataset.dtype} {dataset.shape}"
                )
            if dataset in taken:
                raise ValueError(f"{dataset.name} is named twice, expected an array of its own")
            taken.add(dataset)
        return {role: dataset[()] for role, dataset in datasets.items()}

    return read


def _read_hdf5(path: Path) -> tuple[KerasLayer, ...]:
    with _h5py().File(path, "r") as file:
        if "model_config" not in file.attrs:
            raise ConversionError(
                f"{path} holds weights without their model; save it with model.save()"
            )
        model = parse_json(file.attrs["model_config"], "model_config")
        read = _make_reader(file)
        groups = file["model_weights"]

        def fetch(entry: dict[str, Any], roles: list[str]) -> dict[str, np.ndarray]:
            name = entry["config"].get("name") or entry["name"]
            if name not in groups:  # an operation, which Keras does not list
                return {}
            group = groups[name]
            names = [str(weight) for weight in group.attrs["weight_names"]]
            names = [weight for weight in names if "seed" not in weight]
            if roles and len(names) != len(roles):
                raise ValueError(f"layer {name!r}: got {len(names)} weights, expected {len(roles)}")
            found = [group[weight] for weight in names]
            return read(dict(zip(roles or names, found, strict=True)))

        return _all_used(make_layers(model, fetch), groups)


def _read_zip(path: Path) -> tuple[KerasLayer, ...]:
    try:
        with zipfile.ZipFile(path) as archive:
            most = max(_MOST_RATIO * path.stat().st_size, MOST_JSON_BYTES)
            for name, limit in (("config.json", MOST_JSON_BYTES), ("model.weights.h5", most)):
                if archive.getinfo(name).file_size > limit:
                    raise ConversionError(f"{path}: {name} unpacks to far more than fits")
            model = parse_json(archive.read("config.json"), "config.json")
            content = io.BytesIO(archive.read("model.weights.h5"))
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError) as error:
        raise ConversionError(f"{path} is not a complete .keras file: {error}") from error
    with _h5py().File(content, "r") as file:
        read = _make_reader(file)
        places = _count_up(model["config"]["layers"], file["layers"])

        def fetch(entry: dict[str, Any], roles: list[str]) -> dict[str, np.ndarray]:
            group = next(places)
            found = {} if group is None else dict(_datasets(group, entry))
            if roles and list(found) != roles:
                raise ValueError(
                    f"{group and group.name}: got weights {list(found)}, expected {roles}"
                )
            return read(found)

        return _all_used(make_layers(model, fetch), file["layers"])


def _all_used(layers: tuple[KerasLayer, ...], group: Any) -> tuple[KerasLayer, ...]:
    """Returns the layers if their weights are all that the group holds."""
    there = 0

    def count(name: str, item: Any) -> None:
        nonlocal there
        there += hasattr(item, "shape") and "seed" not in name

    group.visititems(count)
    used = sum(len(layer.weights) for layer in layers)
    if used != there:
        raise ValueError(f"got {there} arrays, expected {used} for the layers that it names")
    return layers


def _count_up(entries: list[dict[str, Any]], group: Any) -> Iterator[Any]:
    """Yields the groups of layers, which a `.keras` file names by class and order."""
    seen: Counter[str] = Counter()
    for entry in entries:
        name = _snake_case(entry["class_name"])
        yield group.get(f"{name}_{seen[name]}" if seen[name] else name)
        seen[name] += 1


def _datasets(group: Any, entry: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yields the datasets of a layer by role, from the group that a `.keras` file has of it."""
    kind = entry["class_name"]
    if kind == "Sequential":
        inner = entry["config"]["layers"]
        places = list(_count_up(inner, group["layers"]))
        order = 0
        for layer, place in zip(inner, places, strict=True):
            if roles_of(layer):
                for role, dataset in _datasets(place, layer):
                    yield f"{order}/{role}", dataset
                order += 1
    elif kind == "MultiHeadAttention":
        for name in ATTENTION:
            place = group.get(f"{name}_dense") or group[f"_{name}_dense"]
            for role, number in zip(("kernel", "bias"), sorted(place["vars"]), strict=False):
                yield f"{name}/{role}", place["vars"][number]
    elif kind in PAIRS:
        for role, number in zip(PAIRS[kind], sorted(group["vars"]), strict=False):
            yield role, group["vars"][number]
    else:
        for name in group:
            place = group[name]["vars"] if name != "vars" and "vars" in group[name] else {}
            if "seed" not in name:
                yield from ((f"{name}/{number}", place[number]) for number in place)
        yield from ((number, group["vars"][number]) for number in group.get("vars", ()))


def _snake_case(name: str) -> str:
    """Returns the name that Keras makes of a class: `LayerNormalization`, layer_normalization.

    A word begins at a capital after a small letter, and at one before a small letter.
    """
    words = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=.)(?=[A-Z][a-z])", "_", name)
    return re.sub(r"[^a-z0-9_]", "", words.lower())


def _read_saved_model(path: Path) -> tuple[KerasLayer, ...]:
    metadata = path / "keras_metadata.pb"
    if not metadata.is_file():
        raise ConversionError(
            f"{path} has no keras_metadata.pb, so it is not a Keras 2 SavedModel; save the "
            "model as a .keras file"
        )
    model = None
    for node in parse_message(metadata.read_bytes(), metadata).get(1, []):
        fields = parse_message(node, metadata) if isinstance(node, bytes) else {}
        if fields.get(3, [b""])[-1] == b"root" and isinstance(
            text := fields.get(5, [b""])[-1], bytes
        ):
            model = parse_json(text, metadata.name)
    if model is None:
        raise ConversionError(f"{metadata} does not describe the model")
    bundle = read_bundle(path / "variables" / "variables")
    order = -1

    def fetch(entry: dict[str, Any], roles: list[str]) -> dict[str, np.ndarray]:
        nonlocal order
        own = f"layer_with_weights-{order + 1}"
        if roles:
            order += 1
            return {role: bundle.variable(_attribute(own, role)) for role in roles}
        if entry["class_name"] not in _PLAIN and (found := _custom(bundle, own)):
            order += 1
            return found
        return {}

    layers = make_layers(model, fetch)
    if bundle.find(f"layer_with_weights-{order + 1}") is not None:
        raise ValueError(f"got more than the {order + 1} layers with weights that it describes")
    return layers


# Layers of the example without weights; any other might have some.
_PLAIN = ("Activation", "Add", "Dropout", "GlobalAveragePooling1D", "GlobalMaxPooling1D")
_PLAIN += ("InputLayer", "Lambda", "Permute", "Reshape", "SlicingOpLambda", "TFOpLambda")
_PLAIN += ("Sequential", "Functional")


def _attribute(layer: str, role: str) -> str:
    owner, _, part = role.rpartition("/")
    if owner in ATTENTION:
        return f"{layer}/_{owner}_dense/{part}"
    return f"{layer}/layer_with_weights-{owner}/{part}" if owner else f"{layer}/{part}"


def _custom(bundle: Bundle, layer: str) -> dict[str, np.ndarray]:
    names = [name for name in bundle.names_under(layer) if name.endswith("embeddings")]
    return {name: bundle.variable(f"{layer}/{name}") for name in names}
