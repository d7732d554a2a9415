"""What PyTorch computes in a call, as operations of ours."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from tokenlearner.efficiency import layers
from tokenlearner.efficiency.operations import Operation, OperationKind, Operations, repeat

_ELEMENTWISE: dict[str, tuple[OperationKind, ...]] = {
    "add": ("add",),
    "sub": ("add",),
    "mul": ("scale",),
    "div": ("scale",),
    "relu": ("relu",),
    "sigmoid": ("sigmoid",),
    "silu": ("sigmoid", "scale"),
    "tanh": ("tanh",),
}
_REDUCTIONS = ("amax", "max", "mean", "sum")


def record(module: nn.Module, *inputs: Tensor, method: str = "forward") -> Operations:
    """Returns what a module computes; views, copies and what is not in our vocabulary are left out.

    Args:
        module: On the `meta` device, where nothing is computed; nobody else may use it meanwhile.
        inputs: Its arguments.
        method: Which method is called.
    """
    recorder = _Recorder()
    attentions = [part for part in module.modules() if "Attention" in type(part).__name__]
    hooks = [part.register_forward_pre_hook(recorder.enter_attention) for part in attentions]
    hooks += [part.register_forward_hook(recorder.leave_attention) for part in attentions]
    with torch.no_grad(), recorder:
        getattr(module, method)(*inputs)
    for hook in hooks:
        hook.remove()
    return tuple(recorder.operations)


class _Recorder(TorchDispatchMode):
    """Sees the operations of one thread, where `FlopCounterMode` hooks into all modules."""

    def __init__(self) -> None:
        from torch.utils.flop_counter import flop_registry  # a third of a second

        super().__init__()
        self.formulas = flop_registry
        self.operations: list[Operation] = []
        self.in_attention = False

    def enter_attention(self, *_: Any) -> None:
        self.in_attention = True

    def leave_attention(self, *_: Any) -> None:
        self.in_attention = False

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        name = func.overloadpacket.__name__.strip("_")
        value = result[0] if isinstance(result, tuple) else result
        formula = self.formulas.get(func.overloadpacket)
        if formula is not None:
            self._contraction(name, args, value, formula(*args, **kwargs, out_val=result))
        elif name == "native_layer_norm":
            self._add("layer_norm", value, width=args[1][-1])
        elif name in ("softmax", "safe_softmax"):
            self._add("softmax", value)
        elif "batch_norm" in name:
            channels = value.shape[1]
            self.operations.append(Operation("batch_norm", channels, value.numel() // channels))
        elif name == "gelu":
            self._add("gelu" if kwargs.get("approximate", "none") == "none" else "gelu_tanh", value)
        elif name in _REDUCTIONS:
            self._add("pool", args[0])
        else:
            for kind in _ELEMENTWISE.get(name, ()):
                self._add(kind, value)
        return result

    def _contraction(self, name: str, args: tuple[Any, ...], value: Tensor, flops: int) -> None:
        linear: OperationKind = "projection" if self.in_attention else "dense"
        terms, remainder = divmod(flops, 2 * value.numel())
        assert remainder == 0, f"{name} is no sum of products"
        if name == "convolution":
            self.operations += _convolution(*args)
        elif name in ("mm", "addmm"):
            self._add(linear, value, terms)
            if name == "addmm":
                self._add("add" if self.in_attention else "bias", value)
        else:
            self._add("attention", value, terms)
            if "attention" in name:  # fused: its softmax and scaling are inside
                length = terms // 2
                rows = value.numel() // value.shape[-1]
                self.operations.append(Operation("softmax", rows, length))
                self._add("scale", value)

    def _add(
        self, kind: OperationKind, value: Tensor, terms: int = 0, *, width: int | None = None
    ) -> None:
        width = width or (value.shape[-1] if value.ndim else 1)
        self.operations.append(Operation(kind, value.numel() // width, width, terms))


def _convolution(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: list[int],
    padding: list[int],
    dilation: list[int],
    transposed: bool,
    output_padding: list[int],
    groups: int,
) -> Operations:
    """Takes what `aten.convolution` takes; knows neither dilated nor transposed ones."""
    assert not transposed
    assert set(dilation) == {1}
    one = layers.convolution(
        tuple(x.shape[2:]),
        x.shape[1],
        weight.shape[0],
        kernel=tuple(weight.shape[2:]),
        stride=tuple(stride),
        padding=tuple(padding),
        groups=groups,
        bias=bias is not None,
    )
    return repeat(one, x.shape[0])
