"""TokenLearner as others wrote it, and as we did, ready to be timed on the same work.

All of them are optional. The environment variable TOKENLEARNER_PEERS names a folder of checkouts:

    scenic/               google-research/scenic: the official modules; needs jax and flax
    keras-io/             keras-team/keras-io: the Keras example; needs keras, on its torch backend
    TokenLearner/         Kashu7100/TokenLearner
    tokenlearner-pytorch/ rish-16/tokenlearner-pytorch
    ToMe/                 facebookresearch/ToMe

What is not there is left out. Nothing of theirs is part of this project.
"""

import ast
import copy
import importlib
import importlib.util
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import torch
from torch import nn

from tokenlearner.efficiency.fast_parts import replace_parts
from tokenlearner.modules import TokenFuser, TokenLearner, TokenLearnerV11

Part = Literal["v1.0", "v1.1", "fuser", "model"]
Run = Callable[[], object]

OURS = "ours"
PEERS = Path(os.environ.get("TOKENLEARNER_PEERS", "peers"))


@dataclass(frozen=True, kw_only=True, slots=True)
class Shape:
    """What the modules are given.

    Attributes:
        batch: Images.
        side: Rows and columns of the grid.
        dim: Channels.
        tokens: To learn.
    """

    batch: int
    side: int
    dim: int
    tokens: int

    def __str__(self) -> str:
        return f"{self.batch}x{self.side}x{self.side}x{self.dim} to {self.tokens}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One implementation of one part.

    Attributes:
        part: Which module of the paper.
        who: Whose.
        how: How it runs.
        same_work: Whether it computes what the paper's module does.
        macs_ratio: Multiply-accumulates of the plain model over its own; None for modules.
        forward: A pass without gradients.
        backward: A pass with the gradients of inputs and parameters; None if it is for inference.
    """

    part: Part
    who: str
    how: str
    forward: Run
    backward: Run | None = None
    same_work: bool = True
    macs_ratio: float | None = None


def find_entries(shape: Shape) -> list[Entry]:
    """Returns all implementations that are there, ours first."""
    entries = list(_ours(shape))
    for find in (_official, _keras, _kashu, _rish):
        try:
            entries += find(shape)
        except (ImportError, FileNotFoundError) as error:
            print(f"left out: {find.__name__.strip('_')} ({error})")
    return entries


def _ours(shape: Shape) -> Iterator[Entry]:
    tokens, inputs = _inputs(shape)
    modules: dict[Part, nn.Module] = {
        "v1.0": TokenLearner(shape.tokens, shape.dim),
        "v1.1": TokenLearnerV11(shape.tokens, shape.dim),
        "fuser": TokenFuser(shape.tokens, shape.dim),
    }
    for part, module in modules.items():
        given = (tokens, inputs) if part == "fuser" else (inputs,)
        yield _torch_entry(part, OURS, module, *given)
        fast = copy.deepcopy(module).eval().requires_grad_(False)
        replace_parts(fast)
        yield Entry(part=part, who=OURS, how="optimised", forward=_forward(fast, *given))


def _official(shape: Shape) -> Iterator[Entry]:
    add_to_path(PEERS / "scenic")
    jax: Any = importlib.import_module("jax")
    scenic = _import_scenic()
    tokens, inputs = (jax.numpy.asarray(x.detach().numpy()) for x in _inputs(shape))
    modules: dict[Part, tuple[Any, tuple[Any, ...], dict[str, bool]]] = {
        "v1.0": (scenic.TokenLearnerModule(shape.tokens), (inputs,), {}),
        "v1.1": (scenic.TokenLearnerModuleV11(shape.tokens), (inputs,), {"deterministic": True}),
        "fuser": (scenic.TokenFuser(), (tokens, inputs), {"deterministic": True}),
    }
    for part, (module, given, options) in modules.items():
        arguments = (module.init(jax.random.PRNGKey(0), *given, **options), *given)
        apply = partial(module.apply, **options)
        total = partial(lambda apply, *arguments: apply(*arguments).sum(), apply)
        gradients = jax.grad(total, argnums=tuple(range(len(arguments))))
        yield Entry(
            part=part,
            who="google-research/scenic",
            how="jax.jit",
            forward=_jitted(jax, apply, arguments),
            backward=_jitted(jax, gradients, arguments),
        )


def _jitted(jax: Any, function: Any, arguments: tuple[Any, ...]) -> Run:
    compiled = jax.jit(function)
    return lambda: jax.block_until_ready(compiled(*arguments))


def _import_scenic() -> Any:
    """Scenic lists files with TensorFlow; its modules compute without."""
    name = "scenic.projects.token_learner.model"
    if importlib.util.find_spec("tensorflow") is not None:
        return importlib.import_module(name)
    placeholders = {key: ModuleType(key) for key in ("tensorflow", "tensorflow.io")}
    vars(placeholders["tensorflow.io"])["gfile"] = None
    sys.modules.update(placeholders)
    try:
        return importlib.import_module(name)
    finally:
        for key in placeholders:
            del sys.modules[key]


def _keras(shape: Shape) -> Iterator[Entry]:
    source = (PEERS / "keras-io/examples/vision/token_learner.py").read_text(encoding="utf-8")
    os.environ.setdefault("KERAS_BACKEND", "torch")
    keras: Any = importlib.import_module("keras")
    wanted: list[ast.stmt] = [  # the file trains a model when it is run
        node
        for node in ast.parse(source).body
        if isinstance(node, ast.FunctionDef) and node.name == "token_learner"
    ]
    names = {"keras": keras, "layers": keras.layers, "ops": keras.ops, "LAYER_NORM_EPS": 1e-6}
    names["NUM_TOKENS"] = shape.tokens
    exec(compile(ast.Module(wanted, []), "token_learner.py", "exec"), names)
    given = keras.Input((shape.side, shape.side, shape.dim))
    model = keras.Model(given, names["token_learner"](given, shape.tokens))
    _, inputs = _inputs(shape)
    grid = inputs.detach().unflatten(1, (shape.side, shape.side)).requires_grad_()
    yield _torch_entry("v1.0", "keras-team/keras-io", model, grid, how="torch backend")


def _kashu(shape: Shape) -> Iterator[Entry]:
    model = _module_from("kashu_token_learner", PEERS / "TokenLearner/model.py")
    _, inputs = _inputs(shape)
    for part, kind in (("v1.0", model.TokenLearner), ("v1.1", model.TokenLearnerV11)):
        yield _torch_entry(part, "Kashu7100/TokenLearner", kind(shape.tokens, shape.dim), inputs)


def _rish(shape: Shape) -> Iterator[Entry]:
    """One-channel attention from mean and maximum: another, far smaller computation."""
    file = PEERS / "tokenlearner-pytorch/tokenlearner_pytorch/tokenlearner_pytorch.py"
    port = _module_from("rish_token_learner", file)
    tokens, inputs = _inputs(shape)
    grid = inputs.detach().unflatten(1, (shape.side, shape.side)).requires_grad_()
    who = "rish-16/tokenlearner-pytorch"
    learner = port.TokenLearner(shape.tokens)
    yield _torch_entry("v1.0", who, learner, grid, same_work=False)
    fuser = port.TokenFuser(shape.side, shape.side, shape.dim, shape.tokens)
    yield _torch_entry("fuser", who, fuser, tokens, grid, same_work=False)


def _inputs(shape: Shape) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns learned tokens, and a grid of them, the same for everybody."""
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randn(shape.batch, shape.tokens, shape.dim, generator=generator)
    grid = torch.randn(shape.batch, shape.side**2, shape.dim, generator=generator)
    return tokens.requires_grad_(), grid.requires_grad_()


def _torch_entry(
    part: Any, who: str, module: Any, *given: torch.Tensor, how: str = "eager", **facts: Any
) -> Entry:
    return Entry(
        part=part,
        who=who,
        how=how,
        forward=_forward(module, *given),
        backward=_backward(module, *given),
        **facts,
    )


def _forward(module: Any, *given: torch.Tensor) -> Run:
    def run() -> object:
        with torch.inference_mode():
            return module(*given)

    return run


def _backward(module: Any, *given: torch.Tensor) -> Run:
    wanted = [*given, *(p for p in module.parameters() if p.requires_grad)]
    return lambda: torch.autograd.grad(module(*given).sum(), wanted, allow_unused=True)


def _module_from(name: str, file: Path) -> Any:
    specification = importlib.util.spec_from_file_location(name, file)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def add_to_path(folder: Path) -> None:
    """Makes a checkout's packages importable.

    Raises:
        FileNotFoundError: If it is not there.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is missing")
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
