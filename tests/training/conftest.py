"""What tests of training share."""

from collections.abc import Iterator

import pytest
import torch

from tests import tiny
from tokenlearner.training.data import LabelledImages, read_images


@pytest.fixture
def _one_thread() -> Iterator[None]:
    """Sums over several threads may round in another order."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> LabelledImages:
    """The training split of the small data set."""
    return read_images(tiny.write_dataset(tmp_path_factory.mktemp("data")), "train")
