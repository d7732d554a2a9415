"""The Keras example's network, small, built with Keras 3 (keras) or Keras 2 (tf_keras).

    python tests/conversion/keras_example.py keras FOLDER

builds, fills and saves every case, each with what it computes in a `.npz` file beside it. It stands
alone, so that TensorFlow may live in an environment of its own.
"""

import importlib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

GRID, PATCH, DIM, HEADS, HEAD_DIM, MLP_DIM, CLASSES = 4, 4, 8, 2, 6, 12, 5
SIZE = GRID * PATCH

CASES: dict[str, dict[str, Any]] = {
    "frozen": {},
    "sum": {"pooling": "sum"},
    "grouped": {"learner": "grouped"},
    "plain": {"learner": None},
    "learned": {"position": "learned"},
    "learned_tanh": {"position": "learned", "tanh_gelu": True},
}
# Keras 2 saves no .keras file of a network that indexes with an ellipsis, as the example does.
SAVED = {
    "keras": [(name, ending) for name in CASES for ending in (".keras", ".h5")],
    "tf_keras": [
        (name, ending)
        for name in ("frozen", "sum", "grouped", "plain")
        for ending in (".h5", "_saved")
    ],
}


@dataclass(frozen=True)
class Network:
    """A model with softmax, and the same cut open: from patches to logits and maps."""

    model: Any
    inside: Any

    def look(self, inputs: np.ndarray) -> dict[str, np.ndarray]:
        """Returns `inputs`, `logits` and `maps/0` where there is a learner, as --reference wants.

        The inputs go in behind the augmentation, channels last.
        """
        results = self.inside.predict(inputs, verbose=0)
        results = results if isinstance(results, list) else [results]
        return {"inputs": inputs, **dict(zip(("logits", "maps/0"), results, strict=False))}


def build(
    keras: Any,
    *,
    learner: str | None = "1.0",
    position: str = "frozen",
    tanh_gelu: bool = False,
    pooling: str = "mean",
    seed: int = 0,
) -> Network:
    """Builds it with random weights, also where Keras starts from zeros and ones.

    Args:
        keras: `keras` or `tf_keras`.
        learner: `1.0`, `grouped` (the example's version 1.1) or None.
        position: `frozen` (2021, evaluated once), `learned` (2023, a layer of its own).
        tanh_gelu: As `keras.ops.gelu` computes it by default.
        pooling: `mean`, or `sum` as in the official code.
        seed: Of the weights.
    """
    layers, rng = keras.layers, np.random.default_rng(seed)
    version_3 = hasattr(keras, "ops")
    tf: Any = None if version_3 else importlib.import_module("tensorflow")
    exact = "gelu" if version_3 else tf.nn.gelu
    gelu = keras.ops.gelu if tanh_gelu else exact

    def norm(x: Any) -> Any:
        return layers.LayerNormalization(epsilon=1e-6)(x)

    def conv(filters: int, size: int = 3, **options: Any) -> Any:
        return layers.Conv2D(filters, size, padding="same", use_bias=False, **options)

    augmentation = keras.Sequential(
        [
            layers.Rescaling(1 / 255.0),
            layers.Resizing(SIZE + 4, SIZE + 4),
            layers.RandomCrop(SIZE, SIZE),
            layers.RandomFlip("horizontal"),
        ],
        name="data_augmentation",
    )
    inputs = layers.Input(shape=(12, 12, 3))
    prepared = augmentation(inputs)
    x = layers.Conv2D(DIM, PATCH, strides=PATCH, padding="valid")(prepared)
    x = layers.Reshape((GRID * GRID, DIM))(x)
    if position == "frozen":
        table = layers.Embedding(GRID * GRID, DIM)
        places = np.arange(GRID * GRID)
        if version_3:
            x = x + table(keras.ops.convert_to_tensor(places))
        else:
            x = x + table(tf.constant(places))
    else:
        x = _patch_encoder(keras)(GRID * GRID, DIM)(x)
    x = layers.Dropout(0.1)(x)
    maps = None
    for block in range(4):
        y = norm(x)
        y = layers.MultiHeadAttention(num_heads=HEADS, key_dim=HEAD_DIM, dropout=0.1)(y, y)
        x = layers.Add()([y, x])
        y = norm(x)
        for units in (MLP_DIM, DIM):
            y = layers.Dropout(0.1)(layers.Dense(units, activation=gelu)(y))
        x = layers.Add()([y, x])
        if block == 2 and learner:
            x = layers.Reshape((GRID, GRID, DIM))(x)
            y = norm(x)
            if learner == "1.0":
                stack = [conv(3, activation=gelu) for _ in range(3)]
                stack += [conv(3, activation="sigmoid")]
            else:
                stack = [conv(DIM, 1, groups=2), conv(3, 1)]
            stack += [layers.Reshape((-1, 3)), layers.Permute((2, 1))]
            if learner == "grouped":
                stack += [layers.Activation("softmax")]
            maps = keras.Sequential(stack)(y)
            if learner == "1.0":
                x = layers.Reshape((1, -1, DIM))(x)
                x = (keras.ops.expand_dims(maps, -1) if version_3 else maps[..., None]) * x
                if version_3:
                    x = getattr(keras.ops, pooling)(x, axis=2)
                else:
                    x = getattr(tf, f"reduce_{pooling}")(x, axis=2)
            else:
                x = layers.Reshape((-1, DIM))(conv(DIM, 1, groups=2)(x))
                if version_3:
                    x = keras.ops.einsum("...si,...id->...sd", maps, x)
                else:
                    x = tf.einsum("...si,...id->...sd", maps, x)
    x = layers.GlobalAveragePooling1D()(norm(x))
    head = layers.Dense(CLASSES, activation="softmax")
    model = keras.Model(inputs, head(x))
    for variable in model.variables:
        if "seed" in variable.name:
            continue
        ones = np.ones(variable.shape) if variable.name.endswith(("gamma", "gamma:0")) else 0
        variable.assign(ones + 0.2 * rng.standard_normal(variable.shape))
    logits = layers.Dense(CLASSES)
    opened = logits(x)
    logits.set_weights(head.get_weights())
    outputs = [opened] if maps is None else [opened, maps]
    return Network(model, keras.Model(prepared, outputs))


