"""The server as its clients meet it: over HTTP, in a process of its own."""

from collections.abc import Iterator

import httpx
import pytest
from servers import Server, create, ended, ready, running, send, start, until


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
