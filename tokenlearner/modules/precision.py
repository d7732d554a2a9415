"""How exactly NVIDIA GPUs multiply in float32, which PyTorch keeps in switches of the process."""

import contextlib
from collections.abc import Iterator
from typing import Any

import torch


@contextlib.contextmanager
def multiplying(device: torch.device, *, tf32: bool = False) -> Iterator[None]:
    """Lets an NVIDIA GPU round float32 factors to tf32, or keeps it from that, for a while.

    PyTorch rounds those of convolutions unless told otherwise. The switch is the process's, not the
    thread's: two formats cannot be in use at once. On other devices nothing changes.
    """
    if device.type != "cuda":
        yield
        return
    cuda: Any = torch.backends.cuda.matmul
    cudnn: Any = torch.backends.cudnn
    try:
        before = torch.get_float32_matmul_precision(), cudnn.allow_tf32
    except RuntimeError:  # somebody uses the newer switches, beside which the older raise
        new = cuda, cudnn.conv
        values = [switch.fp32_precision for switch in new]
        for switch in new:
            switch.fp32_precision = "tf32" if tf32 else "ieee"
        try:
            yield
        finally:
            for switch, value in zip(new, values, strict=True):
                switch.fp32_precision = value
        return
    torch.set_float32_matmul_precision("high" if tf32 else "highest")
    cudnn.allow_tf32 = tf32
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before[0])
        cudnn.allow_tf32 = before[1]
