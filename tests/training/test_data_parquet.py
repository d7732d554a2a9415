"""Parquet files beyond the plain case: columns by name, several labels, too much for memory."""

import json
import pickle
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests import tiny
from tokenlearner.errors import ConfigError, DataError
from tokenlearner.training.data import LabelledImages, packed, parquet, read_images

TRAIN = "train-00000-of-00001.parquet"
NAMES = {"_type": "ClassLabel", "names": list(tiny.CLASSES)}
IMAGE = {"_type": "Image"}


def write(file: Path, columns: dict[str, Any], features: dict[str, Any] | None = None) -> None:
    table = pa.table(columns)
    if features is not None:
        about = json.dumps({"info": {"features": features}})
        table = table.replace_schema_metadata({"huggingface": about})
    pq.write_table(table, file)


class TestFiles:
    @pytest.mark.parametrize(
        "name", ["train.parquet", "train/0000.parquet", "default/train/0000.parquet", TRAIN]
    )
    def test_names(self, tmp_path: Path, name: str) -> None:
        tiny.write_parquet(tmp_path / name, [tiny.photo(0, 0)], [0])
        tiny.write_parquet(tmp_path / name.replace("train", "test"), [b""], [1])
        tiny.write_parquet(tmp_path / "train-extra-00000-of-00001.parquet", [b""], [2])
        assert read_images(tmp_path, "train").labels.tolist() == [0]

    def test_configurations(self, tmp_path: Path) -> None:
        for name in ("large", "small"):
            tiny.write_parquet(tmp_path / name / TRAIN, [b"x"], [0])
        with pytest.raises(DataError, match="'train' more than once, in large, small; give"):
            read_images(tmp_path, "train")
        assert len(read_images(tmp_path / "small", "train")) == 1

    @pytest.mark.parametrize(
        ("numbers", "count", "message"),
        [
            ((0, 2), 4, "2 of 4 files of the split 'train', without number 1, 3; fetch"),
            ((0, 0), 2, "2 of 2 files of the split 'train', without number 1; fetch"),
            ((0, 1, 1), 2, "3 of 2 files of the split 'train'; fetch them all, of one version"),
        ],
    )
    def test_other_files_than_there_should_be(
        self, tmp_path: Path, numbers: tuple[int, ...], count: int, message: str
    ) -> None:
        for index, number in enumerate(numbers):
            name = f"train-{number:05}-of-{count:05}-{index}.parquet"
            tiny.write_parquet(tmp_path / name, [b"x"], [0])
        with pytest.raises(DataError, match=message):
            read_images(tmp_path, "train")

    def test_files_that_differ(self, tmp_path: Path) -> None:
        tiny.write_parquet(tmp_path / "train-00000-of-00002.parquet", [b"x"], [0])
        features = {"img": IMAGE, "label": {"_type": "ClassLabel", "names": ["a"]}}
        other = "train-00001-of-00002.parquet"
        tiny.write_parquet(tmp_path / other, [b"x"], [0], features=features)
        with pytest.raises(DataError, match=f"{other} has other columns or classes than train-0"):
            read_images(tmp_path, "train")

    def test_broken_in_the_middle(self, tmp_path: Path) -> None:
        tiny.write_parquet(tmp_path / TRAIN, [bytes(range(256))] * 50, [0] * 50)
        content = bytearray((tmp_path / TRAIN).read_bytes())
        content[4:200] = bytes(196)
        (tmp_path / TRAIN).write_bytes(content)
        with pytest.raises(DataError, match=f"{TRAIN} is not a readable parquet file"):
            read_images(tmp_path, "train")

    def test_a_row_is_named_by_its_file(self, tmp_path: Path) -> None:
        for part, images in enumerate([[tiny.photo(0, 0)] * 2, [], [tiny.photo(0, 0), b"x"]]):
            name = f"train-0000{part}-of-00003.parquet"
            tiny.write_parquet(tmp_path / name, images, [0] * len(images))
        data = read_images(tmp_path, "train").take([2, 3])
        assert data._photos.name(0) == "train-00002-of-00003.parquet, row 0 (0.png)"
        with pytest.raises(DataError, match=r"-00003\.parquet, row 1 \(1\.png\) is not a usable"):
            data.read(1)

    def test_rows_without_a_photo(self, tmp_path: Path) -> None:
        image_type = pa.struct({"bytes": pa.binary(), "path": pa.string()})
        good = {"bytes": tiny.photo(0, 0), "path": None}
        entries = [None, good, {"bytes": None, "path": "a.png"}, good, good]
        columns = {"img": pa.array(entries, image_type), "label": [0, 1, 2, 0, 1]}
        write(tmp_path / TRAIN, columns, {"img": IMAGE, "label": NAMES})
        data = read_images(tmp_path, "train", max_unusable=0.4)
        assert data.labels.tolist() == [1, 0, 1]
        reason = "No image file, only a path to one or nothing"
        assert data.unusable == (
            f"{TRAIN}, row 0: {reason}",
            f"{TRAIN}, row 2 (a.png): {reason}",
        )
        with pytest.raises(DataError, match="2 of 5 photos are missing or corrupt"):
            read_images(tmp_path, "train", max_unusable=0.39)

    @pytest.mark.parametrize("share", [-0.1, 1.1])
    def test_no_share(self, tmp_path: Path, share: float) -> None:
        with pytest.raises(ConfigError, match=f"max_unusable is {share}; wanted a share"):
            read_images(tmp_path, "train", max_unusable=share)

    def test_no_name_of_a_split(self, tmp_path: Path) -> None:
        tiny.write_parquet(tmp_path / TRAIN, [b"x"], [0])
        with pytest.raises(ConfigError, match="the split is ''; wanted a name such as train"):
            read_images(tmp_path, "")


