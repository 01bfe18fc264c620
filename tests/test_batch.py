"""Folders: what goes where, what is skipped, what a failure stops."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from vidcolor.batch import Outcome, plan, run
from vidcolor.errors import MediaError, VidcolorError
from vidcolor.resume.done_log import DoneLog

DONE_LOG = DoneLog({})


@pytest.fixture
def archive(tmp_path):
    """Files that only have names."""
    for name in (
        "a.mp4",
        "b.avi",
        "old/c.mkv",
        "old/d.JPG",
        "notes.txt",
        "a.color.mp4",
        ".e.mp4",
        "a.preview.png",
        ".bin/f.mp4",
    ):
        path = tmp_path / "archive" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path / "archive"


def targets(jobs):
    return [job.target for job in jobs]


def test_a_film_is_colored_beside_itself():
    assert targets(plan([Path("x/film.mp4")], None, recursive=False)) == [Path("x/film.color.mp4")]


def test_a_container_that_is_not_written_becomes_mkv():
    assert targets(plan([Path("film.avi")], None, recursive=False)) == [Path("film.avi.color.mkv")]


def test_a_still_keeps_its_format():
    (job,) = plan([Path("photo.TIF")], None, recursive=False)
    assert (job.kind, job.target) == ("still", Path("photo.color.TIF"))


def test_a_folder_leaves_out_results_hidden_files_and_what_is_no_picture(archive):
    jobs = plan([archive], None, recursive=False)
    assert targets(jobs) == [archive / "a.color.mp4", archive / "b.avi.color.mkv"]


def test_recursive_mirrors_the_tree(archive):
    jobs = plan([archive], Path("out"), recursive=True)
    assert targets(jobs) == [
        Path("out/a.color.mp4"),
        Path("out/b.avi.color.mkv"),
        Path("out/old/c.color.mkv"),
        Path("out/old/d.color.JPG"),
    ]


def test_sources_that_differ_in_suffix_alone_do_not_share_a_target():
    jobs = plan([Path("a.avi"), Path("a.mkv")], None, recursive=False)
    assert targets(jobs) == [Path("a.avi.color.mkv"), Path("a.color.mkv")]


def test_two_sources_that_would_become_one_file_are_refused():
    with pytest.raises(VidcolorError, match="would both become"):
        plan([Path("x/a.mp4"), Path("y/a.mp4")], Path("out"), recursive=False)


def test_a_source_that_is_named_twice_is_colored_once(archive):
    jobs = plan([archive, archive / "a.mp4", archive / ".." / "archive"], None, recursive=False)
    assert len(jobs) == 2


def test_several_sources_need_a_folder(archive):
    with pytest.raises(VidcolorError, match="several sources"):
        plan([archive], Path("one.mp4"), recursive=False)


def test_an_empty_folder_does_not_stop_the_others(archive, tmp_path):
    (tmp_path / "empty").mkdir()
    assert len(plan([tmp_path / "empty", archive], None, recursive=False)) == 2


def test_an_empty_folder_says_so(tmp_path):
    with pytest.raises(VidcolorError, match="--recursive"):
        plan([tmp_path], None, recursive=False)


def test_done_files_are_skipped_and_a_failure_does_not_stop_the_rest(archive):
    jobs = plan([archive], None, recursive=True)  # a.color.mp4 exists

    def work(job):
        if job.source.name == "b.avi":
            raise MediaError("b.avi is broken")
        return Outcome(job, "done", 1)

    outcomes = list(run(jobs, work, overwrite=False, done_log=DONE_LOG))
    assert [outcome.status for outcome in outcomes] == ["skipped", "failed", "done", "done"]
    assert outcomes[1].error == "b.avi is broken"


def test_a_result_that_exists_is_refused_when_its_source_is_named(archive):
    jobs = plan([archive / "a.mp4"], None, recursive=False)
    (outcome,) = run(jobs, lambda job: Outcome(job, "done"), overwrite=False, done_log=DONE_LOG)
    assert outcome.status == "failed"
    assert "--overwrite" in str(outcome.error)
    (outcome,) = run(jobs, lambda job: Outcome(job, "done"), overwrite=True, done_log=DONE_LOG)
    assert outcome.status == "done"


def test_a_missing_source():
    (outcome,) = run(
        plan([Path("nowhere.mp4")], None, recursive=False),
        lambda job: Outcome(job, "done"),
        overwrite=False,
        done_log=DONE_LOG,
    )
    assert "nowhere.mp4: no such file" in str(outcome.error)


@pytest.mark.parametrize("overwrite", [True, False])
def test_the_same_command_goes_on_where_it_was_stopped(archive, overwrite):
    """Whether or not results of earlier commands are to be replaced."""
    sources = [archive / name for name in ("a.mp4", "b.avi", "old/c.mkv")]
    jobs, made = plan(sources, archive / "out", recursive=False), []

    def work(job, stop=None):
        if job.source.name == stop:
            raise KeyboardInterrupt
        job.target.write_text(f"made in round {len(made)}")
        made.append(job.source.name)
        return Outcome(job, "done", 1)

    with pytest.raises(KeyboardInterrupt):
        list(run(jobs, lambda job: work(job, stop="c.mkv"), overwrite=overwrite, done_log=DONE_LOG))
    jobs[1].target.write_text("somebody else's")
    outcomes = list(run(jobs, work, overwrite=overwrite, done_log=DONE_LOG))
    assert outcomes[0].status == "skipped"
    # What was changed since is no longer the result of that command.
    assert outcomes[1].status == ("done" if overwrite else "failed")
    assert outcomes[2].status == "done"
    assert made == ["a.mp4", "b.avi", *(["b.avi"] if overwrite else []), "c.mkv"]
    assert not list((archive / "out").glob(".*")), "the log goes when the command has ended"
    (again, *_) = run(jobs, work, overwrite=overwrite, done_log=DONE_LOG)
    assert again.status == ("done" if overwrite else "failed")


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("CUDA error:\nlaunch failure"),
        UnicodeEncodeError("utf-8", "\udcff", 0, 1, "surrogates not allowed"),
        AssertionError(),
    ],
)
def test_an_unforeseen_error_fails_one_file_and_is_logged(archive, error, caplog):
    jobs = plan([archive / name for name in ("b.avi", "old/c.mkv")], None, recursive=False)

    def work(job):
        if job.source.name == "b.avi":
            raise error
        return Outcome(job, "done", 1)

    outcomes = list(run(jobs, work, overwrite=False, done_log=DONE_LOG))
    assert [outcome.status for outcome in outcomes] == ["failed", "done"]
    said = str(outcomes[0].error)
    assert "b.avi" in said
    assert "\n" not in said
    assert "Traceback" in caplog.text


def test_ctrl_c_ends_all_files(archive):
    def work(job):
        raise KeyboardInterrupt

    jobs = plan([archive], None, recursive=True)
    with pytest.raises(KeyboardInterrupt):
        list(run(jobs, work, overwrite=False, done_log=DONE_LOG))


def test_a_name_that_is_not_utf8_fails_alone_at_most(clip, tmp_path):
    for name in ("a.mp4", os.fsdecode(b"m\xff.mp4"), "z.mp4"):
        (tmp_path / name).write_bytes(clip.read_bytes())
    words = [str(tmp_path), "--render-factor", "4", "--device", "cpu", "--preset", "ultrafast"]
    # A process of its own: pytest-xdist cannot carry such names in what a test logs.
    ended = subprocess.run(
        [sys.executable, "-m", "vidcolor", *words, "--end", "0.2", "--json"],
        capture_output=True,
        check=False,
    )
    assert ended.returncode in (0, 1)
    assert b"Traceback" not in ended.stderr
    outcomes = json.loads(ended.stdout)
    assert len(outcomes) == 3
    assert [outcomes[0]["status"], outcomes[2]["status"]] == ["done", "done"]
