"""`python -m tokenlearner` is the command `tokenlearner`."""

from tokenlearner.cli.main import app

app(prog_name="tokenlearner")
