"""A bright square on a photo, a model made by hand that sees brightness, and where that lands."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tokenlearner import explain
from tokenlearner.models import (
    ModelInfo,
    TokenLearnerConfig,
    VisionTransformer,
    VisionTransformerConfig,
)
from tokenlearner.modules import TokenLearnerV11
from tokenlearner.preprocess import Preprocessing
from tokenlearner.rendering import ViewSettings, render_overlay

# Photo (height, width), input side, resizing, and the square: left, top, right, bottom. The model's
# patches are 8 px; every square is exactly one patch, worked out by hand.
CASES = {
    "square": ((80, 80), 32, "crop", (40, 20, 60, 40)),
    "wide, cropped": ((80, 240), 32, "crop", (120, 20, 140, 40)),
    "tall, cropped": ((240, 80), 32, "crop", (20, 120, 40, 140)),
    "wide, squashed": ((80, 240), 32, "squash", (120, 20, 180, 40)),
    "tall, squashed": ((240, 80), 32, "squash", (20, 120, 40, 180)),
    "remainder of 6 px dropped": ((76, 76), 38, "squash", (32, 16, 48, 32)),
}


def brightness_model(side: int, resize: str) -> VisionTransformer:
    """Its one token attends to patches that are brighter than gray, and to nothing else."""
    model = VisionTransformer(
        VisionTransformerConfig(
            image_size=(side, side),
            patch_size=(8, 8),
            num_classes=2,
            dim=2,
            depth=1,
            num_heads=1,
            mlp_dim=1,
            token_learner=TokenLearnerConfig(num_tokens=1, at=0, bottleneck_dim=1),
        )
    )
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        mean = torch.full((3, 8, 8), 1 / (3 * 8 * 8))
        parameters = dict(model.named_parameters())
        parameters["embedding.weight"].copy_(torch.stack([mean, -mean]))
        parameters["embedding.bias"].copy_(torch.tensor([-0.5, 0.5]))
        learner = model.encoder.learners["0"]
        assert isinstance(learner, TokenLearnerV11)
        learner.norm.weight.fill_(1)
        learner.masking.fc1.weight.copy_(torch.tensor([[10.0, 0.0]]))
        learner.masking.fc2.weight.fill_(10)
    model.info = ModelInfo(
        name="brightness",
        class_names=("dark", "bright"),
        preprocessing=Preprocessing(
            image_size=(side, side),
            mean=(0.0, 0.0, 0.0),
            std=(1.0, 1.0, 1.0),
            resize=resize,  # pyright: ignore[reportArgumentType]
            interpolation="area",
        ),
    )
    return model.eval()


@pytest.mark.parametrize("case", CASES)
def test_the_map_covers_the_bright_square(case: str) -> None:
    size, side, resize, (left, top, right, bottom) = CASES[case]
    photo = np.zeros((*size, 3), np.uint8)
    photo[top:bottom, left:right] = 255
    explanation = explain(brightness_model(side, resize), photo)
    assert explanation.maps.shape == (1, 4, 4)
    assert explanation.maps.max() > 0.999

    # On a gray copy and without a label, so that no white is left but the overlay's.
    explanation = replace(explanation, image=np.full_like(photo, 60), trained=True)
    settings = ViewSettings(opacity=1.0, colormap="gray", interpolation="patch")
    assert np.array_equal(render_overlay(explanation, settings) > 127, photo > 127)

    smooth = render_overlay(explanation, ViewSettings(opacity=1.0, colormap="gray"))[..., 0]
    row, column = np.unravel_index(smooth.argmax(), smooth.shape)
    assert top <= row < bottom
    assert left <= column < right
