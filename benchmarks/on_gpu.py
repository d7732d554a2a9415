"""All work that waits for a GPU, in slices of a few minutes; pyarrow is all it needs besides.

    python -m benchmarks.on_gpu --data DATA --out runs --minutes 8 [STEP ...]

DATA holds a folder per data set (`cifar10`, `imagenette`) with its parquet files. The steps, in
this order unless named: every recipe for photos that has its data there and needs no teacher, the
finest grids first, then `realised` (speed in bf16, at batches that fill the GPU and at 1),
`training-speed`, `cifar10-table` (5 seeds) and `placement` (3 seeds). A step that fails is left for
the next call, and the others go on. Every call goes on from the last one's checkpoints and stops
between two training steps when the time is over; nothing is measured for which there is too little
time left, and nothing again that is recorded. A finished
recipe has its model in OUT/RECIPE/model; `tokenlearner train` on that folder would write the same.
Results are in `benchmarks/results/`.
"""

import math
import sys
from pathlib import Path

from benchmarks import cifar10_table, placement, realised, training
from benchmarks.slices import Slice, make_parser
from tokenlearner.efficiency.machine import choose_device, describe_hardware
from tokenlearner.errors import TokenLearnerError, is_out_of_memory
from tokenlearner.training.recipes import RECIPES

SPEED, TRAINING, TABLE, PLACEMENT = "realised", "training-speed", "cifar10-table", "placement"
_TRAINING_SECONDS = 120.0


def main() -> None:
    """Reads the command line and works until the time is over."""
    parser = make_parser(__doc__, minutes=8.0)
    parser.add_argument("steps", nargs="*", metavar="STEP", help="all, unless named")
    options = parser.parse_args()
    steps = list_steps(options.data)
    if unknown := sorted(set(options.steps) - set(steps)):
        parser.error(f"there is no step {', '.join(unknown)}; there are {', '.join(steps)}")
    slice_ = Slice(options.minutes, choose_device(options.device))
    print(describe_hardware(slice_.device), flush=True)
    left = work(slice_, options.steps or steps, data=options.data, out=options.out)
    print("left: " + (", ".join(left) or "nothing"))


def list_steps(data: Path) -> list[str]:
    """Returns the steps whose data are there, in their order."""
    recipes = (name for name in RECIPES if _can_train(name, data))
    finest_first = sorted(recipes, key=lambda name: -math.prod(RECIPES[name]().model.grid))
    tables = {TABLE: "cifar10", PLACEMENT: "imagenette"}
    there = (table for table, folder in tables.items() if (data / folder).is_dir())
    return [*finest_first, SPEED, TRAINING, *there]


def work(slice_: Slice, steps: list[str], *, data: Path, out: Path) -> list[str]:
    """Does the steps in turn and returns what is left of them."""
    left: list[str] = []
    for step in steps:
        try:
            left += _do(step, slice_, data=data, out=out)
        except Exception as error:
            if not isinstance(error, TokenLearnerError) and not is_out_of_memory(error):
                raise
            print(f"{step}: {error}", file=sys.stderr, flush=True)
            left.append(step)
    return left


def _do(step: str, slice_: Slice, *, data: Path, out: Path) -> list[str]:
    """Does one step, and returns what is left of it."""
    if step == SPEED:
        chosen = realised.cases(slice_.device)
        return realised.fill(chosen, slice_.device, seconds_left=slice_.seconds_left)
    if step == TRAINING:
        if training.file_of(slice_.device).exists():
            return []
        if slice_.seconds_left() < 2 * _TRAINING_SECONDS:  # it cannot go on in another call
            return [step]
        training.measure(slice_.device, seconds=_TRAINING_SECONDS)
        return []
    if step == TABLE:
        names = list(cifar10_table.PUBLISHED_PERCENT)
        return cifar10_table.fill(slice_, names, list(range(5)), data=data / "cifar10", out=out)
    if step == PLACEMENT:
        return placement.fill(slice_, list(range(3)), data=data / "imagenette", out=out)
    recipe = RECIPES[step]()
    is_done = slice_.train(recipe, data / recipe.dataset, out / step) is not None
    return [] if is_done else [step]


def _can_train(recipe: str, data: Path) -> bool:
    made = RECIPES[recipe]()
    has_data = made.dataset != "" and (data / made.dataset).is_dir()
    return has_data and made.distillation is None and made.clips is None


if __name__ == "__main__":
    main()