def _patch_encoder(keras: Any) -> Any:
    class PatchEncoder(keras.layers.Layer):
        def __init__(self, num_patches: int, dim: int, **options: Any) -> None:
            super().__init__(**options)
            self.num_patches = num_patches
            self.position_embedding = keras.layers.Embedding(num_patches, dim)

        def build(self, _: Any) -> None:
            self.position_embedding.build((None,))
            self.built = True

        def call(self, patch: Any) -> Any:
            places = keras.ops.expand_dims(keras.ops.arange(0, self.num_patches), 0)
            return patch + self.position_embedding(places)

        def get_config(self) -> dict[str, Any]:
            return {**super().get_config(), "num_patches": self.num_patches}

    return PatchEncoder


def _gelu(keras: Any, folder: Path) -> None:
    """Records that a saved `keras.ops.gelu` (tanh) is the exact one when the file is reopened."""
    x = keras.Input((4,))
    model = keras.Model(x, keras.layers.Dense(3, activation=keras.ops.gelu)(x))
    model.save(folder / "gelu.keras")
    values = np.linspace(-2, 2, 8, dtype=np.float32).reshape(2, 4)
    linear = values @ np.asarray(model.layers[1].get_weights()[0])
    reopened = keras.models.load_model(folder / "gelu.keras")
    np.savez(
        folder / "gelu.npz",
        in_memory=model.predict(values, verbose=0),
        reopened=reopened.predict(values, verbose=0),
        exact=np.asarray(keras.ops.convert_to_numpy(keras.ops.gelu(linear, approximate=False))),
    )


def main(package: str, folder: Path) -> None:
    keras = importlib.import_module(package)
    inputs = np.random.default_rng(1).random((3, SIZE, SIZE, 3), dtype=np.float32)
    for name in dict.fromkeys(name for name, _ in SAVED[package]):
        network = build(keras, **CASES[name])
        np.savez(folder / f"{name}.npz", allow_pickle=False, **network.look(inputs))
        for ending in (ending for case, ending in SAVED[package] if case == name):
            network.model.save(folder / f"{name}{ending}")
    if package == "keras":
        _gelu(keras, folder)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
