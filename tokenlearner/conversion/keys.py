"""The names and layouts of official parameters, beside ours: one table, read in both directions.

A table maps an official name to `(our name, what it holds)`: another table, or the layout of an
array. `list_keys` walks a module of ours along its table and yields one `Key` per official array.
Nothing is skipped: an array that no key names, or a parameter that no key fills, is an error.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from tokenlearner.errors import ConversionError
from tokenlearner.models import Encoder, VideoVisionTransformer, VisionTransformer
from tokenlearner.modules import (
    Attention,
    Block,
    TokenFuser,
    TokenLearner,
    TokenLearnerGrouped,
    TokenLearnerV11,
)
from tokenlearner.modules.shapes import Tensor

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Layout:
    """How an official array lies in a parameter of ours.

    Attributes:
        official: Its axes, one letter each: `i`n, `o`ut, `t`ime, `y`, `x`, `h`eads, `d` width of a
            head, `n` positions.
        ours: The same letters in our order. Heads and their width are one axis of ours; it may have
            a `1` where the official array has no axis.
        part: Which third of our first axis it fills: 0 query, 1 key, 2 value; None fills all of it.
    """

    official: str
    ours: str
    part: int | None = None

    @property
    def order(self) -> Shape:
        """The official axes in our order."""
        return tuple(self.official.index(axis) for axis in self.ours if axis in self.official)


Table = Mapping[str, tuple[str, "Table | Layout"]]

VECTOR = Layout("o", "o")
POSITIONS = Layout("1no", "1no")
NORM: Table = {"scale": ("weight", VECTOR), "bias": ("bias", VECTOR)}
DENSE: Table = {"kernel": ("weight", Layout("io", "oi")), "bias": ("bias", VECTOR)}
CONV: Table = {"kernel": ("weight", Layout("yxio", "oiyx"))}
PATCHES: Table = {**CONV, "bias": ("bias", VECTOR)}
FRAME_PATCHES: Table = {**PATCHES, "kernel": ("weight", Layout("yxio", "oi1yx"))}
TUBELETS: Table = {**PATCHES, "kernel": ("weight", Layout("tyxio", "oityx"))}
MLP: Table = {"Dense_0": ("fc1", DENSE), "Dense_1": ("fc2", DENSE)}

ATTENTION: Table = {
    **{
        name: (
            "qkv",
            {
                "kernel": ("weight", Layout("ihd", "hdi", part)),
                "bias": ("bias", Layout("hd", "hd", part)),
            },
        )
        for part, name in enumerate(("query", "key", "value"))
    },
    "out": ("out", {"kernel": ("weight", Layout("hdo", "ohd")), "bias": ("bias", VECTOR)}),
}

BLOCK: Table = {
    "LayerNorm_0": ("norm1", NORM),
    "MultiHeadDotProductAttention_0": ("attention", ATTENTION),
    "LayerNorm_1": ("norm2", NORM),
    "MlpBlock_0": ("mlp", MLP),
}

LEARNER_V10: Table = {
    "LayerNorm_0": ("norm", NORM),
    **{f"Conv_{index}": (f"convs.{index}", CONV) for index in range(4)},
}

LEARNER_V11: Table = {"LayerNorm_0": ("norm", NORM), "token_masking": ("masking", MLP)}

# Not official but the Keras example's, whose arrays lie as Flax's do; `to_scenic` refuses it.
GROUPED = "TokenLearnerGrouped"
POINT: Table = {"kernel": ("weight", Layout("1io", "oi1"))}
LEARNER_GROUPED: Table = {
    "LayerNorm_0": ("norm", NORM),
    **{name: (name, POINT) for name in ("mix", "draw", "values")},
}

FUSER: Table = {
    "fuser_mix_norm1": ("mix_norm1", NORM),
    "Dense_0": ("mix", DENSE),
    "fuser_mix_norm2": ("mix_norm2", NORM),
    "LayerNorm_0": ("norm", NORM),
    "token_masking": ("masking", MLP),
}


def encoder_table(encoder: Encoder) -> Table:
    """Returns the table of an encoder.

    The official code counts learners and fusers in order of use; ours are named by their block.

    Raises:
        ConversionError: If a learner has no official counterpart.
    """
    table: dict[str, tuple[str, Table | Layout]] = {
        "posembed_input/pos_embedding": ("position_embedding", POSITIONS),
        "encoder_norm": ("norm", NORM),
    }
    for index in range(len(encoder.blocks)):
        table[f"encoderblock_{index}"] = (f"blocks.{index}", BLOCK)
    for order, (block, learner) in enumerate(encoder.learners.items()):
        if isinstance(learner, TokenLearner):
            table[f"TokenLearnerModule_{order}"] = (f"learners.{block}", LEARNER_V10)
        elif isinstance(learner, TokenLearnerV11):
            table[f"TokenLearnerModuleV11_{order}"] = (f"learners.{block}", LEARNER_V11)
        elif isinstance(learner, TokenLearnerGrouped):
            table[f"{GROUPED}_{order}"] = (f"learners.{block}", LEARNER_GROUPED)
        else:
            raise ConversionError(
                f"no supported format has a counterpart of {type(learner).__name__}"
            )
    for order, block in enumerate(encoder.fusers):
        table[f"TokenFuser_{order}"] = (f"fusers.{block}", FUSER)
    return table


def table_of(module: nn.Module) -> Table:
    """Returns the table of a module of ours.

    Raises:
        ConversionError: If it has no official counterpart.
    """
    match module:
        case VisionTransformer() | VideoVisionTransformer():
            return {
                "embedding": ("embedding", _patches_table(module)),
                "Transformer": ("encoder", encoder_table(module.encoder)),
                "pre_logits": ("pre_logits", DENSE),
                "output_projection": ("head", DENSE),
            }
        case Encoder():
            return encoder_table(module)
        case Block():
            return BLOCK
        case TokenLearner():
            return LEARNER_V10
        case TokenLearnerV11():
            return LEARNER_V11
        case TokenFuser():
            return FUSER
    raise ConversionError(
        f"the official code has no counterpart of {type(module).__name__}; convert a "
        "VisionTransformer, VideoVisionTransformer, Encoder, Block, TokenLearner, TokenLearnerV11 "
        "or TokenFuser"
    )


def _patches_table(model: VisionTransformer | VideoVisionTransformer) -> Table:
    if isinstance(model, VisionTransformer):
        return PATCHES
    # The official code embeds single frames as images where it samples them or has no head.
    config = model.config
    return FRAME_PATCHES if config.stack_frames or config.num_classes == 0 else TUBELETS


@dataclass(frozen=True, slots=True)
class Key:
    """One official array, and the place of its numbers in a module of ours.

    Attributes:
        official: Its name, levels joined by `/`.
        ours: Name of the parameter.
        layout: How the one lies in the other.
        shape: Shape of the official array.
    """

    official: str
    ours: str
    layout: Layout
    shape: Shape

    def write(self, parameter: Tensor, array: np.ndarray) -> None:
        """Copies an official array of the right shape into our parameter."""
        place = self._place(parameter)
        source = torch.from_numpy(np.array(array)).permute(self.layout.order)
        place.copy_(source.reshape(place.shape))

    def read(self, parameter: Tensor) -> np.ndarray:
        """Returns the official array that our parameter holds."""
        split = [self.shape[axis] for axis in self.layout.order]
        array = self._place(parameter).detach().cpu().float().reshape(split).numpy()
        return np.array(array.transpose(np.argsort(self.layout.order)), order="C")

    def _place(self, parameter: Tensor) -> Tensor:
        return parameter if self.layout.part is None else parameter.chunk(3)[self.layout.part]


def list_keys(module: nn.Module) -> dict[str, Key]:
    """Returns a key for every official array of `module`, by its official name.

    Raises:
        ConversionError: If `module`, or a parameter of it, has no official counterpart.
    """
    state = module.state_dict()
    num_heads = next((m.num_heads for m in module.modules() if isinstance(m, Attention)), 1)
    keys = {
        official: Key(official, ours, layout, _official_shape(state[ours].shape, layout, num_heads))
        for official, ours, layout in _walk(table_of(module), "", "")
        if ours in state  # a model without head, or a fuser without norms, has fewer
    }
    if left := sorted(set(state) - {key.ours for key in keys.values()}):
        raise ConversionError(
            f"the official code has no counterpart of the parameter {left[0]!r} "
            f"({len(left)} of {len(state)} have none)"
        )
    return keys


def _walk(table: Table, official: str, ours: str) -> Iterator[tuple[str, str, Layout]]:
    for name, (our_name, content) in table.items():
        if isinstance(content, Layout):
            yield official + name, ours + our_name, content
        else:
            yield from _walk(content, f"{official}{name}/", f"{ours}{our_name}.")


def _official_shape(ours: Shape, layout: Layout, num_heads: int) -> Shape:
    if layout.part is not None:
        ours = (ours[0] // 3, *ours[1:])
    if "h" in layout.ours:
        axis = layout.ours.index("h")
        ours = (*ours[:axis], num_heads, ours[axis] // num_heads, *ours[axis + 1 :])
    return tuple(ours[layout.ours.index(axis)] for axis in layout.official)
