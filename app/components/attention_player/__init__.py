"""The attention player: a clip with each token's overlay in step with the picture.

Clip and maps travel once; playing, seeking and every control work in the browser alone. Python
hears from the player only when someone wants to save a picture or to see another clip.
"""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from streamlit.components.v2 import component

from app.components.attention_player.payload import (
    ClipMedia,
    PackedMaps,
    pack_maps,
    pack_payload,
)
from app.components.drawing import (
    bundle_modules,
    bundle_styles,
    listen,
    read_markup,
    settings_from_values,
)
from tokenlearner.rendering.overlay import ViewSettings

__all__ = [
    "ClipMedia",
    "PackedMaps",
    "attention_player",
    "pack_maps",
    "pack_payload",
]

FOLDER = Path(__file__).parent
MODULES = ("clip", "timeline", "player")
_STYLES = ("player",)


@cache
def _component():
    return component(
        "attention_player",
        html=read_markup(FOLDER / "player.html"),
        css=bundle_styles(FOLDER, _STYLES),
        js=bundle_modules(FOLDER, MODULES),
    )


def attention_player(
    *,
    packed: PackedMaps,
    media: ClipMedia,
    settings: ViewSettings,
    key: str,
    stage: bool = False,
    on_export: Callable[[ViewSettings, int], None],
    on_step: Callable[[int], None],
) -> None:
    """Shows a clip with an explanation's maps over it.

    Args:
        packed: The maps, from `pack_maps`.
        media: The clip to play.
        settings: What to show first. Later changes belong to the user: the player keeps them when
            another explanation arrives, and in the query string.
        key: Identifies the player from run to run, and for `save_in_browser`.
        stage: Fill the viewport; up and down ask for other clips.
        on_export: Called when the player is drawn next, if somebody wants to save a picture of this
            view and the step on the screen, counted from 0.
        on_step: Called before the page runs, with -1 or 1, for the previous or next clip.
    """
    last = len(packed.header["step_frames"]) - 1

    def export(values: dict[str, Any]) -> None:
        step = min(max(int(values.get("at", 0)), 0), last)
        on_export(settings_from_values(values), step)

    listen(
        _component(),
        lambda download, download_id: pack_payload(
            packed,
            media,
            settings,
            stage=stage,
            download=download,
            download_id=download_id,
        ),
        key=key,
        on_export=export,
        on_step=lambda step: on_step(int(step)),
    )
