"""What attackers do to such servers: refused with the right status, and nothing is left behind."""

import asyncio
import io
import json
import socket
import struct
import subprocess
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from conftest import run_ffmpeg
from PIL import Image
from servers import (
    OFFSET,
    QUICK,
    Server,
    create,
    ended,
    files,
    raw,
    ready,
    running,
    send,
    start,
    status,
    until,
    upload,
)

from vidcolor.media.binary import find_ffmpeg
from vidcolor.serve.guard import Guard, host_name
from vidcolor.serve.look import Looker, limited
from vidcolor.serve.place import Place
from vidcolor.serve.settings import Limits, LookLimits
from vidcolor.serve.uploads import Refusal, UploadStore
from vidcolor.serve.words import attachment, result_name, shown, suffix_of

EVIL = '<img src=x onerror="alert(1)">'


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    data = tmp_path_factory.mktemp("attacked") / "data"
    with running(data, small=True) as server:
        with server.client() as client:
            until(lambda: ready(client))
        yield server


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    """Whatever a test does, it leaves no file: that is asserted here, for all of them."""
    before = files(server)
    with server.client() as client:
        yield client
        for job in client.get("/api/v1/jobs").json()["jobs"]:
            if not job["ended"]:
                client.delete(f"/api/v1/jobs/{job['id']}")
            client.delete(f"/api/v1/jobs/{job['id']}")
        for one in client.get("/api/v1/uploads").json()["uploads"]:
            client.delete(f"/api/v1/uploads/{one['id']}")
        until(lambda: files(server) <= before)


@pytest.fixture
def untouched(server: Server, client: httpx.Client) -> Iterator[None]:
    """Refused before anything was written, by any request of the test."""
    before = files(server)
    yield
    assert files(server) == before


def request(server: Server, first: str, *headers: str, body: bytes = b"") -> bytes:
    """A request as raw bytes, with the token."""
    lines = [first, f"Authorization: Bearer {server.token}", "Connection: close", *headers]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


# Host


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "10.0.0.7"),
        *("evil.example@127.0.0.1", "127.0.0.1/evil", "[::1", "", "localhost:0", "0.0.0.0"),
    ],
)
@pytest.mark.parametrize("path", ["/", "/api/v1/jobs", "/static/x", "/docs", "/api/v1/health"])
def test_a_forged_host_is_refused(server, untouched, host, path):
    """DNS rebinding: a name that somebody pointed to this machine is not ours."""
    assert status(raw(server, request(server, f"GET {path} HTTP/1.1", f"Host: {host}"))) == 421


def test_a_missing_host_or_two_are_refused(server, untouched):
    two = request(server, "GET / HTTP/1.1", "Host: localhost", "Host: evil.example")
    assert status(raw(server, two)) in (400, 421)
    assert status(raw(server, request(server, "GET /api/v1/jobs HTTP/1.0"))) == 421


def test_names_of_this_machine_and_allowed_ones_are_served(server, client):
    for host in ("localhost", "127.0.0.1:1", "LOCALHOST:8017", "[::1]:80"):
        assert client.get("/api/v1/jobs", headers={"Host": host}).status_code == 200
    guard = Guard(lambda *_: None, "t", ["Color.Example.org"])  # type: ignore[arg-type,return-value]
    assert host_name("color.example.org:443") in guard.hosts


