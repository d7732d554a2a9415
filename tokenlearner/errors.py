"""Everything that can go wrong, in one tree.

    TokenLearnerError
    ├── ShapeError                a tensor or array of the wrong layout (also a ValueError)
    ├── ConfigError               a configuration that cannot be built (also a ValueError)
    ├── CheckpointError           a model folder that cannot be loaded
    ├── ConversionError           foreign weights that do not fit
    ├── MediaError                a photo or clip that cannot be used
    │   ├── UnsupportedMediaError     its content is not of a supported kind
    │   ├── MediaTooLargeError        it is over a limit
    │   ├── CorruptMediaError         it is broken or cut off
    │   └── MediaTimeoutError         reading it takes too long
    ├── DataError                 training data that cannot be read
    ├── TrainingError             a training run that cannot go on
    └── MeasurementError          a measurement that cannot be made

Messages say what came, what was wanted and what to do next; a user may read
them as they are.
"""


class TokenLearnerError(Exception):
    """Base of every error that this package raises on purpose."""


class ShapeError(TokenLearnerError, ValueError):
    """A tensor or array has the wrong layout."""


class ConfigError(TokenLearnerError, ValueError):
    """A configuration contradicts itself or asks for something that does not exist."""


class CheckpointError(TokenLearnerError):
    """A model folder is incomplete, altered or does not fit its configuration."""


class ConversionError(TokenLearnerError):
    """Foreign weights do not fit the model that their configuration describes."""


class MediaError(TokenLearnerError):
    """A photo or clip cannot be used."""


class UnsupportedMediaError(MediaError):
    """The content is not of a supported kind, whatever the file's name says.

    Attributes:
        kind: What it is, as `media.recognition.recognise` names it; None if nobody knows.
    """

    def __init__(self, message: str, *, kind: str | None = None) -> None:
        super().__init__(message)
        self.kind = kind


class MediaTooLargeError(MediaError):
    """The file, or the picture in it, is over a limit."""


class CorruptMediaError(MediaError):
    """The file is of a supported kind but broken or cut off."""


class MediaTimeoutError(MediaError):
    """Reading the file takes longer than it may."""


class DataError(TokenLearnerError):
    """Training or evaluation data cannot be read."""


class TrainingError(TokenLearnerError):
    """A training run cannot go on."""


class MeasurementError(TokenLearnerError):
    """A speed or memory measurement cannot be made on this machine."""


_SIGNS = ("out of memory", "can't allocate memory", "not enough memory", "alloc_failed")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error, of PyTorch or of Python, says that memory is used up on whatever device."""
    if isinstance(error, MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error).lower() for sign in _SIGNS)
