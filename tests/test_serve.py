"""The server as its clients meet it: over HTTP, in a process of its own."""

import io
import itertools
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from click.testing import CliRunner
from conftest import X264, run_ffmpeg
from films import MPEG2, pictures
from PIL import Image
from servers import (
    OFFSET,
    QUICK,
    Server,
    create,
    ended,
    events,
    files,
    ready,
    running,
    send,
    start,
    until,
    upload,
)

from vidcolor.cli import vidcolor as command
from vidcolor.cli.serve import ColorizeOptions
from vidcolor.serve import server as listening
from vidcolor.serve.jobs import Job, new_id
from vidcolor.serve.place import Place
from vidcolor.serve.service import Service
from vidcolor.serve.settings import ServeSettings
from vidcolor.serve.worker import Coloring, Worker


def vidcolor(*words):
    """Call the command in this process; the result has exit_code, stdout and stderr."""
    return CliRunner().invoke(command, [str(word) for word in words])


@pytest.fixture(scope="session")
def photo(tmp_path_factory) -> Path:
    """A small gray still."""
    path = tmp_path_factory.mktemp("stills") / "photo.png"
    Image.linear_gradient("L").resize((64, 48)).save(path)
    return path


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    data = tmp_path_factory.mktemp("serve") / "data"
    with running(data, "--grace", "5") as server:
        with server.client() as client:
            until(lambda: ready(client))
        yield server


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


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
    for side in ("before", "after"):
        address = f"/api/v1/jobs/{job['id']}/preview?side={side}&at=0.2"
        assert client.get(address).content.startswith(b"\x89PNG")


def test_the_film_is_the_command_lines_frame_by_frame(client, clip, tmp_path):
    words = ("--render-factor", "6", "--hue", "30", "--crf", "12", "--device", "cpu")
    ours = tmp_path / "ours.mp4"
    assert vidcolor(clip, *words, "-o", ours).exit_code == 0
    options = {"render_factor": 6, "hue": 30, "crf": 12}
    job = ended(client, start(client, upload(client, clip), **options))
    theirs = tmp_path / "theirs.mp4"
    theirs.write_bytes(client.get(job["result"]).content)
    assert_same_frames(theirs, ours)


def assert_same_frames(one: Path, other: Path) -> None:
    first, second = pictures(one), pictures(other)
    assert [frame.time for frame in first] == [frame.time for frame in second]
    for a, b in zip(first, second, strict=True):
        for plane, same in zip(a.planes, b.planes, strict=True):
            np.testing.assert_array_equal(plane, same)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"hue": 200}, ("--hue", "200")),
        ({"render_factor": 99}, ("--render-factor", "99")),
        ({"smooth": "much"}, ("--smooth", "much")),
        ({"start": "x"}, ("--start", "x")),
        ({"start": 5, "end": 2}, ("--start", "5", "--end", "2")),
        ({"crf": 99}, ("--crf", "99")),
        ({"codec": "copy"}, ("--codec", "copy")),
    ],
)
def test_options_are_refused_in_the_command_lines_words(client, clip, tmp_path, options, words):
    answer = client.post("/api/v1/jobs", json={"upload": upload(client, clip), "options": options})
    assert answer.status_code == 422
    said = vidcolor(clip, *words, "-o", tmp_path / "x.mp4", "--device", "cpu").stderr
    assert answer.json()["detail"] in said


def test_what_concerns_films_alone_is_refused_for_a_still(client, photo):
    body = {"upload": upload(client, photo), "options": {"start": 1, "smooth": "strong"}}
    answer = client.post("/api/v1/jobs", json=body)
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("--start and --smooth have no effect on stills")


def test_a_still_is_waited_for(client, photo, tmp_path):
    id = upload(client, photo, "a photo.png")
    body = {"upload": id, "options": QUICK}
    answer = client.post("/api/v1/jobs", json=body)
    assert (answer.status_code, answer.json()["state"]) == (200, "done")
    ours = tmp_path / "ours.png"
    assert vidcolor(photo, "-r", "4", "--device", "cpu", "-o", ours).exit_code == 0
    assert client.get(answer.json()["result"]).content == ours.read_bytes()

    answer = client.post("/api/v1/jobs", json=body, headers={"Prefer": "respond-async"})
    assert answer.status_code == 202
    assert ended(client, answer.json())["result_name"] == "a photo.color.png"


