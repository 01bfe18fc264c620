"""Downloads against a real HTTP server on this machine's loopback, well-behaved and not."""

import os
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import Random

import pytest
from click.testing import CliRunner

from vidcolor.cli.weights import weights
from vidcolor.errors import WeightsError
from vidcolor.weights import places
from vidcolor.weights.catalog import MODELS, Model
from vidcolor.weights.fetch import fetch, fetch_url
from vidcolor.weights.resolve import resolve

FILE = Random(1).randbytes(300_000)
OTHER = Random(2).randbytes(300_000)

Answer = Callable[[BaseHTTPRequestHandler], None]


class Host:
    """A server that gives each path's answers in turn, the last one again and again."""

    def __init__(self, address: str):
        self.address = address
        self.answers: dict[str, list[Answer]] = {}
        self.requests: list[tuple[str, str | None]] = []
        """Path and Range header of every request so far."""
        self.closing = threading.Event()

    def url(self, path: str, *answers: Answer) -> str:
        self.answers[path] = list(answers)
        return f"{self.address}{path}"

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        self.requests.append((handler.path, handler.headers["Range"]))
        answers = self.answers[handler.path]
        (answers.pop(0) if len(answers) > 1 else answers[0])(handler)

    def never_ends(self, handler: BaseHTTPRequestHandler) -> None:
        start_answer(handler, 200, len(FILE))
        handler.wfile.write(FILE[:100_000])
        handler.wfile.flush()
        self.closing.wait()


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            try:
                host.answer(self)
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True  # the client has gone

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        host = Host(f"http://127.0.0.1:{server.server_port}")
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        yield host
        host.closing.set()
        server.shutdown()


def start_answer(handler: BaseHTTPRequestHandler, status: int, length: int, **headers: str) -> None:
    handler.send_response(status)
    handler.send_header("Content-Length", str(length))
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()


