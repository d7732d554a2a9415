"""Recorded results are read where they are, and missed by nobody where they are not."""

import json
import logging
from dataclasses import replace
from pathlib import Path

import pytest

from app.recorded import read_placement, read_recorded
from tests.app.measured import comparison

PAIR = "B/16 at 224 px, 8 tokens at 6"


def write(folder: Path, name: str, content: object) -> None:
    (folder / name).write_text(json.dumps(content))


def test_no_folder_no_results(tmp_path: Path) -> None:
    assert read_recorded(tmp_path / "nowhere") == ()
    assert read_placement(tmp_path / "nowhere") is None


def test_every_way_to_run_a_pair_is_a_pair_of_its_own(tmp_path: Path) -> None:
    names = ("B/16", "B/16 with 8 tokens at 6") * 2
    whole = comparison((4.0, 2.0, 1.2, 0.3), (4.0, 2.0, 1.2, 0.3), names=names)
    ways = [{"words": "lost"}, {"words": "kept"}]
    case = {"pair": PAIR, "ways": ways, "comparison": whole.to_dict()}
    write(tmp_path, "realised_a.json", {"cases": [case]})
    eager, graphs = read_recorded(tmp_path)
    assert eager.title == PAIR
    assert eager.place == ("B", 16, 224, 8, 6)
    assert (eager.comparison.speedup().median, graphs.comparison.speedup().median) == (2.0, 4.0)
    assert (eager.reason, graphs.reason) == ("lost", "kept")
    assert replace(eager, title="something else").place is None


@pytest.mark.parametrize("content", ["no JSON", "{}", '{"cases": [{"name": "x"}]}', "[]"])
def test_a_broken_file_takes_no_other_with_it(
    content: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    case = {"pair": PAIR, "ways": [{"words": ""}], "comparison": comparison((2.0, 1.0)).to_dict()}
    (tmp_path / "realised_a.json").write_text(content)
    write(tmp_path, "realised_b.json", {"cases": [case]})
    with caplog.at_level(logging.WARNING):
        assert len(read_recorded(tmp_path)) == 1
    assert "realised_a.json is left out" in caplog.text


def test_a_case_without_rounds_is_left_out(tmp_path: Path) -> None:
    case = {"pair": PAIR, "ways": [{"words": ""}], "comparison": comparison().to_dict()}
    write(tmp_path, "realised_a.json", {"cases": [case]})
    assert read_recorded(tmp_path) == ()


def test_the_placement_sweep(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    run = {"at": 2, "num_tokens": 8, "seed": 0, "top1_percent": 70.5, "gmacs": 0.1, "overlap": 0.2}
    plain = {**run, "at": None, "num_tokens": None}
    write(tmp_path, "placement.json", {"what": "top-1", "depth": 6, "runs": [run, plain]})
    sweep = read_placement(tmp_path)
    assert sweep is not None
    assert [(point.at, point.top1_percent) for point in sweep.points] == [(2, 70.5), (None, 70.5)]

    write(tmp_path, "placement.json", {"what": "top-1", "runs": []})
    assert read_placement(tmp_path) is None
    assert "placement.json is left out" in caplog.text


def test_the_shipped_results_can_be_read(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        found, sweep = read_recorded(), read_placement()
    assert caplog.text == ""
    assert sweep is not None
    assert sweep.points
    assert {recorded.title for recorded in found} >= {PAIR}
    assert all(recorded.comparison.conditions.hardware for recorded in found)
