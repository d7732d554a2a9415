"""What is said of training follows from the times, and what is timed is a step of the trainer."""

from dataclasses import replace
from unittest.mock import patch

import pytest
import torch
from torch.nn import functional

from benchmarks import training
from benchmarks.training import BF16, FP32, FUSED, Way
from tokenlearner.efficiency.rounds import Round, Sample
from tokenlearner.modules import attention
from tokenlearner.training.recipes import RECIPES
from tokenlearner.training.train_state import TrainState

CPU = torch.device("cpu")
RECIPE = RECIPES["cifar10-mini-vit-tl8"]()
ATTEND = attention.attend


def timed(*seconds: float, disturbed: bool = False) -> Round:
    return Round(tuple(Sample(value, 1, (value,)) for value in seconds), disturbed)


def test_gains_are_over_the_first_way_and_over_fused_attention_of_the_same_recipe() -> None:
    baseline = RECIPES["cifar10-mini-vit"]()
    ways = [Way(recipe=recipe, how=how) for recipe in (baseline, RECIPE) for how in (FP32, FUSED)]
    ways.append(Way(recipe=RECIPE, how=BF16))
    # The machine is ten times slower in the second round, for all of them.
    rounds = [
        timed(0.8, 0.4, 0.4, 0.2, 0.1),
        timed(8.0, 4.0, 4.0, 2.0, 1.0),
        timed(0.1, 9.9, 9.9, 9.9, 9.9, disturbed=True),
    ]
    rows = training.summarise(ways, rounds)
    assert [row["times_as_fast"]["median"] for row in rows] == [1, 2, 2, 4, 8]
    assert [row.get("over_fused", {}).get("median") for row in rows] == [None] * 4 + [2]
    assert rows[-1]["photos"] == 64
    assert rows[0]["photos_per_second"]["median"] == (64 / 0.8 + 64 / 8) / 2
    assert (rows[0]["undisturbed_rounds"], rows[0]["rounds"]) == (2, 3)
    where = {"hardware": "A CPU", "threads": 2, "versions": {"torch": "2"}, "date": "2026-01-01"}
    printed = training.table({"rows": rows, "conditions": where, "command": "measure"})
    assert "| cifar10-mini-vit-tl8 | bf16 | 352 | 8.00 (8.00 – 8.00) | 2.00 (2.00 –" in printed


@pytest.mark.parametrize(("how", "num_fused"), [(FP32, 4), (BF16, 0), (FUSED, 4)])
def test_a_step_changes_the_weights_with_the_attention_asked_for(how: str, num_fused: int) -> None:
    with patch.object(training, "TrainState", side_effect=TrainState) as made:
        step = Way(recipe=replace(RECIPE, batch_size=2), how=how).prepare(CPU)
    model = made.call_args.args[0]
    before = [weight.detach().clone() for weight in model.parameters()]
    step()  # the head starts at zero and hides all else from the first loss
    kernel = "scaled_dot_product_attention"
    with patch.object(functional, kernel, side_effect=getattr(functional, kernel)) as called:
        loss = step()
    assert isinstance(loss, torch.Tensor)
    assert loss.isfinite()
    after = model.parameters()
    assert not any(torch.equal(old, new) for old, new in zip(before, after, strict=True))
    assert called.call_count == num_fused
    assert attention.attend is ATTEND
