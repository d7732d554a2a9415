"""Memory by shapes, against hand-computed cases; free memory by files as the kernel writes them."""

from pathlib import Path

import pytest
import torch
from torch import nn

from tokenlearner.efficiency import memory
from tokenlearner.efficiency.memory import (
    activation_bytes,
    free_bytes,
    in_words,
    peak_bytes,
    reset_peak,
    weight_bytes,
)

CPU = torch.device("cpu")


class Widening(nn.Module):
    """10 numbers become 40, then 10 again; the wide ones are dropped on the way."""

    def __init__(self) -> None:
        super().__init__()
        self.up, self.down = nn.Linear(10, 40), nn.Linear(40, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        wide = self.up(x)
        wide = wide.relu()  # both exist at this moment
        narrow = self.down(wide)
        del wide
        return narrow + x.flatten().view(x.shape)  # views take nothing


def test_what_lives_at_the_same_time() -> None:
    """The batch and both wide tensors."""
    assert activation_bytes(Widening(), (2, 10), torch.float32) == 4 * 2 * (10 + 40 + 40)
    assert activation_bytes(Widening(), (6, 10), torch.bfloat16) == 2 * 6 * (10 + 40 + 40)


def test_weights() -> None:
    module = nn.BatchNorm1d(10)
    assert weight_bytes(module, torch.float32) == 4 * (10 + 10 + 10 + 10 + 1)
    assert weight_bytes(module, torch.bfloat16) == 2 * 41


def test_free_memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(memory, "_MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(memory, "_CGROUP", tmp_path)
    assert free_bytes(CPU) is None
    (tmp_path / "meminfo").write_text("MemTotal: 900 kB\nMemAvailable:    500 kB\n")
    assert free_bytes(CPU) == 500 * 1024
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "memory.current").write_text("1000\n")
    assert free_bytes(CPU) == 500 * 1024
    (tmp_path / "memory.max").write_text("1500\n")
    assert free_bytes(CPU) == 500
    (tmp_path / "memory.stat").write_text("active_file 7\ninactive_file 300\ninactive_anon 9\n")
    assert free_bytes(CPU) == 800
    assert free_bytes(torch.device("cuda")) is None


def test_a_cpu_keeps_no_peak() -> None:
    assert peak_bytes(CPU, reset_peak(CPU)) is None


def test_bytes_in_words() -> None:
    assert [in_words(count) for count in (2_000, 340_000_000, 2_640_000_000)] == [
        "2 kB",
        "340 MB",
        "2.6 GB",
    ]
