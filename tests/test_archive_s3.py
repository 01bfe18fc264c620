"""Archives on object storage: a server of this machine, which fails and lags."""

import importlib
import json
import logging
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from faulty_s3 import Faults, faulty_s3

from vidcolor.archive.object_store import ObjectStore
from vidcolor.archive.retrying import Retrying
from vidcolor.archive.store import check_creates_once, open_store
from vidcolor.cli import vidcolor
from vidcolor.errors import StorageError, VidcolorError

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Faults]:
    """A server with two empty buckets, `films` and `results`, whose faults can be set."""
    boto3 = pytest.importorskip("boto3", reason="s3fs brings it")
    pytest.importorskip("moto.server", reason="the extra `test` brings it, not for every Python")
    pytest.importorskip("s3fs").S3FileSystem.clear_instance_cache()  # they keep the address
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_REQUEST_CHECKSUM_CALCULATION", "when_required")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    faults = Faults()
    with faulty_s3(faults) as (address, sound):
        monkeypatch.setenv("AWS_ENDPOINT_URL", address)
        client = boto3.client("s3", endpoint_url=sound)
        for bucket in ("films", "results"):
            client.create_bucket(Bucket=bucket)
        yield faults


def test_the_second_writer_of_an_object_is_refused(s3: Faults, tmp_path: Path):
    store = open_store("s3://results/deep/er")
    assert store.create("a/film.mp4", b"first")
    assert not store.create("a/film.mp4", b"second")
    (large := tmp_path / "large").write_bytes(bytes(40 * 2**20))  # goes up in several parts
    assert not store.create("a/film.mp4", large)
    assert store.create("a/large.mp4", large)
    assert not store.create("a/large.mp4", large)
    assert store.read("a/film.mp4") == b"first"
    store.fetch("a/large.mp4", tmp_path / "back")
    assert (tmp_path / "back").stat().st_size == 40 * 2**20
    check_creates_once(store, ".vidcolor/probe")
    assert store.stat(".vidcolor/probe") is None


def test_listings_leave_out_what_is_hidden(s3: Faults):
    store = open_store("s3://results/x")
    for name in ("a.mp4", "b/c.mp4", ".vidcolor/00/done.json"):
        store.write(name, b"{}")
    assert sorted(entry.name for entry in store.list()) == ["a.mp4", "b/c.mp4"]
    assert [entry.name for entry in store.list(".vidcolor")] == [".vidcolor/00/done.json"]
    assert list(open_store("s3://results/nothing").list()) == []


def test_requests_that_fail_are_tried_again(s3: Faults):
    s3.refused, s3.cut_off = 0.2, 0.1
    waits = []
    store = Retrying(ObjectStore("s3://results/x"), waits.append)
    for number in range(4):
        store.write(f"{number}", b"written")
    assert all(store.read(f"{number}") == b"written" for number in range(4))


def test_a_storage_that_stays_away_is_named_in_one_line(s3: Faults):
    store = Retrying(ObjectStore("s3://no-such-bucket/x"), lambda seconds: None)
    with pytest.raises(StorageError, match="cannot write s3://no-such-bucket/x"):
        store.create("a", b"")


def test_status_takes_an_address(s3: Faults):
    said = CliRunner().invoke(vidcolor, ["status", "s3://results/status"])
    assert said.exit_code == 1
    assert "s3://results/status is no DST of `vidcolor archive`" in said.stderr
    store = open_store("s3://results/status")
    store.write(".vidcolor/runs/one.json", b'{"how": "ray", "host": "there", "ended": true}')
    store.write("a.color.mp4", b"film")
    said = CliRunner().invoke(vidcolor, ["status", "s3://results/status"])
    assert said.exit_code == 0
    assert "ended    ray on there" in said.stdout
    assert "1 done, 0 begun, 0 failed" in said.stdout


def test_an_address_with_a_password_is_refused_and_not_repeated():
    with pytest.raises(VidcolorError) as refused:
        open_store("s3://user:secret@bucket/x")
    assert "secret" not in str(refused.value)


def archive(*words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "vidcolor", "archive", *words, "--render-factor", "4"]
    options = ["--device", "cpu", "--piece-seconds", "0.7", "--claim-seconds", "8", "--json"]
    return subprocess.Popen([*command, *options], text=True, stdout=subprocess.PIPE)


@pytest.mark.slow
def test_two_runs_at_once_make_each_film_once(
    s3: Faults, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """One on a Ray cluster, one as a shard, while requests fail and listings lag."""
    pytest.importorskip("ray")
    monkeypatch.syspath_prepend(BENCHMARKS)
    films = importlib.import_module("archive_films")
    source = tmp_path / "source"
    films.make_films(source, 20)
    films.color_alone(source, tmp_path / "alone")
    store = open_store("s3://films/all")
    for path in source.rglob("*.m*"):
        store.create(path.relative_to(source).as_posix(), path)
    s3.written.clear()  # the source has been there for long
    s3.refused, s3.cut_off, s3.lag = 0.02, 0.02, 5.0

    places = ("s3://films/all", "s3://results/colored")
    scratch = ("--scratch", str(tmp_path / "scratch"))
    results = open_store(places[1])
    runs = [archive(*places, "--ray", "local", "--workers", "2", *scratch)]
    while not any("claim" in path for path in list(s3.puts)):
        assert runs[0].poll() is None  # Ray takes longer to start than a shard
        time.sleep(0.2)
    runs.append(archive(*places, "--shard", "1/1", *scratch))
    reports = [json.loads(run.communicate(timeout=900)[0]) for run in runs]
    assert [run.returncode for run in runs] == [0, 0]

    s3.refused = s3.cut_off = s3.lag = 0.0
    expected = {
        path.relative_to(tmp_path / "alone").as_posix(): path
        for path in (tmp_path / "alone").rglob("*.m*")
    }
    names = {entry.name for entry in results.list()} - {"done.jsonl", "failed.jsonl"}
    assert names == expected.keys()
    for name, path in expected.items():
        assert s3.puts[f"results/colored/{name}"] == 1
        results.fetch(name, tmp_path / f"fetched{path.suffix}")
        assert films.decoded(tmp_path / f"fetched{path.suffix}") == films.decoded(path)
    done = [json.loads(line) for line in (results.read("done.jsonl") or b"").splitlines()]
    assert sorted(line["result"] for line in done) == sorted(expected)
    assert results.read("failed.jsonl") == b""
    assert min(s3.counts[fault] for fault in ("refused", "cut off", "not listed yet")) > 0
    # An answer that was lost lets a run think that the other one was first.
    made = [report["made"] for report in reports]
    assert min(made) > 0
    assert sum(made) <= len(expected)
    print(dict(s3.counts), reports)