def offer(content: bytes, *, ranges: bool = True, stop_after: int | None = None) -> Answer:
    """Serve `content`, cutting the connection after `stop_after` bytes of the answer."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        wanted = re.fullmatch(r"bytes=(\d+)-", handler.headers["Range"] or "")
        if wanted and ranges:
            start = int(wanted[1])
            body = content[start:]
            span = f"bytes {start}-{len(content) - 1}/{len(content)}"
            start_answer(handler, 206, len(body), Content_Range=span)
        else:
            body = content
            start_answer(handler, 200, len(body))
        handler.wfile.write(body[:stop_after])

    return answer


def fail(status: int) -> Answer:
    return lambda handler: start_answer(handler, status, 0)


def redirect(to: str) -> Answer:
    return lambda handler: start_answer(handler, 302, 0, Location=to)


def web_page(handler: BaseHTTPRequestHandler) -> None:
    page = b"\n<!DOCTYPE html><html><body>This link has expired.</body></html>"
    start_answer(handler, 200, len(page), Content_Type="text/html")
    handler.wfile.write(page)


def slowly(handler: BaseHTTPRequestHandler) -> None:
    start_answer(handler, 200, len(FILE))
    for start in range(0, len(FILE), 20_000):
        handler.wfile.write(FILE[start : start + 20_000])
        handler.wfile.flush()
        time.sleep(0.1)


def model(*mirrors: str) -> Model:
    return Model(
        name="video",
        file="model.pth",
        architecture="wide",
        render_factor=21,
        origin="a test",
        license="MIT",
        size=len(FILE),
        sha256=sha256(FILE).hexdigest(),
        mirrors=mirrors,
    )


def arrived(path: Path) -> bool:
    """Whether the file is there, right to the last byte, and nothing unfinished beside it."""
    return path.read_bytes() == FILE and not list(path.parent.glob("*.part"))


def left(folder: Path) -> list[str]:
    """The files that a user sees in the folder."""
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def test_download(host: Host, tmp_path: Path) -> None:
    seen = []
    folder = tmp_path / "not" / "there yet"
    path = fetch(
        model(host.url("/good", offer(FILE))), folder, on_progress=lambda *now: seen.append(now)
    )
    assert path == folder / "model.pth"
    assert arrived(path)
    assert seen == sorted(seen)
    assert seen[-1] == (len(FILE), len(FILE))


def test_slow_server_is_given_time(host: Host, tmp_path: Path) -> None:
    """The limit is on silence, not on the whole download, which takes longer here."""
    assert arrived(fetch(model(host.url("/slow", slowly)), tmp_path, timeout=1))
    assert len(host.requests) == 1


def test_stalled_server_is_given_up(host: Host, tmp_path: Path) -> None:
    stalled = host.url("/stalled", host.never_ends)
    with pytest.raises(WeightsError, match=r"no data for 0\.2 s"):
        fetch(model(stalled), tmp_path, timeout=0.2)
    assert left(tmp_path) == ["model.pth.part"]


def test_cut_off_download_goes_on_where_it_stopped(host: Host, tmp_path: Path) -> None:
    path = fetch(model(host.url("/cut", offer(FILE, stop_after=100_000))), tmp_path)
    assert arrived(path)
    assert [wanted for _, wanted in host.requests] == [None, "bytes=100000-", "bytes=200000-"]


def test_a_file_of_unknown_size_goes_on_where_it_stopped(host: Host, tmp_path: Path) -> None:
    url = host.url("/cut", offer(FILE, stop_after=100_000))
    fetch_url(url, tmp_path / "net.pth", sha256(FILE).hexdigest()[:8])
    assert arrived(tmp_path / "net.pth")
    assert [wanted for _, wanted in host.requests] == [None, "bytes=100000-", "bytes=200000-"]


def test_a_whole_part_of_a_file_of_unknown_size_is_taken(host: Host, tmp_path: Path) -> None:
    """As after a kill between the last byte and the check."""
    (tmp_path / "net.pth.part").write_bytes(FILE)
    fetch_url(host.url("/whole", fail(416)), tmp_path / "net.pth", sha256(FILE).hexdigest()[:8])
    assert arrived(tmp_path / "net.pth")


def test_next_run_resumes(host: Host, tmp_path: Path) -> None:
    url = host.url("/cut", offer(FILE, stop_after=100_000), fail(503))
    with pytest.raises(WeightsError, match="503"):
        fetch(model(url), tmp_path)
    assert left(tmp_path) == ["model.pth.part"]
    host.url("/cut", offer(FILE))
    assert arrived(fetch(model(url), tmp_path))
    assert host.requests[-1] == ("/cut", "bytes=100000-")


def test_interrupted_by_the_user_then_resumed(host: Host, tmp_path: Path) -> None:
    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    url = host.url("/slow", slowly, offer(FILE))
    with pytest.raises(KeyboardInterrupt):
        fetch(model(url), tmp_path, on_progress=interrupt)
    done = (tmp_path / "model.pth.part").stat().st_size
    assert 0 < done < len(FILE)
    assert arrived(fetch(model(url), tmp_path))
    assert host.requests[-1] == ("/slow", f"bytes={done}-")


def test_another_mirror_completes_the_download(host: Host, tmp_path: Path) -> None:
    first = host.url("/cut", offer(FILE, stop_after=100_000), fail(503))
    second = host.url("/good", offer(FILE))
    assert arrived(fetch(model(first, second), tmp_path))
    assert host.requests == [("/cut", None), ("/good", "bytes=100000-")]


def test_server_without_ranges_starts_again(host: Host, tmp_path: Path) -> None:
    (tmp_path / "model.pth.part").write_bytes(FILE[:100_000])
    url = host.url("/whole", offer(FILE, ranges=False))
    assert arrived(fetch(model(url), tmp_path))
    assert host.requests == [("/whole", "bytes=100000-")]


def test_server_that_always_stops_early_is_given_up(host: Host, tmp_path: Path) -> None:
    url = host.url("/short", offer(FILE, ranges=False, stop_after=100_000))
    with pytest.raises(WeightsError, match="stopped after 100,000 of 300,000 bytes"):
        fetch(model(url), tmp_path)


@pytest.mark.parametrize("size", [100_000, 300_000, 400_000])
def test_wrong_bytes_of_an_earlier_run_are_replaced(host: Host, tmp_path: Path, size: int) -> None:
    (tmp_path / "model.pth.part").write_bytes((OTHER + OTHER)[:size])
    assert arrived(fetch(model(host.url("/good", offer(FILE))), tmp_path))


def test_complete_part_needs_no_server(host: Host, tmp_path: Path) -> None:
    (tmp_path / "model.pth.part").write_bytes(FILE)
    assert arrived(fetch(model(host.url("/good", fail(500))), tmp_path))
    assert not host.requests


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (offer(OTHER), "SHA-256"),
        (offer(FILE[:-1]), "299,999 bytes instead of 300,000"),
        (offer(FILE + b"more"), "300,004 bytes instead of 300,000"),
        (web_page, r"web page \(HTML\)"),
        (fail(404), "HTTP 404"),
    ],
    ids=["hash", "shorter", "longer", "html", "404"],
)
def test_wrong_file_is_refused(host: Host, tmp_path: Path, answer: Answer, reason: str) -> None:
    bad = host.url("/bad", answer)
    with pytest.raises(WeightsError, match=reason):
        fetch(model(bad), tmp_path)
    assert left(tmp_path) == []
    assert arrived(fetch(model(bad, host.url("/good", offer(FILE))), tmp_path))


def test_wrong_mirror_does_not_cost_the_part(host: Host, tmp_path: Path) -> None:
    (tmp_path / "model.pth.part").write_bytes(FILE[:100_000])
    mirrors = [
        host.url("/html", web_page),
        host.url("/longer", offer(FILE + b"more")),
        host.url("/good", offer(FILE)),
    ]
    assert arrived(fetch(model(*mirrors), tmp_path))
    assert host.requests[-1] == ("/good", "bytes=100000-")


def test_redirect_keeps_the_range(host: Host, tmp_path: Path) -> None:
    (tmp_path / "model.pth.part").write_bytes(FILE[:100_000])
    url = host.url("/moved", redirect(host.url("/good", offer(FILE))))
    assert arrived(fetch(model(url), tmp_path))
    assert host.requests[-1] == ("/good", "bytes=100000-")


def test_redirect_in_a_circle(host: Host, tmp_path: Path) -> None:
    url = host.url("/circle", redirect("/circle"))
    with pytest.raises(WeightsError, match="HTTP 302"):
        fetch(model(url), tmp_path)


def test_no_server_says_what_to_do(host: Host, tmp_path: Path) -> None:
    url = "http://127.0.0.1:9/model.pth"  # the discard port: nobody listens
    with pytest.raises(WeightsError) as caught:
        fetch(model(url), tmp_path)
    message = str(caught.value)
    for part in ("model.pth", url, str(tmp_path), "--model lite", "refused"):
        assert part in message
    assert "\n" not in message


def test_two_runs_at_once_download_once(host: Host, tmp_path: Path) -> None:
    """The second run waits, shows the first one's progress, and ends with the same file."""
    half, waiting = threading.Event(), threading.Event()

    def in_two_halves(handler: BaseHTTPRequestHandler) -> None:
        start_answer(handler, 200, len(FILE))
        handler.wfile.write(FILE[:150_000])
        handler.wfile.flush()
        waiting.wait(20)
        handler.wfile.write(FILE[150_000:])

    wanted = model(host.url("/halves", in_two_halves))
    first = threading.Thread(
        target=fetch, args=(wanted, tmp_path), kwargs={"on_progress": lambda *_: half.set()}
    )
    first.start()
    assert half.wait(20)
    path = fetch(wanted, tmp_path, on_progress=lambda *_: waiting.set())
    first.join()
    assert waiting.is_set()
    assert arrived(path)
    assert len(host.requests) == 1


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[Path]:
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "vidcolor-test", str(folder)]
    if not hasattr(os, "geteuid") or os.geteuid() != 0 or not shutil.which("mount"):
        pytest.skip("only root can make a small disk")
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_disk_too_small(host: Host, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 200_000) as disk:
        with pytest.raises(WeightsError, match="no space left") as caught:
            fetch(model(host.url("/good", offer(FILE))), disk)
        assert str(disk) in str(caught.value)
        assert not host.requests


