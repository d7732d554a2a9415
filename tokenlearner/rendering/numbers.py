"""Numbers in pictures and beside them: three significant digits."""

import math
from decimal import ROUND_HALF_UP, Context

_DIGITS = Context(prec=3, rounding=ROUND_HALF_UP)  # as JavaScript rounds


def format_number(value: float) -> str:
    """A quantity for people, with thin gaps in large ones: 1.86, 12.3, 1 230."""
    if value >= 999.5:
        return f"{float(f'{value:.3g}'):,.0f}".replace(",", "\u202f")
    return f"{value:#.3g}".rstrip(".")


def format_value(value: float) -> str:
    """A value of a map, as the viewer writes them: 0.132, 12.5, 1234, 1.24e-5."""
    if value == 0:
        return "0"
    if abs(value) >= 999.5:  # from here on `#.3g` has an exponent
        return f"{math.floor(value + 0.5)}"
    value = float(_DIGITS.create_decimal_from_float(value))
    if abs(value) < 1e-4:
        mantissa, exponent = f"{value:.2e}".split("e")
        return f"{mantissa}e{int(exponent)}"
    return f"{value:#.3g}".rstrip(".")
