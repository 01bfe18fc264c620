"""Why a run cannot continue after the kept frames of an earlier one, in words."""

import shlex
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from vidcolor.resume.manifest import Manifest, same_source

OPTIONS = {
    name: f"--{name.replace('_', '-')}"
    for name in (
        *("render_factor", "device", "precision", "saturation", "hue", "edges", "smooth"),
        *("codec", "crf", "preset", "pix_fmt", "piece_seconds"),
    )
}
FLAGS = {"compare": "--compare", "deinterlace": "--deinterlace"}

WITH_PLAN = "at shots (--keep or --scenes)"
WITHOUT_PLAN = "without a look at its shots (neither --keep nor --scenes)"


def differences(before: Manifest, now: Manifest) -> list[tuple[str, str]]:
    """(what differs, what to do to continue) of everything that has to be the same."""
    found = []
    if not same_source(before.source, now.source):
        found.append((_source_words(before.source, now.source), _source_remedy(before, now)))
    for name in sorted(before.settings.keys() | now.settings.keys()):
        old, new = before.settings.get(name), now.settings.get(name)
        if old != new and not (name == "model" and _other_precision(before, now)):
            found.append((_words(name, old, new), _remedy(name, old)))
    return found


def refusal(target: str, before: Manifest, now: Manifest) -> str | None:
    """One line that names everything that differs and says what to do; None if nothing does."""
    if (before.plan is None) != (now.plan is None):
        return (
            f"{target}: frames of an earlier run are kept, which was divided "
            f"{WITHOUT_PLAN if before.plan is None else WITH_PLAN}; to use them, give the same "
            "options again; to delete them and start over, add --fresh"
        )
    found = differences(before, now)
    if not found:
        return None
    different = ", ".join(what for what, _ in found)
    remedies = ", ".join(dict.fromkeys(remedy for _, remedy in found))
    return (
        f"{target}: {before.frames} frames of an earlier run are kept, which were made with "
        f"{different}; to continue after them, {remedies}; to delete them and start over, add "
        "--fresh"
    )


def _other_precision(before: Manifest, now: Manifest) -> bool:
    """The fingerprint of a model is that of its numbers in one precision."""
    return before.settings.get("precision") != now.settings.get("precision")


def _words(name: str, old: Any, new: Any) -> str:
    label = FLAGS.get(name, name.replace("_", " "))
    if name in FLAGS:
        return f"{label} {'on' if old else 'off'} instead of {'on' if new else 'off'}"
    return f"{label} {_shown(old)} instead of {_shown(new)}"


def _shown(value: Any) -> str:
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _remedy(name: str, old: Any) -> str:
    """What gives a setting its former value."""
    if name in FLAGS:
        return f"add {FLAGS[name]}" if old else f"leave {FLAGS[name]} out"
    if name in OPTIONS:
        option = OPTIONS[name]
        return f"leave {option} out" if old is None else f"add {option} {_shown(old)}"
    return {
        "model": "give the former --model",
        "ffmpeg": "set VIDCOLOR_FFMPEG to the former ffmpeg",
        "vidcolor": f"use vidcolor {old}",
    }.get(name, "change it back")


def _source_remedy(before: Manifest, now: Manifest) -> str:
    mtime = before.source.get("mtime")
    if isinstance(mtime, int) and same_source({**now.source, "mtime": mtime}, before.source):
        date = f"@{mtime // 10**9}.{mtime % 10**9:09d}"
        path = shlex.quote(str(now.source["path"]))
        return f"give the source its former date (touch -d {date} {path}) if it is unchanged"
    return "put the former source back"


def _source_words(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Size, date or content, whichever differs first."""
    for name, words in (("size", "{} bytes"), ("mtime", "{}")):
        old, new = before.get(name), now.get(name)
        if old != new:
            if name == "mtime":
                old, new = _date(old), _date(new)
            return f"a source of {words.format(old)} instead of {words.format(new)}"
    return "a source of other content"


def _date(mtime: Any) -> str:
    try:
        return datetime.fromtimestamp(mtime / 1e9).isoformat(" ", "seconds")
    except (TypeError, ValueError, OverflowError, OSError):
        return "unknown date"