def test_another_kind_of_file_can_be_asked_for(client, clip, photo):
    film = ended(client, start(client, upload(client, clip), format="webm"))
    assert film["result_name"] == "cfr.mp4.color.webm"
    assert client.get(film["result"]).content.startswith(b"\x1a\x45\xdf\xa3")
    still = start(client, upload(client, photo), format="jpg")
    assert client.get(still["result"]).content.startswith(b"\xff\xd8")


def test_one_call_colors_a_picture(server, client, photo, tmp_path):
    before = files(server)
    headers = {"Content-Type": "image/png"}
    address = "/api/v1/colorize?render_factor=4&saturation=2"
    answer = client.post(address, content=photo.read_bytes(), headers=headers)
    assert answer.status_code == 200, answer.text
    ours = tmp_path / "ours.png"
    words = ("-r", "4", "--saturation", "2", "--device", "cpu", "-o", ours)
    assert vidcolor(photo, *words).exit_code == 0
    assert answer.content == ours.read_bytes()
    until(lambda: files(server) == before)
    for address, kind, status in (
        ("/api/v1/colorize", "text/html", 415),
        ("/api/v1/colorize?hue=200", "image/png", 422),
    ):
        headers = {"Content-Type": kind}
        answer = client.post(address, content=photo.read_bytes(), headers=headers)
        assert answer.status_code == status
    assert files(server) == before


def test_color_is_noticed(client, photo, clip, tmp_path):
    colored = tmp_path / "colored.png"
    Image.effect_noise((64, 48), 50).save(colored)
    Image.merge("RGB", [Image.effect_noise((64, 48), 90) for _ in "RGB"]).resize((8, 6)).resize(
        (64, 48), Image.Resampling.NEAREST
    ).save(colored)
    headers = {"Content-Type": "image/png"}
    found = [
        client.post("/api/v1/is-grayscale", content=path.read_bytes(), headers=headers).json()
        for path in (photo, colored)
    ]
    assert [one["grayscale"] for one in found] == [True, False]
    assert found[0]["chroma"] < 1 < found[1]["chroma"]
    film = client.post("/api/v1/is-grayscale", json={"upload": upload(client, clip)}).json()
    assert (film["grayscale"], film["kind"]) == (True, "gray")
    headers = {"Content-Type": "video/mp4"}
    film = client.post("/api/v1/is-grayscale", content=clip.read_bytes(), headers=headers).json()
    assert film["grayscale"]


def test_a_contact_sheet_is_made_of_cells(client, clip, photo):
    body = {"upload": upload(client, clip), "render_factors": [4, 6], "times": [0.1, 0.3]}
    answer = client.post("/api/v1/previews", json=body)
    assert answer.status_code == 202

    def look() -> dict[str, Any] | None:
        sheet = client.get(answer.headers["location"]).json()
        assert sheet["error"] is None
        return sheet if sheet["state"] == "done" else None

    sheet = until(look)
    assert [row["time"] for row in sheet["rows"]] == [0.1, 0.3]
    assert [column["render_factor"] for column in sheet["columns"]] == [4, 6]
    for address in (sheet["rows"][1]["gray"], *sheet["columns"][1]["cells"]):
        assert client.get(address).content[8:12] == b"WEBP"
    assert client.delete(answer.headers["location"]).status_code == 204
    assert client.get(sheet["rows"][1]["gray"]).status_code == 404

    still = client.post("/api/v1/previews", json={"upload": upload(client, photo)})
    assert client.delete(still.headers["location"]).status_code == 204  # in the middle of it
    again = client.post("/api/v1/previews", json={**body, "times": [99]})
    with client.stream("GET", f"{again.headers['location']}/events") as stream:
        last = [event for event in events(stream) if event["event"] == "end"][-1]
    assert (last["data"]["state"], "no frame at" in last["data"]["error"]) == ("failed", True)
    for refused in ({"render_factors": [3]}, {"models": ["x"]}, {"times": [1, 2, 3, 4, 5]}):
        assert client.post("/api/v1/previews", json={**body, **refused}).status_code == 422


def test_the_frame_in_hand_can_be_seen(client, make_clip):
    job = start(client, upload(client, make_clip("long.mp4")), render_factor=8)
    seen = until(lambda: client.get(f"/api/v1/jobs/{job['id']}").json()["preview"])
    assert seen
    for side in ("before", "after"):
        for kind, start_with in (("webp", b"RIFF"), ("png", b"\x89PNG")):
            address = f"/api/v1/jobs/{job['id']}/preview?side={side}&format={kind}"
            assert client.get(address).content.startswith(start_with)
    client.delete(f"/api/v1/jobs/{job['id']}")
    assert client.get(f"/api/v1/jobs/{job['id']}/preview").status_code == 404