# Origin


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Origin": "http://localhost:1"},
        {"Origin": "file://"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_writes_from_elsewhere_are_refused(server, client, untouched, headers):
    for method, path in (
        ("POST", "/api/v1/jobs"),
        ("POST", "/api/v1/uploads"),
        ("PATCH", "/api/v1/uploads/x"),
        ("DELETE", "/api/v1/jobs/x"),
        ("POST", "/api/v1/colorize"),
        ("POST", "/api/v1/session"),
        ("OPTIONS", "/api/v1/uploads"),
        ("GET", "/api/v1/jobs"),
    ):
        answer = client.request(method, path, headers={**headers, "Upload-Length": "5"})
        assert answer.status_code == 403, (method, path)
        assert not any(name.startswith("access-control") for name in answer.headers)


def test_the_own_page_may_write_and_nobody_gets_cors_headers(server, client):
    own = {"Origin": server.address, "Sec-Fetch-Site": "same-origin", "Upload-Length": "5"}
    answer = client.post("/api/v1/uploads", headers=own)
    assert answer.status_code == 201
    assert not any(name.startswith("access-control") for name in answer.headers)


# Token


@pytest.mark.parametrize("path", ["/jobs", "/uploads", "/metrics", "/events", "/models", "/limits"])
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Bearer \xe9"},
        {"Authorization": "Basic TOKEN"},
        {"Cookie": "vidcolor_token=wrong"},
        {"Cookie": "vidcolor_token"},
    ],
)
def test_without_the_token_nothing_is_told(server, untouched, path, headers):
    headers = {name: value.encode("latin-1") for name, value in headers.items()}
    answer = httpx.get(f"{server.address}/api/v1{path}?token={server.token}", headers=headers)
    assert answer.status_code == 401
    assert "jobs" not in answer.text


def test_the_token_becomes_a_cookie_that_scripts_and_other_sites_cannot_use(server):
    address = f"{server.address}/api/v1/session"
    assert httpx.post(address, json={"token": "wrong"}).status_code == 401
    answer = httpx.post(address, json={"token": server.token})
    assert answer.status_code == 204
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    with httpx.Client(cookies=answer.cookies) as browser:
        assert browser.get(address).status_code == 204
        assert browser.get(f"{server.address}/api/v1/jobs").status_code == 200


# Names and paths


@pytest.mark.parametrize(
    "path",
    [
        *("/static/../place.py", "/static/..%2f..%2fplace.py", "/static/%2e%2e/guard.py"),
        *("/static//etc/passwd", "/static/..\\guard.py", "/static/token", "/../../etc/passwd"),
        *("/api/v1/uploads/../token", "/api/v1/uploads/..%2F..%2Ftoken/content"),
        *("/api/v1/jobs/..%2f..%2ftoken/result", "/api/v1/jobs/%2e%2e/result"),
        *("/api/v1/previews/x/cells/..%2f..%2f..%2ftoken", "/api/v1/jobs/%00/result"),
    ],
)
def test_no_path_leads_out(server, untouched, path):
    answer = raw(server, request(server, f"GET {path} HTTP/1.1", "Host: localhost"))
    assert status(answer) in (400, 404)
    assert server.token.encode() not in answer
    assert b"root:" not in answer


@pytest.mark.parametrize(
    "name",
    [
        *("../../../etc/cron.d/x.mp4", "/etc/passwd", "..\\..\\x.mp4", "C:\\x.mp4", "a\0b.mp4"),
        *("x.mp4\r\nX-Evil: 1", "\u202egpj.mp4", "." * 300 + ".mp4", "", "con.mp4", "a/.mp4"),
    ],
)
def test_a_name_is_only_shown(server, client, clip, name):
    """Files have names of the server's own; the user's is in no path and breaks no header."""
    before = files(server)
    id = upload(client, clip, name)
    new = files(server) - before
    assert {Path(path).name for path in new} <= {id, "upload.json", "source.mp4", "source"}
    shown = client.get(f"/api/v1/uploads/{id}").json()["name"]
    assert shown.isprintable()
    assert len(shown) <= 255
    content = client.get(f"/api/v1/uploads/{id}/content")
    assert "x-evil" not in content.headers
    assert content.headers["content-disposition"].startswith("attachment; ")
    assert not {"/", "\\"} & set(content.headers["content-disposition"].split("; ")[1])


def test_a_result_has_a_harmless_name():
    name = result_name('../a<b>"c";d\r\n|.avi', ".mkv")
    assert name == "a_b__c__d___.avi.color.mkv"
    assert "\n" not in attachment("a\r\nb.mp4")
    assert suffix_of("x.mp4/../../y.sh") == ""
    assert shown("a\x1b[2Jb") == "a [2Jb"


