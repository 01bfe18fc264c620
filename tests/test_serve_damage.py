"""What may befall a server: damaged records, full disks, clients that do not read, odd films."""

import asyncio
import json
import logging
from pathlib import Path
from typing import Any

import pytest
from conftest import run_ffmpeg
from PIL import Image
from servers import running, until, upload

from vidcolor.media.probe import probe
from vidcolor.preview import frame_at
from vidcolor.serve.dispatch import Dispatcher
from vidcolor.serve.guard import host_name
from vidcolor.serve.jobs import Job, JobStore
from vidcolor.serve.look import Looker
from vidcolor.serve.pictures import TALLEST, WIDTH, shown_size
from vidcolor.serve.place import Place, new_id
from vidcolor.serve.server import STALLED, _protocol
from vidcolor.serve.settings import Limits, LookLimits, ServeSettings
from vidcolor.serve.uploads import UploadStore

DAMAGE = [
    *(b"", b"[]", b"{}", b"null", b'"x"', b"\xff", b"[" * 100_000, b'{"name": 5}'),
    *({"created": "x"}, {"created": float("nan")}, {"created": 1e300}, {"suffix": "/../../token"}),
    *({"name": None}, {"look": 5, "options": 5}, {"length": -1, "state": "flying"}),
]


def damage(path: Path, what: Any) -> None:
    """Write something else into a record, or change some of it."""
    if isinstance(what, dict):
        what = json.dumps({**json.loads(path.read_text()), **what}).encode()
    path.write_bytes(what)


@pytest.mark.parametrize("what", DAMAGE)
def test_a_damaged_record_of_an_upload_is_passed_over(tmp_path, what, caplog):
    """The server starts all the same, with all others, and deletes nothing."""
    place = Place(tmp_path)
    store = UploadStore(place, Limits(free_bytes=0))
    good, bad = store.create("good.mp4", 10), store.create("bad.mp4", 10)
    until(lambda: (bad.folder / "upload.json").exists() and (good.folder / "upload.json").exists())
    damage(bad.folder / "upload.json", what)
    with caplog.at_level(logging.WARNING):
        again = UploadStore(place, Limits())
    assert [upload.id for upload in again] == [good.id]
    assert bad.path.exists()
    assert bad.id in caplog.text


@pytest.mark.parametrize("what", DAMAGE)
def test_a_damaged_record_of_a_job_is_passed_over(tmp_path, what):
    place = Place(tmp_path)
    store = JobStore(place, Limits())
    good, bad = (
        store.add(Job(id=new_id(), upload=new_id(), kind="film", name="a.mp4", suffix=".mp4"))
        for _ in range(2)
    )
    until(lambda: (bad.folder / "job.json").exists() and (good.folder / "job.json").exists())
    damage(bad.folder / "job.json", what)
    assert [job.id for job in JobStore(place, Limits())] == [good.id]
    assert bad.folder.exists()


def test_a_record_of_a_later_version_is_understood(tmp_path):
    place = Place(tmp_path)
    job = JobStore(place, Limits()).add(Job(id=new_id(), upload="x", kind="film", name="a.mp4"))
    until(lambda: (job.folder / "job.json").exists())
    damage(job.folder / "job.json", {"news": 1, "id": "another", "folder": "/"})
    (found,) = JobStore(place, Limits())
    assert (found.id, found.folder) == (job.id, job.folder)


def test_a_film_too_narrow_to_be_shown_is_refused(tmp_path):
    """A few kilobytes, of which a small picture would have millions of rows."""
    for size, aspect in (("64x2048", "1/64"), ("2048x64", "64/1")):
        path = tmp_path / f"{size}.mp4"
        source = ("-f", "lavfi", "-i", f"testsrc2=size={size}:rate=5:duration=1")
        run_ffmpeg(*source, "-vf", f"setsar={aspect}", "-c:v", "libx264", path)
        assert "sample aspect ratio" in asyncio.run(Looker(LookLimits()).look(path))["error"]
    path = tmp_path / "line.png"
    Image.new("L", (3000, 2)).save(path)
    assert "50 times" in asyncio.run(Looker(LookLimits()).look(path))["error"]


def test_small_pictures_are_not_taller_than_allowed(tmp_path, clip):
    for aspect in (1e-6, 0.01, 0.5, 4 / 3, 40.0, 1e6):
        width, height = shown_size(256, aspect)
        assert 16 <= width <= WIDTH
        assert 16 <= height <= TALLEST
    assert shown_size(256, 4 / 3) == (512, 384)
    path = tmp_path / "narrow.mp4"
    run_ffmpeg("-i", clip, "-vf", "setsar=1/64", "-c:v", "libx264", path)
    height, width = frame_at(probe(path), 0.0).shape
    assert (height, width) == (3840, 80)


class Wire(asyncio.Transport):
    """A connection whose other end reads nothing."""

    aborted = False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default

    def is_closing(self) -> bool:
        return False

    def close(self) -> None:
        pass

    def abort(self) -> None:
        self.aborted = True


@pytest.mark.parametrize("resumes", [False, True])
def test_a_client_that_does_not_read_is_cut_off(resumes):
    import uvicorn
    from uvicorn.server import ServerState

    async def stall() -> bool:
        config = uvicorn.Config(lambda *_: None, log_config=None)  # type: ignore[arg-type]
        config.load()
        protocol = _protocol(0.001)(config, ServerState(), {})  # type: ignore[call-arg]
        wire = Wire()
        protocol.connection_made(wire)
        protocol.pause_writing()
        if resumes:
            protocol.resume_writing()
        await asyncio.sleep(0.05 * STALLED)
        return wire.aborted

    assert asyncio.run(stall()) is not resumes


def test_a_host_is_written_as_it_should_be():
    for host in ("[::1]x", "[::1].evil.example", "a b", "localhost,evil", "localhost:99999"):
        assert host_name(host) is None, host
    for host in ("[::1]:80", "LOCALHOST:", "127.0.0.1:8017"):
        assert host_name(host), host


def test_what_json_cannot_say_is_refused(tmp_path, clip):
    with running(tmp_path / "data", small=True) as server, server.client() as client:
        id = upload(client, clip)
        kind = {"Content-Type": "application/json"}
        for options in (
            *('{"piece_seconds": Infinity}', '{"saturation": NaN}', '{"start": -Infinity}'),
            *('{"format": 5}', '{"format": true}', '{"format": 1.5}', '{"crf": 1e999}'),
        ):
            body = f'{{"upload": "{id}", "options": {options}}}'
            answer = client.post("/api/v1/jobs", content=body, headers=kind)
            assert answer.status_code == 422, options
        assert client.get("/api/v1/jobs").json() == {"jobs": []}


def test_a_film_that_fails_leaves_no_pieces(tmp_path, clip):
    """Nobody could go on with them, and they would fill the disk for days."""
    place, limits = Place(tmp_path), Limits(free_bytes=0)
    uploads, jobs = UploadStore(place, limits), JobStore(place, limits)
    dispatcher = Dispatcher(ServeSettings(data=tmp_path), jobs, uploads)
    job = jobs.add(Job(id=new_id(), upload=new_id(), kind="film", name="a.mp4", suffix=".mp4"))
    pieces = job.folder / ".result.mp4.vidcolor"
    pieces.mkdir()
    (pieces / "piece-0.mp4").write_bytes(b"x" * 1000)
    dispatcher._hear({"event": "failed", "id": job.id, "error": "the server's disk is full"})
    place.disk.close()
    assert {path.name for path in job.folder.iterdir()} == {"job.json"}
    assert (job.state, job.preview) == ("failed", None)
