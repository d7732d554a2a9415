"""How fast recipes train, without a learner and with one, in each number format.

    python -m benchmarks.training [--device auto] [--seconds 300]

Whole steps of the trainer, at the size of the finished model, on random photos that lie in memory:
augmentation, forward and backward pass, optimisers. Both recipes of a pair run in interleaved
rounds, in float32 and, where the hardware computes it, in bfloat16; on a CPU also with PyTorch's
fused kernel for attention in bfloat16, which `tokenlearner.modules.attention` avoids there. Prints
a table for docs/performance.md and writes `benchmarks/results/training_<hardware>.json`.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
import torch.nn.functional as F

from benchmarks.recording import (
    describe_conditions,
    describe_spread,
    gains,
    result_file,
    seconds_per_pass,
    write_json,
)
from tokenlearner.efficiency.conditions import Conditions
from tokenlearner.efficiency.machine import choose_device, describe_hardware, has_bfloat16
from tokenlearner.efficiency.rounds import Plan, Round, Run, Spread, run_rounds, undisturbed
from tokenlearner.efficiency.throughput import synchronizer
from tokenlearner.modules import attention
from tokenlearner.modules.shapes import Tensor
from tokenlearner.training.batches import Loaded, Part
from tokenlearner.training.objective import Objective
from tokenlearner.training.recipes import RECIPES, Recipe
from tokenlearner.training.train_state import TrainState

PAIRS = (
    ("cifar10-mini-vit", "cifar10-mini-vit-tl8"),
    ("imagenette-fine-vit", "imagenette-fine-vit-tl8"),
)
FP32, BF16, FUSED = "fp32", "bf16", "bf16, fused attention"
_ATTEND = attention.attend
_MOST_PHOTOS = 64
"""In a step; recipes have up to 256, which would take seconds each and change the ratios little."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Way:
    """One way of training one recipe.

    Attributes:
        recipe: Which.
        how: `fp32`, `bf16` or `bf16, fused attention`.
    """

    recipe: Recipe
    how: str

    @property
    def photos(self) -> int:
        """In a step."""
        return min(self.recipe.batch_size, _MOST_PHOTOS)

    def prepare(self, device: torch.device) -> Run:
        """Returns what takes one step, and waits for nothing on a GPU."""
        recipe, count = self.recipe, self.photos
        size = recipe.canvas or recipe.preprocessing.image_size
        torch.manual_seed(0)
        images = torch.randint(256, (count, 3, *size), dtype=torch.uint8).to(device)
        labels = torch.randint(recipe.model.num_classes, (count,))
        state = TrainState(recipe.build(), recipe, device)
        state.connect(compile=False)
        objective = Objective(
            recipe, labels, device=device, mixed_precision=self.how != FP32, teacher=None
        )
        rows = torch.arange(count)
        part = Part(0, recipe.epochs - 1, 0, count, places=rows, rows=rows, weight=1.0)

        def step() -> object:
            with patch.object(attention, "attend", fused if self.how == FUSED else _ATTEND):
                return state.take_step([Loaded(part, images, rows, {})], objective, rate=1.0)

        return step


def main() -> None:
    """Reads the command line, measures, prints and writes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    parser.add_argument("--seconds", type=float, default=300.0, help="for all rounds")
    options = parser.parse_args()
    measure(choose_device(options.device), seconds=options.seconds)


def measure(device: torch.device, *, seconds: float) -> None:
    """Measures all pairs, prints and writes.

    Args:
        device: Where to train.
        seconds: Time for all rounds; preparation and warm-up come on top.
    """
    conditions = Conditions.here(device)
    plan = Plan(rounds=15, seconds=seconds / len(PAIRS), sample_seconds=0.5)
    rows = []
    for names in PAIRS:
        ways = list_ways([RECIPES[name]() for name in names], device)
        runs = [way.prepare(device) for way in ways]
        rounds = run_rounds(runs, plan, synchronize=synchronizer(device))
        rows += summarise(ways, [done for done in rounds if done])
    content = {
        "command": "python -m benchmarks.training",
        "what": __doc__,
        "conditions": conditions.to_dict(),
        "rows": rows,
    }
    file = file_of(device)
    write_json(file, content)
    print(table(content))
    print(f"wrote {file.name}")


def file_of(device: torch.device) -> Path:
    """Returns where the results of this device are kept."""
    return result_file("training", describe_hardware(device))


def list_ways(recipes: Sequence[Recipe], device: torch.device) -> list[Way]:
    """Returns every recipe in every number format that the device computes."""
    formats = [FP32]
    if has_bfloat16(device):
        formats += [FUSED, BF16] if device.type == "cpu" else [BF16]
    return [Way(recipe=recipe, how=how) for recipe in recipes for how in formats]


def fused(query: Tensor, key: Tensor, value: Tensor, *, drop_probability: float = 0.0) -> Tensor:
    """Attention as PyTorch has it, with the interface of `attention.attend`."""
    return F.scaled_dot_product_attention(query, key, value, dropout_p=drop_probability)


def summarise(ways: Sequence[Way], rounds: Sequence[Round]) -> list[dict[str, Any]]:
    """Returns of each way its speed, and how many times as fast as others it is.

    Those are the first way, which is the first recipe in float32, and the same recipe with fused
    attention. Ratios are taken within a round. Disturbed rounds count only where there is no other.
    """
    times = seconds_per_pass(undisturbed(rounds))
    rows = []
    for index, way in enumerate(ways):
        row = {
            "recipe": way.recipe.name,
            "how": way.how,
            "photos": way.photos,
            "photos_per_second": Spread.of([way.photos / t for t in times[index]]).to_dict(),
            "times_as_fast": gains(times[0], times[index]).to_dict(),
            "undisturbed_rounds": sum(not done.disturbed for done in rounds),
            "rounds": len(rounds),
        }
        rival = Way(recipe=way.recipe, how=FUSED)
        if way.how == BF16 and rival in ways:
            row["over_fused"] = gains(times[ways.index(rival)], times[index]).to_dict()
        rows.append(row)
    return rows


def table(content: dict[str, Any]) -> str:
    """Returns the rows as Markdown, with what they depend on."""
    lines = [
        "| recipe | how | photos/s | times as fast | over fused attention | rounds |",
        "| --- | --- | ---: | ---: | ---: | ---: |",
    ]
    for row in content["rows"]:
        cells = [
            row["recipe"],
            row["how"],
            f"{row['photos_per_second']['median']:,.0f}",
            describe_spread(row["times_as_fast"]),
            describe_spread(row["over_fused"]) if "over_fused" in row else "",
            f"{row['undisturbed_rounds']} of {row['rounds']}",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    about = f"{describe_conditions(content)}; times as fast as the pair's first recipe in float32."
    return "\n".join([*lines, "", about])


if __name__ == "__main__":
    main()
