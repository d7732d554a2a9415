"""Ridge regression as a classifier, for many strengths of regularisation at once."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F

from tokenlearner.errors import ConfigError
from tokenlearner.modules.shapes import Float, Tensor

_CONSTANT_FEATURE = 100.0
"""So large that its weight, the bias, is hardly regularised."""

_LEAST_DEVIATION = 1e-5


def ridge_accuracies(
    train_features: Float[Tensor, "train features"],
    train_targets: Float[Tensor, "train classes"],
    test_features: Float[Tensor, "test features"],
    test_labels: Tensor,
    strengths: Sequence[float],
) -> list[float]:
    """Returns the accuracy, 0 to 1, of a linear classifier for each strength of regularisation.

    The weights W minimise ‖XW - Y‖² + strength · ‖W‖², with X the features, standardised by mean
    and deviation of the training photos, and a constant of 100, and Y the targets. Solved in
    float64 by the singular values of X, which needs no Gram matrix: exact for fewer photos than
    features and for more.

    Args:
        train_features: Features of the training photos.
        train_targets: 1 for their class, -1 for the others.
        test_features: Features of the test photos.
        test_labels: Their class index, int64; the answer is the class with the highest score.
        strengths: Above 0.

    Raises:
        ConfigError: If a strength is not above 0.
    """
    if min(strengths) <= 0:
        raise ConfigError(f"got a strength of {min(strengths):g}; wanted numbers above 0")
    train = train_features.double()
    mean, deviation = train.mean(dim=0), train.std(dim=0, correction=0) + _LEAST_DEVIATION
    design, test = (
        F.pad((features - mean) / deviation, (0, 1), value=_CONSTANT_FEATURE)
        for features in (train, test_features.double())
    )
    left, values, right = torch.linalg.svd(design, full_matrices=False)
    targets, seen = left.T @ train_targets.double(), test @ right.T
    accuracies = []
    for strength in strengths:
        shrunk = (values / (values.square() + strength))[:, None] * targets
        answers = (seen @ shrunk).argmax(dim=1)
        accuracies.append(float((answers == test_labels).double().mean()))
    return accuracies
