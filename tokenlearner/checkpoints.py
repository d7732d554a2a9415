"""Model folders: `config.json` and `model.safetensors`, read strictly and written whole.

A shipped folder also has `README.md`, the model card, and `metrics.json`, both written by the
evaluation. Weights are only ever read by safetensors; a pickle is never opened.
"""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors
from safetensors.torch import save as save_safetensors

from tokenlearner.errors import CheckpointError
from tokenlearner.models.config import VisionTransformerConfig
from tokenlearner.models.info import ModelInfo
from tokenlearner.models.vit import VisionTransformer

FORMAT = "tokenlearner/1"
CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"
CARD_FILE = "README.md"
METRICS_FILE = "metrics.json"


def save_model(
    folder: str | Path, model: VisionTransformer, *, dtype: torch.dtype = torch.float32
) -> None:
    """Writes a model folder; each file appears whole or not at all.

    Args:
        folder: Created if missing.
        model: Must have its `info`.
        dtype: Number format of the floating-point weights in the file.

    Raises:
        CheckpointError: If the model has no `info`.
    """
    if model.info is None:
        raise CheckpointError(
            "this model has no info (name, classes, preprocessing); set model.info"
        )
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    config = {
        "format": FORMAT,
        **model.info.to_dict(),
        "architecture": model.config.to_dict(),
    }
    weights = {
        name: value.to(dtype if value.is_floating_point() else value.dtype).contiguous().cpu()
        for name, value in model.state_dict().items()
    }
    write_whole(folder / WEIGHTS_FILE, save_safetensors(weights))
    write_whole(folder / CONFIG_FILE, (json.dumps(config, indent=2) + "\n").encode())


def load_model(folder: str | Path, *, sha256: str | None = None) -> VisionTransformer:
    """Reads a model folder.

    Args:
        folder: Holds `config.json` and `model.safetensors`.
        sha256: Expected checksum of the weights file, hexadecimal; None to accept any.

    Returns:
        The model in eval mode, float32, on the CPU, with its `info`.

    Raises:
        CheckpointError: If a file is missing or broken, the checksum is another, or the weights do
            not fit the configuration to the last key.
    """
    folder = Path(folder)
    config = _read_config(folder)
    data = _read(folder / WEIGHTS_FILE)
    found = hashlib.sha256(data).hexdigest()
    if sha256 is not None and found != sha256:
        raise CheckpointError(
            f"{folder / WEIGHTS_FILE} has sha256 {found}, but {sha256} was expected: the file was "
            "altered or cut off. Restore it from where it came"
        )
    try:
        architecture = VisionTransformerConfig.from_dict(config["architecture"])
        info = ModelInfo.from_dict(config, source=str(folder), sha256=found)
    except KeyError as error:
        raise CheckpointError(f"{folder / CONFIG_FILE} lacks {error}") from error
    except (AttributeError, TypeError, ValueError) as error:
        raise CheckpointError(f"{folder / CONFIG_FILE} cannot be used: {error}") from error
    if len(info.class_names) != architecture.num_classes:
        raise CheckpointError(
            f"{folder / CONFIG_FILE} names {len(info.class_names)} classes, "
            f"but the model has {architecture.num_classes}"
        )
    try:
        weights = load_safetensors(data)
    except SafetensorError as error:
        raise CheckpointError(
            f"{folder / WEIGHTS_FILE} is no readable safetensors file: {error}"
        ) from error
    with torch.device("meta"):
        model = VisionTransformer(architecture)
    check_weights(weights, model.state_dict(), folder / WEIGHTS_FILE)
    model.load_state_dict(
        {name: _widen(value) for name, value in weights.items()}, strict=True, assign=True
    )
    model.info = info
    return model.eval()


def check_weights(
    found: dict[str, torch.Tensor], wanted: dict[str, torch.Tensor], origin: Path
) -> None:
    """Raises CheckpointError unless `found` fits `wanted` in keys, shapes, kinds and is finite."""
    if missing := sorted(set(wanted) - set(found)):
        raise CheckpointError(f"{origin} lacks {_some(missing)}, which its configuration asks for")
    if unknown := sorted(set(found) - set(wanted)):
        raise CheckpointError(f"{origin} holds {_some(unknown)}, which its configuration lacks")
    for name, value in found.items():
        if value.shape != wanted[name].shape:
            raise CheckpointError(
                f"{origin}: {name} is {tuple(value.shape)}, "
                f"but its configuration asks for {tuple(wanted[name].shape)}"
            )
        if value.is_floating_point() != wanted[name].is_floating_point():
            raise CheckpointError(
                f"{origin}: {name} is {value.dtype}, "
                f"but its configuration asks for {wanted[name].dtype}"
            )
        if value.is_floating_point() and not bool(value.isfinite().all()):
            raise CheckpointError(f"{origin}: {name} holds values that are not finite")


def write_whole(path: Path, data: bytes) -> None:
    """Writes a file so that a reader sees the old content or the new, never a part."""
    temporary = path.with_name(path.name + ".new")
    try:
        temporary.write_bytes(data)
        os.replace(temporary, path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def _read_config(folder: Path) -> dict[str, Any]:
    try:
        config = json.loads(_read(folder / CONFIG_FILE))
    except ValueError as error:
        raise CheckpointError(f"{folder / CONFIG_FILE} is not JSON: {error}") from error
    if not isinstance(config, dict) or config.get("format") != FORMAT:
        raise CheckpointError(
            f"{folder / CONFIG_FILE} does not say format {FORMAT!r}; it is no model folder of this "
            "library"
        )
    return config


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CheckpointError(
            f"cannot read {path}: {error.strerror}; a model folder holds {CONFIG_FILE} and "
            f"{WEIGHTS_FILE}"
        ) from error


def _widen(value: torch.Tensor) -> torch.Tensor:
    return value.float() if value.is_floating_point() else value


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"
