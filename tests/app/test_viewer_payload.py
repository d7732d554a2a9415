"""What the viewer's JavaScript receives, unpacked here as it unpacks it there."""

import json
import struct
from dataclasses import asdict
from typing import Any

import cv2
import numpy as np
import pytest

from app.components.attention_viewer import pack_payload
from app.components.drawing import (
    encode_display_photo,
    settings_from_query,
    settings_from_values,
)
from tests import by_hand
from tokenlearner.inference import Explanation
from tokenlearner.rendering import COLORMAPS, TOKEN_COLORS, ViewSettings

MAPS = np.arange(24, dtype=np.float32).reshape(2, 3, 4) / 24
JPEG = b"\xff\xd8 any bytes will do"


def explanation(maps: np.ndarray = MAPS, left: float = 8.5) -> Explanation:
    return by_hand.explanation(maps, np.zeros((60, 100, 3), np.uint8), (left, 0.0, 90.0, 60.0))


def unpack(payload: bytes) -> tuple[dict[str, Any], bytes]:
    (length,) = struct.unpack_from("<I", payload)
    return json.loads(payload[4 : 4 + length]), payload[4 + length :]


def block(body: bytes, entry: dict[str, int]) -> bytes:
    return body[entry["offset"] : entry["offset"] + entry["length"]]


def header_of(**options: Any) -> dict[str, Any]:
    options = {
        "settings": ViewSettings(),
        "photo_jpeg": JPEG,
        "explanation": explanation(),
    } | options
    return unpack(pack_payload(**options))[0]


def test_payload_holds_maps_and_photo() -> None:
    header, body = unpack(pack_payload(explanation(), JPEG, ViewSettings()))
    maps = np.frombuffer(block(body, header["maps"]), dtype="<f4").reshape(header["shape"])
    assert np.array_equal(maps, MAPS)
    assert block(body, header["photo"]) == JPEG
    assert header["box"] == [8.5, 0, 90, 60]
    assert header["source"] == [60, 100]
    assert header["download"] is None


def test_payload_holds_colors_and_settings() -> None:
    settings = ViewSettings(tokens=(1,), opacity=0.3, colormap="magma")
    header = header_of(settings=settings, stage=True)
    assert header["colors"] == list(TOKEN_COLORS)
    assert list(header["colormaps"]) == list(COLORMAPS)
    assert header["settings"] == asdict(settings) | {"tokens": [1]}
    assert header["defaults"] == asdict(ViewSettings()) | {"tokens": []}
    assert header["stage"] is True


def test_maps_that_are_not_contiguous_arrive_in_order() -> None:
    turned = np.ascontiguousarray(MAPS.transpose(0, 2, 1)).transpose(0, 2, 1)
    header, body = unpack(pack_payload(explanation(turned), JPEG, ViewSettings()))
    assert block(body, header["maps"]) == MAPS.tobytes()


def test_identity_follows_the_data_and_nothing_else() -> None:
    known = header_of()["id"]
    assert header_of(settings=ViewSettings(tokens=(1,)), stage=True)["id"] == known
    assert header_of(download=("a.png", b"x"))["id"] == known
    assert header_of(photo_jpeg=b"another")["id"] != known
    assert header_of(explanation=explanation(MAPS + 1))["id"] != known
    assert header_of(explanation=explanation(left=8.0))["id"] != known
    assert header_of(explanation=explanation(MAPS.reshape(2, 4, 3)))["id"] != known


def test_download_travels_with_an_identity_of_its_own() -> None:
    options = {"download": ("overlay.png", b"picture"), "download_id": "3"}
    header, body = unpack(pack_payload(explanation(), JPEG, ViewSettings(), **options))
    assert block(body, header["download"]) == b"picture"
    assert header["download"]["filename"] == "overlay.png"
    assert header["download"]["type"] == "image/png"
    again = header_of(**options | {"download_id": "4"})
    assert again["download"]["id"] != header["download"]["id"]


def test_display_photo_is_bounded_and_keeps_its_colors() -> None:
    pixels = np.full((900, 3200, 3), (200, 100, 30), dtype=np.uint8)
    decoded = cv2.imdecode(np.frombuffer(encode_display_photo(pixels), np.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None
    assert decoded.shape == (450, 1600, 3)
    assert np.abs(decoded[200, 800].astype(int) - (30, 100, 200)).max() <= 3


def test_small_display_photo_keeps_its_size() -> None:
    encoded = encode_display_photo(np.zeros((1, 7, 3), dtype=np.uint8))
    decoded = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None
    assert decoded.shape == (1, 7, 3)


def test_link_with_every_setting() -> None:
    query = {
        "token": "5,2,2",
        "mode": "composite",
        "opacity": "0.45",
        "cmap": "cividis",
        "interp": "patch",
        "scale": "token",
        "mass": "0.6",
        "weak": "cover",
        "model": "something else",
    }
    assert settings_from_query(query) == ViewSettings(
        tokens=(1, 4),
        mode="composite",
        opacity=0.45,
        colormap="cividis",
        interpolation="patch",
        scale="token",
        mass=0.6,
        weak="cover",
    )


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"token": ""},
        {"token": "a"},
        {"token": "0"},
        {"token": "-3"},
        {"token": "9" * 5000},
        {"token": "²"},
        {"opacity": "much"},
        {"opacity": "nan"},
        {"opacity": "7"},
        {"mass": "0"},
        {"cmap": "jet"},
        {"mode": "<script>"},
        {"weak": "strong"},
        {"colormap": "magma", "interpolation": "patch", "tokens": "12"},
    ],
)
def test_link_that_makes_no_sense_shows_the_default(query: dict[str, str]) -> None:
    assert settings_from_query(query) == ViewSettings()


@pytest.mark.parametrize("query", [None, [], "token=2", {"tokens": ["inf"]}, {"opacity": None}])
def test_what_is_no_query_shows_the_default(query: object) -> None:
    assert settings_from_query(query) == ViewSettings()


def test_tokens_beyond_all_numbers_are_left_out() -> None:
    assert settings_from_values({"tokens": [float("inf")]}) == ViewSettings()


def test_one_bad_setting_leaves_the_others() -> None:
    assert settings_from_query({"opacity": "7", "cmap": "gray"}) == ViewSettings(colormap="gray")


def test_settings_come_back_from_the_browser_as_they_went() -> None:
    settings = ViewSettings(tokens=(0, 3), mode="composite", opacity=0.25, scale="token", mass=0.5)
    assert settings_from_values(json.loads(json.dumps(asdict(settings)))) == settings
    assert settings_from_values({"tokens": None, "opacity": []}) == ViewSettings()
