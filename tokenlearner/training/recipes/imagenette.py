"""Imagenette: small models for a few thousand photos, whose maps are worth looking at."""

from dataclasses import replace

from tokenlearner.models.config import TokenLearnerConfig
from tokenlearner.models.presets import conv_vit, fine_vit
from tokenlearner.preprocess import Preprocessing
from tokenlearner.training.augment import Augmentation
from tokenlearner.training.recipes.recipe import Recipe


def imagenette_conv_vit() -> Recipe:
    """A ViT with a convolutional stem and a 10x10 grid on Imagenette, from scratch on a CPU.

    tokenlearner train imagenette-conv-vit --data IMAGENETTE --out runs/imagenette-conv-vit

    Resolution grows from 96 to 160 px; the running average of the weights is the model.

    79.87 % on the test split with seed 0; 0.82 hours on two cores of an AMD EPYC.
    """
    return Recipe(
        name="imagenette-conv-vit",
        dataset="imagenette",
        model=conv_vit(),
        preprocessing=Preprocessing(
            image_size=(160, 160),
            mean=(0.485, 0.456, 0.406),
            std=(0.229, 0.224, 0.225),
            resize="squash",
            interpolation="bilinear",
        ),
        canvas=(160, 160),
        stages=((36, 96), (16, 128), (8, 160)),
        batch_size=64,
        learning_rate=1e-3,
        schedule="cosine",
        warmup_epochs=4,
        weight_decay=0.05,
        label_smoothing=0.1,
        augmentation=Augmentation(area=(0.25, 1.0), aspect=4 / 3, colour=0.3, mixup=0.2),
        ema_decay=0.998,
        gradient_clip=1.0,
        holdout=469,
        weights_dtype="float16",
    )


def imagenette_conv_vit_tl8() -> Recipe:
    """The same with 8 learned tokens (version 1.1) after 3 of 6 blocks.

    tokenlearner train imagenette-conv-vit-tl8 --data IMAGENETTE --out runs/imagenette-conv-vit-tl8

    81.12 % on the test split with seed 0; 0.64 hours on two cores of an AMD EPYC.
    """
    learner = TokenLearnerConfig(num_tokens=8, at=3)
    return replace(
        imagenette_conv_vit(),
        name="imagenette-conv-vit-tl8",
        model=conv_vit(token_learner=learner),
    )


def imagenette_fine_vit() -> Recipe:
    """A ViT with a convolutional stem and a 20x20 grid on Imagenette, from scratch on a CPU.

    tokenlearner train imagenette-fine-vit --data IMAGENETTE --out runs/imagenette-fine-vit

    Trained at 96 px, with one last epoch at 160, and never at a small rate, which would learn the
    few photos by heart: the running average of the weights is the model.

    85.27 % on the test split with seed 0; 1.76 hours on two cores of an Intel Xeon with AVX-512.
    """
    return replace(
        imagenette_conv_vit(),
        name="imagenette-fine-vit",
        model=fine_vit(),
        stages=((40, 96), (1, 160)),
        optimizer="muon",
        muon_learning_rate=2e-3,
        end_learning_rate=3e-4,
        warmup_epochs=2,
        keep="best",
    )


def imagenette_fine_vit_tl8() -> Recipe:
    """The same with 8 learned tokens (version 1.1) after 2 of 6 blocks.

    tokenlearner train imagenette-fine-vit-tl8 --data IMAGENETTE --out runs/imagenette-fine-vit-tl8

    85.38 % on the test split with seed 0; 0.91 hours on two cores of an Intel Xeon with AVX-512 and
    bfloat16, beside other work. Without `diversity` 84.31 %, and maps that share 0.40 instead of
    0.08. Nor does the baseline help that as a teacher (weight 0.8, temperature 2): four more epochs
    with it gave 84.33 %, and nine epochs of 8 tokens put fresh into the trained baseline 82.57 %.
    """
    return replace(
        imagenette_fine_vit(),
        name="imagenette-fine-vit-tl8",
        model=fine_vit(token_learner=TokenLearnerConfig(num_tokens=8, at=2)),
        diversity=0.03,
    )


def imagenette_fine_vit_tl16() -> Recipe:
    """The fine-grid model with 16 learned tokens.

    tokenlearner train imagenette-fine-vit-tl16 --data IMAGENETTE --out runs/fine-vit-tl16

    85.20 % on the test split with seed 0; 1.24 hours on two cores of an Intel Xeon with AVX-512 and
    bfloat16, beside other work. Without `diversity` 84.59 %, and maps that share 0.42 instead of
    0.08.
    """
    return replace(
        imagenette_fine_vit(),
        name="imagenette-fine-vit-tl16",
        model=fine_vit(token_learner=TokenLearnerConfig(num_tokens=16, at=2)),
        diversity=0.03,
    )


def imagenette_fine_vit_tl8_fuser() -> Recipe:
    """The fine-grid model with 8 learned tokens in each block from 2 on, and a fuser after it.

    tokenlearner train imagenette-fine-vit-tl8-fuser --data IMAGENETTE --out runs/fine-vit-tl8-fuser

    83.75 % on the test split with seed 0; 1.24 hours on two cores of an Intel Xeon with AVX-512 and
    bfloat16, beside other work. Without `diversity` 83.59 %, and maps of the first learner that
    share 0.29 instead of 0.11.
    """
    learner = TokenLearnerConfig(num_tokens=8, at=2, fuser=True)
    return replace(
        imagenette_fine_vit(),
        name="imagenette-fine-vit-tl8-fuser",
        model=fine_vit(token_learner=learner),
        diversity=0.03,
    )
