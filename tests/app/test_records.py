"""What tables and files say of costs and measurements."""

from dataclasses import replace

import pytest

from app.components.efficiency.cost_table import (
    Column,
    activation_row,
    cost_table,
    describe_change,
    measured_rows,
)
from app.components.efficiency.records import Line, doubts, table_row, title_of
from tests.app.measured import comparison
from tokenlearner.efficiency import count_macs
from tokenlearner.efficiency.comparison import Comparison
from tokenlearner.models.presets import mini_vit


def test_the_table_of_costs() -> None:
    columns = [
        Column(
            name=config.activation,
            label="with" if config.token_learner else "without",
            cost=count_macs(config),
            num_parameters=1000,
            unit="photo",
        )
        for config in (mini_vit(), mini_vit(num_tokens=8))
    ]
    computed = activation_row([2_000_000, 2_000_000])
    before = cost_table(columns, [computed, *measured_rows(columns, None)])
    assert before.count("<tr>") == 7
    assert "photos per second</th><td>–</td><td>–</td><td></td>" in before
    found = comparison((4.0, 2.0))
    after = cost_table(columns, [computed, *measured_rows(columns, found)])
    assert "<td>2.00</td><td>4.00</td><td>+100 %</td>" in after
    assert "<td>4\u202f000 ms</td><td>2\u202f000 ms</td><td>−50 %</td>" in after
    assert "activation memory</th><td>2.00 MB</td><td>2.00 MB</td><td>± 0 %</td>" in after
    # What the allocator does not tell is not filled with another quantity.
    assert "peak memory</th><td>–</td><td>–</td><td></td>" in after
    plain, learner = found.entries
    known = replace(found, entries=(plain, replace(learner, peak_bytes=3_000_000)))
    assert "peak memory</th><td>–</td><td>3.00 MB</td><td></td>" in cost_table(
        columns, measured_rows(columns, known)
    )
    # Of a machine that was busy all along only the memory can be compared.
    disturbed = replace(
        comparison((4.0, 2.0), disturbed=True),
        entries=tuple(replace(entry, peak_bytes=3_000_000) for entry in found.entries),
    )
    busy = cost_table(columns, measured_rows(columns, disturbed))
    assert "<td>2.00</td><td>4.00</td><td></td>" in busy
    assert "ms</td><td></td>" in busy
    assert "<td>3.00 MB</td><td>3.00 MB</td><td>± 0 %</td>" in busy
    # A model without a counterpart has nothing to be compared with.
    assert "change" not in cost_table(columns[:1], [])


@pytest.mark.parametrize(
    ("before", "after", "text"),
    [(340, 228, "−32.9 %"), (100, 100.02, "± 0 %"), (100, 101, "+1 %"), (10, 205, "20.5×")],
)
def test_changes(before: float, after: float, text: str) -> None:
    assert describe_change(before, after) == text


@pytest.mark.parametrize(
    ("base", "last", "title"),
    [
        ("imagenette-fine-vit", "imagenette-fine-vit-tl8", "Imagenette fine, 8 tokens"),
        (
            "imagenette-fine-vit-tl16",
            "imagenette-fine-vit-tl8",
            "Imagenette fine, 8 tokens, against Imagenette fine, 16 tokens",
        ),
        ("one", "other", "other, against one"),
    ],
)
def test_whom_a_model_stood_against(base: str, last: str, title: str) -> None:
    found = comparison((3.0, 2.0))
    names = zip(found.entries, (base, last), strict=True)
    entries = tuple(replace(entry, name=name) for entry, name in names)
    assert title_of(replace(found, entries=entries)) == title
    alone = replace(found, entries=entries[1:])
    assert title_of(alone) == title.partition(", against")[0]


def test_what_files_say() -> None:
    line = Line(
        title="A model",
        comparison=comparison((3.0, 2.0)),
        reason="75 % of what was promised.",
        finished=False,
    )
    plain, learner = line.rows()
    for told in (plain, learner, line.to_dict()):
        assert (told["title"], told["finished"]) == ("A model", False)
        assert told["measured_here"] is False
        assert told["reason"] == "75 % of what was promised."
    assert Comparison.from_dict(line.to_dict()) == line.comparison
    assert (plain["per_second"], learner["per_second"]) == (8 / 3, 4.0)
    assert (learner["speedup"], learner["macs_ratio"], learner["realised_ratio"]) == (1.5, 2, 0.75)
    assert (learner["speedup_lower"], learner["speedup_upper"]) == (1.5, 1.5)
    assert {plain[name] for name in ("speedup", "macs_ratio", "realised_ratio")} == {None}
    assert (learner["rounds"], learner["dropped_rounds"], learner["device"]) == (1, 0, "cpu")
    assert (learner["clocks"], learner["torch"]) == ("", "")
    assert learner["hardware"] == "a machine, 2 cores"
    assert not learner["all_disturbed"]


def test_what_the_table_of_measurements_says() -> None:
    quiet, busy = (
        Line(title="A model", comparison=comparison((3.0, 2.0), disturbed=disturbed))
        for disturbed in (False, True)
    )
    alone = table_row(Line(title="A model", comparison=comparison((3.0,), names=("plain",))))
    assert [alone[name] for name in ("faster", "promised", "realised")] == ["", "", ""]
    assert alone["per second"] == "2.67"
    assert (table_row(quiet)["faster"], table_row(quiet)["realised"]) == ("1.50×", "75 %")
    assert (table_row(busy)["faster"], table_row(busy)["realised"]) == ("too busy", "")


@pytest.mark.parametrize(
    ("rounds", "disturbed", "finished", "said"),
    [
        (5, False, True, []),
        (5, False, False, ["Stopped early."]),
        (4, False, True, ["Only 4 undisturbed rounds."]),
        (1, False, False, ["Stopped early.", "Only 1 undisturbed round."]),
        (1, True, False, ["Stopped early.", "Other programs were busy in every round."]),
    ],
)
def test_a_measurement_to_be_doubted_says_so(
    rounds: int, disturbed: bool, finished: bool, said: list[str]
) -> None:
    found = comparison(*[(3.0, 2.0)] * rounds, disturbed=disturbed)
    assert doubts(found, finished=finished) == said
