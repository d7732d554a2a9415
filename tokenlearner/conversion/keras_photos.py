"""What the first layers of a Keras model do to photos, as our preprocessing."""

from collections.abc import Iterator
from typing import Literal

import numpy as np

from tokenlearner.conversion.keras_layers import KerasLayer
from tokenlearner.errors import ConversionError
from tokenlearner.preprocess import Preprocessing

_WITHOUT_EFFECT = ("InputLayer", "RandomFlip", "RandomRotation", "RandomZoom", "RandomTranslation")
_WITHOUT_EFFECT += ("RandomContrast", "RandomBrightness")
_INTERPOLATIONS = ("bilinear", "bicubic", "area")


def read_input(
    layers: tuple[KerasLayer, ...], image_size: tuple[int, int]
) -> tuple[Preprocessing | None, list[str]]:
    """Returns the preprocessing of evaluation, and what is not quite as in Keras.

    `RandomCrop` does not crop in evaluation: it resizes the largest centred rectangle.

    Args:
        layers: Layers of the whole model; those before the first Conv2D are read.
        image_size: Height and width of what reaches that one.

    Returns:
        None where nothing tells how photos are scaled.

    Raises:
        ConversionError: If a layer does what `Preprocessing` cannot say, or nothing is left.
    """
    # What becomes of 0 and of 1 on our scale, where 1 is 255: value * scale + offset.
    scale, offset = np.full(3, 255.0), np.zeros(3)
    resize: Literal["squash", "crop"] = "squash"
    crop_ratio, interpolation = 1.0, "bilinear"
    scaled, notes = False, []
    side = 0
    for layer in _before_patches(layers):
        config = layer.config
        if layer.kind == "Rescaling":
            scale, offset = (v * np.asarray(config["scale"]) for v in (scale, offset))
            offset = offset + np.asarray(config.get("offset", 0.0))
            scaled = True
        elif layer.kind == "Normalization":
            mean, variance = _statistics(layer)
            deviation = np.maximum(np.sqrt(variance), 1e-7)
            scale, offset = scale / deviation, (offset - mean) / deviation
            scaled = True
        elif layer.kind == "Resizing":
            interpolation = config.get("interpolation", "bilinear")
            resize = "crop" if config.get("crop_to_aspect_ratio") else "squash"
            crop_ratio, side = 1.0, config["height"]
        elif layer.kind == "RandomCrop":
            resize = resize if side else "crop"
        elif layer.kind == "CenterCrop":
            resize, crop_ratio = "crop", config["height"] / side if side else 1.0
        elif layer.kind not in _WITHOUT_EFFECT:
            raise ConversionError(
                f"layer {layer.name!r} ({layer.kind}) stands before the patches, expected only "
                "layers that resize, scale or augment photos"
            )
    if interpolation not in _INTERPOLATIONS:
        raise ConversionError(
            f"got interpolation {interpolation!r}, expected one of {', '.join(_INTERPOLATIONS)}"
        )
    if not scaled:
        return None, notes
    notes.append(
        "photos are resized in one averaging step; Keras takes one per layer and does not average"
    )
    if not (np.isfinite(scale) & np.isfinite(offset) & (scale != 0)).all():
        raise ConversionError(
            f"photos become {scale} of themselves and {offset} more, expected finite numbers and "
            "something left of them"
        )
    std = 1 / scale
    mean = -offset * std
    preprocessing = Preprocessing(
        image_size=image_size,
        mean=_triple(mean),
        std=_triple(std),
        resize=resize,
        crop_ratio=min(crop_ratio, 1.0),
        interpolation=interpolation,
    )
    return preprocessing, notes


def image_size(
    layers: tuple[KerasLayer, ...], patch: tuple[int, int], positions: int
) -> tuple[int, int]:
    """Returns height and width of what reaches the patches, as the layers before them tell.

    Raises:
        ConversionError: If that makes another number of patches than `positions`.
    """
    height = width = 0
    for layer in _before_patches(layers):
        shape = layer.config.get("batch_shape") or layer.config.get("batch_input_shape")
        if layer.kind == "InputLayer" and shape and not height:
            height, width = (int(side or 0) for side in shape[1:3])
        elif "height" in layer.config and "width" in layer.config:
            height, width = layer.config["height"], layer.config["width"]
    grid = (height // patch[0], width // patch[1])
    if grid[0] * grid[1] != positions:
        raise ConversionError(
            f"got {positions} position embeddings, expected {grid[0] * grid[1]} for images of "
            f"{height}x{width} px in patches of {patch[0]}x{patch[1]}"
        )
    return height, width


def _before_patches(layers: tuple[KerasLayer, ...]) -> Iterator[KerasLayer]:
    for layer in layers:
        if layer.kind == "Conv2D":
            return
        yield from layer.layers or (layer,)


def _statistics(layer: KerasLayer) -> tuple[np.ndarray, np.ndarray]:
    mean, variance = layer.config.get("mean"), layer.config.get("variance")
    if mean is None or variance is None:
        raise ConversionError(
            f"layer {layer.name!r} (Normalization) got its mean and variance by adapt(), expected "
            "them in its configuration; build it with mean= and variance="
        )
    return np.asarray(mean, np.float64).ravel(), np.asarray(variance, np.float64).ravel()


def _triple(values: np.ndarray) -> tuple[float, float, float]:
    red, green, blue = (float(round(v, 9)) for v in np.broadcast_to(values, 3))
    return red, green, blue
