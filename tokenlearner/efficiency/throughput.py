"""Images per second, measured side by side.

    base, fast = Candidate("base", model), Candidate("8 tokens", with_learner)
    for progress in compare([base, fast], batch_size=8, device=torch.device("cpu")):
        print(progress.activity, f"{progress.done_ratio:.0%}")
    progress.comparison.speedup().median, progress.comparison.realised_ratio()

`compare` and `sweep` are generators: whoever runs them may stop after any of their events and keep
what the last one held.
"""

import gc
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch

from tokenlearner.efficiency.comparison import Comparison, Entry
from tokenlearner.efficiency.conditions import Conditions, read_clocks
from tokenlearner.efficiency.execution import (
    EAGER,
    Execution,
    out_of_memory_as_measurement_error,
    prepare,
)
from tokenlearner.efficiency.memory import (
    activation_bytes,
    free_bytes,
    in_words,
    watch_memory,
    weight_bytes,
)
from tokenlearner.efficiency.model_flops import count_model
from tokenlearner.efficiency.rounds import Clock, Others, Plan, Run, run_rounds
from tokenlearner.errors import ConfigError, MeasurementError, is_out_of_memory
from tokenlearner.modules.shapes import Tensor

POWERS = tuple(2**exponent for exponent in range(10))
"""Batch sizes of a sweep: 1, 2, 4 ... 512."""

_USABLE_RATIO = 0.8


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model and a way to run it.

    Attributes:
        name: For tables and files.
        model: Is copied, and left as it is.
        execution: How it runs.
    """

    name: str
    model: Any
    execution: Execution = EAGER


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """What there is so far.

    Attributes:
        activity: What was just done, in a few words.
        done_ratio: How much of the planned time or rounds is over.
        comparison: Everything measured until now; without rounds before the first is over.
    """

    activity: str
    done_ratio: float
    comparison: Comparison


@dataclass(frozen=True, kw_only=True, slots=True)
class Stopped:
    """A sweep that ended early.

    Attributes:
        batch_size: The first that did not fit.
        reason: Why, for people.
    """

    batch_size: int
    reason: str


def input_shape(
    model: Any,
    batch_size: int = 1,
    *,
    image_size: tuple[int, int] | None = None,
    num_frames: int | None = None,
) -> tuple[int, ...]:
    """Returns the shape of a batch that a model is made for, of images or of clips.

    Args:
        model: A model of this library.
        batch_size: Images or clips.
        image_size: Height and width in pixels; by default the model's own.
        num_frames: Frames per clip; by default the model's own.
    """
    frames = num_frames or getattr(model.config, "num_frames", None)
    time_axis = () if frames is None else (frames,)
    return (batch_size, 3, *time_axis, *(image_size or model.config.image_size))


def compare(
    candidates: Sequence[Candidate],
    *,
    batch_size: int,
    device: torch.device | str,
    plan: Plan | None = None,
    clock: Clock = time.perf_counter,
    others: Others | None = None,
) -> Generator[Progress, None, None]:
    """Measures candidates in interleaved rounds.

    Args:
        candidates: The first is what the others are compared with.
        batch_size: Images or clips in a pass.
        device: Where to compute.
        plan: How long; by default 30 seconds at most, and on a GPU 20 passes to warm up.
        clock: Tells seconds.
        others: Tells what other processes computed; by default `others_cpu_seconds`.

    Yields:
        After each candidate's preparation, each pass of its warm-up, and each round.

    Raises:
        ConfigError: If the device cannot run a candidate that way, or a batch would be empty.
        MeasurementError: If memory runs out, or a model cannot be compiled.
    """
    if batch_size < 1:
        raise ConfigError(f"batch_size is {batch_size}; it must be at least 1")
    device = torch.device(device)
    plan = plan or Plan(warmup_passes=warmup_passes(device))
    for candidate in candidates:
        candidate.execution.check(device)
    comparison = Comparison(
        entries=tuple(_describe(candidate, batch_size, device) for candidate in candidates),
        batch_size=batch_size,
        rounds=(),
        conditions=Conditions.here(device),
    )
    with out_of_memory_as_measurement_error(batch_size):
        yield from _measure(comparison, candidates, plan, device, clock, others)


def sweep(
    candidates: Sequence[Candidate],
    *,
    device: torch.device | str,
    batch_sizes: Sequence[int] = POWERS,
    plan: Plan | None = None,
    clock: Clock = time.perf_counter,
    others: Others | None = None,
) -> Generator[Progress | Stopped, None, None]:
    """Compares at growing batch sizes until memory is used up.

    Where the device would rather swap than refuse, as a CPU does, a batch that is likely to need
    more than four fifths of the free memory is not tried.

    Args:
        candidates: As for `compare`, like the rest.
        device: Where to compute.
        batch_sizes: In growing order.
        plan: For each batch size.
        clock: Tells seconds.
        others: Tells what other processes computed.

    Yields:
        What `compare` yields for each batch size in turn, then `Stopped` if one did not fit.
    """
    device = torch.device(device)
    for batch_size in batch_sizes:
        needed, free = needed_bytes(candidates, batch_size, device), free_bytes(device)
        if free is not None and needed > _USABLE_RATIO * free:
            reason = f"it would take about {in_words(needed)}, and {in_words(free)} are free"
            yield Stopped(batch_size=batch_size, reason=reason)
            return
        try:
            yield from compare(
                candidates,
                batch_size=batch_size,
                device=device,
                plan=plan,
                clock=clock,
                others=others,
            )
        except MeasurementError as error:
            if error.__cause__ is None or not is_out_of_memory(error.__cause__):
                raise
            yield Stopped(batch_size=batch_size, reason="out of memory")
            return
        finally:
            _release(device)


def needed_bytes(candidates: Sequence[Candidate], batch_size: int, device: torch.device) -> int:
    """Returns about what it takes to measure: every candidate's weights, and the largest pass."""
    weights, activations = 0, 0
    for candidate in candidates:
        model, execution = candidate.model, candidate.execution
        weights += weight_bytes(model, execution.torch_dtype)
        shape = input_shape(model, batch_size)
        needed = activation_bytes(model, shape, execution.activation_dtype, device)
        activations = max(activations, needed)
    return weights + activations


