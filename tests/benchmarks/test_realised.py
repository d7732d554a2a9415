"""Realised fractions: rounds add up over calls, and the README's table is made of them."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks import cases, on_gpu, realised, table
from benchmarks.cases import Case
from benchmarks.cases import cases as all_cases
from benchmarks.slices import Slice
from tests import tiny
from tokenlearner.efficiency import count_macs, reality, rounds
from tokenlearner.efficiency.comparison import Comparison
from tokenlearner.efficiency.execution import EAGER, Dtype, Execution

CPU = torch.device("cpu")
CASE = Case(variant="Ti/16", image_size=32, num_tokens=2, at=6, batch_size=2)


@pytest.fixture(autouse=True)
def _small_and_quiet(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(realised, "result_file", lambda name, hardware: tmp_path / f"{name}_x.json")
    monkeypatch.setattr(
        Case, "models", lambda case: (tiny.model(learner=False), tiny.model(learner=True))
    )
    monkeypatch.setattr(realised, "cases", lambda device: [CASE])
    monkeypatch.setattr(rounds, "others_cpu_seconds", lambda: None)


def fill(seconds: float = 100.0, wanted: int = 2, case: Case = CASE) -> list[str]:
    return realised.fill([case], CPU, seconds_left=lambda: seconds, rounds=wanted)


def recorded() -> dict[str, Any]:
    (row,) = realised.read(CPU).values()
    return row


def test_without_time_nothing_is_measured() -> None:
    assert fill(seconds=1.0) == [CASE.name]
    assert realised.read(CPU) == {}
    assert on_gpu.work(Slice(0, CPU), ["realised"], data=Path(), out=Path()) == [CASE.name]


def test_rounds_add_up_over_calls() -> None:
    assert fill(wanted=1) == []
    before = Comparison.from_dict(recorded()["comparison"])
    assert fill(wanted=3) == []
    after = Comparison.from_dict(recorded()["comparison"])
    assert (len(before.rounds), len(after.rounds)) == (1, 3)
    assert before.rounds[0] in after.rounds
    (way,) = recorded()["ways"]
    assert len(way["profiles"]) == 2
    assert "of what the multiply-accumulates promise" in way["words"]
    assert way["realised_ratio"]["n"] == 3


def test_what_is_done_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    fill()
    before = recorded()
    monkeypatch.setattr(Case, "models", lambda case: pytest.fail("models were made in vain"))
    assert fill() == []
    assert recorded() == before


def test_other_software_starts_anew() -> None:
    fill(wanted=1)
    file = realised.result_file("realised", "")
    content = json.loads(file.read_text())
    content["cases"][0]["comparison"]["conditions"]["versions"]["torch"] = "1.0"
    file.write_text(json.dumps(content))
    fill(wanted=3)
    found = Comparison.from_dict(recorded()["comparison"])
    assert len(found.rounds) == 2  # those still wanted, without the old one
    assert found.conditions.versions["torch"] == str(torch.__version__)


def test_several_ways_share_their_rounds(tmp_path: Path) -> None:
    case = replace(CASE, ways=(EAGER, Execution(dtype="bf16", mode="optimised")))
    assert case.name.endswith("batch 2, fp32 eager, bf16 optimised")
    fill(case=case)
    found = Comparison.from_dict(recorded()["comparison"])
    assert [entry.execution.dtype for entry in found.entries] == ["fp32", "fp32", "bf16", "bf16"]
    (text,) = table.tables(tmp_path)
    assert [line.split(" | ")[2] for line in text.splitlines()[2:4]] == [
        "fp32 eager",
        "bf16 optimised",
    ]
    assert [len(way["profiles"]) for way in recorded()["ways"]] == [2, 2]


@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
def test_a_way_without_stages_is_explained_by_the_eager_one(
    dtype: Dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If there is one in the same number format."""
    monkeypatch.setattr(torch, "compile", lambda forward, **options: forward)
    for module in (realised, reality):  # as if a part of the promise were always lost
        monkeypatch.setattr(module, "KEPT", float("inf"))
    case = replace(CASE, ways=(Execution(mode="compile", dtype=dtype), EAGER))
    assert fill(case=case) == []
    compiled, eager = recorded()["ways"]
    assert (compiled["profiles"], compiled["losses"]) == ([], [])
    assert ("fp32 compile has no stages that" in compiled["words"]) == (dtype == "fp32")
    assert bool(compiled["words"]) == (dtype == "fp32")
    assert len(eager["profiles"]) == 2
    assert eager["words"]
    assert "no stages" not in eager["words"]
    before = recorded()
    assert fill(case=case) == []
    assert recorded() == before


def test_table(tmp_path: Path) -> None:
    fill()
    (text,) = table.tables(tmp_path)
    row = text.splitlines()[2]
    found = Comparison.from_dict(recorded()["comparison"])
    assert row.startswith("| Ti/16 at 32 px, 2 tokens at 6 | 2 | fp32 eager | ")
    assert f"| {found.speedup().median:.2f}× |" in row
    assert row.endswith(" | 2 |")
    assert str(torch.__version__) in text
    assert found.conditions.date in text


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_what_is_promised(device: str) -> None:
    """Half the blocks see 8 or 16 tokens: a little less than twice, less so for small images."""
    for case in all_cases(torch.device(device)):
        base, fast = (count_macs(config).macs for config in case.configs())
        wanted = {224: (1.86, 1.92), 384: (1.95, 1.97), 512: (1.96, 1.97)}[case.image_size]
        assert wanted[0] < base / fast < wanted[1], case.name
    assert len({case.name for case in all_cases(torch.device(device))}) >= 4


@pytest.mark.parametrize("supported", [False, True])
def test_bfloat16_is_measured_where_the_hardware_has_it(
    supported: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cases, "has_bfloat16", lambda device: supported)
    dtypes = {way.dtype for case in all_cases(CPU) for way in case.ways}
    assert dtypes == ({"fp32", "bf16"} if supported else {"fp32"})
