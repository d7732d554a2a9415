"""What a vision transformer of timm is, as plain data, and back."""

import inspect
from dataclasses import asdict, dataclass
from typing import Any, Literal

from torch import nn

from tokenlearner.errors import CheckpointError, ConfigError
from tokenlearner.models.config import TokenLearnerConfig, build_config
from tokenlearner.modules.grids import Grid


@dataclass(frozen=True, kw_only=True, slots=True)
class TimmConfig:
    """Facts about a vision transformer of timm and the TokenLearner in it.

    Attributes:
        image_size: Height and width in pixels that the model is made for.
        patch_size: Height and width in pixels of what becomes one position of the grid.
        num_classes: Number of classes; 0 for no head.
        dim: Channels of a token.
        depth: Blocks.
        num_prefix_tokens: Class, distillation and register tokens, which come before the grid.
        token_learner: None for the model as timm made it.
    """

    image_size: tuple[int, int]
    patch_size: tuple[int, int]
    num_classes: int
    dim: int
    depth: int
    num_prefix_tokens: int
    token_learner: TokenLearnerConfig | None

    @property
    def grid(self) -> Grid:
        """Rows and columns of patches."""
        return (
            self.image_size[0] // self.patch_size[0],
            self.image_size[1] // self.patch_size[1],
        )

    @property
    def learner_blocks(self) -> tuple[int, ...]:
        """The blocks that have a learner before them."""
        return () if self.token_learner is None else self.token_learner.blocks(self.depth)

    @property
    def tokens_per_block(self) -> tuple[int, ...]:
        """How many tokens each block works on, the prefix included."""
        full = self.num_prefix_tokens + self.grid[0] * self.grid[1]
        learner = self.token_learner
        if learner is None:
            return (full,) * self.depth
        few = self.num_prefix_tokens + learner.num_tokens
        return (full,) * learner.at + (few,) * (self.depth - learner.at)


def check_backbone(backbone: nn.Module, learner: TokenLearnerConfig | None) -> None:
    """Raises ConfigError unless a learner can work inside this model of timm."""
    from timm.models.eva import Eva
    from timm.models.vision_transformer import VisionTransformer

    if not isinstance(backbone, VisionTransformer | Eva):
        raise ConfigError(
            f"got a {type(backbone).__name__}; wanted timm's VisionTransformer or Eva (ViT, DeiT, "
            "DINO, SigLIP, EVA and the like). Models whose blocks need the whole grid (Swin, BEiT, "
            "SAM, relative positions) cannot go on with learned tokens"
        )
    patches: Any = backbone.patch_embed
    size = patches.img_size
    if size is not None and (size[0] < patches.patch_size[0] or size[1] < patches.patch_size[1]):
        raise ConfigError(
            f"this model's images of {size[0]}x{size[1]} px hold no patch of "
            f"{patches.patch_size[0]}x{patches.patch_size[1]}; create it with a larger img_size"
        )
    height, width = patches.patch_size
    if patches.dynamic_img_pad and size is not None and (size[0] % height or size[1] % width):
        raise ConfigError(
            f"this model pads its images of {size[0]}x{size[1]} px to patches of {height}x{width}, "
            "and maps would be drawn beside their places; create it with an img_size of whole "
            "patches"
        )
    if not isinstance(backbone.patch_drop, nn.Identity | None):
        raise ConfigError(
            "this model drops patches in training (patch_drop_rate), and a grid with holes has no "
            "attention maps; create it with patch_drop_rate=0"
        )
    # Not of the projection, which in a hybrid follows a network of its own.
    first = next((m for m in patches.modules() if isinstance(m, nn.Conv2d | nn.Linear)), None)
    channels = 3 if first is None else getattr(first, "in_channels", 3)
    if channels != 3:
        raise ConfigError(
            f"this model takes images of {channels} channels, and photos have 3; create it with "
            "in_chans=3"
        )
    depth = len(backbone.blocks)
    if learner is not None and learner.at >= depth:
        raise ConfigError(
            f"at is {learner.at}, but there are {depth} blocks; it must be 0 to {depth - 1}"
        )
    if learner is not None and backbone.embed_dim % learner.groups:
        raise ConfigError(
            f"groups is {learner.groups}, which does not divide the model's {backbone.embed_dim} "
            "channels"
        )


