"""Model folders, on disk and on the Hub: read strictly, written whole, no idea of models.

A model folder holds `config.json` and `model.safetensors`, and may hold `README.md`, the model
card, and `metrics.json`. Weights are only ever read by safetensors; a pickle is never opened.
"""

import hashlib
import json
import os
import shutil
import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors
from safetensors.torch import save as save_safetensors

from tokenlearner.errors import CheckpointError

FORMAT = "tokenlearner/1"
CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"
CARD_FILE = "README.md"
METRICS_FILE = "metrics.json"
HUB_PREFIX = "hf-hub:"

# What no model comes near, and what keeps a crafted file from filling memory or time.
_MOST_JSON_BYTES = 16 * 2**20
_MOST_TENSORS = 10_000

# How files of torch.save, then of pickle, begin; a short safetensors header may look like the last.
_PICKLES = (b"PK\x03\x04", *(bytes((0x80, protocol)) for protocol in range(2, 6)))


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class ModelFolder:
    """What a model folder held.

    Attributes:
        path: The folder.
        config: Content of `config.json`.
        weights: Tensors by name, floating-point ones as float32, on the CPU.
        sha256: Checksum of the weights file, hexadecimal.
        source: Where others find it: the folder, or `hf-hub:owner/name@commit`.
    """

    path: Path
    config: dict[str, Any]
    weights: dict[str, torch.Tensor]
    sha256: str
    source: str


def read_folder(folder: str | Path, *, sha256: str | None = None) -> ModelFolder:
    """Reads a model folder.

    Args:
        folder: Holds `config.json` and `model.safetensors`.
        sha256: Expected checksum of the weights file, hexadecimal; None to accept any.

    Raises:
        CheckpointError: If a file is missing or broken, or the checksum is another.
    """
    folder = Path(folder)
    config = _read_config(folder)
    data = _read(folder / WEIGHTS_FILE)
    found = hashlib.sha256(data).hexdigest()
    if sha256 is not None and found != sha256.lower():
        raise CheckpointError(
            f"{folder / WEIGHTS_FILE} has sha256 {found}, but {sha256} was expected: the file was "
            "altered or cut off. Get it again from its source"
        )
    weights = read_safetensors(data, folder / WEIGHTS_FILE)
    widened = {name: _widen(value) for name, value in weights.items()}
    return ModelFolder(
        path=folder, config=config, weights=widened, sha256=found, source=str(folder)
    )


def read_repository(repository: str, *, revision: str | None = None, **options: Any) -> ModelFolder:
    """Reads a model folder on the Hub; the arguments are those of `fetch`.

    Raises:
        CheckpointError: As `fetch` and `read_folder`.
    """
    path = fetch(repository, revision=revision, **options)
    # A snapshot's folder is named after its commit, which says more than a branch does.
    source = f"{HUB_PREFIX}{_split_repository(repository)[0]}@{path.name}"
    return replace(read_folder(path), source=source)


def refuse_revision(revision: str | None, *, of: str) -> None:
    """Raises CheckpointError if a revision is asked for of what has none."""
    if revision is not None:
        raise CheckpointError(
            f"revision is {revision!r}, but there are revisions on the Hub alone and none of {of}; "
            f"leave it out, or name the repository as {HUB_PREFIX}owner/name"
        )


def write_folder(
    folder: str | Path,
    config: dict[str, Any],
    weights: dict[str, torch.Tensor],
    *,
    dtype: torch.dtype = torch.float32,
) -> None:
    """Writes a model folder; each file appears whole or not at all.

    A card and metrics that stand there already stay only if the weights do: they tell of no others.

    Args:
        folder: Created if missing.
        config: JSON-able content of `config.json`; the format's name is added.
        weights: Tensors by name.
        dtype: Number format of the floating-point weights in the file.

    Raises:
        CheckpointError: If the weights are not finite, or would not be in that format.
        OSError: If the folder cannot be written.
    """
    folder = Path(folder)
    if not dtype.is_floating_point:
        raise CheckpointError(f"weights cannot be stored as {dtype}; take torch.float32 or float16")
    stored = {
        name: value.to(dtype if value.is_floating_point() else value.dtype).contiguous().cpu()
        for name, value in weights.items()
    }
    for name, value in stored.items():
        if value.is_floating_point() and not bool(value.isfinite().all()):
            raise CheckpointError(
                f"{name} holds values that are not finite as {value.dtype}, which no model could "
                f"be read from; nothing was written to {folder}"
            )
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"format": FORMAT, **config}, indent=2) + "\n"
    data, weights_file = save_safetensors(stored), folder / WEIGHTS_FILE
    if weights_file.is_file() and weights_file.read_bytes() != data:
        for about_others in (CARD_FILE, METRICS_FILE):
            (folder / about_others).unlink(missing_ok=True)
    write_whole(weights_file, data)
    write_whole(folder / CONFIG_FILE, text.encode())


