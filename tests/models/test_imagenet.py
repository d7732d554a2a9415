"""One name for each class of ImageNet: classes are matched by name."""

from pathlib import Path

import pytest
import timm
from timm.data.imagenet_info import ImageNetInfo

from tests import tiny
from tokenlearner.conversion.folder import name_classes
from tokenlearner.models import TimmVisionTransformer, describe_timm
from tokenlearner.models.imagenet import imagenet_names, shorten_names, wordnet_names
from tokenlearner.training.data import read_images


@pytest.fixture(scope="module")
def full_names() -> tuple[str, ...]:
    """As WordNet says them, with the second crane renamed: the Hub wants no two alike."""
    names = ImageNetInfo().label_descriptions()
    assert isinstance(names, list)
    return tuple("crane2" if index == 517 else name for index, name in enumerate(names))


class TestEverySourceAgrees:
    def test_class_folders(self, tmp_path: Path) -> None:
        files = {f"val/{wnid}/a.JPEG": b"not opened" for wnid in ImageNetInfo().label_names()}
        data = read_images(tiny.write_files(tmp_path, files), "val")
        assert data.class_names == imagenet_names()

    def test_the_hubs_copy(self, full_names: tuple[str, ...], tmp_path: Path) -> None:
        features = {
            "img": {"_type": "Image"},
            "label": {"names": list(full_names), "_type": "ClassLabel"},
        }
        tiny.write_parquet(tmp_path / "test.parquet", [tiny.photo(0, 0)], [3], features=features)
        assert read_images(tmp_path, "test").class_names == imagenet_names()

    def test_a_model_of_timm(self) -> None:
        model = TimmVisionTransformer(timm.create_model("test_vit"))
        assert describe_timm(model, pretrained=True).class_names == imagenet_names()

    def test_a_converted_model(self) -> None:
        assert name_classes(1000, None) == imagenet_names()


class TestNames:
    def test_no_two_are_alike(self) -> None:
        names = imagenet_names()
        assert len(set(names)) == 1000
        assert (names[0], names[134], names[517]) == (
            "tench",
            "crane (n02012849)",
            "crane (n03126707)",
        )

    def test_a_part_of_imagenet_has_the_same_names(self) -> None:
        assert wordnet_names(["n03126707", "n01440764"]) == ("crane (n03126707)", "tench")

    def test_beyond_imagenet_the_classes_at_hand_decide(self) -> None:
        info = ImageNetInfo("imagenet-12k")
        names = wordnet_names(info.label_names())
        assert len(set(names)) == len(info.label_names())

    def test_ids_unknown_to_wordnet_stay(self) -> None:
        assert wordnet_names(["n01440764", "n99999999"]) == ("n01440764", "n99999999")

    def test_full_names_in_another_order_stay(self, full_names: tuple[str, ...]) -> None:
        assert shorten_names(full_names[::-1]) == full_names[::-1]
        assert shorten_names(full_names[:999]) == full_names[:999]
