"""Learners of PyTorch ports: their answers, written out by hand, and what is refused."""

import math
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from tokenlearner.conversion.kashu7100 import KashuLearner, KashuLearnerV11
from tokenlearner.conversion.torch_ports import load_learner, open_port, save_learner
from tokenlearner.conversion.verify import compare
from tokenlearner.errors import ConversionError

TOKENS, CHANNELS, HIDDEN, SIDE = 3, 5, 4, 4
State = dict[str, Tensor]


def state_v10() -> State:
    widths = (CHANNELS, TOKENS, TOKENS, TOKENS)
    convs = {
        f"conv_layers.{2 * n}.weight": torch.randn(TOKENS, w, 3, 3) for n, w in enumerate(widths)
    }
    return norm() | convs


def state_v11() -> State:
    return norm() | {
        "mlp.fc1.weight": torch.randn(HIDDEN, CHANNELS),
        "mlp.fc1.bias": torch.randn(HIDDEN),
        "mlp.fc2.weight": torch.randn(TOKENS, HIDDEN),
        "mlp.fc2.bias": torch.randn(TOKENS),
    }


def norm() -> State:
    return {"layer_norm.weight": torch.randn(CHANNELS), "layer_norm.bias": torch.randn(CHANNELS)}


def gelu(x: np.ndarray) -> np.ndarray:
    return x * 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


def normalise(x: np.ndarray, state: State) -> np.ndarray:
    """Of one sample [position, channel]: one mean and one variance for all of it."""
    y = (x - x.mean()) / np.sqrt(x.var() + 1e-6)
    return y * state["layer_norm.weight"].numpy() + state["layer_norm.bias"].numpy()


def by_hand_v11(x: np.ndarray, state: State) -> tuple[np.ndarray, np.ndarray]:
    weights = {name: value.double().numpy() for name, value in state.items()}
    y = normalise(x, state) @ weights["mlp.fc1.weight"].T + weights["mlp.fc1.bias"]
    logits = gelu(y) @ weights["mlp.fc2.weight"].T + weights["mlp.fc2.bias"]
    numbers = [value for row in logits for value in row]  # position by position
    maps = np.empty((TOKENS, len(x)))
    for token in range(TOKENS):
        row = np.exp(numbers[token * len(x) : (token + 1) * len(x)])
        maps[token] = row / row.sum()
    return maps @ x, maps


def by_hand_v10(x: np.ndarray, state: State) -> tuple[np.ndarray, np.ndarray]:
    y = normalise(x, state).T.reshape(CHANNELS, SIDE, SIDE)
    for order in range(4):
        kernel = state[f"conv_layers.{2 * order}.weight"].double().numpy()
        padded = np.pad(y, ((0, 0), (1, 1), (1, 1)))
        out = np.zeros((TOKENS, SIDE, SIDE))
        for row in range(SIDE):
            for column in range(SIDE):
                window = padded[:, row : row + 3, column : column + 3]
                out[:, row, column] = (kernel * window).sum(axis=(1, 2, 3))
        y = gelu(out) if order < 3 else out
    maps = 1 / (1 + np.exp(-y.reshape(TOKENS, -1)))
    return maps @ x, maps


def save(tmp_path: Path, state: Any, name: str = "port.pt") -> Path:
    torch.save(state, tmp_path / name)
    return tmp_path / name


@pytest.mark.parametrize(
    ("make", "by_hand", "kind"),
    [(state_v10, by_hand_v10, KashuLearner), (state_v11, by_hand_v11, KashuLearnerV11)],
)
def test_tokens_and_maps(tmp_path: Path, make: Any, by_hand: Any, kind: type) -> None:
    state = make()
    module = open_port(save(tmp_path, state), "kashu7100").module
    assert isinstance(module, kind)
    x = torch.randn(2, SIDE * SIDE, CHANNELS)
    tokens, maps = module(x, return_maps=True)
    for sample in range(2):
        wanted_tokens, wanted_maps = by_hand(x[sample].double().numpy(), state)
        assert np.allclose(tokens[sample].detach(), wanted_tokens, rtol=1e-4, atol=1e-5)
        assert np.allclose(maps[sample].flatten(1).detach(), wanted_maps, rtol=1e-4, atol=1e-6)
    grid = x.transpose(1, 2).unflatten(2, (SIDE, SIDE))
    assert torch.allclose(module(grid), tokens, atol=1e-6)


