"""Charades and AViD: the convolutional network for clips of the paper's tables 9 to 11."""

from dataclasses import replace

from tokenlearner.models.conv_video_config import PUBLISHED
from tokenlearner.preprocess import Preprocessing
from tokenlearner.training.augment import Augmentation
from tokenlearner.training.recipes.recipe import ClipSampling, Recipe


def charades_conv_video_tl8() -> Recipe:
    r"""X(2+1)D-M with 8 learned tokens per frame on Charades: 157 actions, any number in a clip.

    torchrun --nproc-per-node 8 --no-python \
        tokenlearner train charades-conv-video-tl8 --data CHARADES.csv \
        --out runs/charades-conv-video-tl8

    CHARADES.csv lists the `path` of each clip, its `classes` between semicolons, and its `split`.
    A step of 64 clips keeps about 230 GiB in float32 (`--dry-run` on a CPU estimates it), which the
    eight processes share; `--accumulate` divides it further.

    Published: 66.3 % mean average precision with 12 frames a second, 59.6 % with 6. Not carried
    out. Measured as it was trained by

    tokenlearner evaluate runs/charades-conv-video-tl8/model --data CHARADES.csv \
        --frames-per-second 12 --temporal-views 10 --spatial-views 3

    The paper's are the model (as far as `x2plus1d_m` says), random weights to start from, 64 frames
    of 224 px to train and of 256 px to test, and 12 of them from each second. Mean and deviation of
    colours, and mirroring, are X3D's (PyTorchVideo). Optimiser, rates, epochs, batch size, crops
    and the number of views are this library's choice.

    Source: arXiv:2106.11297v2, tables 9 and 11; sizes of frames second-hand.
    """
    return Recipe(
        name="charades-conv-video-tl8",
        dataset="charades",
        model=PUBLISHED["Charades"],
        preprocessing=Preprocessing(
            image_size=(256, 256),
            mean=(0.45, 0.45, 0.45),
            std=(0.225, 0.225, 0.225),
            resize="crop",
            interpolation="bilinear",
        ),
        canvas=None,
        stages=((200, 224),),
        batch_size=64,
        learning_rate=1e-3,
        schedule="cosine",
        warmup_epochs=5,
        weight_decay=0.05,
        loss="sigmoid",
        augmentation=Augmentation(area=(0.35, 1.0), aspect=4 / 3),
        clips=ClipSampling(frames_per_s=12),
        gradient_clip=1.0,
    )


def avid_conv_video_tl8() -> Recipe:
    r"""The same network on AViD: 887 actions, one in a clip.

    torchrun --nproc-per-node 8 --no-python \
        tokenlearner train avid-conv-video-tl8 --data AVID --out runs/avid-conv-video-tl8

    AVID holds `train/CLASS/NAME.mp4`, or is a CSV list with the columns `path`, `class` and
    `split`. Published: 53.7 % mean class accuracy. Not carried out.

    As for Charades, but with frames spread over the clip, another loss, its label smoothing, and
    fewer epochs: our choice too.

    Source: arXiv:2106.11297v2, table 11.
    """
    return replace(
        charades_conv_video_tl8(),
        name="avid-conv-video-tl8",
        dataset="avid",
        model=PUBLISHED["AViD"],
        stages=((100, 224),),
        clips=ClipSampling(),
        loss="softmax",
        label_smoothing=0.1,
    )
