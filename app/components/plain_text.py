"""Text from elsewhere, safe to put into Markdown."""

import re


def plain(text: str) -> str:
    r"""Escapes what Markdown, or Streamlit's additions to it, would take for markup.

    Example:
        >>> plain("IMG_2041 [1].jpg")
        'IMG\\_2041 \\[1\\].jpg'
    """
    return re.sub(r"([\\`*_{}\[\]()#+\-!|$:<>~&])", r"\\\1", text)
