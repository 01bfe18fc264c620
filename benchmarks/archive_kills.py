"""Kill workers, machines, and now and then the whole cluster; each film must be there once, right.

python benchmarks/archive_kills.py [ROUNDS] [FILMS] [SEED]

Every round colors the same films on a Ray cluster of three raylets with made-up GPUs on this
machine. Workers are killed with SIGKILL at random moments and one raylet is removed in the middle;
in every third round the command and all of Ray are killed too, and the same command is given again.
"""

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

from archive_films import PIECE_SECONDS, RENDER_FACTOR, color_alone, decoded, make_films

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
os.environ["RAY_DEDUP_LOGS"] = "0"

RAYLETS = 3
CLAIM_SECONDS = 4
BETWEEN_KILLS = (2, 7)
"""Films that are finished from one kill to the next, from so many to so many."""

LATER = 3.0
"""Seconds after that until the kill, at most."""

LONGEST = 3600.0
"""Seconds of a round; more is an error."""

NO_SPARE_PROCESSES = {"enable_worker_prestart": False, "prestart_worker_first_driver": False}
"""Of Ray's own, which would start slowly on a small machine."""

STATE = ".vidcolor"


class Cluster:
    """Ray's own cluster for tests, with the processes that its raylets have started."""

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster as RayCluster

        head = {"num_cpus": 1, "include_dashboard": False, "_system_config": NO_SPARE_PROCESSES}
        self.ray = RayCluster(initialize_head=True, head_node_args=head)
        self.nodes = [self._add() for _ in range(RAYLETS)]

    def _add(self) -> Any:
        return self.ray.add_node(num_cpus=1, num_gpus=1, object_store_memory=80 * 2**20)

    def remove(self, numbers: random.Random) -> None:
        """Take a machine away at once."""
        node = self.nodes.pop(numbers.randrange(len(self.nodes)))
        self.ray.remove_node(node, allow_graceful=False)

    @property
    def address(self) -> str:
        return str(self.ray.address)

    def workers(self) -> list[int]:
        """Process ids of our actors."""
        raylets = set()
        for node in [self.ray.head_node, *self.nodes]:
            raylets |= {each.process.pid for each in node.all_processes.get("raylet", [])}
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError, IndexError, ValueError):
                words = (folder / "cmdline").read_bytes()
                parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
                if parent in raylets and b"ray::RayWorker" in words:
                    found.append(int(folder.name))
        return found

    def close(self) -> None:
        self.ray.shutdown()


def start(source: Path, target: Path, scratch: Path, address: str) -> subprocess.Popen:
    options = {
        "--ray": address,
        "--piece-seconds": PIECE_SECONDS,
        "--render-factor": RENDER_FACTOR,
        "--device": "cpu",
        "--gpu-share": 1,
        "--claim-seconds": CLAIM_SECONDS,
        "--scratch": scratch,
    }
    words = [str(word) for pair in options.items() for word in pair]
    command = [sys.executable, "-m", "vidcolor", "archive", str(source), str(target), *words]
    return subprocess.Popen([*command, "--json", "--quiet"], stdout=subprocess.PIPE)


def finished(target: Path) -> int:
    return sum(path.suffix in (".mp4", ".mkv") for path in results(target))


def results(target: Path) -> list[Path]:
    found = (path for path in target.rglob("*") if path.is_file())
    return sorted(path for path in found if STATE not in path.parts)


