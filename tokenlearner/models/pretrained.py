"""What every model can do with folders and the Hub."""

import hashlib
import re
import tempfile
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, Literal, TypeVar

import torch
from torch import nn

from tokenlearner.errors import CheckpointError, ConfigError
from tokenlearner.models.info import ModelInfo
from tokenlearner.models.short_card import quoted, short_card
from tokenlearner.storage import (
    CARD_FILE,
    CONFIG_FILE,
    HUB_PREFIX,
    METRICS_FILE,
    WEIGHTS_FILE,
    ModelFolder,
    check_weights,
    read_folder,
    read_repository,
    refuse_revision,
    write_folder,
    write_whole,
)

# Far more than any model has; building more would take long, for nothing.
_MOST_BLOCKS = 1_000
_MOST_FRAMES = 100_000
_MOST_STAGES = 16
_MOST_PIXELS = 16_384

_REPOSITORY = re.compile(rf"(?:{HUB_PREFIX})?[\w.-]+/[\w.-]+(?:@.*)?")
_LOAD = re.compile(rb'(?<=tokenlearner\.)load\("(?:[^"\\\n]|\\.)*"\)')

# Names of parameters, in our models and in timm's, with the layer that each belongs to; (99999,) is
# timm's sign for the layer before.
_LAYERS = {
    "stem": r"(?:\w+\.)?"
    r"(?:stem|embedding|position_embedding|patch_embed|pos_embed|norm_pre|\w+_token)(?:\.|$)",
    "blocks": [
        (r"(?:\w+\.)?(?:blocks|learners|fusers)\.(\d+)\.", None),
        (r"(?:encoder|backbone)\.norm\.", (99999,)),
    ],
}

Model = TypeVar("Model", bound="PretrainedModel")


