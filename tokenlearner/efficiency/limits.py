"""What a device can do at best, measured: arithmetic, memory, calls."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from tokenlearner.efficiency.rounds import Clock, Run

_MATRIX = {"cpu": 2048, "cuda": 8192, "mps": 4096}
_SMALLEST_MATRIX = 256
_PATIENCE_S = 1.0
_COPY_BYTES = {"cpu": 256 << 20, "cuda": 512 << 20, "mps": 512 << 20}
_TINY_CALLS = 200
_REPEATS = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """The ceilings under which a model runs.

    Attributes:
        macs_per_second: Rate of one large matrix product in the given number format.
        bytes_per_second: Read and written together, of one large copy.
        seconds_per_call: What an operation on next to nothing takes: the price of calling it.
    """

    macs_per_second: float
    bytes_per_second: float
    seconds_per_call: float


@torch.inference_mode()
def measure_limits(
    device: torch.device,
    dtype: torch.dtype = torch.float32,
    *,
    synchronize: Callable[[], None] | None = None,
    clock: Clock = time.perf_counter,
) -> Limits:
    """Measures what the device does at best; takes a few seconds.

    Args:
        device: Where to compute.
        dtype: Number format of the matrix product.
        synchronize: Waits for the device; None where calls return only when they are done.
        clock: Tells seconds.
    """
    source = torch.zeros(_COPY_BYTES[device.type], dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    tiny = torch.zeros(1, device=device)

    def many_calls() -> None:
        for _ in range(_TINY_CALLS):
            tiny.add(1)

    def product(side: int) -> Run:
        square = torch.randn(side, side, device=device).to(dtype)
        return lambda: square @ square

    def seconds(run: Run, repeats: int = _REPEATS) -> float:
        times = []
        for _ in range(repeats + 1):
            started = clock()
            run()
            if synchronize is not None:
                synchronize()
            times.append(clock() - started)
        return statistics.median(times[1:])

    side = _MATRIX[device.type]
    if side > _SMALLEST_MATRIX:  # a large product takes minutes in a format that is emulated
        small = seconds(product(_SMALLEST_MATRIX), repeats=1)
        while side > _SMALLEST_MATRIX and small * (side / _SMALLEST_MATRIX) ** 3 > _PATIENCE_S:
            side //= 2
    return Limits(
        macs_per_second=side**3 / seconds(product(side)),
        bytes_per_second=2 * source.nbytes / seconds(lambda: target.copy_(source)),
        seconds_per_call=seconds(many_calls) / _TINY_CALLS,
    )
