"""Memory by shapes, against hand-computed cases; free memory by files as the kernel writes them."""

from pathlib import Path

import pytest
import torch
from torch import nn

from tokenlearner.efficiency import memory
from tokenlearner.efficiency.memory import (
    Taken,
    activation_bytes,
    free_bytes,
    in_words,
    watch_memory,
    weight_bytes,
)
from tokenlearner.models import VisionTransformer
from tokenlearner.models.presets import conv_vit
from tokenlearner.modules.attention import attend

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
    assert activation_bytes(Widening(), (2, 10), torch.float32, CPU) == 4 * 2 * (10 + 40 + 40)
    assert activation_bytes(Widening(), (6, 10), torch.bfloat16, CPU) == 2 * 6 * (10 + 40 + 40)


class Attending(nn.Module):
    """Tokens that attend to each other."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return attend(x, x, x)


def test_fused_attention_keeps_no_scores() -> None:
    """2 heads of 100 tokens of 4 channels: the batch and what comes out of it."""
    shape = (1, 2, 100, 4)
    cuda = torch.device("cuda")
    for device, dtype in (
        (CPU, torch.float32),
        (cuda, torch.float32),
        (cuda, torch.bfloat16),
    ):
        size = activation_bytes(Attending(), shape, dtype, device)
        assert size == dtype.itemsize * 2 * (2 * 100 * 4)
    written_out = activation_bytes(Attending(), shape, torch.bfloat16, CPU)
    assert written_out > 2 * (2 * 100 * 100)


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


def test_what_work_takes_of_the_memory() -> None:
    def work() -> torch.Tensor:
        kept = torch.ones(1_000_000)
        assert ((kept + 1) * 2).min() > 0  # two more at the same time
        return kept

    kept, taken = watch_memory(work, CPU)
    assert taken is not None
    assert taken.kept_bytes == pytest.approx(4_000_000, abs=1_000)
    assert taken.peak_bytes == pytest.approx(12_000_000, abs=1_000)
    _, released = watch_memory(lambda: kept.sum().item(), CPU)
    assert released is not None
    assert released.peak_bytes < 1_000
    assert watch_memory(lambda: 3, CPU) == (3, Taken(kept_bytes=0, peak_bytes=0))


def test_what_a_pass_takes_is_about_what_its_shapes_say() -> None:
    model = VisionTransformer(conv_vit(image_size=96)).eval()
    shape = (4, 3, 96, 96)
    images = torch.zeros(shape)
    with torch.inference_mode():
        model(images)
        _, taken = watch_memory(lambda: model(images), CPU)
    assert taken is not None
    expected = activation_bytes(model, shape, torch.float32, CPU) - images.nbytes
    assert 0.6 * expected < taken.peak_bytes < 1.5 * expected


@pytest.mark.gpu
def test_gpu_libraries_are_not_counted_to_whom_they_serve_first() -> None:
    layer, x = torch.nn.Linear(256, 256).cuda(), torch.ones(8, 256, device="cuda")
    first, second = (watch_memory(lambda: layer(x), torch.device("cuda"))[1] for _ in range(2))
    assert first == second


def test_bytes_in_words() -> None:
    assert [in_words(count) for count in (2_000, 340_000_000, 2_640_000_000)] == [
        "2 kB",
        "340 MB",
        "2.6 GB",
    ]
