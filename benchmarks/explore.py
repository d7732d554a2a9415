"""Measure what the Explore page waits for, on this machine's CPU.

    make bench        (python -m benchmarks.explore)

Prints a table and writes `benchmarks/results/explore_<cpu>.json`. Times are medians with the
fastest and the slowest; the model is warm. The photo is the one that the page opens with.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from app.components.attention_viewer import pack_payload
from app.components.drawing import encode_display_photo
from app.gallery import load_samples
from benchmarks.recording import Result, summary
from tokenlearner import explain, read_image, zoo
from tokenlearner.media import encode_png
from tokenlearner.rendering import ViewSettings, render_overlay

ROOT = Path(__file__).resolve().parent.parent
IMPORT = """
import time, torch
started = time.perf_counter()
import tokenlearner
print(time.perf_counter() - started)
"""


def main() -> None:
    """Measures, prints and writes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--model", default=next(iter(zoo.names()), None), help="shipped model")
    parser.add_argument("--rounds", type=int, default=15, help="of each measurement")
    options = parser.parse_args()
    if options.model is None:
        parser.error("no models are shipped; name a model folder with --model")
    milliseconds = {
        "import tokenlearner, over import torch": import_ms(max(5, options.rounds // 2)),
        **explore_ms(options.model, options.rounds),
    }
    result = Result(
        command=f"python -m benchmarks.explore --model {Path(options.model).name} "
        f"--rounds {options.rounds}",
        model=Path(options.model).name,
        milliseconds={name: summary(times) for name, times in milliseconds.items()},
    )
    result.print_table()
    print(f"wrote {result.write('explore')}")


def import_ms(rounds: int) -> list[float]:
    """Returns how long `import tokenlearner` takes after `import torch`, in fresh processes."""
    # The bytecode of an installed package is on disk; so it is here, after the first round.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    times = []
    for _ in range(rounds + 1):
        result = subprocess.run(
            [sys.executable, "-c", IMPORT],
            capture_output=True,
            text=True,
            check=True,
            cwd=ROOT,
            env=environment,
        )
        times.append(1000 * float(result.stdout))
    return times[1:]


def explore_ms(name: str, rounds: int) -> dict[str, list[float]]:
    """Returns the times of every step from a chosen photo to what the browser gets."""
    path = load_samples()[0].path
    model = zoo.load(name)
    settings = ViewSettings()
    image = read_image(path)
    explanation = explain(model, image)
    jpeg = encode_display_photo(image.pixels)
    overlay = render_overlay(explanation, settings)

    def photo_to_payload() -> bytes:
        image = read_image(path)
        explanation = explain(model, image)
        return pack_payload(explanation, encode_display_photo(image.pixels), settings)

    height, width = image.pixels.shape[:2]
    steps: dict[str, Callable[[], Any]] = {
        "load the model": lambda: zoo.load(name),
        f"read the photo ({width} × {height} px)": lambda: read_image(path),
        "explain it": lambda: explain(model, image),
        "encode it for the screen": lambda: encode_display_photo(image.pixels),
        "pack the payload": lambda: pack_payload(explanation, jpeg, settings),
        "photo chosen to payload ready": photo_to_payload,
        "draw the overlay at full size": lambda: render_overlay(explanation, settings),
        "encode the overlay as PNG": lambda: encode_png(overlay),
    }
    times: dict[str, list[float]] = {step: [] for step in steps}
    for step in steps.values():
        step()  # warm-up
    for _ in range(rounds):  # in turns, so that a busy moment of the machine hits all of them
        for step, function in steps.items():
            started = time.perf_counter()
            function()
            times[step].append(1000 * (time.perf_counter() - started))
    return times


if __name__ == "__main__":
    main()