def test_it_is_not_the_official_function(tmp_path: Path) -> None:
    """Why these weights have modules of their own."""
    from tokenlearner.modules import TokenLearner

    module = open_port(save(tmp_path, state_v10()), "kashu7100").module
    official = TokenLearner(TOKENS, CHANNELS, activation="gelu")
    official.load_state_dict(module.state_dict())
    x = torch.randn(2, SIDE * SIDE, CHANNELS)
    assert (official(x) - module(x)).norm() > 1e-2 * module(x).norm()


def test_mean_pooling(tmp_path: Path) -> None:
    file = save(tmp_path, state_v10())
    x = torch.randn(2, SIDE * SIDE, CHANNELS)
    total, mean = (open_port(file, "kashu7100", pooling=p).module(x) for p in ("sum", "mean"))
    assert torch.allclose(mean * SIDE**2, total, atol=1e-5)


@pytest.mark.parametrize("make", [state_v10, state_v11])
def test_round_trip(tmp_path: Path, make: Any) -> None:
    port = open_port(save(tmp_path, make()), "kashu7100")
    sha256 = save_learner(tmp_path / "deep/learner.safetensors", port)
    assert len(sha256) == 64
    loaded = load_learner(tmp_path / "deep/learner.safetensors")
    assert type(loaded) is type(port.module)
    x = torch.randn(2, SIDE * SIDE, CHANNELS)
    assert torch.equal(loaded(x), port.module(x))


def test_prefix_and_wrapping(tmp_path: Path) -> None:
    inner = {f"body.learner.{name}": value for name, value in state_v11().items()}
    file = save(tmp_path, {"state_dict": inner | {"head.weight": torch.zeros(2, 2)}})
    with pytest.raises(ConversionError, match=r"under a prefix; pass --prefix body\.learner\."):
        open_port(file, "kashu7100")
    port = open_port(file, "kashu7100", prefix="body.learner.")
    assert port.unused == ("head.weight",)
    assert set(port.used) == set(inner)
    two = inner | {f"other.{name}": value for name, value in state_v11().items()}
    with pytest.raises(ConversionError, match=r"has 2 learners; pass --prefix with one of body"):
        open_port(save(tmp_path, two), "kashu7100")


def test_safetensors_and_comparison(tmp_path: Path) -> None:
    save_file(state_v11(), tmp_path / "port.safetensors")
    module = open_port(tmp_path / "port.safetensors", "kashu7100").module
    x = torch.randn(2, 9, CHANNELS)
    with torch.no_grad():
        tokens = module(x)
    np.savez(tmp_path / "r.npz", inputs=x.numpy(), tokens=tokens.numpy())
    (agreement,) = compare(module, tmp_path / "r.npz")
    assert (agreement.name, agreement.relative) == ("outputs", 0)


RISH = {
    "tokenizers.0.conv.0.weight": torch.zeros(1, 2, 1, 1),
    "tokenizers.0.conv.1.running_mean": torch.zeros(1),
}
FUSER = norm() | {"norm.weight": torch.ones(5), "dense.weight": torch.zeros(64, 3)}
KEEPS_CHANNELS = {
    "convs.0.weight": torch.zeros(5, 5, 3, 3),
    "convs.1.weight": torch.zeros(5, 5, 3, 3),
    "convs.2.weight": torch.zeros(3, 5, 3, 3),
}


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (RISH, "is of rish-16/tokenlearner-pytorch, whose maps are drawn from the maximum and"),
        (FUSER, r"is the TokenFuser of Kashu7100, which mixes tokens into bottleneck_dim"),
        (KEEPS_CHANNELS, "keep the 5 channels until the last makes 3 tokens of them"),
        ({"a": torch.zeros(1)}, r"holds a, expected conv_layers\.\* or mlp\.\* of a learner"),
        ({}, "holds nothing, expected"),
        ([1, 2], "holds no state dict: names and tensors, nothing else"),
        ({"conv_layers.0.weight": torch.zeros(3, 5, 3, 3)}, "missing tensor 'conv_layers.2.weig"),
        (state_v11() | {"mlp.fc3.bias": torch.zeros(1)}, "unknown tensor 'mlp.fc3.bias'"),
        (state_v11() | {"mlp.fc1.bias": torch.zeros(5)}, r"mlp\.fc1\.bias is \(5,\)"),
        (state_v11() | {"mlp.fc2.weight": torch.zeros(3)}, r"got shapes \(3,\) and \(5,\)"),
        (state_v11() | {"mlp.fc1.bias": torch.full((4,), math.nan)}, "values that are not finite"),
    ],
)
def test_other_weights_are_refused(tmp_path: Path, state: Any, message: str) -> None:
    file = save(tmp_path, state)
    with pytest.raises(ConversionError, match=message) as caught:
        open_port(file, "kashu7100")
    assert "port.pt" in str(caught.value)


