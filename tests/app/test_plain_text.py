"""What visitors may read of a message."""

import pytest

from app.components.plain_text import class_title, without_paths

NAMES = {"/srv/models": "the folder", "/srv/models/mine (2)": "mine (2)"}


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("cannot read /srv/models/mine (2)/a.json: gone", "cannot read mine (2)/a.json: gone"),
        ("/srv/models/mine (2) is empty", "mine (2) is empty"),
        ("/srv/models/other/a.json: no", "the folder/other/a.json: no"),
        ("owner/name and/or v1/2 cannot be had", "owner/name and/or v1/2 cannot be had"),
    ],
)
def test_folders_get_their_names(message: str, told: str) -> None:
    assert without_paths(message, NAMES) == told


@pytest.mark.parametrize(
    "message",
    [
        "cannot read /srv/models2/a.json",
        "see '/etc/passwd'",
        "(/home/jane doe/x) is broken",
        r"C:\models\a.json is broken",
        r"\\server\models is gone",
        "the answer of https://example.org/api was 500",
    ],
)
def test_rather_vague_than_a_path(message: str) -> None:
    assert without_paths(message, NAMES) == (
        "A file on the server cannot be used; the server’s log says which one and why."
    )


def test_classes_as_people_read_them() -> None:
    assert class_title("swipe_left") == "swipe left"
    assert class_title("English springer") == "English springer"
    assert class_title("_") == "_"
