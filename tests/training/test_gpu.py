"""The trainer on a GPU."""

from pathlib import Path

import pytest
import torch

from tests import tiny
from tokenlearner.training.data import LabelledImages
from tokenlearner.training.loop import Trainer


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_gpu_learns_in_bfloat16_and_goes_on(data: LabelledImages, tmp_path: Path) -> None:
    recipe = tiny.recipe(stages=((1, 12), (1, 16)))
    cuda = torch.device("cuda")
    precision = torch.get_float32_matmul_precision()
    trainer = Trainer(recipe, data, tmp_path, device=cuda)
    assert {p.device.type for p in trainer.train_state.model.parameters()} == {"cuda"}
    assert {p.dtype for p in trainer.train_state.model.parameters()} == {torch.float32}
    reports = list(trainer.run(report_every=1))
    again = Trainer(recipe, data, tmp_path, device=cuda)
    assert torch.get_float32_matmul_precision() == precision
    assert [report["step"] for report in reports] == [1, 2, 3, 4, 5, 6]
    exact = Trainer(
        recipe, data, tmp_path / "cpu", device=torch.device("cpu"), mixed_precision=False
    )
    first = next(exact.run())["loss"]
    assert reports[0]["loss"] == pytest.approx(first, abs=0.1)  # dropout draws other numbers
    assert all(0 <= report["heldout_accuracy"] <= 1 for report in reports[2::3])
    result = trainer.result()
    assert {value.device.type for value in result.state_dict().values()} == {"cpu"}
    assert again.step == again.num_steps == 6
    for name, value in again.result().state_dict().items():
        assert torch.equal(value, result.state_dict()[name]), name
