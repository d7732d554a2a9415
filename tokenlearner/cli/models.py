"""`tokenlearner models`: the models that come with the project."""

from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from tokenlearner import zoo
from tokenlearner.checkpoints import ClipModel
from tokenlearner.efficiency.model_flops import count_model


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelRow:
    """One shipped model in a table.

    Attributes:
        name: As `zoo.load` takes it.
        of_clips: Whether it takes clips; else photos.
        tokens: On which the first and the last block work, or one number for both.
        num_parameters: Of the whole model.
        gmacs: Billions of multiply-accumulates for one photo or clip.
        top1_percent: On the test split, as `tokenlearner evaluate` measured it.
    """

    name: str
    of_clips: bool
    tokens: str
    num_parameters: int
    gmacs: float
    top1_percent: float


def describe(name: str) -> ModelRow:
    """Returns the row of a shipped model.

    Raises:
        CheckpointError: If there is none of that name, or its folder is missing.
    """
    model = zoo.load(name)
    cost = count_model(model)
    tokens = [stage.tokens for stage in cost.stages if stage.kind == "block"]
    return ModelRow(
        name=name,
        of_clips=isinstance(model, ClipModel),
        tokens=" → ".join(map(str, dict.fromkeys((tokens[0], tokens[-1])))),
        num_parameters=sum(parameter.numel() for parameter in model.parameters()),
        gmacs=cost.gmacs,
        top1_percent=zoo.metrics(name)["metrics"]["top1_percent"],
    )


def models() -> None:
    """List the shipped models: tokens, size, cost and test accuracy."""
    table = Table(box=None, pad_edge=False)
    table.add_column("model", no_wrap=True)
    table.add_column("tokens", no_wrap=True)
    for title in ("parameters", "GFLOPs", "top-1"):
        table.add_column(title, justify="right", no_wrap=True)
    for name in zoo.names():
        row = describe(name)
        table.add_row(
            name,
            row.tokens,
            f"{row.num_parameters / 1e6:.2f} M",
            f"{row.gmacs:#.3g}",
            f"{row.top1_percent:.2f} %",
        )
    console = Console(highlight=False)
    console.print(table)
    console.print("GFLOPs: billions of multiply-accumulates for one photo or clip.")
