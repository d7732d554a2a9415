"""From a model to its folder and back, whatever kind of model it is."""

from pathlib import Path

import torch

from tokenlearner.errors import CheckpointError, ConfigError
from tokenlearner.models.conv_video import ConvVideoNetwork
from tokenlearner.models.conv_video_config import ConvVideoConfig
from tokenlearner.models.timm_vit import TimmVisionTransformer
from tokenlearner.models.video_config import VideoVisionTransformerConfig
from tokenlearner.models.vit import VisionTransformer
from tokenlearner.models.vivit import VideoVisionTransformer
from tokenlearner.storage import CONFIG_FILE, ModelFolder, read_folder

ImageModel = VisionTransformer | TimmVisionTransformer
"""Every kind of model for images that a folder can hold."""

ClipModel = VideoVisionTransformer | ConvVideoNetwork
"""Every kind of model for clips that a folder can hold."""

ClipConfig = VideoVisionTransformerConfig | ConvVideoConfig
"""What they are made of."""

AnyModel = ImageModel | ClipModel

_KINDS = {
    kind.__name__: kind
    for kind in (
        VisionTransformer,
        TimmVisionTransformer,
        VideoVisionTransformer,
        ConvVideoNetwork,
    )
}


def save_model(folder: str | Path, model: AnyModel, *, dtype: torch.dtype = torch.float32) -> None:
    """Writes a model folder; each file appears whole or not at all.

    Args:
        folder: Created if missing.
        model: Must have its `info`.
        dtype: Number format of the floating-point weights in the file.

    Raises:
        ConfigError: If the model has no `info`, or one that does not fit it.
        CheckpointError: If it could not be built again from its folder.
        OSError: If the folder cannot be written.
    """
    model.write(folder, dtype=dtype)


def load_model(folder: str | Path, *, sha256: str | None = None) -> AnyModel:
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
    return model_of(read_folder(folder, sha256=sha256))


def model_of(files: ModelFolder) -> AnyModel:
    """Makes the model of what a folder held; what it is, and the errors, as `load_model` has it."""
    kind = VisionTransformer.kind_of(files)
    if kind not in _KINDS:
        raise CheckpointError(
            f"{files.path / CONFIG_FILE} is of the kind {kind!r}; it must be one of "
            f"{', '.join(_KINDS)}. A newer version of this library may know it"
        )
    return _KINDS[kind].from_files(files)


def require_model(model: object) -> AnyModel:
    """Returns `model` if it is one of this library, without what `torch.compile` put around it.

    Raises:
        ConfigError: If it is something else.
    """
    model = getattr(model, "_orig_mod", model)
    if isinstance(model, AnyModel):
        return model
    _ = getattr(model, "info", None)  # an optimised model says here what it is not for
    if isinstance(model, str | Path):
        raise ConfigError(
            f"got the name {str(model)!r}; wanted a model: tokenlearner.load({str(model)!r})"
        )
    raise ConfigError(
        f"got a {type(model).__name__}; wanted a model of tokenlearner.load or insert_token_learner"
    )


def for_images(model: object) -> ImageModel:
    """Returns `model` if it is one of this library that takes images, as `require_model` does.

    Raises:
        ConfigError: If it takes clips, or is something else.
    """
    model = require_model(model)
    if isinstance(model, ClipModel):
        name = model.info.name if model.info else type(model).__name__
        raise ConfigError(f"{name} takes clips, not photos; choose a model for images")
    return model
