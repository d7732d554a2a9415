"""Random numbers that depend on nothing but what they are for."""

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from tokenlearner.modules.shapes import Tensor


def seed(*numbers: int) -> int:
    """Returns a seed of 63 bits that is a function of `numbers`."""
    digest = hashlib.sha256(repr(numbers).encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1


def generator(*numbers: int) -> torch.Generator:
    """Returns a generator on the CPU whose state is a function of `numbers`."""
    return torch.Generator().manual_seed(seed(*numbers))


def draw_uniform(
    low: float, high: float, count: int, places: Tensor | None, generator: torch.Generator
) -> Tensor:
    """Returns a number in low..high for each example of a batch, or of a part of it.

    They are drawn for the whole batch, so that they do not depend on how it is divided.

    Args:
        low: Smallest number.
        high: Largest number.
        count: Examples in the batch.
        places: Places of the part's examples in the batch, int64 `[batch]`; None for all.
        generator: Where the numbers come from.
    """
    numbers = torch.empty(count).uniform_(low, high, generator=generator)
    return numbers if places is None else numbers[places]


@contextmanager
def seeded(*numbers: int) -> Iterator[None]:
    """Makes Python's and NumPy's global random numbers a function of `numbers` for a while.

    For code that has no other source of them, as timm's transforms; both states are put back.
    """
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    random.seed(seed(*numbers))
    np.random.seed(seed(*numbers) % 2**32)  # noqa: NPY002
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002