def _describe(candidate: Candidate, batch_size: int, device: torch.device) -> Entry:
    model, dtype = candidate.model, candidate.execution.activation_dtype
    shape = input_shape(model, batch_size)
    return Entry(
        name=candidate.name,
        execution=candidate.execution,
        macs=count_model(model).macs,
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        activation_bytes=activation_bytes(model, shape, dtype, device),
    )


def _measure(
    comparison: Comparison,
    candidates: Sequence[Candidate],
    plan: Plan,
    device: torch.device,
    clock: Clock,
    others: Others | None,
) -> Iterator[Progress]:
    runs: list[Run] = []
    for index, candidate in enumerate(candidates):
        shape = input_shape(candidate.model, comparison.batch_size)
        images = torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(device)
        run, peak = _prepare(candidate, images)
        entries = list(comparison.entries)
        entries[index] = replace(entries[index], peak_bytes=peak)
        comparison = replace(comparison, entries=tuple(entries))
        runs.append(run)
        yield Progress(activity=f"prepared {candidate.name}", done_ratio=0.0, comparison=comparison)
    started = clock()
    num_warm = 0
    rounds = run_rounds(runs, plan, synchronize=synchronizer(device), clock=clock, others=others)
    for done in rounds:
        if done is None:
            activity, ratio = f"warming up {candidates[num_warm // plan.warmup_passes].name}", 0.0
            num_warm += 1
            if num_warm % plan.warmup_passes == 0:  # as fast as it will run
                conditions = replace(comparison.conditions, clocks=read_clocks(device))
                comparison = replace(comparison, conditions=conditions)
            started = clock()
        else:
            comparison = comparison.with_rounds(done)
            clean = sum(not r.disturbed for r in comparison.rounds)
            ratio = max(clean / plan.rounds, (clock() - started) / plan.seconds)
            activity = f"round {len(comparison.rounds)}"
        yield Progress(activity=activity, done_ratio=min(1.0, ratio), comparison=comparison)


def _prepare(candidate: Candidate, images: Tensor) -> tuple[Run, int | None]:
    """Returns what makes a pass, and what its weights and a first pass take at most."""
    mode = candidate.execution.mode
    make = partial(prepare, candidate.model, images, candidate.execution)
    # What the compiler itself allocates is too much to record, and a graph's passes allocate
    # nothing: they use what its recording has given back.
    if mode == "graphs" or (mode == "compile" and images.device.type == "cpu"):
        return make(), None
    run, made = watch_memory(make, images.device)
    _, taken = watch_memory(run, images.device)
    if made is None or taken is None:
        return run, None
    return run, made.kept_bytes + taken.peak_bytes


def warmup_passes(device: torch.device) -> int:
    """Returns how many passes it takes until a device runs at the speed that it keeps."""
    return 3 if device.type == "cpu" else 20


def synchronizer(device: torch.device) -> Callable[[], None] | None:
    """Returns what waits for a device; None for a CPU, whose calls return when they are done."""
    if device.type == "cuda":
        return partial(torch.cuda.synchronize, device)
    return torch.mps.synchronize if device.type == "mps" else None


def _release(device: torch.device) -> None:
    """Gives the memory of copies, graphs and compiled code back before the next batch size."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
