"""The row of photos or clips to choose from."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import streamlit as st
from streamlit.components.v2 import component

_FOLDER = Path(__file__).parent


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """One photo to choose.

    Attributes:
        id: What comes back when it is chosen.
        title: What it shows; the picture's alternative text.
        thumbnail: Data URI.
        group: Heading that it stands under; photos of one heading must follow each other.
        label: A word to mark it with; empty for none.
    """

    id: str
    title: str
    thumbnail: str
    group: str
    label: str = ""


@cache
def _component():
    return component(
        "photo_picker",
        html='<div class="picker" role="radiogroup"></div>',
        css=(_FOLDER / "picker.css").read_text(encoding="utf-8"),
        js=(_FOLDER / "picker.js").read_text(encoding="utf-8"),
    )


def photo_picker(
    choices: Sequence[Choice],
    *,
    selected: str,
    key: str,
    on_pick: Callable[[str], None],
    name: str = "Photos",
) -> None:
    """Shows photos, or pictures of clips, in a row that can be scrolled.

    Args:
        choices: In the order of the row.
        selected: Id of the one that is on the page.
        key: Identifies the row from run to run.
        on_pick: Called with the id of the photo that the user chose, before the page runs again.
        name: What the row holds.
    """

    def forward() -> None:
        if picked := st.session_state[key].picked:
            on_pick(picked)

    data = {
        "choices": [asdict(choice) for choice in choices],
        "selected": selected,
        "name": name,
    }
    _component()(data=data, key=key, on_picked_change=forward)
