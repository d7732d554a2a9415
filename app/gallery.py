"""The photos that come with the app, each with what it shows and whose it is."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from tokenlearner.errors import ConfigError

SAMPLES_FOLDER = Path(__file__).parent / "samples"


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """One photo of the gallery.

    Attributes:
        id: Names it in links: lower-case letters, digits and hyphens.
        title: What it shows, in plain words; serves as its alternative text.
        file: Name of the file in the samples folder.
        subjects: The class it shows, per data set (`{"imagenette": "parachute", "cifar10": None}`);
            None where it shows none of that data set's classes.
        licence: As stated by its source.
        author: As stated by its source.
        source: Where the file was taken from.
        changes: What was done to it since; `"none"` if nothing.
        folder: The folder that `file` lies in.
    """

    id: str
    title: str
    file: str
    subjects: Mapping[str, str | None] = field(hash=False)
    licence: str
    author: str
    source: str
    changes: str
    folder: Path = SAMPLES_FOLDER

    @property
    def path(self) -> Path:
        """The photo's file."""
        return self.folder / self.file

    def subject(self, dataset: str) -> str | None:
        """The class of this data set that the photo shows, or None."""
        return self.subjects.get(dataset)


def load_samples(folder: Path = SAMPLES_FOLDER) -> tuple[Sample, ...]:
    """Reads the manifest, `samples.json`; the first sample is the one to open with.

    Raises:
        ConfigError: The manifest is broken, an entry is incomplete, an id appears twice, or a file
            is missing.
    """
    manifest = folder / "samples.json"
    try:
        entries = json.loads(manifest.read_text(encoding="utf-8"))["samples"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"{manifest} cannot be read ({error}); wanted a JSON object with a list 'samples'."
        ) from error
    if not isinstance(entries, list) or not entries:
        raise ConfigError(f"{manifest} lists no samples; wanted at least one.")
    samples = tuple(_sample(entry, folder) for entry in entries)
    ids = [sample.id for sample in samples]
    if repeated := sorted({id_ for id_ in ids if ids.count(id_) > 1}):
        raise ConfigError(f"The sample ids {', '.join(repeated)} appear twice in {manifest}.")
    return samples


def _sample(entry: Any, folder: Path) -> Sample:
    texts = {field.name for field in fields(Sample)} - {"subjects", "folder"}
    if not isinstance(entry, dict) or set(entry) != texts | {"subjects"}:
        found = ", ".join(sorted(entry)) if isinstance(entry, dict) else repr(entry)
        raise ConfigError(
            f"A sample has {found}; wanted exactly {', '.join(sorted(texts))} and subjects."
        )
    for name in sorted(texts):
        if not isinstance(entry[name], str) or not entry[name]:
            raise ConfigError(
                f"The {name} of sample {entry['id']!r} is {entry[name]!r}; wanted a text."
            )
    subjects = entry["subjects"]
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
    return Sample(**entry, folder=folder)
