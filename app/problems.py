"""What visitors read of what went wrong; the server's log gets all of it."""

import logging
from collections.abc import Mapping

from app.components.plain_text import without_paths
from tokenlearner.errors import TokenLearnerError

LACK_OF_MEMORY = (
    "Not enough memory on this device. Choose another device or a smaller model, or try again when "
    "others have finished."
)

_log = logging.getLogger(__name__)


def tell(error: TokenLearnerError, names: Mapping[str, str] | None = None) -> str:
    """Logs an error, and returns what visitors may read of it.

    Args:
        error: What went wrong.
        names: What folders of the server are called on the page.
    """
    _log.warning("%s", error)
    return without_paths(str(error), names or {})
