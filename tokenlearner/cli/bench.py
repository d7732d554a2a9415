"""`tokenlearner bench`: images per second and latency on this machine, side by side."""

import os
import shlex
from itertools import product
from typing import Annotated

import torch
import typer
from rich.console import Console

from tokenlearner import zoo
from tokenlearner.cli.bench_pair import (
    check_choice,
    paper_pair,
    preset_pair,
    shipped_pair,
)
from tokenlearner.cli.bench_session import Session
from tokenlearner.cli.bench_table import make_table
from tokenlearner.cli.networks import WITH_LEARNER
from tokenlearner.cli.results import JsonFile, make_room_for, write_json
from tokenlearner.efficiency.execution import Execution
from tokenlearner.efficiency.machine import choose_device, describe_hardware
from tokenlearner.efficiency.rounds import Plan
from tokenlearner.efficiency.throughput import POWERS, warmup_passes
from tokenlearner.errors import ConfigError

_LOG_COLUMNS = 140  # what the table takes; in a pipe or a log nobody has chosen a width
_INTERRUPTED = 130  # what a shell calls a command that Ctrl-C ended


def bench(
    model: Annotated[
        str | None,
        typer.Argument(help="Shipped model, model folder or hf-hub:owner/name."),
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(
            help="Model to compare with, or none (default: its counterpart, or the same model "
            "without its learner)."
        ),
    ] = None,
    variant: Annotated[
        str | None,
        typer.Option(
            help="Instead of MODEL: a size from the papers, such as B/16, or a model from their "
            "tables, such as 'L/16 (24+11), 16 tokens at 12' or, for clips, 'Charades'. Weights "
            "are random."
        ),
    ] = None,
    image_size: Annotated[
        int | None,
        typer.Option(min=1, max=8192, help="Image size for --variant, in pixels (default: 224)."),
    ] = None,
    num_tokens: Annotated[
        int | None,
        typer.Option(
            min=1, max=65_536, help="Number of learned tokens for --variant (default: 8)."
        ),
    ] = None,
    at: Annotated[
        int | None,
        typer.Option(help="Blocks before the learner of --variant (default: half of them)."),
    ] = None,
    version: Annotated[
        str | None,
        typer.Option(help="Learner version for --variant: 1.0 or 1.1 (default: 1.1)."),
    ] = None,
    fuser: Annotated[
        bool, typer.Option("--fuser", help="For --variant: a TokenFuser in every later block.")
    ] = False,
    batch: Annotated[
        list[int] | None,
        typer.Option(min=1, help="Images per batch; repeatable (default: 1 and 8)."),
    ] = None,
    all_batches: Annotated[
        bool,
        typer.Option("--sweep", help="Batches of 1, 2, 4 ... 512, until memory runs out."),
    ] = False,
    dtype: Annotated[
        list[str] | None,
        typer.Option(help="fp32, tf32, bf16 or fp16; repeatable (default: fp32)."),
    ] = None,
    mode: Annotated[
        list[str] | None,
        typer.Option(help="eager, compile, graphs or optimised; repeatable (default: eager)."),
    ] = None,
    channels_last: Annotated[
        bool, typer.Option("--channels-last", help="Use the channels-last memory format.")
    ] = False,
    together: Annotated[
        bool,
        typer.Option(
            "--together", help="Run all dtypes and modes in turns; compare them with the first."
        ),
    ] = False,
    seconds: Annotated[
        float, typer.Option(help="Time limit for each batch size, dtype and mode.")
    ] = 20.0,
    rounds: Annotated[
        int, typer.Option(min=1, help="Undisturbed rounds to collect per model.")
    ] = 15,
    why: Annotated[
        bool, typer.Option(help="Look for the reason where the promise is not kept.")
    ] = True,
    json_file: JsonFile = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
) -> None:
    """Measure how fast a model is, beside the same model without TokenLearner.

    Both run in turns, so that a slowdown of the machine affects both; rounds during which other
    programs were busy are left out. "Promised" is the ratio of multiply-accumulates, "realised"
    the share of it that the measured speed-up reaches; "overall", with --together, is the speed
    relative to the first model with the first dtype and mode. Ctrl-C keeps the results so far.
    """
    if batch and all_batches:
        asked = " ".join(f"--batch {size}" for size in batch)
        raise ConfigError(
            f"--sweep chooses the batches (1, 2, 4 ... 512); leave out {asked}, or --sweep"
        )
    make_room_for(json_file)
    computer = choose_device(device)
    named = {"MODEL": model, "--against": against}
    of_variant = {"--image-size": image_size, "--num-tokens": num_tokens, "--at": at}
    of_variant |= {"--version": version, "--fuser": fuser or None}
    check_choice(variant, named, of_variant)
    if variant is None:
        pair, remark = shipped_pair(model, against)
    elif variant in WITH_LEARNER:
        pair, remark = paper_pair(variant)
    else:
        pair, remark = preset_pair(
            variant,
            image_size=image_size or 224,
            num_tokens=num_tokens or 8,
            at=at,
            version=version or "1.1",  # pyright: ignore[reportArgumentType] (it checks the word)
            fuser=fuser,
        )
    executions = [
        Execution(dtype=d, mode=m, channels_last=channels_last)  # pyright: ignore[reportArgumentType]
        for d, m in product(dtype or ["fp32"], mode or ["eager"])
    ]
    for execution in executions:
        execution.check(computer)
    plan = Plan(rounds=rounds, seconds=seconds, warmup_passes=warmup_passes(computer))
    console = Console()
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = _LOG_COLUMNS
    threads = torch.get_num_threads()
    title = f"{describe_hardware(computer)}, {threads} thread{'' if threads == 1 else 's'}"
    console.print(title, style="bold")
    if remark:
        console.print(remark)
    sizes = POWERS if all_batches else tuple(sorted(set(batch or (1, 8))))
    session = Session(pair, computer, plan, together=together)
    try:
        session.measure(executions, sizes)
        if why:
            session.explain()
    except KeyboardInterrupt:
        session.interrupted = True
    finally:  # what is measured is kept, whatever happens
        wanted = len(sizes) * (1 if together else len(executions))
        _show(session, console, wanted=wanted)
        if json_file is not None and session.done:
            command = _command(session, variant, executions, sizes, why=why)
            write_json(json_file, session.report(command))
    if session.interrupted:
        raise typer.Exit(_INTERRUPTED)
    if not session.done:
        raise typer.Exit(1)


