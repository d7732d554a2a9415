"""Reading parquet files as the Hugging Face Hub lays them out."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tokenlearner.errors import DataError
from tokenlearner.models.imagenet import shorten_names
from tokenlearner.training.data.columns import find_columns
from tokenlearner.training.data.packed import unpack
from tokenlearner.training.data.photos import Photos, PhotosInMemory, TableRows

if TYPE_CHECKING:
    import pyarrow.parquet as pq

# Photos of more bytes than this are unpacked into a file instead of kept in memory.
IN_MEMORY_BYTES = 4 * 2**30
# Higher numbers are ids of something, each of which would be a class.
_MOST_UNNAMED = 100_000


def read_table(
    files: Sequence[Path], image_column: str | None, label_column: str | None
) -> tuple[Photos, np.ndarray, tuple[str, ...], list[str]]:
    """Reads one split.

    Args:
        files: Its files, in order.
        image_column: By default the one of the feature `Image`.
        label_column: By default the one of the feature `ClassLabel`, or of lists of these. A named
            one may be without class names: these are then "0", "1", ... up to the highest found.

    Returns:
        photos: Photos of all rows that have one.
        labels: Their labels, int64 `[n]` or bool `[n, classes]`.
        class_names: Name of each class; those of ImageNet as `wordnet_names`.
        unusable: Rows without a photo.

    Raises:
        DataError: If a file is broken, its columns are not such, or a label is out of range.
    """
    try:
        import pyarrow  # noqa: F401
    except ImportError as error:
        raise DataError("parquet files need pyarrow; pip install pyarrow") from error

    values: list[list[Any]] = []
    paths: list[str] = []
    columns = None
    num_bytes = 0
    for file in files:
        with _open(file) as table:
            found = find_columns(table.schema_arrow, image_column, label_column, file)
            if found != (columns := columns or found):
                raise DataError(f"{file.name} has other columns or classes than {files[0].name}")
            values.append(table.read([found.label])[found.label].to_pylist())
            paths += _paths(table, found.image)
            num_bytes += _num_bytes(table, found.image)
    assert columns is not None, "no split is without files"

    if columns.class_names is None:
        class_names = _numbers(values, f"{files[0].name}: the column {columns.label!r}")
    else:
        class_names = shorten_names(columns.class_names)
    for file, of_file in zip(files, values, strict=True):
        _check_labels(of_file, len(class_names), file)
    labels = _labels([value for part in values for value in part], columns.multi_label, class_names)

    ends = np.cumsum([len(of_file) for of_file in values], dtype=np.int64)
    names = np.array([path.encode() for path in paths]) if any(paths) else None
    places = TableRows(tuple(file.name for file in files), ends, np.arange(len(labels)), names)
    images = (image for file in files for image in _images(file, columns.image))
    if num_bytes > IN_MEMORY_BYTES:
        photos, rows = unpack(images, files, columns.image, places, num_bytes)
    else:
        content = {row: image for row, image in enumerate(images) if image is not None}
        rows = np.array(list(content), np.int64)
        photos = PhotosInMemory(tuple(content.values()), places.take(rows))
    unusable = [
        f"{places.name(row)}: No image file, only a path to one or nothing"
        for row in np.setdiff1d(places.rows, rows).tolist()
    ]
    return photos, labels[rows], class_names, unusable


def _num_bytes(table: "pq.ParquetFile", column: str) -> int:
    chunks = (
        table.metadata.row_group(group).column(index)
        for group in range(table.metadata.num_row_groups)
        for index in range(table.metadata.num_columns)
    )
    return sum(
        chunk.total_uncompressed_size
        for chunk in chunks
        if chunk.path_in_schema in (column, f"{column}.bytes")
    )


def _paths(table: "pq.ParquetFile", column: str) -> list[str]:
    """Returns what the photos' own files were called, empty where it is not told."""
    import pyarrow as pa

    kind = table.schema_arrow.field(column).type
    if not pa.types.is_struct(kind) or kind.get_field_index("path") < 0:
        return [""] * table.metadata.num_rows
    photos = table.read([f"{column}.path"])[column].combine_chunks()
    return [path or "" for path in photos.field("path").to_pylist()]


def _images(file: Path, column: str) -> Iterator[bytes | None]:
    import pyarrow as pa

    with _open(file) as table:
        for batch in table.iter_batches(batch_size=128, columns=[column]):
            content = batch.column(0)
            if pa.types.is_struct(content.type):
                content = content.field("bytes")  # None as well where the row is
            yield from content.to_pylist()


def _each(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _numbers(values: list[list[Any]], column: str) -> tuple[str, ...]:
    """Returns names of classes that have none; `column` is for messages."""
    labels = (label for part in values for value in part for label in _each(value))
    highest = max((label for label in labels if label is not None), default=-1)
    advice = "name another column (--label-column in the shell)"
    if highest >= _MOST_UNNAMED:
        raise DataError(
            f"{column} holds no class indices: its highest number is {highest:,}, and there may be "
            f"{_MOST_UNNAMED:,} classes without names; {advice}"
        )
    if any(values) and highest < 0:
        raise DataError(
            f"{column} holds no class index, only -1 or nothing, which means unknown on the Hub; "
            f"take another split, or {advice}"
        )
    return tuple(map(str, range(highest + 1)))


def _check_labels(values: list[Any], num_classes: int, file: Path) -> None:
    for row, value in enumerate(values):
        for label in _each(value):
            if label is None or not 0 <= label < num_classes:
                hint = ". On the Hub, -1 means unknown: take another split" if label == -1 else ""
                raise DataError(
                    f"{file.name}: row {row} has the label {label}; wanted 0 to "
                    f"{num_classes - 1}{hint}"
                )


def _labels(values: list[Any], multi_label: bool, class_names: tuple[str, ...]) -> np.ndarray:
    if not multi_label:
        return np.array(values, dtype=np.int64)
    labels = np.zeros((len(values), len(class_names)), bool)
    for row, value in enumerate(values):
        labels[row, value] = True
    return labels


@contextmanager
def _open(file: Path) -> "Iterator[pq.ParquetFile]":
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(file) as table:
            yield table
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{file} is not a readable parquet file: {error}") from error
