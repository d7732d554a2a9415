"""Whether a model answers with the classes of a data set, and in what order."""

from collections.abc import Sequence

from tokenlearner.errors import DataError
from tokenlearner.models.info import ModelInfo


def list_names(names: Sequence[str], *, limit: int = 10) -> str:
    """Returns names for a message: all, or of more than `limit` the first three and how many."""
    if len(names) <= limit:
        return ", ".join(names)
    return f"{', '.join(names[:3])} and {len(names) - 3:,} more"


def match_classes(
    class_names: tuple[str, ...],
    info: ModelInfo,
    *,
    source: str,
    what: str = "",
    place: str = "model",
    advice: str = "",
) -> list[int]:
    """Returns which of a model's answers each class of a data set is.

    Args:
        class_names: Class names of the data set.
        info: Info of the model.
        source: What messages call the data set.
        what: What messages call the model; by default its name.
        place: What messages call the place of its classes.
        advice: What to do if there is no such order, after a semicolon.

    Raises:
        DataError: If the classes are others.
    """
    theirs, ours = class_names, info.class_names
    if theirs == ours:
        return list(range(len(ours)))
    if has_same_classes(theirs, info):
        return [ours.index(name) for name in theirs]
    message = (
        f"{source} has the classes {list_names(theirs)}, but {what or info.name} answers with "
        f"{list_names(ours)}"
    )
    for names, others, where in ((theirs, ours, "data"), (ours, theirs, place)):
        known = set(others)
        if alone := [name for name in names if name not in known]:
            message += f"; only in the {where}: {list_names(alone)}"
    if set(theirs) == set(ours):
        message += "; some of these names stand for several classes, so their order must agree"
    raise DataError(f"{message}. Wanted the same classes in both{advice}")


def has_same_classes(class_names: tuple[str, ...], info: ModelInfo) -> bool:
    """Whether a model answers with these classes, in whatever order, so that each can be told.

    Args:
        class_names: Class names of a data set.
        info: Info of the model.
    """
    ours = info.class_names
    are_distinct = len(set(ours)) == len(ours)
    return class_names == ours or (are_distinct and sorted(class_names) == sorted(ours))
