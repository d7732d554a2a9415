"""A photo through a model, and everything worth knowing about it in one object."""

import io
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tokenlearner.checkpoints import ImageModel, write_whole
from tokenlearner.efficiency.flops import Stage
from tokenlearner.efficiency.timm_flops import count_model
from tokenlearner.errors import ConfigError, TokenLearnerError
from tokenlearner.media.images import Image, read_image
from tokenlearner.preprocess import Geometry, prepare

FORMAT = "tokenlearner-explanation/2"


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class LearnerMaps:
    """What one TokenLearner did with a photo.

    Attributes:
        block: Zero-based index of the first block that saw the learned tokens.
        version: `1.0` (each value 0..1 on its own), `1.1` or `grouped` (each map sums to 1).
        maps: Attention of each token, `[token, rows, columns]`, true magnitudes.
        tokens: The learned tokens, `[token, dim]`.
    """

    block: int
    version: str
    maps: NDArray[np.float32]
    tokens: NDArray[np.float32]


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Explanation:
    """A photo, a model's answer to it, and how the model came to it.

    Attributes:
        model_name: Name of the model.
        weights_sha256: Checksum of its weights file; empty for a model made by hand.
        image: The photo, RGB, uint8 `[height, width, 3]`.
        geometry: Which part of the photo the model saw.
        class_names: Name of each answer.
        probabilities: Of each answer, float32 `[classes]`.
        learners: One entry per TokenLearner in order of use; empty for a baseline.
        stages: What each part of the model cost for this photo, in multiply-accumulates.
        num_parameters: Of the model.
        trained: Whether the weights were trained; false means random.
        untrained_parts: Parts with random weights beside trained ones: `TokenLearner`, `head`.
    """

    model_name: str
    weights_sha256: str
    image: NDArray[np.uint8]
    geometry: Geometry
    class_names: tuple[str, ...]
    probabilities: NDArray[np.float32]
    learners: tuple[LearnerMaps, ...]
    stages: tuple[Stage, ...]
    num_parameters: int
    trained: bool
    untrained_parts: tuple[str, ...] = ()

    @property
    def predictions(self) -> list[tuple[str, float]]:
        """Answers and their probabilities, the most probable first."""
        order = np.argsort(-self.probabilities, kind="stable")
        return [(self.class_names[index], float(self.probabilities[index])) for index in order]

    @property
    def maps(self) -> NDArray[np.float32]:
        """The maps of the first TokenLearner, `[token, rows, columns]`.

        Raises:
            ConfigError: If the model has none.
        """
        if not self.learners:
            raise ConfigError(f"{self.model_name} has no TokenLearner, so there are no maps")
        return self.learners[0].maps

    @property
    def macs(self) -> int:
        """Multiply-accumulates for this photo."""
        return sum(stage.macs for stage in self.stages)

    @property
    def tokens_per_layer(self) -> tuple[int, ...]:
        """How many tokens each transformer block worked on."""
        return tuple(stage.tokens for stage in self.stages if stage.kind == "block")

    def save(self, path: str | Path) -> None:
        """Writes everything to one `.npz` file."""
        write_whole(Path(path), self.to_npz())

    def to_npz(self) -> bytes:
        """Returns the content of the `.npz` file that `save` writes."""
        about: dict[str, Any] = {
            "format": FORMAT,
            "model_name": self.model_name,
            "weights_sha256": self.weights_sha256,
            "geometry": asdict(self.geometry),
            "class_names": self.class_names,
            "learners": [{"block": m.block, "version": m.version} for m in self.learners],
            "stages": [asdict(stage) for stage in self.stages],
            "num_parameters": self.num_parameters,
            "trained": self.trained,
            "untrained_parts": self.untrained_parts,
        }
        arrays: dict[str, NDArray[Any]] = {
            "about": np.array(json.dumps(about)),
            "image": self.image,
            "probabilities": self.probabilities,
        }
        for index, learner in enumerate(self.learners):
            arrays[f"maps_{index}"] = learner.maps
            arrays[f"tokens_{index}"] = learner.tokens
        buffer = io.BytesIO()
        np.savez_compressed(buffer, allow_pickle=False, **arrays)
        return buffer.getvalue()

    @classmethod
    def load(cls, path: str | Path) -> "Explanation":
        """Reads what `save` wrote.

        Raises:
            TokenLearnerError: If the file is missing, broken or something else.
        """
        try:
            # Read first: NumPy leaves a file open that it finds to be broken.
            content = io.BytesIO(Path(path).read_bytes())
            with np.load(content, allow_pickle=False) as arrays:
                about = json.loads(str(arrays["about"]))
                if about["format"] != FORMAT:
                    raise ValueError(f"its format is {about['format']!r}")
                geometry = {name: tuple(value) for name, value in about["geometry"].items()}
                return cls(
                    model_name=about["model_name"],
                    weights_sha256=about["weights_sha256"],
                    image=arrays["image"],
                    geometry=Geometry(**geometry),
                    class_names=tuple(about["class_names"]),
                    probabilities=arrays["probabilities"],
                    learners=tuple(
                        LearnerMaps(
                            **facts, maps=arrays[f"maps_{index}"], tokens=arrays[f"tokens_{index}"]
                        )
                        for index, facts in enumerate(about["learners"])
                    ),
                    stages=tuple(Stage.from_dict(stage) for stage in about["stages"]),
                    num_parameters=about["num_parameters"],
                    trained=about["trained"],
                    untrained_parts=tuple(about.get("untrained_parts", ())),
                )
        except Exception as error:  # broken archives make their readers raise nearly anything
            raise TokenLearnerError(
                f"{path} is no explanation that this version can read ({error}); "
                "make it again with tokenlearner.explain or `tokenlearner explain`"
            ) from error


