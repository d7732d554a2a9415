"""Official arguments, taken one by one so that none is overlooked."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tokenlearner.errors import ConversionError

Params = Mapping[str, np.ndarray]

_REQUIRED: Any = object()


@dataclass(frozen=True, kw_only=True, slots=True)
class Inputs:
    """What is known about a model's inputs beside its arguments; None where nothing tells.

    Attributes:
        image_size: Height and width in pixels.
        num_frames: Frames of a clip; None for images, too.
    """

    image_size: tuple[int, int] | None = None
    num_frames: int | None = None


class Arguments:
    """Official arguments by name; each must be taken, or ignored on purpose."""

    def __init__(self, owner: str, values: Mapping[str, Any]) -> None:
        self._owner = owner
        self._left = dict(values)

    def peek(self, name: str) -> Any:
        """Returns what `take` will, and leaves it to be taken."""
        value = self._left[name] = self.take(name)
        return value

    def take(self, name: str, default: Any = _REQUIRED) -> Any:
        if name not in self._left and default is _REQUIRED:
            raise ConversionError(f"{self._owner} has no argument {name!r}; add it")
        return self._left.pop(name, default)

    def take_count(self, name: str, *, most: int | None = None) -> int:
        value = self.take(name)
        if type(value) is not int or value < 1 or (most is not None and value > most):
            limits = "of at least 1" if most is None else f"from 1 to {most:,}"
            raise ConversionError(
                f"{self._owner}: {name} is {value!r}; it must be a whole number {limits}"
            )
        return value

    def ignore(self, *names: str) -> None:
        for name in names:
            self._left.pop(name, None)

    def finish(self) -> None:
        if self._left:
            raise ConversionError(
                f"{self._owner} has the unknown argument {min(self._left)!r}; remove it if the "
                "official model does not read it"
            )


def axis_of(params: Params, name: str, axis: int, *, ndim: int) -> int:
    """Returns a size that only an array tells."""
    if name not in params:
        raise ConversionError(f"missing array {name!r}: got none, expected one of {ndim} axes")
    shape = np.shape(params[name])
    if len(shape) != ndim:
        raise ConversionError(f"array {name!r}: got shape {shape}, expected {ndim} axes")
    return shape[axis]
