"""The axis vocabulary, and shape annotations that cost nothing where jaxtyping is absent.

    batch     examples
    time      frames of a clip, or its time steps (tubelets span several frames)
    position  grid positions, row-major: position = row * width + column
    height    grid rows, or image rows in pixels
    width     grid columns, or image columns in pixels
    token     learned tokens (S in the paper)
    length    tokens of either kind
    dim       channels of a token (C in the paper)
    classes   answers of a classifier

The annotations are checked in tests, by jaxtyping's import hook; at run time they are inert.
"""

from typing import TYPE_CHECKING, Any

from torch import Tensor

if TYPE_CHECKING:
    from jaxtyping import Float, UInt8
else:
    try:
        from jaxtyping import Float, UInt8
    except ImportError:

        class _Unchecked:
            def __class_getitem__(cls, _: Any) -> Any:
                return Any

        Float = UInt8 = _Unchecked

__all__ = ["Float", "Tensor", "UInt8"]