REFUSED = [
    *({"model": "/etc/passwd"}, {"model": "../lite.safetensors"}, {"model": ""}),
    *({"output": "/tmp/x.mp4"}, {"log_file": "/tmp/x"}, {"weights_dir": "/"}),
    *({"overwrite": True}, {"codec": "../x"}, {"preset": "a b"}, {"pix_fmt": "-y"}),
    *({"codec": "copy"}, {"format": "../x"}, {"format": "html"}, {"hue": 1e9}),
    *({"saturation": "nan"}, {"start": "-1"}, {"start": 5, "end": 2}, {"render_factor": 4.5}),
    *({"smooth": "--help"}, {"compare": "maybe"}, {"crf": "1 --log=/tmp/x"}),
]


def test_an_option_never_names_a_file(server, client, clip):
    id = upload(client, clip)
    assert client.get(f"/api/v1/uploads/{id}").json()["film"]
    before = files(server)
    for options in REFUSED:
        answer = client.post("/api/v1/jobs", json={"upload": id, "options": options})
        assert answer.status_code == 422, options
        assert "\n" not in answer.json()["detail"]
        assert str(server.data) not in answer.text
    assert files(server) == before


def test_an_address_is_never_fetched(server, client, listening):
    """The server reads uploads alone."""
    address, asked = listening
    before = files(server)
    for value in (f"{address}film.mp4", "file:///etc/passwd", "169.254.169.254"):
        for path in ("jobs", "previews", "is-grayscale"):
            assert client.post(f"/api/v1/{path}", json={"upload": value}).status_code == 404
    answer = client.post("/api/v1/jobs", json={"upload": "x" * 30, "url": address})
    assert answer.status_code == 422
    assert files(server) == before
    assert not asked()


# Bodies


def test_a_file_larger_than_allowed_is_refused_before_it_is_sent(client, untouched):
    headers = {"Upload-Length": "2000001"}
    assert client.post("/api/v1/uploads", headers=headers).status_code == 413
    for length in ("", "-1", "1e3", "9" * 30, "\xb2".encode("latin-1")):
        answer = client.post("/api/v1/uploads", headers={"Upload-Length": length})
        assert answer.status_code == 400


def test_a_body_beyond_its_length_is_refused(server, client):
    address = create(client, 1000)
    path = server.data / "uploads" / address.rpartition("/")[2] / "source.mp4"
    assert send(client, address, b"x" * 1001).status_code == 413
    assert path.stat().st_size == 0

    def endless() -> Iterator[bytes]:
        while True:
            yield b"x" * 5000

    with pytest.raises(httpx.TransportError):  # or an answer, where that is quicker
        answer = send(client, address, endless())
        assert answer.status_code == 413
        raise httpx.WriteError("answered")
    assert path.stat().st_size <= 1000


@pytest.mark.parametrize("path", ["colorize", "is-grayscale", "jobs", "session"])
def test_an_endless_body_is_refused(server, client, untouched, path):
    head = request(
        *(server, f"POST /api/v1/{path} HTTP/1.1", "Host: localhost", "Content-Type: image/png"),
        "Transfer-Encoding: chunked",
    )
    chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    assert status(raw(server, head, *[chunk] * 200)) == 413
    declared = f"Content-Length: {10**12}"
    kind = "Content-Type: image/png"
    head = request(server, f"POST /api/v1/{path} HTTP/1.1", "Host: localhost", kind, declared)
    assert status(raw(server, head)) in (408, 413)
    assert status(raw(server, request(server, "GET / HTTP/1.1", "Host: localhost"))) == 200


def test_headers_have_a_limit(server, untouched):
    endless = [f"X-{number}: {'x' * 1000}\r\n".encode() for number in range(200)]
    assert status(raw(server, b"GET / HTTP/1.1\r\nHost: localhost\r\n", *endless)) in (0, 400, 431)


