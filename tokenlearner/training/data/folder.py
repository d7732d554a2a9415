"""Folders of photos or clips: one folder per class, as torchvision's `ImageFolder` has them."""

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tokenlearner.errors import DataError
from tokenlearner.models.imagenet import wordnet_names
from tokenlearner.training.data.photos import PhotosInFolder

PHOTO_EXTENSIONS = (".jpg", ".jpeg", ".jfif", ".png", ".webp", ".bmp", ".tif", ".tiff")
CLIP_EXTENSIONS = (".mp4", ".webm", ".mkv", ".avi", ".mov", ".m4v", ".gif")
_WNID = re.compile(r"n\d{8}")


class _File(NamedTuple):
    path: str  # within the split's folder
    size: int  # in bytes; -1 if it is a link to nothing


def read_folder(
    folder: Path, *, extensions: tuple[str, ...] = PHOTO_EXTENSIONS, things: str = "photos"
) -> tuple[PhotosInFolder, np.ndarray, tuple[str, ...], list[str]]:
    """Lists the photos, or other things, of a split; opens none of them.

    Classes are the folders in it, in the order of their names; their photos come in the order of
    their paths and may lie in subfolders. Hidden files and folders are passed over, and so are
    files that do not end in one of `extensions`, which `photos.passed_over` counts. Links are
    followed. Where all classes are WordNet ids (`n01440764`), as in ImageNet, they are called by
    `wordnet_names`.

    Returns:
        photos: All but the unusable ones.
        labels: int64 `[n]`.
        class_names: Name of each class.
        unusable: Empty files and links to nothing.

    Raises:
        DataError: If there are no class folders, one of them holds no photo, or its name is not
            UTF-8.
    """
    try:
        folders = sorted(
            entry.name
            for entry in os.scandir(folder)
            if entry.is_dir() and not entry.name.startswith(".")
        )
        above = (os.path.realpath(folder),)
        others: Counter[str] = Counter()
        files = [list(_files(folder / name, name, above, extensions, others)) for name in folders]
    except OSError as error:
        raise DataError(f"{error.filename} cannot be listed: {error.strerror}") from error
    _check(folder, folders, files, extensions, things)

    names: list[bytes] = []
    sizes: list[int] = []
    labels: list[int] = []
    unusable: list[str] = []
    for label, of_class in enumerate(files):
        for path, size in of_class:
            if size > 0:
                names.append(os.fsencode(path))
                sizes.append(size)
                labels.append(label)
            else:
                reason = "The file is empty" if size == 0 else "A link to a file that is not there"
                unusable.append(f"{folder.name}/{_shown(path)}: {reason}")
    photos = PhotosInFolder(folder, np.array(names, "S"), np.array(sizes, np.int64), others)
    return photos, np.array(labels, np.int64), _class_names(folders), unusable


def _files(
    folder: Path | str,
    prefix: str,
    above: tuple[str, ...],
    extensions: tuple[str, ...],
    others: Counter[str],
) -> Iterator[_File]:
    """Yields the photos of a folder and its subfolders, sorted; counts what else there is."""
    inside = (*above, os.path.realpath(folder))
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        path = f"{prefix}/{entry.name}"
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            # A link to a folder that this one lies in would never end.
            if not (entry.is_symlink() and _contains(os.path.realpath(entry.path), inside)):
                yield from _files(entry.path, path, inside, extensions, others)
        elif entry.name.lower().endswith(extensions):
            try:
                yield _File(path, entry.stat().st_size)
            except FileNotFoundError:
                yield _File(path, -1)
        else:
            others[os.path.splitext(entry.name)[1].lower() or entry.name] += 1


def _contains(folder: str, paths: tuple[str, ...]) -> bool:
    return any(path == folder or path.startswith(folder + os.sep) for path in paths)


def _check(
    folder: Path,
    folders: list[str],
    files: list[list[_File]],
    extensions: tuple[str, ...],
    things: str,
) -> None:
    if not folders:
        there = sorted(os.listdir(folder))
        raise DataError(
            f"{folder} has no class folders; wanted one folder of {things} per class, and it holds "
            + (f"{len(there):,} files, {_shown(there[0])} among them" if there else "nothing")
        )
    empty = [name for name, of_class in zip(folders, files, strict=True) if not of_class]
    if empty:
        more = f" and {len(empty) - 3:,} more" if len(empty) > 3 else ""
        raise DataError(
            f"{folder}: {len(empty):,} of {len(folders):,} class folders hold no {things} "
            f"({', '.join(extensions)}): {', '.join(map(_shown, empty[:3]))}{more}. Put some "
            "there, or remove the folders"
        )
    for name in folders:
        if _shown(name) != name:
            raise DataError(f"the class folder {_shown(name)} in {folder} is not named in UTF-8")


def _class_names(folders: list[str]) -> tuple[str, ...]:
    if all(_WNID.fullmatch(name) for name in folders):
        return wordnet_names(folders)
    # macOS takes accents apart; a class is the same wherever its folder was copied from.
    return tuple(unicodedata.normalize("NFC", name) for name in folders)


def _shown(name: str) -> str:
    return os.fsencode(name).decode(errors="replace")
