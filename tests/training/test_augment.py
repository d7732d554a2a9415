"""Augmentation: what each option does, and that the generator alone decides."""

import math
from typing import Any

import numpy as np
import pytest
import torch

from tokenlearner.errors import ConfigError
from tokenlearner.training.augment import (
    Augmentation,
    RandAugment,
    augment,
    cutmix,
    erase,
    mix,
    mixup,
)
from tokenlearner.training.batches import divide

STILL = Augmentation(flip=False)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def images() -> torch.Tensor:
    return torch.randint(256, (4, 3, 12, 20), dtype=torch.uint8, generator=generator(9))


def test_nothing_asked_nothing_done(images: torch.Tensor) -> None:
    torch.testing.assert_close(
        augment(images, (12, 20), STILL, generator()), images / 255, atol=1e-5, rtol=0
    )


def test_another_size(images: torch.Tensor) -> None:
    flat = torch.full_like(images, 51)
    shrunk = augment(flat, (6, 10), STILL, generator())
    assert shrunk.shape == (4, 3, 6, 10)
    torch.testing.assert_close(shrunk, torch.full_like(shrunk, 0.2))


def test_flips_mirror_about_half_of_the_photos() -> None:
    images = torch.randint(256, (200, 3, 4, 6), dtype=torch.uint8, generator=generator(9))
    out = augment(images, (4, 6), Augmentation(), generator())
    mirrored = 0
    for image, result in zip(images / 255, out, strict=True):
        is_mirrored = torch.allclose(result, image.flip(2), atol=1e-5)
        assert is_mirrored or torch.allclose(result, image, atol=1e-5)
        mirrored += is_mirrored
    assert 75 < mirrored < 125


def test_crops_stay_inside_and_keep_their_area() -> None:
    ramp = torch.arange(64, dtype=torch.uint8).expand(50, 3, 64, 64)  # a pixel's column
    options = Augmentation(area=(0.25, 0.25), flip=False)
    out = augment(ramp, (32, 32), options, generator()) * 255
    # A quarter of the area is half of the side: neighbours are one column apart.
    torch.testing.assert_close(
        out[..., 1:] - out[..., :-1], torch.ones(50, 3, 32, 31), atol=1e-3, rtol=0
    )
    starts = out[:, 0, 0, 0]
    assert 0 <= starts.min() < 6
    assert 26 < starts.max() <= 32


def test_aspect_stretches_both_ways() -> None:
    ramp = torch.arange(64, dtype=torch.uint8).expand(200, 3, 64, 64)
    options = Augmentation(area=(0.25, 0.25), aspect=4 / 3, flip=False)
    out = augment(ramp, (32, 32), options, generator()) * 255
    steps = out[:, 0, 0, 16] - out[:, 0, 0, 15]  # columns per pixel: the root of the ratio
    assert 0.866 <= steps.min() < 0.88
    assert 1.13 < steps.max() <= 1.155


def test_colour_changes_brightness_contrast_and_saturation_in_bounds() -> None:
    gray = torch.full((300, 3, 2, 2), 102, dtype=torch.uint8)  # 0.4: only brightness shows
    out = augment(gray, (2, 2), Augmentation(colour=0.3, flip=False), generator())
    assert 0.4 * 0.7 <= out.min() < 0.4 * 0.75
    assert 0.4 * 1.25 < out.max() <= 0.4 * 1.3
    assert torch.equal(out[:, 0], out[:, 1])
    coloured = torch.zeros(300, 3, 2, 2, dtype=torch.uint8)
    coloured[:, 0] = 255
    out = augment(coloured, (2, 2), Augmentation(colour=0.3, flip=False), generator())
    assert out.min() == 0
    assert out.max() == 1


def test_the_generator_decides_and_nothing_else(images: torch.Tensor) -> None:
    options = Augmentation(area=(0.3, 1.0), aspect=1.5, colour=0.4)
    torch.manual_seed(1)
    first = augment(images, (8, 8), options, generator(3))
    torch.manual_seed(2)
    assert torch.equal(augment(images, (8, 8), options, generator(3)), first)
    assert not torch.equal(augment(images, (8, 8), options, generator(4)), first)


