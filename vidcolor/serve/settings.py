"""The settings of a server: where it listens, what it accepts, how long it keeps things."""

from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_state_path

GIB = 2**30
DAY = 24 * 3600.0


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What the server accepts, and how long it keeps it."""

    upload_bytes: int = 64 * GIB
    """Largest upload."""
    uploads_bytes: int = 256 * GIB
    """All uploads together, by the length that was declared."""
    uploads: int = 1000
    """How many uploads there may be."""
    queue: int = 100
    """Jobs that wait or run."""
    free_bytes: int = 2 * GIB
    """Disk space that is left free."""
    keep: float = 7 * DAY
    """Seconds after which uploads that are not used any more, and finished jobs, are deleted."""
    keep_unfinished: float = DAY
    """Seconds without a byte after which an upload that is not complete is deleted."""
    still_bytes: int = 256 * 2**20
    """Largest body of a call that colors or measures a picture at once."""
    listeners: int = 128
    """Streams of events at once."""
    connections: int = 512
    """Connections at once."""
    tries: int = 3
    """How often a job may end the worker without coming any further."""
    patience: float = 30.0
    """Seconds for a client to send its headers, a small body, or 1 KiB of a large one."""


@dataclass(frozen=True, kw_only=True)
class LookLimits:
    """What a file may have that is looked at, and what the process that looks may use."""

    film_pixels: int = 8192 * 8192
    still_pixels: int = 120_000_000
    proportion: float = 50.0
    """The longer side of the picture as it is displayed over the shorter one."""
    streams: int = 100
    film_seconds: float = DAY
    memory: int = 4 * GIB
    """Bytes of address space."""
    processor: int = 20
    """Seconds of processor time."""
    seconds: float = 40.0
    """Of wall time."""


@dataclass(frozen=True, kw_only=True)
class ServeSettings:
    """How one server runs."""

    data: Path
    """Folder of uploads, jobs, results and the token."""
    host: str = "127.0.0.1"
    port: int = 8017
    """0 takes a free one."""
    allowed_hosts: tuple[str, ...] = ()
    """Names under which the server may be addressed, beside those of this machine itself."""
    model: str = "lite"
    """Loaded at the start."""
    device: str = "auto"
    weights_dir: Path | None = None
    grace: float = 30.0
    """Seconds that the piece in hand may take when the server is told to end."""
    limits: Limits = Limits()
    look: LookLimits = LookLimits()


def default_data() -> Path:
    """The user's own folder for the state of programs."""
    return user_state_path("vidcolor") / "serve"
