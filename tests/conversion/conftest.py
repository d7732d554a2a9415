"""Models that Keras saved, unpacked once."""

import zipfile
from pathlib import Path

import pytest

ARCHIVE = Path(__file__).parents[1] / "golden/keras_models.zip"


@pytest.fixture(scope="session")
def golden(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keras")
    with zipfile.ZipFile(ARCHIVE) as archive:
        archive.extractall(folder)
    return folder
