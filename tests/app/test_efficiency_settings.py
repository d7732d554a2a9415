"""Links to the Efficiency page: what makes no sense becomes what does."""

from dataclasses import replace

import pytest

from app.components.efficiency.designs import TOKEN_COUNTS, designs
from app.components.efficiency.settings import (
    DEFAULT,
    MOST_EXTRA_LAYERS,
    EfficiencySettings,
    fit,
    query_from_settings,
    settings_from_query,
)
from tokenlearner.efficiency import count_macs
from tokenlearner.efficiency.placement import place

CHOSEN = EfficiencySettings(
    section="placement",
    placement=replace(DEFAULT, design="L", side_px=512, num_tokens=16, at=12, extra_layers=11),
    curves="speedup",
)


def link(settings: EfficiencySettings) -> dict[str, str]:
    return {key: value for key, value in query_from_settings(settings).items() if value is not None}


@pytest.mark.parametrize(
    "settings",
    [
        EfficiencySettings(),
        EfficiencySettings(beside="another-model"),
        EfficiencySettings(section="published", dataset="Charades", table="t", bases=("L/16", "B")),
        CHOSEN,
        replace(CHOSEN, placement=replace(CHOSEN.placement, fuser=True)),
    ],
)
def test_a_link_gives_back_what_it_was_made_of(settings: EfficiencySettings) -> None:
    assert settings_from_query(link(settings)) == settings


def test_a_link_says_only_what_its_section_shows() -> None:
    assert link(replace(CHOSEN, section="pair")) == {}


def test_nonsense_becomes_the_default() -> None:
    query = {
        "section": "x",
        "patch": "-4",
        "side": "²",
        "tokens": "99999",
        "at": "1e3",
        "extra": "",
    }
    assert settings_from_query(query) == EfficiencySettings()


def test_what_there_is_not_becomes_the_nearest_that_there_is() -> None:
    found = fit(
        replace(DEFAULT, design="XXL", patch_px=13, side_px=9999, num_tokens=9, at=99), designs()
    )
    assert found == replace(DEFAULT, design="Ti", at=11)
    assert fit(replace(DEFAULT, extra_layers=99), designs()).extra_layers == MOST_EXTRA_LAYERS


def test_extra_layers_make_room_for_the_learner() -> None:
    assert fit(replace(DEFAULT, at=14, extra_layers=2), designs()).at == 13


def test_every_choice_can_be_counted() -> None:
    for name, design in designs().items():
        for patch_px in design.patches_px:
            for side_px in (design.sides_px[0], design.sides_px[-1]):
                plain = design.build(patch_px, side_px)
                learner = replace(design.learner, num_tokens=TOKEN_COUNTS[-1], at=0, fuser=True)
                config = place(plain, learner, extra_layers=MOST_EXTRA_LAYERS)
                assert count_macs(config).macs > 0, name


def test_the_shipped_models_are_designs() -> None:
    found = designs()
    assert {"Ti", "S", "B", "L", "H", "imagenette-conv-vit-tl8"} <= set(found)
    patch_px, side_px = found["imagenette-conv-vit-tl8"].usual
    assert (patch_px, side_px) == (16, 160)
