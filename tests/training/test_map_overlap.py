"""How much maps overlap on the photos of a data set: the numbers of `explain`, on average."""

from pathlib import Path

import pytest
import torch

from tests import tiny
from tokenlearner.attention import overlap
from tokenlearner.errors import ConfigError
from tokenlearner.inference import explain
from tokenlearner.training.data import LabelledImages, read_images
from tokenlearner.training.map_overlap import mean_overlap

CPU = torch.device("cpu")


@pytest.fixture
def photos(tmp_path: Path) -> LabelledImages:
    tiny.write_dataset(tmp_path, test=7)
    return read_images(tmp_path, "test")


@pytest.mark.parametrize(
    ("num_photos", "rows"), [(99, range(7)), (7, range(7)), (3, (0, 3, 6)), (1, (0,))]
)
def test_photos_are_spread_over_the_data(
    photos: LabelledImages, num_photos: int, rows: tuple[int, ...]
) -> None:
    model = tiny.model().eval()
    images = list(photos.images())
    each = [float(overlap(explain(model, images[row]).maps)) for row in rows]
    assert max(each) > min(each) or len(each) == 1  # photos differ, or nothing is tested
    found = mean_overlap(model, photos, device=CPU, num_photos=num_photos, batch_size=2)
    assert found == pytest.approx(sum(each) / len(each), rel=1e-5)


def test_a_model_in_training_goes_on_training(photos: LabelledImages) -> None:
    model = tiny.model().train()
    mean_overlap(model, photos, device=CPU)
    assert model.training


def test_a_baseline_has_no_maps(photos: LabelledImages) -> None:
    with pytest.raises(ConfigError, match="has no TokenLearner, so there are no maps to compare"):
        mean_overlap(tiny.model(learner=False), photos, device=CPU)
