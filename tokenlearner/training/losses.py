"""What is minimised, photo by photo: the sum over a batch does not depend on how it is divided."""

import torch
import torch.nn.functional as F

from tokenlearner.modules.shapes import Float, Tensor
from tokenlearner.training.recipes import Recipe


def measure_losses(
    logits: Float[Tensor, "batch classes"],
    targets: Float[Tensor, "batch classes"],
    recipe: Recipe,
    teacher_logits: Float[Tensor, "batch classes"] | None = None,
    *,
    multi_label: bool = False,
) -> Float[Tensor, " batch"]:
    """Returns each photo's loss in nats.

    Args:
        logits: The model's answers.
        targets: Shares of the classes, which add up to 1; for `sigmoid` each 0..1.
        recipe: Decides the loss, the smoothing and how much of it is the teacher's.
        teacher_logits: The teacher's answers, if there is one.
        multi_label: Whether a photo may have any number of classes, so that the teacher answers yes
            or no to each.

    Source: `sigmoid` is `weighted_sigmoid_cross_entropy` of google-research/scenic, a sum over the
    classes; so is its label smoothing.
    """
    if recipe.loss == "sigmoid":
        smooth = recipe.label_smoothing
        targets = targets * (1 - smooth) + smooth / targets.shape[1]
        # Not `binary_cross_entropy_with_logits`, which cancels where a logit is far below zero.
        right, wrong = F.logsigmoid(logits), F.logsigmoid(-logits)
        losses = -torch.lerp(wrong, right, targets).sum(dim=1)
    else:
        losses = F.cross_entropy(
            logits, targets, label_smoothing=recipe.label_smoothing, reduction="none"
        )
    if recipe.distillation is None or teacher_logits is None:
        return losses
    share = recipe.distillation.weight
    taught = _divergence(logits, teacher_logits, recipe, multi_label=multi_label)
    return torch.lerp(losses, taught, share)


def _divergence(
    logits: Tensor, teacher_logits: Tensor, recipe: Recipe, *, multi_label: bool
) -> Tensor:
    """Returns how far each answer is from the teacher's: the softened ones' KL divergence.

    With several labels each class is an answer of its own, yes or no, and the sum is over them.
    With one, shares of the classes are compared whatever the losses: logits that a sigmoid trained
    and those that a softmax did may differ by a constant, which shares do not see.
    """
    assert recipe.distillation is not None
    temperature = recipe.distillation.temperature
    own, wanted = (
        _log_probabilities(answers / temperature, multi_label=multi_label)
        for answers in (logits, teacher_logits)
    )
    losses = F.kl_div(own, wanted, reduction="none", log_target=True).sum(dim=1)
    return losses * temperature**2


def _log_probabilities(logits: Tensor, *, multi_label: bool) -> Tensor:
    if multi_label:
        return torch.cat([F.logsigmoid(logits), F.logsigmoid(-logits)], dim=1)
    return logits.log_softmax(dim=1)
