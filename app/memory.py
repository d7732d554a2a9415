"""What visitors' files, and results, may take of this machine's memory."""

import streamlit as st
import torch

from app.shelf import Budget, Shelf
from tokenlearner.efficiency.memory import free_bytes

_FILES = "own_files"

# Of all sessions together where there is plenty of memory, and the share of it where there is less.
_SHARED_RESULTS = (800 * 2**20, 0.1)
_OWN_RESULTS = (2_000 * 2**20, 0.25)
_OWN_FILES = (1_000 * 2**20, 0.15)

_RESULTS_OF_ONE, _FILES_OF_ONE = 400 * 2**20, 300 * 2**20


def at_most(num_bytes: int, share: float) -> int:
    """So many bytes, or a share of what is free now if that is less.

    Args:
        num_bytes: What to take of a machine with plenty of memory.
        share: Of the free memory, 0 to 1.
    """
    free = free_bytes(torch.device("cpu"))
    return num_bytes if free is None else min(num_bytes, int(share * free))


@st.cache_resource(max_entries=1, show_spinner=False)
def shared_results() -> Shelf:
    """Results of the shipped samples, for all sessions."""
    return Shelf(at_most(*_SHARED_RESULTS))


@st.cache_resource(max_entries=1, show_spinner=False, scope="session")
def own_results() -> Shelf:
    """Results of this session's own files, which no other sees."""
    budget = _all_own_results()
    return Shelf(min(_RESULTS_OF_ONE, budget.max_bytes), budget)


def own_files() -> Shelf:
    """The photo and the clip that this session brought, unless those of others needed the room."""
    if _FILES not in st.session_state:
        budget = _all_own_files()
        st.session_state[_FILES] = Shelf(min(_FILES_OF_ONE, budget.max_bytes), budget)
    return st.session_state[_FILES]


@st.cache_resource(max_entries=1, show_spinner=False)
def _all_own_results() -> Budget:
    return Budget(at_most(*_OWN_RESULTS))


@st.cache_resource(max_entries=1, show_spinner=False)
def _all_own_files() -> Budget:
    return Budget(at_most(*_OWN_FILES))