def _show(session: Session, console: Console, *, wanted: int) -> None:
    if session.done:
        num_models = len(session.pair)
        table = make_table(
            session.done, unit=session.unit, num_models=num_models, overall=session.together
        )
        console.print(table)
    for (index, base), words in session.words.items():
        result = session.done[index]
        console.print(f"{result.entries[base].execution}, batch {result.batch_size}: {words}")
    for stop in session.stops:
        console.print(f"stopped at {stop}")
    if any(result.all_disturbed for result in session.done):
        console.print("lines marked *: other programs disturbed every round; measure again")
    if session.interrupted:
        kept = len(session.done)
        lines = "batch sizes" if session.together else "lines"
        words = "nothing was measured"
        if kept:
            words = f"kept {kept} of {wanted} {lines}; the last may have fewer rounds"
        console.print(f"interrupted: {words}")


def _command(
    session: Session,
    variant: str | None,
    executions: list[Execution],
    sizes: tuple[int, ...],
    *,
    why: bool,
) -> str:
    pair, plan = session.pair, session.plan
    words = ["tokenlearner", "bench"]
    if variant is None:
        base, fast = (network.info for _, network in (pair[0], pair[-1]))
        words.append(zoo.reference(fast))
        if len(pair) == 1:
            words += ["--against", "none"]
        elif base is not None:  # or it is the model without its learner, as without --against
            words += ["--against", zoo.reference(base)]
    elif variant in WITH_LEARNER:
        words += ["--variant", variant]
    else:
        config = pair[-1][1].config
        words += ["--variant", variant, "--image-size", str(config.image_size[0])]
        learner = config.token_learner
        words += ["--num-tokens", str(learner.num_tokens), "--at", str(learner.at)]
        words += ["--version", learner.version] + (["--fuser"] if learner.fuser else [])
    words += [w for size in sizes for w in ("--batch", str(size))]
    words += [w for d in dict.fromkeys(e.dtype for e in executions) for w in ("--dtype", d)]
    words += [w for m in dict.fromkeys(e.mode for e in executions) for w in ("--mode", m)]
    words += ["--channels-last"] if executions[0].channels_last else []
    words += ["--together"] if session.together else []
    words += ["--seconds", f"{plan.seconds:g}", "--rounds", str(plan.rounds)]
    words += [] if why else ["--no-why"]
    words += ["--device", str(session.device)]
    return shlex.join(words)
