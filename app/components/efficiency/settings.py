"""What the Efficiency page shows, as one frozen value per session, and its form in a link."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import streamlit as st

from app.components.efficiency.designs import TOKEN_COUNTS, Design
from app.state import clear_notices
from tokenlearner.efficiency.execution import Dtype, Mode

_KEY = "efficiency_settings"

SECTIONS = {
    "pair": "This model",
    "placement": "Placement explorer",
    "published": "Published results",
}
"""Titles of the page's sections by their names in links."""

CURVES = {
    "gflops": "GFLOPs",
    "speedup": "Speed-up",
    "accuracy": "Accuracy, where known",
}
"""What the explorer can draw against the learner's place, by its name in links."""

MOST_EXTRA_LAYERS = 12


@dataclass(frozen=True, kw_only=True, slots=True)
class Placement:
    """A learner in a model.

    Attributes:
        design: Name of the plain model.
        patch_px: Side of a patch.
        side_px: Side of the photo.
        num_tokens: Tokens that the learner learns.
        at: Blocks before it.
        extra_layers: Blocks at the end beyond the model's own.
        fuser: Write the result of every block after the learner back onto the grid.
    """

    design: str
    patch_px: int
    side_px: int
    num_tokens: int
    at: int
    extra_layers: int = 0
    fuser: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class EfficiencySettings:
    """What the page shows.

    Attributes:
        section: One of `SECTIONS`.
        placement: What the explorer counts.
        curves: What the explorer draws against the learner's place; one of `CURVES`.
        dataset: Data set of the published results; empty for the first.
        table: Name of the only table to show; empty for all.
        bases: The only base models to show; empty for all.
        beside: Name of the model to compare with; empty for the same model without learner.
        batch_size: Inputs in a pass that is measured. How to measure is not part of a link, which
            may travel to another machine.
        dtype: Numbers to measure with.
        mode: How the models run meanwhile.
        length: How long to measure; one of `measuring.PLANS`.
    """

    section: str = "pair"
    placement: Placement = field(default_factory=lambda: DEFAULT)
    curves: str = "gflops"
    dataset: str = ""
    table: str = ""
    bases: tuple[str, ...] = ()
    beside: str = ""
    batch_size: int = 8
    dtype: Dtype = "fp32"
    mode: Mode = "eager"
    length: str = "Quick"


DEFAULT = Placement(design="B", patch_px=16, side_px=224, num_tokens=8, at=6)


def fit(placement: Placement, designs: Mapping[str, Design]) -> Placement:
    """The nearest placement that there is: no learner stands behind the last block.

    A design's own patch and photo take the place of those that it does not have.
    """
    name = placement.design if placement.design in designs else next(iter(designs))
    design = designs[name]
    patch_px, side_px = design.usual
    if placement.patch_px in design.patches_px:
        patch_px = placement.patch_px
    if placement.side_px in design.sides_px:
        side_px = placement.side_px
    extra_layers = min(max(placement.extra_layers, 0), MOST_EXTRA_LAYERS)
    last = design.build(patch_px, side_px).depth + extra_layers - 1
    return replace(
        placement,
        design=name,
        patch_px=patch_px,
        side_px=side_px,
        num_tokens=min(TOKEN_COUNTS, key=lambda count: abs(count - placement.num_tokens)),
        at=min(max(placement.at, 0), last),
        extra_layers=extra_layers,
    )


def settings_from_query(query: Mapping[str, str]) -> EfficiencySettings:
    """Reads a link; what makes no sense in it becomes the default."""
    section, curves = query.get("section", "pair"), query.get("curves", "gflops")
    placement = Placement(
        design=query.get("design", DEFAULT.design),
        patch_px=_number(query.get("patch"), DEFAULT.patch_px),
        side_px=_number(query.get("side"), DEFAULT.side_px),
        num_tokens=_number(query.get("tokens"), DEFAULT.num_tokens),
        at=_number(query.get("at"), DEFAULT.at),
        extra_layers=_number(query.get("extra"), 0),
        fuser=query.get("fuser") == "1",
    )
    return EfficiencySettings(
        section=section if section in SECTIONS else "pair",
        placement=placement,
        curves=curves if curves in CURVES else "gflops",
        dataset=query.get("dataset", ""),
        table=query.get("table", ""),
        bases=tuple(filter(None, query.get("bases", "").split(","))),
        beside=query.get("beside", ""),
    )


def query_from_settings(settings: EfficiencySettings) -> dict[str, str | None]:
    """The parameters that make a link to this; None for one that the link must not have."""
    placement, section = settings.placement, settings.section
    explorer, published = section == "placement", section == "published"
    query = {
        "section": None if section == "pair" else section,
        "beside": settings.beside or None if section == "pair" else None,
        "design": placement.design if explorer else None,
        "patch": str(placement.patch_px) if explorer else None,
        "side": str(placement.side_px) if explorer else None,
        "tokens": str(placement.num_tokens) if explorer else None,
        "at": str(placement.at) if explorer else None,
        "extra": str(placement.extra_layers) if explorer and placement.extra_layers else None,
        "fuser": "1" if explorer and placement.fuser else None,
        "curves": settings.curves if explorer and settings.curves != "gflops" else None,
        "dataset": settings.dataset if published and settings.dataset else None,
        "table": settings.table if published and settings.table else None,
        "bases": ",".join(settings.bases) if published and settings.bases else None,
    }
    return query


def _number(text: str | None, default: int) -> int:
    # Four digits are more than any setting has, and few enough for `int`.
    return int(text) if text and text.isdecimal() and text.isascii() and len(text) < 5 else default


def current_settings() -> EfficiencySettings:
    """The settings of this run: what the link asked for at first, then what the user chose."""
    if _KEY not in st.session_state:
        st.session_state[_KEY] = settings_from_query(st.query_params.to_dict())
    return st.session_state[_KEY]


def keep_settings(settings: EfficiencySettings) -> None:
    """Makes these the settings of this run and the next ones."""
    st.session_state[_KEY] = settings


def change_settings(**changes: Any) -> None:
    """Replaces fields; for callbacks, which run before the page is drawn again."""
    keep_settings(replace(current_settings(), **changes))
    clear_notices()


def change_placement(**changes: Any) -> None:
    """Replaces fields of the placement; for callbacks, too."""
    change_settings(placement=replace(current_settings().placement, **changes))
