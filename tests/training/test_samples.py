"""Photos as training sees them: what the seed, the epoch and the row decide, they decide alone."""

import pickle
import random
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image as PillowImage

from tests import tiny
from tokenlearner.errors import DataError
from tokenlearner.training.augment import Augmentation, RandAugment
from tokenlearner.training.data import LabelledImages
from tokenlearner.training.recipes import Recipe
from tokenlearner.training.samples import SamplesFromFiles, SamplesInMemory, open_photos
from tokenlearner.training.seeds import generator, seed, seeded

CPU = torch.device("cpu")
CHANGED = Augmentation(rand_augment=RandAugment(num_layers=3))


def photos(count: int = 12, size: tuple[int, int] = (16, 24)) -> LabelledImages:
    return LabelledImages(
        "photos",
        tuple(tiny.photo(row % 3, row, size=size) for row in range(count)),
        np.arange(count) % 3,
        tiny.CLASSES,
    )


def recipe(**changes: Any) -> Recipe:
    return tiny.recipe(**({"canvas": None, "augmentation": Augmentation()} | changes))


class TestOpening:
    def test_a_stack_where_nothing_is_done_photo_by_photo(self) -> None:
        stack = open_photos(photos(), recipe(canvas=(10, 12)), CPU)
        assert isinstance(stack, torch.Tensor)
        assert stack.shape == (12, 3, 10, 12)
        assert isinstance(open_photos(photos(), recipe(), CPU), SamplesFromFiles)
        changed = recipe(canvas=(10, 12), augmentation=CHANGED)
        assert isinstance(open_photos(photos(), changed, CPU), SamplesInMemory)


class TestFiles:
    def test_the_whole_photo_at_the_epoch_s_size(self) -> None:
        """Squashed in one step, as `stack` does it."""
        samples = SamplesFromFiles(photos(), recipe())
        preprocessing = replace(tiny.preprocessing(), image_size=(12, 12))
        wanted = photos().stack(preprocessing)
        pixels, row, reason = samples[0, 7]
        assert (row, reason) == (7, "")
        assert torch.equal(pixels, wanted[7])
        assert samples[3, 7][0].shape == (3, 16, 16)  # the second stage

    def test_crops_have_the_area_and_aspect_asked_for(self) -> None:
        """A ramp tells where a crop lies: its steps give the crop's width and height."""
        ramp = np.zeros((60, 80, 3), np.uint8)
        ramp[..., 0] = 2 * np.arange(80)
        ramp[..., 1] = 3 * np.arange(60)[:, None]

        class Ramp(LabelledImages):
            def read(self, row: int) -> Any:
                return type("Image", (), {"pixels": ramp})

        data = Ramp("ramp", (b"",) * 300, np.zeros(300, np.int64), tiny.CLASSES)
        for resize, own in (("squash", 4 / 3), ("crop", 1.0)):
            preprocessing = replace(tiny.preprocessing(), resize=resize)
            augmentation = Augmentation(area=(0.2, 0.4), aspect=1.5)
            cropped = recipe(preprocessing=preprocessing, augmentation=augmentation)
            samples = SamplesFromFiles(data, cropped)
            areas, aspects = [], []
            for row in range(300):
                pixels = samples[0, row][0].double()
                width = float(pixels[0, 6, 9] - pixels[0, 6, 2]) / 7 * 12 / 2
                height = float(pixels[1, 9, 6] - pixels[1, 2, 6]) / 7 * 12 / 3
                areas.append(width * height / 4800)
                aspects.append(width / height)
            assert 0.18 < min(areas) < 0.23
            assert 0.37 < max(areas) < 0.42
            assert own / 1.5 * 0.93 < min(aspects) < own / 1.5 * 1.1
            assert own * 1.5 * 0.9 < max(aspects) < own * 1.5 * 1.07

    @pytest.mark.parametrize("size", [(1, 1), (2, 1)])
    def test_photos_of_a_pixel(self, size: tuple[int, int]) -> None:
        data = replace(photos(), encoded=(tiny.photo(0, 0, size=size),) * 12)
        cropped = recipe(augmentation=Augmentation(area=(0.05, 0.2), aspect=1.5))
        samples = SamplesFromFiles(data, cropped)
        assert all(samples[0, row][0].shape == (3, 12, 12) for row in range(12))

    @pytest.mark.parametrize("canvas", [None, (16, 16)])
    def test_seed_epoch_and_row_decide(self, canvas: tuple[int, int] | None) -> None:
        changed = recipe(canvas=canvas, augmentation=replace(CHANGED, area=(0.3, 1.0)))
        samples = open_photos(photos(), changed, CPU)
        other = open_photos(photos(), replace(changed, seed=1), CPU)
        assert not isinstance(samples, torch.Tensor)
        assert not isinstance(other, torch.Tensor)
        first = [samples[0, row][0] for row in range(12)]
        random.seed(5)
        again = pickle.loads(pickle.dumps(samples))  # as a worker process gets them
        assert all(torch.equal(again[0, row][0], first[row]) for row in reversed(range(12)))
        for changed_one in (lambda row: samples[1, row][0], lambda row: other[0, row][0]):
            assert not all(torch.equal(changed_one(row), first[row]) for row in range(12))

    def test_an_unusable_photo_s_place_is_taken_by_the_next(self) -> None:
        data = photos()
        broken = list(data.encoded)
        for row in (10, 11, 0):
            broken[row] = broken[row][:50]
        samples = SamplesFromFiles(replace(data, encoded=tuple(broken), max_unusable=1.0), recipe())
        pixels, row, reason = samples[0, 10]
        assert row == 1
        assert "photos: row 10 is not a usable photo" in reason
        assert torch.equal(pixels, samples[0, 1][0])

    def test_nothing_can_be_used(self) -> None:
        data = replace(photos(), encoded=(b"",) * 12, max_unusable=1.0)
        with pytest.raises(DataError, match=r"from row 3 on; check the data\. The first: photos: "):
            SamplesFromFiles(data, recipe())[0, 3]


