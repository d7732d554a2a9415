"""What the fields of configurations have in common, checked."""

from typing import Any, get_args

from tokenlearner.errors import ConfigError


def require_counts(config: object, *names: str, optional: bool = False) -> None:
    """Requires whole numbers of at least 1, or None where they are optional.

    Raises:
        ConfigError: If one is anything else.
    """
    for name in names:
        value = getattr(config, name)
        if value is None and optional:
            continue
        if not isinstance(value, int) or isinstance(value, bool):
            raise ConfigError(f"{name} is {value!r}; it must be a whole number")
        if value < 1:
            raise ConfigError(f"{name} is {value}; it must be at least 1")


def require_pair(config: object, *names: str) -> None:
    """Requires a height and a width in pixels, and makes a tuple of a list, as JSON has it.

    Raises:
        ConfigError: If one is anything else.
    """
    for name in names:
        value = getattr(config, name)
        if not _are_counts(value) or len(value) != 2:
            raise ConfigError(f"{name} is {value!r}; wanted (height, width) in px")
        object.__setattr__(config, name, tuple(value))


def require_list_of_counts(config: object, *names: str, of: str) -> None:
    """Requires any number of whole numbers of at least 1, and makes a tuple of a list.

    Args:
        config: Has these fields.
        names: Names of the fields.
        of: What is counted.

    Raises:
        ConfigError: If one is anything else.
    """
    for name in names:
        value = getattr(config, name)
        if not _are_counts(value):
            raise ConfigError(f"{name} is {value!r}; wanted numbers of {of}")
        object.__setattr__(config, name, tuple(value))


def require_choice(config: object, name: str, choices: object) -> None:
    """Requires one of a `Literal`'s words.

    Raises:
        ConfigError: If it is anything else.
    """
    value, words = getattr(config, name), get_args(choices)
    if value not in words:
        wanted = f"{', '.join(map(repr, words[:-1]))} or {words[-1]!r}"
        raise ConfigError(f"{name} is {value!r}; it must be {wanted}")


def require_shares(config: object, *names: str) -> None:
    """Requires probabilities below 1.

    Raises:
        ConfigError: If one is anything else.
    """
    for name in names:
        value = getattr(config, name)
        if not isinstance(value, int | float) or not 0 <= value < 1:
            raise ConfigError(f"{name} is {value!r}; it must be in 0 <= p < 1")


def _are_counts(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(
        isinstance(size, int) and not isinstance(size, bool) and size > 0 for size in value
    )