def explain(model: ImageModel, image: Image | NDArray[np.uint8] | str | Path) -> Explanation:
    """Runs a photo through a model, where the model is, and keeps what the model looked at.

    Args:
        model: From `tokenlearner.load`, or made by hand with its `info` set.
        image: A photo: from `read_image`, as RGB uint8 `[height, width, 3]`, or a file's path.

    Raises:
        ConfigError: If the model does not know its preprocessing and classes, or is training.
        MediaError: If a file cannot be used.
    """
    info = model.info
    if info is None:
        raise ConfigError(
            "this model has no info, so its preprocessing and classes are unknown; set model.info"
        )
    if model.training:
        raise ConfigError(
            "this model is in training mode, where answers are random; call model.eval()"
        )
    if isinstance(image, str | Path):
        image = read_image(image)
    pixels = image.pixels if isinstance(image, Image) else image
    inputs, geometry = prepare(pixels, info.preprocessing)
    with torch.inference_mode():
        trace = model.trace(inputs.to(next(model.parameters()).device))
    learner_config = model.config.token_learner
    learners = tuple(
        LearnerMaps(
            block=learner.block,
            version="" if learner_config is None else learner_config.version,
            maps=learner.maps[0].float().cpu().numpy(),
            tokens=learner.tokens_after[0].float().cpu().numpy(),
        )
        for learner in trace.learners
    )
    rows, columns = trace.grid
    patch_height, patch_width = model.config.patch_size
    input_size = (inputs.shape[2], inputs.shape[3])
    return Explanation(
        model_name=info.name,
        weights_sha256=info.sha256,
        image=pixels,
        geometry=geometry.trim((rows * patch_height, columns * patch_width)),
        class_names=info.class_names,
        probabilities=trace.logits[0].float().softmax(dim=0).cpu().numpy(),
        learners=learners,
        stages=count_model(model, image_size=input_size).stages,
        num_parameters=sum(parameter.numel() for parameter in model.parameters()),
        trained=info.provenance is not None,
        untrained_parts=info.untrained_parts,
    )
