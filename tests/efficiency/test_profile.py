"""Stages of real, tiny models, timed by a clock that ticks once for each look at it."""

import itertools
import json
from dataclasses import replace
from typing import Any

import pytest
import timm
import torch

from tests import tiny
from tokenlearner.efficiency import count_model
from tokenlearner.efficiency.execution import Dtype
from tokenlearner.efficiency.limits import Limits, measure_limits
from tokenlearner.efficiency.profile import Profile, parts, profile
from tokenlearner.errors import MeasurementError
from tokenlearner.models import VisionTransformer, insert_token_learner

CPU = torch.device("cpu")
LIMITS = Limits(macs_per_second=1e11, bytes_per_second=2e10, seconds_per_call=1e-3)


def ticking() -> float:
    return float(next(_TICKS))


_TICKS = itertools.count()


def measure(**models: torch.nn.Module) -> tuple[Profile, ...]:
    return profile(
        models,
        batch_size=2,
        device=CPU,
        passes=3,
        limits=LIMITS,
        clock=ticking,
        others=lambda: None,
    )


@pytest.mark.parametrize("num_classes", [3, 0])
def test_stages_are_those_of_the_counts(num_classes: int) -> None:
    model = VisionTransformer(replace(tiny.config(), num_classes=num_classes)).eval()
    (found,) = measure(tiny=model)
    wanted = count_model(model).stages
    assert [(s.name, s.kind, s.tokens) for s in found.stages] == [
        (s.name, s.kind, s.tokens) for s in wanted
    ]
    assert [s.macs for s in found.stages] == [2 * s.macs for s in wanted]


def test_parts_and_the_rest_make_the_whole() -> None:
    """A part is three looks at the clock: begin, last call returned, end. The rest lies between."""
    (found,) = measure(tiny=tiny.model())
    *timed, head = found.stages
    assert [stage.seconds for stage in timed] == [2.0] * len(timed)
    assert head.seconds == 3 * len(timed) + 1 - 2 * len(timed)


def test_what_is_moved() -> None:
    """Weights once, what comes in and what goes out, in bytes; maps of the learner go out too."""
    model = tiny.model()
    (found,) = measure(tiny=model)
    block = next(stage for stage in found.stages if stage.name == "block 1")
    weights = sum(p.numel() for p in model.encoder.blocks[1].parameters())
    assert block.traffic_bytes == 4 * (weights + 2 * (2 * 2 * 8))
    learner = next(stage for stage in found.stages if stage.kind == "learner")
    weights = sum(p.numel() for p in model.encoder.learners["1"].parameters())
    assert learner.traffic_bytes == 4 * (weights + 2 * (16 * 8 + 2 * 8 + 2 * 16))


def test_calls_have_a_price() -> None:
    (found,) = measure(tiny=tiny.model())
    block = next(stage for stage in found.stages if stage.name == "block 0")
    assert 8 <= round(block.launch_seconds / LIMITS.seconds_per_call) <= 24


def test_models_run_in_turns_and_stay_as_they_are() -> None:
    base, fast = tiny.model(learner=False), tiny.model()
    found = measure(base=base, fast=fast)
    assert [one.name for one in found] == ["base", "fast"]
    for model in (base, fast):
        assert not any(module._forward_hooks for module in model.modules())
        assert not any(module._forward_pre_hooks for module in model.modules())


def test_disturbed_passes_are_left_out() -> None:
    """The second and third pass take a hundred times as long, and others are to blame.

    Three parts are nine looks at the clock, a whole pass is four more; two passes are warm-up.
    """
    now = itertools.accumulate([1.0] * (2 * 9 + 13) + [100.0] * (2 * 13))
    readings = iter([0.0, 0.0, 0.0, 1e6, 1e6, 2e6])
    model = tiny.model(learner=False)
    (found,) = profile(
        {"base": model},
        batch_size=2,
        device=CPU,
        passes=3,
        limits=LIMITS,
        clock=now.__next__,
        others=readings.__next__,
    )
    assert found.seconds == 10


@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
def test_optimised_models(dtype: Dtype) -> None:
    """The same stages; weights move in the format of the products, answers' as well."""
    model: Any = tiny.model()
    (found,) = profile(
        {"fast": model}, batch_size=2, device=CPU, dtype=dtype, optimised=True, passes=2
    )
    assert [s.name for s in found.stages] == [s.name for s in count_model(model).stages]
    assert all(stage.seconds > 0 for stage in found.stages)
    (plain,) = measure(tiny=model)
    moved = [one.stages[1].traffic_bytes for one in (found, plain)]
    assert moved[0] == moved[1] if dtype == "fp32" else moved[0] < moved[1]
    assert type(model.encoder.blocks[0].mlp.fc1) is torch.nn.Linear


def test_models_of_timm() -> None:
    model = insert_token_learner(timm.create_model("test_vit"), num_tokens=4, at=3, fuser=True)
    assert list(parts(model)) == [
        "embedding",
        *(f"block {index}" for index in range(6)),
        *(f"learner {index}" for index in (3, 4, 5)),
        *(f"fuser {index}" for index in (3, 4, 5)),
    ]
    (found,) = measure(timms=model)
    assert [s.name for s in found.stages] == [s.name for s in count_model(model).stages]


def test_stages_of_a_convolutional_network_cannot_be_told_apart() -> None:
    with pytest.raises(MeasurementError, match="so its stages cannot be timed"):
        measure(conv=tiny.conv_model())


def test_lack_of_memory_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny.model()

    def full(*_: Any, **__: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1 GiB.")

    monkeypatch.setattr(model.encoder, "forward", full)
    with pytest.raises(MeasurementError, match="out of memory at batch size 2"):
        measure(tiny=model)


def test_json_round_trip() -> None:
    (found,) = measure(tiny=tiny.model())
    assert Profile.from_dict(json.loads(json.dumps(found.to_dict()))) == found


def test_limits_of_a_slow_format_come_from_a_smaller_product(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By a clock to which every product takes a second, the smallest is the largest to wait for."""
    monkeypatch.setattr("tokenlearner.efficiency.limits._MATRIX", {"cpu": 64})
    monkeypatch.setattr("tokenlearner.efficiency.limits._SMALLEST_MATRIX", 8)
    assert measure_limits(CPU, clock=ticking).macs_per_second == 8**3
    monkeypatch.setattr("tokenlearner.efficiency.limits._PATIENCE_S", 4**3)
    assert measure_limits(CPU, clock=ticking).macs_per_second == 32**3


def test_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tokenlearner.efficiency.limits._MATRIX", {"cpu": 4})
    monkeypatch.setattr("tokenlearner.efficiency.limits._COPY_BYTES", {"cpu": 100})
    found = measure_limits(CPU, clock=ticking)
    assert (found.macs_per_second, found.bytes_per_second) == (64, 200)
    assert found.seconds_per_call == pytest.approx(1 / 200)
