"""What comes back from a widget in the browser."""

from collections.abc import Callable
from typing import Any

import streamlit as st


def listen(widget: Callable[..., Any], pack: Callable[[str], bytes], *, key: str) -> Any:
    """Draws a widget and returns what it asked for: `export`, `step`, or nothing.

    Args:
        widget: A component.
        pack: Makes its buffer, given a text that differs from one wish to save to the next.
        key: Identifies the widget from run to run.
    """
    wishes = f"{key}:exports"
    buffer = pack(str(st.session_state.get(wishes, 0)))
    # A name without a callback is not reported, and the return value says all there is to say.
    result = widget(data=buffer, key=key, on_export_change=_ignore, on_step_change=_ignore)
    if result.export is not None:
        st.session_state[wishes] = st.session_state.get(wishes, 0) + 1
    return result


def _ignore() -> None:
    """Streamlit registers an event by its callback."""
