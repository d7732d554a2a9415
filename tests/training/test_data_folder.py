"""Reading image folders: which photos, in which order, of which class, and what is left out."""

import io
import os
import re
import sys
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage

from tests import tiny
from tokenlearner.errors import DataError
from tokenlearner.media import read_image
from tokenlearner.training.data import LabelledImages, read_images

IMAGENETTE = (
    *("n01440764", "n02102040", "n02979186", "n03000684", "n03028079"),
    *("n03394916", "n03417042", "n03425413", "n03445777", "n03888257"),
)

any_bytes_in_names = pytest.mark.skipif(
    sys.platform == "darwin", reason="names of files are UTF-8 on macOS"
)


def names(data: LabelledImages) -> list[str]:
    """The photos' names, as messages have them."""
    return [data._photos.name(row) for row in range(len(data))]


def encode(pixels: np.ndarray, kind: str, *, mode: str | None = None, turn: int = 1) -> bytes:
    picture = PillowImage.fromarray(pixels)
    exif = picture.getexif()
    exif[274] = turn
    buffer = io.BytesIO()
    picture.convert(mode or picture.mode).save(buffer, kind, exif=exif)
    return buffer.getvalue()


class TestReading:
    def test_photos_and_labels(self, tmp_path: Path) -> None:
        files = {
            "train/green/b.png": tiny.photo(1, 1),
            "train/green/a.png": tiny.photo(1, 2),
            "train/blue/z.jpg": tiny.photo(2, 3, kind="JPEG"),
            "train/Red/0.webp": tiny.photo(0, 4, kind="WebP"),
            "val/blue/a.png": tiny.photo(2, 5),
        }
        data = read_images(tiny.write_files(tmp_path / "mine", files), "train")
        assert data.class_names == ("Red", "blue", "green")
        assert data.labels.tolist() == [0, 1, 2, 2]
        assert data.labels.dtype == np.int64
        wanted = ["train/Red/0.webp", "train/blue/z.jpg", "train/green/a.png", "train/green/b.png"]
        assert names(data) == wanted
        assert list(data.encoded) == [files[name] for name in wanted]
        assert [image.format for image in data.images()] == ["WebP", "JPEG", "PNG", "PNG"]
        assert data.source_name == "mine"
        assert data.unusable == ()
        assert not data.multi_label

    def test_files_of_other_kinds_are_counted(self, tmp_path: Path) -> None:
        files = {f"train/red/sub/{number}.HEIC": b"" for number in range(3)}
        files |= {"train/red/a.png": tiny.photo(0, 1), "train/red/b.jfif": tiny.photo(0, 2)}
        files |= {"train/blue/a.png": tiny.photo(1, 1), "train/blue/README": b""}
        files |= {"train/blue/.hidden.txt": b"", "train/notes.txt": b""}
        data = read_images(tiny.write_files(tmp_path, files), "train")
        assert len(data) == 3
        assert data.passed_over == {".heic": 3, "README": 1}
        assert data.scan().take(np.array([0])).passed_over == data.passed_over

    def test_photos_are_read_when_they_are_asked_for(self, tmp_path: Path) -> None:
        tiny.write_files(tmp_path, {"train/red/a.png": b"not yet a photo"})
        data = read_images(tmp_path, "train")
        later = tiny.photo(0, 1)
        tiny.write_files(tmp_path, {"train/red/a.png": later})
        assert data.encoded[0] == later
        assert np.array_equal(data.read(0).pixels, read_image(later).pixels)

    def test_imagenet_by_its_words(self, tmp_path: Path) -> None:
        files = {f"train/{wnid}/{wnid}_1.JPEG": tiny.photo(0, 0) for wnid in IMAGENETTE}
        data = read_images(tiny.write_files(tmp_path, files), "train")
        # As the Hub's copy calls them, so a model trained on one is measured on the other.
        assert data.class_names == (
            *("tench", "English springer", "cassette player", "chain saw", "church"),
            *("French horn", "garbage truck", "gas pump", "golf ball", "parachute"),
        )
        assert names(data)[2] == "train/n02979186/n02979186_1.JPEG"

    def test_what_is_passed_over(self, tmp_path: Path) -> None:
        photo = tiny.photo(0, 0)
        files = {
            "train/red/deep/er/b.png": photo,
            "train/red/A.PNG": photo,
            "train/red/c.JpEg": photo,
            "train/red/d.tiff": photo,
            "train/red/.e.png": photo,
            "train/red/._A.PNG": b"what macOS leaves on other disks",
            "train/red/.cache/f.png": photo,
            "train/red/Thumbs.db": b"",
            "train/red/notes.txt": b"",
            "train/.ipynb_checkpoints/g.png": photo,
            "train/list.csv": b"",
        }
        data = read_images(tiny.write_files(tmp_path, files), "train")
        assert data.class_names == ("red",)
        assert names(data) == [
            *("train/red/A.PNG", "train/red/c.JpEg", "train/red/d.tiff"),
            "train/red/deep/er/b.png",
        ]

    def test_names_beyond_ascii(self, tmp_path: Path) -> None:
        files = {
            "train/Bär/ö 1.png": tiny.photo(0, 0),
            unicodedata.normalize("NFD", "train/Gänseblümchen/a.png"): tiny.photo(1, 1),
            "train/猫/写真.png": tiny.photo(2, 2),
        }
        data = read_images(tiny.write_files(tmp_path / "Größe", files), "train")
        assert data.class_names == ("Bär", "Gänseblümchen", "猫")
        assert list(data.encoded) == list(files.values())
        assert names(data)[2] == "train/猫/写真.png"

    @any_bytes_in_names
    def test_a_file_name_that_is_no_utf_8(self, tmp_path: Path) -> None:
        photo = tiny.photo(0, 0)
        tiny.write_files(tmp_path, {f"train/red/{os.fsdecode(bytes([0xE9]))}.png": photo})
        data = read_images(tmp_path, "train")
        assert data.encoded[0] == photo
        assert names(data) == ["train/red/\N{REPLACEMENT CHARACTER}.png"]

    def test_links_are_followed_but_not_in_circles(self, tmp_path: Path) -> None:
        photo = tiny.photo(0, 0)
        tiny.write_files(tmp_path, {"elsewhere/cats/b.png": photo, "mine/train/dogs/a.png": photo})
        train = tmp_path / "mine/train"
        (train / "cats").symlink_to(tmp_path / "elsewhere/cats")
        (train / "dogs/c.png").symlink_to(tmp_path / "elsewhere/cats/b.png")
        (train / "dogs/again").symlink_to(train)
        (tmp_path / "elsewhere/cats/again").symlink_to(tmp_path / "mine")
        data = read_images(tmp_path / "mine", "train")
        assert names(data) == ["train/cats/b.png", "train/dogs/a.png", "train/dogs/c.png"]
        assert data.encoded[-1] == photo

    @pytest.mark.parametrize(
        ("kind", "mode", "turn"),
        [("JPEG", "CMYK", 1), ("PNG", "I;16", 1), ("JPEG", None, 6)],
    )
    def test_unusual_photos_are_read_as_anywhere(
        self, tmp_path: Path, kind: str, mode: str | None, turn: int
    ) -> None:
        pixels = np.random.default_rng(0).integers(0, 255, (20, 30, 3), dtype=np.uint8)
        if mode == "I;16":
            pixels = (pixels[:, :, 0].astype(np.uint16) * 257).copy()
        photo = encode(pixels, kind, mode=None if mode == "I;16" else mode, turn=turn)
        tiny.write_files(tmp_path, {"train/red/a.img.jpg": photo})
        (image,) = read_images(tmp_path, "train").scan().images()
        assert np.array_equal(image.pixels, read_image(photo).pixels)
        assert image.pixels.shape == ((30, 20, 3) if turn == 6 else (20, 30, 3))
        assert image.notes, "it is an unusual photo"


