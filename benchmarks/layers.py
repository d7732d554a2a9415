"""What the parts gain that `optimise` replaces, one by one, on this machine's CPU.

    python -m benchmarks.layers [--seconds 120] [--busy]

Linear layers run as PyTorch has them and packed; learners and fusers with their LayerNorm folded
into the mask MLP and with it apart, all packed. The ways to do the same work run in turns, in
interleaved rounds. Prints a table for docs/performance.md and writes
`benchmarks/results/layers_<cpu>.json`. Where other programs cannot be stopped, `--busy` counts the
seconds that the processor gave to one thread, which they disturb far less; no round is left out.
"""

import argparse
import copy
import itertools
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from benchmarks.peer_modules import Shape
from benchmarks.recording import (
    describe_conditions,
    describe_spread,
    gains,
    result_file,
    seconds_per_pass,
    write_json,
)
from tokenlearner.efficiency.conditions import Conditions
from tokenlearner.efficiency.fast_parts import replace_parts
from tokenlearner.efficiency.folded_norm import NormedLinear
from tokenlearner.efficiency.machine import has_bfloat16
from tokenlearner.efficiency.packed_linear import PackedLinear
from tokenlearner.efficiency.rounds import Plan, Round, Run, Spread, run_rounds, undisturbed
from tokenlearner.modules import TokenFuser, TokenLearnerV11

CPU = torch.device("cpu")
LAYERS = (  # rows, channels in and out
    (8, 768, 3072),
    (64, 768, 3072),
    (196, 768, 3072),
    (1576, 768, 3072),
    (1568, 768, 64),
    (1568, 64, 8),
    (9216, 128, 384),
)
SHAPES = (
    Shape(batch=1, side=14, dim=768, tokens=8),
    Shape(batch=8, side=14, dim=768, tokens=8),
    Shape(batch=8, side=24, dim=768, tokens=8),
)
_BEYOND_CACHES = 256 << 20
"""Bytes of weights that are used in turn, as in a model, where every layer has its own."""
_MOST_COPIES = 32


@dataclass(frozen=True, kw_only=True, slots=True)
class Way:
    """One way of doing some work.

    Attributes:
        how: In words.
        run: Does it once.
        flops: Two for each multiply-accumulate; None where the time is what counts.
    """

    how: str
    run: Run
    flops: int | None = None


