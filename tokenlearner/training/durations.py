"""How long something took, for people."""


def describe_duration(seconds: float) -> str:
    """A time in the unit that people would take.

    Example:
        >>> describe_duration(34.2), describe_duration(700), describe_duration(6600)
        ('34 seconds', '12 minutes', '1.83 hours')
    """
    if seconds < 1.5:
        return "a second" if seconds >= 0.5 else "less than a second"
    if seconds < 100:
        return f"{seconds:.0f} seconds"
    if seconds < 1800:
        return f"{seconds / 60:.2g} minutes"
    hours = seconds / 3600
    text = f"{hours:,.0f}" if hours >= 100 else f"{hours:.3g}"
    return "an hour" if text == "1" else f"{text} hours"
