"""How maps are drawn, as the browser writes it into links and events."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from tokenlearner.errors import ConfigError
from tokenlearner.rendering.overlay import ViewSettings

# `settings.js` writes what this names.
_QUERY_KEYS = {
    "tokens": "token",
    "mode": "mode",
    "opacity": "opacity",
    "colormap": "cmap",
    "interpolation": "interp",
    "scale": "scale",
    "mass": "mass",
    "weak": "weak",
}


def settings_from_query(query: Any) -> ViewSettings:
    """The settings that a link asks for; whatever is missing or makes no sense is the default.

    Args:
        query: Query parameters by name, from an untrusted source: `token` ("2" or "2,5", counted
            from 1), `mode`, `opacity`, `cmap`, `interp`, `scale`, `mass`, `weak`. Others are
            ignored.
    """
    if not isinstance(query, Mapping):
        return ViewSettings()
    values: dict[str, Any] = {
        field: str(query[key]) for field, key in _QUERY_KEYS.items() if key in query
    }
    numbers = values.get("tokens", "").split(",")
    # Three digits are more than any model has tokens, and few enough for `int`.
    values["tokens"] = [int(part) - 1 for part in numbers if part.isdecimal() and len(part) < 4]
    return settings_from_values(values)


def settings_from_values(values: Mapping[str, Any]) -> ViewSettings:
    """Settings by the names of `ViewSettings`, from an untrusted source; nonsense is left out."""
    readers = {"tokens": _read_tokens, "opacity": float, "mass": float}
    settings = ViewSettings()
    for field in asdict(settings):
        if field not in values:
            continue
        try:
            value = readers.get(field, str)(values[field])
            settings = replace(settings, **{field: value})
        except (ConfigError, TypeError, ValueError, OverflowError):
            continue
    return settings


def _read_tokens(values: Any) -> tuple[int, ...]:
    return tuple(sorted({int(value) for value in values}))
