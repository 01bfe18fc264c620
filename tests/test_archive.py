"""`vidcolor archive` on folders of this machine, as a shard, and what it leaves."""

import importlib
import json
import math
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from vidcolor.archive.claims import MOST
from vidcolor.archive.layout import SourceFilm, film_folder
from vidcolor.archive.local_store import LocalStore
from vidcolor.archive.run import Run, Shard
from vidcolor.archive.store import open_store
from vidcolor.archive.task import Busy, FilmDone, Missing, PieceDone, Planned, Task
from vidcolor.archive.worker import JobSettings, Worker
from vidcolor.cli import vidcolor
from vidcolor.cli.archive import archive
from vidcolor.errors import DeviceError, VidcolorError
from vidcolor.inference.colorizer import Colorizer
from vidcolor.inference.settings import RenderSettings
from vidcolor.resume.store import PieceSettings
from vidcolor.settings import FilmSettings

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
SECONDS = 0.7


@pytest.fixture(scope="session")
def films(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """benchmarks/archive_films.py."""
    sys.path.insert(0, str(BENCHMARKS))
    return importlib.import_module("archive_films")


@pytest.fixture(scope="session")
def source(films: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A film of three shots and a short one, in folders."""
    folder = tmp_path_factory.mktemp("archive") / "source"
    (folder / "deep").mkdir(parents=True)
    films.make_film(folder / "deep" / "three shots.mkv", [18, 18, 18])
    films.make_film(folder / "short.mp4", [12], first=1)
    return folder


@pytest.fixture(scope="session")
def alone(films: Any, source: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What one process makes of them with the same pieces: all streams, decoded."""
    folder = tmp_path_factory.mktemp("alone")
    films.color_alone(source, folder)
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): films.decoded(path) for path in paths}


@pytest.fixture
def job(source: Path, tmp_path: Path) -> JobSettings:
    return JobSettings(
        source=str(source),
        target=str(tmp_path / "target"),
        run="one",
        render=RenderSettings(render_factor=4),
        film=FilmSettings(pieces=PieceSettings(seconds=SECONDS, save_every=math.inf)),
        device="cpu",
        scratch=str(tmp_path / "scratch"),
        claim_seconds=2.0,
    )


def a_film(source: Path, name: str) -> SourceFilm:
    path = Path(name)
    entry = open_store(str(source)).stat(name)
    assert entry
    target = str(path.with_name(f"{path.stem}.color{path.suffix}"))
    return SourceFilm(name, entry.size, entry.version, target)


def result_names(target: Path) -> set[str]:
    return {entry.name for entry in LocalStore(target).list()} - {"done.jsonl", "failed.jsonl"}


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_an_archive_is_what_one_process_makes_of_it(
    job: JobSettings, alone: dict[str, str], films: Any
):
    report = Run(job, Shard(1, 2)).run()
    target = Path(job.target)
    assert result_names(target) == alone.keys()
    for name, expected in alone.items():
        assert films.decoded(target / name) == expected
    assert (report.done, report.made, report.failed, report.pieces) == (2, 2, 0, 4)
    assert sorted(line["film"] for line in lines(target / "done.jsonl")) == [
        "deep/three shots.mkv",
        "short.mp4",
    ]
    assert (target / "failed.jsonl").read_text() == ""
    left = {path.name for path in (target / ".vidcolor").rglob("*") if path.is_file()}
    assert {name for name in left if not name.startswith("one")} == {"done.json"}

    times = {name: (target / name).stat().st_mtime_ns for name in alone}
    again = Run(job, Shard(2, 2)).run()
    assert (again.done_before, again.done, again.frames) == (2, 0, 0)
    assert times == {name: (target / name).stat().st_mtime_ns for name in alone}
    assert len(lines(target / "done.jsonl")) == 2


def test_a_killed_run_is_continued_and_its_pieces_are_used(
    job: JobSettings, source: Path, alone: dict[str, str], films: Any
):
    film = a_film(source, "deep/three shots.mkv")
    dead = Worker(replace(job, run="dead"))
    assert dead.do(Task(film, "film")) == Planned(3)
    dead.do(Task(film, "piece", 1))
    report = Run(job, Shard(1, 1)).run()
    assert (report.pieces, report.frames) == (3, 12 + 2 * 18)
    assert films.decoded(Path(job.target) / film.target) == alone[film.target]


