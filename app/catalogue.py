"""The models to choose from: the project's, the operator's own, and those allowed from the Hub."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from app.options import Options
from tokenlearner import zoo
from tokenlearner.errors import CheckpointError
from tokenlearner.storage import CONFIG_FILE, HUB_PREFIX, WEIGHTS_FILE, fetch

Origin = Literal["shipped", "operator", "hub"]

_OWN_PREFIX = "own:"
_WHERE = {"operator": "(folder)", "hub": "(Hub)"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Offer:
    """A model that a visitor can choose.

    Attributes:
        name: In links.
        title: For people.
        place: What `zoo.load` finds it by.
        origin: Who offers it.
        state: Changes when its files do.
        dataset: The data set whose classes it knows, where that is known without loading it.
        counterpart: Name of the same model without TokenLearner or, of a baseline, with it.
    """

    name: str
    title: str
    place: str
    origin: Origin
    state: str = ""
    dataset: str | None = None
    counterpart: str | None = None


def offers(options: Options) -> dict[str, Offer]:
    """All models by name, the one to open with first; none of them is opened for this."""
    found = [*_shipped(), *_own(options.models), *_allowed(options.hub)]
    times = Counter(offer.title for offer in {offer.name: offer for offer in found}.values())
    # A select box tells its entries apart by their titles.
    return {
        offer.name: offer
        if times[offer.title] == 1 or offer.origin == "shipped"
        else replace(offer, title=f"{offer.title} {_WHERE[offer.origin]}")
        for offer in found
    }


def title_of(name: str) -> str:
    """What a model that may not be offered any more was called on the page."""
    return name.removeprefix(_OWN_PREFIX).removeprefix(HUB_PREFIX)


def folder_problem(options: Options, found: Mapping[str, Offer]) -> str:
    """Why the operator's folder offers nothing; empty if it does, or if there is none.

    Args:
        options: Which folder that is.
        found: What `offers` found.
    """
    folder = options.models
    if folder is None or any(offer.origin == "operator" for offer in found.values()):
        return ""
    if not folder.is_dir():
        return f"--models names {folder}, which is no folder"
    return f"--models names {folder}, where no folder has a {CONFIG_FILE} or a {WEIGHTS_FILE}"


def folder_of(offer: Offer) -> str:
    """The folder that messages about a model name; what it is found by, if it has none here."""
    if offer.origin == "operator":
        return offer.place
    try:
        if offer.origin == "shipped":
            return str(zoo.folder(offer.name))
        return str(fetch(offer.place, local_files_only=True))
    except CheckpointError:
        return offer.place


def _shipped() -> list[Offer]:
    return [
        Offer(
            name=entry.name,
            title=entry.title,
            place=entry.name,
            origin="shipped",
            state=entry.sha256,
            dataset=entry.dataset,
            counterpart=zoo.counterpart(entry.name),
        )
        for entry in zoo.ENTRIES
    ]


def _own(folder: Path | None) -> list[Offer]:
    """Model folders in a folder, or one deeper as `tokenlearner train` writes them, by name."""
    if folder is None:
        return []
    files = {
        path
        for depth in ("", "*/", "*/*/")
        for name in (CONFIG_FILE, WEIGHTS_FILE)
        for path in folder.glob(depth + name)
    }
    found = []
    for place in sorted({path.parent for path in files}):
        inside = place.relative_to(folder)
        if any(part.startswith(".") for part in inside.parts):
            continue
        title = inside.as_posix() if inside.parts else place.resolve().name
        found.append(
            Offer(
                name=_OWN_PREFIX + title,
                title=title,
                place=str(place.absolute()),
                origin="operator",
                state=_state(place),
            )
        )
    return found


def _state(folder: Path) -> str:
    """Sizes and times of the files that decide what a model is."""
    marks = []
    for name in (CONFIG_FILE, WEIGHTS_FILE):
        try:
            about = (folder / name).stat()
        except OSError:  # not there, or just being replaced
            continue
        marks.append(f"{name} {about.st_size} {about.st_mtime_ns}")
    return ", ".join(marks)


def _allowed(repositories: tuple[str, ...]) -> list[Offer]:
    return [
        Offer(
            name=HUB_PREFIX + repository,
            title=repository,
            place=HUB_PREFIX + repository,
            origin="hub",
        )
        for repository in repositories
    ]
