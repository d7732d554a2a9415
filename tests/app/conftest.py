"""Pages under test were started without settings."""

import sys

import pytest


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["app/main.py"])
    for name in ("TOKENLEARNER_MODELS", "TOKENLEARNER_ALLOW_HUB"):
        monkeypatch.delenv(name, raising=False)
