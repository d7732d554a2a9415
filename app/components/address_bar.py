"""Keeps the address of the page a link to what it shows."""

from collections.abc import Mapping
from functools import cache

import streamlit as st
from streamlit.components.v2 import component

# Written in the browser and not through st.query_params: once the server has written an address,
# the browser reports that one for ever, and what the viewer adds to it would never arrive here.
# Replacing also keeps every choice from becoming a step of the browser's Back button.
_JS = """
export default function ({ data }) {
  const url = new URL(window.location.href);
  for (const [key, value] of Object.entries(data)) {
    if (value === null) url.searchParams.delete(key);
    else url.searchParams.set(key, value);
  }
  const link = url.href.replaceAll("%2C", ",");
  if (link !== window.location.href) history.replaceState(history.state, "", link);
}
"""


@cache
def _component():
    return component("address_bar", js=_JS)


def address_bar(query: Mapping[str, str | None], *, key: str = "address_bar") -> None:
    """Sets parameters of the page's address, and removes those that are None; others stay.

    Args:
        query: The parameters.
        key: Tells several of these on one page apart.
    """
    with st.container(key=f"hidden_{key}"):
        _component()(data=dict(query), key=key)
