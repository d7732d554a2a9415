"""How long something took, for people."""


def describe_duration(seconds: float) -> str:
    """A time in the unit that people would take.

    Example:
        >>> describe_duration(34.2), describe_duration(300), describe_duration(6600)
        ('34 seconds', '5 minutes', '1.83 hours')
    """
    if seconds < 1.5:
        return "a second" if seconds >= 0.5 else "less than a second"
    if seconds < 100:
        return f"{seconds:.0f} seconds"
    if seconds < 360:
        return f"{seconds / 60:.0f} minutes"
    hours = seconds / 3600
    return f"{hours:,.0f} hours" if hours >= 100 else f"{hours:.3g} hours"
