"""Where a number was measured, with clocks as the kernel and the driver give them."""

import subprocess
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from tokenlearner.efficiency import conditions
from tokenlearner.efficiency.conditions import Conditions, read_clocks
from tokenlearner.efficiency.machine import describe_hardware


def test_here() -> None:
    found = Conditions.here(torch.device("cpu"))
    assert found.device == "cpu"
    assert found.threads == torch.get_num_threads()
    assert found.hardware == describe_hardware(torch.device("cpu"))
    assert found.versions["torch"] == str(torch.__version__)
    assert date.fromisoformat(found.date).isoformat() == found.date
    assert Conditions(**found.to_dict()) == found


def test_clock_of_a_cpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "cpuinfo"
    monkeypatch.setattr(conditions, "_CPUINFO", file)
    assert read_clocks(torch.device("cpu")) == {}
    file.write_text("cpu MHz\t\t: 2000.5\nflags : x\ncpu MHz\t\t: 3000.5\n")
    assert read_clocks(torch.device("cpu")) == {"cpu_mhz": 2500.5}


def test_clocks_of_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []

    def run(command: list[str], **_: Any) -> SimpleNamespace:
        asked.append(command)
        return SimpleNamespace(returncode=0, stdout="1755, 2619, 1980, 512.34, [N/A]\n")

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(
        torch.cuda, "get_device_properties", lambda device: SimpleNamespace(uuid="ab-12")
    )
    monkeypatch.setattr(conditions.shutil, "which", lambda name: None)
    assert read_clocks(torch.device("cuda")) == {}
    monkeypatch.setattr(conditions.shutil, "which", lambda name: f"/usr/bin/{name}")
    assert read_clocks(torch.device("cuda")) == {
        "sm_mhz": 1755,
        "memory_mhz": 2619,
        "max_sm_mhz": 1980,
        "power_w": 512.34,
    }
    assert asked[0][:2] == ["nvidia-smi", "--id=GPU-ab-12"]


@pytest.mark.parametrize("error", [subprocess.TimeoutExpired("nvidia-smi", 10), OSError("broken")])
def test_a_driver_that_does_not_answer(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(conditions.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(
        torch.cuda, "get_device_properties", lambda device: SimpleNamespace(uuid="ab-12")
    )
    assert read_clocks(torch.device("cuda")) == {}