class TestChecksum:
    def test_depends_on_names_sizes_and_classes(self, tmp_path: Path) -> None:
        def sha256(name: str, files: dict[str, bytes]) -> str:
            return read_images(tiny.write_files(tmp_path / name, files), "train").sha256

        sums = [
            sha256("a", {"train/0/a.png": b"12", "train/1/b.png": b"34"}),
            sha256("b", {"train/0/a.png": b"12", "train/1/c.png": b"34"}),
            sha256("c", {"train/0/a.png": b"12", "train/1/b.png": b"345"}),
            sha256("d", {"train/0/a.png": b"12", "train/0/b.png": b"34"}),
            sha256("e", {"train/0/a.png": b"12"}),
        ]
        assert len(set(sums)) == 5
        assert sha256("f", {"train/0/a.png": b"56", "train/1/b.png": b"78"}) == sums[0]

    def test_of_a_part_is_another(self, tmp_path: Path) -> None:
        files = {f"train/red/{row}.png": b"1" for row in range(4)}
        data = read_images(tiny.write_files(tmp_path, files), "train")
        assert data.take([0, 1, 2, 3]).sha256 == data.sha256
        assert len({data.sha256, data.take([3, 2, 1, 0]).sha256, data.take([0, 1]).sha256}) == 3


class TestLeftOut:
    def test_empty_files_and_links_to_nothing(self, tmp_path: Path) -> None:
        files = {f"train/red/{row}.png": tiny.photo(0, row) for row in range(8)}
        tiny.write_files(tmp_path, files | {"train/red/2a.png": b""})
        (tmp_path / "train/red/3a.png").symlink_to(tmp_path / "gone.png")
        data = read_images(tmp_path, "train", max_unusable=0.2)
        assert list(data.encoded) == list(files.values())
        assert data.unusable == (
            "train/red/2a.png: The file is empty",
            "train/red/3a.png: A link to a file that is not there",
        )
        with pytest.raises(
            DataError,
            match=r"2 of 10 photos are missing or corrupt, more than the 19 % that may be: "
            r"train/red/2a\.png: The file is empty; .*Get complete copies",
        ):
            read_images(tmp_path, "train", max_unusable=0.19)

    def test_nothing_is_left(self, tmp_path: Path) -> None:
        tiny.write_files(tmp_path, {"train/red/a.png": b""})
        with pytest.raises(DataError, match="split 'train', but none of its 1 photos can be used"):
            read_images(tmp_path, "train", max_unusable=1.0)


