"""Numbers in words: three significant digits and a unit."""

from tokenlearner.rendering.numbers import format_number


def format_share(share: float) -> str:
    """A probability as a percentage: 83.5 %, 0.123 %, and nothing more certain than it is."""
    if share > 0.999:
        return "> 99.9 %"
    if share < 0.001:
        return "< 0.1 %"
    return f"{100 * share:#.3g} %"


def format_gflops(macs: int) -> str:
    """Multiply-accumulates in billions: 0.228, 3 950."""
    if macs < 1e6:
        return "< 0.001"
    return format_number(macs / 1e9)


def format_count(count: int) -> str:
    """A large count: 1.14 B, 2.65 M, 48.2 k."""
    for unit, size in (("B", 1e9), ("M", 1e6)):
        if count >= 0.9995 * size:
            return f"{format_number(count / size)} {unit}"
    return f"{format_number(count / 1e3)} k"


def format_megabytes(size: float) -> str:
    """A number of bytes: 2.31 MB, 1 230 MB."""
    return f"{format_number(size / 1e6)} MB"


def format_times(ratio: float) -> str:
    """How many times as much: 1.90×."""
    return f"{format_number(ratio)}×"


def describe_saving(macs: int, baseline_macs: int) -> str:
    """What a model saves against its baseline: `Half the compute`, `32.9 % less compute`."""
    saved_percent = 100 * (1 - macs / baseline_macs)
    if abs(saved_percent) < 1:
        return "About the same compute"
    if 50 <= saved_percent < 51:
        return "Half the compute"
    if macs >= 3 * baseline_macs:
        return f"{format_times(macs / baseline_macs)} the compute"
    return f"{abs(saved_percent):.3g} % {'less' if saved_percent > 0 else 'more'} compute"


def lower_first(text: str) -> str:
    """What begins a sentence, as it stands within one."""
    return text[:1].lower() + text[1:]
