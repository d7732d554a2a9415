"""Small pictures of photos of any shape, and what is computed once."""

import base64
from io import BytesIO

import numpy as np
import pytest
from PIL import Image as PillowImage

from app import resources
from app.photo_resources import THUMBNAIL_SIZE_PX, thumbnail
from tokenlearner import zoo


@pytest.mark.parametrize("shape", [(1, 1), (1, 60_000), (60_000, 1), (90, 160), (600, 400)])
def test_a_thumbnail_has_its_size_whatever_the_photo(shape: tuple[int, int]) -> None:
    photo = np.full((*shape, 3), (200, 30, 30), np.uint8)
    data = base64.b64decode(thumbnail(photo).partition(",")[2])
    with PillowImage.open(BytesIO(data)) as small:
        assert small.size == THUMBNAIL_SIZE_PX
        assert np.abs(np.asarray(small.convert("RGB"), int) - (200, 30, 30)).max() < 8


def test_a_thumbnail_shows_the_middle() -> None:
    pixels = np.zeros((60, 300, 3), np.uint8)
    pixels[:, 110:190] = 255  # 80 x 60, the thumbnail's shape
    data = base64.b64decode(thumbnail(pixels).partition(",")[2])
    with PillowImage.open(BytesIO(data)) as small:
        assert np.asarray(small.convert("L"))[5:-5, 5:-5].min() > 240


def test_a_cost_that_is_known_takes_no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    name = zoo.names()[0]
    cost = resources.model_cost(name, "cpu")

    def fail(*_: object) -> None:
        raise AssertionError("the model was opened")

    monkeypatch.setattr(resources, "load_model", fail)
    assert resources.model_cost(name, "cpu") is cost
