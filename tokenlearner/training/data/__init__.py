"""Labelled photos and clips from class folders, parquet files, lists and the Hugging Face Hub."""

from tokenlearner.training.data.clips import LabelledClips, read_clips
from tokenlearner.training.data.files import LabelledFiles
from tokenlearner.training.data.images import LabelledImages, targets
from tokenlearner.training.data.source import find_test_split, read_images

__all__ = [
    "LabelledClips",
    "LabelledFiles",
    "LabelledImages",
    "find_test_split",
    "read_clips",
    "read_images",
    "targets",
]
