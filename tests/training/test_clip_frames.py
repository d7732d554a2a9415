"""Which frames training sees, and that a clip's frames are varied alike."""

import pytest
import torch

from tokenlearner.errors import ConfigError
from tokenlearner.training.augment import Augmentation, augment, cutmix, erase
from tokenlearner.training.clip_frames import draw_frames
from tokenlearner.training.recipes import ClipSampling
from tokenlearner.training.seeds import generator

NUMBERED = torch.arange(8, dtype=torch.uint8)[None, :, None, None, None].expand(6, 8, 3, 4, 4)


def numbers(clips: torch.Tensor) -> list[list[int]]:
    return clips[:, :, 0, 0, 0].tolist()


def test_frames_stay_in_order_within_the_stretch() -> None:
    for seed in range(50):
        taken = draw_frames(NUMBERED, 4, ClipSampling(stretch=(0.5, 0.5)), generator(seed))
        for row in numbers(taken):
            assert row == sorted(row)
            assert max(row) - min(row) <= 4  # half of eight frames


def test_every_part_of_the_whole_clip_gives_a_frame() -> None:
    taken = draw_frames(NUMBERED, 4, ClipSampling(stretch=(1.0, 1.0)), generator(0))
    assert all([number // 2 for number in row] == [0, 1, 2, 3] for row in numbers(taken))


def test_more_frames_than_there_are() -> None:
    taken = draw_frames(NUMBERED, 16, ClipSampling(stretch=(1.0, 1.0)), generator(0))
    assert all([number // 2 for number in range(16)] == row for row in numbers(taken))


def test_a_part_of_a_batch_is_sampled_as_the_batch_is() -> None:
    whole = draw_frames(NUMBERED, 4, ClipSampling(), generator(3))
    places = torch.tensor([1, 4])
    part = draw_frames(
        NUMBERED[places], 4, ClipSampling(), generator(3), places=places, count=len(NUMBERED)
    )
    assert torch.equal(part, whole[places])


@pytest.mark.parametrize(
    "options", [{"stretch": (0.0, 1.0)}, {"frames_per_s": 0.0}, {"frames_kept": 0}]
)
def test_impossible_sampling(options: dict) -> None:
    with pytest.raises(ConfigError, match="wanted shares above 0 and up to 1"):
        ClipSampling(**options)


class TestAllFramesAlike:
    options = Augmentation(area=(0.3, 1.0), aspect=4 / 3, colour=0.0)

    def test_crops(self) -> None:
        photos = torch.randint(0, 256, (3, 3, 16, 16), dtype=torch.uint8, generator=generator(1))
        clips = photos[:, None].expand(3, 5, 3, 16, 16)
        wanted = augment(photos, (8, 8), self.options, generator(2))
        found = augment(clips, (8, 8), self.options, generator(2))
        assert found.shape == (3, 5, 3, 8, 8)
        assert torch.equal(found, wanted[:, None].expand_as(found))

    def test_colours_of_still_clips_are_those_of_the_photo(self) -> None:
        photos = torch.randint(0, 256, (3, 3, 16, 16), dtype=torch.uint8, generator=generator(1))
        options = Augmentation(colour=0.5)
        wanted = augment(photos, (8, 8), options, generator(2))
        found = augment(photos[:, None].expand(3, 5, 3, 16, 16), (8, 8), options, generator(2))
        torch.testing.assert_close(found, wanted[:, None].expand_as(found))

    def test_erased_rectangles(self) -> None:
        clips = torch.ones(4, 5, 3, 8, 8)
        erased = erase(clips, 1.0, (0.0, 0.0, 0.0), generator(0))
        photos = erase(clips[:, 0], 1.0, (0.0, 0.0, 0.0), generator(0))
        assert torch.equal(erased, photos[:, None].expand_as(erased))
        assert erased.min() == 0

    def test_cutmix_counts_the_area_of_a_frame(self) -> None:
        clips, targets = torch.rand(4, 5, 3, 8, 8, generator=generator(0)), torch.eye(4)
        _, of_clips = cutmix(clips, targets, 1.0, generator(5))
        _, of_photos = cutmix(clips[:, 0], targets, 1.0, generator(5))
        assert torch.equal(of_clips, of_photos)
