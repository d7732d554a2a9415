"""Where a promise is lost, computed by hand from made-up profiles, and what is said about it."""

from typing import Any

import pytest

from tokenlearner.efficiency.limits import Limits
from tokenlearner.efficiency.profile import Profile, StageTime
from tokenlearner.efficiency.reality import explain_losses, find_losses, group

LIMITS = Limits(macs_per_second=1e9, bytes_per_second=5e8, seconds_per_call=1e-6)


def stage(name: str, seconds: float, macs: float, **facts: Any) -> StageTime:
    settings = {"tokens": 100, "traffic_bytes": 0, "launch_seconds": 0.0} | facts
    kind = name.split()[0]
    return StageTime(name=name, kind=kind, seconds=seconds, macs=int(macs), **settings)


def profile(*stages: StageTime, batch_size: int = 1) -> Profile:
    return Profile(name="x", batch_size=batch_size, dtype="fp32", stages=stages, limits=LIMITS)


BASE = profile(stage("embedding", 1.0, 1e9), stage("block 0", 4.0, 4e9), stage("block 1", 5.0, 5e9))
"""Ten seconds for ten billion: a nanosecond each."""


def fast(**late: Any) -> Profile:
    """Two of its eight seconds are beyond its six billion, all in the last block."""
    facts = {"tokens": 8} | late
    return profile(
        stage("embedding", 1.0, 1e9),
        stage("block 0", 4.0, 4e9),
        stage("learner 1", 0.5, 0.5e9, tokens=8),
        stage("block 1", 2.5, 0.5e9, **facts),
    )


def test_stages_are_grouped_around_the_learner() -> None:
    names = [(part.name, part.seconds) for part in group(fast())]
    assert names == [
        ("embedding", 1.0),
        ("blocks before the learner", 4.0),
        ("learner", 0.5),
        ("blocks after the learner", 2.5),
    ]
    assert [part.name for part in group(BASE)] == ["embedding", "blocks"]


def test_losses_add_up_to_what_is_not_realised() -> None:
    losses = find_losses(BASE, fast())
    assert losses[0].part.name == "blocks after the learner"
    assert [loss.ratio for loss in losses] == pytest.approx([0.25, 0, 0, 0])
    realised = (BASE.seconds / fast().seconds) / (BASE.macs / fast().macs)
    assert sum(loss.ratio for loss in losses) == pytest.approx(1 - realised)


@pytest.mark.parametrize(
    ("facts", "reason", "words"),
    [
        (
            {"launch_seconds": 1.3},
            "launches",
            "calling the operations takes longer than computing them",
        ),
        (
            {"traffic_bytes": 650_000_000},
            "memory",
            "moving their weights and tokens takes 52 % of their time even at the speed of a large "
            "copy",
        ),
        ({}, "small products", "matrices of 8 rows are too small for the kernels"),
        (
            {"tokens": 600},
            "other work",
            "norms, softmax, activations and copies, which the count leaves out",
        ),
    ],
)
def test_reasons(facts: dict[str, Any], reason: str, words: str) -> None:
    loss = find_losses(BASE, fast(**facts))[0]
    assert loss.reason == reason
    assert loss.words == f"blocks after the learner: {words} (0.2 GMAC/s, the baseline 1)"


def test_what_the_baseline_has_too_is_no_reason() -> None:
    slow = profile(stage("block 0", 5.0, 4e9), stage("learner 1", 0.5, 0.5e9))
    loss = find_losses(BASE, slow)[0]
    assert (loss.part.name, loss.reason) == ("blocks before the learner", "same work")
    assert explain_losses(0.9, find_losses(BASE, slow)) == (
        "90 % of what the multiply-accumulates promise; no part of the model stands out in the "
        "profile, so suspect the measurement or the machine. The profile realised another share "
        "than the measurement, 82 %, so its losses do not add up to what is missing."
    )


