"""Times in the unit that people would take."""

import pytest

from tokenlearner.training.durations import describe_duration


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.02, "less than a second"),
        (1, "a second"),
        (34.2, "34 seconds"),
        (100, "1.7 minutes"),
        (300, "5 minutes"),
        (1799, "30 minutes"),
        (0.527 * 3600, "0.527 hours"),
        (3600, "an hour"),
        (6600, "1.83 hours"),
        (1234 * 3600, "1,234 hours"),
    ],
)
def test_units(seconds: float, text: str) -> None:
    assert describe_duration(seconds) == text
