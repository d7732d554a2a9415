"""How much a model's tokens look at the same places, on photos of a data set."""

import numpy as np
import torch

from tokenlearner.attention import overlap
from tokenlearner.checkpoints import ImageModel
from tokenlearner.errors import ConfigError
from tokenlearner.training.data import LabelledImages
from tokenlearner.training.metrics import answering, iter_batches

NUM_PHOTOS = 256


def mean_overlap(
    model: ImageModel,
    data: LabelledImages,
    *,
    device: torch.device,
    num_photos: int = NUM_PHOTOS,
    batch_size: int = 64,
) -> float:
    """Returns what two maps of the first learner have in common, on average over tokens and photos.

    Args:
        model: With its `info`; moved to `device`. If it is training, it is again afterwards.
        data: Photos; they are sorted by class as a rule, so those that are taken are spread evenly.
        device: Where to compute.
        num_photos: How many of them to take, all if there are fewer.
        batch_size: Photos in a pass; changes the speed, not the result.

    Returns:
        From 0 (nothing) to 1 (all), as `tokenlearner.attention.overlap` has it.

    Raises:
        ConfigError: If the model has no `info` or no learner, or `batch_size` is below 1.
        DataError: If there are no photos, or one cannot be decoded.
    """
    info = model.require_info()
    if model.config.token_learner is None:
        raise ConfigError(f"{info.name} has no TokenLearner, so there are no maps to compare")
    rows = np.unique(np.linspace(0, len(data) - 1, min(num_photos, len(data))).round().astype(int))
    model = model.to(device)
    like = next(model.parameters())
    found = []
    for batch in iter_batches(data.take(rows.tolist()), info.preprocessing, batch_size):
        with answering(model):
            found.append(overlap(model.trace(batch.to(like)).learners[0].maps).cpu())
    return float(torch.cat(found).mean())
