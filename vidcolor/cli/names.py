"""What the sources of a command are called in progress, tables and messages."""

import shlex
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from vidcolor.batch import Job
from vidcolor.cli.text import one_line


def names_of(jobs: Sequence[Job]) -> dict[Path, str]:
    """By source: its path in the folder that was given, or its base name where it was named itself.

    Names that two sources would share are replaced by their paths.
    """
    short = {
        job.source: str(job.source.relative_to(job.folder)) if job.folder else job.source.name
        for job in jobs
    }
    uses = Counter(short.values())
    return {
        source: one_line(name if uses[name] == 1 else str(source)) for source, name in short.items()
    }


def shell_command(words: Sequence[str]) -> str:
    """A command in one line that a shell takes again, whatever characters it contains."""
    return " ".join(map(_shell_word, words))


def _shell_word(word: str) -> str:
    if word.isprintable():
        return shlex.quote(word)
    escaped = one_line(word.replace("\\", "\\\\").replace("'", "\\'"))
    return f"$'{escaped}'"
