"""What layers compute, written down once; `conventions` says how it is counted."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

OperationKind = Literal[
    # Contractions: every value is a sum of products.
    "dense",
    "convolution",
    "projection",
    "attention",
    "weighted_sum",
    # The rest works on single values, or on one row after another.
    "layer_norm",
    "batch_norm",
    "softmax",
    "gelu_tanh",
    "gelu",
    "relu",
    "sigmoid",
    "tanh",
    "bias",
    "scale",
    "add",
    "pool",
]
"""`dense` is a linear layer, `projection` one of those around attention (query, key, value,
output), `attention` its two products, `weighted_sum` the sum that maps or fusing weights weigh.
`bias` belongs to dense layers and convolutions; a projection's bias is an `add`, as residuals and
position embeddings are. `pool` goes once over all positions."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One kind of arithmetic, done for `rows * width` values.

    Attributes:
        kind: What is done.
        rows: Vectors: what is normalised, a softmax runs over, a linear layer maps.
        width: Values in each of them, as they come out (for `pool`, as they go in).
        terms: Products summed for each value; 0 for what is no contraction.
        padded: Multiply-accumulates, of all, that meet nothing but zero padding.
    """

    kind: OperationKind
    rows: int
    width: int
    terms: int = 0
    padded: int = 0

    @property
    def macs(self) -> int:
        """Multiply-accumulates, those with zero padding included."""
        return self.rows * self.width * self.terms


Operations = tuple[Operation, ...]


def repeat(operations: Iterable[Operation], times: int) -> Operations:
    """Returns the work of doing the same `times` times."""
    return tuple(
        Operation(work.kind, work.rows * times, work.width, work.terms, work.padded * times)
        for work in operations
    )
