"""Costs by part and by place, against the counter itself and by hand."""

from dataclasses import replace

import pytest

from tokenlearner.efficiency import count_macs
from tokenlearner.efficiency.placement import PARTS, curve, macs_by_part, place
from tokenlearner.errors import ConfigError
from tokenlearner.models import TokenLearnerConfig
from tokenlearner.models.presets import mini_vit, vit

BASE = vit("B/16")
LEARNER = TokenLearnerConfig(num_tokens=8, at=6)


def test_parts_add_up_to_the_whole() -> None:
    cost = count_macs(place(BASE, replace(LEARNER, fuser=True)))
    parts = macs_by_part(cost)
    assert tuple(parts) == PARTS
    assert sum(parts.values()) == cost.macs
    assert min(parts.values()) > 0


def test_blocks_are_split_at_the_learner() -> None:
    parts = macs_by_part(count_macs(place(BASE, replace(LEARNER, at=3))))
    plain = macs_by_part(count_macs(BASE))
    # 12 blocks alike, 3 of them before the learner.
    assert parts["blocks before"] == plain["blocks before"] // 4
    assert plain["blocks after"] == plain["learner"] == plain["fuser"] == 0
    # A block of n tokens: 4 projections and an MLP four times as wide, twice n² for attention.
    assert parts["blocks after"] == 9 * (12 * 8 * 768**2 + 2 * 8**2 * 768)


@pytest.mark.parametrize("fuser", [False, True])
def test_a_curve_is_the_counter_at_every_place(fuser: bool) -> None:
    learner = TokenLearnerConfig(num_tokens=4, at=0, version="1.0", fuser=fuser)
    found = curve(mini_vit(), learner, extra_layers=2)
    assert found.num_tokens == 4
    assert len(found.macs) == 6
    for at, macs in enumerate(found.macs):
        config = replace(mini_vit(depth=6), token_learner=replace(learner, at=at))
        assert macs == count_macs(config).macs


def test_later_costs_more_and_so_do_more_tokens() -> None:
    eight, sixteen = curve(BASE, LEARNER), curve(BASE, replace(LEARNER, num_tokens=16))
    assert list(eight.macs) == sorted(set(eight.macs))
    assert all(few < many for few, many in zip(eight.macs, sixteen.macs, strict=True))
    assert eight.macs[-1] < count_macs(BASE).macs


def test_no_place_behind_the_last_block() -> None:
    with pytest.raises(ConfigError, match="at is 14, but there are 14 blocks"):
        place(BASE, replace(LEARNER, at=14), extra_layers=2)
