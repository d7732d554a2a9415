"""Arrays to pictures."""

from tokenlearner.rendering.colormap import COLORMAPS, TOKEN_COLORS
from tokenlearner.rendering.filmstrip import render_filmstrip, render_token_tube
from tokenlearner.rendering.overlay import ViewSettings, render_overlay
from tokenlearner.rendering.sheet import render_sheet
from tokenlearner.rendering.video import render_overlay_video

__all__ = [
    "COLORMAPS",
    "TOKEN_COLORS",
    "ViewSettings",
    "render_filmstrip",
    "render_overlay",
    "render_overlay_video",
    "render_sheet",
    "render_token_tube",
]
