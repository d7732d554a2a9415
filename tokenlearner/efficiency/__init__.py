"""What a model costs."""

from tokenlearner.efficiency.flops import Cost, Stage, count_macs

__all__ = ["Cost", "Stage", "count_macs"]
