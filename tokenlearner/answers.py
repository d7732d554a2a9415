"""What explanations of photos and of clips have in common, and how they are kept in a file."""

import io
import json
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray

from tokenlearner.checkpoints import AnyModel
from tokenlearner.efficiency.flops import Stage
from tokenlearner.errors import ConfigError, TokenLearnerError
from tokenlearner.geometry import Geometry
from tokenlearner.models.info import ModelInfo, name_random_parts
from tokenlearner.storage import write_whole

AnyAnswer = TypeVar("AnyAnswer", bound="Answer")


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class LearnerMaps:
    """What one TokenLearner did with a photo or a clip.

    Attributes:
        block: Zero-based index of the first block that saw the learned tokens.
        version: `1.0` (each value 0..1 on its own), `1.1` or `grouped` (each map sums to 1).
        maps: Attention of each token, `[token, rows, columns]`, true magnitudes; of a clip step by
            step, `[step, token, rows, columns]`.
        tokens: The learned tokens, `[token, dim]`; of a clip `[step, token, dim]`.
    """

    block: int
    version: str
    maps: NDArray[np.float32]
    tokens: NDArray[np.float32]

    def of_one(self, index: int) -> "LearnerMaps":
        """Returns a copy of one photo's or clip's, where the first axis counts these."""
        return replace(self, maps=self.maps[index].copy(), tokens=self.tokens[index].copy())


