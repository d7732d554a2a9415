"""Reading clips: from class folders and lists, at one size, and what is left out."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tests import tiny, tiny_clips
from tokenlearner.errors import ConfigError, DataError
from tokenlearner.training.data import LabelledClips, read_clips

DOWN, UP = (tiny_clips.encode(tiny_clips.moving(label)) for label in (0, 1))


def names(data: LabelledClips) -> list[str]:
    return [data._photos.name(row) for row in range(len(data))]


class TestFolders:
    def test_clips_and_labels(self, tmp_path: Path) -> None:
        files = {"train/up/b.mp4": UP, "train/down/a.mp4": DOWN, "train/down/note.txt": b"no clip"}
        data = read_clips(tiny.write_files(tmp_path, files), "train")
        assert data.class_names == ("down", "up")
        assert names(data) == ["train/down/a.mp4", "train/up/b.mp4"]
        assert data.labels.tolist() == [0, 1]

    def test_a_broken_clip_is_named_and_left_out(self, tmp_path: Path) -> None:
        files = {"train/up/a.mp4": UP, "train/up/b.mp4": b"text", "train/up/c.mp4": b""}
        tiny.write_files(tmp_path, files)
        data = read_clips(tmp_path, "train", max_unusable=0.7).scan()
        assert names(data) == ["train/up/a.mp4"]
        assert [reason.partition(":")[0] for reason in data.unusable] == [
            "train/up/c.mp4",
            "train/up/b.mp4",
        ]
        with pytest.raises(DataError, match=r"2 of 3 clips are missing or corrupt"):
            read_clips(tmp_path, "train", max_unusable=0.5).scan()

    def test_no_such_split(self, tmp_path: Path) -> None:
        tiny.write_files(tmp_path, {"val/up/a.mp4": UP})
        with pytest.raises(DataError, match=r"no split 'train': wanted .*; it holds val"):
            read_clips(tmp_path, "train")
        with pytest.raises(DataError, match="there is no such folder"):
            read_clips(tmp_path / "nowhere", "train")
        with pytest.raises(DataError, match=r"a CSV file .*; it is a file of another kind"):
            read_clips(tmp_path / "val/up/a.mp4", "train")
        (tmp_path / "empty").mkdir()
        with pytest.raises(DataError, match="; it is empty"):
            read_clips(tmp_path / "empty", "train")

    @pytest.mark.parametrize("split", ["", "."])
    def test_no_name_of_a_split(self, tmp_path: Path, split: str) -> None:
        tiny.write_files(tmp_path, {"up/a.mp4": UP})
        with pytest.raises(ConfigError, match=f"the split is '{split}'; wanted a name such as tr"):
            read_clips(tmp_path, split)

    def test_photos_are_no_clips(self, tmp_path: Path) -> None:
        tiny.write_files(tmp_path, {"train/red/a.png": tiny.photo(0, 1)})
        with pytest.raises(DataError, match=r"1 of 1 class folders hold no clips \(\.mp4, "):
            read_clips(tmp_path, "train")

    def test_no_share(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="max_unusable is 2; wanted a share of 0 to 1"):
            read_clips(tmp_path, "train", max_unusable=2)


class TestRates:
    """Frames at a rate, of a clip of 12 frames that lasts 1.2 seconds."""

    data = LabelledClips("", (DOWN,), np.zeros(1, int), ("x",))

    @pytest.mark.parametrize(
        ("place", "wanted_s"), [(0.0, [0.0, 0.2]), (0.5, [0.4, 0.6]), (1.0, [0.8, 1.0])]
    )
    def test_two_frames_of_a_fifth_of_a_second(self, place: float, wanted_s: list[float]) -> None:
        clip = self.data.read_at_rate(0, num_frames=2, frames_per_s=5, place=place)
        # The frame in the middle of each fifth, of which each has two.
        assert clip.times_s == pytest.approx(np.array(wanted_s) + 0.1)

    def test_a_clip_that_is_too_short_is_taken_whole(self) -> None:
        clip = self.data.read_at_rate(0, num_frames=4, frames_per_s=1, place=1.0)
        assert np.array_equal(clip.frames, self.data.read(0, num_frames=4).frames)

    def test_a_stack_holds_the_middle(self) -> None:
        stack = self.data.stack(tiny.preprocessing(), num_frames=2, frames_per_s=5)
        alone = self.data.stack(tiny.preprocessing(), num_frames=12)
        assert torch.equal(stack[0], alone[0, [5, 7]])


class TestLists:
    def write(self, folder: Path, text: str) -> Path:
        tiny.write_files(folder, {"clips/a.mp4": DOWN, "clips/b.mp4": UP, "clips/c.mp4": b""})
        (folder / "list.csv").write_text(text, encoding="utf-8")
        return folder / "list.csv"

    def test_one_class_each(self, tmp_path: Path) -> None:
        text = "path,split,class\nclips/a.mp4,train,down\nclips/b.mp4,test,up\n"
        data = read_clips(self.write(tmp_path, text), "test")
        assert data.class_names == ("down", "up")
        assert data.labels.tolist() == [1]
        assert np.array_equal(data.read(0, num_frames=2).frames, self.decoded(UP, num_frames=2))

    def decoded(self, content: bytes, *, num_frames: int) -> np.ndarray:
        return (
            LabelledClips("", (content,), np.zeros(1, int), ("x",))
            .read(0, num_frames=num_frames)
            .frames
        )

    def test_any_number_of_classes(self, tmp_path: Path) -> None:
        text = "path,classes\nclips/a.mp4,run; sit\nclips/b.mp4,\n"
        data = read_clips(self.write(tmp_path, text), "train")
        assert data.class_names == ("run", "sit")
        assert data.labels.tolist() == [[True, True], [False, False]]
        assert data.multi_label

    def test_missing_and_empty_files_are_named(self, tmp_path: Path) -> None:
        text = "path,class\nclips/a.mp4,x\nclips/c.mp4,x\nclips/d.mp4,x\n"
        data = read_clips(self.write(tmp_path, text), "train", max_unusable=0.7)
        assert data.unusable == (
            "clips/c.mp4: The file is empty",
            "clips/d.mp4: There is no such file",
        )

    def test_rows_that_end_early(self, tmp_path: Path) -> None:
        text = "class,split,path\nx,train,clips/a.mp4\nx,train\n"
        data = read_clips(self.write(tmp_path, text), "train", max_unusable=0.5)
        assert len(data) == len(data.unusable) == 1

    def test_what_is_no_path_is_named(self, tmp_path: Path) -> None:
        text = "\ufeffpath,split,class\nclips/a.mp4,train,x\na\0b.mp4,train,x\nshort\n,train,x\n"
        data = read_clips(self.write(tmp_path, text), "train", max_unusable=0.7)
        assert names(data) == [f"{tmp_path.name}/clips/a.mp4"]
        assert data.unusable == (
            "a\0b.mp4: There is no such file",
            ": There is no such file",
        )

    def test_a_class_for_each_of_many_clips(self, tmp_path: Path) -> None:
        # A table of clips by classes would take 900 MB here.
        rows = "".join(f"clips/a.mp4,{number:05}\n" for number in range(30_000))
        labels = read_clips(self.write(tmp_path, f"path,class\n{rows}"), "train").labels
        assert np.array_equal(labels, np.arange(30_000))

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("path,class,split\nclips/a.mp4,x\n", r"no split 'train'; it has "),
            ("file,class\nclips/a.mp4,x\n", r"no column 'path'; it has file, class"),
            ("path,label\nclips/a.mp4,x\n", r"no column 'class'; it has path, label"),
            ("path,class\nclips/a.mp4,\n", r"names no class; wanted names in the column 'class'"),
            ("path,class\nclips/a.mp4,x;y\n", r"has the class 'x;y'; wanted one name"),
            ("path,split,class\nclips/a.mp4,val,x\n", r"no split 'train'; it has val"),
        ],
    )
    def test_lists_that_cannot_be_used(self, tmp_path: Path, text: str, message: str) -> None:
        with pytest.raises(DataError, match=message):
            read_clips(self.write(tmp_path, text), "train")


class TestStack:
    def test_frames_are_evenly_spaced(self, tmp_path: Path) -> None:
        data = read_clips(tiny_clips.write_dataset(tmp_path, train=2, test=0), "train")
        stack = data.stack(tiny.preprocessing(), num_frames=4)
        assert tuple(stack.shape) == (2, 4, 3, 16, 16)
        # The bar moves by 2 of 32 px a frame; the middles of four parts are 3 frames apart.
        # At 16 px that is 1 row a frame.
        light = (stack[:, :, 0] > 128).float().mean(dim=3)
        rows = (light * torch.arange(16.0)).sum(dim=2) / light.sum(dim=2)
        assert rows.diff(dim=1)[0].tolist() == pytest.approx([3, 3, 3], abs=0.7)
        assert rows.diff(dim=1)[1].tolist() == pytest.approx([-3, -3, -3], abs=0.7)

    def test_a_stretch(self, tmp_path: Path) -> None:
        data = read_clips(tiny_clips.write_dataset(tmp_path, train=1, test=0), "train")
        times = data.read(0, num_frames=2, start=0.5, end=1.0).times_s
        assert times.tolist() == pytest.approx([0.7, 1.0])  # frames 7 and 10 of 12, at 10 a second
