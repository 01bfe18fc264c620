"""Text for people: one line, whole, with the right plural."""

import logging

import click


def one_line(text: str) -> str:
    r"""`text` as a terminal may show it: control characters and newlines escaped.

    Names of files may hold any byte; one that is not UTF-8 is shown as \xNN.
    """
    return "".join(char if char.isprintable() else _escaped(char) for char in text)


def _escaped(char: str) -> str:
    if "\udc80" <= char <= "\udcff":  # how Python carries a byte that is not UTF-8
        return f"\\x{ord(char) - 0xDC00:02x}"
    return repr(char)[1:-1]


class _Warnings(logging.Handler):
    """Shows what the package logs as a warning. Errors are shown where they end something."""

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno == logging.WARNING:
            click.echo(one_line(f"Warning: {record.getMessage()}"), err=True)


def show_warnings() -> None:
    """From now on show the package's warnings on stderr."""
    logging.getLogger("vidcolor").addHandler(_Warnings(logging.WARNING))


def count(number: int, noun: str) -> str:
    """Such as "1 frame" or "12 frames"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def duration(seconds: float) -> str:
    """Such as "under 1 s", "45 s", "12 min", "5 h 20 min" or "3 d 4 h"; for estimates."""
    if seconds < 1:
        return "under 1 s"
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 100:
        return f"{minutes} min"
    hours = round(minutes / 60)
    if hours < 48:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{hours // 24} d {hours % 24} h"
