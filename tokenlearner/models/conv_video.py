"""A convolutional network for clips, with or without TokenLearner (Charades and AViD rows)."""

from typing import Any

import torch
from torch import nn

from tokenlearner.errors import ConfigError, ShapeError
from tokenlearner.models.conv_video_config import ConvVideoConfig
from tokenlearner.models.outputs import ConvTrace, FuserTrace, LearnerTrace
from tokenlearner.models.pretrained import PretrainedModel
from tokenlearner.modules.dropout import Dropout
from tokenlearner.modules.shapes import Float, Tensor
from tokenlearner.modules.space_time import (
    SplitConvolution,
    SqueezeExcitation,
    TokenBottleneck,
    spatial_convolution,
)


class ConvVideoBlock(nn.Module):
    """X3D's inverted bottleneck: wider, an operation in the middle, narrower, and a residual.

    Args:
        in_width: Channels that come in.
        width: Channels that go out.
        inner_width: Channels in the middle.
        middle: The operation.
        stride: Stride of the middle operation.
        squeeze_width: Inner width of squeeze-and-excitation; None for none.
    """

    def __init__(
        self,
        in_width: int,
        width: int,
        inner_width: int,
        middle: nn.Module,
        *,
        stride: int = 1,
        squeeze_width: int | None = None,
    ) -> None:
        super().__init__()
        self.widen = _pointwise(in_width, inner_width)
        self.middle = middle
        self.norm = nn.BatchNorm3d(inner_width)
        self.squeeze = None
        if squeeze_width is not None:
            self.squeeze = SqueezeExcitation(inner_width, squeeze_width)
        self.narrow = _pointwise(inner_width, width)
        self.shortcut = None
        if in_width != width or stride > 1:
            self.shortcut = _pointwise(in_width, width, stride=stride)

    def forward(self, x: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Returns the output, and the intermediates of a `TokenBottleneck` if there is one."""
        y, told = self.widen(x).relu(), ()
        if isinstance(self.middle, TokenBottleneck):
            y, *told = self.middle(y)
        else:
            y = self.middle(y)
        y = self.norm(y)
        if self.squeeze is not None:
            y = self.squeeze(y)
        y = self.narrow(nn.functional.silu(y))
        residual = x if self.shortcut is None else self.shortcut(x)
        return (residual + y).relu(), tuple(told)


class PooledRepresentation(nn.Module):
    """X3D's way from the last stage to the head: wider, the mean of all positions, wider again.

    Args:
        width: Channels that come in.
        inner_width: Channels whose mean is taken.
        out_width: Features that go out.
    """

    def __init__(self, width: int, inner_width: int, out_width: int) -> None:
        super().__init__()
        self.widen = _pointwise(width, inner_width)
        self.project = nn.Linear(inner_width, out_width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.project(self.widen(x).relu().mean(dim=(2, 3, 4))).relu()


class ConvVideoNetwork(PretrainedModel):
    """Clip classifier: stem, stages of inverted bottlenecks, pooling, head.

    `forward`, `trace` and their promises are those of `VisionTransformer`; every frame is a time
    step, so learner maps are `[batch, time, token, height, width]`.

    As in X3D, grids are halved by 3x3 convolutions with the same padding on all sides, so cell `i`
    of a grid of stride `s` is centred on pixel `s * i`; overlays show it there.

    Args:
        config: Everything that decides the architecture.

    Attributes:
        info: Name, class names, preprocessing and origin; None for a model made by hand.
    """

    takes = "video"
    cells = "strided"
    config: ConvVideoConfig

    def __init__(self, config: ConvVideoConfig) -> None:
        if not isinstance(config, ConvVideoConfig):
            raise ConfigError(f"config is {config!r}; wanted a ConvVideoConfig")
        super().__init__()
        self.config = config
        stem_width = config.widths[0]
        self.stem = nn.Sequential(
            spatial_convolution(3, stem_width, stride=2),
            nn.Conv3d(
                stem_width, stem_width, (5, 1, 1), padding=(2, 0, 0), groups=stem_width, bias=False
            ),
            nn.BatchNorm3d(stem_width),
            nn.ReLU(),
        )
        blocks: list[nn.Module] = []
        in_width = stem_width
        for width, depth in zip(config.widths, config.depths, strict=True):
            for place in range(depth):
                blocks.append(_make_block(config, len(blocks), place, in_width, width))
                in_width = width
        self.blocks = nn.ModuleList(blocks)
        self.pool = PooledRepresentation(in_width, config.inner_width(in_width), config.head_dim)
        self.dropout = Dropout(config.dropout)
        self.head = nn.Linear(config.head_dim, config.num_classes)

    def architecture(self) -> dict[str, Any]:
        return self.config.to_dict()

    @classmethod
    def build(cls, architecture: dict[str, Any], *, device: str = "cpu") -> "ConvVideoNetwork":
        config = ConvVideoConfig.from_dict(architecture)
        with torch.device(device):
            return cls(config)

    def forward(
        self, clips: Float[Tensor, "batch 3 time height width"]
    ) -> Float[Tensor, "batch classes"]:
        """Classifies clips.

        Args:
            clips: Every frame normalised as the model's preprocessing says; any length and size.

        Returns:
            Logits `[batch, classes]`.

        Raises:
            ShapeError: If `clips` is not `[batch, 3, time, height, width]`.
        """
        x = self.stem(self.check(clips))
        for block in self.blocks:
            x, _ = block(x)
        return self.head(self.dropout(self.pool(x)))

    def trace(self, clips: Float[Tensor, "batch 3 time height width"]) -> ConvTrace:
        """Does what `forward` does and returns everything on the way.

        Raises:
            ShapeError: As `forward`.
        """
        x = self.stem(self.check(clips))
        blocks, learners, fusers = [], [], []
        for index, block in enumerate(self.blocks):
            x, told = block(x)
            blocks.append(x)
            if told:
                maps, before, after, fuser_maps, update = told
                learners.append(LearnerTrace(index, maps, before, after))
                fusers.append(FuserTrace(index, fuser_maps, update))
        representation = self.pool(x)
        return ConvTrace(
            logits=self.head(self.dropout(representation)),
            blocks=tuple(blocks),
            learners=tuple(learners),
            fusers=tuple(fusers),
            representation=representation,
            grid=(x.shape[3], x.shape[4]),
            steps=x.shape[2],
        )

    @staticmethod
    def check(clips: Tensor) -> Tensor:
        """Returns `clips`, or raises ShapeError if it is not `[batch, 3, time, height, width]`."""
        if clips.ndim != 5 or clips.shape[1] != 3:
            raise ShapeError(
                f"got clips of shape {tuple(clips.shape)}; wanted [batch, 3, time, height, width]"
            )
        return clips


def _pointwise(in_width: int, width: int, *, stride: int = 1) -> nn.Sequential:
    convolution = nn.Conv3d(in_width, width, 1, stride=(1, stride, stride), bias=False)
    return nn.Sequential(convolution, nn.BatchNorm3d(width))


def _make_block(
    config: ConvVideoConfig, index: int, place: int, in_width: int, width: int
) -> ConvVideoBlock:
    """Makes the block `index`, which is number `place` of its stage."""
    inner_width, stride = config.inner_width(width), 1 if place else 2
    learner = config.token_learner
    if learner is not None and index in config.learner_blocks:
        middle = TokenBottleneck(
            inner_width,
            learner.num_tokens,
            spatial=config.spatial_convolution,
            bottleneck_dim=learner.bottleneck_dim,
        )
    else:
        middle = SplitConvolution(inner_width, stride=stride, groups=inner_width)
    squeeze_width = None
    if place % 2 == 0:  # in every other block
        squeeze_width = config.squeeze_width(inner_width)
    return ConvVideoBlock(
        in_width, width, inner_width, middle, stride=stride, squeeze_width=squeeze_width
    )
