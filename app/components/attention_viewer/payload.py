"""What the viewer gets to draw."""

import json

import numpy as np

from app.components.drawing import identity_of, pack_buffer
from tokenlearner.inference import Explanation
from tokenlearner.rendering.overlay import ViewSettings


def pack_payload(
    explanation: Explanation,
    photo_jpeg: bytes,
    settings: ViewSettings,
    *,
    learner: int = 0,
    stage: bool = False,
    download: tuple[str, bytes] | None = None,
    download_id: str = "",
) -> bytes:
    """Packs a photo and its maps.

    Args:
        explanation: Maps, geometry and the photo's size.
        photo_jpeg: The photo, upright, at any resolution; see `encode_display_photo`.
        settings: What a viewer that starts with this payload shows first.
        learner: Which of the model's TokenLearners, counted from 0.
        stage: Fill the viewport.
        download: File name and content to save in the browser.
        download_id: Differs from one file to save to the next; content alone cannot tell them.

    Returns:
        The buffer of `pack_buffer`, with the blocks `maps` and `photo`. Its header's `id` changes
        with photo, maps and geometry, and with nothing else.
    """
    maps = np.ascontiguousarray(explanation.learner(learner).maps, dtype="<f4")
    box = [float(side) for side in explanation.geometry.box]
    axes = explanation.geometry.axes((maps.shape[1], maps.shape[2]))
    spans = [axis.span for axis in axes]
    source = list(explanation.image.shape[:2])
    shapes = json.dumps([maps.shape, box, spans, source]).encode()
    header = {
        "id": identity_of(maps.tobytes(), photo_jpeg, shapes),
        "shape": list(maps.shape),
        "photo": {"type": "image/jpeg"},
        "source": source,
        "box": box,
        "spans": spans,
        "stage": stage,
    }
    blocks = {"maps": maps.tobytes(), "photo": photo_jpeg}
    return pack_buffer(header, blocks, settings, download=download, download_id=download_id)
