"""Where the time of a pass goes: every stage of a model timed within whole passes.

The stages are those of the counts (`embedding`, `block 0`, `learner 6`, ...). A private copy of the
model runs, eagerly, with a stopwatch before and after each part; the model itself is not touched.
What lies between the parts (position embedding, last norm, pooling, head) is one stage, the `head`.
"""

import copy
import statistics
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from tokenlearner.efficiency.execution import Dtype, Execution, out_of_memory_as_measurement_error
from tokenlearner.efficiency.fast_parts import replace_parts
from tokenlearner.efficiency.flops import Cost
from tokenlearner.efficiency.limits import Limits, measure_limits
from tokenlearner.efficiency.memory import weight_bytes
from tokenlearner.efficiency.model_flops import count_model
from tokenlearner.efficiency.rounds import Clock, Others, is_disturbed, others_cpu_seconds
from tokenlearner.efficiency.throughput import input_shape, synchronizer
from tokenlearner.errors import MeasurementError
from tokenlearner.models.conv_video import ConvVideoNetwork
from tokenlearner.models.timm_vit import TimmVisionTransformer
from tokenlearner.modules.precision import float32_precision

_WHOLE = "whole"


@dataclass(frozen=True, kw_only=True, slots=True)
class StageTime:
    """One stage of a pass over a batch.

    Attributes:
        name: As the counts call it.
        kind: `embedding`, `block`, `learner`, `fuser` or `head`.
        tokens: That come out, for one image or clip.
        seconds: Median over the passes.
        macs: Multiply-accumulates for the batch.
        traffic_bytes: What has to be read and written at least: weights once, what comes in once
            and what goes out once.
        launch_seconds: What calling takes apart from computing: on a GPU the time until the last
            call returned, on a CPU the number of calls times what a call takes on next to nothing.
    """

    name: str
    kind: str
    tokens: int
    seconds: float
    macs: int
    traffic_bytes: int
    launch_seconds: float

    @property
    def macs_per_second(self) -> float:
        """Speed that is reached."""
        return self.macs / self.seconds


@dataclass(frozen=True, kw_only=True, slots=True)
class Profile:
    """Where the time of a pass goes.

    Attributes:
        name: Name of the model.
        batch_size: Images or clips in a pass.
        dtype: Number format.
        stages: In order of computation.
        limits: What the device can do at best.
    """

    name: str
    batch_size: int
    dtype: Dtype
    stages: tuple[StageTime, ...]
    limits: Limits

    @property
    def seconds(self) -> float:
        """Time of a whole pass."""
        return sum(stage.seconds for stage in self.stages)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of a whole pass."""
        return sum(stage.macs for stage in self.stages)

    def to_dict(self) -> dict[str, Any]:
        """Returns JSON-able data."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "Profile":
        """Builds a profile from what `to_dict` returned."""
        stages = tuple(StageTime(**stage) for stage in data["stages"])
        fields: dict[str, Any] = data | {"stages": stages, "limits": Limits(**data["limits"])}
        return cls(**fields)


def profile(
    models: Mapping[str, Any],
    *,
    batch_size: int,
    device: torch.device | str,
    dtype: Dtype = "fp32",
    optimised: bool = False,
    passes: int = 10,
    limits: Limits | None = None,
    clock: Clock = time.perf_counter,
    others: Others = others_cpu_seconds,
) -> tuple[Profile, ...]:
    """Times the stages of models, in turns, so that drift harms all of them alike.

    Args:
        models: By names for people; they are copied.
        batch_size: Images or clips in a pass.
        device: Where to compute.
        dtype: Number format of weights and activations.
        optimised: Whether the copies get the fast parts of `optimise`, which in bf16 and fp16
            leaves some parts in fp32.
        passes: Timed passes of each model, after two that are not timed.
        limits: Limits of this device in this format, if they were measured before.
        clock: Tells seconds.
        others: Tells what other processes computed; passes that they disturbed are left out.

    Returns:
        A profile for each model.

    Raises:
        ConfigError: If the device cannot compute in that format.
        MeasurementError: If a model's stages cannot be told apart (see `parts`), or memory runs
            out.
    """
    device = torch.device(device)
    execution = Execution(dtype=dtype)
    execution.check(device)
    wait = synchronizer(device)
    with (
        out_of_memory_as_measurement_error(batch_size),
        float32_precision(device, tf32=dtype == "tf32"),
    ):
        limits = limits or measure_limits(
            device, execution.torch_dtype, synchronize=wait, clock=clock
        )
        watched = [
            _Watched(
                model, batch_size, device, execution.torch_dtype, optimised=optimised, clock=clock
            )
            for model in models.values()
        ]
        with torch.inference_mode():
            for one in watched:
                one.warm_up()
            for _ in range(passes):
                for one in watched:
                    before, started = others(), clock()
                    one.run()
                    one.disturbed.append(
                        is_disturbed(before, others(), clock() - started, on_cpu=wait is None)
                    )
    return tuple(
        Profile(
            name=name,
            batch_size=batch_size,
            dtype=dtype,
            stages=_stages(count_model(model), one, limits, batch_size),
            limits=limits,
        )
        for (name, model), one in zip(models.items(), watched, strict=True)
    )


