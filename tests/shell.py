"""The command line, called as from a shell."""

from typing import Any

from typer.testing import CliRunner, Result

from tokenlearner.cli.main import app


def call(*words: object, **settings: Any) -> Result:
    """Runs a command in this process; `settings` are those of click's `invoke`."""
    return CliRunner().invoke(app, [str(word) for word in words], **settings)
