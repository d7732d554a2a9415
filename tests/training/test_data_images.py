"""What can be done with labelled photos wherever they come from: scan, split, take, targets."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from tests import tiny
from tokenlearner.errors import DataError, ShapeError
from tokenlearner.preprocess import Preprocessing
from tokenlearner.training.data import LabelledImages, read_images, targets
from tokenlearner.training.data.photos import PhotosInFolder


def folder_of(folder: Path, files: dict[str, bytes]) -> LabelledImages:
    tiny.write_files(folder, {f"train/{name}": content for name, content in files.items()})
    return read_images(folder, "train", max_unusable=0.5)


@pytest.fixture
def spoilt(tmp_path: Path) -> LabelledImages:
    """Four good photos and four bad ones."""
    photo, jpeg = tiny.photo(0, 0), tiny.photo(1, 1, kind="JPEG")
    return folder_of(
        tmp_path / "data",
        {
            "green/0 good.jpg": jpeg,
            "green/1 cut off.jpg": jpeg[:-40],
            "green/2 good.png": tiny.photo(1, 2),
            "green/3 empty.png": b"",
            "red/4 good.png": photo,
            "red/5 text.jpg": b"hello",
            "red/6 GIF.png": b"GIF89a" + bytes(20),
            "red/7 good.png": tiny.photo(0, 7),
        },
    )


class TestScan:
    def test_names_what_cannot_be_used_and_keeps_the_rest(self, spoilt: LabelledImages) -> None:
        good = spoilt.scan()
        assert good.labels.tolist() == [0, 0, 1, 1]
        assert [image.format for image in good.images()] == ["JPEG", "PNG", "PNG", "PNG"]
        assert good.unusable == (
            "train/green/3 empty.png: The file is empty",
            "train/green/1 cut off.jpg: This JPEG photo is broken or cut off: its header is "
            "there, but its pixels cannot be read",
            "train/red/5 text.jpg: The file's content is plain text, not a photo",
            "train/red/6 GIF.png: The file's content is a GIF, which is not supported",
        )
        assert good.scan().unusable == good.unusable
        assert good.sha256 == good.scan().sha256 != spoilt.sha256

    def test_too_many(self, spoilt: LabelledImages) -> None:
        data = LabelledImages("mine", spoilt.encoded, spoilt.labels, spoilt.class_names)
        with pytest.raises(
            DataError,
            match=r"mine: 3 of 7 photos are missing or corrupt, more than the 1 % that may be: "
            r"train/green/1 cut off\.jpg: .*; train/red/5 .*; train/red/6 .*max_unusable "
            r"\(--max-unusable in the shell\)$",
        ):
            data.scan()

    def test_stops_as_soon_as_it_is_certain(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("tokenlearner.training.data.files._SCAN_BLOCK", 10)
        data = LabelledImages("mine", (b"x",) * 100, np.zeros(100, np.int64), ("a",))
        done: list[int] = []
        with pytest.raises(DataError, match=r"10 of 100 .*: row 0: .*; and 7 more so far\."):
            data.scan(on_progress=done.append)
        assert done == []
        rest = LabelledImages("mine", (b"x",) * 25, np.zeros(25, np.int64), ("a",), (), 1.0)
        assert len(rest.scan(on_progress=done.append)) == 0
        assert done == [10, 20, 25]

    def test_remembers(
        self, spoilt: LabelledImages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        memory = tmp_path / "run/unusable.json"
        first = spoilt.scan(remember=memory)
        looked_at: list[int] = []
        read = PhotosInFolder.__getitem__
        monkeypatch.setattr(
            PhotosInFolder,
            "__getitem__",
            lambda self, row: looked_at.append(row) or read(self, row),
        )
        again = spoilt.scan(remember=memory)
        assert again.unusable == first.unusable
        assert again.sha256 == first.sha256
        assert sorted(looked_at) == [1, 4, 5], "only what was unusable"

        (tmp_path / "data/train/red/5 text.jpg").write_bytes(tiny.photo(0, 5)[:5])
        tiny.write_files(tmp_path / "data/train/red", {"6 GIF.png": tiny.photo(0, 6)[:26]})
        assert len(spoilt.scan(remember=memory).unusable) == 4

    def test_what_is_remembered_already_is_not_written_again(
        self, spoilt: LabelledImages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The processes of a run all scan at once, after the first; writing would be a race."""
        memory = tmp_path / "memory.json"
        first = spoilt.scan(remember=memory)
        monkeypatch.delattr("tokenlearner.training.data.files.write_whole")
        assert spoilt.scan(remember=memory).unusable == first.unusable

    def test_a_photo_put_right_is_used_again(self, tmp_path: Path) -> None:
        photo, memory = tiny.photo(0, 0), tmp_path / "memory.json"
        files = {"red/a.png": bytes(len(photo)), "red/b.png": photo}
        data = folder_of(tmp_path / "data", files)
        assert len(data.scan(remember=memory)) == 1
        tiny.write_files(tmp_path / "data/train", {"red/a.png": photo})
        assert len(data.scan(remember=memory)) == 2

    @pytest.mark.parametrize("content", [b"", b"[]", b"{}", None])
    def test_a_memory_of_other_data_or_none(
        self, spoilt: LabelledImages, tmp_path: Path, content: bytes | None
    ) -> None:
        memory = tmp_path / "memory.json"
        if content is None:
            spoilt.take([0, 1]).scan(remember=memory)
        else:
            memory.write_bytes(content)
        assert len(spoilt.scan(remember=memory)) == 4

    def test_a_memory_that_cannot_be_written(self, spoilt: LabelledImages, tmp_path: Path) -> None:
        (tmp_path / "file").write_bytes(b"")
        with pytest.raises(DataError, match=r"cannot write .*file/memory.json: .*other folder"):
            spoilt.scan(remember=tmp_path / "file/memory.json")


