"""Arrays to pictures."""

from tokenlearner.rendering.colormap import COLORMAPS, TOKEN_COLORS
from tokenlearner.rendering.overlay import ViewSettings, render_overlay
from tokenlearner.rendering.sheet import render_sheet

__all__ = ["COLORMAPS", "TOKEN_COLORS", "ViewSettings", "render_overlay", "render_sheet"]