def a_round(
    source: Path, folder: Path, films: int, number: int, numbers: random.Random
) -> Counter[str]:
    """Color everything once, and be in the way; returns what happened."""
    target, scratch = folder / "target", folder / "scratch"
    tally: Counter[str] = Counter()
    cluster = Cluster()
    process = start(source, target, scratch, cluster.address)
    remove_at = numbers.randint(films // 4, films // 2)
    restart_at = numbers.randint(films // 2, films * 3 // 4) if number % 3 == 2 else None
    kill_at = numbers.randint(0, BETWEEN_KILLS[1])
    deadline = time.monotonic() + LONGEST
    try:
        while process.poll() is None:
            time.sleep(0.05)
            done = finished(target)
            if time.monotonic() > deadline:
                raise TimeoutError(f"round {number} hangs with {done} films")
            if len(cluster.nodes) == RAYLETS and done >= remove_at and not tally["raylets removed"]:
                cluster.remove(numbers)
                tally["raylets removed"] += 1
            if restart_at is not None and done >= restart_at:
                restart_at = None
                process.kill()
                process.wait()
                cluster.close()
                cluster = Cluster()
                process = start(source, target, scratch, cluster.address)
                tally["clusters and commands killed"] += 1
            if done >= kill_at and (workers := cluster.workers()):
                time.sleep(numbers.uniform(0, LATER))
                with suppress(ProcessLookupError):
                    os.kill(numbers.choice(workers), signal.SIGKILL)
                    tally["workers killed"] += 1
                kill_at = finished(target) + numbers.randint(*BETWEEN_KILLS)
        assert process.stdout is not None
        output = process.stdout.read()
        if process.returncode:
            tally["runs that failed"] += 1
            print((target / "failed.jsonl").read_text(), file=sys.stderr)
        else:
            report = json.loads(output)
            for name in ("pieces", "begun_again", "finished_twice", "made"):
                tally[name] += report[name]
            tally.update({f"tried again: {key}": n for key, n in report["retries"].items()})
    finally:
        if process.poll() is None:
            process.kill()
        cluster.close()
    return tally


def check(target: Path, expected: dict[str, str]) -> Counter[str]:
    """Faults of what a round has left."""
    faults: Counter[str] = Counter()
    films = {str(path.relative_to(target)): path for path in results(target)}
    lists = {films.pop(name, None) for name in ("done.jsonl", "failed.jsonl")}
    faults["films lost"] = len(expected.keys() - films.keys())
    faults["other files"] = len(films.keys() - expected.keys()) + (None in lists)
    for name in expected.keys() & films.keys():
        faults["films unlike those of one machine"] += decoded(films[name]) != expected[name]
    lines = (target / "done.jsonl").read_text().splitlines()
    noted = Counter(json.loads(line)["result"] for line in lines)
    faults["films not noted once"] = sum(noted[name] != 1 for name in expected)
    left = (path for path in (target / STATE).rglob("*") if path.is_file())
    # Unfinished files of a killed process, in `parts`, are removed a day later.
    records = [path for path in left if path.parent.name not in ("runs", "parts")]
    faults["objects left over"] = sum(path.name != "done.json" for path in records)
    return faults


def main() -> None:
    rounds, films, seed = (
        int(word) for word in [*sys.argv[1:], *("10", "40", "1")[len(sys.argv) - 1 :]]
    )
    numbers = random.Random(seed)
    total: Counter[str] = Counter()
    faults: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_films(folder / "source", films, seed)
        color_alone(folder / "source", folder / "alone")
        expected = {
            str(path.relative_to(folder / "alone")): decoded(path)
            for path in results(folder / "alone")
        }
        assert len(expected) == films
        for number in range(rounds):
            begun = time.monotonic()
            own = folder / f"round {number}"
            own.mkdir()
            tally = a_round(folder / "source", own, films, number, numbers)
            found = check(own / "target", expected)
            total += tally
            faults += found
            seconds = time.monotonic() - begun
            print(f"round {number + 1}: {seconds:.0f} s, {dict(tally)}, {dict(+found)}", flush=True)
    for what, count in total.most_common():
        print(f"{what}: {count}")
    print(f"rounds: {rounds}, films in each: {films}, faults: {dict(+faults) or 'none'}")
    sys.exit(bool(+faults) or total["runs that failed"] > 0)


if __name__ == "__main__":
    main()
