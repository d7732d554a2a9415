"""What the options of Keras layers say, and errors where they say something else."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from tokenlearner.conversion.keras_layers import KerasLayer
from tokenlearner.errors import ConversionError


def constants(inputs: Any) -> Iterator[np.ndarray]:
    """Yields the tables of numbers in what a layer is called with."""
    if isinstance(inputs, dict):
        for value in inputs.values():
            yield from constants(value)
    elif isinstance(inputs, list) and inputs and isinstance(inputs[0], list):
        try:
            array = np.asarray(inputs, np.float32)
        except (ValueError, TypeError):
            array = None
        if array is not None and array.ndim in (2, 3) and array.size > 2:
            yield array
            return
        for value in inputs:
            yield from constants(value)
    elif isinstance(inputs, list):
        for value in inputs:
            yield from constants(value)


def expect(layer: KerasLayer, option: str, wanted: Any) -> None:
    """Raises ConversionError unless an option, where it is given, is `wanted`."""
    got = layer.config.get(option, wanted)
    if option == "activation":
        got = activation_of(got)
    elif isinstance(got, list):
        got = tuple(got)
    if got != wanted:
        raise ConversionError(f"layer {layer.name!r}: got {option}={got!r}, expected {wanted!r}")


def activation_of(activation: Any) -> str:
    """Returns an activation's name, which is a text or an object that holds it."""
    if isinstance(activation, dict):
        activation = activation.get("config")
    return "linear" if activation is None else str(activation)
