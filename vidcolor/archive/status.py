"""How far an archive is, by what lies in its store. Imports no torch."""

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from vidcolor.archive.layout import (
    DONE,
    FAILED,
    RUNS,
    STATE,
    FilmFolder,
    read_json,
    read_plan,
    time_of,
)
from vidcolor.archive.store import Store

STALE = 60.0
"""Seconds after which a run that has said nothing is thought to be stopped."""

MOST_SHOWN = 1000
"""Unfinished films whose records are read."""


@dataclass(frozen=True)
class OpenFilm:
    """A film that is begun and not finished."""

    film: str
    pieces: int
    """1 for a film that is not divided, or not yet."""
    finished: int
    """Pieces in the store."""
    working: int
    """Workers whose claims have not run out."""


@dataclass(frozen=True)
class ArchiveState:
    """What a store says."""

    address: str
    done: int
    """Results."""
    failed: list[dict[str, Any]]
    """(film, error) of those in quarantine."""
    open: list[OpenFilm]
    runs: list[dict[str, Any]] = field(default_factory=list)
    """What each run has said last, the latest first."""


def is_archive(store: Store) -> bool:
    """Whether `vidcolor archive` has written there."""
    return next(iter(store.list(RUNS)), None) is not None


def archive_state(store: Store, now: float | None = None) -> ArchiveState:
    """Look at a store, whoever is writing to it meanwhile."""
    now = time.time() if now is None else now
    results = sum(1 for entry in store.list() if entry.name not in (DONE, FAILED))
    folders: dict[str, set[str]] = {}
    runs = []
    for entry in store.list(STATE):
        folder, _, name = entry.name.rpartition("/")
        if folder == RUNS:
            runs.append(entry.name)
        elif folder != STATE:
            folders.setdefault(folder, set()).add(name)
    unfinished = [(path, names) for path, names in folders.items() if "done.json" not in names]
    failed = [path for path, names in unfinished if "failed.json" in names]
    begun = [(path, names) for path, names in unfinished if "failed.json" not in names]
    shown = (_open_film(store, path, names, now) for path, names in begun[:MOST_SHOWN])
    records = (read_json(store, FilmFolder(path).failed) for path in failed[:MOST_SHOWN])
    return ArchiveState(
        address=store.address,
        done=results,
        failed=[record for record in records if record],
        open=[film for film in shown if film],
        runs=_runs(store, runs, now),
    )


def _open_film(store: Store, path: str, names: set[str], now: float) -> OpenFilm | None:
    claims = [read_json(store, f"{path}/{name}") for name in names if name.startswith("claim-")]
    found = [claim for claim in claims if claim]
    plan = read_plan(store, FilmFolder(path)) if "plan.json" in names else None
    film = plan.name if plan else next((str(claim.get("film")) for claim in found), None)
    if film is None:
        return None
    finished = sum(name.startswith("piece-") and name.endswith(".json") for name in names)
    working = sum(time_of(claim, "expires") > now for claim in found)
    return OpenFilm(film, len(plan.plan.pieces) if plan else 1, finished, working)


def _runs(store: Store, names: list[str], now: float) -> list[dict[str, Any]]:
    """Those that have not ended and, if there are none, the one that ended last."""
    records = [record for name in names if (record := read_json(store, name))]
    records.sort(key=lambda record: -time_of(record, "updated"))
    counts: Counter[str] = Counter()
    shown = []
    for record in records:
        silent = now - time_of(record, "updated")
        ended = record.get("ended") is True
        state = "ended" if ended else "running" if silent < STALE else "stopped"
        counts[state] += 1
        shown.append({**record, "state": state, "silent": round(silent, 1)})
    running = [record for record in shown if record["state"] == "running"]
    return running or shown[:1]
