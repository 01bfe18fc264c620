"""Many clients at one server: uploads and listeners beside a film that is being colored.

    python benchmarks/serve.py --clients 50

Every client uploads a file in several requests, cuts some of them in the middle and goes on, and
listens to the events of the film that is colored meanwhile, coming back with Last-Event-ID whenever
its stream is cut. At the end every upload is compared with what was sent, byte by byte, every
listener must have seen the end of the job and no event twice, and the memory of the server, without
its worker, is printed over time.
"""

import argparse
import asyncio
import base64
import hashlib
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
from speed import make_film

BYSTANDER = """
import http.client, json, sys, threading, time
seconds, host, token = [], sys.argv[1], sys.argv[2]
ended = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
while not ended.wait(0.2):
    began = time.monotonic()
    connection = http.client.HTTPConnection(host, timeout=120)
    connection.request("GET", "/api/v1/jobs", headers={"Authorization": f"Bearer {token}"})
    assert connection.getresponse().read()
    seconds.append(time.monotonic() - began)
print(json.dumps(sorted(seconds)))
"""
"""Another client, in a process of its own, which measures how long answers take."""

TUS = {"Tus-Resumable": "1.0.0"}


def main() -> None:
    parser = argparse.ArgumentParser(description="Many clients at one server.")
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--megabytes", type=int, default=8, help="of each upload")
    parser.add_argument("--rounds", type=int, default=4, help="uploads of each client, in a row")
    parser.add_argument("--film-seconds", type=int, default=60, help="of 320x180")
    parser.add_argument("--render-factor", type=int, default=12)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data, source = Path(folder) / "data", Path(folder) / "film.mp4"
        make_film(source, arguments.film_seconds, "320x180")
        command = [sys.executable, "-m", "vidcolor", "serve", "--port", "0", "--data", str(data)]
        log = (Path(folder) / "log").open("wb")
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            found = re.fullmatch(r"vidcolor is at (\S+)/#token=(\S+)\n", line)
            assert found, line
            asyncio.run(load(found[1], found[2], process.pid, source, arguments))
        finally:
            process.terminate()
            process.wait(60)


async def load(
    address: str, token: str, pid: int, source: Path, arguments: argparse.Namespace
) -> None:
    """Everything at once, and what came of it."""
    headers = {"Authorization": f"Bearer {token}", **TUS}
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    async with httpx.AsyncClient(
        base_url=address, headers=headers, timeout=120, limits=limits, trust_env=False
    ) as client:
        while (await client.get("/api/v1/health")).status_code != 200:
            await asyncio.sleep(0.2)
        memory = asyncio.create_task(watch(pid))
        bystander = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", BYSTANDER, address.removeprefix("http://"), token),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        film = await upload(client, source.read_bytes(), "film.mp4", random.Random(0))
        body = {"upload": film, "options": {"render_factor": arguments.render_factor}}
        job = (await client.post("/api/v1/jobs", json=body)).json()["id"]
        began = time.monotonic()
        each = [
            work(client, job, number, arguments.megabytes * 2**20, arguments.rounds)
            for number in range(arguments.clients)
        ]
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one) for one in each]
        results = [task.result() for task in tasks]
        seconds = time.monotonic() - began
        state = (await client.get(f"/api/v1/jobs/{job}")).json()
        latencies = json.loads((await bystander.communicate(b""))[0])
        memory.cancel()
        report(arguments, results, state, seconds, latencies, await samples(memory))


async def work(
    client: httpx.AsyncClient, job: str, number: int, size: int, rounds: int
) -> tuple[int, int]:
    """One client: listens, and uploads `rounds` files meanwhile. (times left, events)"""
    chance = random.Random(number)
    listening = asyncio.create_task(listen(client, job, chance))
    for turn in range(rounds):
        content = chance.randbytes(size)
        id = await upload(client, content, f"{number}-{turn}.mp4", chance)
        digest = hashlib.sha256()
        async with client.stream("GET", f"/api/v1/uploads/{id}/content") as back:
            async for part in back.aiter_bytes():
                digest.update(part)
        assert digest.digest() == hashlib.sha256(content).digest(), f"upload {id} is damaged"
        assert (await client.delete(f"/api/v1/uploads/{id}")).status_code == 204
    cuts, events = await listening
    return cuts, events


