"""Labelled photos from image folders, parquet files and the Hugging Face Hub."""

from tokenlearner.training.data.folder import wordnet_names
from tokenlearner.training.data.images import LabelledImages, targets
from tokenlearner.training.data.source import read_images, read_parquet

__all__ = ["LabelledImages", "read_images", "read_parquet", "targets", "wordnet_names"]
