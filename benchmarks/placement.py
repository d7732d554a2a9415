"""Where to put the learner, and how many tokens: accuracy and cost on a small model.

    python -m benchmarks.placement --data DATA --out runs [--seeds 0 1] [--minutes 60]

DATA holds Imagenette as parquet files. The model is the fine-grid one at 64 px (8x8 cells, 6
blocks). Every call goes on where the last one stopped; a finished run is kept in
`results/placement.json` and not done again.
"""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.recording import FOLDER, write_json
from benchmarks.slices import Slice, make_parser, read_split
from tokenlearner.checkpoints import for_images, load_model
from tokenlearner.efficiency.machine import choose_device
from tokenlearner.models import TokenLearnerConfig
from tokenlearner.models.presets import fine_vit
from tokenlearner.training.map_overlap import mean_overlap
from tokenlearner.training.recipes import RECIPES, Recipe

FILE = FOLDER / "placement.json"
SIDE_PX = 64
EPOCHS = 16
NUM_PHOTOS = 512
"""So many tell how much maps overlap."""


@dataclass(frozen=True, slots=True)
class Point:
    """One model of the sweep.

    Attributes:
        at: Block before which the learner sits; None for no learner.
        num_tokens: Tokens it learns; None for no learner.
        seed: Of the run.
    """

    at: int | None
    num_tokens: int | None
    seed: int

    @property
    def name(self) -> str:
        """Name of the run's folder."""
        learner = "baseline" if self.at is None else f"{self.num_tokens}-tokens-at-{self.at}"
        return f"placement-{learner}-seed{self.seed}"

    def recipe(self) -> Recipe:
        """Returns how the model is trained: the shipped model's recipe, shorter and smaller."""
        learner = None
        if self.at is not None and self.num_tokens is not None:
            learner = TokenLearnerConfig(num_tokens=self.num_tokens, at=self.at)
        base = RECIPES["imagenette-fine-vit"]()
        return replace(
            base,
            name=self.name,
            model=fine_vit(image_size=SIDE_PX, token_learner=learner),
            preprocessing=replace(base.preprocessing, image_size=(SIDE_PX, SIDE_PX)),
            canvas=(96, 96),
            stages=((EPOCHS, SIDE_PX),),
            seed=self.seed,
        )


def points(seed: int) -> list[Point]:
    """Returns every position with 8 tokens, every number of tokens at one third, no learner."""
    depth = fine_vit().depth
    positions = [Point(at, 8, seed) for at in range(depth)]
    counts = [Point(2, count, seed) for count in (1, 2, 4, 16)]
    return [Point(None, None, seed), *positions, *counts]


def main() -> None:
    """Reads the command line and trains until the sweep is done or the time is over."""
    parser = make_parser(__doc__, minutes=float("inf"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="one sweep each")
    options = parser.parse_args()
    slice_ = Slice(options.minutes, choose_device(options.device))
    fill(slice_, options.seeds, data=options.data, out=options.out)
    print_table(read())


def fill(slice_: Slice, seeds: list[int], *, data: Path, out: Path) -> list[str]:
    """Trains and tests what is missing; returns what is still missing when the time is over."""
    done = {(entry["at"], entry["num_tokens"], entry["seed"]) for entry in read()}
    missing = [
        point
        for seed in seeds
        for point in points(seed)
        if (point.at, point.num_tokens, point.seed) not in done
    ]
    for index, point in enumerate(missing):
        folder = slice_.train(point.recipe(), data, out / point.name)
        if folder is None or slice_.over:
            return [point.name for point in missing[index:]]
        shared = None
        if point.at is not None:
            shared = overlap_in(folder, slice_, data)
        record(asdict(point) | slice_.test(folder, data) | {"overlap": shared})
    return []


def overlap_in(folder: Path, slice_: Slice, data: Path) -> float:
    """Returns how much two maps of a model have in common on some of the test photos."""
    photos = read_split(data, "test")
    model = for_images(load_model(folder))
    return round(mean_overlap(model, photos, device=slice_.device, num_photos=NUM_PHOTOS), 4)


def read() -> list[dict[str, Any]]:
    """Returns the runs recorded so far."""
    return json.loads(FILE.read_text())["runs"] if FILE.exists() else []


def record(run: dict[str, Any]) -> None:
    """Adds one run to the results."""
    content = {
        "what": f"Imagenette test top-1 at {SIDE_PX} px against the learner's place and tokens, "
        f"{EPOCHS} epochs; overlap is the share that two maps have in common on average",
        "command": "python -m benchmarks.placement --data DATA --out runs",
        "depth": fine_vit().depth,
        "runs": [*read(), run],
    }
    write_json(FILE, content)


def print_table(runs: list[dict[str, Any]]) -> None:
    """Prints the results for people."""
    print(f"{'before block':>12}  {'tokens':>6}  {'top-1':>6}  {'GFLOPs':>7}  {'overlap':>7}")
    for run in runs:
        place = "none" if run["at"] is None else str(run["at"])
        tokens = "" if run["num_tokens"] is None else str(run["num_tokens"])
        shared = "" if run["overlap"] is None else f"{run['overlap']:.2f}"
        print(
            f"{place:>12}  {tokens:>6}  {run['top1_percent']:6.2f}  {run['gmacs']:7.4f}  "
            f"{shared:>7}"
        )


if __name__ == "__main__":
    main()
