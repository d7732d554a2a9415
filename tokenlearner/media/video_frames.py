"""A decoded frame as people see it, upright and with square pixels: as RGB, or for an encoder."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tokenlearner.errors import ConfigError
from tokenlearner.media.clip_files import import_av

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

BT709, LIMITED = 1, 1
"""Matrix (also primaries and curve) and range of what goes to an encoder, in ITU-T H.273."""

_UNSPECIFIED = 2  # of the same matrices
_HDR_CURVES = {16: "PQ", 18: "HLG"}  # of the transfer characteristics in H.273, table 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    """How stored frames become shown ones.

    Attributes:
        width_px: As shown.
        height_px: As shown.
        is_transposed: Rows become columns, before mirroring.
        is_mirrored: Left and right change places, at last.
        is_flipped: Top and bottom change places, at last.
        notes: What is done to the frames, in plain words.
    """

    width_px: int
    height_px: int
    is_transposed: bool
    is_mirrored: bool
    is_flipped: bool
    notes: tuple[str, ...]

    @classmethod
    def of(cls, frame: "VideoFrame", pixel_aspect: float) -> "Layout":
        """Reads it from a frame.

        Args:
            frame: As decoded.
            pixel_aspect: Width of a stored pixel divided by its height.
        """
        # Where a point of the stored frame is shown: x' = a x + c y, y' = b x + d y.
        a, b, c, d = _display_matrix(frame)
        is_transposed = abs(b) > abs(a)
        is_mirrored, is_flipped = (c < 0, b < 0) if is_transposed else (a < 0, d < 0)
        width, height = max(1, round(frame.width * pixel_aspect)), frame.height
        notes = []
        if is_transposed or is_mirrored or is_flipped:
            notes.append("turned upright by its rotation tag")
        if width != frame.width:
            notes.append(f"its pixels are not square: stretched from {frame.width} to {width} px")
        if frame.color_trc in _HDR_CURVES:
            notes.append(f"high dynamic range ({_HDR_CURVES[frame.color_trc]}) shown as it is")
        if _is_see_through(frame):
            notes.append("transparent parts shown on white")
        return cls(
            width_px=height if is_transposed else width,
            height_px=width if is_transposed else height,
            is_transposed=is_transposed,
            is_mirrored=is_mirrored,
            is_flipped=is_flipped,
            notes=tuple(notes),
        )

    def fit(self, max_side_px: int | None) -> tuple[int, int]:
        """Width and height as shown, reduced so that neither is above `max_side_px`.

        Raises:
            ConfigError: If no picture is that small.
        """
        if max_side_px is not None and max_side_px < 1:
            raise ConfigError(f"max_side_px is {max_side_px}; it must be at least 1.")
        longest = max(self.width_px, self.height_px)
        if max_side_px is None or longest <= max_side_px:
            return self.width_px, self.height_px
        scale = max_side_px / longest
        return max(1, round(self.width_px * scale)), max(1, round(self.height_px * scale))

    def show(self, frame: "VideoFrame", size: tuple[int, int]) -> NDArray[np.uint8]:
        """Converts a frame to RGB [height, width, 3] of this shown width and height."""
        width, height = size[::-1] if self.is_transposed else size
        has_alpha = _has_alpha(frame)
        converted = frame.reformat(
            width=width,
            height=height,
            format="rgba" if has_alpha else "rgb24",
            src_colorspace=_colorspace(frame),
            interpolation="AREA",
        )
        rgb = np.asarray(converted.to_ndarray(), np.uint8)
        if has_alpha:
            alpha = rgb[:, :, 3:].astype(np.uint16)
            rgb = ((rgb[:, :, :3] * alpha + (255 - alpha) * 255 + 127) // 255).astype(np.uint8)
        if self.is_transposed:
            rgb = rgb.swapaxes(0, 1)
        return rgb[:: -1 if self.is_flipped else 1, :: -1 if self.is_mirrored else 1]

    def to_encode(self, frame: "VideoFrame", size: tuple[int, int]) -> "VideoFrame":
        """Converts a frame for an encoder, in this shown width and height, both even.

        A frame that is stored as it is shown does not take the way through RGB, which costs several
        times as much.
        """
        width, height = size
        if self.is_transposed or self.is_mirrored or self.is_flipped or _has_alpha(frame):
            return rgb_to_encode(self.show(frame, size))
        return frame.reformat(
            width=width,
            height=height,
            format="yuv420p",
            src_colorspace=_colorspace(frame),
            dst_colorspace=BT709,
            dst_color_range=LIMITED,
            interpolation="AREA",
        )


def rgb_to_encode(rgb: NDArray[np.uint8]) -> "VideoFrame":
    """Converts RGB [height, width, 3] for an encoder; both sides even."""
    picture = import_av().VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")
    return picture.reformat(format="yuv420p", dst_colorspace=BT709, dst_color_range=LIMITED)


def _display_matrix(frame: "VideoFrame") -> tuple[int, int, int, int]:
    side_data: Any = frame.side_data
    try:
        matrix = side_data["DISPLAYMATRIX"]
    except KeyError:
        return 1, 0, 0, 1
    # Three rows of (a, b, u), (c, d, v), (x, y, w).
    a, b, _, c, d = np.frombuffer(bytes(matrix), np.int32)[:5].tolist()
    return a, b, c, d


def _has_alpha(frame: "VideoFrame") -> bool:
    return any(component.is_alpha for component in frame.format.components)


def _is_see_through(frame: "VideoFrame") -> bool:
    return _has_alpha(frame) and int(frame.to_ndarray(format="rgba")[:, :, 3].min()) < 255


def _colorspace(frame: "VideoFrame") -> int:
    """The frame's own matrix; where it names none, players take BT.709 for high definition."""
    if frame.colorspace == _UNSPECIFIED and (frame.width >= 1280 or frame.height > 576):
        return BT709
    return frame.colorspace
