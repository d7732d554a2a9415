"""The frame of the dashboard: navigation, what all pages share, and what happens on errors."""

import logging
from pathlib import Path

import streamlit as st

from app import resources
from app.components.address_bar import address_bar
from app.components.plain_text import plain
from app.components.provenance import provenance_badge
from app.components.stage import stage_button
from app.state import PageState, change_state, current_state, query_from_state
from tokenlearner import zoo
from tokenlearner.errors import TokenLearnerError

_FOLDER = Path(__file__).parent

_SIDEBAR_PX = 280

_log = logging.getLogger(__name__)


def run() -> None:
    """Draws the page that the address asks for."""
    st.set_page_config(
        page_title="TokenLearner Explorer",
        page_icon=_FOLDER / "components" / "icon.svg",
        layout="wide",
        initial_sidebar_state=_SIDEBAR_PX,
    )
    st.html(_FOLDER / "components" / "look.css")
    state = current_state(zoo.names(), resources.samples())
    pages = [
        st.Page(
            _FOLDER / "app_pages" / "explore.py",
            title="Explore",
            icon=":material/image_search:",
            default=True,
        )
    ]
    page = st.navigation(pages, position="hidden" if state.stage else "sidebar")
    if state.stage:
        st.html(_FOLDER / "components" / "stage.css")
    else:
        with st.sidebar:
            _shared_choices(state)
    page.run()
    address_bar(query_from_state(state))


def _shared_choices(state: PageState) -> None:
    """What every page needs to know: which model, on which device."""

    def choose(field: str) -> None:
        change_state(**{field: st.session_state[f"choice_{field}"]})

    # The session's state is the truth; a widget that was away on stage takes it over again.
    st.session_state["choice_model"] = state.model
    st.session_state["choice_device"] = state.device
    st.selectbox(
        "Model",
        zoo.names(),
        format_func=lambda name: zoo.entry(name).title,
        key="choice_model",
        on_change=choose,
        args=("model",),
    )
    info = resources.model_info(state.model, resources.pick_device(state.device))
    provenance_badge(info, card=zoo.card(state.model))
    devices = resources.devices()
    st.selectbox(
        "Device",
        list(devices),
        format_func=devices.__getitem__,
        key="choice_device",
        on_change=choose,
        args=("device",),
    )
    stage_button()


def _run_safely() -> None:
    """Shows what went wrong without a stack trace; the log gets all of it."""
    try:
        run()
    except TokenLearnerError as error:
        _log.warning("%s", error)
        st.error(plain(str(error)), icon=":material/error:")
    except Exception:
        _log.exception("the page could not be drawn")
        st.error(
            "Something went wrong that nobody foresaw. Choose another photo or reload the page; "
            "the details are in the log of the server.",
            icon=":material/error:",
        )


_run_safely()
