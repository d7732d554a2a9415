"""Tubelets come from the frames they should, and official rules are met to the last frame."""

import json
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tests.golden.cases import FOLDER
from tokenlearner.errors import ConfigError, ShapeError
from tokenlearner.modules import (
    ConvStem,
    PatchEmbedding,
    TubeletEmbedding,
    TubeletStem,
    inflate_kernel,
    sample_frames,
)
from tokenlearner.modules.tubelets import share_rows


@torch.no_grad()
def test_tubelet_is_read_frame_by_frame_and_remainders_dropped() -> None:
    embedding = TubeletEmbedding(1, (2, 3), num_frames=2)
    embedding.weight.zero_()
    embedding.weight[0, 1, 1, 0, 2] = 1.0  # green, second frame, first row, third column
    clip = torch.zeros(1, 3, 5, 3, 7)
    clip[0, 1] = torch.arange(105.0).view(5, 3, 7)
    # Frames 1 and 3, row 0, columns 2 and 5; frame 4, row 2 and column 6 fill no tubelet.
    assert embedding(clip)[0, 0].tolist() == [[[23.0, 26.0]], [[65.0, 68.0]]]


@torch.no_grad()
@pytest.mark.parametrize("how", ["central", "average"])
def test_stem_starts_as_the_image_stem(how: str) -> None:
    images, clips = ConvStem(4, (2,)).eval(), TubeletStem(4, (2,), num_frames=3).eval()
    weights = images.state_dict()
    weights["3.weight"] = inflate_kernel(weights["3.weight"], 3, how=how)  # pyright: ignore
    clips.load_state_dict(weights)
    clip = torch.randn(2, 3, 7, 12, 8)
    steps = clips(clip)
    assert steps.shape == (2, 4, 2, 3, 2)
    for step in range(2):
        frames = clip[:, :, 3 * step : 3 * step + 3].unbind(2)
        seen = [frames[1]] if how == "central" else frames
        wanted = sum(images(frame) for frame in seen) / len(seen)
        torch.testing.assert_close(steps[:, :, step], wanted)


def inflations() -> dict[str, dict[str, str]]:
    with np.load(FOLDER / "extras_kernel_inflation.npz") as arrays:
        return json.loads(str(arrays["config"]))["cases"]


@pytest.mark.parametrize(("name", "case"), inflations().items())
def test_inflation_matches_the_official_one(name: str, case: dict[str, str]) -> None:
    with np.load(FOLDER / "extras_kernel_inflation.npz") as arrays:
        before, after = (torch.from_numpy(arrays[f"{name}/{end}_kernel"]) for end in ("in", "out"))
    how = "central" if case["kernel_init_method"].startswith("central") else "average"
    ours = inflate_kernel(before.permute(3, 2, 0, 1), int(case["t"]), how=how)
    torch.testing.assert_close(ours, after.permute(4, 3, 0, 1, 2), rtol=1e-6, atol=0)


@pytest.mark.parametrize(("how", "num_frames"), [("Average", 2), ("central", 0)])
@pytest.mark.usefixtures("_as_users_run_it")
def test_inflation_that_cannot_be(how: Any, num_frames: int) -> None:
    with pytest.raises(ConfigError, match="wanted 'central' or 'average', and at least 1 frame"):
        inflate_kernel(torch.ones(4, 3, 2, 2), num_frames, how=how)


@torch.no_grad()
def test_inflated_patches_of_a_still_clip_are_those_of_the_image() -> None:
    patches = PatchEmbedding(5, (4, 2))
    image = torch.randn(2, 3, 8, 6)
    for how in ("central", "average"):
        tubelets = TubeletEmbedding(5, (4, 2), num_frames=4)
        tubelets.weight.copy_(inflate_kernel(patches.weight, 4, how=how))
        clip = image.unsqueeze(2).expand(-1, -1, 4, -1, -1)
        torch.testing.assert_close(tubelets(clip)[:, :, 0], patches(image))


def test_every_official_choice_of_frames_is_met() -> None:
    with np.load(FOLDER / "extras_sample_frames.npz") as arrays:
        names = [name for name in arrays.files if name.startswith("indices/")]
        assert len(names) > 100
        for name in names:
            num_frames, wanted = map(int, name.removeprefix("indices/").split("_"))
            assert sample_frames(num_frames, wanted) == arrays[name].tolist(), name


@pytest.mark.parametrize(
    ("num_frames", "wanted", "frames"),
    [
        (9, 2, [3, 6]),
        (8, 2, [3, 5, 7]),  # 8/3 added up in float32 stays below 8
        (8, 7, [1, 2, 3, 4, 5, 6, 7]),
        (8, 8, [0, 1, 2, 3, 4, 5, 6, 7]),
        (3, 8, [0, 1, 2]),
        (2, 1, [1]),
        (5, 1, [2]),  # 2.5 is rounded to the even side
    ],
)
def test_frames_by_hand(num_frames: int, wanted: int, frames: list[int]) -> None:
    assert sample_frames(num_frames, wanted) == frames


def test_rows_of_a_tall_image_are_shared_out() -> None:
    assert share_rows(8, 5, steps=4) == (2, 5)
    assert share_rows(6, 4, steps=4) == (1, 6)  # one row and a half each
    with pytest.raises(ShapeError, match="4 frames stacked into one image make 5x3 patches, which"):
        share_rows(5, 3, steps=4)


def test_stem_reaches_over_a_tubelet_only_at_its_last_stage() -> None:
    stem = TubeletStem(8, (2, 4), num_frames=3)
    kernels = [m.kernel_size for m in stem if isinstance(m, nn.Conv2d | nn.Conv3d)]
    assert kernels == [(4, 4), (4, 4), (3, 4, 4)]
