"""Safe decoding and encoding of photos."""

from tokenlearner.media.images import Image, encode_jpeg, encode_png, read_image
from tokenlearner.media.limits import DEFAULT_IMAGE_LIMITS, ImageLimits

__all__ = [
    "DEFAULT_IMAGE_LIMITS",
    "Image",
    "ImageLimits",
    "encode_jpeg",
    "encode_png",
    "read_image",
]