def test_a_part_is_varied_as_in_the_whole(images: torch.Tensor) -> None:
    """Every step of it: where the photos of a batch are computed changes nothing."""
    options = Augmentation(area=(0.3, 1.0), aspect=1.5, colour=0.4, mixup=0.5, cutmix=0.5)
    images = images[torch.tensor([0, 1, 2, 3, 2, 1, 0])]
    targets = torch.eye(7)

    def vary(places: torch.Tensor, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
        chance, where = generator(seed), {"places": places, "count": len(images)}
        out = augment(images[places], (8, 8), options, chance, **where)
        out = erase(out, 0.5, (0.1, 0.2, 0.3), chance, **where)
        return mix(out, targets[places], options, chance)

    for seed in range(6):
        whole, whole_targets = vary(torch.arange(7), seed)
        for places in divide(7, 3):
            part, part_targets = vary(places, seed)
            torch.testing.assert_close(part, whole[places], atol=1e-6, rtol=0)
            assert torch.equal(part_targets, whole_targets[places])


class TestErase:
    def test_a_rectangle_of_some_photos(self) -> None:
        images = torch.ones(400, 3, 40, 60)
        out = erase(images, 0.25, (0.0, 0.5, 0.75), generator())
        gone = out[:, 0] == 0
        hit = gone.any(dim=(1, 2))
        assert 75 < int(hit.sum()) < 125
        shares = gone[hit].float().mean(dim=(1, 2))
        assert 0.01 < float(shares.min()) < 0.04
        assert 0.29 < float(shares.max()) < 0.35
        for image, mask in zip(out[hit], gone[hit], strict=True):
            rows, columns = mask.any(dim=1), mask.any(dim=0)
            assert torch.equal(mask, rows[:, None] & columns[None, :])
            assert (image[:, mask] == torch.tensor([0.0, 0.5, 0.75])[:, None]).all()
            assert (image[:, ~mask] == 1).all()

    def test_none(self, images: torch.Tensor) -> None:
        photos = images / 255
        assert torch.equal(erase(photos, 0.0, (0.0, 0.0, 0.0), generator()), photos)


class TestCutmix:
    images = torch.arange(5.0)[:, None, None, None].expand(5, 3, 20, 30)
    targets = torch.eye(5)

    def test_targets_are_shares_of_the_area(self) -> None:
        shares = []
        for seed in range(200):
            mixed, targets = cutmix(self.images, self.targets, 1.0, generator(seed))
            own = (mixed[0, 0] == 0).float().mean()
            assert float(targets[0, 0]) == pytest.approx(float(own), abs=1e-6)
            assert float(targets[0, 4]) == pytest.approx(1 - float(own), abs=1e-6)
            assert (mixed[2] == 2).all()  # its partner is itself
            assert targets[2, 2] == 1
            pasted = mixed[0, 0] == 4
            rows, columns = pasted.any(dim=1), pasted.any(dim=0)
            assert torch.equal(pasted, rows[:, None] & columns[None, :])
            shares.append(float(own))
        # Beta(1, 1) is uniform, and a rectangle loses what lies outside.
        assert np.quantile(shares, 0.25) > 0.2
        assert min(shares) < 0.15
        assert max(shares) > 0.95

    def test_the_photos_given_stay_as_they_were(self) -> None:
        images = self.images.clone()
        cutmix(images, self.targets, 1.0, generator(3))
        assert torch.equal(images, self.images)


class TestMix:
    images, targets = TestCutmix.images, TestCutmix.targets

    def kinds(self, **options: Any) -> set[str]:
        found = set()
        for seed in range(30):
            mixed, _ = mix(self.images, self.targets, Augmentation(**options), generator(seed))
            values = set(mixed[0].unique().tolist())
            blended = bool(values - {0.0, 4.0})
            found.add("mixup" if blended else "cutmix" if values == {0.0, 4.0} else "neither")
        return found

    def test_one_of_those_asked_for(self) -> None:
        assert self.kinds(mixup=1.0) == {"mixup"}
        found = self.kinds(cutmix=1.0)
        assert "cutmix" in found
        assert found <= {"cutmix", "neither"}  # a box may be empty
        assert {"mixup", "cutmix"} <= self.kinds(mixup=1.0, cutmix=1.0)
        assert self.kinds() == {"neither"}


class TestErrors:
    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"area": (0.0, 1.0)}, r"area is \(0\.0, 1\.0\) and aspect 1\.0; wanted shares"),
            ({"area": (0.5, 0.4)}, "the smaller first"),
            ({"aspect": math.nan}, "a ratio of at least 1"),
            ({"mixup": math.nan}, "mixup is nan and cutmix 0.0; wanted 0 or more"),
            ({"cutmix": math.nan}, "cutmix nan; wanted 0 or more"),
            ({"aspect": 0.5}, "a ratio of at least 1"),
            ({"colour": 1.5}, "colour is 1.5 and erase 0.0; wanted 0 to 1"),
            ({"erase": -0.1}, "erase -0.1; wanted 0 to 1"),
            ({"mixup": -1.0}, "mixup is -1.0 and cutmix 0.0; wanted 0 or more"),
        ],
    )
    def test_options_out_of_range(self, options: dict[str, Any], message: str) -> None:
        with pytest.raises(ConfigError, match=message):
            Augmentation(**options)

    @pytest.mark.parametrize(
        "options", [{"num_layers": 0}, {"magnitude": 11.0}, {"magnitude_std": -1.0}]
    )
    def test_rand_augment_out_of_range(self, options: dict[str, Any]) -> None:
        with pytest.raises(ConfigError, match="a magnitude of 0 to 10 and a deviation"):
            RandAugment(**options)


class TestMixup:
    images = torch.arange(5.0)[:, None, None, None].expand(5, 3, 2, 2)
    targets = torch.eye(5)

    def test_photos_and_targets_are_blended_alike(self) -> None:
        mixed, targets = mixup(self.images, self.targets, 0.2, generator(1))
        torch.testing.assert_close(targets.sum(dim=1), torch.ones(5))
        torch.testing.assert_close(mixed[:, 0, 0, 0], targets @ torch.arange(5.0))
        share = targets[0, 0]
        assert 0.5 <= share <= 1  # the photo itself keeps the larger part
        assert targets[0, 4] == 1 - share

    def test_the_generator_decides_and_the_global_state_is_kept(self) -> None:
        torch.manual_seed(7)
        before = torch.get_rng_state()
        first, _ = mixup(self.images, self.targets, 0.2, generator(1))
        assert torch.equal(torch.get_rng_state(), before)
        torch.manual_seed(8)
        assert torch.equal(mixup(self.images, self.targets, 0.2, generator(1))[0], first)
        assert not torch.equal(mixup(self.images, self.targets, 0.2, generator(2))[0], first)