def test_compressed_bodies_are_refused(client, untouched):
    packed = zlib.compress(b"\0" * 1000)
    address = create(client, len(packed))
    headers = {"Content-Type": OFFSET, "Upload-Offset": "0", "Content-Encoding": "deflate"}
    assert client.patch(address, content=packed, headers=headers).status_code == 415
    assert client.delete(address).status_code == 204


@pytest.mark.parametrize("body", [b"[" * 60000, b"{", b"\xff\xfe", b'{"upload": {}}', b"null"])
def test_nonsense_instead_of_json_is_refused(client, untouched, body):
    headers = {"Content-Type": "application/json"}
    for path in ("jobs", "previews", "session"):
        answer = client.post(f"/api/v1/{path}", content=body, headers=headers)
        assert answer.status_code in (400, 422)


# Slow clients


def test_a_slow_client_is_sent_away(server, client, untouched):
    began = time.monotonic()
    assert status(raw(server, b"GET / HTTP/1.1\r\nHost: localh")) in (0, 408)  # headers never end
    head = request(
        *(server, "POST /api/v1/colorize HTTP/1.1", "Host: localhost", "Content-Length: 1000"),
        "Content-Type: image/png",
    )
    assert status(raw(server, head, *[b"x"] * 20, pause=0.2)) == 408  # a byte now and then
    head = request(server, "POST /api/v1/jobs HTTP/1.1", "Host: localhost", "Content-Length: 1000")
    assert status(raw(server, head, *[b"x"] * 20, pause=0.2)) == 408
    assert time.monotonic() - began < 30


def test_what_a_slow_upload_has_sent_is_kept(server, client):
    address = create(client, 1000)
    head = request(
        *(server, f"PATCH {address} HTTP/1.1", "Host: localhost", "Content-Length: 1000"),
        *("Tus-Resumable: 1.0.0", "Upload-Offset: 0", f"Content-Type: {OFFSET}"),
    )
    assert status(raw(server, head, b"x" * 100)) == 408
    assert client.head(address).headers["upload-offset"] == "100"


# Files that are not what they say


def zipped() -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("../evil.mp4", b"\0" * 1000)
    return made.getvalue()


def big_png(side: int) -> bytes:
    """A PNG that says that it has side x side pixels, in a few bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    pixels = zlib.compress(b"\0" * min(side * (side + 1), 10_000_000))
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


LISTS = {
    "playlist": b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nADDRESS\n#EXT-X-ENDLIST\n",
    "file playlist": b"#EXTM3U\n#EXTINF:9,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n",
    "concat": b"ffconcat version 1.0\nfile 'ADDRESS'\nfile '/etc/passwd'\n",
    "sdp": b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nm=video 1 RTP/AVP 96\n",
    "dash": b'<?xml version="1.0"?><MPD><BaseURL>ADDRESS</BaseURL></MPD>',
    "svg": b'<svg xmlns="http://www.w3.org/2000/svg"><image href="ADDRESS"/></svg>',
    "html": b"<html><script>alert(1)</script></html>",
    "zip": zipped(),
    "elf": b"\x7fELF" + b"\0" * 100,
    "random": bytes(range(256)) * 4,
    "empty": b"",
}


@pytest.fixture
def listening() -> Iterator[tuple[str, Callable[[], bool]]]:
    """An address at which nobody should ask, and whether somebody did."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)

        def asked() -> bool:
            try:
                listener.accept()
            except BlockingIOError:
                return False
            return True

        yield f"http://127.0.0.1:{listener.getsockname()[1]}/", asked


@pytest.mark.parametrize(
    ("kind", "suffix"),
    [*((kind, ".mp4") for kind in LISTS), ("svg", ".png"), ("playlist", ".png"), ("zip", "")],
)
def test_no_list_is_followed_whatever_its_name(server, client, listening, tmp_path, kind, suffix):
    address, asked = listening
    path = tmp_path / f"film{suffix}"
    path.write_bytes(LISTS[kind].replace(b"ADDRESS", f"{address}part.ts".encode()))
    id = upload(client, path)
    before = files(server)
    for call, body in (("jobs", {"upload": id}), ("previews", {"upload": id})):
        answer = client.post(f"/api/v1/{call}", json=body)
        assert answer.status_code == 422
        assert path.name in answer.json()["detail"]
        assert str(server.data) not in answer.text
    assert client.get(f"/api/v1/uploads/{id}").json()["film"]["error"]
    assert files(server) == before
    assert not asked()