class TestRandAugment:
    def test_each_photo_is_changed_in_its_own_way(self) -> None:
        stack = torch.randint(256, (1, 3, 16, 16), dtype=torch.uint8).expand(60, -1, -1, -1)
        samples = SamplesInMemory(stack, recipe(augmentation=CHANGED))
        results = {samples[0, row][0].contiguous().numpy().tobytes() for row in range(60)}
        assert len(results) > 30
        assert stack[0].contiguous().numpy().tobytes() in results  # 1 in 8 is left alone
        assert all(samples[0, row][1:] == (row, "") for row in range(60))

    def test_the_strongest_of_all_changes(self) -> None:
        options = RandAugment(num_layers=6, magnitude=10.0, magnitude_std=3.0)
        stack = torch.randint(256, (200, 3, 8, 8), dtype=torch.uint8)
        samples = SamplesInMemory(stack, recipe(augmentation=Augmentation(rand_augment=options)))
        assert all(samples[0, row][0].shape == (3, 8, 8) for row in range(200))

    def test_how_far_each_change_goes(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """At the largest magnitude; a direction is drawn at random."""
        options = RandAugment(num_layers=1, magnitude=10.0, magnitude_std=0.0)
        samples = SamplesInMemory(
            torch.zeros(1, 3, 8, 8, dtype=torch.uint8),
            recipe(augmentation=Augmentation(rand_augment=options)),
        )
        change: Any = samples._change
        reached = {}
        for op in change._change.ops:
            monkeypatch.setattr(op, "prob", 1.0)
            monkeypatch.setattr(op, "aug_fn", lambda _, *level, **__: level)
            reached[op.name] = tuple(abs(value) for value in op(None))
        enhanced = pytest.approx((1.9,), abs=0.01), pytest.approx((0.1,), abs=0.01)
        for name in ("Color", "Contrast", "Brightness", "Sharpness"):
            assert reached.pop(f"{name}Increasing") in enhanced
        assert reached == {
            "AutoContrast": (),
            "Equalize": (),
            "Invert": (),
            "Rotate": pytest.approx((30,), abs=0.1),
            "PosterizeIncreasing": (1,),
            "SolarizeIncreasing": (1,),
            "SolarizeAdd": (109,),
            "ShearX": pytest.approx((0.3,), abs=0.01),
            "ShearY": pytest.approx((0.3,), abs=0.01),
            "TranslateXRel": pytest.approx((0.45,), abs=0.01),
            "TranslateYRel": pytest.approx((0.45,), abs=0.01),
        }

    def test_what_comes_in_from_outside_has_the_mean_colour(self) -> None:
        mean = (0.2, 0.4, 0.6)
        options = RandAugment(num_layers=1, magnitude=10.0, magnitude_std=0.0)
        samples = SamplesInMemory(
            torch.full((1, 3, 20, 20), 255, dtype=torch.uint8),
            recipe(
                preprocessing=replace(tiny.preprocessing(), mean=mean),
                augmentation=Augmentation(rand_augment=options),
            ),
        )
        change: Any = samples._change
        (shift,) = (op for op in change._change.ops if op.name == "TranslateXRel")
        shift.prob = 1.0
        shifted = np.asarray(shift(PillowImage.new("RGB", (20, 20), "white")))
        assert (shifted == (51, 102, 153)).all(axis=2).mean() > 0.35  # it is shifted by 0.45

    def test_a_larger_magnitude_changes_more(self) -> None:
        stack = torch.randint(256, (200, 3, 16, 16), dtype=torch.uint8)

        def change(magnitude: float) -> float:
            options = RandAugment(num_layers=1, magnitude=magnitude, magnitude_std=0.0)
            samples = SamplesInMemory(
                stack, recipe(augmentation=Augmentation(rand_augment=options))
            )
            found = torch.stack([samples[0, row][0] for row in range(200)])
            return float((found.float() - stack.float()).abs().mean())

        assert change(1.0) < 0.8 * change(9.0)


class TestSeeds:
    def test_a_function_of_all_numbers(self) -> None:
        assert seed(1, 2) == seed(1, 2)
        assert len({seed(), seed(1), seed(1, 2), seed(2, 1), seed(12), seed(1, 2, 0)}) == 6
        assert torch.rand((), generator=generator(3)) == torch.rand((), generator=generator(3))

    def test_global_states_are_put_back(self) -> None:
        random.seed(1)
        np.random.seed(1)  # noqa: NPY002
        wanted = [random.random(), np.random.random()]  # noqa: NPY002
        random.seed(1)
        np.random.seed(1)  # noqa: NPY002
        inside = []
        for _ in range(2):
            with suppress(ZeroDivisionError), seeded(4, 5):
                inside.append((random.random(), np.random.random()))  # noqa: NPY002
                raise ZeroDivisionError
        assert inside[0] == inside[1]
        assert [random.random(), np.random.random()] == wanted  # noqa: NPY002
