"""Servers for tests, each in a process of its own, and what clients do with them."""

import base64
import json
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

OFFSET = "application/offset+octet-stream"
QUICK = {"render_factor": 4}


@dataclass
class Server:
    """A running `vidcolor serve`."""

    process: subprocess.Popen
    data: Path
    address: str
    token: str

    def client(self, **headers: str) -> httpx.Client:
        """A client that has the token."""
        own = {"Authorization": f"Bearer {self.token}", "Tus-Resumable": "1.0.0", **headers}
        return httpx.Client(base_url=self.address, headers=own, timeout=60, trust_env=False)

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and wait for the end."""
        self.process.send_signal(number)
        return self.process.wait(120)


SMALL = """
import sys
from pathlib import Path
from vidcolor.cli.serve import ColorizeOptions
from vidcolor.serve.server import serve
from vidcolor.serve.settings import Limits, LookLimits, ServeSettings
settings = ServeSettings(
    data=Path(sys.argv[1]), port=0, device="cpu", grace=5,
    limits=Limits(
        upload_bytes=2_000_000, uploads_bytes=6_000_000, uploads=20, queue=3, free_bytes=0,
        still_bytes=300_000, listeners=2, patience=1.0, tries=2,
    ),
    look=LookLimits(film_pixels=1_000_000, still_pixels=1_000_000, seconds=20),
)
serve(settings, ColorizeOptions(), lambda line: print(f"vidcolor is at {line}", flush=True))
"""
"""A server whose limits a test can reach."""


@contextmanager
def running(data: Path, *words: str, small: bool = False) -> Iterator[Server]:
    """A server that listens; it is ended in the end."""
    log = data.with_suffix(".log").open("ab")
    usual = ["-m", "vidcolor", "serve", "--port", "0", "--device", "cpu", "--data", str(data)]
    process = subprocess.Popen(
        [sys.executable, *(["-c", SMALL, str(data)] if small else usual), *words],
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.fullmatch(r"vidcolor is at (http://127\.0\.0\.1:\d+)/#token=(\S+)\n", line)
        assert found, f"{line!r}\n{data.with_suffix('.log').read_text()}"
        yield Server(process, data, found[1], found[2])
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(60)
        log.close()


def until(found: Callable[[], Any], seconds: float = 240) -> Any:
    """What `found` returns as soon as that is true."""
    deadline = time.monotonic() + seconds
    while not (value := found()):
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)
    return value


def ready(client: httpx.Client) -> bool:
    return client.get("/api/v1/health").status_code == 200


def create(client: httpx.Client, length: int, name: str = "film.mp4") -> str:
    """Begin an upload; returns its address."""
    text = base64.b64encode(name.encode()).decode()
    headers = {"Upload-Length": str(length), "Upload-Metadata": f"filename {text}"}
    answer = client.post("/api/v1/uploads", headers=headers)
    assert answer.status_code == 201, answer.text
    return answer.headers["location"]


def send(client: httpx.Client, address: str, content: Any, offset: int = 0) -> httpx.Response:
    headers = {"Content-Type": OFFSET, "Upload-Offset": str(offset)}
    return client.patch(address, content=content, headers=headers)


def upload(client: httpx.Client, path: Path, name: str | None = None) -> str:
    """Send a file; returns the upload's id."""
    content = path.read_bytes()
    address = create(client, len(content), name or path.name)
    assert send(client, address, content).status_code == 204
    return address.rpartition("/")[2]


def start(client: httpx.Client, upload: str, **options: Any) -> dict[str, Any]:
    """Make a job."""
    body = {"upload": upload, "options": {**QUICK, **options}}
    answer = client.post("/api/v1/jobs", json=body)
    assert answer.status_code in (200, 202), answer.text
    return answer.json()


def ended(client: httpx.Client, job: dict[str, Any]) -> dict[str, Any]:
    """The job when it has ended."""

    def look() -> dict[str, Any] | None:
        now = client.get(f"/api/v1/jobs/{job['id']}").json()
        return now if now["ended"] else None

    return until(look)


def events(stream: httpx.Response) -> Iterator[dict[str, Any]]:
    """The server-sent events of a response, without comments."""
    event: dict[str, Any] = {}
    for line in stream.iter_lines():
        name, _, value = line.partition(": ")
        if not line and event.get("event"):
            yield event
        if not line:
            event = {}
        elif name == "data":
            event["data"] = json.loads(value)
        elif name == "id":
            event["id"] = int(value)
        elif name == "event":
            event["event"] = value


def files(server: Server) -> set[str]:
    """What lies in the server's folder, but for records that are being written."""
    found = {str(path.relative_to(server.data)) for path in server.data.rglob("*")}
    found = {path for path in found if not re.search(r"\.json\.[0-9a-f]{8}$", path)}
    return found - {"lock", "worker.lock", "token"}


def raw(server: Server, request: bytes, *more: bytes, pause: float = 0.0) -> bytes:
    """Send bytes as they are, piece by piece, and read until the server closes."""
    host, port = server.address.removeprefix("http://").split(":")
    answer = b""
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        try:
            for number, part in enumerate((request, *more)):
                if number:
                    time.sleep(pause)
                connection.sendall(part)
        except OSError:
            pass  # closed already: what it answered can still be read
        try:
            while part := connection.recv(65536):
                answer += part
        except OSError:
            pass
    return answer


def status(answer: bytes) -> int:
    """The status of a raw answer; 0 where there is none."""
    match = re.match(rb"HTTP/1.1 (\d{3})", answer)
    return int(match[1]) if match else 0
