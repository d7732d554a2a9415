"""Comparisons made by hand."""

from tokenlearner.efficiency.comparison import Comparison, Entry
from tokenlearner.efficiency.conditions import Conditions
from tokenlearner.efficiency.execution import Execution
from tokenlearner.efficiency.rounds import Round, Sample


def comparison(
    *seconds: tuple[float, ...],
    names: tuple[str, ...] = ("plain", "learner"),
    disturbed: bool = False,
    device: str = "cpu",
) -> Comparison:
    """Two models, or as many as there are names, that take so long for a batch of 8.

    The first computes twice as much as the second, and so on.
    """
    rounds = tuple(
        Round(tuple(Sample(one, 1, (one, one)) for one in row), disturbed) for row in seconds
    )
    return Comparison(
        entries=tuple(
            Entry(
                name=name,
                execution=Execution(),
                macs=10**9 // 2**index,
                parameters=1_000_000,
                activation_bytes=2_000_000,
            )
            for index, name in enumerate(names)
        ),
        batch_size=8,
        rounds=rounds,
        conditions=Conditions(
            device=device, hardware="a machine, 2 cores", threads=2, date="2026-11-26"
        ),
    )
