"""What is said of layers follows from the times, and what is timed computes the same."""

import pytest
import torch

from benchmarks import layers
from benchmarks.layers import Way
from tokenlearner.efficiency.rounds import Round, Sample
from tokenlearner.modules import TokenFuser, TokenLearnerV11


def timed(*seconds: float, disturbed: bool = False) -> Round:
    return Round(tuple(Sample(2 * value, 2, (value,)) for value in seconds), disturbed)


def test_gains_are_taken_within_undisturbed_rounds() -> None:
    ways = [
        Way(how="fp32 F.linear", run=lambda: None, flops=10**6),
        Way(how="fp32 packed", run=lambda: None, flops=10**6),
        Way(how="no product", run=lambda: None),
    ]
    # The machine is ten times slower in the second round, for all of them.
    rounds = [
        timed(0.002, 0.001, 0.004),
        timed(0.02, 0.01, 0.04),
        timed(0.002, 0.001, 0.004),
        timed(0.001, 0.9, 0.9, disturbed=True),
    ]
    work = layers.summarise(ways, rounds)
    assert (work["undisturbed_rounds"], work["rounds"]) == (3, 4)
    assert [way["times_as_fast"]["median"] for way in work["ways"]] == [1, 2, 0.5]
    assert [way["gflops_per_second"] for way in work["ways"]] == [0.5, 1, None]
    assert work["ways"][1]["microseconds"]["median"] == 1000
    assert layers.summarise(ways, rounds[-1:])["ways"][1]["times_as_fast"]["n"] == 1


@pytest.mark.parametrize("folded", [False, True])
def test_fast_learners_and_fusers_answer_the_same(folded: bool) -> None:
    torch.manual_seed(0)
    x, tokens = torch.randn(2, 9, 32), torch.randn(2, 4, 32)
    learner, fuser = TokenLearnerV11(4, 32).eval(), TokenFuser(4, 32).eval()
    torch.nn.init.normal_(fuser.mix.weight)
    for module, given in ((learner, (x,)), (fuser, (tokens, x))):
        fast = layers.packed_module(module, folded=folded)
        assert isinstance(fast.norm, torch.nn.Identity) == folded
        with torch.no_grad():
            torch.testing.assert_close(fast(*given), module(*given))
