"""The pairs of models whose speed-up is worth measuring on a device, and the ways to run them."""

from dataclasses import dataclass, replace
from functools import partial

import torch

from tokenlearner.efficiency.execution import EAGER, Execution, Mode
from tokenlearner.efficiency.machine import has_bfloat16
from tokenlearner.efficiency.throughput import Candidate
from tokenlearner.models import VisionTransformer, VisionTransformerConfig
from tokenlearner.models.presets import vit


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """A pair of models, one batch size, and the ways to run both that are measured together.

    Attributes:
        variant: Size and patch side, as `vit` takes it.
        image_size: Pixels.
        num_tokens: Of the learner.
        at: Blocks before it.
        batch_size: Images in a pass.
        ways: The first is what the others are compared with, too.
    """

    variant: str
    image_size: int
    num_tokens: int
    at: int
    batch_size: int
    ways: tuple[Execution, ...] = (EAGER,)

    @property
    def name(self) -> str:
        """For files, tables and the command line."""
        return f"{self.pair}, batch {self.batch_size}, {', '.join(map(str, self.ways))}"

    @property
    def pair(self) -> str:
        """What the two models are."""
        return f"{self.variant} at {self.image_size} px, {self.num_tokens} tokens at {self.at}"

    def configs(self) -> tuple[VisionTransformerConfig, VisionTransformerConfig]:
        """Returns the pair: without and with learner."""
        of_size = partial(vit, self.variant, image_size=self.image_size)
        return of_size(), of_size(num_tokens=self.num_tokens, at=self.at)

    def models(self) -> tuple[VisionTransformer, VisionTransformer]:
        """Makes the pair, with random weights."""
        torch.manual_seed(0)
        base, fast = self.configs()
        return VisionTransformer(base).eval(), VisionTransformer(fast).eval()

    def candidates(self) -> list[Candidate]:
        """Returns for every way the model without learner and the one with."""
        base, fast = self.models()
        names = (f"{self.variant}", f"{self.variant} with {self.num_tokens} tokens at {self.at}")
        return [
            Candidate(name, model, way)
            for way in self.ways
            for name, model in zip(names, (base, fast), strict=True)
        ]


def cases(device: torch.device) -> list[Case]:
    """Returns what is worth measuring on a device, the most important first."""
    if device.type == "cuda":
        modes: tuple[Mode, ...] = ("eager", "graphs", "compile", "optimised")
        ways = tuple(Execution(dtype="bf16", mode=mode) for mode in modes)
        return [
            Case(variant="L/16", image_size=512, num_tokens=16, at=12, batch_size=128, ways=ways),
            Case(variant="B/16", image_size=384, num_tokens=8, at=6, batch_size=256, ways=ways),
            Case(variant="B/16", image_size=224, num_tokens=8, at=6, batch_size=512, ways=ways),
            Case(variant="B/16", image_size=224, num_tokens=8, at=6, batch_size=1, ways=ways),
        ]
    small = [
        Case(variant=variant, image_size=224, num_tokens=8, at=6, batch_size=batch_size)
        for variant in ("B/16", "S/16", "Ti/16")
        for batch_size in (1, 8)
    ]
    large = Case(variant="L/16", image_size=512, num_tokens=16, at=12, batch_size=1)
    fast = (EAGER, Execution(mode="optimised"))
    if has_bfloat16(device):
        fast += (Execution(dtype="bf16", mode="optimised"),)
    optimised = [replace(case, ways=fast) for case in (*small[:2], large)]
    return [*small[:2], large, *optimised, *small[2:]]
