"""What recorded results say of themselves is what today's code says of their figures."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import realised
from benchmarks.realised import retell
from benchmarks.recording import FOLDER
from tokenlearner.efficiency.profile import Profile
from tokenlearner.efficiency.reality import find_losses

FILES = sorted(FOLDER.glob("realised_*.json"))
PAGE = Path(__file__).parents[2] / "docs" / "performance.md"
PLACES = {
    "avx-512-with-bfloat16": "AVX-512",
    "avx2": "AVX2",
}
CASE = "B/16 at 224 px, 8 tokens at 6, batch 1, fp32 eager, fp32 optimised"
by_file = pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)


def cases(file: Path) -> list[dict[str, Any]]:
    return json.loads(file.read_text())["cases"]


def test_there_are_recorded_results() -> None:
    assert len(FILES) >= 2


@by_file
def test_what_is_said_is_fresh(file: Path) -> None:
    for case in cases(file):
        told = json.loads(json.dumps(retell(case)))
        assert told == case, "run python -m benchmarks.realised --retell"


@by_file
def test_work_that_both_models_do_is_no_loss(file: Path) -> None:
    """In words that come from the file alone, whatever today's code says."""
    said = [way["words"] for case in cases(file) for way in case["ways"]]
    assert all("of what the multiply-accumulates promise" in words for words in said)
    for words in said:
        assert "same" not in words
        assert "in the blocks before the learner" not in words


def test_stale_words_are_replaced_and_figures_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stale = json.loads(FILES[-1].read_text())
    fresh = json.loads(FILES[-1].read_text())
    for case in stale["cases"]:
        for way in case["ways"]:
            way["words"], way["losses"] = "Lost: the same as in the baseline", []
        for entry in case["comparison"]["entries"]:
            entry["activation_bytes"] = 1
    file = tmp_path / FILES[-1].name
    file.write_text(json.dumps(stale))
    monkeypatch.setattr(realised, "FOLDER", tmp_path)
    monkeypatch.setattr("sys.argv", ["realised", "--retell"])
    realised.main()
    assert json.loads(file.read_text()) == fresh


def why_rows() -> list[str]:
    """The rows of "Why batch 1 keeps 87 to 91 %", from the recorded profiles."""
    rows = []
    for machine, title in PLACES.items():
        (case,) = (
            case
            for case in cases(FOLDER / f"realised_amd-epyc-2-cores-{machine}.json")
            if case["name"].startswith(CASE)
        )
        for way in case["ways"]:
            base, fast = map(Profile.from_dict, way["profiles"])
            (loss,) = (
                loss
                for loss in find_losses(base, fast)
                if loss.part.name == "blocks after the learner"
            )
            part, limit = loss.part, fast.limits.bytes_per_second / 1e9
            speed = part.traffic_bytes / part.seconds / 1e9
            cells = [
                f"{title}, {way['how']}",
                f"{100 * way['realised_ratio']['median']:.0f} %",
                f"{100 * base.seconds / fast.seconds * fast.macs / base.macs:.0f} %",
                f"{100 * part.macs / fast.macs:.0f} %",
                f"{100 * part.seconds / fast.seconds:.0f} %",
                f"{100 * loss.ratio:.0f} %",
                f"{part.macs_per_second / 1e9:.3g} of {base.macs / base.seconds / 1e9:.3g}",
                f"{speed:.2g} of {limit:.2g}",
                f"{100 * speed / limit:.0f} %",
                loss.reason,
            ]
            rows.append(f"| {' | '.join(cells)} |")
    return rows


def test_the_figures_behind_batch_1_are_those_of_the_files() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for row in why_rows():
        assert row in page