class TestErrors:
    def test_no_such_split(self, tmp_path: Path) -> None:
        files = {f"{split}/red/a.png": tiny.photo(0, 0) for split in ("train", "val")}
        tiny.write_files(tmp_path, {**files, "LICENCE": b"", ".DS_Store": b""})
        with pytest.raises(
            DataError, match=r"no split 'validation': .*\. It holds LICENCE, train/, val/$"
        ):
            read_images(tmp_path, "validation")

    def test_an_empty_source(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"has no split 'train': .*\. It is empty$"):
            read_images(tmp_path, "train")

    def test_no_class_folders(self, tmp_path: Path) -> None:
        tiny.write_files(tmp_path, {"train/b.png": b"1", "train/a.png": b"1"})
        with pytest.raises(
            DataError, match=r"no class folders; wanted .*it holds 2 files, a\.png among them"
        ):
            read_images(tmp_path, "train")

    def test_an_empty_split(self, tmp_path: Path) -> None:
        (tmp_path / "train").mkdir()
        with pytest.raises(DataError, match=r"no class folders; wanted .*it holds nothing"):
            read_images(tmp_path, "train")

    def test_class_folders_without_photos(self, tmp_path: Path) -> None:
        files = {"train/blue/a.heic": b"1", "train/green/b.png": b"1", "train/red/.c.png": b"1"}
        with pytest.raises(
            DataError, match=r"2 of 3 class folders hold no photos \(\.jpg, .*\): blue, red\. Put"
        ):
            read_images(tiny.write_files(tmp_path, files), "train")

    @any_bytes_in_names
    def test_a_class_that_is_not_named_in_utf_8(self, tmp_path: Path) -> None:
        tiny.write_files(tmp_path, {f"train/{os.fsdecode(bytes([0xE9]))}/a.png": b"1"})
        with pytest.raises(DataError, match=r"class folder \N{REPLACEMENT CHARACTER} .*UTF-8"):
            read_images(tmp_path, "train")

    def test_columns_of_a_folder(self, tmp_path: Path) -> None:
        tiny.write_files(tmp_path, {"train/red/a.png": b"1"})
        with pytest.raises(DataError, match="is a folder of photos and has no columns; leave out"):
            read_images(tmp_path, "train", label_column="label")

    def test_a_photo_that_went_away(self, tmp_path: Path) -> None:
        tiny.write_files(tmp_path, {"train/red/a.png": b"1"})
        data = read_images(tmp_path, "train")
        (tmp_path / "train/red/a.png").unlink()
        message = "train/red/a.png is not a usable photo. The file cannot be read (No such file"
        with pytest.raises(DataError, match=re.escape(message)):
            data.read(0)
