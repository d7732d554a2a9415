"""Clips, recipes and models of clips that are small enough to train in a test."""

from dataclasses import fields
from io import BytesIO
from pathlib import Path
from typing import Any

import av
import numpy as np

from tests import tiny
from tokenlearner.models import VideoVisionTransformerConfig
from tokenlearner.training.augment import Augmentation
from tokenlearner.training.recipes import ClipSampling, Recipe

CLASSES = ("down", "up")
SIDE_PX, NUM_FRAMES = 32, 12


def moving(label: int, seed: int = 0) -> np.ndarray:
    """Frames of a bright bar that goes down (0) or up (1), uint8 `[time, height, width, 3]`."""
    frames = np.random.default_rng(seed).integers(0, 60, (NUM_FRAMES, SIDE_PX, SIDE_PX, 3))
    for number, frame in enumerate(frames):
        row = 2 * (number if label == 0 else NUM_FRAMES - 1 - number)
        frame[row : row + 8] = 230
    return frames.astype(np.uint8)


def encode(frames: np.ndarray, *, fps: int = 10) -> bytes:
    """An MP4 file of frames."""
    file = BytesIO()
    with av.open(file, "w", format="mp4") as out:
        stream: Any = out.add_stream("libx264", rate=fps, options={"crf": "12"})
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        for frame in frames:
            out.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        out.mux(stream.encode())
    return file.getvalue()


def write_dataset(folder: Path, *, train: int = 12, test: int = 4) -> Path:
    """Writes both splits as class folders and returns the folder."""
    files = {
        f"{split}/{CLASSES[row % 2]}/{row:02}.mp4": encode(moving(row % 2, seed=first + row))
        for split, count, first in (("train", train, 0), ("test", test, 1000))
        for row in range(count)
    }
    return tiny.write_files(folder, files)


def config(*, learner: bool = True) -> VideoVisionTransformerConfig:
    """`tiny.config` on clips of four frames, two in a tubelet."""
    image = tiny.config(learner=learner)
    values: dict[str, Any] = {field.name: getattr(image, field.name) for field in fields(image)}
    values["num_classes"] = len(CLASSES)
    return VideoVisionTransformerConfig(**values, num_frames=4, tubelet_frames=2)


def recipe(**changes: Any) -> Recipe:
    """A recipe that uses what the trainer can do with clips; three steps of 4 per epoch."""
    settings: dict[str, Any] = {
        "dataset": "",
        "model": config(),
        "batch_size": 4,
        "holdout": 2,
        "augmentation": Augmentation(area=(0.5, 1.0), flip=False, colour=0.3, mixup=0.2, erase=0.5),
        "clips": ClipSampling(stretch=(0.8, 1.0), frames_kept=8),
    }
    return tiny.recipe(**(settings | changes))
