"""Explanations made by hand, of photos and maps that a test chooses."""

import numpy as np

from tokenlearner.answers import LearnerMaps
from tokenlearner.clips import ClipExplanation
from tokenlearner.geometry import Geometry
from tokenlearner.inference import Explanation
from tokenlearner.media import ClipFacts


def explanation(
    maps: np.ndarray, photo: np.ndarray, box: tuple[float, float, float, float]
) -> Explanation:
    """What a model with these maps `[token, rows, columns]` saw in this part of a photo."""
    learner = LearnerMaps(block=2, version="1.1", maps=maps, tokens=np.zeros((len(maps), 4), "f4"))
    return Explanation(
        model_name="by hand",
        weights_sha256="",
        image=photo,
        geometry=Geometry(source_size=photo.shape[:2], model_size=(48, 64), box=box),
        class_names=("yes", "no"),
        probabilities=np.array([0.75, 0.25], dtype=np.float32),
        learners=(learner,),
        stages=(),
        num_parameters=0,
        trained=True,
    )


def clip_explanation(
    maps: np.ndarray,
    frames: np.ndarray,
    times_s: np.ndarray,
    step_frames: tuple[tuple[int, int], ...],
) -> ClipExplanation:
    """What a model with these maps `[step, token, rows, columns]` saw in the whole of a clip."""
    _, height, width, _ = frames.shape
    return ClipExplanation(
        model_name="by hand",
        weights_sha256="",
        frames=frames,
        times_s=times_s,
        facts=ClipFacts(
            duration_s=1.0,
            fps=10.0,
            width_px=width,
            height_px=height,
            codec="h264",
            container="MP4 video",
            has_audio=False,
            num_frames=10,
        ),
        geometry=Geometry(
            source_size=(height, width), model_size=(48, 64), box=(0.0, 0.0, width, height)
        ),
        class_names=("yes", "no"),
        probabilities=np.array([0.75, 0.25], dtype=np.float32),
        learners=(
            LearnerMaps(
                block=2, version="1.1", maps=maps, tokens=np.zeros((*maps.shape[:2], 4), "f4")
            ),
        ),
        step_frames=step_frames,
        stages=(),
        num_parameters=0,
        trained=True,
    )
