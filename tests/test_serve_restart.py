"""Servers and workers that end in the middle of a job."""

import os
import signal
import time
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from click.testing import CliRunner
from films import pictures
from servers import Server, ended, events, ready, running, start, until, upload

from vidcolor.cli import vidcolor as command

OPTIONS = {"render_factor": 8, "piece_seconds": 4}
"""Slow enough to be caught in the middle of it."""


@pytest.fixture(scope="session")
def expected(make_clip, tmp_path_factory) -> list[Any]:
    """The frames that the command line makes with these options."""
    target = tmp_path_factory.mktemp("expected") / "film.mp4"
    words = ["--render-factor", "8", "--piece-seconds", "4", "--device", "cpu", "-o", str(target)]
    result = CliRunner().invoke(command, [str(make_clip("long.mp4")), *words])
    assert result.exit_code == 0, result.stderr
    return pictures(target)


def assert_is(client: httpx.Client, job: dict[str, Any], expected: list[Any], folder: Path) -> None:
    path = folder / "theirs.mp4"
    path.write_bytes(client.get(job["result"]).content)
    found = pictures(path)
    assert [frame.time for frame in found] == [frame.time for frame in expected]
    for one, other in zip(found, expected, strict=True):
        for plane, same in zip(one.planes, other.planes, strict=True):
            np.testing.assert_array_equal(plane, same)


def worker_of(server: Server) -> int | None:
    """The process that colors: the server's only lasting child."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            words = path.read_text().rpartition(")")[2].split()
            command = (path.parent / "cmdline").read_text()
        except OSError:
            continue
        if int(words[1]) == server.process.pid and "vidcolor.serve.worker" in command:
            return int(path.parent.name)
    return 0


def alive(pid: int) -> bool:
    try:
        return (
            "Z" not in (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0]
        )
    except OSError:
        return False


def begun(client: httpx.Client, job: dict[str, Any], frames: int = 60) -> dict[str, Any]:
    """The job when so many frames are done."""

    def look() -> dict[str, Any] | None:
        now = client.get(f"/api/v1/jobs/{job['id']}").json()
        assert now["state"] in ("queued", "running"), now
        return now if now["done"] >= frames else None

    return until(look)


linux = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds processes in /proc")


@pytest.mark.slow
@linux
@pytest.mark.parametrize(
    "number",
    [
        signal.SIGTERM,
        signal.SIGINT,
        signal.SIGKILL,
    ],
)
def test_a_job_goes_on_after_a_restart(make_clip, expected, tmp_path, number):
    data = tmp_path / "data"
    with running(data, "--grace", "20") as server, server.client() as client:
        job = start(client, upload(client, make_clip("long.mp4")), **OPTIONS)
        waiting = start(client, job["upload"], render_factor=4, end=1)
        before = begun(client, job)
        worker = until(lambda: worker_of(server))
        began = time.monotonic()
        server.end(number)
        assert time.monotonic() - began < 60
        until(lambda: not alive(worker))  # it has noticed, whatever the server could say
    with running(data, "--grace", "20") as server, server.client() as client:
        address = f"/api/v1/jobs/{job['id']}/events"
        with client.stream("GET", address, headers={"Last-Event-ID": "1"}) as stream:
            last = [event for event in events(stream) if event["event"] == "end"][-1]
        after = last["data"]
        assert (after["state"], after["done"], after["error"]) == ("done", 400, None)
        if number != signal.SIGKILL:  # else the piece in hand may have been the first
            assert 0 < after["kept"] < 400
            assert after["kept"] >= before["done"] - 45
        assert_is(client, after, expected, tmp_path)
        assert ended(client, waiting)["state"] == "done"
        assert server.end() == 128 + signal.SIGTERM


@pytest.mark.slow
@linux
def test_a_worker_that_crashes_is_started_again(make_clip, expected, tmp_path):
    with running(tmp_path / "data") as server, server.client() as client:
        job = start(client, upload(client, make_clip("long.mp4")), **OPTIONS)
        begun(client, job)
        os.kill(until(lambda: worker_of(server)), signal.SIGKILL)
        until(lambda: client.get("/api/v1/health").status_code == 503)
        assert client.get("/api/v1/jobs").status_code == 200  # the server does not mind
        after = ended(client, job)
        assert after["state"] == "done"
        assert "the worker process was killed (SIGKILL); trying again" in after["notes"]
        assert_is(client, after, expected, tmp_path)
        assert "vidcolor_worker_crashes_total 1\n" in client.get("/api/v1/metrics").text


@linux
@pytest.mark.slow
def test_a_job_that_kills_its_workers_fails_and_the_next_one_runs(make_clip, clip, tmp_path):
    with running(tmp_path / "data", small=True) as server, server.client() as client:
        until(lambda: ready(client))
        job = start(client, upload(client, make_clip("long.mp4")), render_factor=40)
        following = start(client, upload(client, clip))
        killed = set()

        def kill() -> bool:
            now = client.get(f"/api/v1/jobs/{job['id']}").json()
            pid = worker_of(server)
            if now["state"] == "running" and pid and pid not in killed:
                os.kill(pid, signal.SIGKILL)
                killed.add(pid)
            return now["state"] == "failed"

        until(kill)
        error = client.get(f"/api/v1/jobs/{job['id']}").json()["error"]
        assert "the worker process was killed (SIGKILL) 2 times" in error
        assert error.startswith("long.mp4: ")
        assert len(killed) == 2
        assert ended(client, following)["state"] == "done"


@linux
def test_uploads_and_finished_jobs_survive(clip, tmp_path):
    data = tmp_path / "data"
    with running(data) as server, server.client() as client:
        job = ended(client, start(client, upload(client, clip)))
        result = client.get(job["result"]).content
        server.end(signal.SIGKILL)
    with running(data) as server, server.client() as client:
        assert client.get(f"/api/v1/jobs/{job['id']}").json() == job
        assert client.get(job["result"]).content == result
        assert client.get(job["source"]).content == clip.read_bytes()


def test_a_server_without_its_device_says_why(tmp_path):
    with running(tmp_path / "data", "--device", "cuda:99") as server, server.client() as client:
        health = until(lambda: client.get("/api/v1/health").json().get("detail"))
        assert health.startswith("there is no device 'cuda:99' here")
        assert client.get("/api/v1/health").status_code == 503
        assert "vidcolor_ready 0\n" in client.get("/api/v1/metrics").text
        assert server.end() == 128 + signal.SIGTERM