class PretrainedModel(nn.Module, ABC):
    """A model that folders and the Hub can hold.

    The methods are those of `huggingface_hub.PyTorchModelHubMixin`, without being one: the mixin
    keeps another `config.json`, and huggingface_hub is not needed to import this library.

    Attributes:
        takes: `image` or `video`.
        cells: How its grids lie on a picture; see `Geometry.cells`.
        info: Name, class names, preprocessing and origin; None for a model made by hand.
        folder: Where it was read from, here on this machine; None for a model made by hand.
    """

    takes: str = "image"
    cells: Literal["even", "strided"] = "even"
    info: ModelInfo | None = None
    folder: Path | None = None
    config: Any  # every class has its own
    _how_to_describe = "set model.info to a tokenlearner.ModelInfo"

    @abstractmethod
    def architecture(self) -> dict[str, Any]:
        """Returns JSON-able data that `build` makes the same model of, weights apart."""

    @classmethod
    @abstractmethod
    def build(cls: type[Model], architecture: dict[str, Any], *, device: str = "cpu") -> Model:
        """Makes the model that `architecture` describes, with random weights.

        Args:
            architecture: As `architecture()` returns it.
            device: Where to; on `meta` without storage.

        Raises:
            ConfigError: If there is no such model.
        """

    def require_info(self) -> ModelInfo:
        """Returns `info`.

        Raises:
            ConfigError: If there is none, or it does not name each of the model's answers.
        """
        if self.info is None:
            raise ConfigError(
                f"this model has no info (name, classes, preprocessing); {self._how_to_describe}"
            )
        names, answers = len(self.info.class_names), self.config.num_classes
        if names != answers:
            raise ConfigError(
                f"{self.info.name} gives {answers:,} answers, but its info names {names:,} "
                "classes; wanted a name for each"
            )
        return self.info

    def group_matcher(self, coarse: bool = False) -> dict[str, Any]:
        """Returns which layer each parameter belongs to, as timm's functions take it.

        The embedding, or stem, is the first layer and the head the last. A learner belongs to the
        block that follows it, a fuser to the one before it, and the norm at the end to the last
        block. `timm.optim.param_groups_layer_decay` asks for this.

        Args:
            coarse: As in timm, whose vision transformers know no coarser layers either.
        """
        return _LAYERS

    def write(self, folder: str | Path, *, dtype: torch.dtype = torch.float32) -> None:
        """Writes `config.json` and `model.safetensors`; see `checkpoints.save_model`."""
        about = self.require_info().to_dict()
        architecture, weights = self.architecture(), self.state_dict()
        try:
            again = type(self).build(architecture, device="meta").state_dict()
        except ConfigError as error:
            raise CheckpointError(f"this model could not be reloaded: {error}") from error
        if {k: v.shape for k, v in weights.items()} != {k: v.shape for k, v in again.items()}:
            raise CheckpointError(
                "this model is not what its configuration describes: it was changed since, "
                "and could not be reloaded"
            )
        config = {**about, "kind": type(self).__name__, "architecture": architecture}
        write_folder(folder, config, weights, dtype=dtype)

    @classmethod
    def from_files(cls: type[Model], files: ModelFolder) -> Model:
        """Makes the model of what was read from a folder; see `checkpoints.load_model`."""
        origin = files.path / CONFIG_FILE
        try:
            architecture = files.config["architecture"]
            sizes = {**architecture, **architecture.get("arguments", {})}
            wanted = (
                (sizes.get("depth", 0), "blocks", _MOST_BLOCKS),
                (sum(sizes.get("depths", ())), "blocks", _MOST_BLOCKS),
                (len(sizes.get("depths", ())), "stages", _MOST_STAGES),
                (sizes.get("num_frames", 0), "frames", _MOST_FRAMES),
                (max(files.config["preprocessing"]["image_size"]), "pixels a side", _MOST_PIXELS),
            )
            for size, things, limit in wanted:
                if size > limit:
                    raise CheckpointError(
                        f"{origin} asks for {size:,} {things}, over the limit of {limit:,}"
                    )
            model = cls.build(architecture, device="meta")
            info = ModelInfo.from_dict(files.config, source=files.source, sha256=files.sha256)
        except KeyError as error:
            raise CheckpointError(f"{origin} lacks {error}") from error
        except (AttributeError, OverflowError, RuntimeError, TypeError, ValueError) as error:
            raise CheckpointError(f"{origin} cannot be used: {error}") from error
        num_classes = model.config.num_classes
        if len(info.class_names) != num_classes:
            raise CheckpointError(
                f"{origin} names {len(info.class_names)} classes, but the model has {num_classes}"
            )
        check_weights(files.weights, model.state_dict(), files.path / WEIGHTS_FILE)
        if any(name not in files.weights for name, _ in model.named_buffers()):
            model = cls.build(architecture)  # constants that no file holds
        model.load_state_dict(files.weights, strict=True, assign=True)
        model.info, model.folder = info, files.path
        return model.eval()

    @classmethod
    def from_pretrained(
        cls: type[Model],
        name: str | Path,
        *,
        revision: str | None = None,
        cache_dir: str | Path | None = None,
        force_download: bool = False,
        local_files_only: bool = False,
        token: str | bool | None = None,
    ) -> Model:
        """Loads a model of this class; `tokenlearner.load` loads one of any class.

        Args:
            name: A model folder, or `owner/name` or `owner/name@revision` on the Hugging Face Hub.
            revision: Branch, tag or commit on the Hub; by default `main`. The other options, too,
                are for models there.
            cache_dir: The Hub's local cache, if not the usual one.
            force_download: Download again what is in the cache.
            local_files_only: Take from the cache alone.
            token: Access token for private repositories; by default the one of `hf auth login`.

        Returns:
            The model in eval mode on the CPU, with its `info`.

        Raises:
            CheckpointError: If there is no such model, its files are not what they should be, or it
                is of another class.
        """
        if Path(name).is_dir():
            refuse_revision(revision, of=f"{str(name)!r}, a local folder")
            return cls._of_this_class(read_folder(name))
        if not _REPOSITORY.fullmatch(str(name)):
            raise CheckpointError(
                f"{str(name)!r} is neither a local folder nor an owner/name on the Hugging Face "
                "Hub; tokenlearner.load opens the shipped models by their names"
            )
        files = read_repository(
            str(name),
            revision=revision,
            cache_dir=cache_dir,
            force_download=force_download,
            local_files_only=local_files_only,
            token=token,
        )
        return cls._of_this_class(files)

    @classmethod
    def _of_this_class(cls: type[Model], files: ModelFolder) -> Model:
        kind = cls.kind_of(files)
        if kind != cls.__name__:
            raise CheckpointError(
                f"{files.path} holds a {kind}, no {cls.__name__}; tokenlearner.load opens any"
            )
        return cls.from_files(files)

    @staticmethod
    def kind_of(files: ModelFolder) -> str:
        """Returns the name of the class that a folder holds a model of."""
        if "kind" not in files.config:
            raise CheckpointError(f"{files.path / CONFIG_FILE} lacks 'kind'")
        return str(files.config["kind"])

    def save_pretrained(self, folder: str | Path, *, dtype: torch.dtype = torch.float32) -> None:
        """Writes a model folder with a model card, ready for the Hub.

        Card and metrics are those of the folder or repository that the model was read from, if it
        has them and the weights written are still the same; the card then says how to load the
        model from the new place, and both tell the new file's checksum. Otherwise a short card is
        written.

        Args:
            folder: Created if missing.
            dtype: Number format of the floating-point weights in the file.

        Raises:
            ConfigError: If the model has no `info`, or one that does not fit it.
            CheckpointError: If it could not be built again.
            OSError: If the folder cannot be written.
        """
        self._write_with_card(Path(folder), place=str(folder), dtype=dtype)

    def _write_with_card(self, folder: Path, *, place: str, dtype: torch.dtype) -> None:
        info = self.require_info()
        # Before anything is written: the model may be saved where it was read.
        origin = self.folder if info.source and self._is_as_read(dtype) else None
        card, metrics = (
            file.read_bytes() if origin and (file := origin / name).is_file() else None
            for name in (CARD_FILE, METRICS_FILE)
        )
        self.write(folder, dtype=dtype)
        if card is None:
            write_whole(folder / CARD_FILE, short_card(info, place, takes=self.takes).encode())
            return
        call = f"load({quoted(place)})".encode()
        before = info.sha256.encode()
        now = hashlib.sha256((folder / WEIGHTS_FILE).read_bytes()).hexdigest().encode()
        write_whole(folder / CARD_FILE, _LOAD.sub(lambda _: call, card).replace(before, now))
        if metrics is not None:
            write_whole(folder / METRICS_FILE, metrics.replace(before, now))

    def _is_as_read(self, dtype: torch.dtype) -> bool:
        """Whether the weights, in this format, are those of the folder that they were read from."""
        if self.folder is None:
            return False
        try:
            read = read_folder(self.folder).weights
        except CheckpointError:  # it is not there any more
            return False
        own = self.state_dict()
        # Old files lack some buffers, but none lacks a parameter.
        is_same_model = dict(self.named_parameters()).keys() <= read.keys() <= own.keys()

        def written(value: torch.Tensor) -> torch.Tensor:
            return value.to(dtype if value.is_floating_point() else value.dtype)

        return is_same_model and all(
            torch.equal(written(own[name]).cpu().to(known.dtype), known)
            for name, known in read.items()
        )

    def push_to_hub(
        self,
        repo_id: str,
        *,
        commit_message: str = "Upload a model of tokenlearner",
        private: bool | None = None,
        branch: str | None = None,
        create_pr: bool = False,
        token: str | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> str:
        """Uploads what `save_pretrained` writes, in one commit.

        Args:
            repo_id: `owner/name`; created if there is none.
            commit_message: Message of that commit.
            private: Whether a new repository is private; by default as the owner's settings say.
            branch: Target branch; by default `main`.
            create_pr: Open a pull request instead of changing the branch.
            token: Access token; by default the one of `hf auth login`.
            dtype: Number format of the floating-point weights in the file.

        Returns:
            The address of the commit.

        Raises:
            ConfigError: If the model has no `info`, or one that does not fit it.
            CheckpointError: If it could not be built again, or the Hub refuses.
        """
        from huggingface_hub import HfApi
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError

        with tempfile.TemporaryDirectory() as folder:
            self._write_with_card(Path(folder), place=f"{HUB_PREFIX}{repo_id}", dtype=dtype)
            api = HfApi(token=token)
            try:
                api.create_repo(repo_id, private=private, exist_ok=True)
                commit = api.upload_folder(
                    repo_id=repo_id,
                    folder_path=folder,
                    commit_message=commit_message,
                    revision=branch,
                    create_pr=create_pr,
                    delete_patterns=METRICS_FILE,  # those of earlier weights
                )
            except (HfHubHTTPError, HFValidationError, OSError) as error:
                raise CheckpointError(f"cannot upload to {repo_id}: {error}") from error
        return commit.commit_url