async def upload(
    client: httpx.AsyncClient, content: bytes, name: str, chance: random.Random
) -> str:
    """Send a file in parts, some of which are cut in the middle."""
    text = base64.b64encode(name.encode()).decode()
    headers = {"Upload-Length": str(len(content)), "Upload-Metadata": f"filename {text}"}
    answer = await client.post("/api/v1/uploads", headers=headers)
    assert answer.status_code == 201, answer.text
    address = answer.headers["location"]
    offset = 0
    while offset < len(content):
        part = content[offset : offset + 4 * 2**20]
        headers = {"Content-Type": "application/offset+octet-stream", "Upload-Offset": str(offset)}
        if chance.random() < 0.2:
            await cut(client, address, part, headers, chance)
        else:
            answer = await client.patch(address, content=part, headers=headers)
            # 409: of a request that was cut, more has arrived since.
            assert answer.status_code in (204, 409), answer.text
        while (answer := await client.head(address)).status_code == 423:  # one that is cut ends
            await asyncio.sleep(0.5)
        assert answer.status_code == 200, answer
        offset = int(answer.headers["upload-offset"])
    return address.rpartition("/")[2]


async def cut(
    client: httpx.AsyncClient,
    address: str,
    part: bytes,
    headers: dict[str, str],
    chance: random.Random,
) -> None:
    """Send the beginning of a part, and go away."""
    host, port = str(client.base_url).removeprefix("http://").rstrip("/").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    every = {**headers, "Authorization": client.headers["authorization"], **TUS}
    every |= {"Host": f"{host}:{port}", "Content-Length": str(len(part))}
    lines = [f"PATCH {address} HTTP/1.1", *(f"{name}: {text}" for name, text in every.items())]
    writer.write("\r\n".join([*lines, "", ""]).encode())
    writer.write(part[: chance.randrange(len(part))])
    await writer.drain()
    writer.transport.abort()


async def listen(client: httpx.AsyncClient, job: str, chance: random.Random) -> tuple[int, int]:
    """Follow the job to its end; leave now and then, and go on. (times left, events)"""
    last, cuts, seen = 0, 0, 0
    while True:
        headers = {"Last-Event-ID": str(last)} if last else {}
        leave_after = chance.randrange(3, 20)
        async with client.stream("GET", f"/api/v1/jobs/{job}/events", headers=headers) as stream:
            name = ""
            async for line in stream.aiter_lines():
                key, _, value = line.partition(": ")
                if key == "event":
                    name = value
                elif key == "id":
                    assert int(value) > last, "an event came twice"
                    last, seen, leave_after = int(value), seen + 1, leave_after - 1
                elif key == "data" and name == "end":
                    assert json.loads(value)["state"] == "done"
                    return cuts, seen + 1
                if leave_after <= 0:
                    break
        cuts += 1


SAMPLES: list[tuple[float, float]] = []


async def watch(pid: int) -> None:
    """Sample the resident memory of the server, in MiB."""
    began = time.monotonic()
    page = os.sysconf("SC_PAGE_SIZE")
    while True:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        SAMPLES.append((time.monotonic() - began, pages * page / 2**20))
        await asyncio.sleep(0.5)


async def samples(task: asyncio.Task[None]) -> list[tuple[float, float]]:
    """What was sampled."""
    try:
        await task
    except asyncio.CancelledError:
        return SAMPLES
    return SAMPLES


def report(
    arguments: argparse.Namespace,
    results: list[tuple[int, int]],
    job: dict,
    seconds: float,
    latencies: list[float],
    memory: list[tuple[float, float]],
) -> None:
    """Print it."""
    sent = arguments.clients * arguments.rounds * arguments.megabytes
    cuts, events = map(sum, zip(*results, strict=True))
    print(f"{arguments.clients} clients, {sent} MiB in {seconds:.0f} s, every byte as it was sent")
    print(f"job: {job['state']}, {job['done']} frames in {job['seconds']} s")
    print(f"events: {events}, none twice; {cuts} times cut and gone on; all saw the end")
    median, slowest = latencies[len(latencies) // 2], latencies[-1]
    print(f"answers to a bystander: median {1000 * median:.0f} ms, slowest {1000 * slowest:.0f} ms")
    for share in (0, 0.25, 0.5, 0.75, 1):
        when, resident = memory[min(len(memory) - 1, int(share * len(memory)))]
        print(f"memory of the server after {when:5.0f} s: {resident:.0f} MiB")
    print(f"most memory of the server: {max(resident for _, resident in memory):.0f} MiB")


if __name__ == "__main__":
    main()
