"""Pixels of the overlay, computed by hand where they can be."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests import by_hand
from tokenlearner.attention.token_facts import describe_tokens
from tokenlearner.errors import ConfigError
from tokenlearner.geometry import Axis, Geometry
from tokenlearner.inference import Explanation
from tokenlearner.rendering import overlay
from tokenlearner.rendering.colormap import COLORMAPS, SEVERAL_COLOR, hex_rgb, token_rgb
from tokenlearner.rendering.overlay import (
    Scale,
    ViewSettings,
    paint,
    render_overlay,
    smallest_area,
    value_range,
)

GRAY = ViewSettings(opacity=1, colormap="gray", interpolation="patch", weak="cover")
PHOTO = np.full((60, 100, 3), (10, 20, 30), dtype=np.uint8)
BOX = (20.0, 0.0, 80.0, 60.0)
SEEN = Geometry(source_size=(60, 100), model_size=(60, 60), box=BOX)


def one_hot(row: int, column: int, shape: tuple[int, int] = (2, 3)) -> np.ndarray:
    maps = np.zeros((1, *shape), dtype=np.float32)
    maps[0, row, column] = 0.7
    return maps


def explanation(maps: np.ndarray, photo: np.ndarray = PHOTO) -> Explanation:
    return by_hand.explanation(maps, photo, BOX)


@pytest.mark.parametrize(("row", "column"), [(0, 0), (0, 2), (1, 1)])
def test_one_hot_map_covers_its_cell_and_nothing_else(row: int, column: int) -> None:
    picture = render_overlay(explanation(one_hot(row, column)), GRAY)
    expected = PHOTO.copy()
    expected[:, 20:80] = 0
    expected[30 * row : 30 * row + 30, 20 + 20 * column : 40 + 20 * column] = 255
    assert np.array_equal(picture, expected)


def test_opacity_blends_color_and_photo() -> None:
    picture = paint(PHOTO, SEEN, one_hot(0, 0), replace(GRAY, opacity=0.4))
    assert tuple(picture[5, 25]) == (108, 114, 120)  # 0.6 * photo + 0.4 * 255
    assert tuple(picture[5, 45]) == (6, 12, 18)  # 0.6 * photo
    assert tuple(picture[5, 5]) == (10, 20, 30)


@pytest.mark.parametrize("size", [(2, 3), (20, 30), (600, 400)])
@pytest.mark.parametrize("changes", [{"trained": False}, {"untrained_parts": ("TokenLearner",)}])
def test_random_weights_are_named_in_red(changes: dict[str, Any], size: tuple[int, int]) -> None:
    photo = np.full((*size, 3), 120, np.uint8)
    shown = by_hand.explanation(one_hot(0, 0), photo, (0.0, 0.0, float(size[1]), float(size[0])))
    plain = render_overlay(shown, ViewSettings())
    marked = render_overlay(replace(shown, **changes), ViewSettings())
    changed = (plain != marked).any(axis=-1)
    assert marked.shape == plain.shape
    assert changed[-1, 0]
    assert (marked[changed][:, 0] >= marked[changed][:, 2]).all()
    if min(size) > 300:
        assert not changed[: size[0] * 9 // 10].any()
        assert (marked[changed] == (185, 28, 28)).all(axis=-1).sum() > 50


def test_the_steps_of_a_clip_share_one_scale() -> None:
    steps = np.stack([one_hot(0, 0), one_hot(0, 1) / 2])
    first, second = (paint(PHOTO, SEEN, maps, GRAY, steps=steps) for maps in steps)
    assert first[5, 25].tolist() == [255, 255, 255]
    assert second[5, 45].tolist() == [128, 128, 128]  # on a scale of its own it would be white
    assert second[5, 25].tolist() == [0, 0, 0]
    composite = replace(GRAY, mode="composite")
    fading = replace(composite, weak="fade")
    faint = paint(PHOTO, SEEN, steps[1], fading, steps=steps)[5, 45]
    np.testing.assert_allclose(faint, (PHOTO[5, 45] + np.array(token_rgb(0))) / 2, atol=1)


def test_without_a_choice_the_strongest_token_of_all_steps_is_painted() -> None:
    early = np.concatenate([one_hot(0, 0) / 2, one_hot(0, 1) / 4])
    late = np.concatenate([one_hot(1, 0) / 4, one_hot(1, 1)])
    steps = np.stack([early, late])
    for maps in steps:
        wanted = paint(PHOTO, SEEN, maps, replace(GRAY, tokens=(1,)), steps=steps)
        assert np.array_equal(paint(PHOTO, SEEN, maps, GRAY, steps=steps), wanted)


def test_photo_stays_as_it_was() -> None:
    photo = PHOTO.copy()
    photo.setflags(write=False)
    picture = paint(photo, SEEN, one_hot(0, 0), replace(GRAY, opacity=0.0))
    assert np.array_equal(picture, photo)
    assert picture is not photo


def test_composite_is_grey_where_several_tokens_are_strongest() -> None:
    """Rounding does not decide between saturated maps."""
    maps = np.ones((3, 4, 4), dtype=np.float32)
    maps[:2] -= np.random.default_rng(0).random((2, 4, 4), dtype=np.float32) * 5e-6
    settings = replace(GRAY, mode="composite", interpolation="smooth")
    picture = paint(PHOTO, SEEN, maps, settings)[:, 20:80].astype(int)
    assert np.abs(picture - hex_rgb(SEVERAL_COLOR)).max() <= 1


def test_composite_and_the_figures_name_the_same_tokens() -> None:
    """Also where levels are close, as in saturated maps, or low, as between peaks of a softmax."""
    maps = np.random.default_rng(2).random((3, 4, 4), dtype=np.float32) * 3e-4
    maps[:, 0, 0] = 1
    settings = replace(GRAY, mode="composite", interpolation="patch")
    painted = paint(PHOTO, SEEN, maps, settings)[:, 20:80]
    facts = describe_tokens(maps, np.ones((3, 2), dtype=np.float32), geometry=SEEN)
    grey = 1.0
    for token, fact in enumerate(facts):
        share = (painted == token_rgb(token)).all(axis=-1).mean()
        assert share == pytest.approx(fact.strongest_ratio)
        assert share > 0
        grey -= share
    assert (painted == hex_rgb(SEVERAL_COLOR)).all(axis=-1).mean() == pytest.approx(grey)
    assert grey > 0


def test_smooth_overlay_is_the_map_laid_on_the_source() -> None:
    """One meaning of "smooth" in the library: that of `Geometry.to_source`, fractions included."""
    maps = np.random.default_rng(1).random((1, 5, 7), dtype=np.float32)
    geometry = Geometry(source_size=(60, 100), model_size=(50, 70), box=(3.3, 4.6, 91.2, 58.9))
    settings = replace(GRAY, interpolation="smooth", scale="token")
    picture = paint(PHOTO, geometry, maps, settings)
    laid = geometry.to_source((maps - maps.min()) / np.ptp(maps))[0]
    inside = geometry.to_source(np.ones_like(maps), interpolation="patch")[0] > 0
    assert np.abs(picture[..., 0] - 255 * laid)[inside].max() <= 0.51
    assert np.array_equal(picture[~inside], PHOTO[~inside])


def test_axis_weights_add_up_to_one_inside_and_to_nothing_outside() -> None:
    axis = Axis(start_px=2.6, stop_px=17.4, cells=5, span=(0, 5))
    sums = axis.weights(20, "smooth").sum(axis=1)
    assert sums[3:17] == pytest.approx(1)
    assert not sums[:3].any()
    assert not sums[17:].any()


def test_axis_weights_pass_through_the_cells_at_their_centres() -> None:
    axis = Axis(start_px=0, stop_px=15, cells=5, span=(0, 5))
    assert axis.weights(15, "smooth")[1::3] == pytest.approx(np.eye(5), abs=1e-6)


def test_bands_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    maps = np.random.default_rng(2).random((3, 4, 6), dtype=np.float32)
    settings = ViewSettings(mode="composite", opacity=0.9)
    whole = paint(PHOTO, SEEN, maps, settings)
    monkeypatch.setattr(overlay, "_BAND_ELEMENTS", 7 * 3 * 100)
    assert np.array_equal(paint(PHOTO, SEEN, maps, settings), whole)


def two_maps() -> np.ndarray:
    return np.array([[[0.1, 0.2]], [[0.4, 0.0]]], dtype=np.float32)


@pytest.mark.parametrize(
    ("tokens", "scale", "low", "high"),
    [
        ((0,), "shared", 0.0, 0.4),
        ((0,), "token", 0.1, 0.2),
        ((), "token", 0.0, 0.4),  # of the strongest
        ((0, 1), "shared", 0.0, 0.5),  # the sum reaches beyond every single map
        ((0, 1), "token", 0.2, 0.5),
        ((1, 1), "token", 0.0, 0.4),  # a token counts once
    ],
)
def test_value_range(tokens: tuple[int, ...], scale: Scale, low: float, high: float) -> None:
    settings = replace(GRAY, tokens=tokens, scale=scale)
    assert value_range(two_maps(), settings) == pytest.approx((low, high))


def test_values_are_painted_on_the_chosen_scale() -> None:
    first = replace(GRAY, tokens=(0,))
    shared = paint(PHOTO, SEEN, two_maps(), first)
    assert shared[0, [25, 75], 0].tolist() == [64, 128]  # 0.1 and 0.2 of 0.4
    own = paint(PHOTO, SEEN, two_maps(), replace(first, scale="token"))
    assert own[0, [25, 75], 0].tolist() == [0, 255]


def test_color_comes_from_the_color_map() -> None:
    picture = paint(PHOTO, SEEN, one_hot(0, 0), replace(GRAY, colormap="inferno"))
    assert tuple(picture[0, 20]) == tuple(COLORMAPS["inferno"][255])


def test_maps_without_any_value_are_painted_at_the_low_end() -> None:
    for scale in ("shared", "token"):
        picture = paint(PHOTO, SEEN, np.zeros((2, 3, 3), "f4"), replace(GRAY, scale=scale))
        assert not picture[:, 20:80].any()


def test_smallest_area_takes_the_strongest_cells_first() -> None:
    values = np.array([[4, 1, 2], [3, 0, 0]], dtype=np.float32)
    assert smallest_area(values, 0.4).tolist() == [[1, 0, 0], [0, 0, 0]]
    assert smallest_area(values, 0.41).tolist() == [[1, 0, 0], [1, 0, 0]]
    assert smallest_area(values, 0.9).tolist() == [[1, 0, 1], [1, 0, 0]]
    assert smallest_area(values, 1.0).all()


def test_smallest_area_of_equal_cells_takes_no_more_than_needed() -> None:
    values = np.full((1, 10), 0.1, dtype=np.float32)
    assert smallest_area(values, 0.3).tolist() == [[1, 1, 1, 0, 0, 0, 0, 0, 0, 0]]


def test_smallest_area_of_nothing_is_everything() -> None:
    assert smallest_area(np.zeros((2, 2), dtype=np.float32), 0.5).all()


def test_cells_beyond_the_mass_show_the_photo() -> None:
    maps = np.array([[[0.6, 0.3, 0.1], [0, 0, 0]]], dtype=np.float32)
    picture = paint(PHOTO, SEEN, maps, replace(GRAY, mass=0.6))
    assert (picture[:30, 20:40] == 255).all()
    assert np.array_equal(picture[:, 40:], PHOTO[:, 40:])


def test_low_values_let_the_photo_show_through_unless_they_cover_it() -> None:
    maps = np.array([[[0.0, 0.1, 0.4]]], dtype=np.float32)
    fading = paint(PHOTO, SEEN, maps, replace(GRAY, weak="fade", opacity=0.8))
    assert np.array_equal(fading[0, 25], PHOTO[0, 25])
    # A quarter of the scale is grey level 64, at half of the opacity.
    assert fading[0, 45] == pytest.approx(0.6 * PHOTO[0, 45] + 0.4 * 64, abs=0.51)
    assert fading[0, 75] == pytest.approx(0.2 * PHOTO[0, 75] + 0.8 * 255, abs=0.51)
    covering = paint(PHOTO, SEEN, maps, replace(GRAY, opacity=0.8))
    assert covering[0, 25] == pytest.approx(0.2 * PHOTO[0, 25], abs=0.51)


def test_composite_has_the_color_of_the_winner_and_the_strength_of_its_value() -> None:
    # On their own scales: 0.5 and 1 for the first token, 1 and 0.25 for the second.
    maps = np.array([[[0.1, 0.2]], [[0.04, 0.01]]], dtype=np.float32)
    picture = paint(PHOTO, SEEN, maps, replace(GRAY, mode="composite"))
    assert tuple(picture[0, 25]) == token_rgb(1)
    assert tuple(picture[0, 75]) == token_rgb(0)
    maps = np.array([[[0.1, 0.2]]], dtype=np.float32)
    settings = replace(GRAY, mode="composite", opacity=0.8, weak="fade")
    picture = paint(np.zeros_like(PHOTO), SEEN, maps, settings)
    assert picture[0, 25] == pytest.approx(0.4 * np.array(token_rgb(0)), abs=0.51)
    assert picture[0, 75] == pytest.approx(0.8 * np.array(token_rgb(0)), abs=0.51)
    picture = paint(np.zeros_like(PHOTO), SEEN, maps, replace(settings, weak="cover"))
    assert picture[0, 25] == pytest.approx(0.8 * np.array(token_rgb(0)), abs=0.51)


@pytest.mark.usefixtures("_as_users_run_it")
@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("mode", "all", "mode is 'all'; choose one of token, composite"),
        ("colormap", "jet", "colormap is 'jet'; choose one of inferno"),
        ("interpolation", "cubic", "choose one of smooth, patch"),
        ("scale", "log", "choose one of shared, token"),
        ("weak", "hide", "weak is 'hide'; choose one of fade, cover"),
        ("opacity", 1.5, "opacity is 1.5; give a number from 0 to 1"),
        ("opacity", float("nan"), "opacity is nan"),
        ("mass", 0.0, "mass is 0.0; give a number above 0 and at most 1"),
        ("tokens", (-1,), "counted from 0"),
    ],
)
def test_settings_that_make_no_sense(field: str, value: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        replace(ViewSettings(), **{field: value})


def test_token_that_does_not_exist() -> None:
    with pytest.raises(ConfigError, match="token 2 was asked for, but there are 2; choose from 0"):
        render_overlay(explanation(two_maps()), replace(GRAY, tokens=(2,)))


def test_learner_that_does_not_exist() -> None:
    with pytest.raises(ConfigError, match="learner 1 was asked for, but by hand has 1"):
        render_overlay(explanation(two_maps()), GRAY, learner=1)
    with pytest.raises(ConfigError, match="choose a model that has one"):
        render_overlay(replace(explanation(two_maps()), learners=()), GRAY)