def test_a_damaged_piece_is_made_again(
    job: JobSettings, source: Path, alone: dict[str, str], films: Any
):
    film = a_film(source, "deep/three shots.mkv")
    worker = Worker(job)
    worker.do(Task(film, "film"))
    for number in range(3):
        worker.do(Task(film, "piece", number))
    folder = Path(job.target) / film_folder(film, worker.settings).path
    (damaged,) = folder.glob("piece-00002-*")
    damaged.chmod(0o644)
    damaged.write_bytes(damaged.read_bytes()[:-1])
    assert worker.do(Task(film, "join")) == Missing(frozenset([2]))
    assert Run(job, Shard(1, 1)).run().failed == 0
    assert films.decoded(Path(job.target) / film.target) == alone[film.target]


def test_what_a_worker_left_that_died_while_it_cleaned_up_is_removed(
    job: JobSettings, source: Path
):
    job = replace_source(job, source)
    Run(job, Shard(1, 1)).run()
    (done,) = (Path(job.target) / ".vidcolor").glob("*/done.json")
    for name in ("claim-film-001.json", "piece-00000.json"):
        (done.parent / name).write_text("{}")
    Run(job, Shard(1, 1)).run()
    assert list(done.parent.iterdir()) == [done]


def test_the_second_finisher_changes_nothing(job: JobSettings, source: Path, tmp_path: Path):
    film = a_film(source, "short.mp4")
    slow = Worker(replace(job, run="slow"))
    create = slow.target.create

    def later(name: str, content: bytes | Path) -> bool:
        if name == film.target:  # somebody else is faster
            assert create(name, b"the other's film")
        return create(name, content)

    slow.target.create = later  # pyright: ignore[reportAttributeAccessIssue]
    outcome = slow.do(Task(film, "film"))
    assert isinstance(outcome, FilmDone)
    assert (outcome.made, outcome.twice) == (False, True)
    assert (Path(job.target) / film.target).read_bytes() == b"the other's film"


def test_what_another_run_works_on_is_left_to_it(job: JobSettings, source: Path):
    film = a_film(source, "short.mp4")
    one, two = Worker(job), Worker(replace(job, run="two"))
    with one.claims.taken(film_folder(film, one.settings), "film", film.name):
        assert isinstance(two.do(Task(film, "film")), Busy)
        assert not (Path(job.target) / film.target).exists()


