"""What tests of the page share: a server, a line to it that can be cut, and a browser."""

import os
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
"""The browser's path. playwright drives it; its own download of one is not needed."""


class Server:
    """`vidcolor serve`, which can be stopped and started again."""

    def __init__(self, data: Path):
        self.data = data
        self.port = 0
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "vidcolor", "serve"]
        self.process = subprocess.Popen(
            [*command, "--port", str(self.port), "--data", str(self.data)],
            stdout=subprocess.PIPE,
            stderr=(self.data.parent / f"{self.data.name}.log").open("a"),
            text=True,
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line.startswith("vidcolor is at "), line
        self.address = line.split()[-1]
        self.port = urlsplit(self.address).port or 0

    def through(self, port: int) -> str:
        """Its address where one comes by another port."""
        return self.address.replace(f":{self.port}/", f":{port}/")

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)


class Line:
    """A TCP relay that can be slow, and that can be cut."""

    def __init__(self, target: int):
        self.target = target
        self.rate: float | None = None
        """Bytes per second from the client to the server; None: as fast as it goes."""
        self.open = True
        self.sockets: set[socket.socket] = set()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Break all connections, and refuse new ones."""
        self.open = False
        for one in list(self.sockets):
            _close(one)

    def mend(self) -> None:
        self.open = True

    def close(self) -> None:
        self.cut()
        _close(self.listener)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            if not self.open:
                _close(client)
                continue
            threading.Thread(target=self._relay, args=(client,), daemon=True).start()

    def _relay(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(("127.0.0.1", self.target))
        except OSError:
            _close(client)
            return
        # A small buffer, so that what the browser has sent is soon what the server has.
        for one in (client, server):
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        self.sockets |= {client, server}
        with selectors.DefaultSelector() as selector:
            selector.register(client, selectors.EVENT_READ, server)
            selector.register(server, selectors.EVENT_READ, client)
            try:
                while True:
                    for key, _ in selector.select():
                        taken = key.fileobj.recv(1 << 14)  # type: ignore[union-attr]  # sockets all
                        if not taken:
                            return
                        if key.fileobj is client and self.rate:
                            time.sleep(len(taken) / self.rate)
                        key.data.sendall(taken)
            except (OSError, ValueError):
                return
            finally:
                _close(client)
                _close(server)


def _close(one: socket.socket) -> None:
    try:
        one.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    finally:
        one.close()


def padded(source: Path, target: Path, size: int) -> Path:
    """A copy of an mp4 with an empty box behind it, so that its upload takes a while."""
    box = size.to_bytes(4, "big") + b"free" + os.urandom(size - 8)
    target.write_bytes(source.read_bytes() + box)
    return target
