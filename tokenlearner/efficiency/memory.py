"""Memory: how much a pass will take, how much there is, and how much it took."""

import itertools
import os
import weakref
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from torch import nn
from torch.autograd.profiler import profile
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from tokenlearner.efficiency.timm_flops import on_meta

Result = TypeVar("Result")

_MEMINFO = Path("/proc/meminfo")
_CGROUP = Path("/sys/fs/cgroup")


def activation_bytes(
    model: nn.Module, shape: tuple[int, ...], dtype: torch.dtype, device: torch.device
) -> int:
    """Returns how much a batch and the tensors made of it take at most at the same time.

    The pass is made on tensors without storage, in milliseconds at any size. Weights, kernels'
    scratch memory and what an allocator wastes are not in it. Attention counts as a fused kernel
    computes it, which never holds all scores, except in bfloat16 on a CPU, where `attend` writes it
    out.

    Args:
        model: Is left as it is.
        shape: Shape of a batch of images or clips.
        dtype: Number format of the activations.
        device: The device the model would run on.
    """
    bare = on_meta(model)
    writes_out = device.type == "cpu" and dtype == torch.bfloat16
    attention = nullcontext() if writes_out else _FusedAttention()
    with torch.no_grad(), attention, _LiveTensors(apart=bare) as live:
        bare(torch.empty(shape, device="meta"))
    return live.peak_bytes * dtype.itemsize // torch.float32.itemsize


def weight_bytes(model: nn.Module, dtype: torch.dtype) -> int:
    """Returns what parameters and buffers take in a format."""
    count = sum(tensor.numel() for tensor in (*model.parameters(), *model.buffers()))
    return count * dtype.itemsize


def free_bytes(device: torch.device) -> int | None:
    """Returns how much memory can still be had, None where nobody tells.

    On Linux what the kernel calls available, or what is left of the control group's limit if that
    is less. A GPU refuses what it does not have at once and harmlessly, so it is not asked.
    """
    if device.type == "cuda":
        return None
    try:
        lines = _MEMINFO.read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    found = [int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:")]
    limit, used = (_read_number(_CGROUP / name) for name in ("memory.max", "memory.current"))
    if limit is not None and used is not None:
        found.append(min(limit, max(0, limit - used + _cached_bytes())))
    return min(found, default=None)


@dataclass(frozen=True, kw_only=True, slots=True)
class Taken:
    """What PyTorch's allocator gave away while some work was done.

    Attributes:
        kept_bytes: What the work has not given back.
        peak_bytes: The most that it had at the same time.
    """

    kept_bytes: int
    peak_bytes: int


def watch_memory(work: Callable[[], Result], device: torch.device) -> tuple[Result, Taken | None]:
    """Does some work, and finds out what it takes of a device's memory.

    A GPU counts by itself. On a CPU every allocation of this thread is recorded, so that the work
    takes longer than usual. The first time in a process, in another thread than that which imported
    PyTorch, its profiler writes "External init callback must run in same thread" to stderr, which
    cannot be turned off and means nothing here.

    Args:
        work: What to do.
        device: Where it computes.

    Returns:
        result: Result of the work.
        taken: None on MPS, which keeps no peak.
    """
    if device.type == "cuda":
        square = torch.ones(64, 64, device=device)
        F.linear(square, square @ square, square[0])  # cuBLAS now takes what it keeps for good
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        result = work()
        kept, peak = torch.cuda.memory_allocated(device), torch.cuda.max_memory_allocated(device)
        return result, Taken(kept_bytes=kept - before, peak_bytes=peak - before)
    if device.type != "cpu":
        return work(), None
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # or it writes to the terminal
    profiler: Any = profile(use_kineto=True, profile_memory=True)
    with profiler:
        result = work()
    changes = [e for e in profiler.kineto_results.events() if e.name() == "[memory]"]
    changes.sort(key=lambda event: event.start_ns())
    held = list(itertools.accumulate((event.nbytes() for event in changes), initial=0))
    return result, Taken(kept_bytes=held[-1], peak_bytes=max(held))


def in_words(count: int) -> str:
    """Returns a number of bytes for people: `340 MB`, `2.6 GB`."""
    if count >= 1e9:
        return f"{count / 1e9:.1f} GB"
    return f"{count / 1e6:.0f} MB" if count >= 1e6 else f"{count / 1e3:.0f} kB"


class _FusedAttention(TorchFunctionMode):
    """Gives attention's result room, and nothing else, where without storage it has no kernel."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if func is F.scaled_dot_product_attention:
            query, _, value, *_ = args
            if query.shape[-1] == value.shape[-1]:  # which kernels for a CPU ask for
                return torch.empty_like(query)
        return func(*args, **(kwargs or {}))


class _LiveTensors(TorchDispatchMode):
    """Adds up the storages that exist, as they come and go."""

    def __init__(self, *, apart: nn.Module) -> None:
        super().__init__()
        self.live_bytes = self.peak_bytes = 0
        weights = (*apart.parameters(), *apart.buffers())
        self._known = {tensor.untyped_storage()._cdata for tensor in weights}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, tuple | list) else (result,):
            if isinstance(tensor, torch.Tensor):
                self._add(tensor.untyped_storage())
        return result

    def _add(self, storage: torch.UntypedStorage) -> None:
        key = storage._cdata
        if key in self._known:  # a view
            return
        self._known.add(key)
        self.live_bytes += storage.nbytes()
        self.peak_bytes = max(self.peak_bytes, self.live_bytes)
        weakref.finalize(storage, self._remove, key, storage.nbytes())

    def _remove(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.live_bytes -= size


def _cached_bytes() -> int:
    """Returns what the group's use counts but the kernel gives back: files not read of late."""
    try:
        lines = (_CGROUP / "memory.stat").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("inactive_file "))


def _read_number(file: Path) -> int | None:
    try:
        text = file.read_text(encoding="ascii").strip()
    except OSError:
        return None
    return int(text) if text.isdecimal() else None
