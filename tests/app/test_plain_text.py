"""What visitors may read of a message."""

import pytest

from app.components.plain_text import chart_text, class_title, plain, without_paths

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


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("1. Beach.jpg", r"1\. Beach.jpg"),
        ("12.", r"12\."),
        ("10) Beach.jpg", r"10\) Beach.jpg"),
        ("1.5 s of 2. take", "1.5 s of 2. take"),
        ("title\n===\n    code", "title === code"),
        ("see www.example.org", "see www\u2060.example.org"),
        ("a@b.org.jpg", "a\u2060@b.org.jpg"),
        ("HTTPS://example.org", "HTTPS\u2060\\://example.org"),
    ],
)
def test_nothing_becomes_a_list_a_heading_or_a_link(text: str, escaped: str) -> None:
    assert plain(text) == escaped


def test_nothing_in_a_chart_becomes_a_link() -> None:
    assert chart_text("<a href='x'>it's</a>") == "&lt;a href='x'&gt;it's&lt;/a&gt;"


def test_classes_as_people_read_them() -> None:
    assert class_title("swipe_left") == "swipe left"
    assert class_title("English springer") == "English springer"
    assert class_title("two\nlines") == "two lines"
    assert class_title("_") == "_"
