"""A button that brings along what the viewer shows at that moment."""

from collections.abc import Callable
from functools import cache
from typing import Literal

import streamlit as st
from streamlit.components.v2 import component

from app.components.drawing import settings_from_query
from tokenlearner.rendering import ViewSettings

# The viewer keeps its settings in the address, in the browser. Streamlit reports the address as it
# was when the page was opened, so whoever needs the settings has to send them along.
_JS = """
// Whatever else the key may close first.
const OTHERS = "[role=dialog], [data-baseweb=popover]";

export default function ({ data, parentElement, setTriggerValue }) {
  const button = parentElement.querySelector("button");
  // A dialog gives the focus back to what had it, as far as it can see: not into a shadow root.
  button.getRootNode().host.focus = (options) => button.focus(options);
  button.textContent = data.label;
  button.title = data.help;
  button.onclick = () => {
    setTriggerValue("pressed", Object.fromEntries(new URLSearchParams(window.location.search)));
  };
  const onKey = (event) => {
    if (event.key !== data.shortcut || event.defaultPrevented) return;
    if (event.composedPath()[0].matches?.("input[type=text], select, textarea")) return;
    if (document.fullscreenElement || document.querySelector(OTHERS)) return;
    event.preventDefault(); // an arrow would scroll the page
    button.click();
  };
  // Streamlit may call this again, as for another theme, without cleaning up after the call before.
  button.forget?.();
  document.addEventListener("keydown", onKey);
  button.forget = () => document.removeEventListener("keydown", onKey);
  return () => button.forget();
}
"""
_CSS = """
button {
  width: 100%;
  min-height: 40px;
  padding: 4px 14px;
  border: 1px solid var(--st-border-color, #d9dce1);
  border-radius: 8px;
  background: var(--st-background-color, #fff);
  color: var(--st-text-color, #14171a);
  font: 400 14px/1.5 var(--st-font, system-ui, sans-serif);
  white-space: nowrap;
  cursor: pointer;
}

button:hover {
  border-color: var(--st-primary-color, #1d4ed8);
  color: var(--st-primary-color, #1d4ed8);
}

button:focus-visible {
  outline: 3px solid var(--st-primary-color, #1d4ed8);
  outline-offset: 2px;
}
"""


@cache
def _component():
    return component("view_button", html='<button type="button"></button>', css=_CSS, js=_JS)


def view_button(
    label: str,
    *,
    key: str,
    on_press: Callable[[ViewSettings], None],
    help: str = "",
    width: Literal["stretch", "content"] = "stretch",
    shortcut: str = "",
) -> bool:
    """Shows a button.

    Args:
        label: What it says.
        key: Identifies the button from run to run.
        on_press: Called with the viewer's settings, before the page runs again.
        help: What it says when the pointer rests on it.
        width: As wide as there is room, or as what it says.
        shortcut: A key that presses it, as browsers call it: `Escape`.

    Returns:
        Whether it was pressed just now.
    """

    def forward() -> None:
        if (query := st.session_state[key].pressed) is not None:
            on_press(settings_from_query(query))

    pressed = _component()(
        data={"label": label, "help": help, "shortcut": shortcut},
        key=key,
        width=width,
        on_pressed_change=forward,
    ).pressed
    return pressed is not None
