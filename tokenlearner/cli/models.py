"""`tokenlearner models`: the models that come with the project."""

from dataclasses import dataclass

import typer

from tokenlearner import zoo
from tokenlearner.checkpoints import ClipModel
from tokenlearner.efficiency.model_flops import count_model


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelRow:
    """One shipped model in a table.

    Attributes:
        name: Name, as `zoo.load` takes it.
        of_clips: Whether it takes clips rather than photos.
        tokens: Number of tokens in the first and the last block, or one number for both.
        num_parameters: Number of parameters of the whole model.
        gmacs: Billions of multiply-accumulates for one photo or clip.
        top1_percent: Top-1 accuracy on the test split, measured by `tokenlearner evaluate`.
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
        CheckpointError: If the name is unknown, or the folder is missing.
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
    width = max(map(len, zoo.names()))
    typer.echo(f"{'model':<{width}}  {'tokens':<9}  parameters  GFLOPs    top-1")
    for row in map(describe, zoo.names()):
        parameters = f"{row.num_parameters / 1e6:.2f} M"
        typer.echo(
            f"{row.name:<{width}}  {row.tokens:<9}  {parameters:>10}  {row.gmacs:>#6.3g}  "
            f"{row.top1_percent:5.2f} %"
        )
    typer.echo("GFLOPs: billions of multiply-accumulates for one photo or clip.")
