"""What comes back from a widget in the browser."""

from collections.abc import Callable
from typing import Any

import streamlit as st


def listen(
    widget: Callable[..., Any], pack: Callable[[str], bytes], *, key: str, saves: bool
) -> Any:
    """Draws a widget and returns what it asked for: `export`, `step`, or nothing.

    Args:
        widget: A component.
        pack: Makes its buffer, given a text that differs from one file to save to the next.
        key: Identifies the widget from run to run.
        saves: Whether there is a file to save in the buffer.
    """
    files = f"{key}:files"
    st.session_state[files] = st.session_state.get(files, 0) + saves
    buffer = pack(str(st.session_state[files]))
    # A name without a callback is not reported, and the return value says all there is to say.
    return widget(data=buffer, key=key, on_export_change=_ignore, on_step_change=_ignore)


def _ignore() -> None:
    """Streamlit registers an event by its callback."""
