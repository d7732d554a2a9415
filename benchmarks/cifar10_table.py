"""Train and test the mini ViTs of the Keras example, and set the results beside the published ones.

    python -m benchmarks.cifar10_table --data DATA --out runs [--seeds 0 1] [--minutes 60]

DATA holds CIFAR-10 as parquet files. Every call goes on where the last one stopped; a finished
run is kept in `results/cifar10_table.json` and not done again.
"""

import json
import statistics
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.recording import FOLDER, write_json
from benchmarks.slices import Slice, make_parser
from tokenlearner.efficiency.machine import choose_device
from tokenlearner.training.recipes import RECIPES

FILE = FOLDER / "cifar10_table.json"

PUBLISHED_PERCENT = {
    "cifar10-mini-vit": (56.112, 56.37),
    "cifar10-mini-vit-tl8": (56.55,),
    "cifar10-mini-vit-tl4": (56.498,),
    "cifar10-mini-vit-8-layers": (55.36,),
    "cifar10-mini-vit-g4-tl4": (54.638,),
    "cifar10-mini-vit-g8-tl8": (54.898,),
    "cifar10-mini-vit-g4-tl8": (55.196,),
}
"""Top-1 by recipe: means of five runs; of an unstated number for the grouped convolutions. The
model without learner was published twice. Source: README of github.com/ariG23498/TokenLearner."""


def main() -> None:
    """Reads the command line and trains until the table is full or the time is over."""
    parser = make_parser(__doc__, minutes=float("inf"))
    parser.add_argument("recipes", nargs="*", metavar="RECIPE", help="all, unless named")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="one run each")
    options = parser.parse_args()
    if unknown := sorted(set(options.recipes) - set(PUBLISHED_PERCENT)):
        parser.error(f"no row {', '.join(unknown)}; there are {', '.join(PUBLISHED_PERCENT)}")
    slice_ = Slice(options.minutes, choose_device(options.device))
    names = options.recipes or list(PUBLISHED_PERCENT)
    fill(slice_, names, options.seeds, data=options.data, out=options.out)
    print_table(read())


def fill(slice_: Slice, names: list[str], seeds: list[int], *, data: Path, out: Path) -> list[str]:
    """Trains and tests what is missing; returns what is still missing when the time is over."""
    missing = [
        (name, seed)
        for seed in seeds
        for name in names
        if str(seed) not in read().get(name, {}).get("runs", {})
    ]
    for index, (name, seed) in enumerate(missing):
        recipe = replace(RECIPES[name](), seed=seed)
        folder = slice_.train(recipe, data, out / f"{name}-seed{seed}")
        if folder is None or slice_.over:
            return [f"{name} with seed {seed}" for name, seed in missing[index:]]
        record(name, seed, slice_.test(folder, data))
    return []


def read() -> dict[str, Any]:
    """Returns the rows recorded so far, by recipe."""
    return json.loads(FILE.read_text())["rows"] if FILE.exists() else {}


def record(name: str, seed: int, run: dict[str, Any]) -> None:
    """Adds one run to the results."""
    rows = read()
    runs = rows.get(name, {}).get("runs", {}) | {str(seed): run}
    accuracies = [entry["top1_percent"] for entry in runs.values()]
    mean = statistics.mean(accuracies)
    published = statistics.mean(PUBLISHED_PERCENT[name])
    rows[name] = {
        "published_percent": list(PUBLISHED_PERCENT[name]),
        "mean_percent": round(mean, 3),
        "spread_percent": round(statistics.stdev(accuracies), 3) if len(accuracies) > 1 else None,
        "difference_points": round(mean - published, 3),
        "gmacs": run["gmacs"],
        "runs": runs,
    }
    content = {
        "what": "CIFAR-10 test top-1 of the mini ViT by the published recipe; spread is the "
        "standard deviation over seeds",
        "command": "python -m benchmarks.cifar10_table --data DATA --out runs",
        "rows": {key: rows[key] for key in PUBLISHED_PERCENT if key in rows},
    }
    write_json(FILE, content)


def print_table(rows: dict[str, Any]) -> None:
    """Prints the results for people."""
    print(f"{'':26}  {'published':>9}  {'here':>6}  {'spread':>6}  {'runs':>4}  {'GFLOPs':>6}")
    for name, row in rows.items():
        published = statistics.mean(row["published_percent"])
        spread = "" if row["spread_percent"] is None else f"{row['spread_percent']:.2f}"
        print(
            f"{name:26}  {published:9.2f}  {row['mean_percent']:6.2f}  {spread:>6}  "
            f"{len(row['runs']):4}  {row['gmacs']:6.4f}"
        )


if __name__ == "__main__":
    main()
