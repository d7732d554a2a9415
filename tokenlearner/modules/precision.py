"""How exactly NVIDIA GPUs multiply in float32, which PyTorch keeps in switches of the process."""

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import torch

_matmul: Any = torch.backends.cuda.matmul
_cudnn: Any = torch.backends.cudnn
_turn = threading.RLock()


@contextlib.contextmanager
def float32_precision(device: torch.device, *, tf32: bool = False) -> Iterator[None]:
    """Lets an NVIDIA GPU round float32 factors to tf32, or keeps it from that, for a while.

    PyTorch rounds those of convolutions unless told otherwise. The switch is the process's, not the
    thread's, so threads take turns. On other devices nothing changes.
    """
    if device.type != "cuda":
        yield
        return
    with _turn:
        try:
            newer, before = False, _read(newer=False)
        except RuntimeError:  # somebody uses the newer switches, beside which the older raise
            newer, before = True, _read(newer=True)
        if newer:
            _write(("tf32", "tf32") if tf32 else ("ieee", "ieee"), newer=True)
        else:
            _write(("high" if tf32 else "highest", tf32), newer=False)
        try:
            yield
        finally:
            _write(before, newer=newer)


def _read(*, newer: bool) -> tuple[Any, Any]:
    """Returns the switches of matrix products and of convolutions."""
    if newer:
        return _matmul.fp32_precision, _cudnn.conv.fp32_precision
    return torch.get_float32_matmul_precision(), _cudnn.allow_tf32


def _write(values: tuple[Any, Any], *, newer: bool) -> None:
    if newer:
        _matmul.fp32_precision, _cudnn.conv.fp32_precision = values
    else:
        torch.set_float32_matmul_precision(values[0])
        _cudnn.allow_tf32 = values[1]