class TestRows:
    def test_what_a_part_lost_is_counted_by_itself(self, spoilt: LabelledImages) -> None:
        part = spoilt.take([0, 1])  # one good, one bad, and the empty file is not among them
        assert part.unusable == ()
        assert part.max_unusable == 0.5
        assert len(part.scan().unusable) == 1

    def test_take_repeats_and_reorders(self, spoilt: LabelledImages) -> None:
        part = spoilt.take(np.array([6, 0, 0]))
        assert part.labels.tolist() == [1, 0, 0]
        assert list(part.encoded) == [spoilt.encoded[row] for row in (6, 0, 0)]
        assert spoilt.encoded[-1] == spoilt.encoded[6]
        with pytest.raises(IndexError):
            spoilt.encoded[7]

    def test_messages_name_a_row_wherever_it_went(self) -> None:
        photos = (tiny.photo(0, 0), b"", tiny.photo(0, 2))
        data = LabelledImages("mine", photos, np.zeros(3, np.int64), ("a",))
        with pytest.raises(
            DataError, match=r"mine: row 1 is not a usable photo\. The file is empty"
        ):
            data.stack(tiny.preprocessing())

    def test_a_copy_in_another_process(self, spoilt: LabelledImages) -> None:
        copy = pickle.loads(pickle.dumps(spoilt))
        assert copy.sha256 == spoilt.sha256
        assert list(copy.encoded) == list(spoilt.encoded)
        assert copy.unusable == spoilt.unusable

    def test_a_million_photos_are_cheap(self, tmp_path: Path) -> None:
        count = 1_000_000
        names = np.char.add(b"n01440764/n01440764_", np.arange(count).astype("S7"))
        photos = PhotosInFolder(tmp_path, names, np.arange(count))
        data = LabelledImages("mine", photos, np.zeros(count, np.int64), ("tench",))
        training, heldout = data.split(1000, seed=0)
        assert len(training.sha256) == 64
        order = np.random.default_rng(0).permutation(count)
        assert heldout._photos.name(3) == f"{tmp_path.name}/n01440764/n01440764_{order[3]}"
        assert len(pickle.dumps(training)) < 50 * count

    def test_stack_of_several_labels(self) -> None:
        labels = np.array([[True, False], [True, True]])
        data = LabelledImages("x", (tiny.photo(0, 0), tiny.photo(1, 1)), labels, ("a", "b"))
        assert data.multi_label
        plan = Preprocessing(image_size=(4, 5), mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
        assert data.stack(plan).shape == (2, 3, 4, 5)
        assert data.take([1]).labels.tolist() == [[True, True]]
        other = LabelledImages("x", data.encoded, ~labels, data.class_names)
        assert other.sha256 != data.sha256


class TestTargets:
    def test_one_label(self) -> None:
        wanted = [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
        assert targets(np.array([2, 0]), 3).tolist() == wanted
        assert targets(torch.tensor([2, 0]), 3).tolist() == wanted
        assert targets(torch.tensor([2, 0]), 3).dtype == torch.float32
        assert targets(torch.zeros(0, dtype=torch.int64), 3).shape == (0, 3)

    def test_several_labels(self) -> None:
        labels = np.array([[True, True, False], [False, False, False]])
        assert targets(labels, 3).tolist() == [[1.0, 1.0, 0.0], [0.0, 0.0, 0.0]]

    @pytest.mark.parametrize("labels", [[0, 3], [-1], [[True, False]]])
    def test_other_classes(self, labels: list[object]) -> None:
        with pytest.raises(ShapeError, match=r"for 3 classes; wanted \[batch\] with .* 0 to 2"):
            targets(np.array(labels), 3)
