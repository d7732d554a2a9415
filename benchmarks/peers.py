"""Our modules beside those of others: same work, one process, interleaved rounds.

    TOKENLEARNER_PEERS=... python -m benchmarks.peers [--seconds 150] [SHAPE ...]

`benchmarks.peer_modules` says what TOKENLEARNER_PEERS holds; a peer that is not there is left out.
Every shape that `results/peers_<hardware>.json` lacks is measured, while there is time; SHAPE
picks those whose names begin so and measures them again.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch

from benchmarks.peer_models import find_models
from benchmarks.peer_modules import OURS, Entry, Run, Shape, find_entries
from benchmarks.recording import result_file, seconds_per_pass, write_json
from tokenlearner.efficiency.conditions import Conditions
from tokenlearner.efficiency.rounds import Plan, Round, Spread, run_rounds, undisturbed

ROUNDS = 15
CPU = torch.device("cpu")
SHAPES = (
    Shape(batch=8, side=14, dim=768, tokens=8),
    Shape(batch=8, side=24, dim=768, tokens=8),
    Shape(batch=2, side=32, dim=1024, tokens=16),
)
MODELS = "ViT-B/16 at 224 px, batch 8"
_COMMAND = "python -m benchmarks.peers"


def main() -> None:
    """Reads the command line and measures until everything is done or the time is over."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("shapes", nargs="*", metavar="SHAPE", help="beginnings; missing ones else")
    parser.add_argument("--seconds", type=float, default=150.0, help="time for this call")
    options = parser.parse_args()
    finders: dict[str, Callable[[], list[Entry]]] = {
        str(shape): lambda shape=shape: find_entries(shape) for shape in SHAPES
    }
    finders[MODELS] = find_models
    file = result_file("peers", Conditions.here(CPU).hardware)
    known = json.loads(file.read_text())["shapes"] if file.exists() else {}
    names = tuple(options.shapes)
    wanted = [name for name in finders if (name.startswith(names) if names else name not in known)]
    started = time.monotonic()
    for name in wanted:
        seconds = options.seconds - (time.monotonic() - started)
        if seconds < 0.25 * options.seconds:
            print(f"left: {name}")
            continue
        known[name] = measure(finders[name](), seconds=0.7 * seconds)
        in_order = {key: known[key] for key in finders if key in known}
        write_json(file, {"command": _COMMAND, "what": __doc__, "shapes": in_order})
    for name, shape in known.items():
        print_table(name, shape["rows"])


def measure(entries: list[Entry], *, seconds: float) -> dict[str, Any]:
    """Times all entries side by side and returns what a result keeps of them."""
    runs = [(entry, "forward", entry.forward) for entry in entries]
    runs += [(entry, "backward", entry.backward) for entry in entries if entry.backward]
    return {"conditions": _conditions(), "rows": summarise(runs, _rounds(runs, seconds))}


def _rounds(runs: list[tuple[Entry, str, Run]], seconds: float) -> Sequence[Round]:
    plan = Plan(rounds=ROUNDS, seconds=seconds, sample_seconds=0.1)
    rounds = [done for done in run_rounds([run for *_, run in runs], plan) if done]
    clean = sum(not done.disturbed for done in rounds)
    print(f"{clean} of {len(rounds)} rounds were undisturbed", file=sys.stderr)
    return undisturbed(rounds)


def summarise(runs: list[tuple[Entry, str, Run]], rounds: Sequence[Round]) -> list[dict[str, Any]]:
    """Returns a row per run: its time, and how many times ours it is.

    Ours is the fastest of our ways for the same part and pass, by its median; ratios are taken
    within a round.
    """
    times = seconds_per_pass(rounds)
    medians = [Spread.of(values).median for values in times]
    best: dict[tuple[str, str], int] = {}
    for index, (entry, kind, _) in enumerate(runs):
        place = entry.part, kind
        if entry.who == OURS and (place not in best or medians[index] < medians[best[place]]):
            best[place] = index
    rows = []
    for index, (entry, kind, _) in enumerate(runs):
        ours = times[best[entry.part, kind]]
        ratios = [mine / theirs for mine, theirs in zip(times[index], ours, strict=True)]
        rows.append(
            {
                "part": entry.part,
                "pass": kind,
                "who": entry.who,
                "how": entry.how,
                "same_work": entry.same_work,
                **({} if entry.macs_ratio is None else {"macs_ratio": entry.macs_ratio}),
                "milliseconds": _rounded(Spread.of(times[index]).times(1000)),
                "times_ours": _rounded(Spread.of(ratios)),
            }
        )
    return rows


def print_table(name: str, rows: list[dict[str, Any]]) -> None:
    """Prints a shape's rows for people."""
    print(f"\n{name}: milliseconds, and how many times our fastest")
    for row in sorted(rows, key=lambda row: (row["part"], row["pass"] == "backward")):
        about = f"{row['part']:8} {row['pass']:8} {row['who']:28} {row['how']:14}"
        other = "" if row["same_work"] else "  (other work)"
        milliseconds, times = row["milliseconds"]["median"], row["times_ours"]["median"]
        print(f"{about} {milliseconds:9.2f} {times:6.2f}×{other}")


def _conditions() -> dict[str, Any]:
    conditions = Conditions.here(CPU).to_dict()
    for package in ("timm", "jax", "flax", "keras"):
        try:
            conditions["versions"][package] = version(package)
        except PackageNotFoundError:
            continue
    return conditions


def _rounded(spread: Spread) -> dict[str, float]:
    return {name: round(value, 4) for name, value in asdict(spread).items()}


if __name__ == "__main__":
    main()
