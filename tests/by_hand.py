"""Explanations made by hand, of photos and maps that a test chooses."""

import numpy as np

from tokenlearner.inference import Explanation, LearnerMaps
from tokenlearner.preprocess import Geometry


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
