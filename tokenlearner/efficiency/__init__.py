"""What a model costs, and how it costs less time."""

from tokenlearner.efficiency.conv_video_flops import count_conv_video
from tokenlearner.efficiency.conventions import CONVENTIONS, Convention
from tokenlearner.efficiency.flops import Cost, Stage, count_macs
from tokenlearner.efficiency.model_flops import count_model
from tokenlearner.efficiency.optimise import OptimisedModel, optimise
from tokenlearner.efficiency.timm_flops import count_timm_macs

__all__ = [
    "CONVENTIONS",
    "Convention",
    "Cost",
    "OptimisedModel",
    "Stage",
    "count_conv_video",
    "count_macs",
    "count_model",
    "count_timm_macs",
    "optimise",
]
