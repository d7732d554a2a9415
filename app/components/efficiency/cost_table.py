"""The table of what two models cost: each number with its unit, and the change beside it."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from app.components.numbers import format_count, format_gflops
from tokenlearner.efficiency.flops import Cost


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """One model of the table.

    Attributes:
        name: Of the model.
        title: For people.
        has_learner: Whether it learns tokens.
        cost: Of one input.
        num_parameters: Of the model.
    """

    name: str
    title: str
    has_learner: bool
    cost: Cost
    num_parameters: int

    @property
    def short(self) -> str:
        """What it is called beside its counterpart."""
        return "with TokenLearner" if self.has_learner else "without"


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One quantity.

    Attributes:
        label: What it is, with its unit.
        texts: One for each column.
        values: The same as numbers; None for what is not known.
    """

    label: str
    texts: Sequence[str]
    values: Sequence[float | None]


def cost_table(columns: Sequence[Column], measured: Sequence[Row] = ()) -> str:
    """The table as HTML.

    Args:
        columns: One model, or the plain one and the one with a learner.
        measured: Rows besides what is counted.
    """
    counted = [
        Row(
            label="GFLOPs",
            texts=[format_gflops(column.cost.macs) for column in columns],
            values=[column.cost.macs for column in columns],
        ),
        Row(
            label="parameters",
            texts=[format_count(column.num_parameters) for column in columns],
            values=[column.num_parameters for column in columns],
        ),
    ]
    heads = [f"<th scope='col'>{escape(column.short)}</th>" for column in columns]
    if len(columns) == 2:
        heads.append("<th scope='col'>change</th>")
    body = [_row(row) for row in (*counted, *measured)]
    return (
        "<table class='costs'><thead><tr><td></td>"
        f"{''.join(heads)}</tr></thead><tbody>{''.join(body)}</tbody></table>"
    )


def describe_change(before: float, after: float) -> str:
    """A change in percent, with three digits at most: `−33 %`, `+0.4 %`.

    Example:
        >>> describe_change(0.340, 0.228)
        '−32.9 %'
    """
    percent = 100 * (after / before - 1)
    if abs(percent) < 0.05:
        return "± 0 %"
    return f"{'+' if percent > 0 else '−'}{abs(percent):.3g} %"


def _row(row: Row) -> str:
    cells = [f"<th scope='row'>{escape(row.label)}</th>"]
    cells += [f"<td>{escape(text)}</td>" for text in row.texts]
    if len(row.values) == 2:
        before, after = row.values
        change = "" if before is None or after is None else describe_change(before, after)
        cells.append(f"<td>{change}</td>")
    return f"<tr>{''.join(cells)}</tr>"
