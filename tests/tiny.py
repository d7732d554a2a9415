"""Data sets, recipes and models that are small enough to train in a test."""

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from PIL import Image as PillowImage

from tokenlearner.media.videos import Clip, ClipFacts
from tokenlearner.models import (
    ConvVideoConfig,
    ConvVideoNetwork,
    ModelInfo,
    TokenLearnerConfig,
    VideoVisionTransformer,
    VideoVisionTransformerConfig,
    VisionTransformer,
    VisionTransformerConfig,
)
from tokenlearner.models.info import Provenance
from tokenlearner.preprocess import Preprocessing
from tokenlearner.training.augment import Augmentation
from tokenlearner.training.recipes import Recipe

CLASSES = ("red", "green", "blue")


def photo(label: int, seed: int, *, size: tuple[int, int] = (16, 16), kind: str = "PNG") -> bytes:
    """A noisy picture in the colour of its class, of height and width `size`."""
    pixels = np.random.default_rng(seed).integers(0, 120, (*size, 3), dtype=np.uint8)
    pixels[:, :, label] += 130
    buffer = io.BytesIO()
    PillowImage.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()


def clip(frames: np.ndarray, *, fps: float = 10.0) -> Clip:
    """A clip of these frames, uint8 `[time, height, width, 3]`, that no file was needed for."""
    height, width = frames.shape[1:3]
    facts = ClipFacts(
        duration_s=len(frames) / fps,
        fps=fps,
        width_px=width,
        height_px=height,
        codec="h264",
        container="MP4 video",
        has_audio=False,
        num_frames=len(frames),
    )
    return Clip(
        frames=frames, times_s=np.arange(len(frames)) / fps, facts=facts, notes=("turned upright",)
    )


def write_parquet(
    file: Path,
    images: Sequence[bytes | None],
    labels: Sequence[Any],
    *,
    features: dict[str, Any] | None = None,
    label_type: pa.DataType | None = None,
) -> Path:
    """Writes a file as the Hugging Face `datasets` library lays it out; makes its folder."""
    if features is None:
        features = {
            "img": {"_type": "Image"},
            "label": {"names": list(CLASSES), "_type": "ClassLabel"},
        }
    image_type = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    entries = [{"bytes": data, "path": f"{row}.png"} for row, data in enumerate(images)]
    label_array = pa.array(labels, label_type or pa.int64())
    table = pa.table({"img": pa.array(entries, image_type), "label": label_array})
    about = json.dumps({"info": {"features": features}})
    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table.replace_schema_metadata({"huggingface": about}), file)
    return file


def write_dataset(
    folder: Path, *, train: int = 24, test: int = 9, size: tuple[int, int] = (16, 16)
) -> Path:
    """Writes a data set with both splits and returns its folder."""
    for split, count, first in (("train", train, 0), ("test", test, 1000)):
        labels = [row % len(CLASSES) for row in range(count)]
        images = [photo(label, first + row, size=size) for row, label in enumerate(labels)]
        write_parquet(folder / f"{split}-00000-of-00001.parquet", images, labels)
    return folder


def write_files(folder: Path, files: Mapping[str, bytes]) -> Path:
    """Writes files by their paths in a folder, which it makes and returns."""
    for name, content in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    return folder


def config(*, learner: bool = True) -> VisionTransformerConfig:
    """A model with a stem, dropout and, unless told otherwise, a learner of 2 tokens."""
    return VisionTransformerConfig(
        image_size=(16, 16),
        num_classes=len(CLASSES),
        dim=8,
        depth=2,
        num_heads=2,
        mlp_dim=16,
        patch_size=(4, 4),
        stem_widths=(4,),
        token_learner=TokenLearnerConfig(num_tokens=2, at=1, bottleneck_dim=4) if learner else None,
        dropout=0.1,
        attention_dropout=0.1,
    )


def recipe(**changes: Any) -> Recipe:
    """A recipe that uses everything the trainer can do; three steps of 6 photos per epoch."""
    settings: dict[str, Any] = {
        "name": "imagenette-tiny",
        "dataset": "imagenette",
        "model": config(),
        "preprocessing": preprocessing(),
        "canvas": (16, 16),
        "stages": ((3, 12), (2, 16)),
        "batch_size": 6,
        "learning_rate": 3e-3,
        "schedule": "cosine",
        "warmup_epochs": 1,
        "weight_decay": 0.05,
        "label_smoothing": 0.1,
        "augmentation": Augmentation(area=(0.5, 1.0), aspect=4 / 3, colour=0.3, mixup=0.2),
        "ema_decay": 0.9,
        "gradient_clip": 1.0,
        "holdout": 6,
        "weights_dtype": "float16",
    }
    return Recipe(**(settings | changes))


def preprocessing() -> Preprocessing:
    """Squashes to 16 px."""
    return Preprocessing(
        image_size=(16, 16), mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25), resize="squash"
    )


def model(*, learner: bool = True, trained: bool = True, name: str = "tiny") -> VisionTransformer:
    """A model with random weights, also in its head, that claims to be trained if asked to."""
    network = VisionTransformer(config(learner=learner))
    assert network.head is not None
    torch.nn.init.normal_(network.head.weight)
    provenance = Provenance(
        trained_on="Imagenette",
        data_licence="licence of the photos",
        weights_licence="Apache-2.0",
        recipe="imagenette-tiny",
        command="tokenlearner train imagenette-tiny --data tiny --out runs/imagenette-tiny",
        hardware="a test machine, 2 cores",
        hours=1.5,
        date="2026-01-31",
        epochs=5,
        seed=0,
        versions={"torch": "2.6.0"},
    )
    network.info = ModelInfo(
        name=name,
        class_names=CLASSES,
        preprocessing=preprocessing(),
        provenance=provenance if trained else None,
    )
    return network.eval()


def clip_config(*, learner: bool = True) -> VideoVisionTransformerConfig:
    """Two time steps of two frames."""
    image = config(learner=learner)
    fields = {name: getattr(image, name) for name in image.to_dict()}
    return VideoVisionTransformerConfig(**fields, num_frames=4)


def clip_model(*, learner: bool = True, name: str = "tiny-clips") -> VideoVisionTransformer:
    """A model for clips with random weights, also in its head."""
    network = VideoVisionTransformer(clip_config(learner=learner))
    assert network.head is not None
    torch.nn.init.normal_(network.head.weight)
    network.info = ModelInfo(name=name, class_names=CLASSES, preprocessing=preprocessing())
    return network.eval()


def conv_config() -> ConvVideoConfig:
    """A convolutional network for clips of four frames, with two learned tokens in each."""
    learner = TokenLearnerConfig(num_tokens=2, at=1, version="1.0", fuser=True, bottleneck_dim=4)
    return ConvVideoConfig(
        num_classes=len(CLASSES),
        image_size=(16, 16),
        num_frames=4,
        widths=(4, 8),
        depths=(1, 2),
        head_dim=16,
        token_learner=learner,
    )


def conv_model(*, name: str = "tiny-conv") -> ConvVideoNetwork:
    """A convolutional network for clips with random weights."""
    network = ConvVideoNetwork(conv_config())
    network.info = ModelInfo(name=name, class_names=CLASSES, preprocessing=preprocessing())
    return network.eval()
