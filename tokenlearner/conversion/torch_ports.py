"""Learners of PyTorch ports as modules of ours, with the ports' answers.

    port = open_port(Path("learner.pt"), "kashu7100")
    save_learner(Path("learner.safetensors"), port)
    load_learner(Path("learner.safetensors"))(x)         # tokens [batch, token, dim]

A port whose maps no module here computes is refused, whatever its parts are called.
"""

import hashlib
import json
import pickle
import struct
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import torch
from safetensors import safe_open
from safetensors.torch import save as save_safetensors

from tokenlearner.conversion.kashu7100 import KashuLearner, KashuLearnerV11, Learner
from tokenlearner.errors import CheckpointError, ConfigError, ConversionError
from tokenlearner.modules.shapes import Tensor
from tokenlearner.modules.token_learner import Pooling
from tokenlearner.storage import check_weights, read_safetensors, write_whole

PORTS = ("kashu7100",)

_FORMAT = "tokenlearner-learner/1"
_NAMES = {
    "1.0": {
        "layer_norm.weight": "norm.weight",
        "layer_norm.bias": "norm.bias",
        **{f"conv_layers.{2 * order}.weight": f"convs.{order}.weight" for order in range(4)},
    },
    "1.1": {
        "layer_norm.weight": "norm.weight",
        "layer_norm.bias": "norm.bias",
        **{
            f"mlp.{layer}.{part}": f"masking.{layer}.{part}"
            for layer in ("fc1", "fc2")
            for part in ("weight", "bias")
        },
    },
}
"""Kashu7100's names and ours, by version."""


@dataclass(frozen=True, slots=True)
class Port:
    """A learner of a port.

    Attributes:
        module: With the port's weights, in evaluation mode.
        used: Shape of each tensor that was used, by the port's name.
        unused: Tensors outside the prefix.
        notes: How it differs from the official one.
    """

    module: Learner
    used: dict[str, tuple[int, ...]]
    unused: tuple[str, ...]
    notes: tuple[str, ...]


def open_port(file: Path, port: str, *, prefix: str = "", pooling: str = "sum") -> Port:
    """Builds the learner of a state dict; a pickle is opened for tensors alone.

    Args:
        file: `.pt` or `.pth` as `torch.save` writes it, or `.safetensors`.
        port: One of `PORTS`.
        prefix: What the learner's names begin with in a larger model.
        pooling: Version 1.0: `mean` if the port was told `use_sum_pooling=False`.

    Raises:
        ConversionError: If the port is unknown or computes something that no module of ours does,
            or the file is broken or does not fit.
    """
    if port not in PORTS:
        raise ConversionError(f"--port is {port!r}; choose one of {', '.join(PORTS)}")
    if pooling not in get_args(Pooling):
        raise ConversionError(f"--pooling is {pooling!r}; choose sum or mean")
    everything = _read_state(file)
    state = {
        name.removeprefix(prefix): value
        for name, value in everything.items()
        if name.startswith(prefix)
    }
    version = _recognise(state, file, prefix)
    names = _NAMES[version]
    if missing := sorted(names.keys() - state.keys()):
        raise ConversionError(f"{file}: missing tensor {prefix + missing[0]!r}")
    if unknown := sorted(state.keys() - names.keys()):
        raise ConversionError(
            f"{file}: unknown tensor {prefix + unknown[0]!r}, expected none beside "
            f"{', '.join(names)}"
        )
    last = state["conv_layers.6.weight" if version == "1.0" else "mlp.fc2.weight"]
    channels = state["layer_norm.weight"]
    if last.ndim < 2 or channels.ndim != 1:
        raise ConversionError(
            f"{file}: got shapes {tuple(last.shape)} and {tuple(channels.shape)}, expected a "
            "kernel and a vector"
        )
    options: dict[str, Any] = {"num_tokens": last.shape[0], "in_channels": channels.shape[0]}
    if version == "1.0":
        options["pooling"] = pooling
    else:
        options["bottleneck_dim"] = last.shape[1]
    theirs = {ours: prefix + name for name, ours in names.items()}
    module = _fill(
        {ours: everything[name] for ours, name in theirs.items()}, version, options, file, theirs
    )
    notes = ["one norm over all positions of a sample, and the exact GELU, as this port computes"]
    if version == "1.1":
        notes.append("its maps mix tokens and positions (see KashuLearnerV11), as this port's do")
    else:
        notes.append(f"pooling is {pooling}, which no state dict tells")
    return Port(
        module=module,
        used={prefix + name: tuple(state[name].shape) for name in names},
        unused=tuple(sorted(name for name in everything if not name.startswith(prefix))),
        notes=tuple(notes),
    )


def save_learner(file: Path, port: Port) -> str:
    """Writes the learner with what it takes to build it again; returns the file's sha256."""
    module = port.module
    options: dict[str, Any] = {"num_tokens": module.num_tokens, "in_channels": module.in_channels}
    if isinstance(module, KashuLearner):
        options["pooling"] = module.pooling
    else:
        options["bottleneck_dim"] = module.masking.fc1.out_features
    metadata = {
        "format": _FORMAT,
        "port": PORTS[0],
        "version": module.version,
        "options": json.dumps(options),
    }
    data = save_safetensors(module.state_dict(), metadata)
    file.parent.mkdir(parents=True, exist_ok=True)
    write_whole(file, data)
    load_learner(file)
    return hashlib.sha256(data).hexdigest()


