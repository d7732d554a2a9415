"""What decides a training run, as plain data."""

import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Literal, get_args, get_origin

from tokenlearner.checkpoints import ClipConfig, ClipModel
from tokenlearner.errors import ConfigError
from tokenlearner.models.config import VisionTransformerConfig
from tokenlearner.models.conv_video import ConvVideoNetwork
from tokenlearner.models.conv_video_config import ConvVideoConfig
from tokenlearner.models.timm_config import TimmConfig
from tokenlearner.models.video_config import VideoVisionTransformerConfig
from tokenlearner.models.vit import VisionTransformer
from tokenlearner.models.vivit import VideoVisionTransformer
from tokenlearner.preprocess import Preprocessing
from tokenlearner.training.augment import Augmentation
from tokenlearner.training.datasets import DATASETS
from tokenlearner.training.keras_defaults import draw_keras_defaults


@dataclass(frozen=True, kw_only=True, slots=True)
class Distillation:
    """How a student learns from a teacher's answers.

    Attributes:
        weight: Share of the loss that compares with the teacher, 0..1; the rest compares with the
            labels.
        temperature: Divides both models' logits before they become probabilities; the comparison is
            scaled by its square, so that the gradients keep their size.

    Source: "Distilling the Knowledge in a Neural Network" (Hinton et al., 2015).
    """

    weight: float = 0.5
    temperature: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.weight <= 1 or not 0 < self.temperature < math.inf:
            raise ConfigError(
                f"distillation with weight={self.weight}, temperature={self.temperature}; "
                "wanted a weight of 0 to 1 and a temperature above 0"
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class ClipSampling:
    """Which frames of a clip training sees; as many as the model takes.

    They are evenly spaced over a random stretch of the clip; of clips that lie in memory each is
    moved by up to half a gap. The finished model gets frames evenly spaced over the whole clip, or
    its middle at the rate that is given.

    Attributes:
        stretch: Smallest and largest share of the clip's duration that the stretch takes.
        frames_per_s: How many of the frames come from each second, instead of `stretch`, which is
            then as long as that takes, or the whole of a shorter clip; only without a canvas.
        frames_kept: Frames of each clip that lie in memory, evenly spaced, where a canvas is given.

    Source: "Temporal Segment Networks" (Wang et al., 2016), for the jitter.
    """

    stretch: tuple[float, float] = (0.8, 1.0)
    frames_per_s: float | None = None
    frames_kept: int = 64

    def __post_init__(self) -> None:
        low, high = self.stretch
        has_rate = self.frames_per_s is None or self.frames_per_s > 0
        if not 0 < low <= high <= 1 or not has_rate or self.frames_kept < 1:
            raise ConfigError(
                f"clip sampling with stretch={self.stretch}, frames_per_s={self.frames_per_s}, "
                f"frames_kept={self.frames_kept}; wanted shares above 0 and up to 1, the smaller "
                "first, a rate above 0 or None, and a frame or more"
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """Everything that decides a training run but the data and the device.

    Attributes:
        name: Name of the recipe and of the model it makes.
        dataset: Data set it is for, as in `tokenlearner.training.datasets`; empty for any.
        model: Architecture; one of timm's only to start from such a model.
        preprocessing: How photos are prepared for the finished model.
        canvas: Height and width in pixels at which training photos are kept in memory; None decodes
            each photo whenever it is used, for data that do not fit.
        stages: (epochs, image side in pixels), in order; the last side is the model's own, unless
            the model is a convolutional network, which knows no positions.
        batch_size: Photos in a step.
        optimizer: `adamw`, or `muon`, which takes AdamW for all but the matrices of the blocks.
        learning_rate: Peak.
        muon_learning_rate: Peak for what Muon trains, on AdamW's scale.
        schedule: After the warm-up: `constant`, or `cosine` or `linear` down to
            `end_learning_rate`.
        end_learning_rate: See `schedule`; scaled alike for all parameters.
        warmup_epochs: Epochs of linear growth to the peak.
        weight_decay: If `decay_vectors` is false, on what has two axes or more: matrices, kernels,
            and also position embeddings and class tokens.
        decay_vectors: Decay biases and norms as well, as Keras' AdamW does.
        layer_decay: Factor on the learning rate from each block to the one before it, for
            fine-tuning; None for one rate.
        loss: `softmax` cross-entropy, or `sigmoid` (binary cross-entropy summed over the classes).
        label_smoothing: Share of the target spread over all classes.
        diversity: Nats that maps which are all alike cost beside ones that share nothing: so many
            times `attention.overlap`, the mean of a model's learners, is added to the loss.
        augmentation: How training photos are varied; all frames of a clip alike.
        clips: How frames are taken from clips; None for a model of photos.
        distillation: How a teacher's answers are learned; None for no teacher.
        ema_decay: Decay of the running average of the weights that becomes the model; None: none.
        gradient_clip: Largest norm of a gradient; None for any.
        holdout: Training photos held out to watch the run.
        keep: The model of the `last` epoch, or the `best` on the held-out photos: the one whose
            most probable class is most often a label.
        fresh_weights: How random weights are drawn: as the official code does (`flax`), or by
            Keras' defaults (`keras`).
        seed: Random seed for weights, order and augmentation.
        weights_dtype: Number format of the shipped weights.
    """

    name: str
    dataset: str = ""
    model: VisionTransformerConfig | ClipConfig | TimmConfig
    preprocessing: Preprocessing
    canvas: tuple[int, int] | None
    stages: tuple[tuple[int, int], ...]
    batch_size: int
    optimizer: Literal["adamw", "muon"] = "adamw"
    learning_rate: float
    muon_learning_rate: float = 0.0
    schedule: Literal["constant", "cosine", "linear"]
    end_learning_rate: float = 0.0
    warmup_epochs: float = 0.0
    weight_decay: float = 0.0
    decay_vectors: bool = False
    layer_decay: float | None = None
    loss: Literal["softmax", "sigmoid"] = "softmax"
    label_smoothing: float = 0.0
    diversity: float = 0.0
    augmentation: Augmentation = Augmentation()
    clips: ClipSampling | None = None
    distillation: Distillation | None = None
    ema_decay: float | None = None
    gradient_clip: float | None = None
    holdout: int = 0
    keep: Literal["last", "best"] = "last"
    fresh_weights: Literal["flax", "keras"] = "flax"
    seed: int = 0
    weights_dtype: Literal["float32", "float16"] = "float32"

    def __post_init__(self) -> None:
        for choice in fields(self):
            options, value = get_args(choice.type), getattr(self, choice.name)
            if get_origin(choice.type) is Literal and value not in options:
                wanted = ", ".join(map(repr, options))
                raise ConfigError(f"{choice.name} is {value!r}; wanted one of {wanted}")
        if self.dataset and self.dataset not in DATASETS:
            raise ConfigError(
                f"dataset is {self.dataset!r}; wanted one of {', '.join(DATASETS)}, or none for "
                "any data"
            )
        if (self.optimizer == "muon") != (self.muon_learning_rate > 0):
            raise ConfigError(
                f"optimizer={self.optimizer!r} with muon_learning_rate="
                f"{self.muon_learning_rate}; Muon needs a rate, and the others have none"
            )
        if self.batch_size < 1 or not 0 < self.learning_rate < math.inf:
            raise ConfigError(
                f"batch_size={self.batch_size} with learning_rate={self.learning_rate}; wanted a "
                "photo or more in a step and a rate above 0"
            )
        _check_ranges(self)
        if self.diversity and self.model.token_learner is None:
            raise ConfigError(
                f"diversity={self.diversity}; wanted 0 (--diversity 0 in the shell), or a model "
                "with a TokenLearner"
            )
        if isinstance(self.model, ClipConfig) != (self.clips is not None):
            raise ConfigError(
                f"clips={self.clips} with a {type(self.model).__name__}; a model of clips needs "
                "clip sampling, and one of photos has none"
            )
        if self.clips is not None and self.augmentation.rand_augment is not None:
            raise ConfigError("RandAugment is for photos; leave it out of a recipe for clips")
        if self.clips is not None and self.clips.frames_per_s is not None and self.canvas:
            raise ConfigError(
                f"{self.clips.frames_per_s:g} frames per second of clips that lie in memory, where "
                "they are evenly spaced; set canvas=None, which decodes them at each use"
            )
        if self.keep == "best" and not self.holdout:
            raise ConfigError(
                f"the recipe {self.name} has keep='best', which needs held-out photos; raise "
                "holdout (--holdout in the shell), or set keep='last'"
            )
        has_positions = not isinstance(self.model, ConvVideoConfig)
        if has_positions and (self.stages[-1][1],) * 2 != self.model.image_size:
            raise ConfigError(
                f"the last stage trains at {self.stages[-1][1]} px, "
                f"but the model is made for {self.model.image_size}"
            )

    @property
    def epochs(self) -> int:
        """Passes over the training photos."""
        return sum(epochs for epochs, _ in self.stages)

    def image_side_px(self, epoch: int) -> int:
        """Returns the side of training photos in the zero-based `epoch`."""
        for epochs, side in self.stages:
            if epoch < epochs:
                return side
            epoch -= epochs
        return self.stages[-1][1]

    def build(self) -> VisionTransformer | ClipModel:
        """Returns the model with random weights.

        Raises:
            ConfigError: If it is one of timm's, which only exists to start from.
        """
        if isinstance(self.model, TimmConfig):
            raise ConfigError(
                f"the recipe {self.name} trains a timm model; give the model to start from"
            )
        if isinstance(self.model, VideoVisionTransformerConfig):
            model = VideoVisionTransformer(self.model)
        elif isinstance(self.model, ConvVideoConfig):
            model = ConvVideoNetwork(self.model)
        else:
            model = VisionTransformer(self.model)
        if self.fresh_weights == "keras":
            draw_keras_defaults(model)
        return model


def _check_ranges(recipe: Recipe) -> None:
    """Raises `ConfigError` for what is out of its range; NaN always is."""
    if not recipe.stages or not all(min(stage) >= 1 for stage in recipe.stages):
        raise ConfigError(
            f"stages is {recipe.stages}; wanted (epochs, image side in pixels) once or more, both "
            "at least 1"
        )

    def check(wanted: str, fits: Callable[[float], bool], *names: str) -> None:
        for name in names:
            value = getattr(recipe, name)
            if value is not None and not fits(value):
                raise ConfigError(f"{name} is {value}; wanted {wanted}")

    check("0 or more", lambda value: value >= 0, "holdout")
    check(
        "0 or more, and finite",
        lambda value: 0 <= value < math.inf,
        *("muon_learning_rate", "warmup_epochs", "weight_decay", "diversity"),
    )
    check(
        f"0 to the peak, {recipe.learning_rate}",
        lambda value: 0 <= value <= recipe.learning_rate,
        "end_learning_rate",
    )
    check("0 to 1", lambda value: 0 <= value <= 1, "label_smoothing", "ema_decay")
    check("above 0 and up to 1", lambda value: 0 < value <= 1, "layer_decay")
    check("above 0, or None", lambda value: value > 0, "gradient_clip")
    check("0 to 2**63 - 1", lambda value: 0 <= value < 2**63, "seed")
