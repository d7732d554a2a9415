"""Augmentation: what each option does, and that the generator alone decides."""

import pytest
import torch

from tokenlearner.training.augment import Augmentation, augment, mixup

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
