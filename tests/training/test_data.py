"""Reading parquet files and from the Hub: what is read, and what is said of what cannot be."""

import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests import hub_cache, tiny
from tokenlearner.errors import DataError
from tokenlearner.media import read_image
from tokenlearner.preprocess import Preprocessing, prepare
from tokenlearner.training.data import LabelledImages, find_test_split, read_images

TRAIN = "train-00000-of-00001.parquet"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tiny.write_dataset(tmp_path / "tiny", train=7, test=3)


class TestReading:
    def test_photos_and_labels(self, folder: Path) -> None:
        data = read_images(folder, "train")
        assert len(data) == 7
        assert data.labels.tolist() == [0, 1, 2, 0, 1, 2, 0]
        assert data.class_names == tiny.CLASSES
        assert data.encoded[4] == tiny.photo(1, 4)
        images = list(data.images())
        assert np.array_equal(images[4].pixels, read_image(tiny.photo(1, 4)).pixels)
        assert len(read_images(str(folder), "test")) == 3

    def test_a_split_in_a_subfolder(self, tmp_path: Path, folder: Path) -> None:
        (tmp_path / "hub/plain_text").mkdir(parents=True)
        (folder / TRAIN).rename(tmp_path / "hub/plain_text" / TRAIN)
        assert len(read_images(tmp_path / "hub", "train")) == 7

    def test_several_files_in_order(self, tmp_path: Path) -> None:
        for part, labels in enumerate([[0, 1], [2], [1, 1]]):
            images = [tiny.photo(label, 10 * part) for label in labels]
            tiny.write_parquet(tmp_path / f"train-0000{part}-of-00003.parquet", images, labels)
        assert read_images(tmp_path, "train").labels.tolist() == [0, 1, 2, 1, 1]

    def test_stack_prepares_as_a_model_s_input_is(self, tmp_path: Path) -> None:
        image = tiny.photo(0, 1, size=(30, 50))
        tiny.write_parquet(tmp_path / TRAIN, [image], [0])
        plan = Preprocessing(image_size=(20, 12), mean=(0.5, 0.5, 0.5), std=(2.0, 1.0, 1.0))
        plain = Preprocessing(image_size=(20, 12), mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
        stacked = read_images(tmp_path, "train").stack(plan)
        wanted, _ = prepare(read_image(image).pixels, plain)
        np.testing.assert_allclose(stacked[0] / 255, wanted[0], atol=1e-6)

    def test_split_holds_rows_out_and_keeps_labels_with_photos(self, folder: Path) -> None:
        data = read_images(folder, "train")
        rest, heldout = data.split(2, seed=3)
        assert (len(rest), len(heldout)) == (5, 2)
        pairs = dict(zip(data.encoded, data.labels, strict=True))
        for part in (rest, heldout):
            assert [pairs[image] for image in part.encoded] == part.labels.tolist()
        assert set(rest.encoded) | set(heldout.encoded) == set(data.encoded)
        assert list(data.split(2, seed=3)[1].encoded) == list(heldout.encoded)
        assert list(data.split(2, seed=4)[1].encoded) != list(heldout.encoded)

    def test_checksum_depends_on_photos_labels_and_order(self) -> None:
        def sha256(encoded: tuple[bytes, ...], labels: list[int]) -> str:
            return LabelledImages("x", encoded, np.array(labels), tiny.CLASSES).sha256

        sums = [
            sha256((b"a", b"b"), [0, 1]),
            sha256((b"b", b"a"), [0, 1]),
            sha256((b"a", b"b"), [1, 0]),
            sha256((b"ab", b""), [0, 1]),
        ]
        assert len(set(sums)) == 4
        assert sha256((b"a", b"b"), [0, 1]) == sums[0]

    def test_source_name_is_the_folder_s_or_the_id(self, folder: Path) -> None:
        assert read_images(folder, "train").source_name == "tiny"
        (file := folder.parent / "list.csv").touch()
        assert LabelledImages(str(file), (), np.array([]), ()).source_name == "list.csv"
        assert LabelledImages("owner/name", (), np.array([]), ()).source_name == "owner/name"


class TestFromTheHub:
    @pytest.fixture(autouse=True)
    def _cache(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        hub_cache.use(monkeypatch, tmp_path)

    def test_from_the_cache(self, tmp_path: Path) -> None:
        repository = hub_cache.add(tmp_path, "owner/colours", kind="datasets")
        tiny.write_dataset(repository / "plain_text", train=5)
        data = read_images("owner/colours", "train")
        assert len(data) == 5
        assert data.source_name == "owner/colours"

    def test_not_in_the_cache(self) -> None:
        with pytest.raises(
            DataError, match=r"no folder owner/none.*not in the local cache.*check the path"
        ):
            read_images("owner/none", "train")


class TestErrors:
    def test_no_such_folder(self, tmp_path: Path) -> None:
        missing = tmp_path / "missing"
        with pytest.raises(DataError, match=f"no folder {re.escape(str(missing))}.*owner/name"):
            read_images(missing, "train")

    def test_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "list.csv").touch()
        with pytest.raises(DataError, match=r"is a file; wanted a folder .* CSV files are for cl"):
            read_images(tmp_path / "list.csv", "train")

    @pytest.mark.parametrize("source", ["./name", "name", "../a", "a/b/c", "/a", "a b/c"])
    def test_neither_folder_nor_id(self, source: str) -> None:
        with pytest.raises(DataError, match="it is not an id on the Hub either"):
            read_images(source, "train")

    def test_no_such_split(self, folder: Path) -> None:
        with pytest.raises(
            DataError, match=r"tiny has no split 'validation': .*\. It has test, train$"
        ):
            read_images(folder, "validation")

    def test_the_split_twice(self, folder: Path) -> None:
        (folder / "large").mkdir()
        (folder / "large" / TRAIN).write_bytes((folder / TRAIN).read_bytes())
        with pytest.raises(DataError, match=r"'train' more than once, in \., large; give the path"):
            read_images(folder, "train")

    def test_a_part_is_missing(self, folder: Path) -> None:
        (folder / TRAIN).rename(folder / "train-00001-of-00002.parquet")
        with pytest.raises(
            DataError, match="holds 1 of 2 files of the split 'train', without number 0; fetch"
        ):
            read_images(folder, "train")

    def test_broken_file(self, folder: Path) -> None:
        (folder / TRAIN).write_bytes((folder / TRAIN).read_bytes()[:-100])
        with pytest.raises(DataError, match=f"{TRAIN} is not a readable parquet file"):
            read_images(folder, "train")

    def test_no_rows(self, tmp_path: Path) -> None:
        tiny.write_parquet(tmp_path / TRAIN, [], [])
        with pytest.raises(DataError, match=r"has a split 'train', but it is empty"):
            read_images(tmp_path, "train")

    def test_no_feature_description(self, tmp_path: Path) -> None:
        pq.write_table(pa.table({"img": [b""], "label": [0]}), tmp_path / TRAIN)
        with pytest.raises(
            DataError,
            match=rf"{TRAIN} has no Hugging Face feature.*has img \(binary\), label \(int64\)",
        ):
            read_images(tmp_path, "train")

    @pytest.mark.parametrize(
        ("features", "message"),
        [
            ({"label": {"_type": "ClassLabel"}}, r"no Image column; it has label \(ClassLabel\)"),
            (
                {"img": {"_type": "Image"}, "label": {"_type": "Value"}},
                r"no ClassLabel column; it has img \(Image\), label \(Value\)",
            ),
        ],
    )
    def test_missing_columns(self, tmp_path: Path, features: dict[str, Any], message: str) -> None:
        tiny.write_parquet(tmp_path / TRAIN, [b"x"], [0], features=features)
        with pytest.raises(DataError, match=message):
            read_images(tmp_path, "train")

    def test_description_of_absent_columns(self, tmp_path: Path) -> None:
        names = {"names": ["a"], "_type": "ClassLabel"}
        features = {"picture": {"_type": "Image"}, "class": names}
        tiny.write_parquet(tmp_path / TRAIN, [b"x"], [0], features=features)
        with pytest.raises(
            DataError, match=r"no column 'picture'; it has img \(struct.*\), label \(int64\)"
        ):
            read_images(tmp_path, "train")

    @pytest.mark.parametrize("label", [3, -1, None])
    def test_label_out_of_range(self, tmp_path: Path, label: int | None) -> None:
        tiny.write_parquet(tmp_path / TRAIN, [b"x", b"y"], [0, label])
        with pytest.raises(DataError, match=f"row 1 has the label {label}; wanted 0 to 2"):
            read_images(tmp_path, "train")

    def test_a_path_instead_of_an_image(self, tmp_path: Path) -> None:
        tiny.write_parquet(tmp_path / TRAIN, [b"x", None], [0, 1])
        with pytest.raises(DataError, match=r"row 1 \(.*\): No image file, only a path"):
            read_images(tmp_path, "train")

    def test_corrupt_photo(self, tmp_path: Path) -> None:
        images = [tiny.photo(0, 0), tiny.photo(1, 1)[:200]]
        tiny.write_parquet(tmp_path / TRAIN, images, [0, 1])
        data = read_images(tmp_path, "train")
        with pytest.raises(DataError, match=r"row 1 \(1\.png\) is not a usable photo\. .*broken"):
            list(data.images())

    def test_without_pyarrow(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "pyarrow", None)
        with pytest.raises(DataError, match="need pyarrow; pip install pyarrow"):
            read_images(folder, "train")


class TestFindTestSplit:
    def test_is_what_the_folder_calls_it(self, folder: Path, tmp_path: Path) -> None:
        assert find_test_split(folder) == "test"
        tiny.write_files(tmp_path / "photos", {"train/a/0.png": b"x", "test_notes.txt": b"x"})
        assert find_test_split(tmp_path / "photos") is None
        tiny.write_files(tmp_path / "photos/val/a", {"0.png": b"x"})
        assert find_test_split(tmp_path / "photos") == "val"

    def test_of_what_is_not_opened_it_is_test(self, tmp_path: Path) -> None:
        assert find_test_split("owner/name") == "test"
        (tmp_path / "clips.csv").write_text("path,class\n")
        assert find_test_split(tmp_path / "clips.csv") == "test"
