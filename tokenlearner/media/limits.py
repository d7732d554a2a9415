"""How large a file may be before it is opened, and how large the picture in it may be."""

from dataclasses import dataclass, fields

from tokenlearner.errors import ConfigError


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageLimits:
    """What a photo may measure; checked on its bytes and its header, before anything is decoded.

    Attributes:
        max_bytes: Size of the file.
        max_pixels: Width times height of the picture.
        min_side_px: The shorter side of the picture.
        max_side_px: The longer side of the picture. JPEG's own limit by default.

    Raises:
        ConfigError: A limit is below 1.
    """

    max_bytes: int = 50 * 2**20
    max_pixels: int = 64_000_000
    min_side_px: int = 1
    max_side_px: int = 65_535

    def __post_init__(self) -> None:
        for field in fields(self):
            if (value := getattr(self, field.name)) < 1:
                raise ConfigError(f"{field.name} is {value}; a limit is at least 1.")


DEFAULT_IMAGE_LIMITS = ImageLimits()