class TestColumns:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        """As CIFAR-100 has two kinds of classes, and more."""
        photo = tiny.photo(0, 0)
        columns = {
            "img": pa.array([{"bytes": photo, "path": None}] * 2),
            "raw": pa.array([photo, photo]),
            "fine": [2, 0],
            "coarse": [1, 0],
            "count": pa.array([0, 4], pa.uint8()),
            "tags": [[0, 3], []],
            "word": ["a", "b"],
        }
        coarse = {"_type": "ClassLabel", "names": ["warm", "cold"]}
        features = {"img": IMAGE, "fine": NAMES, "coarse": coarse, "word": {"_type": "Value"}}
        write(tmp_path / TRAIN, columns, features)
        return tmp_path

    @pytest.mark.parametrize(
        ("highest", "wanted"),
        [
            (10**12, "indices: its highest number is 1,000,000,000,000, and .* names; name"),
            (-1, "index, only -1 or nothing, which means unknown .*; take another split, or name"),
        ],
    )
    def test_numbers_that_are_no_class_indices(
        self, tmp_path: Path, highest: int, wanted: str
    ) -> None:
        """As the ids of photos, each of which would be a class."""
        columns = {"photo": [tiny.photo(0, 0)] * 3, "id": [-1, -1, highest]}
        write(tmp_path / TRAIN, columns)
        message = rf"the column 'id' holds no class {wanted} another column \(--label-column"
        with pytest.raises(DataError, match=message):
            read_images(tmp_path, "train", image_column="photo", label_column="id")

    def test_two_that_could_be_meant(self, folder: Path) -> None:
        with pytest.raises(
            DataError, match="2 ClassLabel columns, fine, coarse; name one as the label column"
        ):
            read_images(folder, "train")

    @pytest.mark.parametrize(
        ("column", "labels", "class_names"),
        [
            ("fine", [2, 0], tiny.CLASSES),
            ("coarse", [1, 0], ("warm", "cold")),
            ("count", [0, 4], tuple("01234")),
            ("tags", [[True, False, False, True], [False] * 4], tuple("0123")),
        ],
    )
    def test_by_name(
        self, folder: Path, column: str, labels: list[Any], class_names: tuple[str, ...]
    ) -> None:
        data = read_images(folder, "train", label_column=column, image_column="raw")
        assert data.labels.tolist() == labels
        assert data.class_names == class_names
        assert data.encoded[1] == tiny.photo(0, 0)

    @pytest.mark.parametrize(
        ("image", "label", "message"),
        [
            ("img", "colour", "no column 'colour'; it has img (Image), raw (binary), fine (Class"),
            ("img", "word", "the column 'word' is of type string; wanted class indices"),
            ("fine", "fine", "the column 'fine' is of type int64; wanted image files"),
            ("word", "fine", "the column 'word' is of type string; wanted image files"),
        ],
    )
    def test_others(self, folder: Path, image: str, label: str, message: str) -> None:
        with pytest.raises(DataError, match=re.escape(message)):
            read_images(folder, "train", image_column=image, label_column=label)

    def test_without_a_description(self, tmp_path: Path) -> None:
        write(tmp_path / TRAIN, {"photo": [tiny.photo(0, 0)] * 3, "kind": [1, 0, 2]})
        data = read_images(tmp_path, "train", image_column="photo", label_column="kind")
        assert data.labels.tolist() == [1, 0, 2]
        assert data.class_names == ("0", "1", "2")
        with pytest.raises(
            DataError, match=r"name them \(--im.* It has photo \(binary\), kind \(int64\)"
        ):
            read_images(tmp_path, "train", label_column="kind")