def test_options_are_checked(tmp_path: Path) -> None:
    file = save(tmp_path, state_v10())
    with pytest.raises(ConversionError, match="--port is 'rish-16'; choose one of kashu7100"):
        open_port(file, "rish-16")
    with pytest.raises(ConversionError, match="--pooling is 'max'; choose sum or mean"):
        open_port(file, "kashu7100", pooling="max")


class _Payload:
    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.trace,))


@pytest.mark.parametrize("name", ["port.pt", "port.safetensors"])
def test_a_pickle_is_not_run(tmp_path: Path, name: str) -> None:
    trace = tmp_path / "opened"
    save(tmp_path, {"a": _Payload(trace)}, name)
    with pytest.raises(ConversionError, match=r"than tensors and is not|not a readable safetens"):
        open_port(tmp_path / name, "kashu7100")
    (tmp_path / name).write_bytes(pickle.dumps(_Payload(trace)))
    with pytest.raises(ConversionError, match=name.replace(".", r"\.")):
        open_port(tmp_path / name, "kashu7100")
    assert not trace.exists()


def test_a_compressed_file_is_not_unpacked(tmp_path: Path) -> None:
    stored = save(tmp_path, state_v11(), "stored.pt")
    with (
        zipfile.ZipFile(stored) as source,
        zipfile.ZipFile(tmp_path / "x.pt", "w", zipfile.ZIP_DEFLATED) as target,
    ):
        for name in source.namelist():
            target.writestr(name, source.read(name))
    torch.load(tmp_path / "x.pt", weights_only=True)  # PyTorch would unpack it
    with pytest.raises(ConversionError, match=r"x\.pt is compressed, which torch\.save never does"):
        open_port(tmp_path / "x.pt", "kashu7100")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: x[:1, :1].expand(10**6, 10**6), r"got 80 bytes .* expected 4,000,000,000,000 "),
        (lambda x: x.to_sparse(), "got torch.sparse_coo on cpu, expected plain numbers"),
        (lambda x: x.to("meta"), "got torch.strided on meta, expected plain numbers"),
    ],
)
def test_a_tensor_larger_than_its_data(tmp_path: Path, change: Any, message: str) -> None:
    state = state_v11()
    file = save(tmp_path, state | {"mlp.fc1.weight": change(state["mlp.fc1.weight"])})
    with pytest.raises(ConversionError, match=f"tensor 'mlp.fc1.weight': {message}"):
        open_port(file, "kashu7100")


@pytest.mark.parametrize("share", [0, 0.3, 0.95])
def test_cut_off(tmp_path: Path, share: float) -> None:
    file = save(tmp_path, state_v10())
    file.write_bytes(file.read_bytes()[: int(file.stat().st_size * share)])
    with pytest.raises(ConversionError, match=r"port\.pt"):
        open_port(file, "kashu7100")


def test_what_is_no_learner_is_not_loaded(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(1)}, tmp_path / "x.safetensors")
    with pytest.raises(ConversionError, match="does not say format 'tokenlearner-learner/1'"):
        load_learner(tmp_path / "x.safetensors")
    with pytest.raises(ConversionError, match="cannot read"):
        load_learner(tmp_path / "none.safetensors")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (torch.full((TOKENS,), float("nan")), "holds values that are not finite"),
        (torch.zeros(TOKENS + 1), r"is \(4,\)"),
        (torch.zeros(TOKENS, dtype=torch.int64), "is torch.int64"),
    ],
)
def test_a_wrong_tensor_is_named_as_in_the_file(
    tmp_path: Path, value: Tensor, message: str
) -> None:
    state = {f"tl.{name}": tensor for name, tensor in state_v11().items()}
    file = save(tmp_path, state | {"tl.mlp.fc2.bias": value})
    with pytest.raises(ConversionError, match=rf"port.pt: tl\.mlp\.fc2\.bias {message}"):
        open_port(file, "kashu7100", prefix="tl.")


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match=r"cannot read .*nowhere\.pt: No such file"):
        open_port(tmp_path / "nowhere.pt", "kashu7100")