@pytest.mark.parametrize(
    ("name", "how", "size"),
    [
        ("a.mp4", X264, (64, 48)),
        ("a.ts", (*MPEG2, "-output_ts_offset", "7"), (64, 48)),
        ("wide.mp4", (*X264, "-aspect", "16/9"), (85, 48)),
    ],
)
def test_single_frames_of_a_finished_film_can_be_seen(client, tmp_path, name, how, size):
    source = tmp_path / name
    waves = "color=gray:size=64x48:rate=10:duration=2,geq=lum=128+90*sin(X/9+N):cb=128:cr=128"
    run_ffmpeg("-f", "lavfi", "-i", waves, *how, source)
    job = ended(client, start(client, upload(client, source), render_factor=4))
    address = f"/api/v1/jobs/{job['id']}/preview"
    shown = {}
    for side, at in itertools.product(("before", "after"), (0.5, 999)):
        answer = client.get(address, params={"side": side, "at": at})
        picture = Image.open(io.BytesIO(answer.content))
        assert picture.size == size
        shown[side, at] = np.asarray(picture.convert("L"), float)
    for at, other in ((0.5, 999), (999, 0.5)):
        same = abs(shown["before", at] - shown["after", at]).mean()
        assert same < abs(shown["before", at] - shown["after", other]).mean() / 4
    for wrong in (-1, "nan"):
        assert client.get(address, params={"at": wrong}).status_code == 422


def test_single_frames_of_a_still_are_refused(client, photo):
    job = ended(client, start(client, upload(client, photo), render_factor=4))
    answer = client.get(f"/api/v1/jobs/{job['id']}/preview", params={"at": 0})
    assert answer.status_code == 409