@pytest.fixture
def with_broken(source: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "with broken"
    folder.mkdir()
    (folder / "broken.mp4").write_bytes(b"no film")
    (folder / "short.mp4").write_bytes((source / "short.mp4").read_bytes())
    return folder


def test_a_broken_film_is_put_aside_and_the_rest_is_colored(job: JobSettings, with_broken: Path):
    job = replace(job, source=str(with_broken))
    report = Run(job, Shard(1, 1)).run()
    assert (report.made, report.failures) == (1, {"film": 1})
    (failed,) = lines(Path(job.target) / "failed.jsonl")
    assert failed["film"] == "broken.mp4"
    assert "is not a film that ffmpeg can read" in failed["error"]

    again = Run(job, Shard(1, 1)).run()
    assert (again.failures, again.retries) == ({"earlier": 1}, {})
    assert lines(Path(job.target) / "failed.jsonl")[0]["error"] == failed["error"]

    tried = Run(replace(job, retry_failed=True), Shard(1, 1)).run()
    assert tried.failures == {"film": 1}


@pytest.mark.slow
def test_a_film_that_killed_every_worker_is_tried_again_if_asked(job: JobSettings, source: Path):
    job = replace_source(job, source)
    film = a_film(Path(job.source), "short.mp4")
    worker = Worker(job)
    folder = film_folder(film, worker.settings)
    for generation in range(1, MOST + 1):
        worker.target.write(folder.claim("film", generation), b'{"expires": 0}')
    first = Run(job, Shard(1, 1)).run()
    assert first.failures == {"lost": 1}
    assert Run(job, Shard(1, 1)).run().failures == {"earlier": 1}
    assert Run(replace(job, retry_failed=True), Shard(1, 1)).run().made == 1


def test_a_plan_that_cannot_be_read_is_made_again(job: JobSettings, source: Path):
    film = a_film(source, "deep/three shots.mkv")
    worker = Worker(job)
    worker.target.write(film_folder(film, worker.settings).plan, b"{}")
    assert worker.do(Task(film, "film")) == Planned(3)
    assert isinstance(worker.do(Task(film, "piece", 0)), PieceDone)


def test_running_out_of_memory_lowers_the_batch(
    job: JobSettings, source: Path, monkeypatch: pytest.MonkeyPatch
):
    sizes = []
    chroma = Colorizer.chroma

    def hungry(colorizer: Colorizer, *given: Any) -> Any:
        sizes.append(colorizer.batch_size)
        if colorizer.batch_size > 2:
            raise DeviceError("memory ran out; use a smaller --batch-size")
        return chroma(colorizer, *given)

    monkeypatch.setattr(Colorizer, "chroma", hungry)
    job = replace(job, render=replace(job.render, batch_size=8))
    film = replace_source(job, source)
    report = Run(film, Shard(1, 1)).run()
    assert report.failed == 0
    assert report.retries == {"memory": 2}
    assert sizes[:3] == [8, 4, 2]


def replace_source(job: JobSettings, source: Path) -> JobSettings:
    """With the short film alone."""
    folder = Path(job.target).parent / "short alone"
    folder.mkdir()
    (folder / "short.mp4").write_bytes((source / "short.mp4").read_bytes())
    return replace(job, source=str(folder))


def test_an_unreachable_store_ends_the_run_in_one_line(job: JobSettings, tmp_path: Path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(VidcolorError):
        Run(replace(job, target=str(tmp_path / "file" / "x")), Shard(1, 1)).run()


def command(*words: str | Path) -> Result:
    return CliRunner().invoke(vidcolor, ["archive", *map(str, words)])


QUICK = ("-r", "4", "--device", "cpu", "--piece-seconds", str(SECONDS), "--shard", "1/1")


def test_the_command_reports_and_status_shows_how_far_it_is(with_broken: Path, tmp_path: Path):
    target = tmp_path / "out"
    result = command(with_broken, target, *QUICK, "--scratch", tmp_path / "s", "--json")
    assert result.exit_code == 1
    report = json.loads(result.stdout)
    assert report["complete"] and report["made"] == 1 and report["failed"] == 1
    assert "Error: broken.mp4" in result.stderr

    said = CliRunner().invoke(vidcolor, ["status", str(target)])
    assert said.exit_code == 0
    assert "1 done, 0 begun, 1 failed" in said.stdout
    assert "failed   broken.mp4" in said.stdout
    state = json.loads(CliRunner().invoke(vidcolor, ["status", str(target), "--json"]).stdout)
    assert (state["done"], state["runs"][0]["state"]) == (1, "ended")


def test_status_shows_films_that_are_begun(job: JobSettings, source: Path):
    film = a_film(source, "deep/three shots.mkv")
    run = Run(job, Shard(1, 1))
    run.find()
    run._tell()
    worker = Worker(job)
    worker.do(Task(film, "film"))
    worker.do(Task(film, "piece", 0))
    with worker.claims.taken(film_folder(film, worker.settings), "00001", film.name):
        said = CliRunner().invoke(vidcolor, ["status", job.target]).stdout
    assert "begun    deep/three shots.mkv: 1 of 3 pieces, 1 worker" in said
    assert "running  shard 1/1" in said


def test_a_dry_run_colors_nothing_and_tells_what_it_would_cost(source: Path, tmp_path: Path):
    target = tmp_path / "out"
    words = ("--dry-run", "--price-per-hour", "3600", "--scratch", tmp_path / "s")
    result = command(source, target, *QUICK, *words)
    assert result.exit_code == 0
    assert "2 films to color" in result.stdout
    assert "about 0.0 hours, 6" in result.stdout  # 66 frames, which last a little longer
    assert "frames (from 2 films, by bytes)" in result.stdout
    assert float(result.stdout.split("cost: ")[1]) > 0
    assert not target.exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--shard", "3/2"), "'3/2' is not a shard such as 3/8"),
        (("--shard", "1/2", "--ray", "auto"), "two ways to work"),
        (("--price-per-hour", "2"), "is for --dry-run"),
    ],
)
def test_a_wrong_command_line_is_refused(source: Path, words: tuple[str, ...], said: str):
    result = command(source, "out", *words)
    assert result.exit_code == 2
    assert said in result.stderr


def test_secrets_in_an_address_are_refused_and_not_logged(source: Path, tmp_path: Path):
    log = tmp_path / "log"
    result = command("s3://me:secret@bucket/x", source, "--shard", "1/1", "--log", log)
    assert not log.exists()
    assert result.exit_code == 1
    assert "must not hold a user, a password" in result.stderr
    assert "secret" not in result.stderr


