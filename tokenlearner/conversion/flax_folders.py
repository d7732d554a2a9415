"""Which checkpoint of a Scenic run: the newest step, whether it is a file or a folder of Orbax.

Source: the names that flax.training.checkpoints and Orbax give to what they write.
"""

import re
from pathlib import Path

from tokenlearner.errors import ConversionError

SAVE_WITH_FLAX = (
    "open it where JAX is installed and write it with flax.serialization.to_bytes(train_state)"
)
"""What to do about arrays in a format that only JAX reads."""

_STEP = re.compile(r"(?:[A-Za-z_]+[_-])?(?P<step>[0-9]+)")
# Folders that Orbax puts between a step's folder and its files, one per item that was saved.
_ITEM_FOLDERS = ("default", "state", "train_state")
_TENSORSTORE_FILES = ("manifest.ocdbt", "_METADATA", "_CHECKPOINT_METADATA", "d")


def find_checkpoint(path: Path, step: int | None = None) -> Path:
    """Returns the checkpoint file that `path` means.

    Args:
        path: A checkpoint file, the folder of one as Orbax leaves it, or a folder of checkpoints
            named after their steps (`checkpoint_5000`).
        step: Which of those; the newest by default.

    Raises:
        ConversionError: If there is none, or its arrays lie in another format.
    """
    if path.is_file():
        if step is not None:
            raise ConversionError(f"--step picks a checkpoint of a folder, but {path} is a file")
        return path
    if not path.is_dir():
        raise ConversionError(f"there is no file or folder {path}")
    found: dict[int, list[Path]] = {}
    for child in sorted(path.iterdir()):
        if match := _STEP.fullmatch(child.name):
            found.setdefault(int(match["step"]), []).append(child)
    if not found:
        if step is not None:
            raise ConversionError(f"{path} holds no checkpoint named after a step")
        return _file_of(path)
    chosen = max(found) if step is None else step
    if chosen not in found:
        there = ", ".join(map(str, sorted(found)))
        raise ConversionError(f"{path} holds no checkpoint of step {chosen}; it has {there}")
    if len(found[chosen]) > 1:
        names = " and ".join(child.name for child in found[chosen])
        raise ConversionError(f"{path} holds {names}; name the one that you want")
    return _file_of(found[chosen][0])


def _file_of(path: Path) -> Path:
    """Returns the file of one checkpoint; Orbax puts it into a folder."""
    if path.is_file():
        return path
    folders = [path, *(path / name for name in _ITEM_FOLDERS)]
    for folder in folders:
        if (folder / "checkpoint").is_file():
            return folder / "checkpoint"
    if any((folder / name).exists() for folder in folders for name in _TENSORSTORE_FILES):
        raise ConversionError(
            f"{path} holds its arrays in Orbax's TensorStore format, which needs JAX to read; "
            f"{SAVE_WITH_FLAX}"
        )
    raise ConversionError(f"{path} holds no checkpoint; wanted checkpoint_STEP or checkpoint")
