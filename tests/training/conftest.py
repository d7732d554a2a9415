"""What tests of training share."""

import pytest

from tests import tiny
from tokenlearner.training.data import LabelledImages, read_images


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> LabelledImages:
    """The training split of the small data set."""
    return read_images(tiny.write_dataset(tmp_path_factory.mktemp("data")), "train")
