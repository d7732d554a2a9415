"""Two processes do what one does; and what the only process there is may rely on."""

import math
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from tests import tiny
from tests.training import worker
from tokenlearner.errors import ConfigError
from tokenlearner.training.batches import schedule
from tokenlearner.training.data import read_images
from tokenlearner.training.distributed import (
    add_up,
    gather,
    joined_processes,
    num_processes,
    rank,
)
from tokenlearner.training.loop import CHECKPOINT

ROOT = Path(__file__).parents[2]
LOOPBACK = "lo0" if sys.platform == "darwin" else "lo"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.write_dataset(tmp_path_factory.mktemp("data"))


def run_two(
    case: str, data: Path, out: Path, *, max_unusable: float = 0.01
) -> subprocess.CompletedProcess[str]:
    """Runs a case in two processes as a person would, on this machine alone."""
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2"]
    command += ["--rdzv-backend=c10d", "--rdzv-endpoint=localhost:0", "--local-addr=localhost"]
    command += ["-m", "tests.training.worker", case, str(data), str(out)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": LOOPBACK}
    environment["MAX_UNUSABLE"] = str(max_unusable)
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment,
        check=False,
        timeout=300,
    )


@pytest.mark.parametrize(
    "case",
    [
        "plain",
        pytest.param("plain, tiny batches", marks=pytest.mark.slow),
        pytest.param("plain, diverse", marks=pytest.mark.slow),
    ],
)
def test_two_processes_have_the_losses_and_weights_of_one(
    data: Path, tmp_path: Path, case: str
) -> None:
    """Also where the last batch is odd, and where a part of it is empty."""
    trainer = worker.start(case, str(data), tmp_path / "one")
    wanted = [(report["loss"], worker.gradient_norm(trainer)) for report in trainer.run()]
    result = run_two(case, data, tmp_path / "two")
    assert result.returncode == 0, result.stderr
    first, *lines = result.stdout.splitlines()
    assert first == "0"  # one process speaks
    assert len(lines) == len(wanted)
    for line, (loss, norm) in zip(lines, wanted, strict=True):
        _, found_loss, found_norm = map(float, line.split())
        assert found_loss == pytest.approx(loss, abs=1e-4)
        assert found_norm == pytest.approx(norm, rel=1e-2)
    assert [path.name for path in (tmp_path / "two").iterdir()] == [CHECKPOINT]
    # One process takes up where two have ended.
    resumed = worker.start(case, str(data), tmp_path / "two")
    assert resumed.step == resumed.num_steps
    found = resumed.result().state_dict()
    for name, value in trainer.result().state_dict().items():
        compared = (found[name], value)
        # What cancels in a softmax has a gradient of rounding alone: this bias, and that of keys.
        if name.endswith("masking.fc2.bias"):
            continue
        if name.endswith("qkv.bias"):
            compared = (torch.cat(bias.chunk(3)[::2]) for bias in compared)
        torch.testing.assert_close(*compared, rtol=0, atol=1e-4)


@pytest.mark.slow
def test_a_loss_that_is_no_number_stops_both(data: Path, tmp_path: Path) -> None:
    result = run_two("diverging", data, tmp_path)
    assert result.returncode != 0
    assert "TrainingError: the" in result.stderr
    assert "there is no checkpoint yet. Lower the learning rate" in result.stderr
    assert not (tmp_path / CHECKPOINT).exists()


class TestUnusable:
    """Each of two processes meets one of two photos that are broken."""

    @pytest.fixture
    def broken(self, tmp_path: Path) -> tuple[Path, list[int]]:
        """The data set, and the rows of both photos in the training data."""
        recipe, _ = worker.CASES["unusable"]
        rows = []
        for index in range(2):
            parts = schedule(recipe, 24, first_step=0, own=range(index, index + 1), num_parts=2)
            rows.append(int(list(parts)[-1].rows[0]))  # found after the checkpoint of step 2
        folder = tiny.write_dataset(tmp_path / "data")
        good = read_images(folder, "train")
        order = np.random.default_rng(recipe.seed).permutation(24)
        images, labels = list(good.encoded), good.labels.tolist()
        for row in rows:
            images[order[row]] = images[order[row]][:60]
        tiny.write_parquet(folder / "train-00000-of-00001.parquet", images, labels)
        return folder, rows

    def test_together_they_are_too_many(
        self, broken: tuple[Path, list[int]], tmp_path: Path
    ) -> None:
        """Of 24 photos one may be broken."""
        result = run_two("unusable", broken[0], tmp_path / "out", max_unusable=1.5 / 24)
        assert result.returncode != 0
        wanted = r"DataError: 2 of 24 training photos cannot be used.*; .*\.parquet, row"
        assert re.search(wanted, result.stderr), result.stderr
        assert torch.load(tmp_path / "out" / CHECKPOINT)["step"] == 2

    @pytest.mark.slow
    def test_all_are_kept_and_named(self, broken: tuple[Path, list[int]], tmp_path: Path) -> None:
        folder, rows = broken
        result = run_two("unusable", folder, tmp_path / "out", max_unusable=0.1)
        assert result.returncode == 0, result.stderr
        assert result.stderr.count("2 unusable training photos were replaced so far") == 1
        kept = torch.load(tmp_path / "out" / CHECKPOINT)["unusable"]["reasons"]
        assert list(kept) == sorted(rows)


class TestAlone:
    def test_nothing_to_join(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("WORLD_SIZE", raising=False)
        device = torch.device("cpu")
        with joined_processes(device) as found:
            assert found == device
            assert (rank(), num_processes()) == (0, 1)
            assert float(add_up(torch.tensor(math.pi))) == pytest.approx(math.pi)
            assert gather({1: "a"}) == [{1: "a"}]

    def test_others_that_cannot_be_found(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("WORLD_SIZE", "2")
        monkeypatch.delenv("RANK", raising=False)
        with (
            pytest.raises(ConfigError, match="WORLD_SIZE is 2 but RANK is not set: start with to"),
            joined_processes(torch.device("cpu")),
        ):
            pass
