"""A term in the loss that keeps maps apart."""

from pathlib import Path

import pytest
import torch

from tests import tiny, tiny_clips
from tokenlearner.attention import overlap
from tokenlearner.errors import ConfigError
from tokenlearner.training.data import LabelledImages, read_images
from tokenlearner.training.fit import fingerprint
from tokenlearner.training.loop import Trainer
from tokenlearner.training.train_state import WithMaps

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> LabelledImages:
    return read_images(tiny.write_dataset(tmp_path_factory.mktemp("data") / "tiny"), "train")


def first_loss(data: LabelledImages, out: Path, diversity: float) -> float:
    """Of the first step, before which the weights do not differ."""
    recipe = tiny.recipe(stages=((1, 16),), diversity=diversity)
    trainer = Trainer(recipe, data, out, device=CPU, mixed_precision=False)
    return next(trainer.run(report_every=1))["loss"]


def test_overlap_is_added_to_the_loss(data: LabelledImages, tmp_path: Path) -> None:
    usual, half, whole = (first_loss(data, tmp_path / f"{w}", w) for w in (0.0, 0.5, 1.0))
    assert 0 < whole - usual < 1
    assert half - usual == pytest.approx((whole - usual) / 2, rel=1e-4)


def test_maps_come_apart() -> None:
    network = WithMaps(tiny.model().train())
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
    images, shared = torch.randn(6, 3, 16, 16), []
    for _ in range(20):
        shared.append(overlap(network(images)[1][0]).mean())
        optimizer.zero_grad()
        shared[-1].backward()
        optimizer.step()
    assert shared[-1] < shared[0] - 0.2


def test_a_model_of_clips() -> None:
    model = tiny.clip_model()
    logits, maps = WithMaps(model)(torch.randn(2, 3, 4, 16, 16))
    assert logits.shape == (2, 3)
    assert maps[0].ndim == 5
    assert tiny_clips.recipe(diversity=0.1).diversity == 0.1


def test_a_model_without_learner_has_no_maps() -> None:
    with pytest.raises(
        ConfigError, match=r"wanted 0 \(--diversity 0 in the shell\), or a model with a Tok"
    ):
        tiny.recipe(diversity=1, model=tiny.config(learner=False))


def test_a_run_with_it_is_another_run(data: LabelledImages) -> None:
    def of(diversity: float) -> str:
        recipe = tiny.recipe(diversity=diversity)
        return fingerprint(recipe, data, mixed_precision=False, model=None, teacher=None)

    assert len({of(0.0), of(0.1), of(0.2)}) == 3
