"""Which learner's maps the page shows, of a model that has several."""

import streamlit as st

from app.state import PageState, change_state
from tokenlearner.answers import Answer

_KEY = "choice_learner"


def learner_of(state: PageState, explanation: Answer) -> int:
    """The learner on the page, counted from 0: the last one if the link asks for more."""
    return max(0, min(state.learner, len(explanation.learners) - 1))


def learner_choice(state: PageState, explanation: Answer) -> None:
    """Offers a model's learners by the block that they stand before; nothing if it has just one."""
    learners = explanation.learners
    if len(learners) < 2:
        return
    st.session_state[_KEY] = learner_of(state, explanation)
    st.selectbox(
        "Learner",
        range(len(learners)),
        format_func=lambda index: f"Learner before block {learners[index].block + 1}",
        key=_KEY,
        on_change=lambda: change_state(learner=st.session_state[_KEY]),
        label_visibility="collapsed",
        width=260,
    )
