"""The attention player: a clip with each token's overlay in step with the picture.

Clip and maps travel once; playing, seeking and every control work in the browser alone. Python
hears from the player only when someone wants to save a picture or to see another clip.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

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
    "PlayerEvent",
    "attention_player",
    "pack_maps",
    "pack_payload",
]

FOLDER = Path(__file__).parent
MODULES = ("clip", "timeline", "player")
_STYLES = ("player",)


@dataclass(frozen=True, kw_only=True, slots=True)
class PlayerEvent:
    """What the user asked of the page, for the one run that follows.

    Attributes:
        export: Settings of the picture to save; hand it over as `download` in the next run.
        at: The step that was on the screen then, counted from 0.
        step: -1 or 1 for the previous or next clip, 0 for neither.
    """

    export: ViewSettings | None = None
    at: int = 0
    step: int = 0


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
    download: tuple[str, bytes] | None = None,
) -> PlayerEvent | None:
    """Shows a clip with an explanation's maps over it.

    Args:
        packed: The maps, from `pack_maps`.
        media: The clip to play.
        settings: What to show first. Later changes belong to the user: the player keeps them when
            another explanation arrives, and in the query string.
        key: Identifies the player from run to run.
        stage: Fill the viewport; up and down ask for other clips.
        download: File name and content for the browser to save, once, in answer to an `export`.

    Returns:
        What the user asked for, or None.
    """
    result = listen(
        _component(),
        lambda download_id: pack_payload(
            packed,
            media,
            settings,
            stage=stage,
            download=download,
            download_id=download_id,
        ),
        key=key,
        saves=download is not None,
    )
    if result.export is None and not result.step:
        return None
    export = result.export or {}
    at = export.get("at", 0)
    return PlayerEvent(
        export=None if result.export is None else settings_from_values(export),
        at=min(max(int(at), 0), len(packed.header["step_frames"]) - 1),
        step=int(result.step or 0),
    )