def load_learner(file: Path) -> Learner:
    """Opens what `save_learner` wrote, in evaluation mode.

    Raises:
        ConversionError: If it is something else, or broken.
    """
    state = _read_safetensors(file)
    with safe_open(file, "pt") as content:
        metadata = content.metadata() or {}
    if metadata.get("format") != _FORMAT or metadata.get("version") not in _NAMES:
        raise ConversionError(
            f"{file} does not say format {_FORMAT!r}; it is not a learner from a port"
        )
    try:
        options = json.loads(metadata["options"])
        return _fill(state, metadata["version"], options, file)
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise ConversionError(f"{file}: its options cannot be used: {error}") from error


def _fill(
    state: Mapping[str, Tensor],
    version: str,
    options: Mapping[str, Any],
    file: Path,
    told: Mapping[str, str] | None = None,
) -> Learner:
    """Builds a learner with weights by our names, which messages call as `told` says."""
    kind = KashuLearner if version == "1.0" else KashuLearnerV11
    try:
        with torch.device("meta"):
            module = kind(**options)
        told = told or {name: name for name in {*state, *module.state_dict()}}
        check_weights(
            {told[name]: value for name, value in state.items()},
            {told[name]: value for name, value in module.state_dict().items()},
            file,
        )
    except (CheckpointError, ConfigError) as error:
        raise ConversionError(str(error)) from error
    module.load_state_dict(
        {name: value.float().contiguous() for name, value in state.items()}, assign=True
    )
    return module.eval()


def _recognise(state: Mapping[str, Tensor], file: Path, prefix: str) -> str:
    """Returns the version of a learner of Kashu7100, or says whose and what else it is."""
    if any("tokenizers." in name and ".conv.0." in name for name in state):
        raise ConversionError(
            f"{file} is of rish-16/tokenlearner-pytorch, whose maps are drawn from the maximum and "
            "the mean over channels alone; no version of TokenLearner computes that"
        )
    if "dense.weight" in state and "norm.weight" in state:
        raise ConversionError(
            f"{file} is the TokenFuser of Kashu7100, which mixes tokens into bottleneck_dim of "
            "them (S to 64) and weights those; the official fuser mixes S into S. Its weights mean "
            "something else and are not converted"
        )
    kernels = [value for name, value in state.items() if value.ndim == 4]
    widths = [kernel.shape[0] for kernel in kernels]
    if len(widths) > 1 and widths[0] == kernels[0].shape[1] != widths[-1]:
        raise ConversionError(
            f"{file}: the convolutions keep the {widths[0]} channels until the last makes "
            f"{widths[-1]} tokens of them; those of TokenLearner work on tokens from the first on"
        )
    for version, mark in (("1.0", "conv_layers.0.weight"), ("1.1", "mlp.fc1.weight")):
        if mark in state:
            return version
        inner = [name.removesuffix(mark) for name in state if name.endswith("." + mark)]
        if len(inner) == 1:
            raise ConversionError(
                f"{file} has its learner under a prefix; pass --prefix {prefix + inner[0]}"
            )
        if inner:
            found = ", ".join(prefix + name for name in inner[:3])
            raise ConversionError(
                f"{file} has {len(inner)} learners; pass --prefix with one of {found}"
            )
    names = ", ".join(sorted(state)[:3]) or "nothing"
    raise ConversionError(
        f"{file} holds {names}, expected conv_layers.* or mlp.* of a learner of Kashu7100"
    )


def _read_state(file: Path) -> dict[str, Tensor]:
    if file.suffix == ".safetensors":
        return _read_safetensors(file)
    try:
        _refuse_compressed(file)
        with warnings.catch_warnings():  # of a protocol that torch.save does not write
            warnings.simplefilter("ignore", UserWarning)
            content = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ConversionError(
            f"{file} holds more than tensors and is not opened; save model.state_dict() alone"
        ) from error
    except FileNotFoundError as error:
        raise ConversionError(f"cannot read {file}: {error.strerror}") from error
    except (
        OSError,
        EOFError,
        RuntimeError,
        ValueError,
        LookupError,
        TypeError,
        struct.error,
        zipfile.BadZipFile,
    ) as error:
        reason = str(error) or type(error).__name__
        raise ConversionError(f"{file} is not a complete torch.save file: {reason}") from error
    for name in ("state_dict", "model"):
        if isinstance(content, dict) and isinstance(content.get(name), dict):
            content = content[name]
    if not isinstance(content, dict) or not all(
        isinstance(name, str) and isinstance(value, torch.Tensor) for name, value in content.items()
    ):
        raise ConversionError(f"{file} holds no state dict: names and tensors, nothing else")
    for name, value in content.items():
        if value.layout != torch.strided or value.device.type != "cpu":
            raise ConversionError(
                f"{file}: tensor {name!r}: got {value.layout} on {value.device}, expected plain "
                "numbers"
            )
        if value.nbytes > (stored := value.untyped_storage().nbytes()):
            raise ConversionError(
                f"{file}: tensor {name!r}: got {stored:,} bytes in the file, expected "
                f"{value.nbytes:,} for {value.dtype} {tuple(value.shape)}; save it contiguous"
            )
    return content


def _refuse_compressed(file: Path) -> None:
    """Raises ConversionError where a small file could unpack to one that fills the memory."""
    if not zipfile.is_zipfile(file):
        return
    with zipfile.ZipFile(file) as archive:
        if any(info.compress_type != zipfile.ZIP_STORED for info in archive.infolist()):
            raise ConversionError(f"{file} is compressed, which torch.save never does")


def _read_safetensors(file: Path) -> dict[str, Tensor]:
    try:
        return read_safetensors(file.read_bytes(), file)
    except OSError as error:
        raise ConversionError(f"cannot read {file}: {error.strerror}") from error
    except CheckpointError as error:
        raise ConversionError(str(error)) from error