def test_the_same_key_gives_the_same_job(client, clip):
    id = upload(client, clip)
    body = {"upload": id, "options": QUICK}
    headers = {"Idempotency-Key": "once"}
    made: list[str] = []

    def post() -> None:
        made.append(client.post("/api/v1/jobs", json=body, headers=headers).json()["id"])

    threads = [threading.Thread(target=post) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 4
    assert len(set(made)) == 1
    other = {"upload": id, "options": {"render_factor": 5}}
    assert client.post("/api/v1/jobs", json=other, headers=headers).status_code == 422
    assert ended(client, {"id": made[0]})["state"] == "done"
    client.delete(f"/api/v1/jobs/{made[0]}")


def test_a_canceled_job_leaves_nothing_and_the_next_one_runs(server, client, make_clip, clip):
    job = start(client, upload(client, make_clip("long.mp4")), render_factor=16)
    nxt = start(client, upload(client, clip))
    assert client.get(f"/api/v1/jobs/{nxt['id']}").json()["position"] == 1
    until(lambda: client.get(f"/api/v1/jobs/{job['id']}").json()["done"] > 5)
    answer = client.delete(f"/api/v1/jobs/{job['id']}")
    assert answer.json()["state"] == "canceled"
    assert ended(client, nxt)["state"] == "done"
    folder = server.data / "jobs" / job["id"]
    assert [path.name for path in folder.iterdir()] == ["job.json"]
    assert client.get(f"/api/v1/jobs/{job['id']}/result").status_code == 409
    assert client.delete(f"/api/v1/jobs/{job['id']}").status_code == 204
    assert not folder.exists()


def test_listeners_go_on_where_they_were(client, make_clip):
    job = start(client, upload(client, make_clip("long.mp4")), render_factor=8, end=10)
    address = f"/api/v1/jobs/{job['id']}/events"
    with client.stream("GET", address) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        first = list(itertools.islice(events(stream), 3))
    assert first[0]["event"] == "state"
    last = first[-1]["id"]
    with client.stream("GET", address, headers={"Last-Event-ID": str(last)}) as stream:
        rest = list(events(stream))
    numbers = [event["id"] for event in rest]
    assert numbers == sorted(set(numbers))
    assert numbers[0] > last
    assert rest[-1]["event"] == "end"
    assert rest[-1]["data"]["state"] == "done"
    progress = [event["data"]["done"] for event in rest if event["event"] == "progress"]
    assert progress == sorted(progress)
    with client.stream("GET", address, headers={"Last-Event-ID": str(numbers[-1])}) as stream:
        assert [event["event"] for event in events(stream)] == ["end"]


def test_one_stream_tells_of_all_jobs(client, clip, photo):
    with client.stream("GET", "/api/v1/events") as stream:
        film = start(client, upload(client, clip))
        still = start(client, upload(client, photo))
        left = {film["id"], still["id"]}
        told = events(stream)
        for event in told:
            if event["event"] == "job" and event["data"]["state"] == "done":
                left.discard(event["data"]["id"])
            if not left:
                break
        client.delete(f"/api/v1/jobs/{still['id']}")
        gone = next(event for event in told if event["event"] == "gone")
    assert gone["data"] == {"id": still["id"]}


def test_an_upload_goes_on_after_a_cut(server, client, clip):
    """A connection that hangs does not keep another one from going on."""
    content = clip.read_bytes()
    address = create(client, len(content))
    head = (
        f"PATCH {address} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {server.token}\r\n"
        f"Tus-Resumable: 1.0.0\r\nUpload-Offset: 0\r\nContent-Type: {OFFSET}\r\n"
        f"Content-Length: {len(content)}\r\n\r\n"
    )
    host, port = server.address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as hanging:
        hanging.sendall(head.encode() + content[:700])
        path = server.data / "uploads" / address.rpartition("/")[2] / "source.mp4"
        time.sleep(0.5)
        arrived = int(client.head(address).headers["upload-offset"])
        assert arrived == 700 == path.stat().st_size
        assert send(client, address, content[700:], 700).status_code == 204
    assert client.get(address).json()["complete"]
    assert path.read_bytes() == content


def test_tus_is_spoken_exactly(client):
    answer = client.options("/api/v1/uploads")
    assert answer.headers["tus-version"] == "1.0.0"
    assert answer.headers["tus-extension"] == "creation,termination,expiration"
    address = create(client, 10)
    assert send(client, address, b"12345", 3).status_code == 409
    assert send(client, address, b"12345").headers["upload-expires"].endswith("GMT")
    assert client.head(address).headers["cache-control"] == "no-store"
    old = {"Tus-Resumable": "0.2.2"}
    assert client.head(address, headers=old).status_code == 412
    assert client.post("/api/v1/uploads", headers=old).status_code == 412
    kind = {"Content-Type": "text/plain", "Upload-Offset": "5"}
    assert client.patch(address, content=b"x", headers=kind).status_code == 415
    body = {"upload": address.rpartition("/")[2]}
    assert client.post("/api/v1/jobs", json=body).status_code == 409  # not complete yet
    assert client.get(f"{address}/content").status_code == 409
    assert client.delete(address).status_code == 204
    assert client.head(address).status_code == 404


def test_what_is_there_is_told(client):
    models = client.get("/api/v1/models").json()
    assert models["default"] == "lite"
    assert {"lite", "video"} <= {model["name"] for model in models["models"]}
    options = {option["name"]: option for option in client.get("/api/v1/options").json()["options"]}
    assert options["hue"]["maximum"] == 180
    assert options["smooth"]["type"] == "choice"
    assert options["start"]["films_only"]
    assert not {"output", "log_file", "weights_dir", "device"} & set(options)
    limits = client.get("/api/v1/limits").json()
    assert limits["queue"] == 100
    assert (".mkv" in limits["films"], ".tif" in limits["stills"]) == (True, True)
    health = httpx.get(f"{client.base_url}/api/v1/health").json()
    assert (health["status"], health["model"], health["device"]) == ("ready", "lite", "cpu")
    metrics = client.get("/api/v1/metrics").text
    assert "vidcolor_ready 1\n" in metrics
    for line in metrics.splitlines():
        assert re.fullmatch(r'# (HELP|TYPE) .+|vidcolor_\w+(\{[\w=",.]+\})? [-+.e\d]+', line), line


def test_every_endpoint_is_documented_with_an_example(client):
    schema = client.get("/openapi.json").json()
    page = client.get("/docs").text
    assert "<script" not in page
    assert not re.search(r'(src|href)="(?!/)', page)  # nothing from elsewhere
    for path, methods in schema["paths"].items():
        assert path in page
        for method, operation in methods.items():
            text = json.dumps(operation.get("responses", {}))
            assert '"example"' in text or "204" in operation["responses"], (method, path)
            assert operation["description"]


def test_what_is_old_goes(tmp_path):
    place = Place(tmp_path)
    service = Service(ServeSettings(data=tmp_path), place, ColorizeOptions(), "token")
    old, new = (service.uploads.create("film.mp4", 10) for _ in range(2))
    done = service.jobs.add(Job(id=new_id(), upload=old.id, kind="film", name="x", state="done"))
    waiting = service.jobs.add(Job(id=new_id(), upload=new.id, kind="film", name="x"))
    long_ago = time.time() - 8 * 24 * 3600
    old.touched = new.touched = done.ended = waiting.created = long_ago
    for one in (old, new):
        os.utime(one.path, (long_ago, long_ago))
    service.sweep()
    place.disk.close()
    assert [upload.id for upload in service.uploads] == [new.id]  # a job still needs it
    assert [job.id for job in service.jobs] == [waiting.id]
    assert not old.folder.exists()
    assert not done.folder.exists()


@pytest.mark.slow
def test_the_address_has_the_token_and_another_host_a_warning(tmp_path):
    data = tmp_path / "data"
    with running(data) as server:
        first = server.token
        assert httpx.get(server.address).status_code == 200
        assert server.end() == 128 + signal.SIGTERM
    with running(data, "--new-token") as server:
        assert server.token != first
        assert oct(server.data.stat().st_mode)[-3:] == "700"
        second = subprocess.run(
            [sys.executable, "-m", "vidcolor", "serve", "--data", data, "--port", "0"],
            capture_output=True,
            text=True,
        )
        assert "another server uses" in second.stderr
        port = server.address.rpartition(":")[2]
        words = ["serve", "--data", str(tmp_path / "other"), "--port", port]
        third = subprocess.run(
            [sys.executable, "-m", "vidcolor", *words], capture_output=True, text=True
        )
        assert third.returncode == 1
        assert third.stderr.startswith("Error: cannot listen at 127.0.0.1")


def test_without_the_extra_one_line_says_what_to_install():
    code = (
        "import sys; sys.modules['fastapi'] = None; sys.argv = ['vidcolor', 'serve']\n"
        "from vidcolor.cli import main; main()"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    assert "pip install 'vidcolor[serve]'" in result.stderr


@pytest.mark.skipif(not shutil.which("curl") or not shutil.which("bash"), reason="runs curl")
def test_the_curl_examples_of_the_guide_work(server, client, clip, tmp_path):
    guide = (Path(__file__).parents[1] / "docs" / "serve.md").read_text("utf-8")
    code = guide.partition("<!-- run by tests/test_serve.py -->")[2]
    code = code.partition("```bash\n")[2].partition("```")[0]
    code = re.sub(r"SERVER=.*\nTOKEN=.*\n", "", code)
    Image.linear_gradient("L").resize((64, 48)).save(tmp_path / "photo.jpg")
    shutil.copy(clip, tmp_path / "film.mp4")
    environment = {**os.environ, "SERVER": server.address, "TOKEN": server.token, "no_proxy": "*"}
    result = subprocess.run(
        ["bash", "-euxo", "pipefail", "-c", code],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    assert '"grayscale":true' in result.stdout
    assert "event: progress" in result.stdout
    with Image.open(tmp_path / "photo.color.jpg") as picture:
        assert picture.size == (64, 48)
    assert len(pictures(tmp_path / "film.color.mp4")) == 12
    assert client.get("/api/v1/jobs").status_code == 200


def test_an_address_that_is_printed_is_one_that_is_served():
    with socket.create_server(("0.0.0.0", 0)) as listener:
        port = listener.getsockname()[1]
        assert listening.address(listener, "t") == f"http://127.0.0.1:{port}/#token=t"
        assert (
            listening.address(listener, "t", ["a.example"]) == f"http://a.example:{port}/#token=t"
        )


def test_a_job_stops_before_the_disk_is_full(clip, tmp_path):
    out = io.StringIO()
    worker = Worker(out, "cpu", None, free_bytes=2**62)
    options = ColorizeOptions().read({"render_factor": 4})
    task = {
        **{"do": "color", "lane": "film", "id": "x", "kind": "film", "preview": None},
        **{"source": str(clip), "target": str(tmp_path / "out.mp4"), "folder": str(tmp_path)},
        "options": {**options, "model": "lite"},
    }
    Coloring(worker, task).run()
    last = json.loads(out.getvalue().splitlines()[-1])
    assert last["event"] == "failed"
    assert "the server's disk is full" in last["error"]
    assert not (tmp_path / "out.mp4").exists()
