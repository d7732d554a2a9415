"""The fast copy gives the model's answers and maps, and is nothing else."""

import copy
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from torch import nn
from torch._dynamo.testing import CompileCounter
from torch.utils._python_dispatch import TorchDispatchMode

from tests import tiny
from tests.efficiency.test_packed_linear import needs_onednn, relative_error
from tests.models.test_vit import LEARNERS, every_learner
from tests.models.timm_models import KINDS, images, with_learner
from tokenlearner import zoo
from tokenlearner.efficiency import OptimisedModel, optimise
from tokenlearner.efficiency.packed_linear import PackedLinear
from tokenlearner.errors import CheckpointError, ConfigError, ShapeError
from tokenlearner.media import read_image
from tokenlearner.models import (
    TokenLearnerConfig,
    VisionTransformer,
    VisionTransformerConfig,
    insert_token_learner,
)
from tokenlearner.preprocess import prepare

# Wide enough that oneDNN computes the layers, on a grid of 4x6.
CONFIG = VisionTransformerConfig(
    image_size=(32, 48), patch_size=(8, 8), num_classes=5, dim=64, depth=3, num_heads=4, mlp_dim=128
)
TOLERANCES = {torch.float32: 1e-5, torch.bfloat16: 1e-2}
SAMPLES = Path(__file__).parents[2] / "app" / "samples"
PHOTOS = ("parachutists", "tabby", "beagle", "racehorse")
every_dtype = pytest.mark.parametrize("dtype", TOLERANCES, ids=str)


def started_model(**changes: Any) -> VisionTransformer:
    """A model as it is when training starts, but for what starts at zero."""
    model = VisionTransformer(replace(CONFIG, **changes)).eval()
    for fuser in model.encoder.fusers.values():
        nn.init.eye_(fuser.get_parameter("mix.weight"))
    if model.head is not None:
        nn.init.normal_(model.head.weight)
    return model


@torch.no_grad()
def check(fast: OptimisedModel, model: nn.Module, x: torch.Tensor, tolerance: float) -> None:
    wanted = model(x)
    found = fast(x)
    assert found.dtype == torch.float32
    assert found.shape == wanted.shape
    assert relative_error(found, wanted) < tolerance


@every_dtype
@every_learner
def test_answers_are_the_models(learner: TokenLearnerConfig | None, dtype: torch.dtype) -> None:
    model = started_model(token_learner=learner)
    fast = optimise(model, dtype=dtype)
    check(fast, model, torch.randn(8, 3, 32, 48), TOLERANCES[dtype])
    check(fast, model, torch.randn(8, 3, 45, 26), TOLERANCES[dtype])  # on a grid of 5x3


@pytest.mark.parametrize("batch", [1, 3])
@every_learner
def test_batches_of_any_size(learner: TokenLearnerConfig | None, batch: int) -> None:
    model = started_model(token_learner=learner)
    check(optimise(model), model, torch.randn(batch, 3, 32, 48), 1e-5)


@every_dtype
@every_learner
def test_trace_is_the_models(learner: TokenLearnerConfig | None, dtype: torch.dtype) -> None:
    model = started_model(token_learner=learner)
    fast = optimise(model, dtype=dtype)
    x = torch.randn(8, 3, 32, 48)
    with torch.no_grad():
        wanted = model.trace(x)
    found = fast.trace(x)
    assert torch.equal(found.logits, fast(x))
    assert found.grid == wanted.grid
    for mine, theirs in zip(
        found.learners + found.fusers, wanted.learners + wanted.fusers, strict=True
    ):
        assert mine.block == theirs.block
        assert relative_error(mine.maps, theirs.maps) < TOLERANCES[dtype]


