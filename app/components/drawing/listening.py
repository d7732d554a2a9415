"""What comes back from a widget in the browser, and the files that it saves there."""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import streamlit as st

from app import memory

_FILE = ":file"  # how the names of those end that wait in the session's state
PATIENCE_S = 20.0
"""How long somebody waits for a file, and the button in the browser says that it is being made."""


def save_in_browser(key: str, file: tuple[str, bytes]) -> None:
    """Has the widget of this key save a file, name and content, when it is drawn next, if soon."""
    # The browser knows a file by it, and outlives this session.
    file_id = secrets.token_hex(8)
    shelf = memory.own_results()
    if (before := st.session_state.get(f"{key}{_FILE}")) is not None:
        shelf.drop(before[1])
    shelf.put(file_id, file, len(file[1]))
    st.session_state[f"{key}{_FILE}"] = time.monotonic(), file_id


def forget_old_files() -> None:
    """Drops what nobody took in time; at the beginning of every run, of whichever page."""
    for name in [name for name in st.session_state if str(name).endswith(_FILE)]:
        made, file_id = st.session_state[name]
        if time.monotonic() - made > PATIENCE_S:
            st.session_state.pop(name, None)
            memory.own_results().drop(file_id)


def listen(
    widget: Callable[..., Any],
    pack: Callable[[tuple[str, bytes] | None, str], bytes],
    *,
    key: str,
    on_export: Callable[[Any], None],
    on_step: Callable[[Any], None],
) -> None:
    """Draws a widget that may ask for something.

    Args:
        widget: A component.
        pack: Makes its buffer, given a file for it to save, and a text that differs from one file
            to the next.
        key: Identifies the widget from run to run.
        on_export: Takes what comes with the wish to save a picture. It is called when the widget is
            drawn next, whatever was clicked meanwhile, and again if that run is ended early.
        on_step: Takes how far to go, to another photo or clip, before the page runs.
    """
    wishes: list[_Wish] = st.session_state.setdefault(f"{key}:wishes", [])
    while wishes:
        try:
            _fulfil(wishes[0])
        except Exception:  # of which a run that is ended early raises none
            del wishes[0]
            raise
        del wishes[0]
    # Sent more than once, as this run may be ended early, and what it sends may be overtaken on the
    # way; the browser saves each file once.
    _, file_id = st.session_state.get(f"{key}{_FILE}", (0.0, ""))
    file = memory.own_results().get(file_id) if file_id else None
    widget(
        data=pack(file, file_id),
        key=key,
        on_export_change=partial(_keep_wish, key, wishes, on_export),
        on_step_change=partial(_step, key, on_step),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Wish:
    asked: float
    act: Callable[[Any], None]
    values: Any


def _keep_wish(key: str, wishes: list[_Wish], act: Callable[[Any], None]) -> None:
    # Another click may end the run at every look into the session's state, a callback included:
    # this is the only one.
    if (values := st.session_state[key].get("export")) is not None:
        wishes.append(_Wish(asked=time.monotonic(), act=act, values=values))


def _fulfil(wish: _Wish) -> None:
    if time.monotonic() - wish.asked < PATIENCE_S:
        wish.act(wish.values)


def _step(key: str, act: Callable[[Any], None]) -> None:
    if (step := st.session_state[key].get("step")) is not None:
        act(step)
