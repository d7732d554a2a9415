"""Safe decoding and encoding of photos and clips."""

from tokenlearner.media.display import display_clip
from tokenlearner.media.images import Image, encode_jpeg, encode_png, read_image
from tokenlearner.media.limits import (
    DEFAULT_CLIP_LIMITS,
    DEFAULT_IMAGE_LIMITS,
    ClipLimits,
    ImageLimits,
)
from tokenlearner.media.sound import Sound, read_sound
from tokenlearner.media.stretches import Stretch, read_stretch
from tokenlearner.media.video_files import VIDEO_KINDS, encode_video
from tokenlearner.media.videos import Clip, ClipFacts, probe, read_clip

__all__ = [
    "DEFAULT_CLIP_LIMITS",
    "DEFAULT_IMAGE_LIMITS",
    "VIDEO_KINDS",
    "Clip",
    "ClipFacts",
    "ClipLimits",
    "Image",
    "ImageLimits",
    "Sound",
    "Stretch",
    "display_clip",
    "encode_jpeg",
    "encode_png",
    "encode_video",
    "probe",
    "read_clip",
    "read_image",
    "read_sound",
    "read_stretch",
]