class TestSeveralLabels:
    @pytest.mark.parametrize(
        "feature",
        [
            {"_type": "Sequence", "feature": NAMES, "length": -1},
            {"_type": "List", "feature": NAMES},
            [NAMES],
        ],
    )
    def test_of_every_release_of_datasets(self, tmp_path: Path, feature: Any) -> None:
        tiny.write_parquet(
            tmp_path / TRAIN,
            [tiny.photo(0, row) for row in range(4)],
            [[2, 0], [], [1], [1, 1]],
            features={"img": IMAGE, "label": feature},
            label_type=pa.list_(pa.int64()),
        )
        data = read_images(tmp_path, "train")
        assert data.labels.dtype == bool
        assert data.labels.astype(int).tolist() == [[1, 0, 1], [0, 0, 0], [0, 1, 0], [0, 1, 0]]
        assert data.class_names == tiny.CLASSES
        assert data.multi_label

    @pytest.mark.parametrize("label", [[0, 3], [-1], [None], None])
    def test_out_of_range(self, tmp_path: Path, label: Any) -> None:
        tiny.write_parquet(
            tmp_path / TRAIN,
            [b"x", b"y"],
            [[0], label],
            features={"img": IMAGE, "label": [NAMES]},
            label_type=pa.list_(pa.int64()),
        )
        with pytest.raises(DataError, match=r"row 1 has the label (3|-1|None); wanted 0 to 2"):
            read_images(tmp_path, "train")

    def test_labels_that_are_kept_secret(self, tmp_path: Path) -> None:
        tiny.write_parquet(tmp_path / TRAIN, [b"x"], [-1])
        with pytest.raises(DataError, match="-1 means unknown: take another split"):
            read_images(tmp_path, "train")


class TestMoreThanFitsInMemory:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        photos = [tiny.photo(row % 3, row) for row in range(300)]
        for part in range(2):
            rows = range(150 * part, 150 * part + 150)
            images = [None if row == 151 else photos[row] for row in rows]
            name = f"data/train-0000{part}-of-00002.parquet"
            tiny.write_parquet(tmp_path / name, images, [row % 3 for row in rows])
        return tmp_path / "data"

    @pytest.fixture
    def in_memory(self, folder: Path) -> LabelledImages:
        return read_images(folder, "train")

    @pytest.fixture
    def cache(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.setattr(parquet, "IN_MEMORY_BYTES", 100_000)
        monkeypatch.setenv("TOKENLEARNER_CACHE", str(tmp_path / "cache"))
        return tmp_path / "cache"

    def test_the_same_as_in_memory(
        self, folder: Path, in_memory: LabelledImages, cache: Path
    ) -> None:
        data = read_images(folder, "train")
        assert sum(file.stat().st_size for file in cache.rglob("photos.bin")) > 150_000
        assert list(data.encoded) == list(in_memory.encoded)
        assert data.labels.tolist() == in_memory.labels.tolist()
        assert data.unusable == in_memory.unusable
        assert data.sha256 == in_memory.sha256
        part, wanted = (each.split(7, seed=1)[1] for each in (data, in_memory))
        assert list(part.encoded) == list(wanted.encoded)
        assert part.sha256 == wanted.sha256
        assert [part._photos.name(row) for row in range(7)] == [
            wanted._photos.name(row) for row in range(7)
        ]
        assert list(pickle.loads(pickle.dumps(part)).encoded) == list(wanted.encoded)

    def test_unpacked_once(
        self, folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        first = read_images(folder, "train")
        with monkeypatch.context() as patch:
            patch.setattr(packed, "_write", lambda *_: pytest.fail("unpacked again"))
            assert read_images(folder, "train").sha256 == first.sha256
        last = folder / "train-00001-of-00002.parquet"
        tiny.write_parquet(last, [tiny.photo(0, 1)] * 150, [0] * 150)
        assert read_images(folder, "train").encoded[299] == tiny.photo(0, 1)
        assert len(list(cache.rglob("photos.bin"))) == 2

    def test_no_room(self, folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=2**28))
        monkeypatch.setattr(parquet, "_num_bytes", lambda *_: 2**30)
        with pytest.raises(
            DataError, match=r"cannot unpack 2\.0 GiB .*: 0\.2 GiB are free\. .*TOKENLEARNER_CACHE"
        ):
            read_images(folder, "train")

    def test_what_fails_leaves_nothing(
        self, folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(*_: object, **__: object) -> None:
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr("numpy.savez", full)
            with pytest.raises(DataError, match=r"No space left on device\. Free some space"):
                read_images(folder, "train")
        assert not [path for path in cache.iterdir() if path.is_dir()]
        assert len(read_images(folder, "train")) == 299

    def test_where(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.delenv("TOKENLEARNER_CACHE", raising=False)
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        assert packed.cache_folder() == tmp_path / "tokenlearner"
        monkeypatch.delenv("XDG_CACHE_HOME")
        monkeypatch.setattr(Path, "home", lambda: tmp_path)
        assert packed.cache_folder() == tmp_path / ".cache/tokenlearner"
