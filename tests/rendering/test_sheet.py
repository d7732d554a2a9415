"""The contact sheet shows every token once, numbered, in its colour."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests import by_hand
from tokenlearner.errors import ConfigError
from tokenlearner.inference import Explanation
from tokenlearner.rendering import ViewSettings, render_sheet
from tokenlearner.rendering.colormap import COLORMAPS, token_rgb
from tokenlearner.rendering.numbers import format_value
from tokenlearner.rendering.overlay import paint


def explanation(tokens: int = 3, size: tuple[int, int] = (320, 240)) -> Explanation:
    rng = np.random.default_rng(0)
    maps = rng.random((tokens, 4, 3), dtype=np.float32)
    photo = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
    return by_hand.explanation(maps, photo, (0.0, 0.0, float(size[1]), float(size[0])))


def contains(sheet: np.ndarray, tile: np.ndarray) -> bool:
    """Whether `tile` is somewhere in `sheet`, exactly; found by its first row."""
    windows = np.lib.stride_tricks.sliding_window_view(sheet, (1, *tile.shape[1:]))[:, :, 0, 0]
    corners = np.argwhere((windows == tile[0]).all(axis=(-1, -2)))
    height, width = tile.shape[:2]
    return any(np.array_equal(sheet[y : y + height, x : x + width], tile) for y, x in corners)


RANDOM: list[dict[str, Any]] = [{"trained": False}, {"untrained_parts": ("TokenLearner",)}]


@pytest.mark.parametrize("changes", RANDOM)
def test_sheet_of_random_weights_says_so_in_red(changes: dict[str, Any]) -> None:
    settings = ViewSettings()
    plain = render_sheet(explanation(), settings)
    marked = render_sheet(replace(explanation(), **changes), settings)
    changed = (plain != marked).any(axis=-1)
    assert changed.any()
    assert (marked[changed][:, 0] > marked[changed][:, 2]).all()


def test_sheet_is_wide_enough_for_all_that_is_random() -> None:
    parts = ("TokenLearner", "TokenFuser", "head")
    narrow = explanation(tokens=1, size=(320, 100))
    marked = render_sheet(replace(narrow, untrained_parts=parts), ViewSettings())
    assert marked.shape[1] > render_sheet(narrow, ViewSettings()).shape[1]
    assert (marked[:, -20:] == 255).all()


@pytest.mark.parametrize(("name", "shown"), [("Čafé-größe", "Cafe-gro?e"), ("模型 2", "?? 2")])
def test_a_name_that_the_font_lacks_letters_of(name: str, shown: str) -> None:
    def sheet(name: str) -> np.ndarray:
        return render_sheet(replace(explanation(), model_name=name), ViewSettings())

    assert np.array_equal(sheet(name), sheet(shown))


def test_sheet_has_every_token_and_the_composite() -> None:
    # The photo has the size of a tile, so that it is not scaled.
    one = explanation(tokens=2)
    sheet = render_sheet(one, ViewSettings())
    views = [ViewSettings(tokens=(0,)), ViewSettings(tokens=(1,)), ViewSettings(mode="composite")]
    for view in views:
        assert contains(sheet, paint(one.image, one.geometry, one.maps, view)), view


def test_sheet_does_not_depend_on_the_chosen_tokens() -> None:
    chosen = ViewSettings(tokens=(1, 2), mode="composite")
    assert np.array_equal(render_sheet(explanation(), chosen), render_sheet(explanation()))


@pytest.mark.parametrize("tokens", [1, 8, 16])
def test_every_token_has_its_color_on_the_sheet(tokens: int) -> None:
    sheet = render_sheet(explanation(tokens), ViewSettings(opacity=0.0))
    seen = {tuple(colour) for colour in np.unique(sheet.reshape(-1, 3), axis=0).tolist()}
    assert {token_rgb(token) for token in range(tokens)} <= seen


def test_scale_bar_runs_through_the_color_map() -> None:
    covering = ViewSettings(colormap="cividis", weak="cover")
    bar = COLORMAPS["cividis"][np.linspace(0, 255, 220).astype(int)]
    assert contains(render_sheet(explanation(), covering), np.repeat(bar[None], 14, axis=0))


def test_scale_bar_fades_into_the_page_where_the_overlay_does() -> None:
    settings = ViewSettings(colormap="inferno", opacity=0.0, weak="cover")
    covering = render_sheet(explanation(), settings)
    fading = render_sheet(explanation(), replace(settings, weak="fade"))
    rows, columns = np.nonzero((covering != fading).any(axis=-1))
    assert len(set(rows.tolist())) == 14
    left, quarter = columns.min(), columns.min() + 55
    assert (fading[rows[0], left] == 255).all()
    blend = (255 + COLORMAPS["inferno"][64].astype(float)) / 2
    assert fading[rows[0], quarter] == pytest.approx(blend, abs=3)


def test_columns() -> None:
    narrow = render_sheet(explanation(), ViewSettings(), columns=1)
    wide = render_sheet(explanation(), ViewSettings(), columns=4)
    assert narrow.shape[0] > 3 * wide.shape[0] / 2
    assert narrow.shape[1] < wide.shape[1]
    assert narrow.dtype == np.uint8
    with pytest.raises(ConfigError, match="columns is 0; give 1 or more"):
        render_sheet(explanation(), ViewSettings(), columns=0)


def test_panorama_and_thin_photos_fit() -> None:
    for size in ((1, 400), (400, 1), (30, 300)):
        assert render_sheet(explanation(size=size), ViewSettings()).shape[2] == 3


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (0.13249, "0.132"),
        (12.5, "12.5"),
        (0.5, "0.500"),
        (123.4, "123"),
        (999.7, "1000"),
        (1234.4, "1234"),
        (12.25, "12.3"),  # as the browser rounds
        (1234.5, "1235"),
        (1e-5, "1.00e-5"),
    ],
)
def test_values_have_three_significant_digits(value: float, text: str) -> None:
    assert format_value(value) == text