@pytest.mark.parametrize(
    "changes",
    [
        {"stem_widths": (12, 16)},
        {"num_classes": 0},
        {"representation_size": 24, "classifier": "gmp"},
        {"activation": "gelu", "mlp_activates_output": True},
        {"position_embedding": "frozen", "head_dim": 24},
    ],
    ids=str,
)
def test_every_variant_of_our_model(changes: dict[str, Any]) -> None:
    model = started_model(token_learner=LEARNERS["1.1"], **changes)
    for module in model.modules():  # statistics that a fold has to take into account
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.get_buffer("running_mean"))
            nn.init.uniform_(module.get_buffer("running_var"), 0.5, 2.0)
    check(optimise(model), model, torch.randn(2, 3, 32, 48), 1e-5)


@pytest.mark.parametrize("fuser", [False, True], ids=["", "fuser"])
@pytest.mark.parametrize("version", ["1.0", "1.1", "grouped"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_timms(kind: str, version: str, fuser: bool) -> None:
    model = with_learner(kind, version=version, fuser=fuser)
    check(optimise(model), model, images(), 1e-5)


def test_convolutions_that_standardise_their_weights() -> None:
    """As those of hybrids do, some of which have kernels as large as their stride."""
    plain = timm.create_model("vit_small_r26_s32_224", img_size=64, depth=2, num_classes=5)
    model = insert_token_learner(plain, num_tokens=3, at=1).eval()
    check(optimise(model), model, torch.randn(2, 3, 64, 64), 1e-5)


@pytest.mark.slow
def test_every_size_is_compiled_however_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """The compiler gives up at the eighth unless it is told otherwise."""
    counter = CompileCounter()
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=counter))
    fast = OptimisedModel(nn.Conv2d(3, 2, 1), compiled=True)
    for size in (*range(1, 13), 5):
        fast(torch.ones(size, 3, 4, 4))
    assert counter.frame_count == 12


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_timms_in_bfloat16(kind: str) -> None:
    model = with_learner(kind)
    check(optimise(model, dtype=torch.bfloat16), model, images(), 2e-2)  # their weights are wild


@pytest.fixture(scope="module")
def pixels() -> list[Any]:
    return [read_image(SAMPLES / f"{name}.jpg").pixels for name in PHOTOS]


@pytest.mark.parametrize("name", [e.name for e in zoo.ENTRIES if e.dataset != "pointing-gestures"])
@torch.no_grad()
def test_shipped_models_with_real_photos(name: str, pixels: list[Any]) -> None:
    """As far as the docstring promises: all photos together, and each alone in bfloat16."""
    model: Any = zoo.load(name)
    photos = torch.cat([prepare(each, model.info.preprocessing)[0] for each in pixels])
    wanted = model(photos)
    for dtype, of_one in ((torch.float32, 1e-5), (torch.bfloat16, 2e-2)):
        found = optimise(model, dtype=dtype)(photos)
        assert relative_error(found, wanted) < TOLERANCES[dtype]
        errors = [relative_error(*pair) for pair in zip(found, wanted, strict=True)]
        assert max(errors) < of_one, dict(zip(PHOTOS, errors, strict=True))


def test_timms_trace() -> None:
    model = with_learner()
    x = images()
    with torch.no_grad():
        wanted = model.trace(x)
    found = optimise(model).trace(x)
    assert relative_error(found.learners[0].maps, wanted.learners[0].maps) < 1e-5


@needs_onednn
@pytest.mark.parametrize("make", [tiny.clip_model, tiny.conv_model])
def test_models_of_clips(make: Any) -> None:
    model, clips = make(), torch.randn(2, 3, 4, 16, 16)
    fast = optimise(model)
    check(fast, model, clips, 1e-5)
    with torch.no_grad():
        wanted = model.trace(clips)
    (mine,), (theirs,) = fast.trace(clips).learners, wanted.learners
    assert relative_error(mine.maps, theirs.maps) < 1e-5


@needs_onednn
def test_all_large_layers_are_packed() -> None:
    fast = optimise(started_model(token_learner=LEARNERS["1.1 and fuser"], representation_size=24))
    left = {name for name, module in fast.named_modules() if type(module) is nn.Linear}
    assert left == set()
    packed = [module.packed for module in fast.modules() if isinstance(module, PackedLinear)]
    # Patches; 4 in each of 3 blocks; 2 mask networks of learners and 2 of fusers; representation.
    assert sum(packed) == 1 + 12 + 4 + 1


