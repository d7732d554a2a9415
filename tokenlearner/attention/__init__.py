"""From attention maps to numbers that say something about them."""

from tokenlearner.attention.statistics import centroids, effective_area, overlap

__all__ = ["centroids", "effective_area", "overlap"]