@dataclass(frozen=True, eq=False, repr=False, kw_only=True, slots=True)
class Answer:
    """A model's predictions for an input, and how the model came to them.

    Attributes:
        model_name: Name of the model.
        weights_sha256: Checksum of the weights file that the model was read from, even if the model
            was changed since; empty for a model made by hand.
        geometry: Which part of the picture the model saw.
        class_names: Name of each class.
        probabilities: Probability of each class, float32 `[classes]`; they add up to 1 unless
            several classes can be right at once.
        learners: One entry per TokenLearner in order of use; empty for a baseline.
        stages: Cost of each part of the model for the whole input, in multiply-accumulates.
        num_parameters: Number of parameters of the model.
        trained: Whether the weights were trained; false means random.
        untrained_parts: Parts still randomly initialised in an otherwise trained model:
            `TokenLearner`, `head`.
    """

    _FORMAT: ClassVar[str]
    _RECORDS: ClassVar[dict[str, type[Any]]] = {"geometry": Geometry}

    model_name: str
    weights_sha256: str
    geometry: Geometry
    class_names: tuple[str, ...]
    probabilities: NDArray[np.float32]
    learners: tuple[LearnerMaps, ...]
    stages: tuple[Stage, ...]
    num_parameters: int
    trained: bool
    untrained_parts: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """One line; arrays and a thousand names would fill the screen."""
        name, probability = self.predictions[0]
        maps = ", ".join("×".join(map(str, learner.maps.shape)) for learner in self.learners)
        return (
            f"<{type(self).__name__} by {self.model_name}: {name} {100 * probability:.1f} %, "
            f"{f'maps {maps}' if maps else 'no maps'}>"
        )

    @property
    def predictions(self) -> list[tuple[str, float]]:
        """Class names and probabilities, the most probable first."""
        order = np.argsort(-self.probabilities, kind="stable")
        return [(self.class_names[index], float(self.probabilities[index])) for index in order]

    @property
    def random_parts(self) -> str:
        """Which weights are random, as a label beside the model's name; empty if none are."""
        return name_random_parts(self.trained, self.untrained_parts)

    @property
    def maps(self) -> NDArray[np.float32]:
        """The maps of the first TokenLearner, float32, as its entry in `learners` describes them.

        `[token, height, width]` of a photo, `[step, token, height, width]` of a clip: what each
        token takes from each cell, 0 to 1.

        Raises:
            ConfigError: If the model has none.
        """
        return self.learner().maps

    def learner(self, index: int = 0) -> LearnerMaps:
        """Returns the entry of one TokenLearner.

        Args:
            index: Which of the model's TokenLearners, counted from 0.

        Raises:
            ConfigError: If the model has no such learner.
        """
        count = len(self.learners)
        if not count:
            raise ConfigError(
                f"{self.model_name} has no TokenLearner, so there are no maps; choose a model that "
                "has one"
            )
        if not 0 <= index < count:
            raise ConfigError(
                f"learner {index} was asked for, but {self.model_name} has {count}; choose "
                + ("0" if count == 1 else f"0 to {count - 1}")
            )
        return self.learners[index]

    @property
    def macs(self) -> int:
        """Multiply-accumulates for all that is shown here."""
        return sum(stage.macs for stage in self.stages)

    @property
    def tokens_per_layer(self) -> tuple[int, ...]:
        """How many tokens each transformer block worked on."""
        return tuple(stage.tokens for stage in self.stages if stage.kind == "block")

    def save(self, path: str | Path) -> None:
        """Writes everything to one `.npz` file, in a folder that is made if it is missing.

        Raises:
            TokenLearnerError: If it cannot be written.
        """
        try:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            write_whole(Path(path), self.to_npz())
        except OSError as error:
            raise TokenLearnerError(f"cannot write {path}: {error.strerror}") from error

    def to_npz(self) -> bytes:
        """Returns the content of the `.npz` file that `save` writes.

        Arrays are stored under the names of their fields, `maps_0`, `tokens_0`, `maps_1`, ... for
        the learners; the rest is JSON, under `about`.
        """
        about: dict[str, Any] = {"format": self._FORMAT}
        arrays: dict[str, NDArray[Any]] = {}
        for name, value in ((field.name, getattr(self, field.name)) for field in fields(self)):
            if isinstance(value, np.ndarray):
                arrays[name] = value
            elif name != "learners":
                about[name] = value
        about["learners"] = [{"block": m.block, "version": m.version} for m in self.learners]
        for index, learner in enumerate(self.learners):
            arrays[f"maps_{index}"] = learner.maps
            arrays[f"tokens_{index}"] = learner.tokens
        buffer = io.BytesIO()
        arrays["about"] = np.array(json.dumps(about, default=asdict))
        np.savez_compressed(buffer, allow_pickle=False, **arrays)
        return buffer.getvalue()

    @classmethod
    def load(cls: type[AnyAnswer], path: str | Path) -> AnyAnswer:
        """Reads what `save` wrote.

        Raises:
            TokenLearnerError: If the file is missing, broken or something else.
        """
        try:
            # Read first: NumPy leaves a file open that it finds to be broken.
            content = io.BytesIO(Path(path).read_bytes())
        except OSError as error:
            raise TokenLearnerError(f"cannot read {path}: {error.strerror}") from error
        try:
            with np.load(content, allow_pickle=False) as arrays:
                about = json.loads(str(arrays["about"]))
                if (found := about.pop("format")) != cls._FORMAT:
                    kinds = {kind._FORMAT: kind.__name__ for kind in Answer.__subclasses__()}
                    if kind := kinds.get(found):
                        raise TokenLearnerError(
                            f"{path} holds an object of {kind}, not of {cls.__name__}; open it "
                            f"with tokenlearner.{kind}.load"
                        )
                    raise ValueError(f"its format is {found!r}; wanted {cls._FORMAT!r}")
                values = {name: _with_tuples(value) for name, value in about.items()}
                for name, record in cls._RECORDS.items():
                    values[name] = record(**values[name])
                values["stages"] = tuple(map(Stage.from_dict, values["stages"]))
                values["learners"] = tuple(
                    LearnerMaps(
                        **facts, maps=arrays[f"maps_{index}"], tokens=arrays[f"tokens_{index}"]
                    )
                    for index, facts in enumerate(values["learners"])
                )
                own = {field.name for field in fields(cls)}
                values |= {name: arrays[name] for name in arrays.files if name in own}
                return cls(**values)
        except TokenLearnerError:
            raise
        except Exception as error:  # broken archives make their readers raise nearly anything
            raise TokenLearnerError(
                f"{path} is not an explanation that this version can read ({error}); make it again "
                "with `tokenlearner explain`"
            ) from error


def _with_tuples(value: Any) -> Any:
    """Undoes what JSON does to tuples."""
    if isinstance(value, dict):
        return {name: _with_tuples(part) for name, part in value.items()}
    return tuple(map(_with_tuples, value)) if isinstance(value, list) else value


def info_of(model: AnyModel) -> ModelInfo:
    """Returns what is known about a model that can be asked.

    Raises:
        ConfigError: If the model does not know its preprocessing and classes, or is training.
    """
    info = model.require_info()
    if model.training:
        raise ConfigError(
            "this model is in training mode, where answers are random; call model.eval()"
        )
    return info


def facts_of(model: AnyModel) -> dict[str, Any]:
    """Returns the fields of an `Answer` that do not depend on what a model is shown."""
    info = info_of(model)
    return {
        "model_name": info.name,
        "weights_sha256": info.sha256,
        "class_names": info.class_names,
        "num_parameters": sum(parameter.numel() for parameter in model.parameters()),
        "trained": info.provenance is not None,
        "untrained_parts": info.untrained_parts,
    }
