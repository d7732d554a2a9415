"""A converted model becomes an ordinary model folder, with classes and preprocessing."""

import json
import os
import shutil
from pathlib import Path

from tokenlearner.checkpoints import load_model, save_model
from tokenlearner.errors import ConfigError, ConversionError
from tokenlearner.models import VideoVisionTransformer, VisionTransformer
from tokenlearner.models.imagenet import NUM_CLASSES, imagenet_names
from tokenlearner.models.info import read_class_names
from tokenlearner.preprocess import Preprocessing


def write_folder(out: Path, model: VisionTransformer | VideoVisionTransformer) -> str:
    """Writes a model folder, whole or not at all, opens it again and returns its weights' sha256.

    Raises:
        ConversionError: If something is already there.
        CheckpointError: If what was written does not open, for values that are not finite say.
    """
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise ConversionError(f"{out} already exists; name a new folder")
    out.parent.mkdir(parents=True, exist_ok=True)
    temporary = out.with_name(f".{out.name}.{os.getpid()}.new")
    try:
        save_model(temporary, model)
        info = load_model(temporary).info
        assert info is not None
        if out.is_dir():
            out.rmdir()
        os.replace(temporary, out)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    return info.sha256


def name_classes(num_classes: int, file: Path | None) -> tuple[str, ...]:
    """Returns a name for each class: from a file, of ImageNet where there are 1000, or by number.

    Args:
        num_classes: Number of classes.
        file: As `read_class_names` takes it.

    Raises:
        ConfigError: As `read_class_names`.
        ConversionError: If it holds another number of names.
    """
    if file is not None:
        names = read_class_names(file)
        if len(names) != num_classes:
            raise ConversionError(f"{file}: got {len(names)} names, expected {num_classes}")
        return names
    if num_classes == NUM_CLASSES:
        return imagenet_names()
    return tuple(f"class {index}" for index in range(num_classes))


def scenic_preprocessing(image_size: tuple[int, int]) -> Preprocessing:
    """Returns the preprocessing of Scenic's ImageNet: the centre, 32 px short of the whole.

    Source: dataset_lib/imagenet_dataset.py of google-research/scenic.
    """
    side = min(image_size)
    return Preprocessing(
        image_size=image_size,
        mean=(0.485, 0.456, 0.406),
        std=(0.229, 0.224, 0.225),
        resize="crop",
        crop_ratio=side / (side + 32),
        interpolation="bicubic",
    )


def scenic_clip_preprocessing(image_size: tuple[int, int]) -> Preprocessing:
    """Returns the preprocessing of every frame of Scenic's clips: the centre, scaled to -1..1.

    At 224 px the shorter side is resized to 256 first.

    Source: projects/vivit/data/video_tfrecord_dataset.py of google-research/scenic.
    """
    return Preprocessing(
        image_size=image_size,
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
        resize="crop",
        crop_ratio=224 / 256,
        interpolation="bilinear",
    )


def read_preprocessing(file: Path) -> Preprocessing:
    """Reads what `dataclasses.asdict` makes of a `Preprocessing`, as JSON.

    Raises:
        ConversionError: If it is none.
    """
    try:
        values = json.loads(file.read_bytes())
        return Preprocessing.from_dict(values)
    except (OSError, ValueError, TypeError, RecursionError, ConfigError) as error:
        raise ConversionError(f"{file} holds no preprocessing: {error}") from error
