"""What is known about a model besides its weights."""

from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from tokenlearner.errors import ConfigError
from tokenlearner.preprocess import Preprocessing


@dataclass(frozen=True, kw_only=True, slots=True)
class Provenance:
    """Where trained weights come from. What is not known is empty.

    Attributes:
        trained_on: Data set.
        data_licence: Licence of the training data.
        weights_licence: Licence of the weights.
        recipe: Name of the recipe.
        started_from: Model whose weights the training began with.
        teacher: Model whose answers were learned as well as the labels.
        inherited_data: Other data that these two were trained on, with their licences.
        command: The command that trained them.
        hardware: What it ran on.
        hours: Time it took.
        date: Day it ended, ISO 8601.
        epochs: Passes over the training data.
        seed: Random seed.
        settings: What else was decided: sizes, optimiser and so on, by name, in words.
        versions: Versions of the software that matters.
    """

    trained_on: str
    data_licence: str = ""
    weights_licence: str = ""
    recipe: str = ""
    started_from: str = ""
    teacher: str = ""
    inherited_data: str = ""
    command: str = ""
    hardware: str = ""
    hours: float | None = None
    date: str = ""
    epochs: int | None = None
    seed: int | None = None
    settings: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelInfo:
    """A model's name, answers, preprocessing and origin.

    Attributes:
        name: Name in the zoo, or of the folder or repository.
        class_names: Name of each answer.
        preprocessing: How photos are prepared.
        provenance: Where the weights come from; None for random weights.
        untrained_parts: Parts still randomly initialised in an otherwise trained model:
            `TokenLearner`, `head`.
        multi_label: Whether several answers may be right at once: each then has a probability of
            its own (sigmoid), where otherwise all add up to 1 (softmax).
        source: Folder or repository the weights were read from.
        sha256: Checksum of the weights file, hexadecimal.
    """

    name: str
    class_names: tuple[str, ...]
    preprocessing: Preprocessing
    provenance: Provenance | None = None
    untrained_parts: tuple[str, ...] = ()
    multi_label: bool = False
    source: str = ""
    sha256: str = ""

    @property
    def warning(self) -> str:
        """Which weights are random and what follows, for people; empty if none are."""
        if self.provenance is None:
            return "Its weights are random: neither answer nor maps mean anything."
        if self.untrained_parts:
            parts = " and ".join(self.untrained_parts)
            return f"Not trained yet: {parts}. Until then neither answer nor maps mean anything."
        return ""

    @property
    def random_parts(self) -> str:
        """Which weights are random, as a label; empty if none are."""
        return name_random_parts(self.provenance is not None, self.untrained_parts)

    def to_dict(self) -> dict[str, Any]:
        """Returns the JSON-able part that belongs in a model folder's `config.json`."""
        data = asdict(self)
        del data["source"], data["sha256"]
        return data

    @classmethod
    def from_dict(cls, data: dict[str, Any], **where: str) -> "ModelInfo":
        """Builds the information from what `to_dict` returned, and where it was read from.

        Raises:
            KeyError: If something is missing.
            ConfigError: If something is of another type than it should be.
        """
        provenance = data.get("provenance")
        return cls(
            name=_typed(str, "name", data["name"]),
            class_names=tuple(data["class_names"]),
            preprocessing=Preprocessing.from_dict(
                _typed(dict, "preprocessing", data["preprocessing"])
            ),
            provenance=None if provenance is None else _provenance(provenance),
            untrained_parts=tuple(
                _typed(str, "untrained_parts", part)
                for part in _typed(list | tuple, "untrained_parts", data.get("untrained_parts", ()))
            ),
            multi_label=_typed(bool, "multi_label", data.get("multi_label", False)),
            **where,
        )


def name_random_parts(trained: bool, untrained_parts: tuple[str, ...]) -> str:
    """Returns the label of random weights; empty if none are.

    Args:
        trained: Whether the weights as a whole were.
        untrained_parts: As `ModelInfo` has them.
    """
    if not trained:
        return "random weights"
    return f"{' and '.join(untrained_parts)} not trained" if untrained_parts else ""


def _provenance(data: object) -> Provenance:
    known = {f.name for f in fields(Provenance)}  # a newer version may tell more
    return Provenance(
        **{
            name: _typed(_NOT_WORDS.get(name, str), name, value)
            for name, value in _typed(dict, "provenance", data).items()
            if name in known
        }
    )


_NOT_WORDS: dict[str, Any] = {
    "hours": float | int | None,
    "epochs": int | None,
    "seed": int | None,
    "settings": dict,
    "versions": dict,
}


def _typed(kind: Any, name: str, value: Any) -> Any:
    if not isinstance(value, kind):
        raise ConfigError(f"{name} is {value!r}; wanted {getattr(kind, '__name__', kind)}")
    return value


def read_class_names(file: Path) -> tuple[str, ...]:
    """Returns the names in a text file, UTF-8, one in a line, in the model's order.

    Raises:
        ConfigError: If it cannot be read, has none in it or an empty line between them.
    """
    wanted = "give a text file with one name per line"
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {file}: {error}; {wanted}") from error
    names = [line.strip() for line in lines]
    while names and not names[-1]:
        names.pop()
    if not names:
        raise ConfigError(f"{file} has no names in it; {wanted}")
    if "" in names:
        raise ConfigError(f"{file} has no name in line {names.index('') + 1}; {wanted}")
    return tuple(names)
