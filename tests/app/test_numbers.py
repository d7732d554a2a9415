"""Numbers in words."""

import pytest

from app.components.numbers import (
    describe_saving,
    format_count,
    format_gflops,
    format_megabytes,
    format_number,
    format_share,
    format_times,
)


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.8351, "83.5 %"),
        (0.0265, "2.65 %"),
        (0.00123, "0.123 %"),
        (0.9996, "> 99.9 %"),
        (1.0, "> 99.9 %"),
        (0.0001, "< 0.1 %"),
        (0.0, "< 0.1 %"),
    ],
)
def test_shares(share: float, text: str) -> None:
    assert format_share(share) == text


@pytest.mark.parametrize(
    ("macs", "baseline", "text"),
    [
        (500, 1000, "Half the compute"),
        (495, 1000, "Half the compute"),
        (501, 1000, "49.9 % less compute"),
        (480, 1000, "52 % less compute"),
        (67_123, 100_000, "32.9 % less compute"),
        (995, 1000, "About the same compute"),
        (1000, 1000, "About the same compute"),
        (1001, 1000, "About the same compute"),
        (1120, 1000, "12 % more compute"),
        (2999, 1000, "200 % more compute"),
        (156, 10, "15.6× the compute"),
    ],
)
def test_savings(macs: int, baseline: int, text: str) -> None:
    assert describe_saving(macs, baseline) == text


def test_three_significant_digits() -> None:
    assert format_gflops(340_072_320) == "0.340"
    assert format_gflops(12_345_678_901) == "12.3"
    assert format_gflops(123_456_789_012) == "123"
    assert format_gflops(1_234_567) == "0.00123"
    assert format_gflops(999_999) == "< 0.001"
    assert format_gflops(999_600_000_000) == "1\u202f000"
    assert format_gflops(3_950_700_000_000) == "3\u202f950"
    assert format_count(2_649_186) == "2.65 M"
    assert format_count(999_500) == "1.00 M"
    assert format_count(999_499) == "999 k"
    assert format_count(4_821) == "4.82 k"
    assert format_count(123_456_789) == "123 M"
    assert format_count(999_499_999) == "999 M"
    assert format_count(999_500_000) == "1.00 B"
    assert format_count(1_138_000_000) == "1.14 B"


def test_measured_numbers() -> None:
    assert format_number(1.8649) == "1.86"
    assert format_number(187.6) == "188"
    assert format_number(999.4) == "999"
    assert format_number(1234.5) == "1\u202f230"
    assert format_number(98_765_432) == "98\u202f800\u202f000"
    assert format_megabytes(12_345_678) == "12.3 MB"
    assert format_times(1.9) == "1.90×"
    assert format_times(97.96) == "98.0×"
    assert format_times(301) == "301×"
    assert format_times(1234) == "1\u202f230×"