def test_model_is_left_as_it_is_and_shares_nothing() -> None:
    model = started_model(token_learner=LEARNERS["1.0 and fuser"]).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    fast = optimise(model)
    assert model.training
    assert all(parameter.requires_grad for parameter in model.parameters())
    after = model.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[name], value) for name, value in before.items())
    x = torch.randn(2, 3, 32, 48)
    answers = fast(x)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    assert torch.equal(fast(x), answers)
    assert not answers.requires_grad


def test_model_in_bfloat16_can_be_made_fast() -> None:
    model = started_model(token_learner=LEARNERS["1.1"])
    fast = optimise(model.bfloat16())
    check(fast, model.float(), torch.randn(2, 3, 32, 48), 1e-5)


def test_what_it_is_not_for_is_said() -> None:
    model = started_model()
    fast = optimise(model)
    with pytest.raises(CheckpointError, match=r"optimised model cannot be saved.*save the model"):
        fast.state_dict()
    with pytest.raises(ConfigError, match="cannot be trained; train the model it was made from"):
        fast.train()
    with pytest.raises(ConfigError, match=r"cannot be explained.*explain the model it was made fr"):
        _ = fast.info
    with pytest.raises(ConfigError, match="has no config; take that of the model it was made from"):
        _ = fast.config  # what counting asks for first
    with pytest.raises(ConfigError, match="cannot be copied or pickled"):
        copy.deepcopy(fast)
    with pytest.raises(ConfigError, match="stays on its device and in its number format"):
        fast.to(torch.bfloat16)
    assert fast.eval() is fast
    with pytest.raises(ShapeError, match="images of 32x7 px; a patch is 8x8 px"):
        fast(torch.randn(1, 3, 32, 7))
    with pytest.raises(ConfigError, match=r"dtype is torch.float16; on cpu it must be one of"):
        optimise(model, dtype=torch.float16)


@pytest.mark.usefixtures("_as_users_run_it")
def test_other_models_are_refused() -> None:
    others: list[Any] = [optimise(started_model()), nn.Linear(2, 2)]
    for other in others:
        with pytest.raises(ConfigError, match=f"got a {type(other).__name__}; wanted a model of"):
            optimise(other)


class _NormDtypes(TorchDispatchMode):
    """Of what goes into layer norms."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[torch.dtype] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.overloadpacket is torch.ops.aten.native_layer_norm:
            self.found.add(args[0].dtype)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("kind", [*KINDS, "convolutional"])
def test_norms_stay_in_float32(kind: str) -> None:
    """Also those between two products, where a GPU takes one dtype for input and weights."""
    if kind == "convolutional":
        model, x = tiny.conv_model(), torch.randn(2, 3, 4, 32, 32)
    else:
        model, x = with_learner(kind), images()
    with _NormDtypes() as norms:
        optimise(model, dtype=torch.bfloat16).trace(x)
    assert norms.found == {torch.float32}


@pytest.mark.gpu
@pytest.mark.parametrize("kind", KINDS)
def test_gpu_traces_in_half_the_bits(kind: str) -> None:
    model = with_learner(kind).cuda()
    x = images().cuda()
    found = optimise(model, dtype=torch.bfloat16).trace(x).learners[0].maps
    assert relative_error(found, model.trace(x).learners[0].maps) < 5e-2


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", [*TOLERANCES, torch.float16], ids=str)
def test_gpu_compiles_the_same_answers(dtype: torch.dtype) -> None:
    model = started_model(token_learner=LEARNERS["1.1 and fuser"]).cuda()
    x = torch.randn(2, 3, 32, 48, device="cuda")
    check(optimise(model, dtype=dtype), model, x, TOLERANCES.get(dtype, 1e-2))
