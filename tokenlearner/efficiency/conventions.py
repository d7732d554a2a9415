"""The ways to count: each a table of what an operation is worth.

Published figures follow different ones, and none says which. They must not be mixed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, NamedTuple

from tokenlearner.efficiency.operations import Operation, OperationKind

ConventionName = Literal["macs", "hlo_half", "tf1_profiler_half", "two_flops_per_mac"]


class Rate(NamedTuple):
    """What one operation is worth: so much per product, per value and per row."""

    per_mac: int = 0
    per_value: int = 0
    per_row: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Convention:
    """A way to count.

    Attributes:
        name: Short name, for commands and files.
        title: A few words for people.
        unit: What billions of it are called.
        rates: Worth of each kind of operation; a kind that is absent is not counted.
        divisor: What the sum is divided by.
        counts_padding: Whether products with zero padding count.
    """

    name: ConventionName
    title: str
    unit: str
    rates: Mapping[OperationKind, Rate]
    divisor: int = 1
    counts_padding: bool = True

    def count(self, operation: Operation) -> float:
        """Returns what an operation is worth."""
        rate = self.rates.get(operation.kind)
        if rate is None:
            return 0
        values = operation.rows * operation.width
        macs = values * operation.terms
        if not self.counts_padding:
            macs -= operation.padded
        worth = rate.per_mac * macs + rate.per_value * values + rate.per_row * operation.rows
        return worth / self.divisor


def _contractions(
    per_mac: int, others: Mapping[OperationKind, Rate] = MappingProxyType({})
) -> Mapping[OperationKind, Rate]:
    kinds = ("dense", "convolution", "projection", "attention", "weighted_sum")
    rates: dict[OperationKind, Rate] = {}
    rates.update(dict.fromkeys(kinds, Rate(per_mac=per_mac)))
    rates.update(others)
    return MappingProxyType(rates)


MACS = Convention(
    name="macs",
    title="multiply-accumulates",
    unit="GMACs",
    rates=_contractions(1),
)
"""Products of convolutions, linear layers, attention and weighted sums; 1 each. Padding counts, as
hardware computes it; norms, activations, biases and residuals do not. Half of what
`torch.utils.flop_counter` says."""

TWO_FLOPS_PER_MAC = Convention(
    name="two_flops_per_mac",
    title="two per multiply-accumulate",
    unit="GFLOPs",
    rates=_contractions(2),
)
"""As `MACS`, a multiplication and an addition apart. Tables 11 and 12 of the paper."""

HLO_HALF = Convention(
    name="hlo_half",
    title="operations / 2, as in the paper’s tables",
    unit="GFLOPs",
    divisor=2,
    counts_padding=False,
    rates=_contractions(
        2,
        {
            # A product of all, then a sum of n terms: n - 1 additions.
            "weighted_sum": Rate(per_mac=2, per_value=-1),
            "layer_norm": Rate(per_value=7, per_row=4),
            "batch_norm": Rate(per_value=3, per_row=2),
            "softmax": Rate(per_value=4, per_row=-1),
            "gelu_tanh": Rate(per_value=8),
            "gelu": Rate(per_value=4),
            "relu": Rate(per_value=1),
            "sigmoid": Rate(per_value=3),
            "bias": Rate(per_value=1),
            "scale": Rate(per_value=1),
            "add": Rate(per_value=1),
            "pool": Rate(per_value=1),
        },
    ),
)
"""All operations of the compiler's graph before fusion, halved: the ImageNet and Kinetics tables.
Every elementwise operation is worth one half; exp, tanh, erf and rsqrt are free, products with zero
padding too."""

TF1_PROFILER_HALF = Convention(
    name="tf1_profiler_half",
    title="TensorFlow 1 profiler / 2, as in the Keras example’s table",
    unit="GFLOPs",
    divisor=2,
    rates=MappingProxyType(
        {
            "dense": Rate(per_mac=2),
            "convolution": Rate(per_mac=2),
            "weighted_sum": Rate(per_mac=2),
            "layer_norm": Rate(per_value=8, per_row=2),
            "softmax": Rate(per_value=5),
            "gelu_tanh": Rate(per_value=5),
            "gelu": Rate(per_value=3),
            "relu": Rate(),
            "bias": Rate(per_value=1),
            "scale": Rate(per_value=1),
            "pool": Rate(per_value=1),
        }
    ),
)
"""What the TensorFlow 1 profiler knows, halved. It knows no einsum and no addition: all of an
attention but its scaling and softmax is missing, so it shows a fifth of the mini ViT's work."""

CONVENTIONS: Mapping[str, Convention] = MappingProxyType(
    {each.name: each for each in (MACS, HLO_HALF, TF1_PROFILER_HALF, TWO_FLOPS_PER_MAC)}
)
"""All of them by name."""
