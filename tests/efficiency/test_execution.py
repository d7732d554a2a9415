"""Ways to run a model: the answers stay those of the model, the model stays as it is."""

import contextlib
import gc
import weakref
from functools import partial
from unittest.mock import Mock

import pytest
import torch

from tests import tiny
from tokenlearner.efficiency.execution import (
    Dtype,
    Execution,
    _recorded,
    multiplying,
    prepare,
)
from tokenlearner.errors import ConfigError, MeasurementError


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
    seen = []
    execution = Execution(channels_last=True)
    prepare(tiny.model(), images, execution, lambda model: seen.append)()
    assert seen[0].is_contiguous(memory_format=torch.channels_last)


def test_transform_gets_a_copy(images: torch.Tensor) -> None:
    model = tiny.model()
    given = []

    def twice(copy: torch.nn.Module) -> object:
        given.append(copy)
        return lambda x: 2 * copy(x)

    result = prepare(model, images, Execution(), twice)()  # pyright: ignore[reportArgumentType]
    assert given[0] is not model
    with torch.inference_mode():
        torch.testing.assert_close(result, 2 * model(images))


def test_a_compiler_that_fails(images: torch.Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    def compiled(*_: object, **__: object) -> object:
        def fail(images: torch.Tensor) -> None:
            raise RuntimeError("InvalidCxxCompiler: No working C++ compiler found\nmore\nlines")

        return fail

    monkeypatch.setattr(torch, "compile", compiled)
    message = "torch.compile failed: InvalidCxxCompiler: No .* found; measure without it, or inst"
    with pytest.raises(MeasurementError, match=message):
        prepare(tiny.model(), images, Execution(mode="compile"))


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


def test_tf32_for_a_while() -> None:
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32
    with multiplying("tf32"):
        assert (matmul.allow_tf32, cudnn.allow_tf32) == (True, True)
        with multiplying("fp32"):
            assert (matmul.allow_tf32, cudnn.allow_tf32) == (False, False)
        assert (matmul.allow_tf32, cudnn.allow_tf32) == (True, True)
    assert (matmul.allow_tf32, cudnn.allow_tf32) == before


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
