"""Random numbers that depend on nothing but what they are for."""

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


def seed(*numbers: int) -> int:
    """Returns a seed of 63 bits that is a function of `numbers`."""
    digest = hashlib.sha256(repr(numbers).encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1


def generator(*numbers: int) -> torch.Generator:
    """Returns a generator on the CPU whose state is a function of `numbers`."""
    return torch.Generator().manual_seed(seed(*numbers))


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
