"""A Scenic run opened: its configuration, the checkpoint it names, the model in it."""

import ast
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tokenlearner.conversion import scenic
from tokenlearner.conversion.flax_files import FlaxCheckpoint, read_checkpoint
from tokenlearner.conversion.flax_folders import find_checkpoint
from tokenlearner.conversion.verify import check_finite
from tokenlearner.errors import ConfigError, ConversionError, ShapeError
from tokenlearner.models import VideoVisionTransformer, VisionTransformer

_MOST_BYTES = 2**20

KINDS = {
    "token_learner_classification": "TokenLearnerViT",
    "token_learner_multilabel_classification": "TokenLearnerViT",
}
"""The official class of each `model_name`."""

_BEFORE_2022 = (
    "the checkpoint is from before March 2022, when version 1.1 was another module (grouped "
    "convolutions) and so was the fuser; it needs the official code of that time"
)


def open_scenic(
    path: Path,
    config: Path,
    *,
    step: int | None = None,
    image_size: tuple[int, int] | None = None,
    num_frames: int | None = None,
) -> tuple[VisionTransformer | VideoVisionTransformer, FlaxCheckpoint]:
    """Builds the model of a Scenic run, in evaluation mode and without its `info`.

    Args:
        path: Checkpoint file, or folder of checkpoints.
        config: The run's configuration, see `read_config`.
        step: Which checkpoint of a folder; the newest by default.
        image_size: Height and width in pixels that the model is made for; a square by default.
        num_frames: Frames of the clips that it is made for; told by the configuration's
            `dataset_configs` by default.

    Raises:
        ConversionError: If a file is broken or the weights do not fit the configuration. The
            message names file, array, what came and what was expected.
    """
    description = read_config(config)
    checkpoint = read_checkpoint(find_checkpoint(path, step))
    check_finite(checkpoint.params, checkpoint.file)
    try:
        args = describe(description, checkpoint.params)
        model = scenic.build(args, checkpoint.params, image_size=image_size, num_frames=num_frames)
    except (ConversionError, ConfigError, ShapeError) as error:
        hint = f" ({_BEFORE_2022})" if _is_old(checkpoint.params) else ""
        raise ConversionError(f"{checkpoint.file} with {config}: {error}{hint}") from error
    except (TypeError, ValueError, AttributeError, ArithmeticError, RuntimeError) as error:
        raise ConversionError(f"{config} does not describe a model: {error}") from error
    assert isinstance(model, VisionTransformer | VideoVisionTransformer)
    return model, checkpoint


def read_config(file: Path) -> dict[str, Any]:
    """Reads a configuration: JSON, or the text of a Python dict. Nothing in it is executed.

    Raises:
        ConversionError: If it is neither.
    """
    try:
        if file.stat().st_size > _MOST_BYTES:
            raise ConversionError(
                f"{file} is over {_MOST_BYTES:,} bytes; that is not a configuration"
            )
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConversionError(f"cannot read {file}: {error}") from error
    try:
        config = json.loads(text)
    except (ValueError, RecursionError):
        try:
            config = ast.literal_eval(text.strip())
        except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError) as error:
            raise ConversionError(
                f"{file} is neither JSON nor the text of a Python dict: {error}; in JAX, "
                "config.to_json_best_effort() writes the one and str(config.to_dict()) the other"
            ) from error
    if not isinstance(config, dict):
        raise ConversionError(f"{file} holds {type(config).__name__}, expected a dict")
    return config


def describe(config: Mapping[str, Any], params: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Returns `kind` and `args` as `scenic.build` takes them.

    Args:
        config: A whole experiment's configuration, its `model` section alone, or `kind` and `args`.
        params: Tell how many classes there are where `dataset_meta_data` does not, and, by having
            no `output_projection`, that the model has no head.

    Raises:
        ConversionError: If it is none of these, or of another model.
    """
    if "kind" in config:
        return dict(config)
    shapes = _input_shapes(config.get("dataset_configs") or {})
    name = config.get("model_name", next(iter(KINDS)))
    if name not in KINDS:
        raise ConversionError(f"model_name is {name!r}; it must be one of {', '.join(KINDS)}")
    model = config.get("model", config)
    if not isinstance(model, Mapping) or "hidden_size" not in model:
        raise ConversionError("the configuration has no section 'model' with a 'hidden_size'")
    args = dict(model)
    if not any(array.startswith("output_projection/") for array in params):
        for unread in ("classifier", "representation_size", "num_classes"):
            args.pop(unread, None)
        return {"kind": "TokenLearnerViTRepresentation", "args": args, **shapes}
    told = (config.get("dataset_meta_data") or {}).get("num_classes", config.get("num_classes"))
    bias = params.get("output_projection/bias")
    if told is None and bias is not None:
        told = bias.size
    args.setdefault("num_classes", told)
    return {"kind": KINDS[name], "args": args, **shapes}


def _input_shapes(data: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what the official data sets of clips tell about their shape; empty for photos."""
    if "num_frames" not in data or "crop_size" not in data:
        return {}
    side = data["crop_size"]
    return {"input_shapes": {"inputs": (1, data["num_frames"], side, side, 3)}}


def _is_old(params: Mapping[str, np.ndarray]) -> bool:
    return any("TokenLearnerModuleV11_" in name and "/Conv_" in name for name in params)
