"""Text from elsewhere, safe to put into Markdown."""

import re
from collections.abc import Mapping

# A word that starts with a slash or a drive: /srv/models, 'C:\models', https://….
_PATH = re.compile(r"""(?<![^\s'"“(\[{<=:,;])(?:[A-Za-z]:)?[/\\]+\w""")


def plain(text: str) -> str:
    r"""Escapes what Markdown, or Streamlit's additions to it, would take for markup.

    Example:
        >>> plain("IMG_2041 [1].jpg")
        'IMG\\_2041 \\[1\\].jpg'
    """
    return re.sub(r"([\\`*_{}\[\]()#+\-!|$:<>~&])", r"\\\1", text)


def class_title(name: str) -> str:
    """A class as people read it; folders of photos are often called like `swipe_left`."""
    return name.replace("_", " ").strip() or name


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
