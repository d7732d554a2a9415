"""Layers and weights of a saved Keras model, read without Keras or TensorFlow.

Three formats hold the same: `.keras` (a zip of config.json and model.weights.h5), `.h5` (HDF5 with
the configuration as an attribute) and Keras 2's SavedModel folder (keras_metadata.pb and a tensor
bundle). The configuration is read as data; no layer, lambda or graph in it is run.
"""

import io
import json
import re
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tokenlearner.conversion.tensor_bundle import Bundle, parse_message, read_bundle
from tokenlearner.errors import ConversionError

_MOST_JSON_BYTES = 64 * 2**20
_MOST_RATIO = 50  # a zip's content over its size; weights hardly shrink

ATTENTION = ("query", "key", "value", "output")
_PAIRS = {
    "Conv2D": ("kernel", "bias"),
    "Dense": ("kernel", "bias"),
    "LayerNormalization": ("gamma", "beta"),
}
_CONTAINERS = ("Functional", "Model", "Sequential")


@dataclass(frozen=True, slots=True)
class KerasLayer:
    """One layer of a model.

    Attributes:
        kind: Its class, such as `Dense`.
        name: In the model.
        config: Its options.
        inputs: What the configuration says it is called with.
        weights: Arrays by role: `kernel`, `bias`, `gamma`, `beta`; of an attention `query/kernel`
            and so on; of a Sequential `0/kernel`, counting its layers that have weights; of any
            other layer whatever there is.
        layers: Of a Sequential.
    """

    kind: str
    name: str
    config: dict[str, Any]
    inputs: Any
    weights: dict[str, np.ndarray]
    layers: tuple["KerasLayer", ...] = ()


Fetch = Callable[[dict[str, Any], list[str]], dict[str, np.ndarray]]
"""Returns the weights of a layer, given its entry and its roles (empty where unknown)."""


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


def _roles(entry: dict[str, Any]) -> list[str]:
    """Returns what a layer's weights are, in the order in which Keras counts them."""
    kind, config = entry["class_name"], entry["config"]
    if kind in _PAIRS:
        second = "center" if kind == "LayerNormalization" else "use_bias"
        return list(_PAIRS[kind][: 1 + bool(config.get(second, True))])
    if kind == "MultiHeadAttention":
        parts = ("kernel", "bias") if config.get("use_bias", True) else ("kernel",)
        return [f"{name}/{part}" for name in ATTENTION for part in parts]
    if kind == "Sequential":
        inner = [roles for layer in config["layers"] if (roles := _roles(layer))]
        return [f"{order}/{role}" for order, roles in enumerate(inner) for role in roles]
    return []


def _layers(model: dict[str, Any], fetch: Fetch) -> tuple[KerasLayer, ...]:
    if model["class_name"] not in _CONTAINERS:
        raise ValueError(f"its class is {model['class_name']}")
    return tuple(_layer(entry, fetch(entry, _roles(entry))) for entry in model["config"]["layers"])


def _layer(entry: dict[str, Any], weights: dict[str, np.ndarray]) -> KerasLayer:
    config = entry["config"]
    inner = config["layers"] if entry["class_name"] in _CONTAINERS else ()
    return KerasLayer(
        kind=entry["class_name"],
        name=config.get("name") or entry.get("name", ""),
        config=config,
        inputs=entry.get("inbound_nodes"),
        weights=weights,
        layers=tuple(_layer(layer, {}) for layer in inner),
    )


def _parse_json(text: str | bytes, origin: str) -> dict[str, Any]:
    if len(text) > _MOST_JSON_BYTES:
        raise ConversionError(f"{origin} has {len(text):,} bytes; that is no configuration")
    content = json.loads(text, object_hook=_without_tuples)
    if not isinstance(content, dict):
        raise TypeError(f"{origin} is {type(content).__name__}, expected an object")
    return content


def _without_tuples(entry: dict[str, Any]) -> Any:
    """Returns the list that Keras 2 wraps where it means a tuple; all else as it is."""
    return entry["items"] if entry.get("class_name") == "__tuple__" else entry


def _h5py() -> Any:
    try:
        import h5py
    except ImportError as error:
        raise ConversionError(
            "Keras files need h5py; pip install 'tokenlearner[convert]'"
        ) from error
    return h5py


def _value(dataset: Any) -> np.ndarray:
    """Returns a dataset that lies in the file as large as it says it is."""
    if not isinstance(dataset, _h5py().Dataset):
        raise TypeError(f"{dataset.name} is no dataset")
    if dataset.external or dataset.is_virtual or dataset.nbytes > dataset.id.get_storage_size():
        raise ValueError(
            f"{dataset.name}: got {dataset.id.get_storage_size():,} bytes in the file, expected "
            f"{dataset.nbytes:,} for {dataset.dtype} {dataset.shape}"
        )
    return dataset[()]


