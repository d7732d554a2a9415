"""Which measurements the placement explorer draws on its curves of speed-ups."""

from typing import Any

import pytest
import streamlit as st

from app import resources
from app.components.efficiency.designs import designs
from app.components.efficiency.known_points import measured_speeds
from app.components.efficiency.session import Measurement, keep
from app.components.efficiency.settings import Placement
from app.recorded import Recorded
from tests.app.measured import comparison

MODEL = "cifar10-mini-vit-tl8"
BARE = resources.bare_name(MODEL)


@pytest.fixture(autouse=True)
def _nothing_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(st, "session_state", {})
    monkeypatch.setattr(resources, "recorded", lambda: ())


def speeds(of: str, *, fuser: bool = False) -> list[dict[str, Any]]:
    """What is drawn for a design as it was trained, or at its usual size."""
    design = designs()[of]
    (patch_px, side_px), learner = design.usual, design.learner
    placement = Placement(
        design=of,
        patch_px=patch_px,
        side_px=side_px,
        num_tokens=learner.num_tokens,
        at=learner.at,
        fuser=fuser,
    )
    return measured_speeds(placement, design)


@pytest.mark.parametrize("plain", ["cifar10-mini-vit", BARE])
def test_a_speed_up_over_the_plain_model_is_drawn(plain: str) -> None:
    keep(Measurement(comparison=comparison((3.0, 2.0), names=(plain, MODEL))))
    (point,) = speeds(MODEL)
    assert (point["at"], point["speedup"]) == (designs()[MODEL].learner.at, 1.5)


@pytest.mark.parametrize(
    ("model", "fuser", "num_tokens"),
    [("imagenette-fine-vit-tl16", False, 16), ("imagenette-fine-vit-tl8-fuser", True, 8)],
)
def test_other_learners_of_the_same_network_are_drawn(
    model: str, fuser: bool, num_tokens: int
) -> None:
    keep(Measurement(comparison=comparison((3.0, 2.0), names=("imagenette-fine-vit", model))))
    of = "imagenette-fine-vit-tl8"
    (point,) = speeds(of, fuser=fuser)
    assert (point["num_tokens"], point["speedup"]) == (num_tokens, 1.5)
    assert speeds(of, fuser=not fuser) == []


@pytest.mark.parametrize(
    "names", [("imagenette-fine-vit", MODEL), ("cifar10-mini-vit", "gestures-vivit-tl8"), (MODEL,)]
)
def test_any_other_pair_is_not(names: tuple[str, ...]) -> None:
    keep(Measurement(comparison=comparison((3.0, 2.0)[: len(names)], names=names)))
    assert speeds(MODEL) == []


def test_what_was_disturbed_in_every_round_is_not_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    pair = ("cifar10-mini-vit", MODEL)
    keep(Measurement(comparison=comparison((3.0, 2.0), names=pair, disturbed=True)))
    assert speeds(MODEL) == []
    recorded = [
        Recorded(
            title="B/16 at 224 px, 8 tokens at 6",
            comparison=comparison((4.0, seconds), disturbed=disturbed),
        )
        for seconds, disturbed in ((2.0, False), (1.0, True))
    ]
    monkeypatch.setattr(resources, "recorded", lambda: tuple(recorded))
    assert [point["speedup"] for point in speeds("B")] == [2.0]
