"""A small data set and a small model in its folder, for commands that train from one."""

from pathlib import Path

import pytest

from tests import tiny
from tokenlearner.checkpoints import save_model


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.write_dataset(tmp_path_factory.mktemp("data") / "colours", test=6)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    save_model(tmp_path / "tiny", tiny.model())
    return tmp_path / "tiny"
