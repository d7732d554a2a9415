"""A model that is opened in view of the visitor."""

import logging
from contextlib import nullcontext

import streamlit as st

from app import resources
from app.catalogue import folder_of
from app.components.plain_text import plain
from app.problems import LACK_OF_MEMORY, tell
from tokenlearner.errors import TokenLearnerError, is_out_of_memory

_log = logging.getLogger(__name__)


def problem_with_model(name: str, device: str) -> str:
    """Opens a model, which takes long at first or has to be fetched.

    Returns:
        Why it cannot be opened, for visitors; empty if it can.
    """
    offer = resources.offer(name)
    # The project's own are small.
    notice = (
        nullcontext()
        if offer.origin == "shipped"
        else st.spinner(f"Opening the model {plain(offer.title)}…")
    )
    try:
        with notice:
            resources.load_model(name, device)
    except TokenLearnerError as error:
        return tell(error, {folder_of(offer): offer.title})
    except Exception as error:  # whatever it is, the choice of another one stays on the page
        _log.exception("the model %s cannot be opened", offer.place)
        if is_out_of_memory(error):
            return LACK_OF_MEMORY
        return "An unexpected error occurred while opening it; details are in the server log."
    return ""
