"""What TokenLearner saves: counted, measured on this machine, explored, and published."""

from dataclasses import replace
from pathlib import Path

import streamlit as st

from app import resources
from app.components.address_bar import address_bar
from app.components.efficiency.designs import designs
from app.components.efficiency.explorer import explorer
from app.components.efficiency.pair import pair
from app.components.efficiency.published import published
from app.components.efficiency.settings import (
    SECTIONS,
    change_settings,
    current_settings,
    fit,
    keep_settings,
    query_from_settings,
)
from app.components.notices import show_notices
from app.components.stage import leave_stage_button
from app.state import current_state

_HEADLINE = """<h1>Efficiency</h1>
<p>What fewer tokens save: counted exactly, and measured on the machine in front of you.</p>"""

_TITLES = list(SECTIONS.values())

state = current_state(resources.models(), resources.samples())
device = resources.pick_device(state.device)
settings = current_settings()
if settings.section == "placement":
    settings = replace(settings, placement=fit(settings.placement, designs()))
    keep_settings(settings)

st.html(Path(__file__).parents[1] / "components" / "efficiency" / "look.css")
with st.container(key="status", horizontal=True):
    st.html(_HEADLINE, width="content")
    if state.stage:
        leave_stage_button()
show_notices()

st.session_state["efficiency_section"] = SECTIONS[settings.section]
tabs = st.tabs(
    _TITLES,
    key="efficiency_section",
    on_change=lambda: change_settings(
        section=list(SECTIONS)[_TITLES.index(st.session_state["efficiency_section"])]
    ),
)
address_bar(query_from_settings(settings), key="efficiency_address")
with tabs[list(SECTIONS).index(settings.section)]:
    match settings.section:
        case "pair":
            pair(settings, state.model, device)
        case "placement":
            explorer(settings)
        case "published":
            published(settings, device)
