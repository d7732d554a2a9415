"""Photos of parquet files that do not fit in memory: unpacked once, into one file to seek in.

A parquet file gives up its rows in groups, a hundred photos for the one that is wanted.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from tokenlearner.errors import DataError
from tokenlearner.training.data.photos import PhotosInOneFile, TableRows

_PHOTOS, _INDEX = "photos.bin", "index.npz"


def cache_folder() -> Path:
    """Returns the folder for unpacked data: `TOKENLEARNER_CACHE`, else the user's own."""
    if named := os.environ.get("TOKENLEARNER_CACHE"):
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tokenlearner"


def unpack(
    images: Iterable[bytes | None],
    files: Sequence[Path],
    column: str,
    places: TableRows,
    num_bytes: int,
) -> tuple[PhotosInOneFile, np.ndarray]:
    """Writes photos into the cache folder, or finds them there.

    Args:
        images: Photos of all rows; not asked for any if they are in the cache.
        files: Where they come from; unchanged files are told by path, size and date.
        column: The column they stand in.
        places: All rows.
        num_bytes: About how many there will be.

    Returns:
        photos: Those that are not None.
        rows: Their rows, int64 `[n]`.

    Raises:
        DataError: If there is no room for them.
    """
    from filelock import FileLock

    stats = [(str(file.resolve()), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    key = hashlib.sha256(json.dumps([stats, column]).encode()).hexdigest()[:16]
    folder = cache_folder() / key
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{folder}.lock"):  # of several processes, one does the work
            if not folder.is_dir():
                _write(images, folder, num_bytes)
        index = np.load(folder / _INDEX)
        stops, is_there, digests = index["stops"], index["is_there"], index["digests"]
    except OSError as error:
        raise DataError(
            f"cannot unpack {num_bytes / 2**30:.1f} GiB of photos into {folder}: {error}. Free "
            "some space, or set TOKENLEARNER_CACHE to a folder with more"
        ) from error
    rows = np.flatnonzero(is_there)
    spans = np.stack([np.concatenate([[0], stops[:-1]]), stops], axis=1)
    photos = PhotosInOneFile(folder / _PHOTOS, spans[rows], digests[rows], places.take(rows))
    return photos, rows


def _write(images: Iterable[bytes | None], folder: Path, num_bytes: int) -> None:
    free = shutil.disk_usage(folder.parent).free
    if free < num_bytes:
        raise OSError(f"{free / 2**30:.1f} GiB are free")
    sizes: list[int] = []
    is_there: list[bool] = []
    digests = bytearray()
    temporary = Path(tempfile.mkdtemp(prefix=f"{folder.name}.", dir=folder.parent))
    try:
        with open(temporary / _PHOTOS, "wb") as file:
            for content in images:
                is_there.append(content is not None)
                sizes.append(file.write(content or b""))
                digests += hashlib.sha256(content or b"").digest()
        np.savez(
            temporary / _INDEX,
            stops=np.cumsum(sizes, dtype=np.int64),
            is_there=np.array(is_there, bool),
            digests=np.frombuffer(digests, np.uint8).reshape(-1, 32),
        )
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
