"""Text from elsewhere: what visitors may read of it, and how it goes into Markdown and charts."""

import re
from collections.abc import Mapping
from html import escape

_MARKUP = re.compile(r"([\\`*_{}\[\]()#+\-!|$:<>~&])")
_LIST_NUMBER = re.compile(r"^(\d+)\.(?=\s|$)")
# Addresses become links even where they are escaped, but not with a word joiner, which nobody sees.
_IN_ADDRESS = re.compile(
    r"(?<=www)(?=\.)|(?<=http)(?=:)|(?<=https)(?=:)|(?=@[\w-]+\.)", re.IGNORECASE
)
_WORD_JOINER = "\u2060"

# A word that starts with a slash or a drive: /srv/models, 'C:\models', https://….
_PATH = re.compile(r"""(?<![^\s'"“(\[{<=:,;])(?:[A-Za-z]:)?[/\\]+\w""")


def plain(text: str) -> str:
    r"""Escapes what Markdown, or Streamlit's additions to it, would take for markup.

    Addresses do not become links, and line breaks become blanks.

    Example:
        >>> plain("IMG_2041 [1].jpg")
        'IMG\\_2041 \\[1\\].jpg'
        >>> plain("1. Beach.jpg")
        '1\\. Beach.jpg'
    """
    text = _IN_ADDRESS.sub(_WORD_JOINER, " ".join(text.split()))
    return _LIST_NUMBER.sub(r"\1\\.", _MARKUP.sub(r"\\\1", text))


def chart_text(text: str) -> str:
    """Escapes what Plotly would take for markup; it knows no entities for quotation marks.

    Example:
        >>> chart_text("<b>bold</b> & 'quoted'")
        "&lt;b&gt;bold&lt;/b&gt; &amp; 'quoted'"
    """
    return escape(text, quote=False)


def class_title(name: str) -> str:
    """A class as people read it; folders of photos are often called like `swipe_left`."""
    return " ".join(name.replace("_", " ").split()) or name


def without_paths(text: str, names: Mapping[str, str]) -> str:
    """A message that visitors may read: it names folders as they know them, or says less.

    Args:
        text: The message. It belongs in the server's log as it is.
        names: What folders of the server are called on the page.

    Example:
        >>> without_paths("/srv/models/mine/config.json is not JSON", {"/srv/models/mine": "mine"})
        'mine/config.json is not JSON'
    """
    for path in sorted(names, key=len, reverse=True):  # a folder in another one comes first
        text = re.sub(rf"{re.escape(path)}(?![\w.\-])", lambda _, path=path: names[path], text)
    if _PATH.search(text):
        return "A file on the server cannot be used; the server’s log says which one and why."
    return text
