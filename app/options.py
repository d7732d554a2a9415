"""What the operator allows: settings on the command line after `--`, or in the environment."""

import argparse
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from tokenlearner.errors import ConfigError

_REPOSITORY = re.compile(r"\w[\w.-]*/\w[\w.-]*(@[\w./-]+)?", re.ASCII)


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """Which models there are besides those that come with the project.

    Attributes:
        models: Folder of the operator's own model folders.
        hub: Repositories on the Hub, `owner/name` or `owner/name@revision`. Visitors can choose
            among these and name no other.
    """

    models: Path | None = None
    hub: tuple[str, ...] = ()


def read_options(arguments: Sequence[str], environment: Mapping[str, str]) -> Options:
    """Reads the settings; an argument counts more than the environment.

    Args:
        arguments: `--models DIR` and any number of `--allow-hub OWNER/NAME[@REVISION]`.
        environment: `TOKENLEARNER_MODELS`, and `TOKENLEARNER_ALLOW_HUB` with commas between.

    Raises:
        ConfigError: If there is no such argument, or a repository's name cannot be one.
    """
    parser = _Parser(allow_abbrev=False, add_help=False)
    parser.add_argument("--models", default=environment.get("TOKENLEARNER_MODELS", ""))
    parser.add_argument("--allow-hub", action="append", default=[])
    found = parser.parse_args(arguments)
    allowed = found.allow_hub or environment.get("TOKENLEARNER_ALLOW_HUB", "").split(",")
    hub = tuple(dict.fromkeys(name.strip() for name in allowed if name.strip()))
    for name in hub:
        if not _REPOSITORY.fullmatch(name):
            raise ConfigError(
                f"--allow-hub got {name!r}; wanted OWNER/NAME or OWNER/NAME@REVISION, as the Hub "
                "writes it"
            )
    return Options(models=Path(found.models).expanduser() if found.models else None, hub=hub)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ConfigError(
            f"the dashboard was started with settings that it does not know: {message}. It takes "
            "--models DIR and --allow-hub OWNER/NAME"
        )