def test_a_polyglot_is_never_run(server, client, tmp_path):
    """A file that is a picture and a page: no browser takes it for a page."""
    path = tmp_path / "x.png"
    Image.linear_gradient("L").resize((32, 32)).save(path)
    path.write_bytes(path.read_bytes() + b"<html><script>alert(1)</script></html>")
    for name in ("x.png", "x.html", "x.svg", "x.js", "x.png.html"):
        id = upload(client, path, name)
        answer = client.get(f"/api/v1/uploads/{id}/content")
        kind = answer.headers["content-type"]
        assert kind == ("image/png" if name == "x.png" else "application/octet-stream")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-disposition"].startswith("attachment")
        assert "sandbox" in answer.headers["content-security-policy"]
    headers, content = {"Content-Type": "image/png"}, path.read_bytes()
    answer = client.post("/api/v1/colorize?render_factor=4", content=content, headers=headers)
    assert answer.status_code == 200
    assert b"script" not in answer.content


def test_html_in_titles_and_names_stays_text(server, client, tmp_path, clip):
    path = tmp_path / "film.mp4"
    run_ffmpeg("-i", clip, "-c", "copy", "-metadata", f"title={EVIL}", path)
    id = upload(client, path, f"{EVIL}.mp4")
    job = ended(client, start(client, id))
    assert job["name"] == f"{EVIL}.mp4"  # as text in JSON, under a type that is never a page
    for address in (f"/api/v1/jobs/{job['id']}", "/api/v1/jobs", f"/api/v1/uploads/{id}"):
        answer = client.get(address)
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["x-content-type-options"] == "nosniff"
    disposition = client.get(job["result"]).headers["content-disposition"]
    assert "<" not in disposition
    answer = client.post("/api/v1/jobs", json={"upload": id, "options": {EVIL: 1}})
    assert answer.headers["content-type"] == "application/json"
    for page in ("/", "/docs"):
        policy = client.get(page).headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy


def test_a_decompression_bomb_does_not_go_off(server, client, tmp_path):
    path = tmp_path / "bomb.png"
    for side in (1100, 50_000):  # beyond this server's limit, and beyond all memory
        path.write_bytes(big_png(side))
        id = upload(client, path)
        answer = client.post("/api/v1/jobs", json={"upload": id})
        assert answer.status_code == 422
        assert "too large" in answer.json()["detail"]
        picture = {"Content-Type": "image/png"}
        for call in ("colorize", "is-grayscale"):
            answer = client.post(f"/api/v1/{call}", content=path.read_bytes(), headers=picture)
            assert answer.status_code == 422


def test_a_film_of_too_many_pixels_is_refused(server, client, tmp_path):
    path = tmp_path / "huge.mp4"
    wide = "testsrc2=size=2000x1000:rate=1:duration=1"
    run_ffmpeg("-f", "lavfi", "-i", wide, "-c:v", "libx264", "-preset", "ultrafast", path)
    answer = client.post("/api/v1/jobs", json={"upload": upload(client, path)})
    assert answer.status_code == 422
    assert "2000x1000" in answer.json()["detail"]


@pytest.mark.parametrize("limits", [{"seconds": 0.05}, {"memory": 2**27}, {"processor": 0}])
def test_a_look_that_takes_too_much_is_ended(clip, limits):
    found = asyncio.run(Looker(LookLimits(**limits)).look(clip))
    assert "made to do harm" in found["error"]
    assert found["kind"] is None


# Other people's things


