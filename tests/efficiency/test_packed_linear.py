"""oneDNN's layers give PyTorch's numbers, and where oneDNN cannot be used PyTorch does."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from tokenlearner.efficiency import packed_linear
from tokenlearner.efficiency.machine import has_bfloat16
from tokenlearner.efficiency.packed_linear import PackedLinear, PackedPatches, can_pack

needs_onednn = pytest.mark.skipif(not can_pack(torch.float32), reason="no oneDNN for this CPU")
# In bfloat16 twice the rounding of the inputs, which is 2^-9 for each.
TOLERANCES = {torch.float32: 2e-6, torch.bfloat16: 8e-3}
every_dtype = pytest.mark.parametrize("dtype", TOLERANCES, ids=str)
every_activation = pytest.mark.parametrize(
    "activation", [None, nn.GELU(), nn.GELU(approximate="tanh")], ids=str
)


def relative_error(found: torch.Tensor, wanted: torch.Tensor) -> float:
    return float((found.float() - wanted).norm() / wanted.norm())


class Operators(TorchDispatchMode):
    """Names of all operators that run."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.names.append(func.overloadpacket._qualified_op_name)
        return func(*args, **(kwargs or {}))


@pytest.mark.skipif(not has_bfloat16(torch.device("cpu")), reason="no bfloat16 in this CPU")
@every_dtype
def test_processors_that_are_sure_to_can(dtype: torch.dtype) -> None:
    """Where PyTorch's operators change, the other tests find nothing packed, as they expect."""
    assert can_pack(dtype)


@needs_onednn
def test_autocast_around_the_first_question_does_not_change_the_answer() -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert can_pack.__wrapped__(torch.float32)


@pytest.fixture
def _without_onednn(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def changed(*_: Any) -> torch.Tensor:
        raise AttributeError("there is no such operator in this release")

    monkeypatch.setattr(packed_linear, "multiply", changed)
    can_pack.cache_clear()
    yield
    can_pack.cache_clear()


def check_layer(activation: nn.GELU | None, dtype: torch.dtype, *, bias: bool) -> PackedLinear:
    linear = nn.Linear(96, 160, bias=bias).requires_grad_(False)
    layer = PackedLinear(linear.weight, linear.bias, activation, dtype=dtype)
    # Also an empty batch, no batch at all, and tokens whose channels lie in strides.
    for x in (
        torch.randn(3, 7, 96),
        torch.randn(0, 7, 96),
        torch.randn(96),
        torch.randn(2, 96, 5).transpose(1, 2),
    ):
        wanted = linear(x) if activation is None else activation(linear(x))
        found = layer(x)
        assert found.dtype == dtype
        assert found.shape == wanted.shape
        assert not wanted.numel() or relative_error(found, wanted) < TOLERANCES[dtype]
    return layer


@every_dtype
@every_activation
@pytest.mark.parametrize("bias", [True, False])
def test_layer_gives_the_plain_numbers(
    activation: nn.GELU | None, dtype: torch.dtype, bias: bool
) -> None:
    assert check_layer(activation, dtype, bias=bias).packed == can_pack(dtype)


@pytest.mark.usefixtures("_without_onednn")
@every_dtype
@every_activation
def test_layer_without_onednn_gives_them_too(
    activation: nn.GELU | None, dtype: torch.dtype
) -> None:
    assert not check_layer(activation, dtype, bias=True).packed


@needs_onednn
def test_onednn_computes_layer_and_activation_in_one_operator() -> None:
    linear = nn.Linear(96, 160).requires_grad_(False)
    layer = PackedLinear(linear.weight, linear.bias, nn.GELU(), dtype=torch.float32)
    x = torch.randn(3, 7, 96)
    with Operators() as operators:
        layer(x)
    assert operators.names == ["mkldnn::_linear_pointwise"]


@needs_onednn
def test_small_layer_is_left_to_pytorch() -> None:
    layer = PackedLinear(torch.randn(8, 64), torch.randn(8), dtype=torch.float32)
    assert not layer.packed


@needs_onednn
def test_operators_that_compute_something_else_are_not_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    original = packed_linear.multiply
    monkeypatch.setattr(packed_linear, "multiply", lambda *a: 1.001 * original(*a))
    can_pack.cache_clear()
    assert not can_pack(torch.float32)
    can_pack.cache_clear()


def test_layer_keeps_its_own_weights() -> None:
    linear = nn.Linear(96, 160).requires_grad_(False)
    layer = PackedLinear(linear.weight, linear.bias, dtype=torch.float32)
    x = torch.randn(3, 96)
    before = layer(x)
    linear.weight.zero_()
    linear.bias.zero_()
    assert torch.equal(layer(x), before)


def test_patches_give_the_numbers_of_their_convolution() -> None:
    conv = nn.Conv2d(3, 64, kernel_size=(8, 4), stride=(8, 4)).requires_grad_(False)
    assert PackedPatches.can_replace(conv)
    images = torch.randn(2, 3, 35, 22)  # incomplete patches below and on the right
    found = PackedPatches(conv)(images)
    assert found.shape == (2, 64, 4, 5)
    assert relative_error(found, conv(images)) < TOLERANCES[torch.float32]


def test_patches_of_clips() -> None:
    conv = nn.Conv3d(3, 64, kernel_size=(2, 8, 4), stride=(2, 8, 4)).requires_grad_(False)
    assert PackedPatches.can_replace(conv)
    clips = torch.randn(2, 3, 5, 17, 12)
    found = PackedPatches(conv)(clips)
    assert found.shape == (2, 64, 2, 2, 3)
    assert relative_error(found, conv(clips)) < TOLERANCES[torch.float32]


@pytest.mark.parametrize(
    "changes", [{"stride": 2}, {"padding": 1}, {"dilation": 2}, {"groups": 4}], ids=str
)
def test_other_convolutions_are_no_patches(changes: dict[str, int]) -> None:
    arguments: dict[str, Any] = {"kernel_size": 4, "stride": 4, **changes}
    assert not PackedPatches.can_replace(nn.Conv2d(4, 8, **arguments))


def test_plain_function_is_the_measure() -> None:
    """What the self-test compares with is a linear layer, not something of ours."""
    x, weight, bias = torch.randn(3, 96), torch.randn(160, 96), torch.randn(160)
    layer = PackedLinear(weight, bias, dtype=torch.float32)
    torch.testing.assert_close(layer(x), F.linear(x, weight, bias), rtol=1e-4, atol=1e-4)