def parts(model: Any) -> dict[str, nn.Module]:
    """Returns the parts of a model by the names of their stages; what is left is the `head`.

    Raises:
        MeasurementError: If the model is a convolutional network.
    """
    if isinstance(model, ConvVideoNetwork):
        raise MeasurementError(
            "the learners of a convolutional network are inside its blocks, so its stages cannot "
            "be timed one by one; compare whole passes"
        )
    if isinstance(model, TimmVisionTransformer):
        embedding, blocks, holder = model.backbone.patch_embed, model.backbone.blocks, model
    else:
        embedding, blocks, holder = model.embedding, model.encoder.blocks, model.encoder
    found: dict[str, nn.Module] = {"embedding": embedding}
    found |= {f"block {index}": block for index, block in enumerate(blocks)}
    found |= {f"learner {name}": learner for name, learner in holder.learners.items()}
    return found | {f"fuser {name}": fuser for name, fuser in holder.fusers.items()}


class _Watched:
    """A private copy of a model with a stopwatch, and what goes through it."""

    def __init__(
        self,
        model: Any,
        batch_size: int,
        device: torch.device,
        dtype: torch.dtype,
        *,
        optimised: bool,
        clock: Clock,
    ) -> None:
        outer = torch.float32 if optimised else dtype
        self.private = copy.deepcopy(model).to(device, outer).eval()
        if optimised:
            replace_parts(self.private.requires_grad_(False), dtype=dtype)
        shape = input_shape(model, batch_size)
        images = torch.randn(shape, generator=torch.Generator().manual_seed(0))
        self.images = images.to(device, outer)
        weights = {name: weight_bytes(part, dtype) for name, part in parts(model).items()}
        self.stopwatch = _Stopwatch(parts(self.private), weights, synchronizer(device), clock)
        self.disturbed: list[bool] = []

    def warm_up(self) -> None:
        """Counts calls in a first pass, and forgets what it and a second one took."""
        with _Calls(self.stopwatch):
            self.private(self.images)
        self.private(self.images)
        self.stopwatch.forget()

    def run(self) -> None:
        """Times a pass."""
        with self.stopwatch.running(_WHOLE):
            self.private(self.images)

    def median(self, times: Sequence[float]) -> float:
        """Returns the middle one of what undisturbed passes took; of all if none was."""
        quiet = [t for t, disturbed in zip(times, self.disturbed, strict=True) if not disturbed]
        return statistics.median(quiet or times)


class _Stopwatch:
    """Notes when parts of a private copy begin and end, what goes through them and how often."""

    def __init__(
        self,
        modules: dict[str, nn.Module],
        weights: dict[str, int],
        wait: Callable[[], None] | None,
        clock: Clock,
    ) -> None:
        self.weights, self.wait, self.clock = weights, wait, clock
        self.seconds: dict[str, list[float]] = defaultdict(list)
        self.traffic_bytes: dict[str, int] = {}
        self.calls: dict[str, int] = Counter()
        self.launches: dict[str, list[float]] = defaultdict(list)
        self.current, self._started = "head", 0.0
        for name, module in modules.items():
            module.register_forward_pre_hook(partial(self._enter, name))
            module.register_forward_hook(partial(self._leave, name), with_kwargs=True)

    def forget(self) -> None:
        """Starts anew, after a warm-up."""
        self.seconds.clear()
        self.launches.clear()

    @contextmanager
    def running(self, name: str) -> Iterator[None]:
        """Times what happens meanwhile."""
        started = self._now()
        yield
        self.seconds[name].append(self._now() - started)

    def _enter(self, name: str, *_: Any) -> None:
        self.current, self._started = name, self._now()

    def _leave(
        self, name: str, _: nn.Module, args: Any, kwargs: dict[str, Any], result: Any
    ) -> None:
        self.launches[name].append(self.clock() - self._started)
        self.seconds[name].append(self._now() - self._started)
        self.current = "head"
        moved = (*args, *kwargs.values(), *(result if isinstance(result, tuple) else (result,)))
        tensors = (x for x in moved if isinstance(x, torch.Tensor))
        self.traffic_bytes[name] = self.weights[name] + sum(x.nbytes for x in tensors)

    def _now(self) -> float:
        if self.wait is not None:
            self.wait()
        return self.clock()


class _Calls(TorchDispatchMode):
    """Counts the operations that compute something, for each part."""

    def __init__(self, stopwatch: _Stopwatch) -> None:
        super().__init__()
        self.stopwatch = stopwatch

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        aliases = [argument.alias_info for argument in func._schema.arguments]
        if all(alias is None or alias.is_write for alias in aliases):  # not a mere view
            self.stopwatch.calls[self.stopwatch.current] += 1
        return func(*args, **(kwargs or {}))


def _stages(
    cost: Cost, watched: _Watched, limits: Limits, batch_size: int
) -> tuple[StageTime, ...]:
    stopwatch = watched.stopwatch
    whole = stopwatch.seconds[_WHOLE]
    of_parts = [times for name, times in stopwatch.seconds.items() if name != _WHOLE]
    sums = map(sum, zip(*of_parts, strict=True))
    seconds = stopwatch.seconds | {"head": [w - p for w, p in zip(whole, sums, strict=True)]}

    def launches(name: str) -> float:
        if stopwatch.wait is None:
            return stopwatch.calls[name] * limits.seconds_per_call
        return watched.median(stopwatch.launches[name]) if name in stopwatch.launches else 0.0

    return tuple(
        StageTime(
            name=stage.name,
            kind=stage.kind,
            tokens=stage.tokens,
            seconds=watched.median(seconds[stage.name]),
            macs=batch_size * stage.macs,
            traffic_bytes=stopwatch.traffic_bytes.get(stage.name, 0),
            launch_seconds=launches(stage.name),
        )
        for stage in cost.stages
    )