def test_nobody_guesses_a_job(server, client, clip):
    job = ended(client, start(client, upload(client, clip)))
    assert len(job["id"]) == 22
    near = job["id"][:-1] + ("A" if job["id"][-1] != "A" else "B")
    for id in (near, job["id"].lower() + "x", "0", "1", "*", "x" * 22, job["upload"]):
        for part in ("", "/result", "/events", "/preview"):
            assert client.get(f"/api/v1/jobs/{id}{part}").status_code == 404
        assert client.delete(f"/api/v1/jobs/{id}").status_code == 404
        assert client.get(f"/api/v1/previews/{id}").status_code == 404
    assert client.get(f"/api/v1/uploads/{job['id']}").status_code == 404
    assert client.get(f"/api/v1/jobs/{job['id']}").status_code == 200


def test_ranges_are_few(server, client, clip):
    job = ended(client, start(client, upload(client, clip)))
    part = client.get(job["result"], headers={"Range": "bytes=10-19"})
    assert (part.status_code, len(part.content)) == (206, 10)
    many = "bytes=" + ",".join(f"{n}-{n}" for n in range(5000))
    assert client.get(job["result"], headers={"Range": many}).status_code in (400, 416)
    beyond = client.get(job["result"], headers={"Range": "bytes=99999999-"})
    assert beyond.status_code == 416


# Too much of everything


def test_uploads_have_a_quota(server, client):
    for _ in range(3):
        create(client, 2_000_000)
    answer = client.post("/api/v1/uploads", headers={"Upload-Length": "1"})
    assert answer.status_code == 507
    for one in client.get("/api/v1/uploads").json()["uploads"]:
        assert client.delete(f"/api/v1/uploads/{one['id']}").status_code == 204
    for _ in range(20):
        create(client, 1)
    answer = client.post("/api/v1/uploads", headers={"Upload-Length": "1"})
    assert answer.status_code == 429
    assert answer.headers["retry-after"]


def test_the_queue_has_an_end(server, client, make_clip):
    id = upload(client, make_clip("long.mp4"))
    jobs = [start(client, id, render_factor=16) for _ in range(3)]
    answer = client.post("/api/v1/jobs", json={"upload": id, "options": QUICK})
    assert answer.status_code == 429
    assert "3 jobs wait already" in answer.json()["detail"]
    busy = client.delete(f"/api/v1/uploads/{id}")
    assert busy.status_code == 409
    for job in reversed(jobs):
        assert client.delete(f"/api/v1/jobs/{job['id']}").json()["state"] == "canceled"


def test_listeners_are_few(server, client):
    with client.stream("GET", "/api/v1/events") as first:
        assert first.status_code == 200
        with client.stream("GET", "/api/v1/events") as second:
            assert second.status_code == 200
            assert client.get("/api/v1/events").status_code == 503


def test_some_disk_stays_free(tmp_path):
    store = UploadStore(Place(tmp_path), Limits(free_bytes=2**60))
    before = set(tmp_path.rglob("*"))
    with pytest.raises(Refusal) as refusal:
        store.create("film.mp4", 10)
    assert refusal.value.status == 507
    assert set(tmp_path.rglob("*")) == before


def test_the_folder_is_private(server, client):
    for path in (server.data, *server.data.rglob("*")):
        assert path.stat().st_mode & 0o077 == 0, path


def test_every_answer_is_careful(server, client):
    for path in ("/", "/docs", "/api/v1/jobs", "/nowhere", "/api/v1/jobs/x", "/api/v1/health"):
        headers = client.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["x-frame-options"] == "DENY"
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert "server" not in headers
    assert json.loads(client.get("/nowhere").text)["detail"]


@pytest.mark.parametrize(
    ("limits", "allowed"), [({}, True), ({"memory": 2**26}, False), ({"processor": 0}, False)]
)
def test_a_program_can_be_run_under_these_limits(clip, limits, allowed):
    ffmpeg = [str(find_ffmpeg().path), "-v", "error", "-i", str(clip), "-f", "null", "-"]
    result = subprocess.run(limited(ffmpeg, LookLimits(**limits)), capture_output=True)
    assert (result.returncode == 0) is allowed