def _read_hdf5(path: Path) -> tuple[KerasLayer, ...]:
    with _h5py().File(path, "r") as file:
        if "model_config" not in file.attrs:
            raise ConversionError(
                f"{path} holds weights without their model; save it with model.save()"
            )
        model = _parse_json(file.attrs["model_config"], "model_config")
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
            arrays = [_value(group[weight]) for weight in names]
            return dict(zip(roles or names, arrays, strict=True))

        return _all_used(_layers(model, fetch), groups)


def _read_zip(path: Path) -> tuple[KerasLayer, ...]:
    try:
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                if info.file_size > max(_MOST_RATIO * path.stat().st_size, _MOST_JSON_BYTES):
                    raise ConversionError(f"{path}: {info.filename} unpacks to far more than fits")
            model = _parse_json(archive.read("config.json"), "config.json")
            content = io.BytesIO(archive.read("model.weights.h5"))
    except (zipfile.BadZipFile, EOFError, NotImplementedError) as error:
        raise ConversionError(f"{path} is no whole .keras file: {error}") from error
    with _h5py().File(content, "r") as file:
        places = _count_up(model["config"]["layers"], file["layers"])

        def fetch(entry: dict[str, Any], roles: list[str]) -> dict[str, np.ndarray]:
            group = next(places)
            found = {} if group is None else dict(_datasets(group, entry))
            if roles and list(found) != roles:
                raise ValueError(
                    f"{group and group.name}: got weights {list(found)}, expected {roles}"
                )
            return found

        return _all_used(_layers(model, fetch), file["layers"])


def _all_used(layers: tuple[KerasLayer, ...], group: Any) -> tuple[KerasLayer, ...]:
    """Returns the layers if their weights are all that the group holds."""
    there: list[str] = []
    group.visititems(
        lambda name, item: (
            there.append(name) if hasattr(item, "shape") and "seed" not in name else None
        )
    )
    used = sum(len(layer.weights) for layer in layers)
    if used != len(there):
        raise ValueError(f"got {len(there)} arrays, expected {used} for the layers that it names")
    return layers


def _count_up(entries: list[dict[str, Any]], group: Any) -> Iterator[Any]:
    """Yields the groups of layers, which a `.keras` file names by class and order."""
    seen: Counter[str] = Counter()
    for entry in entries:
        name = _snake_case(entry["class_name"])
        yield group.get(f"{name}_{seen[name]}" if seen[name] else name)
        seen[name] += 1


def _datasets(group: Any, entry: dict[str, Any]) -> Iterator[tuple[str, np.ndarray]]:
    kind = entry["class_name"]
    if kind == "Sequential":
        inner = entry["config"]["layers"]
        places = list(_count_up(inner, group["layers"]))
        order = 0
        for layer, place in zip(inner, places, strict=True):
            if _roles(layer):
                for role, array in _datasets(place, layer):
                    yield f"{order}/{role}", array
                order += 1
    elif kind == "MultiHeadAttention":
        for name in ATTENTION:
            place = group.get(f"{name}_dense") or group[f"_{name}_dense"]
            for role, number in zip(("kernel", "bias"), sorted(place["vars"]), strict=False):
                yield f"{name}/{role}", _value(place["vars"][number])
    elif kind in _PAIRS:
        for role, number in zip(_PAIRS[kind], sorted(group["vars"]), strict=False):
            yield role, _value(group["vars"][number])
    else:
        for name in group:
            place = group[name]["vars"] if name != "vars" and "vars" in group[name] else {}
            if "seed" not in name:
                yield from ((f"{name}/{number}", _value(place[number])) for number in place)
        yield from ((number, _value(group["vars"][number])) for number in group.get("vars", ()))


def _snake_case(name: str) -> str:
    """Returns the name that Keras makes of a class: `LayerNormalization`, layer_normalization."""
    name = re.sub(r"\W+", "", name)
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def _read_saved_model(path: Path) -> tuple[KerasLayer, ...]:
    metadata = path / "keras_metadata.pb"
    if not metadata.is_file():
        raise ConversionError(
            f"{path} has no keras_metadata.pb, so it is no SavedModel of Keras 2; save the "
            "model as a .keras file"
        )
    model = None
    for node in parse_message(metadata.read_bytes(), metadata).get(1, []):
        fields = parse_message(node, metadata) if isinstance(node, bytes) else {}
        if fields.get(3, [b""])[-1] == b"root" and isinstance(
            text := fields.get(5, [b""])[-1], bytes
        ):
            model = _parse_json(text, metadata.name)
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

    layers = _layers(model, fetch)
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
    found = bundle.variables_under(layer)
    return {name: array for name, array in found.items() if name.endswith("embeddings")}
