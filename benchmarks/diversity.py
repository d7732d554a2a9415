"""What keeps a learner's maps apart: the start of its weights, or a term in the loss.

    python -m benchmarks.diversity --data DATA --out runs [--minutes 60]

DATA holds Imagenette as parquet files. The model is that of `benchmarks.placement` with 8 tokens
after 3 of 6 blocks, where maps look alike more than after 2; its run there is the one to compare
with. Every call goes on where the last one stopped; a finished run is kept in
`results/diversity.json` and not done again.
"""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from benchmarks import placement
from benchmarks.recording import FOLDER, write_json
from benchmarks.slices import Slice, make_parser
from tokenlearner.checkpoints import AnyModel
from tokenlearner.efficiency.machine import choose_device
from tokenlearner.modules import TokenLearnerV11
from tokenlearner.training.recipes import Recipe

FILE = FOLDER / "diversity.json"
POINT = placement.Point(at=3, num_tokens=8, seed=0)


@dataclass(frozen=True, slots=True)
class Way:
    """One way to keep maps apart.

    Attributes:
        name: In words.
        diversity: As in `Recipe`.
        spread: How many times as large the last layer that draws the maps starts.
    """

    name: str
    diversity: float = 0.0
    spread: float = 1.0

    @property
    def folder(self) -> str:
        """Name of the run's folder."""
        return f"diversity-{self.diversity:g}-spread-{self.spread:g}-at-{POINT.at}"

    def recipe(self) -> Recipe:
        """Returns how the model is trained."""
        return replace(POINT.recipe(), name=self.folder, diversity=self.diversity)

    def start(self, recipe: Recipe) -> AnyModel | None:
        """Returns the model to start from; None for the usual start."""
        if self.spread == 1:
            return None
        torch.manual_seed(recipe.seed)
        model = recipe.build()
        for part in model.modules():
            if isinstance(part, TokenLearnerV11):
                with torch.no_grad():
                    part.masking.fc2.weight.mul_(self.spread)
        return model


WAYS = (
    Way("diversity 0.3 in the loss", diversity=0.3),
    Way("maps drawn apart at the start (8 times the weights)", spread=8.0),
    Way("diversity 0.1 in the loss", diversity=0.1),
    Way("diversity 0.03 in the loss", diversity=0.03),
)


def main() -> None:
    """Reads the command line and trains until all is done or the time is over."""
    options = make_parser(__doc__, minutes=float("inf")).parse_args()
    slice_ = Slice(options.minutes, choose_device(options.device))
    fill(slice_, data=options.data, out=options.out)
    for row in [usual(), *read()]:
        print(f"{row['way']:52} {row['top1_percent']:6.2f} %  overlap {row['overlap']:.2f}")


def fill(slice_: Slice, *, data: Path, out: Path) -> list[str]:
    """Trains and tests what is missing; returns what is still missing when the time is over."""
    done = {row["way"] for row in read()}
    missing = [way for way in WAYS if way.name not in done]
    for index, way in enumerate(missing):
        recipe = way.recipe()
        folder = slice_.train(recipe, data, out / way.folder, model=way.start(recipe))
        if folder is None or slice_.over:
            return [way.name for way in missing[index:]]
        shared = placement.overlap_in(folder, slice_, data)
        record({"way": way.name} | slice_.test(folder, data) | {"overlap": shared})
    return []


def usual() -> dict[str, Any]:
    """Returns the run to compare with, as `benchmarks.placement` recorded it."""
    wanted = (POINT.at, POINT.num_tokens, POINT.seed)
    runs = placement.read()
    row = next(r for r in runs if (r["at"], r["num_tokens"], r["seed"]) == wanted)
    return {"way": "as usual", **row}


def read() -> list[dict[str, Any]]:
    """Returns the runs recorded so far."""
    return json.loads(FILE.read_text())["runs"] if FILE.exists() else []


def record(run: dict[str, Any]) -> None:
    """Adds one run to the results."""
    content = {
        "what": f"Imagenette test top-1 at {placement.SIDE_PX} px, 8 tokens after {POINT.at} "
        f"blocks, {placement.EPOCHS} epochs, one run each; overlap is the share that two maps have "
        "in common on average",
        "command": "python -m benchmarks.diversity --data DATA --out runs",
        "runs": [*read(), run],
    }
    write_json(FILE, content)


if __name__ == "__main__":
    main()
