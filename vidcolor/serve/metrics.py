"""Figures in Prometheus' text format: a dozen lines of text need no library."""

import time
from collections import Counter

from vidcolor import __version__
from vidcolor.serve.service import Service


def metrics_text(service: Service) -> str:
    """All figures."""
    dispatcher, uploads = service.dispatcher, service.uploads
    states = Counter(job.state for job in service.jobs)
    lines: list[str] = []

    def add(name: str, kind: str, text: str, values: dict[str, float]) -> None:
        lines.append(f"# HELP vidcolor_{name} {text}")
        lines.append(f"# TYPE vidcolor_{name} {kind}")
        lines.extend(f"vidcolor_{name}{labels} {value:.15g}" for labels, value in values.items())

    add("info", "gauge", "Version", {f'{{version="{__version__}"}}': 1})
    add("ready", "gauge", "Whether a generator is loaded", {"": bool(dispatcher.ready)})
    add("uptime_seconds", "gauge", "Since the start", {"": time.time() - service.started})
    add(
        *("jobs", "gauge", "Jobs and contact sheets by state"),
        {
            f'{{state="{state}"}}': states[state]
            for state in ("queued", "running", "done", "failed", "canceled")
        },
    )
    add("frames_total", "counter", "Frames colored", {"": dispatcher.frames})
    add("worker_crashes_total", "counter", "Workers that ended early", {"": dispatcher.crashes})
    add("uploads", "gauge", "Uploads", {"": len(uploads)})
    add("upload_bytes", "gauge", "Bytes of all uploads when complete", {"": uploads.declared})
    add("received_bytes_total", "counter", "Bytes of uploads received", {"": service.received})
    add("listeners", "gauge", "Streams of events", {"": service.listeners})
    add("disk_free_bytes", "gauge", "Free on the server's disk", {"": service.place.free()})
    add(
        *("requests_total", "counter", "Answers by method and status"),
        {
            f'{{method="{method}",status="{status}"}}': number
            for (method, status), number in sorted(service.requests.items())
        },
    )
    return "\n".join(lines) + "\n"