def read_safetensors(data: bytes, origin: Path) -> dict[str, torch.Tensor]:
    """Reads a safetensors file whose header is no longer than any model's.

    Args:
        data: The file.
        origin: Its name, for messages.

    Raises:
        CheckpointError: If the header is longer, or lists more tensors, or if the file is broken.
    """

    def refuse(reason: object, cause: Exception | None = None) -> NoReturn:
        raise CheckpointError(f"{origin} is not a readable safetensors file: {reason}") from cause

    length, rest = int.from_bytes(data[:8], "little"), max(len(data) - 8, 0)
    if length > rest and data.startswith(_PICKLES):
        refuse("it is a pickle, which is never opened; save it with safetensors.torch.save_file")
    if length > rest or not length:
        refuse(f"it claims a header of {length:,} bytes, and {rest:,} bytes follow")
    if length > _MOST_JSON_BYTES:
        refuse(f"its header has {length:,} bytes, over the limit of {_MOST_JSON_BYTES:,}")
    try:
        header = json.loads(data[8 : 8 + length])
    except (ValueError, RecursionError) as error:
        refuse(f"its header is not JSON: {error}", error)
    if not isinstance(header, dict):
        refuse("its header is not a JSON object")
    if len(header) > _MOST_TENSORS:
        refuse(f"its header lists {len(header):,} tensors, over the limit of {_MOST_TENSORS:,}")
    try:
        return load_safetensors(data)
    except (SafetensorError, KeyError, OverflowError, RuntimeError, TypeError, ValueError) as error:
        refuse(error, error)


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
    """Writes a file so that a reader sees the old content or the new, never a part.

    A link goes on leading where it led, and what is no file, such as a pipe, is written as it is.
    A file that was there before passes its permissions on.
    """
    # Before links are resolved: that of a pipe in /dev/fd leads to no path.
    if path.exists() and not path.is_file():
        path.write_bytes(data)
        return
    path = path.resolve()
    # A name of its own: two may write the same file at once.
    writer = f"{os.getpid()}-{threading.get_native_id()}"
    temporary = path.with_name(f"{path.name}.{writer}.new")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())  # or a power cut could leave the new name without its content
        if path.exists():
            shutil.copymode(path, temporary)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _split_repository(repository: str) -> tuple[str, str | None]:
    """Splits `hf-hub:owner/name@revision` into `owner/name` and the revision, or None."""
    repo_id, _, revision = repository.removeprefix(HUB_PREFIX).partition("@")
    return repo_id, revision or None


def fetch(repository: str, *, revision: str | None = None, **options: Any) -> Path:
    """Returns the local folder of a repository on the Hub, downloaded where it is not cached.

    With `HF_HUB_OFFLINE=1` it is only taken from the cache.

    Args:
        repository: `owner/name`, optionally with `hf-hub:` before it and `@revision` after it.
        revision: Branch, tag or commit; that of `repository`, or `main`, unless given.
        options: `cache_dir`, `force_download`, `local_files_only` and `token`, as
            `huggingface_hub.snapshot_download` has them.

    Raises:
        CheckpointError: If there is no such repository, or it cannot be reached and is not cached.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    repo_id, own_revision = _split_repository(repository)
    revision = revision or own_revision
    wanted = [CONFIG_FILE, WEIGHTS_FILE, CARD_FILE, METRICS_FILE]
    name = f"{repo_id}@{revision}" if revision else repo_id
    try:
        return Path(snapshot_download(repo_id, revision=revision, allow_patterns=wanted, **options))
    except LocalEntryNotFoundError as error:
        reason, advice = "the Hub cannot be reached", "connect once, or unset HF_HUB_OFFLINE"
        if options.get("local_files_only"):
            reason, advice = "local_files_only forbids the Hub", "leave that out once"
        raise CheckpointError(f"{name} is not in the local cache and {reason}; {advice}") from error
    except (HfHubHTTPError, HFValidationError) as error:
        raise CheckpointError(f"the Hub has no model {name}: {error}") from error


def _read_config(folder: Path) -> dict[str, Any]:
    data = _read(folder / CONFIG_FILE)
    if len(data) > _MOST_JSON_BYTES:
        raise CheckpointError(
            f"{folder / CONFIG_FILE} has {len(data):,} bytes, over the limit of "
            f"{_MOST_JSON_BYTES:,}"
        )
    try:
        config = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{folder / CONFIG_FILE} is not JSON: {error}") from error
    if not isinstance(config, dict) or config.get("format") != FORMAT:
        raise CheckpointError(
            f"{folder / CONFIG_FILE} does not say format {FORMAT!r}; it is not a model folder of "
            "this library"
        )
    names = config.get("class_names", [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise CheckpointError(f"{folder / CONFIG_FILE}: class_names must be a list of texts")
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
