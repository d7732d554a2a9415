"""Layers of a Keras model, made of its configuration: data, nothing of which is run."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tokenlearner.errors import ConversionError

MOST_JSON_BYTES = 64 * 2**20
"""What no configuration comes near."""

ATTENTION = ("query", "key", "value", "output")
"""The projections of a MultiHeadAttention."""

PAIRS = {
    "Conv2D": ("kernel", "bias"),
    "Dense": ("kernel", "bias"),
    "LayerNormalization": ("gamma", "beta"),
}
"""Weights of layers that have one or two; an option drops the second."""

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
        layers: Layers of a Sequential.
    """

    kind: str
    name: str
    config: dict[str, Any]
    inputs: Any
    weights: dict[str, np.ndarray]
    layers: tuple["KerasLayer", ...] = ()


Fetch = Callable[[dict[str, Any], list[str]], dict[str, np.ndarray]]
"""Returns the weights of a layer, given its entry and its roles (empty where unknown)."""


def roles_of(entry: dict[str, Any]) -> list[str]:
    """Returns what a layer's weights are, in the order in which Keras counts them."""
    kind, config = entry["class_name"], entry["config"]
    if kind in PAIRS:
        second = "center" if kind == "LayerNormalization" else "use_bias"
        return list(PAIRS[kind][: 1 + bool(config.get(second, True))])
    if kind == "MultiHeadAttention":
        parts = ("kernel", "bias") if config.get("use_bias", True) else ("kernel",)
        return [f"{name}/{part}" for name in ATTENTION for part in parts]
    if kind == "Sequential":
        inner = [roles for layer in config["layers"] if (roles := roles_of(layer))]
        return [f"{order}/{role}" for order, roles in enumerate(inner) for role in roles]
    return []


def make_layers(model: dict[str, Any], fetch: Fetch) -> tuple[KerasLayer, ...]:
    """Returns the layers of a functional model in their order.

    Raises:
        ValueError: If it is another kind of model. A configuration that lacks what every one has
            raises KeyError or TypeError.
    """
    if model["class_name"] not in _CONTAINERS:
        raise ValueError(f"its class is {model['class_name']}")
    return tuple(
        _layer(entry, fetch(entry, roles_of(entry))) for entry in model["config"]["layers"]
    )


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


def parse_json(text: str | bytes, origin: str) -> dict[str, Any]:
    """Returns a configuration; `origin` names it in messages.

    Raises:
        ConversionError: If it is longer than any model's.
        ValueError: If it is no JSON.
        TypeError: If it is no object.
    """
    if len(text) > MOST_JSON_BYTES:
        raise ConversionError(f"{origin} has {len(text):,} bytes; that is not a configuration")
    content = json.loads(text, object_hook=_without_tuples)
    if not isinstance(content, dict):
        raise TypeError(f"{origin} is {type(content).__name__}, expected an object")
    return content


def _without_tuples(entry: dict[str, Any]) -> Any:
    """Returns the list that Keras 2 wraps where it means a tuple; all else as it is."""
    return entry["items"] if entry.get("class_name") == "__tuple__" else entry
