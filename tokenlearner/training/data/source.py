"""Where a data set lies and how it is laid out: a folder of photos, parquet files, the Hub."""

import re
from collections.abc import Sequence
from glob import escape
from pathlib import Path

from tokenlearner.errors import DataError
from tokenlearner.training.data.files import check_request, limit_unusable
from tokenlearner.training.data.folder import read_folder
from tokenlearner.training.data.images import LabelledImages
from tokenlearner.training.data.parquet import read_table


def read_images(
    source: str | Path,
    split: str,
    *,
    image_column: str | None = None,
    label_column: str | None = None,
    max_unusable: float = 0.01,
) -> LabelledImages:
    """Reads one split of an image classification data set.

    No photo is decoded; `LabelledImages.scan` finds the corrupt ones. Parquet files with more than
    4 GiB of photos are unpacked, once, into a folder `tokenlearner` of the user's cache
    (`TOKENLEARNER_CACHE` names another), which takes as much disk space again.

    Args:
        source: A folder with photos as `SPLIT/CLASS/NAME.jpg` (PNG, WebP, BMP or TIFF as well), as
            ImageNet has them; a folder with `SPLIT-*.parquet`, `SPLIT.parquet` or
            `SPLIT/*.parquet` in it or in a subfolder; or a data set's id on the Hugging Face Hub
            (`uoft-cs/cifar10`), whose parquet files are downloaded to the local cache (with
            `HF_HUB_OFFLINE=1` only taken from it).
        split: `train`, `val`, `test`, ...: as it is called there.
        image_column: Of parquet files; by default the one of the feature `Image`.
        label_column: Of parquet files; by default the one of the feature `ClassLabel`, or of lists
            of these. A named one may be without class names: "0", "1", ... then.
        max_unusable: Share of the photos that may be missing or corrupt, 0..1.

    Raises:
        DataError: If there is no such split or column, it is empty, incomplete or broken, or more
            photos than that are missing.
        ConfigError: If the split has no name or `max_unusable` is no share.
    """
    check_request(split, max_unusable)
    folder = _locate(source, split)
    if (folder / split).is_dir() and not any((folder / split).glob("*.parquet")):
        if image_column or label_column:
            raise DataError(
                f"{folder / split} is a folder of photos and has no columns; leave out "
                f"{image_column or label_column!r}"
            )
        photos, labels, class_names, unusable = read_folder(folder / split)
    else:
        files = _split_files(folder, split, source)
        photos, labels, class_names, unusable = read_table(files, image_column, label_column)
    total = len(photos) + len(unusable)
    limit_unusable(str(source), unusable, total, max_unusable)
    if not len(photos):
        why = f"none of its {total:,} photos can be used" if total else "it is empty"
        raise DataError(f"{source} has a split {split!r}, but {why}")
    return LabelledImages(str(source), photos, labels, class_names, tuple(unusable), max_unusable)


def find_test_split(source: str | Path) -> str | None:
    """Returns what the photos or clips to test on are called in a folder; None if it has none.

    Of a file or a data set on the Hub, which are not opened for this, it is `test`.
    """
    folder = Path(source)
    if not folder.is_dir():
        return "test"
    names = ("test", "val", "validation")
    return next((n for n in names if (folder / n).is_dir() or _parquet_files(folder, n)), None)


def _locate(source: str | Path, split: str) -> Path:
    if Path(source).is_dir():
        return Path(source)
    if Path(source).is_file():
        raise DataError(
            f"{source} is a file; wanted a folder with the photos as SPLIT/CLASS/NAME.jpg or in "
            "parquet files, or an id on the Hub (lists in CSV files are for clips)"
        )
    if not re.fullmatch(r"[\w-][\w.-]*/[\w.-]+", str(source)):
        raise DataError(
            f"there is no folder {source}, and it is no id on the Hub either: these are owner/name"
        )
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    patterns = [f"*{split}-*.parquet", f"*{split}.parquet", f"*{split}/*.parquet"]
    try:
        path = snapshot_download(str(source), repo_type="dataset", allow_patterns=patterns)
    except LocalEntryNotFoundError as error:
        raise DataError(
            f"there is no folder {source}, the data set is not in the local cache and the Hub "
            "cannot be reached; check the path, connect, or unset HF_HUB_OFFLINE"
        ) from error
    except (HfHubHTTPError, HFValidationError) as error:
        raise DataError(f"the Hub has no data set {source}: {error}") from error
    return Path(path)


def _split_files(folder: Path, split: str, source: str | Path) -> list[Path]:
    """Returns the split's files in order, all of them and of one configuration."""
    files = _parquet_files(folder, split)
    if not files:
        raise DataError(
            f"{source} has no split {split!r}: no folder {split} of class folders and no files "
            f"{split}-*.parquet. {_contents(folder)}"
        )
    parents = sorted({str(file.parent.relative_to(folder)) for file in files})
    if len(parents) > 1:
        raise DataError(
            f"{source} holds the split {split!r} more than once, in {', '.join(parents)}; "
            "give the path of one of these"
        )
    parts = [re.search(r"-(\d+)-of-(\d+)", file.name) for file in files]
    numbers = [int(part[1]) for part in parts if part]
    count = max((int(part[2]) for part in parts if part), default=len(files))
    if numbers and (len(files) != count or sorted(numbers) != list(range(count))):
        missing = sorted(set(range(count)) - set(numbers))
        raise DataError(
            f"{files[0].parent} holds {len(files)} of {count} files of the split {split!r}"
            + (f", without number {_few(missing)}" if missing else "")
            + "; fetch them all, of one version"
        )
    return files


def _parquet_files(folder: Path, split: str) -> list[Path]:
    name = escape(split)
    for pattern in (f"{name}-[0-9]*.parquet", f"{name}.parquet", f"{name}/*.parquet"):
        if files := sorted(folder.rglob(pattern)):
            return files
    return []


def _contents(folder: Path) -> str:
    """Says what a folder has instead of the split that was asked for."""
    parquet = (re.match(r"(.+?)(-\d.*)?\.parquet", file.name) for file in folder.rglob("*.parquet"))
    if splits := sorted({name[1] for name in parquet if name}):
        return f"It has {_few(splits)}"
    entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    names = [f"{entry.name}/" if entry.is_dir() else entry.name for entry in entries]
    return f"It holds {_few(names)}" if names else "It is empty"


def _few(values: Sequence[object]) -> str:
    more = f" and {len(values) - 6:,} more" if len(values) > 6 else ""
    return ", ".join(map(str, values[:6])) + more
