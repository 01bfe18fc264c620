"""The server as its clients meet it: over HTTP, in a process of its own."""

import base64
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

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
        return self.process.wait(60)


@contextmanager
def running(data: Path, *words: str) -> Iterator[Server]:
    """A server that is ready; it is ended in the end."""
    log = data.with_suffix(".log").open("ab")
    process = subprocess.Popen(
        [sys.executable, "-m", "vidcolor", "serve", "--port", "0", "--data", data, *words],
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


def until(found: Callable[[], Any], seconds: float = 60) -> Any:
    """What `found` returns as soon as that is true."""
    deadline = time.monotonic() + seconds
    while not (value := found()):
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)
    return value


def ready(client: httpx.Client) -> bool:
    return client.get("/api/v1/health").status_code == 200


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    data = tmp_path_factory.mktemp("serve") / "data"
    with running(data, "--max-upload", "100M", "--device", "cpu") as server:
        with server.client() as client:
            until(lambda: ready(client))
        yield server


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


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


def test_a_film_is_sent_in_two_parts_and_colored(client, clip):
    content = clip.read_bytes()
    address = create(client, len(content), "reel 1/a film.mp4")
    assert send(client, address, content[:1000]).headers["upload-offset"] == "1000"
    assert client.head(address).headers["upload-offset"] == "1000"
    assert send(client, address, content[1000:], 1000).status_code == 204
    found = client.get(address).json()
    assert (found["name"], found["complete"]) == ("reel 1/a film.mp4", True)
    assert (found["film"]["width"], found["film"]["color"]) == (64, "gray")

    job = ended(client, start(client, found["id"]))
    assert (job["state"], job["done"], job["error"]) == ("done", 12, None)
    result = client.get(job["result"])
    assert result.headers["content-type"] == "video/mp4"
    assert result.headers["content-disposition"].startswith('attachment; filename="a film.color.')
    assert len(result.content) == job["bytes"]
