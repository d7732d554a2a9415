"""What a model costs."""

from tokenlearner.efficiency.conventions import CONVENTIONS, Convention
from tokenlearner.efficiency.flops import Cost, Stage, count_macs
from tokenlearner.efficiency.timm_flops import count_model, count_timm_macs

__all__ = [
    "CONVENTIONS",
    "Convention",
    "Cost",
    "Stage",
    "count_macs",
    "count_model",
    "count_timm_macs",
]