def main() -> None:
    """Reads the command line, measures, prints and writes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=120.0, help="for all rounds")
    parser.add_argument("--busy", action="store_true", help="one thread, CPU time")
    options = parser.parse_args()
    if options.busy:
        torch.set_num_threads(1)
    works = [*linear_works(), *norm_works()]
    conditions = Conditions.here(CPU)
    plan = Plan(rounds=15, seconds=options.seconds / len(works), sample_seconds=0.05)
    timing: dict[str, Any] = (
        {"clock": time.process_time, "others": lambda: None} if options.busy else {}
    )
    rows = []
    for what, ways in works:
        rounds = [done for done in run_rounds([way.run for way in ways], plan, **timing) if done]
        rows.append({"what": what, **summarise(ways, rounds)})
        if options.busy:
            rows[-1]["undisturbed_rounds"] = None  # nobody looked
    content = {
        "command": "python -m benchmarks.layers" + " --busy" * options.busy,
        "what": __doc__,
        "time": "of one thread on the CPU" if options.busy else "from start to end",
        "conditions": conditions.to_dict(),
        "works": rows,
    }
    file = result_file("layers", conditions.hardware)
    write_json(file, content)
    print(table(content))
    print(f"wrote {file.name}")


def linear_works() -> Iterator[tuple[str, list[Way]]]:
    """Yields every layer by PyTorch's function and packed, in each number format there is."""
    dtypes = {"fp32": torch.float32}
    if has_bfloat16(CPU):
        dtypes["bf16"] = torch.bfloat16
    for rows, inputs, outputs in LAYERS:
        copies = max(1, min(_MOST_COPIES, _BEYOND_CACHES // (4 * inputs * outputs)))
        layers = [nn.Linear(inputs, outputs).requires_grad_(False) for _ in range(copies)]
        flops = 2 * rows * inputs * outputs
        ways = []
        for name, dtype in dtypes.items():
            x = torch.randn(rows, inputs).to(dtype)
            plain = [copy.deepcopy(layer).to(dtype) for layer in layers]
            packed = [PackedLinear(layer.weight, layer.bias, dtype=dtype) for layer in layers]
            ways.append(Way(how=f"{name} F.linear", run=_in_turn(plain, x), flops=flops))
            ways.append(Way(how=f"{name} packed", run=_in_turn(packed, x), flops=flops))
        yield f"{rows} rows, {inputs} → {outputs}", ways


def norm_works() -> Iterator[tuple[str, list[Way]]]:
    """Yields learners and fusers with the norm apart and folded."""
    for shape in SHAPES:
        x = torch.randn(shape.batch, shape.side**2, shape.dim)
        tokens = torch.randn(shape.batch, shape.tokens, shape.dim)
        for what, module, given in (
            ("learner 1.1", TokenLearnerV11(shape.tokens, shape.dim), (x,)),
            ("fuser", TokenFuser(shape.tokens, shape.dim), (tokens, x)),
        ):
            ways = [
                Way(how=how, run=_in_turn([packed_module(module, folded=folded)], *given))
                for how, folded in (("norm apart", False), ("norm folded", True))
            ]
            yield f"{what}, {shape}", ways


def packed_module(module: TokenLearnerV11 | TokenFuser, *, folded: bool) -> nn.Module:
    """Returns a fast copy of a learner or fuser, with its norm folded into the mask MLP or not."""
    fast = copy.deepcopy(module).eval().requires_grad_(False)
    if folded:
        mlp = fast.masking
        gelu: Any = mlp.activation
        mlp.fc1 = NormedLinear(fast.norm, mlp.fc1.weight, mlp.fc1.bias, gelu)  # pyright: ignore[reportAttributeAccessIssue]
        mlp.activation = fast.norm = nn.Identity()  # pyright: ignore[reportAttributeAccessIssue]
    for child in fast.children():  # the module itself would have its norm folded
        replace_parts(child)
    return fast


def summarise(ways: Sequence[Way], rounds: Sequence[Round]) -> dict[str, Any]:
    """Returns of each way its time, its speed, and how many times as fast as the first it is.

    Ratios are taken within a round. Disturbed rounds count only where there is no other.
    """
    times = seconds_per_pass(undisturbed(rounds))
    rows = []
    for way, seconds in zip(ways, times, strict=True):
        spread = Spread.of(seconds)
        rows.append(
            {
                "how": way.how,
                "microseconds": spread.times(1e6).to_dict(),
                "gflops_per_second": way.flops and float(f"{way.flops / spread.median / 1e9:.3g}"),
                "times_as_fast": gains(times[0], seconds).to_dict(),
            }
        )
    clean = sum(not done.disturbed for done in rounds)
    return {"undisturbed_rounds": clean, "rounds": len(rounds), "ways": rows}


def table(content: dict[str, Any]) -> str:
    """Returns the rows as Markdown, with what they depend on."""
    lines = [
        "| | how | µs | GFLOP/s | times as fast | rounds |",
        "| --- | --- | ---: | ---: | ---: | ---: |",
    ]
    for work in content["works"]:
        of = "" if work["undisturbed_rounds"] is None else f"{work['undisturbed_rounds']} of "
        for index, way in enumerate(work["ways"]):
            gain, speed = way["times_as_fast"], way["gflops_per_second"]
            cells = [
                "" if index else work["what"],
                way["how"],
                f"{way['microseconds']['median']:,.0f}",
                "" if speed is None else f"{speed:g}",
                describe_spread(gain) if index else "",
                "" if index else f"{of}{work['rounds']}",
            ]
            lines.append("| " + " | ".join(cells) + " |")
    about = describe_conditions(content, time=f", time {content['time']}")
    return "\n".join([*lines, "", f"{about}."])


def _in_turn(modules: Sequence[nn.Module], *given: torch.Tensor) -> Run:
    endless = itertools.cycle(modules)

    def run() -> object:
        with torch.inference_mode():
            return next(endless)(*given)

    return run


if __name__ == "__main__":
    main()
