"""The Keras example's mini ViT, with or without a learner, as a model of ours.

Keras lays arrays out as Flax does, so a model is translated by giving its arrays the official names
and loading them by the official table. The sequence of its layers tells the architecture; where an
option says something that no model of ours computes, that is an error.

Source: keras.io/examples/vision/token_learner (Keras 3) and github.com/ariG23498/TokenLearner
(Keras 2; its notebook TokenLearner-V1.1 has the grouped learner).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from tokenlearner.conversion import scenic
from tokenlearner.conversion.keras_files import read_keras
from tokenlearner.conversion.keras_layers import ATTENTION, KerasLayer
from tokenlearner.conversion.keras_options import activation_of, constants, expect
from tokenlearner.conversion.keras_photos import image_size, read_input
from tokenlearner.conversion.keys import GROUPED
from tokenlearner.conversion.verify import check_finite
from tokenlearner.errors import ConfigError, ConversionError
from tokenlearner.models import TokenLearnerConfig, VisionTransformer, VisionTransformerConfig
from tokenlearner.models.config import Classifier
from tokenlearner.modules.token_learner import LAYER_NORM_EPS
from tokenlearner.preprocess import Preprocessing

_BLOCK = ("LayerNormalization", "MultiHeadAttention", "LayerNormalization", "Dense", "Dense")
_LEARNER = ("LayerNormalization", "Sequential")
_POOLINGS = {"mean": "mean", "reduce_mean": "mean", "sum": "sum", "reduce_sum": "sum"}
_CLASSIFIERS: dict[str, Classifier] = {"GlobalAveragePooling1D": "gap", "GlobalMaxPooling1D": "gmp"}


@dataclass(frozen=True, slots=True)
class KerasModel:
    """A converted model.

    Attributes:
        model: In evaluation mode, without its `info`.
        preprocessing: What its own layers do to photos; None if they do not tell.
        multi_label: Whether its head gives each class a probability of its own (sigmoid).
        used: Shape of each array, by the name of its layer and its role.
        notes: What the user should know.
    """

    model: VisionTransformer
    preprocessing: Preprocessing | None
    multi_label: bool
    used: dict[str, tuple[int, ...]]
    notes: tuple[str, ...]


def open_keras(path: Path, *, tanh_gelu: bool = False) -> KerasModel:
    """Opens a `.keras` or `.h5` file, or a SavedModel folder of Keras 2.

    Args:
        path: The file or folder.
        tanh_gelu: Take `gelu` for its tanh approximation, which `keras.ops.gelu` computes as long
            as the model is in memory. A saved file says `gelu` for either, and Keras computes the
            exact one when it opens the file again.

    Raises:
        ConversionError: If the file is broken, or the model is another than the example's.
    """
    layers = read_keras(path)
    arrays = {
        f"{layer.name}/{role}": array for layer in layers for role, array in layer.weights.items()
    }
    check_finite(arrays, path)
    try:
        reading = _Reading(layers)
        config, params = reading.run(tanh_gelu)
        with torch.device("meta"):
            model = VisionTransformer(config)
        model.to_empty(device="cpu")
        scenic.load(model, params)
        preprocessing, notes = read_input(layers, config.image_size)
    except (ConversionError, ConfigError) as error:
        raise ConversionError(f"{path}: {error}") from error
    except (
        LookupError,
        TypeError,
        ValueError,
        AttributeError,
        ArithmeticError,
        RuntimeError,
    ) as error:
        raise ConversionError(
            f"{path} is not the Keras example's model: {type(error).__name__} {error}"
        ) from error
    notes = [*reading.notes, *notes]
    if not tanh_gelu:
        notes.append("gelu is the exact one, as in a reopened file; --gelu tanh says otherwise")
    return KerasModel(
        model=model.eval(),
        preprocessing=preprocessing,
        multi_label=reading.activation == "sigmoid",
        used={name: array.shape for name, array in arrays.items()},
        notes=tuple(notes),
    )


@dataclass(slots=True)
class _Reading:
    """Walks the layers that have weights, collecting sizes and arrays on the way."""

    layers: tuple[KerasLayer, ...]
    params: dict[str, np.ndarray] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    activation: str = ""  # of the head

    def run(self, tanh_gelu: bool) -> tuple[VisionTransformerConfig, dict[str, np.ndarray]]:
        weighted = [layer for layer in self.layers if layer.weights]
        kinds = tuple(layer.kind for layer in weighted)
        if kinds[:1] != ("Conv2D",):
            raise ConversionError(f"got {_told(kinds[:1])}, expected first the Conv2D of patches")
        sizes = self._patches(weighted[0])
        at = 1
        if kinds[1:2] and kinds[1] not in _BLOCK:
            table = self._learned_positions(weighted[1])
            sizes["position_embedding"], at = "learned", 2
        else:
            table = self._frozen_positions()
            sizes["position_embedding"] = "frozen"
        self.params["Transformer/posembed_input/pos_embedding"] = table
        sizes["image_size"] = image_size(self.layers, sizes["patch_size"], table.shape[1])
        depth, blocks = 0, []
        while kinds[at : at + 2] != ("LayerNormalization", "Dense"):
            if kinds[at : at + 5] == _BLOCK:
                blocks.append(self._block(weighted[at : at + 5], depth))
                depth, at = depth + 1, at + 5
            elif kinds[at : at + 1] == _LEARNER[:1] and "Sequential" in kinds[at + 1 : at + 3]:
                if "token_learner" in sizes:
                    raise ConversionError("got a second learner, expected one")
                sizes["token_learner"], length = self._learner(weighted[at : at + 3], depth)
                at += length
            else:
                raise ConversionError(
                    f"after block {depth}: got {_told(kinds[at : at + 5])}, expected "
                    f"{_told(_BLOCK)}, or {_told(_LEARNER)}, or LayerNormalization, Dense at the "
                    "end"
                )
        if len(kinds) != at + 2:
            raise ConversionError(f"after the head: got {_told(kinds[at + 2 :])}, expected nothing")
        if not blocks or any(block != blocks[0] for block in blocks):
            raise ConversionError(f"got blocks {blocks}, expected all alike and at least one")
        self._head(*weighted[at:])
        sizes |= blocks[0] | self._dropout()
        classifier: list[Classifier] = [
            _CLASSIFIERS[x.kind] for x in self.layers if x.kind in _CLASSIFIERS
        ]
        if len(classifier) != 1:
            raise ConversionError(
                f"got {len(classifier)} layers {' or '.join(_CLASSIFIERS)}, expected one"
            )
        config = VisionTransformerConfig(
            **sizes,
            depth=depth,
            classifier=classifier[0],
            num_classes=weighted[-1].weights["kernel"].shape[1],
            activation="gelu_tanh" if tanh_gelu else "gelu",
        )
        return config, self.params

    def _patches(self, layer: KerasLayer) -> dict[str, Any]:
        kernel = layer.weights["kernel"]
        patch = kernel.shape[:2]
        expect(layer, "strides", patch)
        expect(layer, "padding", "valid")
        expect(layer, "activation", "linear")
        self._put("embedding", layer)
        return {"patch_size": tuple(patch), "dim": kernel.shape[3]}

    def _learned_positions(self, layer: KerasLayer) -> np.ndarray:
        arrays = list(layer.weights.values())
        if len(arrays) != 1 or arrays[0].ndim != 2:
            shapes = [array.shape for array in arrays]
            raise ConversionError(
                f"layer {layer.name!r} ({layer.kind}): got arrays {shapes}, expected one position "
                "embedding of 2 axes"
            )
        return arrays[0][None]

    def _frozen_positions(self) -> np.ndarray:
        """Returns the one table that the model adds without training it."""
        found = [
            array
            for layer in self.layers
            if layer.kind in ("Add", "TFOpLambda")
            for array in constants(layer.inputs)
        ]
        if len(found) != 1:
            raise ConversionError(f"got {len(found)} position embeddings, expected one")
        return found[0].reshape(1, *found[0].shape[-2:])

    def _block(self, layers: list[KerasLayer], index: int) -> dict[str, Any]:
        norm1, attention, norm2, first, second = layers
        place = f"Transformer/encoderblock_{index}"
        self._norm(f"{place}/LayerNorm_0", norm1)
        self._norm(f"{place}/LayerNorm_1", norm2)
        for name in ATTENTION:
            official = "out" if name == "output" else name
            for part in ("kernel", "bias"):
                array = attention.weights[f"{name}/{part}"]
                self.params[f"{place}/MultiHeadDotProductAttention_0/{official}/{part}"] = array
        for unused in ("use_gate", "sliding_window", "output_shape"):
            if attention.config.get(unused):
                raise ConversionError(
                    f"layer {attention.name!r}: got {unused}={attention.config[unused]}, expected "
                    "none"
                )
        for order, dense in enumerate((first, second)):
            self._put(f"{place}/MlpBlock_0/Dense_{order}", dense)
        expect(first, "activation", "gelu")
        last = activation_of(second.config.get("activation"))
        if last not in ("gelu", "linear"):
            raise ConversionError(
                f"layer {second.name!r}: got activation {last!r}, expected 'gelu' or 'linear'"
            )
        return {
            "num_heads": attention.config["num_heads"],
            "head_dim": attention.config["key_dim"],
            "mlp_dim": first.weights["kernel"].shape[1],
            "mlp_activates_output": last == "gelu",
            "attention_dropout": float(attention.config.get("dropout", 0)),
        }

    def _learner(self, layers: list[KerasLayer], at: int) -> tuple[TokenLearnerConfig, int]:
        norm, stack, other = layers
        convs = [layer for layer in stack.layers if layer.kind == "Conv2D"]
        if stack.kind == "Conv2D" or (len(convs) == 2 and other.kind == "Conv2D"):
            stack, values = (other, stack) if stack.kind == "Conv2D" else (stack, other)
            return self._grouped(norm, stack, values, at), 3
        if len(convs) != 4:
            raise ConversionError(
                f"layer {stack.name!r}: got {len(convs)} Conv2D, expected 4 (version 1.0) or 2 and "
                "one beside (grouped)"
            )
        for order, conv in enumerate(convs):
            expect(conv, "padding", "same")
            expect(conv, "strides", (1, 1))
            expect(conv, "activation", "gelu" if order < 3 else "sigmoid")
        place = "Transformer/TokenLearnerModule_0"
        self._norm(f"{place}/LayerNorm_0", norm)
        for role, array in stack.weights.items():
            self.params[f"{place}/Conv_{role}"] = array
        poolings = {_POOLINGS[name] for name in self._operations() if name in _POOLINGS}
        if len(poolings) != 1:
            raise ConversionError(
                f"got {' and '.join(sorted(poolings)) or 'no'} pooling, expected mean or sum"
            )
        pooling: Literal["mean", "sum"] = "mean" if poolings == {"mean"} else "sum"
        tokens = convs[-1].config["filters"]
        return TokenLearnerConfig(num_tokens=tokens, at=at, version="1.0", pooling=pooling), 2

    def _grouped(
        self, norm: KerasLayer, stack: KerasLayer, values: KerasLayer, at: int
    ) -> TokenLearnerConfig:
        mix, draw = (layer for layer in stack.layers if layer.kind == "Conv2D")
        for conv in (mix, draw, values):
            expect(conv, "activation", "linear")
            expect(conv, "strides", (1, 1))
        groups = mix.config.get("groups", 1)
        expect(values, "groups", groups)
        expect(draw, "groups", 1)
        place = f"Transformer/{GROUPED}_0"
        self._norm(f"{place}/LayerNorm_0", norm)
        kernels = {
            "mix": stack.weights["0/kernel"],
            "draw": stack.weights["1/kernel"],
            "values": values.weights["kernel"],
        }
        for name, kernel in kernels.items():
            if kernel.shape[:2] != (1, 1):
                raise ConversionError(f"got a kernel of {kernel.shape[:2]} px, expected (1, 1)")
            self.params[f"{place}/{name}/kernel"] = kernel[0]
        if extra := set(stack.weights) - {"0/kernel", "1/kernel"} | set(values.weights) - {
            "kernel"
        }:
            raise ConversionError(f"layer {stack.name!r}: got {min(extra)}, expected no bias")
        return TokenLearnerConfig(
            num_tokens=draw.config["filters"], at=at, version="grouped", groups=groups
        )

    def _head(self, norm: KerasLayer, dense: KerasLayer) -> None:
        self._norm("Transformer/encoder_norm", norm)
        self._put("output_projection", dense)
        self.activation = activation_of(dense.config.get("activation"))
        if self.activation not in ("softmax", "linear", "sigmoid"):
            raise ConversionError(
                f"layer {dense.name!r}: got activation {self.activation!r}, expected 'softmax', "
                "'sigmoid' or 'linear'"
            )
        if self.activation != "linear":
            self.notes.append(f"outputs are compared before the {self.activation}")

    def _dropout(self) -> dict[str, float]:
        rates = [float(layer.config["rate"]) for layer in self.layers if layer.kind == "Dropout"]
        return dict(zip(("embedding_dropout", "dropout"), rates, strict=False))

    def _operations(self) -> Iterator[str]:
        for layer in self.layers:
            yield layer.kind.lower()
            yield str(layer.config.get("function", "")).rpartition(".")[2]

    def _norm(self, place: str, layer: KerasLayer) -> None:
        epsilon = layer.config.get("epsilon", 1e-3)
        if abs(epsilon - LAYER_NORM_EPS) > 1e-9:
            raise ConversionError(
                f"layer {layer.name!r}: got epsilon {epsilon}, expected {LAYER_NORM_EPS}"
            )
        self.params[f"{place}/scale"] = layer.weights["gamma"]
        self.params[f"{place}/bias"] = layer.weights["beta"]

    def _put(self, place: str, layer: KerasLayer) -> None:
        self.params |= {f"{place}/{role}": array for role, array in layer.weights.items()}


def _told(kinds: tuple[str, ...]) -> str:
    return ", ".join(kinds) or "nothing"
