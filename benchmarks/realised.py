"""How much of what the multiply-accumulates promise is realised, for models of the paper.

    python -m benchmarks.realised [--device auto] [--seconds 240] [NAME ...]

Models with random weights (speed does not depend on them) run beside the same models without
learner, in interleaved rounds. Every call goes on where the last one stopped: rounds are added to
`results/realised_<hardware>.json` until a case has enough undisturbed ones, then its stages are
timed, which gives the reason for what is lost. A call that finds nothing to do takes no time. NAME
picks the cases whose names begin so. Bfloat16 is left out where the hardware does not compute it.

    python -m benchmarks.realised --retell

Measures nothing: what is said of the recorded rounds and stages, of any machine, is said anew, with
what tensors take by their shapes.
"""

import argparse
import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import torch

from benchmarks.cases import Case, cases
from benchmarks.recording import FOLDER, result_file, write_json
from tokenlearner.efficiency.comparison import Comparison
from tokenlearner.efficiency.execution import Execution
from tokenlearner.efficiency.machine import choose_device, describe_hardware, has_bfloat16
from tokenlearner.efficiency.memory import activation_bytes
from tokenlearner.efficiency.profile import Profile, profile
from tokenlearner.efficiency.reality import KEPT, explain_losses, find_losses
from tokenlearner.efficiency.rounds import Plan
from tokenlearner.efficiency.throughput import Candidate, compare, input_shape, warmup_passes
from tokenlearner.models import VisionTransformer

ROUNDS = 15
# Time that a case wants, and the share of it for rounds; CUDA compiles models in the rest.
_LEAST_SECONDS = {"cpu": 20.0, "mps": 20.0, "cuda": 300.0}
_SHARE_OF_ROUNDS = {"cpu": 0.6, "mps": 0.6, "cuda": 0.25}
_PASSES = 15
_PAIR = re.compile(r"(\S+) at (\d+) px, (\d+) tokens at (\d+)")
_COMMAND = "python -m benchmarks.realised"


def main() -> None:
    """Reads the command line and measures until everything is done or the time is over."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="beginnings; all, unless named")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    parser.add_argument("--seconds", type=float, default=240.0, help="time for this call")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="undisturbed, of each case")
    parser.add_argument("--retell", action="store_true", help="measure nothing, say it anew")
    options = parser.parse_args()
    if options.retell:
        for file in sorted(FOLDER.glob("realised_*.json")):
            content = json.loads(file.read_text())
            write_json(file, content | {"cases": [retell(row) for row in content["cases"]]})
        return
    device = choose_device(options.device)
    names = tuple(options.names) or ("",)
    chosen = [case for case in cases(device) if case.name.startswith(names)]
    if not chosen:
        parser.error("no case begins so; there are\n" + "\n".join(c.name for c in cases(device)))
    end = time.monotonic() + options.seconds
    left = fill(chosen, device, seconds_left=lambda: end - time.monotonic(), rounds=options.rounds)
    for row in read(device).values():
        for way in row["ways"]:
            print(f"{row['pair']}, batch {row['comparison']['batch_size']}, {way['how']}")
            print(f"    {way['words']}")
    print("left: " + ("; ".join(left) or "nothing"))
    if not has_bfloat16(device):
        print(f"left out: bf16, which {describe_hardware(device)} does not compute in hardware")


def fill(
    chosen: Sequence[Case],
    device: torch.device,
    *,
    seconds_left: Callable[[], float],
    rounds: int = ROUNDS,
) -> list[str]:
    """Measures what is missing; returns the names of what is still missing afterwards."""
    left = []
    for case in chosen:
        row = read(device).get(case.name)
        known = Comparison.from_dict(row["comparison"]) if row else None
        clean = sum(not r.disturbed for r in known.rounds) if known else 0
        profiles = _profiles(row) if row else {}
        staged = {i: way for i, way in enumerate(case.ways) if way.has_stages(device)}
        if known and clean >= rounds and profiles.keys() >= staged.keys():
            _record(case, known, profiles, device)  # what is said of it may have changed
            continue
        if seconds_left() < _LEAST_SECONDS[device.type]:
            left.append(case.name)
            continue
        candidates = case.candidates()
        if known is None or clean < rounds:
            known = _add_rounds(known, case, candidates, device, rounds - clean, seconds_left())
            clean = sum(not r.disturbed for r in known.rounds)
            profiles = {}
        if clean < rounds:
            left.append(case.name)
            continue
        models = {c.name: c.model for c in candidates[:2]}
        for index in sorted(staged.keys() - profiles.keys()):
            pass_seconds = max(0.01, _seconds(known, 2 * index) + _seconds(known, 2 * index + 1))
            passes = min(_PASSES, int(0.7 * seconds_left() / pass_seconds) - 3)
            if passes < 3:
                left.append(case.name)
                break
            profiles[index] = profile(
                models,
                batch_size=case.batch_size,
                device=device,
                dtype=staged[index].dtype,
                optimised=staged[index].mode == "optimised",
                passes=passes,
            )
            _record(case, known, profiles, device)
    return left


def _seconds(known: Comparison, index: int) -> float:
    """A pass of a candidate."""
    return known.batch_size / known.images_per_second(index).median


def _profiles(row: dict[str, Any]) -> dict[int, tuple[Profile, ...]]:
    """The recorded profiles by the number of their way, of the ways that have them."""
    return {
        index: tuple(map(Profile.from_dict, way["profiles"]))
        for index, way in enumerate(row["ways"])
        if way["profiles"]
    }


def retell(row: dict[str, Any]) -> dict[str, Any]:
    """Returns a recorded case with what today's code makes of its models, rounds and profiles."""
    comparison = Comparison.from_dict(row["comparison"])
    case, device = (row["pair"], comparison.batch_size), comparison.conditions.device
    entries = []
    for index, entry in enumerate(comparison.entries):
        dtype = entry.execution.activation_dtype
        taken = _activations(*case, dtype, device)[index % 2]
        entries.append(replace(entry, activation_bytes=taken))
    comparison = replace(comparison, entries=tuple(entries))
    ways = _ways(comparison, _profiles(row))
    return row | {"ways": ways, "comparison": comparison.to_dict()}


