"""The switches of PyTorch's that NVIDIA GPUs multiply by; they are there without one as well."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from tokenlearner.modules.precision import float32_precision

CUDA = torch.device("cuda")
matmul: Any = torch.backends.cuda.matmul
cudnn: Any = torch.backends.cudnn


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    before = torch.get_float32_matmul_precision(), cudnn.allow_tf32
    yield
    torch.set_float32_matmul_precision(before[0])
    matmul.allow_tf32, cudnn.allow_tf32 = before[0] != "highest", before[1]


@pytest.mark.parametrize("precision", ["highest", "high"])
def test_for_a_while(precision: str) -> None:
    torch.set_float32_matmul_precision(precision)
    before = matmul.allow_tf32, cudnn.allow_tf32
    with float32_precision(CUDA, tf32=True):
        assert (matmul.allow_tf32, cudnn.allow_tf32) == (True, True)
        assert torch.get_float32_matmul_precision() == "high"
        with float32_precision(CUDA):
            assert (matmul.allow_tf32, cudnn.allow_tf32) == (False, False)
            assert torch.get_float32_matmul_precision() == "highest"
        assert (matmul.allow_tf32, cudnn.allow_tf32) == (True, True)
    assert (matmul.allow_tf32, cudnn.allow_tf32) == before
    assert torch.get_float32_matmul_precision() == precision


@pytest.mark.skipif(not hasattr(matmul, "fp32_precision"), reason="PyTorch before 2.9")
def test_beside_the_newer_switches() -> None:
    matmul.fp32_precision = "tf32"
    with float32_precision(CUDA):
        assert (matmul.fp32_precision, cudnn.conv.fp32_precision) == ("ieee", "ieee")
    assert (matmul.fp32_precision, cudnn.conv.fp32_precision) == ("tf32", "tf32")


def test_what_an_error_leaves() -> None:
    with pytest.raises(ValueError, match="stop"), float32_precision(CUDA, tf32=True):
        raise ValueError("stop")
    assert torch.get_float32_matmul_precision() == "highest"


def test_threads_take_turns() -> None:
    """Or the one that leaves first would change the other's format, and leave its own behind."""
    inside, seen = threading.Event(), list[str]()

    def other() -> None:
        inside.wait()
        with float32_precision(CUDA):
            seen.append(torch.get_float32_matmul_precision())

    thread = threading.Thread(target=other)
    thread.start()
    with float32_precision(CUDA, tf32=True):
        inside.set()
        thread.join(timeout=0.2)
        assert (seen, torch.get_float32_matmul_precision()) == ([], "high")
    thread.join()
    assert (seen, torch.get_float32_matmul_precision()) == (["highest"], "highest")


def test_other_devices_are_left_alone() -> None:
    with float32_precision(torch.device("cpu"), tf32=True):
        assert not matmul.allow_tf32
