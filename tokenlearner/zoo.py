"""The models that come with the project, and `load` for these and others."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenlearner.checkpoints import AnyModel, load_model, model_of
from tokenlearner.errors import CheckpointError
from tokenlearner.models.info import ModelInfo
from tokenlearner.storage import (
    CARD_FILE,
    HUB_PREFIX,
    METRICS_FILE,
    fetch,
    read_repository,
    refuse_revision,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class ZooEntry:
    """One shipped model.

    Attributes:
        name: Its folder under `checkpoints/`.
        title: For people.
        dataset: As in `tokenlearner.training.datasets`.
        sha256: Checksum of its weights file.
        baseline: Name of the same model without TokenLearner; None if it is none or there is none.
    """

    name: str
    title: str
    dataset: str
    sha256: str
    baseline: str | None = None


ENTRIES: tuple[ZooEntry, ...] = (
    ZooEntry(
        name="imagenette-conv-vit-tl8",
        title="Imagenette coarse, 8 tokens",
        dataset="imagenette",
        sha256="98a40b3a37a0e365c98e03af7c66c1b9216528f566857ec6cef026b7d5f83fcd",
        baseline="imagenette-conv-vit",
    ),
    ZooEntry(
        name="imagenette-conv-vit",
        title="Imagenette coarse, baseline",
        dataset="imagenette",
        sha256="79a23d7b7e4b6a34a23cdb7ba4911b41cc24e4ffc389ce873f84b397acb66072",
    ),
    ZooEntry(
        name="imagenette-fine-vit-tl8",
        title="Imagenette fine, 8 tokens",
        dataset="imagenette",
        sha256="35a225091edf767c45d2780653f9fcc7297fc3c14fccc01adbe7e2b64e3e34fc",
        baseline="imagenette-fine-vit",
    ),
    ZooEntry(
        name="imagenette-fine-vit-tl16",
        title="Imagenette fine, 16 tokens",
        dataset="imagenette",
        sha256="8c34f4485f6a4d85c216027ccc4250227f7fcc597f5a96bf156163337137d790",
        baseline="imagenette-fine-vit",
    ),
    ZooEntry(
        name="imagenette-fine-vit-tl8-fuser",
        title="Imagenette fine, 8 with fuser",
        dataset="imagenette",
        sha256="a00ac7d8cc5edeac25c73c5fad25fe1678a5b8df553b4fd7da06f50db5b7d1c4",
        baseline="imagenette-fine-vit",
    ),
    ZooEntry(
        name="imagenette-fine-vit",
        title="Imagenette fine, baseline",
        dataset="imagenette",
        sha256="ef03bb3a21522d5abc8ec1389178609f466c104b784db73ae121a3a7f7a64482",
    ),
    ZooEntry(
        name="cifar10-tuned-vit-tl8",
        title="CIFAR-10, 8 tokens",
        dataset="cifar10",
        sha256="a02eb604f371aeb49a193077ade0abb7cd598ae01aa83972e97c40c9ac6ff5f8",
        baseline="cifar10-tuned-vit",
    ),
    ZooEntry(
        name="cifar10-tuned-vit",
        title="CIFAR-10, baseline",
        dataset="cifar10",
        sha256="4f3c86e9b43ff1f230f2bb471ffb12eb8cde2609fc60ba91eb16647764da1bee",
    ),
    ZooEntry(
        name="cifar10-mini-vit-tl8",
        title="CIFAR-10 Keras, 8 tokens",
        dataset="cifar10",
        sha256="35eac0b7f6ae0a3495763992288c5ee2584ce7e21f648343c3b543524e00a12c",
        baseline="cifar10-mini-vit",
    ),
    ZooEntry(
        name="cifar10-mini-vit",
        title="CIFAR-10 Keras, baseline",
        dataset="cifar10",
        sha256="34f5790b4b52a01e34edd2031e2d4d3b4656f53b0c8c4d5186fdfe43ef370f68",
    ),
    ZooEntry(
        name="gestures-vivit-tl8",
        title="Gestures in clips, 8 tokens",
        dataset="pointing-gestures",
        sha256="d5607ee7dbadbcad2535d3728fa15d5d5d43edf23b50122abdb306fdfdeca5c3",
        baseline="gestures-vivit",
    ),
    ZooEntry(
        name="gestures-vivit",
        title="Gestures in clips, baseline",
        dataset="pointing-gestures",
        sha256="ad113dfd47d064bfc3b60a30361fd2164b87d333fa77e89c609bc89254c6b960",
    ),
)


def names() -> tuple[str, ...]:
    """Returns the names of the shipped models, the best to start with first."""
    return tuple(entry.name for entry in ENTRIES)


def entry(name: str) -> ZooEntry:
    """Returns the facts about a shipped model.

    Raises:
        CheckpointError: If the name is unknown; the message lists all names.
    """
    for candidate in ENTRIES:
        if candidate.name == name:
            return candidate
    raise CheckpointError(f"unknown model {name!r}; available: {', '.join(names())}")


def counterpart(name: str) -> str | None:
    """Returns the baseline of a shipped model or, for a baseline, the first model with a learner.

    Returns None if there is no such model.

    Raises:
        CheckpointError: If the name is unknown.
    """
    learners = (other.name for other in ENTRIES if other.baseline == name)
    return entry(name).baseline or next(learners, None)


def card(name: str | Path) -> str:
    """Returns a model's card, in Markdown, without the Hub's front matter.

    Args:
        name: Name, as `load` takes it.

    Raises:
        CheckpointError: If there is no card.
    """
    text = _read(_place(name) / CARD_FILE)
    if text.startswith("---\n"):
        text = text.partition("\n---\n")[2]
    return text.lstrip()


def metrics(name: str) -> dict[str, Any]:
    """Returns the metrics that `tokenlearner evaluate --save` wrote for a shipped model.

    Raises:
        CheckpointError: If there is no such file.
    """
    return json.loads(_read(folder(name) / METRICS_FILE))


def folder(name: str) -> Path:
    """Returns the folder of a shipped model.

    In a clone, it is in `checkpoints/`, which an installed package has a copy of;
    `TOKENLEARNER_CHECKPOINTS` overrides the location.

    Raises:
        CheckpointError: If the folder is not there.
    """
    root = os.environ.get("TOKENLEARNER_CHECKPOINTS")
    base = Path(root) if root else Path(__file__).parent / "_checkpoints"
    path = base.resolve() / entry(name).name
    if not path.is_dir():
        raise CheckpointError(
            f"the folder {path} of the shipped model {name} is missing; reinstall the project, or "
            "set TOKENLEARNER_CHECKPOINTS to a folder that holds it"
        )
    return path


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise CheckpointError(f"cannot read {path}: it is not UTF-8 text") from error


def load(
    name: str | Path,
    *,
    revision: str | None = None,
    cache_dir: str | Path | None = None,
    force_download: bool = False,
    local_files_only: bool = False,
    token: str | bool | None = None,
) -> AnyModel:
    """Loads a model with its weights.

    Args:
        name: One of `names()`, the path of a model folder, or `hf-hub:owner/name`, optionally with
            `@revision`, for a repository on the Hugging Face Hub (downloaded to the local cache;
            with `HF_HUB_OFFLINE=1`, read from the cache only).
        revision: Branch, tag or commit on the Hub; by default `main`. The other options, too, are
            for models there.
        cache_dir: The Hub's local cache, if not the usual one.
        force_download: Download again what is in the cache.
        local_files_only: Read from the cache only.
        token: For private repositories; by default the one of `hf auth login`.

    Returns:
        The model in eval mode on the CPU; `model.info` has its classes, preprocessing and origin.

    Raises:
        CheckpointError: If there is no such model, or its files are invalid.
    """
    text = str(name)
    if not text.startswith(HUB_PREFIX):
        refuse_revision(revision, of=f"{text!r}, which is here")
        return load_model(_place(name), sha256=entry(text).sha256 if text in names() else None)
    files = read_repository(
        text,
        revision=revision,
        cache_dir=cache_dir,
        force_download=force_download,
        local_files_only=local_files_only,
        token=token,
    )
    return model_of(files)


def reference(info: ModelInfo) -> str:
    """Returns the name of a loaded model for a command that others can run.

    A repository on the Hub with its commit; a shipped model's name, if the weights are the shipped
    ones; otherwise the name of its folder, as a full path means nothing on another machine.
    """
    if info.source.startswith(HUB_PREFIX):
        return info.source
    if info.name in names() and info.sha256 == entry(info.name).sha256:
        return info.name
    return f"./{Path(info.source).name}" if info.source else info.name


def _place(name: str | Path) -> Path:
    """The folder of a model, shipped, of one's own or from the Hub."""
    text = str(name)
    if text.startswith(HUB_PREFIX):
        return fetch(text)
    if text in names():
        return folder(text)
    if text and Path(text).is_dir():  # the path of no characters is the current folder
        return Path(text)
    raise CheckpointError(
        f"{text!r} is neither a shipped model ({', '.join(names())}) nor a folder; "
        f"for the Hub write {HUB_PREFIX}owner/name"
    )
