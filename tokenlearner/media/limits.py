"""How large a file may be before it is opened, and how large what is in it may be."""

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
        _require_positive(self)


@dataclass(frozen=True, kw_only=True, slots=True)
class ClipLimits:
    """What a clip may measure, and what reading it may cost.

    Size, duration and the frames to decode are known, and checked, before anything is decoded;
    pixels once more on every frame, as a stream may change its size on the way.

    Attributes:
        max_bytes: Size of the file.
        max_pixels: Width times height of a frame.
        max_duration_s: From the first frame to the end of the last.
        max_frames: In the whole file; they are counted, not decoded.
        max_decoded_frames: Decoded for one answer, those in between included.
        max_sampled_pixels: Pixels of all frames that are kept, at three bytes each.
        max_wait_s: Time for the whole of it, after which the caller goes on without.

    Raises:
        ConfigError: A limit is below 1.
    """

    max_bytes: int = 500 * 2**20
    max_pixels: int = 4096 * 2304
    max_duration_s: float = 3600.0
    max_frames: int = 500_000
    max_decoded_frames: int = 30_000
    max_sampled_pixels: int = 300_000_000
    max_wait_s: float = 60.0

    def __post_init__(self) -> None:
        _require_positive(self)


def _require_positive(limits: ImageLimits | ClipLimits) -> None:
    for field in fields(limits):
        if (value := getattr(limits, field.name)) < 1:
            raise ConfigError(f"{field.name} is {value}; a limit is at least 1.")


DEFAULT_IMAGE_LIMITS = ImageLimits()
DEFAULT_CLIP_LIMITS = ClipLimits()
