"""What the tokens of a photo look at, computed by hand."""

import csv
import io
import math

import numpy as np
import pytest
import torch

from tokenlearner.attention import effective_area, overlap
from tokenlearner.attention.token_facts import TokenFacts, describe_tokens, facts_csv
from tokenlearner.geometry import Geometry

# A photo of 60 × 80 px; the model saw 40 × 60 px of it. On a grid of 2 × 3, the centres of the
# cells are at x = 30, 50, 70 and y = 20, 40.
GEOMETRY = Geometry(source_size=(60, 80), model_size=(16, 24), box=(20.0, 10.0, 80.0, 50.0))

TOP = [[0.5, 0.0, 0.5], [0.0, 0.0, 0.0]]
RIGHT = [[0.0, 0.0, 0.25], [0.0, 0.0, 0.75]]
EVEN = [[1 / 6] * 3] * 2


def facts_of(*maps: list[list[float]], tokens: list[list[float]] | None = None):
    values = np.ones((len(maps), 4)) if tokens is None else np.asarray(tokens)
    return describe_tokens(
        np.asarray(maps, np.float32), values.astype(np.float32), geometry=GEOMETRY
    )


def test_two_tokens() -> None:
    top, right = facts_of(TOP, RIGHT, tokens=[[1, 0], [1, 1]])
    shared = {"overlap": 0.25, "similarity": math.sqrt(0.5)}
    assert vars_of(top) == pytest.approx(
        {
            "token": 0,
            "peak": 0.5,
            "peak_x_px": 30,  # of the two equal peaks the first
            "peak_y_px": 20,
            "mean": 1 / 6,
            "effective_area": 2 / 6,
            "x_px": 50,
            "y_px": 20,
            "spread_px": 20,
            # Nearest to its own peak at the top left and right; where nobody looks none counts.
            "strongest_ratio": 2 / 6,
            **shared,
        }
    )
    nats = -(0.25 * math.log(0.25) + 0.75 * math.log(0.75))
    assert vars_of(right) == pytest.approx(
        {
            "token": 1,
            "peak": 0.75,
            "peak_x_px": 70,
            "peak_y_px": 40,
            "mean": 1 / 6,
            "effective_area": math.exp(nats) / 6,
            "x_px": 70,
            "y_px": 35,
            "spread_px": math.sqrt(0.25 * 15**2 + 0.75 * 5**2),
            "strongest_ratio": 1 / 6,
            **shared,
        }
    )


def vars_of(facts: TokenFacts) -> dict[str, float]:
    return {name: getattr(facts, name) for name in TokenFacts.__dataclass_fields__}


def test_magnitude_is_told_by_peak_and_mean_alone() -> None:
    """Maps of version 1.0 are no distributions."""
    weak, strong = (vars_of(facts_of([[s * v for v in row] for row in TOP])[0]) for s in (0.2, 2))
    assert (weak.pop("peak"), strong.pop("peak")) == pytest.approx((0.1, 1))
    assert (weak.pop("mean"), strong.pop("mean")) == pytest.approx((1 / 30, 1 / 3))
    assert weak == pytest.approx(strong, nan_ok=True)


def test_nothing_counts_as_even() -> None:
    nothing, even = map(vars_of, facts_of([[0.0] * 3] * 2, EVEN))
    assert (nothing["peak"], nothing["mean"]) == (0, 0)
    for name in ("effective_area", "x_px", "y_px", "spread_px", "overlap"):
        assert nothing[name] == pytest.approx(even[name]), name
    assert even["overlap"] == pytest.approx(1)
    assert (nothing["strongest_ratio"], even["strongest_ratio"]) == (0, 1)


def test_where_several_tokens_are_strongest_none_counts() -> None:
    """As where maps of version 1.0 are saturated, to rounding."""
    saturated = [[1.0, 1.0, 1.0], [1.0 - 5e-6, 0.5, 0.0]]
    other = [[1.0, 1.0 - 5e-6, 0.5], [1.0, 1.0, 0.0]]
    facts = facts_of(saturated, other)
    assert [fact.strongest_ratio for fact in facts] == pytest.approx([1 / 6, 1 / 6])


def test_a_token_of_zeros_is_like_no_other() -> None:
    assert facts_of(TOP, RIGHT, tokens=[[0, 0], [1, 1]])[0].similarity == 0


def test_agrees_with_the_statistics_of_many_photos() -> None:
    maps = np.random.default_rng(0).random((5, 3, 4)).astype(np.float32)
    facts = describe_tokens(maps, np.ones((5, 2), np.float32), geometry=GEOMETRY)
    many = torch.from_numpy(maps)[None]
    assert [f.effective_area for f in facts] == pytest.approx(effective_area(many)[0].tolist())
    assert np.mean([f.overlap for f in facts]) == pytest.approx(overlap(many).item())
    shared_peaks = ((maps == maps.max(axis=(1, 2), keepdims=True)).sum(axis=0) > 1).mean()
    assert sum(f.strongest_ratio for f in facts) == pytest.approx(1 - shared_peaks)


def test_csv() -> None:
    """A token that is alone shares nothing with others that could be told."""
    text = facts_csv(facts_of(TOP))
    assert text.splitlines() == [
        "token,peak,peak_x_px,peak_y_px,mean,effective_area,x_px,y_px,spread_px,"
        "strongest_ratio,overlap,similarity",
        "0,0.5,30,20,0.166667,0.333333,50,20,20,1,,",
    ]
    read = list(csv.DictReader(io.StringIO(facts_csv(facts_of(TOP, RIGHT)))))
    assert [row["token"] for row in read] == ["0", "1"]
    assert [row["overlap"] for row in read] == ["0.25", "0.25"]