def test_disk_that_fills_up_on_the_way(host: Host, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 1_000_000) as disk:
        others = (disk / "others").open("wb", buffering=0)

        def fill(done: int, total: int) -> None:
            try:
                while others.write(bytes(4096)):
                    pass
            except OSError:
                pass

        with others, pytest.raises(WeightsError, match="no space left"):
            fetch(model(host.url("/slow", slowly)), disk, on_progress=fill)
        assert not (disk / "model.pth").exists()


def test_folder_that_is_a_file(host: Host, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(WeightsError, match="--weights-dir"):
        fetch(model(host.url("/good", offer(FILE))), tmp_path / "file")


@pytest.fixture
def video(host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Answer], Model]:
    """Put a small model in the place of `video`, on an otherwise empty machine."""
    monkeypatch.delenv("VIDCOLOR_WEIGHTS", raising=False)
    monkeypatch.setattr(places, "PACKAGE", tmp_path / "package")
    monkeypatch.setattr(places, "cache_folder", lambda: tmp_path / "cache")

    def put(answer: Answer) -> Model:
        small = model(host.url("/video", answer))
        monkeypatch.setitem(MODELS, "video", small)
        return small

    return put


def test_model_is_fetched_on_first_use_only(
    host: Host, video: Callable[[Answer], Model], tmp_path: Path
) -> None:
    video(offer(FILE))
    path = resolve("video")
    assert path == tmp_path / "cache" / "model.pth"
    assert arrived(path)
    assert resolve("video") == path
    assert len(host.requests) == 1


def test_pull_command(video: Callable[[Answer], Model], tmp_path: Path) -> None:
    video(offer(FILE))
    result = CliRunner().invoke(weights, ["pull", "video", "--weights-dir", str(tmp_path)])
    assert result.exit_code == 0
    assert result.stdout == f"video: {tmp_path / 'model.pth'}\n"
    assert "100 %" in result.stderr
    assert arrived(tmp_path / "model.pth")


def test_pull_command_with_a_dead_mirror(video: Callable[[Answer], Model]) -> None:
    video(fail(404))
    result = CliRunner().invoke(weights, ["pull", "video"])
    assert isinstance(result.exception, WeightsError)
