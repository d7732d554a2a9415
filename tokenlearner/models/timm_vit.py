"""TokenLearner inside the vision transformers of timm, pretrained or not."""

from typing import Any, cast

from torch import nn
from torch.utils.checkpoint import checkpoint

from tokenlearner.errors import ConfigError, ShapeError
from tokenlearner.models.block_stack import Record, run_blocks
from tokenlearner.models.config import TokenLearnerConfig, Version
from tokenlearner.models.encoder import make_fuser, make_learner
from tokenlearner.models.outputs import EncoderTrace, Trace
from tokenlearner.models.pretrained import PretrainedModel
from tokenlearner.models.timm_config import (
    TimmConfig,
    check_backbone,
    find_cells,
    from_dict,
    to_dict,
)
from tokenlearner.modules.grids import Grid
from tokenlearner.modules.shapes import Float, Tensor
from tokenlearner.modules.token_learner import Pooling


def insert_token_learner(
    model: nn.Module,
    *,
    num_tokens: int = 8,
    at: int | None = None,
    version: Version = "1.1",
    fuser: bool = False,
    pooling: Pooling = "sum",
    bottleneck_dim: int = 64,
    groups: int = 1,
) -> "TimmVisionTransformer":
    """Puts a TokenLearner, still untrained, inside a vision transformer of timm.

        model = insert_token_learner(timm.create_model("vit_base_patch16_224", pretrained=True))
        model(images)  # 9 of 197 tokens from block 6 on

    Args:
        model: A `VisionTransformer` or `Eva` of timm. It is used as it is, not copied: training the
            result trains it. For a teacher that stays as it was, `copy.deepcopy` it first. Where a
            ResNet makes the patches, maps may lie up to half a patch beside what was looked at.
        num_tokens: Tokens to learn.
        at: Zero-based index of the first block that sees the learned tokens; the middle unless
            given.
        version: `1.0` (convolutions, sigmoid), `1.1` (MLP, softmax) or `grouped`.
        fuser: Write the result of every block from `at` on back onto the grid.
        pooling: Version 1.0: `sum` or `mean` over positions.
        bottleneck_dim: Version 1.1 and fuser: hidden width of the MLP that draws the maps.
        groups: Version grouped: groups of its convolutions.

    Raises:
        ConfigError: If the model is of another kind, or has no such block, or options do not go
            together.
    """
    check_backbone(model, None)
    if at is None:
        at = len(cast(nn.ModuleList, model.blocks)) // 2
    config = TokenLearnerConfig(
        num_tokens=num_tokens,
        at=at,
        version=version,
        fuser=fuser,
        pooling=pooling,
        bottleneck_dim=bottleneck_dim,
        groups=groups,
    )
    return TimmVisionTransformer(model, config)


