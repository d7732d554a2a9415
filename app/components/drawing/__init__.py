"""How maps are drawn in the browser: what the viewer of photos and the player of clips share.

A widget is one folder with its own JavaScript, CSS and HTML; what it shares with others lies here.
Maps travel once, as numbers, in one buffer; no control needs the server. What the user sees is kept
in the query string, which `settings_from_query` reads.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from app.components.drawing.buffer import encode_display_photo, identity_of, pack_buffer
from app.components.drawing.listening import forget_old_files, listen, save_in_browser
from app.components.drawing.settings import settings_from_query, settings_from_values

__all__ = [
    "bundle_modules",
    "bundle_styles",
    "encode_display_photo",
    "forget_old_files",
    "identity_of",
    "listen",
    "pack_buffer",
    "read_markup",
    "save_in_browser",
    "settings_from_query",
    "settings_from_values",
]

_FOLDER = Path(__file__).parent
_MODULES = (
    "payload",
    "settings",
    "field",
    "scene",
    "paint",
    "words",
    "strip",
    "picture",
    "controls",
    "keyboard",
    "board",
)
_STYLES = ("viewer", "controls", "stage")


def bundle_modules(folder: Path, names: Sequence[str]) -> str:
    """A widget's ES modules and the shared ones as one module, the only form Streamlit takes.

    Args:
        folder: Of the widget.
        names: Its modules, those that others import first.
    """
    files = [_FOLDER / f"{name}.js" for name in _MODULES]
    files += [folder / f"{name}.js" for name in names]
    code = re.sub(r"^import\b[^;]*;\n", "", _join(files), flags=re.MULTILINE)
    return re.sub(r"^export (?!default)", "", code, flags=re.MULTILINE)


def bundle_styles(folder: Path, names: Sequence[str] = ()) -> str:
    """The shared style sheets, then a widget's own."""
    files = [_FOLDER / f"{name}.css" for name in _STYLES]
    return _join([*files, *(folder / f"{name}.css" for name in names)])


def read_markup(file: Path) -> str:
    """A widget's HTML, with the form of controls where it has `<!-- controls -->`."""
    controls = (_FOLDER / "controls.html").read_text(encoding="utf-8")
    return file.read_text(encoding="utf-8").replace("<!-- controls -->", controls)


def _join(files: Sequence[Path]) -> str:
    return "\n".join(file.read_text(encoding="utf-8") for file in files)
