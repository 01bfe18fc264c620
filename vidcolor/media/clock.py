"""Times of a film as people read them."""


def clock(seconds: float) -> str:
    """Such as 0:01:30.5, as --start takes it."""
    tenths = round(max(0.0, seconds) * 10)
    minutes, tenths = divmod(tenths, 600)
    return f"{minutes // 60}:{minutes % 60:02d}:{tenths // 10:02d}.{tenths % 10}"
