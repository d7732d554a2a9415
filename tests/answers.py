"""Comparing what `explain` and `explain_clip` return."""

import numpy as np

from tokenlearner.answers import Answer


def assert_same(found: Answer, wanted: Answer) -> None:
    """The same to the last bit."""
    assert type(found) is type(wanted)
    for name in wanted.__dataclass_fields__:
        one, other = getattr(found, name), getattr(wanted, name)
        if isinstance(other, np.ndarray):
            assert one.dtype == other.dtype
            assert np.array_equal(one, other), name
        elif name != "learners":
            assert one == other, name
    assert len(found.learners) == len(wanted.learners)
    for one, other in zip(found.learners, wanted.learners, strict=True):
        assert (one.block, one.version) == (other.block, other.version)
        assert np.array_equal(one.maps, other.maps)
        assert np.array_equal(one.tokens, other.tokens)
