"""What the Clips page shows besides what all pages share, and its form in a link."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import streamlit as st

from app import memory
from app.catalogue import title_of
from app.state import DROPPED, add_notices, clear_notices, say
from tokenlearner.clips import DEFAULT_NUM_FRAMES
from tokenlearner.media import ClipFacts

FRAME_COUNTS = (4, 8, 16, 32, 64)
"""How many frames of a stretch may be sampled for an image model."""

LEAST_STRETCH_S = 0.1

FIRST_STRETCH_S = 60.0
"""How much of a clip that a user brought is looked at first: encoding takes its time."""

_ROUNDING_S = 1e-6  # 1.2 − 1.1 is a little less than 0.1

_STATE = "clip_state"
_OWN_CLIP = "clip"


@dataclass(frozen=True, kw_only=True, slots=True)
class ClipState:
    """What the page shows.

    Attributes:
        clip: Id of the sample; None for the clip that this session brought.
        start_s: Where the stretch begins, in seconds since the clip's first frame.
        end_s: Where it ends; None is the end of the clip.
        num_frames: How many of its frames an image model sees.
        other: Name of the model to compare with; None for none.
        shows_other: Whether the player shows that model's maps.
    """

    clip: str | None
    start_s: float = 0.0
    end_s: float | None = None
    num_frames: int = DEFAULT_NUM_FRAMES
    other: str | None = None
    shows_other: bool = False

    def stretch(self, duration_s: float) -> tuple[float, float]:
        """Start and end within a clip of this duration; the whole clip where they make no sense."""
        end = duration_s if self.end_s is None else min(self.end_s, duration_s)
        return (self.start_s, end) if has_room(self.start_s, end) else (0.0, duration_s)


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class OwnClip:
    """A clip that this session uploaded.

    Attributes:
        name: Its file's name.
        content: The file.
        sha256: Of the file.
        facts: What it is.
        thumbnail: A small picture of it, as a data URI.
    """

    name: str
    content: bytes
    sha256: str
    facts: ClipFacts
    thumbnail: str


def has_room(start_s: float, end_s: float) -> bool:
    """Whether a stretch is long enough to be looked at."""
    return end_s - start_s >= LEAST_STRETCH_S - _ROUNDING_S


def clip_state_from_query(
    query: Mapping[str, str], *, models: Iterable[str], clips: Iterable[str]
) -> tuple[ClipState, tuple[str, ...]]:
    """Reads a link; what it asks for in vain becomes the default and a sentence about it.

    Args:
        query: The link's parameters: `clip`, `from`, `to`, `frames`, `with`, `maps`. Others are
            ignored, and so are numbers that make no sense. The moment on the screen, `t`, is read
            and written by the player in the browser.
        models: Names of the models.
        clips: Ids of the samples, the default first.
    """
    clips = list(clips)
    clip, other = query.get("clip", clips[0]), query.get("with")
    notices = []
    if clip not in clips:
        notices.append(f"There is no clip “{clip[:60]}” here; showing the default instead.")
        clip = clips[0]
    if other is not None and other not in models:
        notices.append(f"There is no model “{other[:60]}” here to compare with.")
        other = None
    start, end = _seconds(query.get("from")) or 0.0, _seconds(query.get("to"))
    if end is not None and not has_room(start, end):
        start, end = 0.0, None
    frames = query.get("frames", "")
    state = ClipState(clip=clip, other=other)
    if frames in map(str, FRAME_COUNTS):
        state = replace(state, num_frames=int(frames))
    return replace(
        state,
        start_s=start,
        end_s=end,
        shows_other=other is not None and query.get("maps") == "other",
    ), tuple(notices)


def query_from_clip_state(state: ClipState) -> dict[str, str | None]:
    """The parameters that make a link to this state; None for one that the link must not have."""
    return {
        "clip": state.clip,
        "from": f"{state.start_s:g}" if state.start_s else None,
        "to": None if state.end_s is None else f"{state.end_s:g}",
        "frames": None if state.num_frames == DEFAULT_NUM_FRAMES else str(state.num_frames),
        "with": state.other,
        "maps": "other" if state.shows_other else None,
    }


def _seconds(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return round(value, 2) if math.isfinite(value) and 0 <= value < 1e5 else None


def current_clip_state(models: Iterable[str], clips: Iterable[str]) -> ClipState:
    """The state of this run: what the link asked for at first, then what the user chose."""
    if _STATE not in st.session_state:
        query = st.query_params.to_dict()
        state, notices = clip_state_from_query(query, models=models, clips=clips)
        st.session_state[_STATE] = state
        add_notices(notices)
    state: ClipState = st.session_state[_STATE]
    if state.other is not None and state.other not in models:  # the operator took it away
        st.session_state[_STATE] = replace(state, other=None, shows_other=False)
        gone = title_of(state.other)
        add_notices((f"The model “{gone}” to compare with is no longer available.",))
    if state.clip is None and own_clip() is None:
        sample = next(iter(clips))
        st.session_state[_STATE] = replace(
            st.session_state[_STATE], clip=sample, start_s=0.0, end_s=None
        )
        add_notices((f"Your clip {DROPPED}",))
    return st.session_state[_STATE]


def change_clip_state(**changes: Any) -> None:
    """Replaces fields of the state; for callbacks, which run before the page is drawn again."""
    st.session_state[_STATE] = replace(st.session_state[_STATE], **changes)
    clear_notices()


def choose_clip(clip: str | None) -> None:
    """Goes to another clip, where the stretch of this one means nothing.

    Looks at all of it, or at the beginning of a long one that the user brought.
    """
    change_clip_state(clip=clip, start_s=0.0, end_s=None)
    own = own_clip()
    if clip is None and own is not None and own.facts.duration_s > FIRST_STRETCH_S:
        change_clip_state(end_s=FIRST_STRETCH_S)
        say(
            f"This clip is long, so only its first {FIRST_STRETCH_S:.0f} s is analysed; choose "
            "another section above."
        )


def show_own_clip(clip: OwnClip) -> None:
    """Makes a clip that the user brought the one on the page."""
    memory.own_files().put(_OWN_CLIP, clip, len(clip.content))
    choose_clip(None)


def own_clip() -> OwnClip | None:
    """The clip that this session brought last, on the page or not; None once it was dropped."""
    return memory.own_files().get(_OWN_CLIP)
