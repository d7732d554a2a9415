"""The photos and clips that come with the app, each with what it shows and whose it is."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from tokenlearner.errors import ConfigError

SAMPLES_FOLDER = Path(__file__).parent / "samples"
CLIPS_FOLDER = SAMPLES_FOLDER / "clips"


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """A photo or clip of the gallery, and whose it is.

    Attributes:
        id: Names it in links: lower-case letters, digits and hyphens.
        title: What it shows, in plain words; serves as its alternative text.
        file: Name of the file in `folder`.
        licence: As stated by its source.
        author: As stated by its source.
        source: Where the file was taken from.
        changes: What was done to it since; `"none"` if nothing.
        subjects: The class it shows, per data set (`{"imagenette": "parachute", "cifar10": None}`);
            None where it shows none of that data set's classes.
        folder: The folder that `file` lies in.
    """

    id: str
    title: str
    file: str
    licence: str
    author: str
    source: str
    changes: str
    subjects: Mapping[str, str | None] = field(hash=False)
    folder: Path

    @property
    def path(self) -> Path:
        """Where the file is."""
        return self.folder / self.file

    @property
    def credit(self) -> str:
        """Author and licence; the licence alone where no author is named."""
        return self.licence if self.author == "not named" else f"{self.author}, {self.licence}"

    def subject(self, dataset: str) -> str | None:
        """The class of this data set that it shows, or None."""
        return self.subjects.get(dataset)


def load_samples(folder: Path = SAMPLES_FOLDER) -> tuple[Sample, ...]:
    """Reads the photos' manifest, `samples.json`; the first sample is the one to open with.

    Raises:
        ConfigError: The manifest is broken, an entry is incomplete, an id appears twice, or a file
            is missing.
    """
    return _load(folder / "samples.json", "samples")


def load_clips(folder: Path = CLIPS_FOLDER) -> tuple[Sample, ...]:
    """Reads the clips' manifest, `clips.json`; the first clip is the one to open with.

    Raises:
        ConfigError: As `load_samples` does.
    """
    return _load(folder / "clips.json", "clips")


def _load(manifest: Path, key: str) -> tuple[Sample, ...]:
    try:
        entries = json.loads(manifest.read_text(encoding="utf-8"))[key]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"{manifest} cannot be read ({error}); wanted a JSON object with a list {key!r}."
        ) from error
    if not isinstance(entries, list) or not entries:
        raise ConfigError(f"{manifest} lists no {key}; wanted at least one.")
    wanted = {field.name for field in fields(Sample)} - {"folder"}
    for entry in entries:
        _check(entry, wanted, manifest.parent)
    ids = [entry["id"] for entry in entries]
    if repeated := sorted({id_ for id_ in ids if ids.count(id_) > 1}):
        raise ConfigError(f"The sample ids {', '.join(repeated)} appear twice in {manifest}.")
    return tuple(Sample(**entry, folder=manifest.parent) for entry in entries)


def _check(entry: Any, wanted: set[str], folder: Path) -> None:
    if not isinstance(entry, dict) or set(entry) != wanted:
        found = ", ".join(sorted(entry)) if isinstance(entry, dict) else repr(entry)
        raise ConfigError(f"A sample has {found}; wanted exactly {', '.join(sorted(wanted))}.")
    for name in sorted(wanted - {"subjects"}):
        if not isinstance(entry[name], str) or not entry[name]:
            raise ConfigError(
                f"The {name} of sample {entry['id']!r} is {entry[name]!r}; wanted a text."
            )
    subjects = entry.get("subjects", {})
    if not isinstance(subjects, dict) or not all(
        subject is None or (isinstance(subject, str) and subject) for subject in subjects.values()
    ):
        raise ConfigError(
            f"The subjects of sample {entry['id']!r} are {subjects!r}; wanted a class name or null "
            "per data set."
        )
    # The id goes into links and the file name into a path: neither may hold anything odd.
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", entry["id"]):
        raise ConfigError(
            f"The sample id {entry['id']!r} will not do in a link; wanted lower-case letters, "
            "digits and hyphens."
        )
    if Path(entry["file"]).name != entry["file"] or not (folder / entry["file"]).is_file():
        raise ConfigError(
            f"The file {entry['file']!r} of sample {entry['id']!r} is not in {folder}; add it or "
            "take the entry out."
        )
