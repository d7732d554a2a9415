"""Colours that everyone can tell apart: distances are measured, not believed."""

import base64

import numpy as np
import pytest

from tokenlearner.rendering.colormap import (
    COLORMAPS,
    TOKEN_COLORS,
    colormap_base64,
    ink_on,
    token_rgb,
)

# Linear RGB as people without one kind of cone see it: Machado, Oliveira and Fernandes,
# "A Physiologically-based Model for Simulation of Color Vision Deficiency" (2009), severity 1.
VISIONS = {
    "normal": np.eye(3),
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deuteranopia": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
    "tritanopia": np.array(
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ]
    ),
}
XYZ = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)


def to_linear(rgb: np.ndarray) -> np.ndarray:
    values = np.asarray(rgb) / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def to_lab(linear: np.ndarray) -> np.ndarray:
    ratios = np.clip(linear, 0, 1) @ XYZ.T / (0.95047, 1.0, 1.08883)
    f = np.where(ratios > 216 / 24389, np.cbrt(ratios), (24389 / 27 * ratios + 16) / 116)
    x, y, z = np.moveaxis(f, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def ciede2000(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Sharma, Wu and Dalal, "The CIEDE2000 Color-Difference Formula" (2005)."""
    (l1, a1, b1), (l2, a2, b2) = np.moveaxis(one, -1, 0), np.moveaxis(other, -1, 0)
    mean_chroma = (np.hypot(a1, b1) + np.hypot(a2, b2)) / 2
    stretch = 1.5 - 0.5 * np.sqrt(mean_chroma**7 / (mean_chroma**7 + 25.0**7))
    c1, c2 = np.hypot(a1 * stretch, b1), np.hypot(a2 * stretch, b2)
    h1, h2 = np.degrees(np.arctan2(b1, a1 * stretch)), np.degrees(np.arctan2(b2, a2 * stretch))
    turn = (h2 - h1 + 180) % 360 - 180
    hue, light, chroma = h1 + turn / 2, (l1 + l2) / 2, (c1 + c2) / 2
    t = (
        1
        - 0.17 * np.cos(np.radians(hue - 30))
        + 0.24 * np.cos(np.radians(2 * hue))
        + 0.32 * np.cos(np.radians(3 * hue + 6))
        - 0.20 * np.cos(np.radians(4 * hue - 63))
    )
    d_light = (l2 - l1) / (1 + 0.015 * (light - 50) ** 2 / np.sqrt(20 + (light - 50) ** 2))
    d_chroma = (c2 - c1) / (1 + 0.045 * chroma)
    d_hue = 2 * np.sqrt(c1 * c2) * np.sin(np.radians(turn / 2)) / (1 + 0.015 * chroma * t)
    angle = 60 * np.exp(-(((hue % 360 - 275) / 25) ** 2))
    rotation = -2 * np.sqrt(chroma**7 / (chroma**7 + 25.0**7)) * np.sin(np.radians(angle))
    return np.sqrt(d_light**2 + d_chroma**2 + d_hue**2 + rotation * d_chroma * d_hue)


def smallest_distance(count: int, vision: str) -> float:
    rgb = np.array([token_rgb(token) for token in range(count)])
    lab = to_lab(to_linear(rgb) @ VISIONS[vision].T)
    distances = ciede2000(lab[:, None], lab[None])
    return float(distances[~np.eye(count, dtype=bool)].min())


@pytest.mark.parametrize(
    ("one", "other", "distance"),
    [
        ((50, 2.6772, -79.7751), (50, 0, -82.7485), 2.0425),
        ((50, 2.5, 0), (73, 25, -18), 27.1492),
        ((2.0776, 0.0795, -1.1350), (0.9033, -0.0636, -0.5514), 0.9082),
    ],
)
def test_distance_gives_the_published_values(
    one: tuple[float, ...], other: tuple[float, ...], distance: float
) -> None:
    assert ciede2000(np.array(one), np.array(other)) == pytest.approx(distance, abs=1e-4)


@pytest.mark.parametrize("vision", VISIONS)
def test_token_colors_are_far_apart_for_every_kind_of_vision(vision: str) -> None:
    assert smallest_distance(8, vision) > 15
    assert smallest_distance(16, vision) > 8.5


def test_token_colors_are_sixteen_and_start_over() -> None:
    assert len(set(TOKEN_COLORS)) == 16
    assert token_rgb(1) == (0x3C, 0x78, 0xFF)
    assert token_rgb(16) == token_rgb(0)


@pytest.mark.parametrize("token", range(16))
def test_number_on_its_token_color_is_readable(token: int) -> None:
    def luminance(rgb: tuple[int, int, int]) -> float:
        return float(to_linear(np.array(rgb)) @ XYZ[1])

    light, dark = sorted([luminance(token_rgb(token)), luminance(ink_on(token_rgb(token)))])[::-1]
    assert (light + 0.05) / (dark + 0.05) >= 4.5


def test_default_color_map_comes_first() -> None:
    assert list(COLORMAPS) == ["inferno", "magma", "viridis", "cividis", "gray"]


@pytest.mark.parametrize("name", COLORMAPS)
def test_color_maps_get_steadily_lighter(name: str) -> None:
    table = COLORMAPS[name]
    assert table.shape == (256, 3)
    assert table.dtype == np.uint8
    lightness = to_lab(to_linear(table))[:, 0]
    assert np.all(np.diff(lightness[::8]) > 0)


def test_color_maps_are_in_rgb() -> None:
    assert tuple(COLORMAPS["viridis"][0]) == (68, 1, 84)
    assert tuple(COLORMAPS["viridis"][255]) == (253, 231, 37)


def test_color_map_travels_as_text() -> None:
    table = np.frombuffer(base64.b64decode(colormap_base64(COLORMAPS["magma"])), dtype=np.uint8)
    assert np.array_equal(table.reshape(256, 3), COLORMAPS["magma"])
