"""What the pages show, as one frozen value per session, and its form in a link.

The session's state is the truth; the address bar follows it, so that the address is always a link
to what is on the screen. How maps are drawn is the viewer's to keep, in the browser: `view` is what
was last heard of it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import streamlit as st

from app import memory
from app.components.drawing import settings_from_query
from tokenlearner.media import Image
from tokenlearner.rendering import ViewSettings

PageTitle = Literal["Explore", "Clips"]
"""A page that takes files."""

_PAGE = "page_state"
_NOTICES = "notices"
_OWN_PHOTO = "photo"

DROPPED = "was dropped to free memory; please bring it again."
"""What is said of a file that a visitor brought."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PageState:
    """What a page shows.

    Attributes:
        model: Name of the model.
        sample: Id of the sample; None for the photo that this session brought.
        stage: Whether the viewer fills the screen.
        learner: Which of the model's learners, counted from 0.
        device: `auto`, or a name of PyTorch's; not part of a link, which may travel to another
            machine.
        view: How the maps are drawn.
    """

    model: str
    sample: str | None
    stage: bool = False
    learner: int = 0
    device: str = "auto"
    view: ViewSettings = field(default_factory=ViewSettings)


@dataclass(frozen=True, kw_only=True, slots=True)
class Notice:
    """A sentence for the user to read once.

    Attributes:
        text: The sentence, or several.
        page: Where it sends them; None if it sends them nowhere.
    """

    text: str
    page: PageTitle | None = None


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class OwnPhoto:
    """A photo that this session uploaded or took.

    Attributes:
        name: Its file's name.
        image: The photo itself.
        thumbnail: A small picture of it, as a data URI.
    """

    name: str
    image: Image
    thumbnail: str


def state_from_query(
    query: Mapping[str, str], *, models: Iterable[str], samples: Iterable[str]
) -> tuple[PageState, tuple[str, ...]]:
    """Reads a link; what it asks for in vain becomes the default and a sentence about it.

    Args:
        query: The link's parameters. Others than those of a `PageState` are ignored.
        models: Names of the models, the default first.
        samples: Ids of the samples, the default first.
    """
    models, samples = list(models), list(samples)
    model, sample = query.get("model", models[0]), query.get("sample", samples[0])
    notices = []
    if model not in models:
        notices.append(f"There is no model “{model[:60]}” here; showing the default instead.")
        model = models[0]
    if sample not in samples:
        notices.append(f"There is no sample “{sample[:60]}” here; showing the default instead.")
        sample = samples[0]
    state = PageState(
        model=model,
        sample=sample,
        stage=query.get("stage") == "1",
        learner=_learner_from_query(query),
        view=settings_from_query(query),
    )
    return state, tuple(notices)


def query_from_state(state: PageState) -> dict[str, str | None]:
    """The parameters that make a link to this state; None for one that the link must not have.

    The viewer adds its own.
    """
    return {
        "model": state.model,
        "sample": state.sample,
        "stage": "1" if state.stage else None,
        "learner": str(state.learner + 1) if state.learner else None,
    }


def _learner_from_query(query: Mapping[str, str]) -> int:
    """People count from 1; whatever is no such number means the first."""
    text = query.get("learner", "")
    # Three digits are more than any model has learners, and few enough for `int`.
    return max(int(text) - 1, 0) if text.isdecimal() and len(text) < 4 else 0


def current_state(models: Iterable[str], samples: Iterable[str]) -> PageState:
    """The state of this run: what the link asked for at first, then what the user chose."""
    if _PAGE not in st.session_state:
        query = st.query_params.to_dict()
        state, notices = state_from_query(query, models=models, samples=samples)
        st.session_state[_PAGE] = state
        st.session_state[_NOTICES] = tuple(Notice(text=text) for text in notices)
    state: PageState = st.session_state[_PAGE]
    if state.sample is None and own_photo() is None:
        st.session_state[_PAGE] = replace(state, sample=next(iter(samples)))
        add_notices((f"Your photo {DROPPED}",))
    return st.session_state[_PAGE]


def change_state(**changes: Any) -> None:
    """Replaces fields of the state; for callbacks, which run before the page is drawn again."""
    st.session_state[_PAGE] = replace(st.session_state[_PAGE], **changes)
    st.session_state[_NOTICES] = ()


def is_on_stage() -> bool:
    """Whether the viewer fills the screen; also where the state could not be read."""
    state: PageState | None = st.session_state.get(_PAGE)
    return state is not None and state.stage


def show_own_photo(photo: OwnPhoto) -> None:
    """Makes a photo that the user brought the one on the page."""
    memory.own_files().put(_OWN_PHOTO, photo, photo.image.pixels.nbytes)
    change_state(sample=None)


def own_photo() -> OwnPhoto | None:
    """The photo that this session brought last, on the page or not; None once it was dropped."""
    return memory.own_files().get(_OWN_PHOTO)


def say(text: str, *, page: PageTitle | None = None) -> None:
    """Leaves a sentence for the page to show until the next choice.

    Args:
        text: The sentence.
        page: Where it sends the user.
    """
    st.session_state[_NOTICES] = (Notice(text=text, page=page),)


def add_notices(sentences: tuple[str, ...]) -> None:
    """Leaves sentences beside those that are there, until the next choice."""
    st.session_state[_NOTICES] = (*notices(), *(Notice(text=text) for text in sentences))


def clear_notices() -> None:
    """Takes back what was said: a choice was made."""
    st.session_state[_NOTICES] = ()


def notices() -> tuple[Notice, ...]:
    """What the page has to say besides its content."""
    return st.session_state.get(_NOTICES, ())
