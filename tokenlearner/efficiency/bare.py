"""The model to stand beside one that learns tokens, where nobody trained one without."""

from copy import deepcopy
from dataclasses import replace
from typing import TypeVar, cast

import torch

from tokenlearner.errors import ConfigError
from tokenlearner.models.pretrained import PretrainedModel
from tokenlearner.models.timm_vit import TimmVisionTransformer

Model = TypeVar("Model", bound=PretrainedModel)


def without_learner(model: Model) -> Model:
    """Returns the same network without its TokenLearners, on the same device, to count or time.

    One of timm keeps its weights; any other has random ones, on which speed does not depend, and no
    `info`, so that nobody takes its answers for trained ones.

    Raises:
        ConfigError: If the model has no TokenLearner.
    """
    if model.config.token_learner is None:
        raise ConfigError("this model has no TokenLearner, so there is nothing to leave out")
    if isinstance(model, TimmVisionTransformer):
        return cast("Model", TimmVisionTransformer(deepcopy(model.backbone)).eval())
    like = next(model.parameters())
    with torch.device(like.device):
        bare = type(model)(replace(model.config, token_learner=None))  # pyright: ignore[reportCallIssue]
    return bare.to(like.dtype).eval()
