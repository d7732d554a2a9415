"""Where a data set lies and how it is laid out: a folder of photos, parquet files, the Hub."""

import re
from collections.abc import Sequence
from glob import escape
from pathlib import Path, PurePosixPath

from tokenlearner.errors import DataError
from tokenlearner.training.data import hub
from tokenlearner.training.data.files import MAX_UNUSABLE, check_request, limit_unusable
from tokenlearner.training.data.folder import read_folder
from tokenlearner.training.data.hub import HubDataset
from tokenlearner.training.data.images import LabelledImages
from tokenlearner.training.data.parquet import read_table


def read_images(
    source: str | Path,
    split: str,
    *,
    image_column: str | None = None,
    label_column: str | None = None,
    max_unusable: float = MAX_UNUSABLE,
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
            `HF_HUB_OFFLINE=1` only taken from it). After the id may come `@REVISION`, a branch, tag
            or commit, and then `:CONFIGURATION`, the folder of the files where a split is held more
            than once: `owner/name@refs/convert/parquet:small`.
        split: `train`, `val`, `test`, ...: as it is called there.
        image_column: Image column of Parquet files; by default that of feature `Image`.
        label_column: Label column of Parquet files; by default that of feature `ClassLabel`, or of
            lists of these. One given here may lack class names; they are then "0", "1", ...
        max_unusable: Share of the photos that may be missing or corrupt, 0..1.

    Raises:
        DataError: If there is no such split or column, it is empty, incomplete or broken, or more
            photos than that are missing.
        ConfigError: If the split has no name or `max_unusable` is no share.
    """
    check_request(split, max_unusable)
    dataset = None if Path(source).exists() else hub.parse(str(source))
    folder = _check_folder(source) if dataset is None else _fetch(dataset, split)
    if (folder / split).is_dir() and not any((folder / split).glob("*.parquet")):
        if image_column or label_column:
            raise DataError(
                f"{folder / split} is a folder of photos and has no columns; leave out "
                f"{image_column or label_column!r}"
            )
        photos, labels, class_names, unusable = read_folder(folder / split)
    else:
        files = _split_files(folder, split, source, dataset)
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
    for name in ("test", "val", "validation"):
        if (folder / name).is_dir() or _configurations(_parquet_names(folder), name):
            return name
    return None


def _check_folder(source: str | Path) -> Path:
    if Path(source).is_dir():
        return Path(source)
    if Path(source).is_file():
        raise DataError(
            f"{source} is a file; wanted a folder with the photos as SPLIT/CLASS/NAME.jpg or in "
            "parquet files, or an id on the Hub (lists in CSV files are for clips)"
        )
    raise DataError(
        f"there is no folder {source}, and it is not an id on the Hub either; ids are "
        "owner/name[@REVISION][:CONFIGURATION]"
    )


def _fetch(dataset: HubDataset, split: str) -> Path:
    """Returns a folder with the split's files, and of these only what one configuration has."""
    names = hub.list_files(dataset)
    if names is not None:  # says what is wrong before anything is downloaded
        dataset = dataset.named(_choose(names, split, dataset, dataset)[0])
    name = escape(split)
    endings = [f"{name}-[0-9]*.parquet", f"{name}.parquet", f"{name}/*.parquet"]
    if dataset.configuration is None:
        places = ["", "*/"]
    else:
        places = ["" if dataset.configuration == "." else f"{escape(dataset.configuration)}/"]
    return hub.download(dataset, [place + ending for place in places for ending in endings])


def _split_files(
    folder: Path, split: str, source: str | Path, dataset: HubDataset | None
) -> list[Path]:
    """Returns the split's files in order, all of them and of one configuration."""
    _, names = _choose(_parquet_names(folder), split, source, dataset, folder)
    files = [folder / name for name in names]
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


def _choose(
    names: Sequence[str],
    split: str,
    source: object,
    dataset: HubDataset | None,
    folder: Path | None = None,
) -> tuple[str, list[str]]:
    """Returns the configuration that holds a split, and the paths of its files in order.

    Args:
        names: Paths of all files there are.
        split: Its name.
        source: Where they are, as the user called it.
        dataset: That on the Hub; None for a folder.
        folder: Where they lie, if they do.
    """
    found = _configurations(names, split)
    if not found:
        raise DataError(
            f"{source} has no split {split!r}: no folder {split} of class folders and no files "
            f"{split}-*.parquet. {_contents(names, folder)}{_converted(names, dataset)}"
        )
    wanted = None if dataset is None else dataset.configuration
    if wanted is None:
        if len(found) == 1:
            return next(iter(found.items()))
        advice = f"in {', '.join(found)}; give the path of one of these"
        if dataset is not None:
            one = dataset.named(next(iter(found)))
            advice = f"in the configurations {', '.join(found)}; name one of these, as in {one}"
        raise DataError(f"{source} holds the split {split!r} more than once, {advice}")
    if wanted not in found:
        raise DataError(
            f"{source} has no configuration {wanted!r} that holds the split {split!r}; "
            f"there {'is' if len(found) == 1 else 'are'} {', '.join(found)}"
        )
    return wanted, found[wanted]


def _configurations(names: Sequence[str], split: str) -> dict[str, list[str]]:
    """Returns the paths of a split's files in order, by the folder of their configuration.

    Examples:
        >>> _configurations(["a/train/0.parquet", "b/train/0.parquet", "b/test/0.parquet"], "test")
        {'b': ['b/test/0.parquet']}
    """
    place = "(?:(.+)/)?" + re.escape(split)
    for ending in (r"-\d[^/]*\.parquet", r"\.parquet", r"/[^/]+\.parquet"):
        found: dict[str, list[str]] = {}
        for name in sorted(names):
            if match := re.fullmatch(place + ending, name):
                found.setdefault(match[1] or ".", []).append(name)
        if found:
            return dict(sorted(found.items()))
    return {}


def _parquet_names(folder: Path) -> list[str]:
    return [file.relative_to(folder).as_posix() for file in folder.rglob("*.parquet")]


def _contents(names: Sequence[str], folder: Path | None) -> str:
    """Says what there is instead of the split that was asked for."""
    files = [PurePosixPath(name) for name in names]
    if splits := sorted({_split_of(file) for file in files if file.suffix == ".parquet"}):
        return f"It has {_few(splits)}"
    entries = {f"{file.parts[0]}{'/' * (len(file.parts) > 1)}" for file in files}
    if folder is not None and folder.is_dir():
        entries = {f"{path.name}{'/' * path.is_dir()}" for path in folder.iterdir()}
    shown = sorted(entry for entry in entries if not entry.startswith("."))
    return f"It holds {_few(shown)}" if shown else "It is empty"


def _split_of(file: PurePosixPath) -> str:
    """Returns what the split is called that a parquet file is of."""
    if file.stem.isdecimal():  # CONFIGURATION/SPLIT/0000.parquet
        return file.parent.name or file.stem
    return re.sub(r"(?<=.)-\d.*", "", file.stem)


def _converted(names: Sequence[str], dataset: HubDataset | None) -> str:
    """Says where the Hub may have parquet files of a data set that comes without any."""
    if dataset is None or dataset.revision or any(name.endswith(".parquet") for name in names):
        return ""
    return f". The Hub may have made parquet files of it: {dataset.repo_id}@refs/convert/parquet"


def _few(values: Sequence[object]) -> str:
    more = f" and {len(values) - 6:,} more" if len(values) > 6 else ""
    return ", ".join(map(str, values[:6])) + more
