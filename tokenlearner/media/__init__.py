"""Safe decoding and encoding of photos and clips."""

from tokenlearner.media.images import Image, encode_jpeg, encode_png, read_image
from tokenlearner.media.limits import (
    DEFAULT_CLIP_LIMITS,
    DEFAULT_IMAGE_LIMITS,
    ClipLimits,
    ImageLimits,
)
from tokenlearner.media.videos import Clip, ClipFacts, probe, read_clip

__all__ = [
    "DEFAULT_CLIP_LIMITS",
    "DEFAULT_IMAGE_LIMITS",
    "Clip",
    "ClipFacts",
    "ClipLimits",
    "Image",
    "ImageLimits",
    "encode_jpeg",
    "encode_png",
    "probe",
    "read_clip",
    "read_image",
]
