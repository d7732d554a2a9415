"""From attention maps to numbers that say something about them."""

from tokenlearner.attention.statistics import centroids, entropy, overlap

__all__ = ["centroids", "entropy", "overlap"]