def test_a_run_that_is_stopped_says_how_to_continue(
    job: JobSettings, source: Path, monkeypatch: pytest.MonkeyPatch
):
    def stop(worker: Worker, task: Task) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Worker, "do", stop)
    result = command(source, job.target, *QUICK, "--scratch", str(job.scratch))
    assert result.exit_code == 130
    assert "Stopped; 0 of 2 films are done." in result.stderr
    assert "To continue, run: vidcolor archive " in result.stderr
    assert (Path(job.target) / "done.jsonl").read_text() == ""


@pytest.mark.slow
def test_shards_that_are_killed_lose_nothing(
    source: Path, films: Any, alone: dict[str, str], tmp_path: Path
):
    target = tmp_path / "out"
    words = [*QUICK[:-1], "1/2", "--scratch", str(tmp_path / "s"), "--claim-seconds", "2"]
    line = [sys.executable, "-m", "vidcolor", "archive", str(source), str(target), *words]
    for after in (0.5, 4.0, 6.0, 8.0):
        process = subprocess.Popen(line)
        time.sleep(after)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert subprocess.run(line).returncode == 0
    assert result_names(target) == alone.keys()
    assert all(films.decoded(target / name) == alone[name] for name in alone)


@pytest.mark.slow
def test_three_shards_at_once_do_little_twice(films: Any, tmp_path: Path):
    source, target = tmp_path / "source", tmp_path / "out"
    films.make_films(source, 12)
    line = [sys.executable, "-m", "vidcolor", "archive", str(source), str(target), "--json"]
    options = [*QUICK[:-2], "--scratch", str(tmp_path / "s"), "--claim-seconds", "20"]
    shards = [
        subprocess.Popen([*line, *options, "--shard", f"{number}/3"], stdout=subprocess.PIPE)
        for number in (1, 2, 3)
    ]
    reports = [json.loads(shard.communicate(timeout=600)[0]) for shard in shards]
    assert sum(report["made"] for report in reports) == 12
    assert sum(report["pieces"] for report in reports) <= 9 + 3 * 3 + 1
    assert len(result_names(target)) == len(lines(target / "done.jsonl")) == 12


@pytest.mark.slow
def test_killed_workers_and_machines_of_a_cluster_lose_nothing():
    pytest.importorskip("ray")
    script = BENCHMARKS / "archive_kills.py"
    result = subprocess.run([sys.executable, script, "1", "10"], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr[-2000:]
    assert "faults: none" in result.stdout


def blocks(language: str) -> list[str]:
    """The blocks of code in docs/archive.md."""
    text = (BENCHMARKS.parent / "docs" / "archive.md").read_text("utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def test_the_manifests_for_kubernetes_in_the_docs_are_well_formed():
    yaml = pytest.importorskip("yaml", reason="moto brings it")
    ray_job, job = (yaml.safe_load(block) for block in blocks("yaml"))
    assert (ray_job["apiVersion"], ray_job["kind"]) == ("ray.io/v1", "RayJob")
    cluster = ray_job["spec"]["rayClusterSpec"]
    pods = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"], job["spec"]]
    for pod in pods:
        spec = pod["template"]["spec"]
        volumes = {volume["name"] for volume in spec.get("volumes", [])}
        for container in spec["containers"]:
            assert {"name", "image", "resources"} <= container.keys()
            mounted = {mount["name"] for mount in container.get("volumeMounts", [])}
            assert mounted == volumes
    assert job["spec"]["completionMode"] == "Indexed"
    (container,) = job["spec"]["template"]["spec"]["containers"]
    script = "\n".join([ray_job["spec"]["entrypoint"], *container["args"]]).replace("exec ", "")
    assert_commands_parse(script, JOB_COMPLETION_INDEX="0")


def test_the_script_for_slurm_in_the_docs_is_a_script():
    (script,) = blocks("bash")
    assert subprocess.run(["bash", "-n"], input=script, text=True).returncode == 0
    names = {"SLURM_ARRAY_TASK_ID": "3", "SLURM_ARRAY_TASK_COUNT": "16", "USER": "me"}
    assert_commands_parse(script.replace("srun ", ""), **names)


def assert_commands_parse(script: str, **environment: str) -> None:
    """The shell gives vidcolor, in place of which a function stands, arguments that it takes."""
    function = 'vidcolor() { printf "%s\\n" "$@"; echo; }\n'
    output = subprocess.check_output(["bash", "-c", function + script], text=True, env=environment)
    for words in output.strip().split("\n\n"):
        name, *rest = words.split("\n")
        assert name == "archive"
        archive.make_context("archive", rest)
