"""The ways to run a model: number format, eager or compiled or as a CUDA graph, layout in memory.

    run = prepare(model, images, Execution(dtype="bf16", mode="compile"))
    logits = run()

It is a private copy that runs; the model itself is left as it is.
"""

import contextlib
import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal, get_args

import torch
from torch import nn

from tokenlearner.efficiency.optimise import compiling_however_many, optimise
from tokenlearner.errors import (
    ConfigError,
    MeasurementError,
    TokenLearnerError,
    is_out_of_memory,
)
from tokenlearner.modules.precision import float32_precision
from tokenlearner.modules.shapes import Tensor

Dtype = Literal["fp32", "tf32", "bf16", "fp16"]
Mode = Literal["eager", "compile", "graphs", "optimised"]

_TORCH_DTYPES = {
    "fp32": torch.float32,
    "tf32": torch.float32,
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
}
_GRAPH_WARMUP = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Execution:
    """One way to run a model.

    Attributes:
        dtype: `fp32`, `bf16` or `fp16` for weights and activations; `tf32` for weights and
            activations in fp32, multiplied with ten bits of mantissa (NVIDIA GPUs).
        mode: `eager`; `compile`: by `torch.compile`; `graphs`: recorded once as a CUDA graph and
            replayed, so that launching kernels costs nothing; `optimised`: by `optimise`, which in
            bf16 and fp16 leaves some parts in fp32.
        channels_last: Keep images and convolution weights with their channels innermost.
    """

    dtype: Dtype = "fp32"
    mode: Mode = "eager"
    channels_last: bool = False

    def __post_init__(self) -> None:
        if self.dtype not in get_args(Dtype):
            raise ConfigError(
                f"dtype is {self.dtype!r}; it must be one of {', '.join(get_args(Dtype))}"
            )
        if self.mode not in get_args(Mode):
            raise ConfigError(
                f"mode is {self.mode!r}; it must be one of {', '.join(get_args(Mode))}"
            )

    def check(self, device: torch.device) -> None:
        """Refuses what a device cannot do.

        Raises:
            ConfigError: Says what it can do instead.
        """
        if device.type == "cuda":
            # Older ones would compute in fp32 and emulate bf16, under another name.
            if self.dtype in ("tf32", "bf16") and torch.cuda.get_device_capability(device) < (8, 0):
                raise ConfigError(
                    f"{torch.cuda.get_device_name(device)} does not compute in {self.dtype}, which "
                    "came with the A100; choose fp32 or fp16"
                )
            return
        if self.dtype == "tf32":
            raise ConfigError(
                f"tf32 is a format of NVIDIA GPUs, and this is {device.type}; choose fp32 or bf16"
            )
        if self.mode == "graphs":
            raise ConfigError(
                f"CUDA graphs need an NVIDIA GPU, and this is {device.type}; "
                "choose eager or compile"
            )
        if self.mode == "optimised" and self.dtype == "fp16" and device.type == "cpu":
            raise ConfigError("on a CPU optimised models compute in fp32 or bf16; choose one")

    def compiles(self, device: torch.device) -> bool:
        """Whether `torch.compile` has a part in it."""
        return self.mode == "compile" or (self.mode == "optimised" and device.type == "cuda")

    def has_stages(self, device: torch.device) -> bool:
        """Whether a model runs stage by stage, so that each of them can be timed."""
        return self.mode != "graphs" and not self.compiles(device)

    def with_stages(self, device: torch.device) -> "Execution":
        """Returns itself, or eagerly in the same format where it has no stages."""
        return self if self.has_stages(device) else replace(self, mode="eager")

    @property
    def torch_dtype(self) -> torch.dtype:
        """The format of weights, and of products."""
        return _TORCH_DTYPES[self.dtype]

    @property
    def activation_dtype(self) -> torch.dtype:
        """The format of what goes from layer to layer; `optimise` leaves it in float32."""
        return torch.float32 if self.mode == "optimised" else self.torch_dtype

    def __str__(self) -> str:
        layout = " channels-last" if self.channels_last else ""
        return f"{self.dtype} {self.mode}{layout}"


EAGER = Execution()
"""fp32, eager, channels outermost: PyTorch's own default."""


def prepare(
    model: nn.Module,
    images: Tensor,
    execution: Execution,
) -> Callable[[], Any]:
    """Makes a function that runs a model once over the same images.

    Args:
        model: Is copied.
        images: Images or clips, on the device that is to compute.
        execution: How.

    Returns:
        A function that returns the model's answer. On a GPU it may return before that is computed.

    Raises:
        ConfigError: If the device cannot do that.
        MeasurementError: If `torch.compile` fails.
    """
    execution.check(images.device)
    is_optimised = execution.mode == "optimised"
    images = images.to(execution.activation_dtype)
    private = copy.deepcopy(model).to(images.device, images.dtype).eval()
    if execution.channels_last:
        if images.ndim != 4:
            raise ConfigError("channels-last is a layout of photos; leave it out for clips")
        images = images.contiguous(memory_format=torch.channels_last)
        private = private.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    forward: Callable[[Tensor], Any] = private
    if execution.mode == "compile":
        forward = torch.compile(forward, dynamic=False)
    elif is_optimised:
        forward = optimise(private, dtype=execution.torch_dtype)  # pyright: ignore[reportArgumentType]

    def run() -> Any:
        with (
            torch.inference_mode(),
            float32_precision(images.device, tf32=execution.dtype == "tf32"),
        ):
            return forward(images)

    if execution.compiles(images.device):
        try:
            with compiling_however_many():
                run()
        except Exception as error:  # the compiler, its compiler and its cache fail in any way
            if is_out_of_memory(error) or isinstance(error, TokenLearnerError):
                raise
            first = next(iter(str(error).strip().splitlines()), type(error).__name__)
            raise MeasurementError(
                f"torch.compile failed: {first}; measure without it, or install the C++ compiler "
                "that it needs"
            ) from error
    return _recorded(run, images.device) if execution.mode == "graphs" else run


@contextlib.contextmanager
def out_of_memory_as_measurement_error(batch_size: int) -> Iterator[None]:
    """Turns any error that says that memory is used up into a `MeasurementError`, for a while."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise MeasurementError(
            f"out of memory at batch size {batch_size}; use a smaller one"
        ) from error


def _recorded(run: Callable[[], Any], device: torch.device) -> Callable[[], Any]:
    """Records one call as a CUDA graph; PyTorch wants it warm, on a stream of its own.

    The graph reads weights and images where they lie and does not keep them; `run` does.
    """
    with torch.cuda.device(device):  # streams and graphs are the current device's
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(_GRAPH_WARMUP):
                run()
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        # What other threads do on the GPU meanwhile is none of its business.
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):
            result = run()

    return partial(_replay, graph, result, device=device, kept=run)


def _replay(graph: torch.cuda.CUDAGraph, result: Any, *, device: torch.device, kept: object) -> Any:
    with torch.cuda.device(device):
        graph.replay()
    return result
