"""The attention viewer: photo, overlay, thumbnails and controls, drawn in the browser.

Maps travel once, as numbers; no control needs the server. What the user sees is kept in the query
string, which `settings_from_query` reads. Python hears from the viewer only when someone wants to
save a picture or to see another sample.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from streamlit.components.v2 import component

from app.components.attention_viewer.payload import pack_payload
from app.components.drawing import (
    bundle_modules,
    bundle_styles,
    listen,
    read_markup,
    settings_from_values,
)
from tokenlearner.inference import Explanation
from tokenlearner.rendering.overlay import ViewSettings

__all__ = ["ViewerEvent", "attention_viewer", "pack_payload"]

FOLDER = Path(__file__).parent
MODULES = ("viewer",)


@dataclass(frozen=True, kw_only=True, slots=True)
class ViewerEvent:
    """What the user asked of the page, for the one run that follows.

    Attributes:
        export: Settings of the picture to save; hand it over as `download` in the next run.
        step: -1 or 1 for the previous or next sample, 0 for neither.
    """

    export: ViewSettings | None = None
    step: int = 0


@cache
def _component():
    return component(
        "attention_viewer",
        html=read_markup(FOLDER / "viewer.html"),
        css=bundle_styles(FOLDER),
        js=bundle_modules(FOLDER, MODULES),
    )


def attention_viewer(
    *,
    explanation: Explanation,
    learner: int = 0,
    settings: ViewSettings,
    photo_jpeg: bytes,
    key: str,
    stage: bool = False,
    download: tuple[str, bytes] | None = None,
) -> ViewerEvent | None:
    """Show an explanation's maps over its photo.

    Args:
        explanation: Photo, geometry and maps.
        learner: Which of the model's TokenLearners, counted from 0.
        settings: What to show first. Later changes belong to the user: the viewer keeps them when
            another explanation arrives, and in the query string.
        photo_jpeg: The photo for the screen, from `encode_display_photo`.
        key: Identifies the viewer from run to run.
        stage: Fill the viewport; up and down ask for other samples.
        download: File name and content for the browser to save, once, in answer to an `export`.

    Returns:
        What the user asked for, or None.
    """
    result = listen(
        _component(),
        lambda download_id: pack_payload(
            explanation,
            photo_jpeg,
            settings,
            learner=learner,
            stage=stage,
            download=download,
            download_id=download_id,
        ),
        key=key,
        saves=download is not None,
    )
    if result.export is None and not result.step:
        return None
    return ViewerEvent(
        export=None if result.export is None else settings_from_values(result.export),
        step=int(result.step or 0),
    )