class TimmVisionTransformer(PretrainedModel):
    """A vision transformer of timm, with or without TokenLearner.

    `forward`, `forward_features` and `forward_head` keep timm's contract: what comes out of
    `forward_features` is the prefix tokens (class, distillation, registers), then the learned ones
    (with a fuser, or without learner: the grid). The prefix tokens pass beside learner and fuser
    and take part in every block. As in our own encoder, nothing is stored on the model, and `trace`
    returns what happened on the way.

    Learned tokens have no place on the grid, so from block `at` on nothing tells places apart:
    rotary position embeddings, which some models of the EVA family apply inside each block, end
    there. Position embeddings that are added before the first block are in the tokens already.

    Args:
        backbone: A `VisionTransformer` or `Eva` of timm; used as it is, not copied.
        token_learner: Where the learner sits and of what kind it is; None for none.

    Raises:
        ConfigError: If a learner cannot work inside this model.
    """

    _how_to_describe = "set model.info = tokenlearner.describe_timm(model, pretrained=...)"

    def __init__(
        self, backbone: nn.Module, token_learner: TokenLearnerConfig | None = None
    ) -> None:
        check_backbone(backbone, token_learner)
        super().__init__()
        self.backbone: Any = backbone
        self.cells = find_cells(backbone)
        self.token_learner = token_learner
        self.learners, self.fusers = nn.ModuleDict(), nn.ModuleDict()
        like = next(backbone.parameters())
        for block in map(str, self.config.learner_blocks):
            assert token_learner is not None
            dim = self.config.dim
            self.learners[block] = make_learner(token_learner, dim).to(like.device, like.dtype)
            if token_learner.fuser:
                self.fusers[block] = make_fuser(token_learner, dim).to(like.device, like.dtype)
        self.train(backbone.training)

    @property
    def config(self) -> TimmConfig:
        """What the model is made of, as it is now."""
        patches = self.backbone.patch_embed
        return TimmConfig(
            image_size=tuple(patches.img_size),
            patch_size=tuple(patches.feat_ratio(as_scalar=False)),
            num_classes=self.backbone.num_classes,
            dim=self.backbone.embed_dim,
            depth=len(self.backbone.blocks),
            num_prefix_tokens=self.backbone.num_prefix_tokens,
            token_learner=self.token_learner,
        )

    @property
    def num_classes(self) -> int:
        """Answers; 0 without head."""
        return self.backbone.num_classes

    @property
    def num_features(self) -> int:
        """Channels of a token."""
        return self.backbone.num_features

    @property
    def num_prefix_tokens(self) -> int:
        """Class, distillation and register tokens."""
        return self.backbone.num_prefix_tokens

    @property
    def pretrained_cfg(self) -> dict[str, Any]:
        """What timm knows about the weights that it has for the backbone."""
        return self.backbone.pretrained_cfg

    def architecture(self) -> dict[str, Any]:
        return to_dict(self.backbone, self.token_learner)

    @classmethod
    def build(cls, architecture: dict[str, Any], *, device: str = "cpu") -> "TimmVisionTransformer":
        return cls(*from_dict(architecture, device=device))

    def forward(
        self, images: Float[Tensor, "batch 3 height width"]
    ) -> Float[Tensor, "batch ... _"] | tuple[Tensor, Tensor]:
        """Classifies images.

        Args:
            images: Normalised as the model's preprocessing says, of the size that the backbone
                takes.

        Returns:
            What timm's model returns: logits `[batch, classes]`; the pooled tokens without head;
            two logits while a distilled DeiT trains that way.

        Raises:
            ShapeError: If the images are of another shape than the backbone takes.
        """
        return self.forward_head(self.forward_features(images))

    def forward_features(
        self, images: Float[Tensor, "batch 3 height width"]
    ) -> Float[Tensor, "batch length dim"]:
        """Returns the tokens after the last block and the final norm, the prefix first."""
        _, positioned, rotations = self._positioned(images)
        return self._encode(positioned, rotations, self._grid(images), None)

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor | tuple[Tensor, Tensor]:
        """Pools what `forward_features` returned and classifies it, as timm's model does."""
        return self.backbone.forward_head(x, pre_logits=pre_logits)

    def trace(self, images: Float[Tensor, "batch 3 height width"]) -> Trace:
        """Does what `forward` does and returns everything on the way.

        The prefix is part of `encoder.positioned`, `encoder.blocks` and `encoder.encoded`, and of
        nothing else.

        Raises:
            ShapeError: As `forward`.
            ConfigError: If the model has no head or does not pool.
        """
        if not self.backbone.num_classes or not self.backbone.global_pool:
            raise ConfigError(
                "this model gives no answers to trace (num_classes is "
                f"{self.backbone.num_classes}, global_pool is {self.backbone.global_pool!r}); call "
                "trace_features, or give it a head with reset_classifier"
            )
        embedded, encoder = self.trace_features(images)
        representation = self.forward_head(encoder.encoded, pre_logits=True)
        logits = self.forward_head(encoder.encoded)
        assert isinstance(representation, Tensor)
        assert isinstance(logits, Tensor), "two answers are for training a distilled DeiT"
        return Trace(
            logits=logits,
            embedded=embedded,
            encoder=encoder,
            representation=representation,
            grid=self._grid(images),
        )

    def trace_features(
        self, images: Float[Tensor, "batch 3 height width"]
    ) -> tuple[Float[Tensor, "batch position dim"], EncoderTrace]:
        """Does what `forward_features` does.

        Returns:
            embedded: The patch tokens before the position embedding.
            encoder: All that happened after.
        """
        embedded, positioned, rotations = self._positioned(images)
        record = Record()
        encoded = self._encode(positioned, rotations, self._grid(images), record)
        return embedded, record.to_trace(positioned, encoded)

    def get_classifier(self) -> Any:
        """Returns timm's head; two of them for a distilled DeiT."""
        return self.backbone.get_classifier()

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        """Replaces the head by a fresh one. `info`, which is not true of it, is gone then."""
        self.backbone.reset_classifier(num_classes, global_pool)
        self.info = None

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Trades time for memory in training: blocks are computed again on the way back."""
        self.backbone.set_grad_checkpointing(enable)

    def no_weight_decay(self) -> set[str]:
        """Returns the names of parameters that weight decay should spare."""
        return {f"backbone.{name}" for name in self.backbone.no_weight_decay()}

    def _encode(
        self, positioned: Tensor, rotations: Tensor | None, grid: Grid, record: Record | None
    ) -> Tensor:
        learner = self.token_learner

        def call(index: int, x: Tensor) -> Tensor:
            has_places = learner is None or index < learner.at
            return self._run(index, x, rotations if has_places else None)

        x = run_blocks(
            positioned,
            len(self.backbone.blocks),
            call,
            self.learners,
            self.fusers,
            grid=grid,
            num_apart=self.backbone.num_prefix_tokens,
            record=record,
        )
        return self.backbone.norm(x)

    def _positioned(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Returns the patch tokens, all tokens in their places, and what Eva rotates them by."""
        self.check(images)
        patches = self.backbone.patch_embed(images)
        x = self.backbone._pos_embed(patches)
        x, rotations = x if isinstance(x, tuple) else (x, None)
        embedded = patches.flatten(1, 2) if patches.ndim == 4 else patches
        return embedded, self.backbone.norm_pre(x), rotations

    def _run(self, index: int, x: Tensor, rotations: Tensor | None) -> Tensor:
        block = self.backbone.blocks[index]
        arguments: dict[str, Any] = {}
        if rotations is not None:
            per_block = getattr(self.backbone, "rope_mixed", False)
            arguments["rope"] = rotations[index] if per_block else rotations
        if self.backbone.grad_checkpointing:
            return checkpoint(block, x, use_reentrant=False, **arguments)
        return block(x, **arguments)

    def _grid(self, images: Tensor) -> Grid:
        return tuple(self.backbone.patch_embed.dynamic_feat_size(tuple(images.shape[2:])))

    def check(self, images: Tensor) -> None:
        """Refuses images that the model does not take; on any device, also without storage.

        Raises:
            ShapeError: Says which it takes.
        """
        patches = self.backbone.patch_embed
        if images.ndim != 4 or images.shape[1] != 3:
            raise ShapeError(
                f"got images of shape {tuple(images.shape)}; wanted [batch, 3, height, width]"
            )
        size = tuple(images.shape[2:])
        if patches.strict_img_size:
            if size != tuple(patches.img_size):
                raise ShapeError(
                    f"got images of {size[0]}x{size[1]} px; this model takes "
                    f"{patches.img_size[0]}x{patches.img_size[1]} px only. For other sizes create "
                    "it with dynamic_img_size=True, or call backbone.set_input_size"
                )
            return
        height, width = self.config.patch_size
        if not patches.dynamic_img_pad and (size[0] % height or size[1] % width or min(size) < 1):
            raise ShapeError(
                f"got images of {size[0]}x{size[1]} px; wanted multiples of its patches of "
                f"{height}x{width} px"
            )
