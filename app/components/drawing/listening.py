"""What comes back from a widget in the browser, and the files that it saves there."""

import math
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import streamlit as st

_PATIENCE_S = 20.0  # as long as the button in the browser says that a file is being made


def save_in_browser(key: str, file: tuple[str, bytes]) -> None:
    """Has the widget of this key save a file, name and content, when it is drawn next, if soon."""
    count = f"{key}:files"
    number = st.session_state[count] = st.session_state.get(count, 0) + 1
    st.session_state[f"{key}:file"] = time.monotonic(), file, str(number)


def listen(
    widget: Callable[..., Any],
    pack: Callable[[tuple[str, bytes] | None, str], bytes],
    *,
    key: str,
    on_export: Callable[[Any], None],
    on_step: Callable[[Any], None],
) -> None:
    """Draws a widget that may ask for something.

    What it asks for is done before the page runs again: a run that another click ends early would
    lose it.

    Args:
        widget: A component.
        pack: Makes its buffer, given a file for it to save, and a text that differs from one file
            to the next.
        key: Identifies the widget from run to run.
        on_export: Takes what comes with the wish to save a picture.
        on_step: Takes how far to go, to another photo or clip.
    """
    # Sent more than once, as this run may be ended early, and what it sends may be overtaken on the
    # way; the browser saves each file once.
    made, file, file_id = st.session_state.get(f"{key}:file", (-math.inf, None, ""))
    if time.monotonic() - made > _PATIENCE_S:
        st.session_state.pop(f"{key}:file", None)
        file = None
    widget(
        data=pack(file, file_id),
        key=key,
        on_export_change=partial(_act, key, "export", on_export),
        on_step_change=partial(_act, key, "step", on_step),
    )


def _act(key: str, event: str, act: Callable[[Any], None]) -> None:
    if (value := st.session_state[key].get(event)) is not None:
        act(value)
