"""Ways to run a model: the answers stay those of the model, the model stays as it is."""

import contextlib
import gc
import weakref
from functools import partial
from typing import Any
from unittest.mock import Mock

import pytest
import torch

from tests import tiny
from tokenlearner.efficiency.execution import (
    Dtype,
    Execution,
    _recorded,
    prepare,
)
from tokenlearner.errors import ConfigError, MeasurementError, ShapeError


@pytest.fixture
def images() -> torch.Tensor:
    return torch.randn(2, 3, 16, 16)


@pytest.mark.parametrize(("dtype", "tolerance"), [("fp32", 1e-6), ("bf16", 5e-2), ("fp16", 1e-2)])
@pytest.mark.parametrize("channels_last", [False, True])
def test_answers_agree(
    images: torch.Tensor, dtype: Dtype, tolerance: float, channels_last: bool
) -> None:
    model = tiny.model()
    execution = Execution(dtype=dtype, channels_last=channels_last)
    with torch.inference_mode():
        wanted = model(images)
    found = prepare(model, images, execution)()
    assert found.dtype == execution.torch_dtype
    assert (found.float() - wanted).norm() / wanted.norm() < tolerance
    assert next(model.parameters()).dtype == torch.float32


@pytest.mark.parametrize(("dtype", "tolerance"), [("fp32", 1e-5), ("bf16", 2e-2)])
def test_optimised_answers_agree(images: torch.Tensor, dtype: Dtype, tolerance: float) -> None:
    model = tiny.model()
    found = prepare(model, images, Execution(dtype=dtype, mode="optimised"))()
    with torch.inference_mode():
        wanted = model(images)
    assert found.dtype == torch.float32
    assert (found - wanted).norm() / wanted.norm() < tolerance


@pytest.mark.slow
def test_compiled_answers_agree(images: torch.Tensor) -> None:
    model = tiny.model()
    found = prepare(model, images, Execution(mode="compile"))()
    with torch.inference_mode():
        torch.testing.assert_close(found, model(images), rtol=1e-5, atol=1e-5)


def test_a_model_that_trains_answers_as_in_use(images: torch.Tensor) -> None:
    model = tiny.model().train()  # with dropout
    run = prepare(model, images, Execution())
    assert torch.equal(run(), run())
    assert model.training


def test_layout(images: torch.Tensor) -> None:
    seen: list[torch.Tensor] = []
    model: Any = tiny.model()
    model.forward = seen.append
    prepare(model, images, Execution(channels_last=True))()
    assert seen[0].is_contiguous(memory_format=torch.channels_last)


def test_a_compiler_that_fails(images: torch.Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    def compiled(*_: object, **__: object) -> object:
        def fail(images: torch.Tensor) -> None:
            raise RuntimeError("InvalidCxxCompiler: No working C++ compiler found\nmore\nlines")

        return fail

    monkeypatch.setattr(torch, "compile", compiled)
    message = "torch.compile failed: InvalidCxxCompiler: No .* found; measure without it, or inst"
    with pytest.raises(MeasurementError, match=message):
        prepare(tiny.model(), images, Execution(mode="compile"))


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (AssertionError(), MeasurementError, "torch.compile failed: AssertionError; measure"),
        (ShapeError("wanted 16 px"), ShapeError, "wanted 16 px"),
    ],
)
def test_what_else_fails_in_the_first_run(
    images: torch.Tensor,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    kind: type[Exception],
    message: str,
) -> None:
    monkeypatch.setattr(torch, "compile", lambda *_, **__: Mock(side_effect=error))
    with pytest.raises(kind, match=message):
        prepare(tiny.model(), images, Execution(mode="compile"))


def test_a_layout_that_clips_do_not_have() -> None:
    with pytest.raises(ConfigError, match="channels-last is a layout of photos; leave it out for"):
        prepare(tiny.clip_model(), torch.randn(1, 3, 4, 16, 16), Execution(channels_last=True))


@pytest.mark.parametrize("dtype", ["tf32", "bf16"])
def test_gpus_that_would_only_pretend(monkeypatch: pytest.MonkeyPatch, dtype: Dtype) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (7, 5))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "Tesla T4")
    with pytest.raises(ConfigError, match=f"Tesla T4 does not compute in {dtype}, which came with"):
        Execution(dtype=dtype).check(torch.device("cuda"))
    Execution(dtype="fp16").check(torch.device("cuda"))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_graph_computes_anew(images: torch.Tensor) -> None:
    model, images = tiny.model(), images.cuda()
    run = prepare(model, images, Execution(mode="graphs"))
    model = model.cuda()
    for _ in range(2):
        images.copy_(torch.randn_like(images))
        with torch.inference_mode():
            torch.testing.assert_close(run(), model(images), rtol=1e-4, atol=1e-4)


@pytest.mark.usefixtures("_as_users_run_it")
def test_a_graph_keeps_what_it_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stands in for CUDA, whose graphs hold addresses alone: the owners must stay."""
    for name in ("device", "graph", "stream"):
        monkeypatch.setattr(torch.cuda, name, lambda *_, **__: contextlib.nullcontext())
    for name in ("Stream", "CUDAGraph", "current_stream"):
        monkeypatch.setattr(torch.cuda, name, Mock())
    weights = torch.ones(1)
    replay = _recorded(partial(torch.add, weights, 1), torch.device("cuda"))
    owner = weakref.ref(weights)
    del weights
    gc.collect()
    assert replay() == 2
    assert owner() is not None
    del replay
    gc.collect()
    assert owner() is None


@pytest.mark.usefixtures("_as_users_run_it")
def test_unknown_words() -> None:
    with pytest.raises(ConfigError, match="dtype is 'int8'; it must be one of fp32, tf32, bf16"):
        Execution(dtype="int8")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ConfigError, match="mode is 'fast'; it must be one of eager, compile, gra"):
        Execution(mode="fast")  # pyright: ignore[reportArgumentType]


def test_what_optimise_refuses_is_refused_beforehand() -> None:
    cpu = torch.device("cpu")
    execution = Execution(dtype="fp16", mode="optimised")
    with pytest.raises(ConfigError, match="on a CPU optimised models compute in fp32 or bf16"):
        execution.check(cpu)
    execution.check(torch.device("cuda"))
    execution.check(torch.device("mps"))
    Execution(dtype="bf16", mode="optimised").check(cpu)


def test_in_words() -> None:
    assert str(Execution(dtype="bf16", mode="compile", channels_last=True)) == (
        "bf16 compile channels-last"
    )
