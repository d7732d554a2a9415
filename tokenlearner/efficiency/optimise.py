"""A model made fast for inference: the same answers from other layouts and kernels."""

import copy
from contextlib import AbstractContextManager
from typing import Any, NoReturn

import torch
from torch import nn

from tokenlearner.efficiency.fast_parts import replace_parts
from tokenlearner.errors import CheckpointError, ConfigError
from tokenlearner.models.outputs import ConvTrace, Trace
from tokenlearner.models.pretrained import PretrainedModel
from tokenlearner.modules.shapes import Float, Tensor

_MANY = 100_000


def optimise(model: PretrainedModel, *, dtype: torch.dtype = torch.float32) -> "OptimisedModel":
    """Returns a fast copy of a model for inference, on the model's device.

        fast = optimise(model, dtype=torch.bfloat16)
        fast(images)  # float32 images or clips in, float32 logits out

    On a CPU, linear layers are packed for oneDNN, and the copy is ready at once. On a GPU, the copy
    is compiled, which takes a while at the first batch of each new shape.

    Args:
        model: Any model of this library. It is not changed and shares nothing with the copy.
        dtype: Number format of the linear layers and the attention of transformer blocks. Outputs
            agree to 1e-5 in float32 and to 1e-2 in bfloat16 (relative error over a whole batch).
            In bfloat16, a single photo that the model is unsure of, or a model with extreme weights
            such as large random ones, may differ by 2e-2. Everything else stays in float32:
            embedding, norms, residuals, head, and the learners, which compute the maps. The maps'
            agreement requires that the mean over a token's channels is small compared with their
            standard deviation, as after blocks and convolutional stems: at a mean of 10 standard
            deviations maps agree to 1e-5, at 100 to 1e-3.

    Raises:
        ConfigError: If the device does not support `dtype`, or `model` is not of this library.
    """
    if not isinstance(model, PretrainedModel):
        raise ConfigError(
            f"got a {type(model).__name__}; wanted a model of this library (a timm model by way "
            "of insert_token_learner), not an optimised one"
        )
    device = next(model.parameters()).device
    allowed = [torch.float32, torch.bfloat16]
    if device.type != "cpu":
        allowed.append(torch.float16)
    if dtype not in allowed:
        raise ConfigError(f"dtype is {dtype}; on {device.type} it must be one of {allowed}")
    fast = copy.deepcopy(model).eval().float().requires_grad_(False)
    replace_parts(fast, dtype=dtype)
    return OptimisedModel(fast, compiled=device.type == "cuda")


def compiling_however_many() -> AbstractContextManager[None]:
    """Lifts the compiler's limit of shapes and models that share their code, for a while.

    Past it, it would fall back on eager, unasked. Forgetting the others (`torch.compiler.reset`)
    would have them compiled again while somebody else measures them.
    """
    return torch._dynamo.config.patch(
        fail_on_recompile_limit_hit=True,
        recompile_limit=_MANY,
        accumulated_recompile_limit=_MANY,
    )


class OptimisedModel(nn.Module):
    """What `optimise` returns: `forward` and `trace` of the model it was made from, but fast.

    It is for inference alone: nothing in it can be trained, saved or counted, as its weights lie in
    layouts of their own. Use the model it was made from for that.

    Args:
        model: With replaced parts.
        compiled: Whether `forward` goes through PyTorch's compiler.
    """

    def __init__(self, model: Any, *, compiled: bool) -> None:
        super().__init__()
        self._model = model.eval()
        self._compiled = torch.compile(model.forward, dynamic=False) if compiled else None
        self._compiled_for: set[tuple[Any, ...]] = set()

    @torch.no_grad()
    def forward(self, images: Float[Tensor, "batch 3 *time height width"]) -> Any:
        """Returns what the model returns."""
        if self._compiled is None:
            return self._model(images)
        # All that the compiler may make another version for.
        kind = images.is_inference(), torch.is_autocast_enabled(images.device.type)
        layout = (images.shape, images.stride(), images.dtype, *kind)
        if layout in self._compiled_for:
            return self._compiled(images)
        with compiling_however_many():
            answer = self._compiled(images)
        self._compiled_for.add(layout)
        return answer

    @torch.no_grad()
    def trace(self, images: Float[Tensor, "batch 3 *time height width"]) -> Trace | ConvTrace:
        """Does what `forward` does, never compiled, and returns everything on the way."""
        return self._model.trace(images)

    @property
    def info(self) -> NoReturn:
        raise ConfigError(
            "an optimised model cannot be explained, as its parts are no longer those that are "
            "counted; explain the model it was made from (its maps are in `trace`)"
        )

    @property
    def config(self) -> NoReturn:
        raise ConfigError(
            "an optimised model has no config; take that of the model it was made from"
        )

    def train(self, mode: bool = True) -> "OptimisedModel":
        if mode:
            raise ConfigError(
                "an optimised model cannot be trained; train the model it was made from and "
                "optimise it again"
            )
        return self

    def state_dict(self, *args: Any, **kwargs: Any) -> Any:
        raise CheckpointError(
            "an optimised model cannot be saved, as its weights are packed for this machine; save "
            "the model it was made from"
        )

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise ConfigError(
            "an optimised model cannot be copied or pickled, as its weights are packed; optimise "
            "the model it was made from again"
        )

    def _apply(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise ConfigError(
            "an optimised model stays on its device and in its number format; change the model it "
            "was made from and optimise that"
        )
