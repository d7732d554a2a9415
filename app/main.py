"""The frame of the dashboard: navigation, what all pages share, and what happens on errors."""

import logging
from pathlib import Path

import streamlit as st
from streamlit.navigation.page import Page

from app import resources
from app.catalogue import Offer, folder_problem, title_of
from app.components.address_bar import address_bar
from app.components.drawing import forget_old_files
from app.components.opening import problem_with_model
from app.components.plain_text import plain
from app.components.provenance import provenance_badge
from app.components.stage import leave_stage_button, stage_button
from app.problems import LACK_OF_MEMORY, tell
from app.state import (
    PageState,
    change_state,
    current_state,
    is_on_stage,
    query_from_state,
    say,
)
from tokenlearner.errors import TokenLearnerError, is_out_of_memory

_FOLDER = Path(__file__).parent

_SIDEBAR_PX = 280

_UNFORESEEN = (
    "An unexpected error occurred. Reload the page or try something else; details are in the "
    "server log."
)

_log = logging.getLogger(__name__)


def run() -> None:
    """Draws the page that the address asks for."""
    st.set_page_config(
        page_icon=_FOLDER / "components" / "icon.svg",
        layout="wide",
        initial_sidebar_state=_SIDEBAR_PX,
    )
    st.html(_FOLDER / "components" / "look.css")
    forget_old_files()
    models = resources.models()
    state = current_state(models, resources.samples())
    if state.model not in models:  # the operator took it away
        change_state(model=next(iter(models)), learner=0)
        say(f"The model “{title_of(state.model)}” is no longer available; showing another one.")
        state = current_state(models, resources.samples())
    clips = st.Page(
        _FOLDER / "app_pages" / "clips.py",
        title="Clips",
        icon=":material/movie:",
        url_path="clips",
    )
    pages = [
        st.Page(
            _FOLDER / "app_pages" / "explore.py",
            title="Explore",
            icon=":material/image_search:",
            default=True,
        ),
        clips,
        st.Page(
            _FOLDER / "app_pages" / "efficiency.py",
            title="Efficiency",
            icon=":material/speed:",
        ),
    ]
    page = st.navigation(pages, position="hidden" if state.stage else "sidebar")
    st.set_page_config(page_title=f"{page.title} · TokenLearner Explorer")
    device = resources.pick_device(state.device)
    problem = problem_with_model(state.model, device)
    if state.stage:
        st.html(_FOLDER / "components" / "stage.css")
    else:
        with st.sidebar:
            _shared_choices(state, problem)
    if problem:
        _instead_of_page(state, problem)
    elif page is pages[0] and resources.takes_clips(state.model, device):
        _clips_instead(models[state.model], clips)
        if state.stage:
            leave_stage_button()
    else:
        page.run()
    query = query_from_state(state)
    if page is not pages[0]:  # only the Explore page shows a photo
        query["sample"] = None
    address_bar(query)


def _instead_of_page(state: PageState, problem: str) -> None:
    """Says that there is nothing to see and leads on."""
    if state.stage:
        st.error(plain(problem), icon=":material/error:")
    else:
        st.info("This model cannot be opened; choose another one.", icon=":material/info:")
    first = next(iter(resources.models().values()))
    if first.name != state.model:
        st.button(
            f"Open {first.title}",
            on_click=change_state,
            kwargs={"model": first.name, "learner": 0},
        )
    if state.stage:
        leave_stage_button()


def _clips_instead(offer: Offer, clips: Page) -> None:
    """Says that a model for clips has nothing to show here, and leads to where it has."""
    st.info(
        f"**{plain(offer.title)} is a model for clips.** It looks at several frames together, so a "
        "single photo is not enough.",
        icon=":material/movie:",
    )
    st.page_link(clips, label="Open the Clips page", icon=":material/arrow_forward:")


def _shared_choices(state: PageState, problem: str) -> None:
    """What every page needs to know: which model, on which device."""
    models = resources.models()

    def choose(field: str) -> None:
        value = st.session_state[f"choice_{field}"]
        # Another model has other learners.
        change_state(**{field: value}, **({"learner": 0} if field == "model" else {}))

    # The session's state is the truth; a widget that was away on stage takes it over again.
    st.session_state["choice_model"] = state.model
    st.session_state["choice_device"] = state.device
    st.selectbox(
        "Model",
        list(models),
        format_func=lambda name: models[name].title,
        key="choice_model",
        on_change=choose,
        args=("model",),
    )
    if problem:
        st.error(plain(problem), icon=":material/error:")
    else:
        device = resources.pick_device(state.device)
        provenance_badge(
            resources.model_info(state.model, device),
            offer=models[state.model],
            card=resources.model_card(state.model, device),
        )
    if missing := folder_problem(resources.options(), models):
        _warn_once(missing)
        st.error(
            "The operator’s own models are not available at the moment.",
            icon=":material/folder_off:",
        )
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


@st.cache_resource(max_entries=1, show_spinner=False)
def _warn_once(what: str) -> None:
    """Tells the operator, until something else is wrong."""
    _log.warning("%s", what)


def _run_safely() -> None:
    """Shows what went wrong without a stack trace; the log gets all of it."""
    try:
        with resources.models_listed_once():
            run()
    except TokenLearnerError as error:
        _say_error(plain(tell(error)))
    except Exception as error:
        _log.exception("the page could not be drawn")
        _say_error(LACK_OF_MEMORY if is_out_of_memory(error) else _UNFORESEEN)


def _say_error(text: str) -> None:
    st.error(text, icon=":material/error:")
    if is_on_stage():
        # A key of its own, because the page may have drawn the other before it failed.
        leave_stage_button(key="leave_stage_after_error")


_run_safely()
