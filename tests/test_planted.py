"""Links and files that somebody else put under the names of our work files."""

import json
import os
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from vidcolor.batch import Outcome, plan, run
from vidcolor.cli import vidcolor
from vidcolor.errors import MediaError
from vidcolor.film import colorize_film
from vidcolor.media.containers import EncodeSettings
from vidcolor.resume.done_log import KEPT, DoneLog
from vidcolor.resume.work_folder import ABANDONED, is_running, piece_folder, sweep
from vidcolor.settings import FilmSettings

FAST = FilmSettings(encode=EncodeSettings(preset="ultrafast"))


@pytest.fixture
def victim(tmp_path):
    """A folder that is none of our business."""
    folder = tmp_path / "victim"
    (folder / "run-photos").mkdir(parents=True)
    (folder / "run-photos" / "a.jpg").write_bytes(b"a photo")
    (folder / "lock").write_bytes(b"not a lock")
    (folder / "manifest.json").write_bytes(b"{}")
    (folder / "letter.txt").write_bytes(b"Dear")
    return folder


@pytest.fixture
def place(tmp_path):
    folder = tmp_path / "films"
    folder.mkdir()
    return folder


def content(folder: Path) -> dict[str, bytes | None]:
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


def age(path: Path) -> None:
    long_ago = time.time() - max(ABANDONED, KEPT) - 60
    os.utime(path, (long_ago, long_ago), follow_symlinks=False)


def refused(clip: Path, target: Path, colorizer) -> str:
    with pytest.raises(MediaError) as caught:
        colorize_film(clip, target, colorizer, FAST)
    assert "\n" not in str(caught.value)
    assert "remove" in str(caught.value)
    assert not target.exists()
    return str(caught.value)


def test_a_work_folder_that_is_a_link(clip, colorizer, place, victim):
    target, before = place / "out.mp4", content(victim)
    piece_folder(target).symlink_to("../victim")
    said = refused(clip, target, colorizer)
    assert str(piece_folder(target)) in said
    assert content(victim) == before
    assert piece_folder(target).is_symlink()


def test_a_work_folder_that_is_a_link_to_nothing(clip, colorizer, place, tmp_path):
    target = place / "out.mp4"
    piece_folder(target).symlink_to("../nowhere")
    refused(clip, target, colorizer)
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize(
    "name", ["lock", "manifest.json", "piece-00000", "piece-00000.npz", "run-x", "anything"]
)
def test_links_in_a_work_folder(clip, colorizer, place, victim, name):
    target, before = place / "out.mp4", content(victim)
    piece_folder(target).mkdir()
    (piece_folder(target) / name).symlink_to(victim / "lock")
    assert name in refused(clip, target, colorizer)
    assert content(victim) == before


def test_a_lock_that_is_another_name_of_a_file(clip, colorizer, place, victim):
    target, before = place / "out.mp4", content(victim)
    piece_folder(target).mkdir()
    (piece_folder(target) / "lock").hardlink_to(victim / "lock")
    refused(clip, target, colorizer)
    assert content(victim) == before


def test_a_pipe_in_a_work_folder_is_not_waited_for(clip, colorizer, place):
    target = place / "out.mp4"
    piece_folder(target).mkdir()
    os.mkfifo(piece_folder(target) / "manifest.json")
    result = CliRunner().invoke(vidcolor, ["status", str(place)])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    refused(clip, target, colorizer)


@pytest.mark.skipif(os.geteuid() != 0, reason="only the superuser gives files away")
def test_a_work_folder_of_another_user(clip, colorizer, place):
    target = place / "out.mp4"
    piece_folder(target).mkdir()
    os.chown(piece_folder(target), 12345, 12345)
    refused(clip, target, colorizer)
    os.chown(piece_folder(target), 0, 0)
    (piece_folder(target) / "piece-00000").touch()
    os.chown(piece_folder(target) / "piece-00000", 12345, 12345)
    refused(clip, target, colorizer)


def test_a_work_folder_is_for_its_user_alone(clip, colorizer, place):
    modes = []

    def look(done: int, total: int | None) -> None:
        modes.append(piece_folder(place / "out.mp4").stat().st_mode & 0o777)

    colorize_film(clip, place / "out.mp4", colorizer, FAST, on_frame=look)
    assert set(modes) == {0o700}


def test_names_in_a_manifest_do_not_lead_out_of_the_folder(clip, colorizer, place, victim):
    target = place / "out.mp4"
    before = content(victim)
    folder = piece_folder(target)
    folder.mkdir()
    piece = {"name": "../../victim/letter.txt", "size": 4, "crc": 0, "first_pts": 0, "frames": 12}
    entry = {"format": 2, "source": {"path": "x"}, "target": "out.mp4", "settings": {}}
    rest = {"total": 12, "seekable": True, "complete": True, "result": None, "checkpoints": []}
    (folder / "manifest.json").write_text(
        json.dumps({**entry, **rest, "pieces": [{**piece, "tail": [[0, 0]]}]})
    )
    assert colorize_film(clip, target, colorizer, FAST).kept == 0
    assert content(victim) == before


def test_sweeping_removes_nothing_that_a_link_leads_to(place, victim):
    before = content(victim)
    for name in ("0123456789abcdef", "old12345"):
        link = place / f".vidcolor-{name}"
        link.symlink_to(victim)
        age(link)
    age(victim)
    sweep(place)
    assert content(victim) == before
    assert len(list(place.iterdir())) == 2
    assert not is_running(place / ".vidcolor-0123456789abcdef")
    assert content(victim) == before


def test_sweeping_leaves_folders_alone_that_have_other_names(place):
    notes = place / ".vidcolor-my-notes"
    notes.mkdir()
    (notes / "a.txt").touch()
    age(notes / "a.txt")
    age(notes)
    sweep(place)
    assert (notes / "a.txt").exists()


def two_films(place: Path):
    for name in ("a$(touch PWNED).mp4", "b.mp4"):
        (place / name).touch()
    return plan([place], place / "out", recursive=False)


def work(job):
    job.target.write_bytes(b"colored")
    return Outcome(job, "done", 1)


def log_file(place: Path) -> Path:
    """Where a command notes what it has done."""
    jobs = two_films(place)
    outcomes = run(jobs, work, overwrite=True, done_log=DoneLog({}))
    next(outcomes)
    (log,) = (place / "out").glob(".vidcolor-*.done")
    log.unlink()
    return log


@pytest.mark.parametrize("kind", ["link", "hard link", "pipe"])
def test_a_done_log_that_is_a_link(place, victim, kind):
    log, target = log_file(place), victim / "letter.txt"
    if kind == "link":
        log.symlink_to(target)
    elif kind == "hard link":
        log.hardlink_to(target)
    else:
        os.mkfifo(log)
    outcomes = list(run(two_films(place), work, overwrite=True, done_log=DoneLog({})))
    assert [outcome.status for outcome in outcomes] == ["done", "done"]
    assert target.read_bytes() == b"Dear"


def test_an_old_done_log_that_is_a_link_stays(place, victim):
    log = log_file(place)
    log.symlink_to(victim / "letter.txt")
    age(log)
    list(run(two_films(place), work, overwrite=True, done_log=DoneLog({"other": 1})))
    assert log.is_symlink()
    assert (victim / "letter.txt").read_bytes() == b"Dear"
