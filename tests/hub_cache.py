"""A cache as huggingface_hub lays it out, from which tests load without the Hub."""

from pathlib import Path

import pytest

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def use(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    """Loads from this cache and from nowhere else."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))


def add(
    cache: Path,
    repository: str,
    *,
    kind: str = "models",
    revision: str = "main",
    commit: str = COMMIT,
) -> Path:
    """Lets a branch or tag of a repository point to a commit; returns the commit's folder."""
    root = cache / f"{kind}--{repository.replace('/', '--')}"
    reference = root / "refs" / revision
    reference.parent.mkdir(parents=True, exist_ok=True)
    reference.write_text(commit)
    snapshot = root / "snapshots" / commit
    snapshot.mkdir(parents=True, exist_ok=True)
    return snapshot