@cache
def _activations(pair: str, batch_size: int, dtype: torch.dtype, device: str) -> list[int]:
    """What the tensors of a pass take in both models of a pair, without making either."""
    found = _PAIR.fullmatch(pair)
    assert found is not None, pair
    variant, *numbers = found.groups()
    size, num_tokens, at = map(int, numbers)
    case = Case(variant=variant, image_size=size, num_tokens=num_tokens, at=at, batch_size=1)
    with torch.device("meta"):
        models = [VisionTransformer(config) for config in case.configs()]
    shapes, place = [input_shape(model, batch_size) for model in models], torch.device(device)
    return [activation_bytes(*one, dtype, place) for one in zip(models, shapes, strict=True)]


def read(device: torch.device) -> dict[str, dict[str, Any]]:
    """Returns what is recorded for this device, by name."""
    file = _file(device)
    if not file.exists():
        return {}
    return {row["name"]: row for row in json.loads(file.read_text())["cases"]}


def _add_rounds(
    known: Comparison | None,
    case: Case,
    candidates: list[Candidate],
    device: torch.device,
    rounds: int,
    seconds: float,
) -> Comparison:
    plan = Plan(
        rounds=rounds,
        seconds=_SHARE_OF_ROUNDS[device.type] * seconds,
        warmup_passes=warmup_passes(device),
        sample_seconds=0.4,
    )
    found = known
    for progress in compare(candidates, batch_size=case.batch_size, device=device, plan=plan):
        print(f"{case.name}: {progress.activity}", flush=True)
        found = progress.comparison
        if known is not None and _place(known) == _place(found):
            found = found.with_rounds(*known.rounds)
        if progress.comparison.rounds:
            _record(case, found, {}, device)  # at once: a call may be killed
    assert found is not None
    return found


def _place(comparison: Comparison) -> tuple[Any, ...]:
    """What must be the same for rounds to belong together."""
    conditions = replace(comparison.conditions, clocks={}, date="")
    return conditions, tuple(replace(entry, peak_bytes=None) for entry in comparison.entries)


def _record(
    case: Case,
    comparison: Comparison,
    profiles: Mapping[int, tuple[Profile, ...]],
    device: torch.device,
) -> None:
    row = {
        "name": case.name,
        "pair": case.pair,
        "ways": _ways(comparison, profiles),
        "comparison": comparison.to_dict(),
    }
    rows = read(device) | {case.name: row}
    order = {c.name: index for index, c in enumerate(cases(device))}
    content = {
        "what": "speed-up of a model with a learner over the one without, the ratio of their "
        "multiply-accumulates, and the part of it that is realised; random weights",
        "command": _COMMAND,
        "hardware": describe_hardware(device),
        "cases": sorted(rows.values(), key=lambda row: order.get(row["name"], len(order))),
    }
    write_json(_file(device), content)


def _ways(
    comparison: Comparison, profiles: Mapping[int, tuple[Profile, ...]]
) -> list[dict[str, Any]]:
    """What became of the promise in each way of running."""
    ways = [entry.execution for entry in comparison.entries[::2]]
    timed = {way: profiles.get(index, ()) for index, way in enumerate(ways)}
    return [_way(comparison, 2 * index, timed) for index in range(len(ways))]


def _way(
    comparison: Comparison, base: int, timed: Mapping[Execution, tuple[Profile, ...]]
) -> dict[str, Any]:
    """What became of the promise in one; eager stages tell where it has none of its own."""
    fast, way = base + 1, comparison.entries[base].execution
    promised = comparison.macs_ratio(fast, over=base)
    realised = comparison.realised_ratio(fast, over=base)
    assert promised is not None
    assert realised is not None
    staged = way.with_stages(torch.device(comparison.conditions.device))
    profiles = timed.get(staged, ())
    losses = find_losses(*profiles) if profiles else ()
    without_stages = "" if staged == way else str(way)
    words = explain_losses(realised.median, losses, without_stages=without_stages)
    return {
        "how": str(way),
        "speedup": comparison.speedup(fast, over=base).to_dict(),
        "macs_ratio": round(promised, 4),
        "realised_ratio": realised.to_dict(),
        "words": words if profiles or realised.median >= KEPT else "",
        "losses": [
            {"part": loss.part.name, "ratio": round(loss.ratio, 4), "reason": loss.reason}
            for loss in losses
            if staged == way
        ],
        "profiles": [one.to_dict() for one in timed[way]],
    }


def _file(device: torch.device) -> Path:
    return result_file("realised", describe_hardware(device))


if __name__ == "__main__":
    main()
