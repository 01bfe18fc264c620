"""Signals that end a run: the first one ends it cleanly, further ones do not disturb that."""

import os
import signal
import time
from types import FrameType

ENDING = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
]

PATIENCE = 10.0
"""Seconds after the first signal from which on another one ends the process at once."""


class Stopped(KeyboardInterrupt):
    """One of the ENDING signals arrived."""

    def __init__(self, number: int):
        self.number = number


def ignore_signals() -> None:
    """From now on ignore the ENDING signals: the run is over, and Python is about to exit."""
    for number in ENDING:
        signal.signal(number, signal.SIG_IGN)


def catch_signals() -> None:
    """Raise Stopped in the main thread at the first of the ENDING signals."""
    first: float | None = None

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal first
        if first is None:
            first = time.monotonic()
            raise Stopped(number)
        if time.monotonic() - first > PATIENCE:
            # A kill: what is finished is kept, temporary files go when the command is given again.
            os._exit(128 + number)

    for number in ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup sets it
            signal.signal(number, stop)
