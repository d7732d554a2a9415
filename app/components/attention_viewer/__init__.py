"""The attention viewer: photo, overlay, thumbnails and controls, drawn in the browser.

Maps travel once, as numbers; no control needs the server. What the user sees is kept in the query
string, which `settings_from_query` reads. Python hears from the viewer only when someone wants to
save a picture or to see another sample.
"""

from collections.abc import Callable
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

__all__ = ["attention_viewer", "pack_payload"]

FOLDER = Path(__file__).parent
MODULES = ("viewer",)


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
    on_export: Callable[[ViewSettings], None],
    on_step: Callable[[int], None],
) -> None:
    """Shows an explanation's maps over its photo.

    Args:
        explanation: Photo, geometry and maps.
        learner: Which of the model's TokenLearners, counted from 0.
        settings: What to show first. Later changes belong to the user: the viewer keeps them when
            another explanation arrives, and in the query string.
        photo_jpeg: The photo for the screen, from `encode_display_photo`.
        key: Identifies the viewer from run to run, and for `save_in_browser`.
        stage: Fill the viewport; up and down ask for other samples.
        on_export: Called when the viewer is drawn next, if somebody wants to save a picture of this
            view.
        on_step: Called before the page runs, with -1 or 1, for the previous or next sample.
    """
    listen(
        _component(),
        lambda download, download_id: pack_payload(
            explanation,
            photo_jpeg,
            settings,
            learner=learner,
            stage=stage,
            download=download,
            download_id=download_id,
        ),
        key=key,
        on_export=lambda values: on_export(settings_from_values(values)),
        on_step=lambda step: on_step(int(step)),
    )
