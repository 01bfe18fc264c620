"""An S3 server that fails, and whose listings lag: a proxy before moto's."""

import re
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from urllib.parse import unquote


@dataclass
class Faults:
    """What goes wrong, and what was seen."""

    refused: float = 0.0
    """Share of the requests that are answered with 503 and have no effect."""
    cut_off: float = 0.0
    """Share of the requests that have their effect, but whose answer is lost."""
    lag: float = 0.0
    """Seconds for which an object is missing in listings after it was written."""
    random: Random = field(default_factory=lambda: Random(1))
    written: dict[str, float] = field(default_factory=dict)
    """When each object was written last."""
    puts: Counter[str] = field(default_factory=Counter)
    """How often each object was written."""
    counts: Counter[str] = field(default_factory=Counter)
    """What the server did to its clients."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def fate(self) -> str:
        with self.lock:
            drawn = self.random.random()
            fate = "served"
            if drawn < self.refused:
                fate = "refused"
            elif drawn < self.refused + self.cut_off:
                fate = "cut off"
            self.counts[fate] += 1
            return fate

    def wrote(self, path: str) -> None:
        with self.lock:
            self.written[path] = time.monotonic()
            self.puts[path] += 1

    def without_new(self, bucket: str, listing: bytes) -> bytes:
        """The listing as it was a while ago."""

        def kept(found: re.Match[bytes]) -> bytes:
            key = re.search(rb"<Key>(.*?)</Key>", found[0], re.DOTALL)
            path = f"{bucket}/{unquote((key[1] if key else b'').decode())}"
            is_new = time.monotonic() - self.written.get(path, -1e9) < self.lag
            self.counts["not listed yet"] += is_new
            return b"" if is_new else found[0]

        return re.sub(rb"<Contents>.*?</Contents>", kept, listing, flags=re.DOTALL)


@contextmanager
def faulty_s3(faults: Faults) -> Iterator[tuple[str, str]]:
    """Addresses of an S3 server on this machine: with the faults, and without."""
    from moto.server import ThreadedMotoServer

    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    host, port = moto.get_host_and_port()

    class Proxy(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self._body()
            fate = faults.fate()
            if fate == "refused":
                self._send(503, {}, b"<Error><Code>SlowDown</Code></Error>")
                return
            headers = {k: v for k, v in self.headers.items() if k.lower() not in SKIPPED}
            server = HTTPConnection(host, port, timeout=60)
            server.request(self.command, self.path, body, headers)
            answer = server.getresponse()
            content = answer.read()
            path, _, query = self.path.partition("?")
            path = unquote(path).strip("/")
            done = answer.status == 200
            if done and (self.command == "PUT" and "uploadId" not in query and "/" in path):
                faults.wrote(path)
            if done and self.command == "POST" and "uploadId" in query and b"<Error" not in content:
                faults.wrote(path)
            if done and self.command == "GET" and "list-type" in query:
                content = faults.without_new(path.partition("/")[0], content)
            if fate == "cut off":
                self.close_connection = True
                self.connection.close()
                return
            self._send(answer.status, dict(answer.getheaders()), content)

        do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = answer

        def _body(self) -> bytes:
            if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
                return self.rfile.read(int(self.headers.get("Content-Length") or 0))
            parts = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)

        def _send(self, status: int, headers: dict[str, str], content: bytes) -> None:
            length = headers.get("Content-Length") if self.command == "HEAD" else None
            self.send_response_only(status)
            for name, value in headers.items():
                if name.lower() not in SKIPPED:
                    self.send_header(name, value)
            self.send_header("Content-Length", length or str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            pass

    SKIPPED = {"content-length", "connection", "transfer-encoding", "expect", "keep-alive"}
    with ThreadingHTTPServer(("127.0.0.1", 0), Proxy) as proxy:
        proxy.daemon_threads = True
        threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.05}).start()
        try:
            yield f"http://127.0.0.1:{proxy.server_port}", f"http://{host}:{port}"
        finally:
            proxy.shutdown()
            moto.stop()