def test_what_both_models_do_alike_is_named_as_no_loss() -> None:
    slow = profile(
        stage("embedding", 2.0, 1e9),
        stage("block 0", 5.0, 4e9),
        stage("learner 1", 1.5, 0.5e9, tokens=8),
        stage("block 1", 1.0, 0.5e9, tokens=8),
        stage("head", 0.5, 0),
    )
    losses = find_losses(BASE, slow)
    same = {loss.part.name for loss in losses if loss.reason == "same work"}
    assert same == {"embedding", "blocks before the learner"}
    said = explain_losses(0.6, losses)
    assert "in the embedding" not in said
    assert "in the blocks before" not in said
    assert said.startswith("60 % of what the multiply-accumulates promise. Lost: 10 % of the time ")
    assert said.endswith(
        "; 5 % elsewhere. What both models do alike took 20 % of the time more than its "
        "multiply-accumulates account for."
    )


def test_blocks_that_the_baseline_has_not_are_no_same_work() -> None:
    other = profile(stage("block 0", 5.0, 3e9), stage("learner 1", 0.5, 0.5e9))
    loss = find_losses(BASE, other)[0]
    assert (loss.part.name, loss.reason) == ("blocks before the learner", "other work")


def test_a_large_batch_makes_no_small_products() -> None:
    late = fast()
    large = profile(*late.stages, batch_size=64)
    assert find_losses(BASE, large)[0].reason == "other work"


def test_what_is_said() -> None:
    losses = find_losses(BASE, fast())
    assert explain_losses(0.98, losses) == "98 % of what the multiply-accumulates promise: kept."
    assert explain_losses(0.75, losses) == (
        "75 % of what the multiply-accumulates promise. Lost: 25 % of the time in the blocks after "
        "the learner: matrices of 8 rows are too small for the kernels (0.2 GMAC/s, the "
        "baseline 1)."
    )
    assert "suspect the measurement or the machine" in explain_losses(0.9, losses[1:])
    assert explain_losses(0.9, ()).endswith("so suspect the measurement or the machine.")


EAGERLY = (
    "75 % of what the multiply-accumulates promise. bf16 compile has no stages that could be "
    "timed, so what follows is about eager passes in the same number format"
)


def test_what_is_said_of_a_way_without_stages() -> None:
    losses = find_losses(BASE, fast())
    assert explain_losses(0.75, losses, without_stages="bf16 compile") == (
        f"{EAGERLY}. Lost: 25 % of the time in the blocks after the learner: matrices of 8 rows "
        "are too small for the kernels (0.2 GMAC/s, the baseline 1)."
    )
    assert explain_losses(0.98, losses, without_stages="bf16 compile").endswith("promise: kept.")
    assert explain_losses(0.75, (), without_stages="bf16 compile") == (
        f"{EAGERLY}: no part of the model stands out there."
    )
    assert explain_losses(0.85, losses, without_stages="bf16 compile").endswith(
        "The eager profile realised another share than the measurement, 75 %, so its losses do "
        "not add up to what is missing."
    )


def test_the_calls_of_eager_passes_are_not_blamed_on_other_ways() -> None:
    losses = find_losses(BASE, fast(launch_seconds=1.3))
    told = "Compiled code makes fewer calls and a CUDA graph none, so they need not lose that."
    assert explain_losses(0.75, losses, without_stages="bf16 graphs").endswith(f" {told}")
    assert told not in explain_losses(0.75, losses)
    assert told not in explain_losses(0.75, find_losses(BASE, fast()), without_stages="bf16 graphs")


@pytest.mark.parametrize(("realised", "adds_up"), [(0.47, False), (0.71, True), (0.81, False)])
def test_losses_that_do_not_add_up_say_so(realised: float, adds_up: bool) -> None:
    said = explain_losses(realised, find_losses(BASE, fast()))
    told = (
        " The profile realised another share than the measurement, 75 %, so its losses do not add "
        "up to what is missing."
    )
    assert said.endswith(told) != adds_up