def find_cells(backbone: Any) -> Literal["even", "strided"]:
    """Returns how a model's grid lies on a picture, as `Geometry.cells` has it.

    Patches divide it evenly; in hybrids, which make patches of a network's features, so do
    convolutions whose kernel is as large as their stride. ViTamin's are centred on every other
    pixel. ResNets mix both, and the grid is taken to be even: it may lie half a cell beside it.
    """
    layers = backbone.patch_embed.modules()
    halving = [
        (_pair(layer.kernel_size), _pair(layer.padding))
        for layer in layers
        if isinstance(layer, nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d)
        and max(_pair(layer.stride)) > 1
    ]
    is_centred = [
        size == 2 * padding + 1 for pairs in halving for size, padding in zip(*pairs, strict=True)
    ]
    return "strided" if is_centred and all(is_centred) else "even"


def _pair(value: Any) -> tuple[int, int]:
    """A setting down and across, of a layer that may have one number for both."""
    return value if isinstance(value, tuple) else (value, value)


def to_dict(backbone: Any, learner: TokenLearnerConfig | None) -> dict[str, Any]:
    """Returns JSON-able data that `from_dict` makes the same model of, weights apart.

    Raises:
        CheckpointError: If the model does not say how it was created.
    """
    name = (getattr(backbone, "pretrained_cfg", None) or {}).get("architecture")
    arguments = getattr(backbone, "_model_args", None)
    if not name or arguments is None:
        raise CheckpointError(
            f"this {type(backbone).__name__} does not say how it was created, so it could not be "
            "reloaded; create it with timm.create_model from timm 1.0.31 or newer"
        )
    return {
        "timm": name,
        "arguments": {
            **{key: value for key, value in arguments.items() if key in _constructor_arguments()},
            "num_classes": backbone.num_classes,
            "global_pool": backbone.global_pool,
            "img_size": list(backbone.patch_embed.img_size),
        },
        "token_learner": None if learner is None else asdict(learner),
    }


def from_dict(data: dict[str, Any], *, device: str) -> tuple[nn.Module, TokenLearnerConfig | None]:
    """Makes the model of timm, without its weights, and the learner's configuration.

    Raises:
        ConfigError: If there is no such model.
    """
    if unknown := sorted(set(data) - {"timm", "arguments", "token_learner"}):
        raise ConfigError(f"a timm model has no {unknown}")
    backbone = _make_backbone(data, device=device)
    learner = data.get("token_learner")
    return backbone, None if learner is None else build_config(TokenLearnerConfig, learner)


def _make_backbone(data: dict[str, Any], *, device: str) -> nn.Module:
    """Makes the model of timm that `data` names, without storage on `meta`, else random.

    The data may come from anywhere, so what reaches timm is an architecture of its own and
    numbers, words and switches of its constructors: nothing that names a file or an address.

    Raises:
        ConfigError: If there is no such model.
    """
    import timm
    import torch

    name, arguments = data["timm"], data.get("arguments", {})
    if not isinstance(name, str) or not name.replace("_", "").isalnum() or not timm.is_model(name):
        raise ConfigError(f"this version of timm ({timm.__version__}) has no model {name!r}")
    for key, value in arguments.items():
        if key not in _constructor_arguments() or not _is_plain(value):
            raise ConfigError(f"{key}={value!r} is not a setting of a timm vision transformer")
    arguments = {key: _tuples(value) for key, value in arguments.items()}
    try:
        with torch.device(device):
            return timm.create_model(name, pretrained=False, **arguments)
    except Exception as error:  # timm checks little, so that a wrong setting can raise anything
        raise ConfigError(f"timm cannot make {name} with {arguments}: {error}") from error


def _constructor_arguments() -> set[str]:
    from timm.models.eva import Eva
    from timm.models.vision_transformer import VisionTransformer

    names = {*inspect.signature(VisionTransformer).parameters, *inspect.signature(Eva).parameters}
    return names - {"device", "dtype"}


def _is_plain(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(isinstance(entry, int | float) for entry in value)
    return value is None or isinstance(value, bool | int | float | str)


def _tuples(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
