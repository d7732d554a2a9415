"""What is said of peers follows from the times: medians, ratios within rounds, our fastest way."""

from pathlib import Path

import pytest

from benchmarks import peer_modules, peers
from benchmarks.peer_modules import OURS, Entry, Part, Shape, find_entries
from tokenlearner.efficiency.rounds import Round, Sample


def entry(who: str, how: str, part: Part = "v1.1") -> Entry:
    return Entry(part=part, who=who, how=how, forward=lambda: None)


def timed(*seconds: float) -> Round:
    """A round in which every candidate passed twice."""
    return Round(tuple(Sample(2 * value, 2, (value,)) for value in seconds))


def test_ratio_is_to_our_fastest_way_within_a_round() -> None:
    entries = [entry(OURS, "eager"), entry(OURS, "optimised"), entry("theirs", "eager")]
    runs = [(one, "forward", one.forward) for one in entries]
    # The machine is four times slower in the last round, for all of them.
    rounds = [timed(0.003, 0.002, 0.004), timed(0.003, 0.002, 0.006), timed(0.012, 0.008, 0.016)]
    eager, optimised, theirs = peers.summarise(runs, rounds)
    assert eager["milliseconds"]["median"] == 3.0
    assert eager["times_ours"]["median"] == 1.5
    assert optimised["times_ours"] == {"median": 1.0, "lower": 1.0, "upper": 1.0, "n": 3}
    assert theirs["times_ours"]["median"] == 2.0
    assert theirs["milliseconds"]["median"] == 6.0


def test_parts_and_passes_are_kept_apart() -> None:
    ours, fuser, theirs = (
        entry(OURS, "eager"),
        entry(OURS, "eager", "fuser"),
        entry("theirs", "jit"),
    )
    runs = [
        (ours, "forward", ours.forward),
        (fuser, "forward", fuser.forward),
        (theirs, "forward", theirs.forward),
        (ours, "backward", ours.forward),
        (theirs, "backward", theirs.forward),
    ]
    rows = peers.summarise(runs, [timed(0.001, 0.009, 0.002, 0.004, 0.002)])
    assert [row["times_ours"]["median"] for row in rows] == [1.0, 1.0, 2.0, 1.0, 0.5]


def test_without_peers_our_modules_are_measured_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(peer_modules, "PEERS", tmp_path / "nowhere")
    entries = find_entries(Shape(batch=1, side=3, dim=8, tokens=2))
    assert {(one.part, one.how) for one in entries} == {
        (part, how) for part in ("v1.0", "v1.1", "fuser") for how in ("eager", "optimised")
    }
    for one in entries:
        one.forward()
        if one.backward:
            one.backward()
    assert capsys.readouterr().out.count("left out") == 4
