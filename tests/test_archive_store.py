"""Stores, claims and scratch folders of `vidcolor archive`, without a film."""

import errno
import json
import os
import threading
from pathlib import Path

import pytest

from vidcolor.archive.claims import MOST, Claimed, Claims, TooManyDeathsError
from vidcolor.archive.films import find_films
from vidcolor.archive.journal import Journal
from vidcolor.archive.layout import RUNS, FilmFolder, SourceFilm, film_folder, read_record
from vidcolor.archive.local_store import LocalStore
from vidcolor.archive.scratch import ChangedSourceError, Scratch
from vidcolor.archive.status import archive_state
from vidcolor.archive.store import Entry, check_creates_once, check_name, open_store
from vidcolor.errors import MediaError, StorageError, VidcolorError

FOLDER = FilmFolder(".vidcolor/00")


@pytest.mark.parametrize("name", ["", "/etc/x", "../x", "a/../../x", "a//b", "./x", "a/.", "a\0b"])
def test_no_name_leads_out_of_a_store(tmp_path: Path, name: str):
    store = LocalStore(tmp_path / "store")
    with pytest.raises(VidcolorError, match="not a name"):
        check_name(name)
    for request in (store.stat, store.read, lambda name: store.create(name, b"x")):
        with pytest.raises(VidcolorError):
            request(name)


def test_a_folder_that_is_a_link_is_not_followed(tmp_path: Path):
    (outside := tmp_path / "outside").mkdir()
    (outside / "secret.mp4").write_bytes(b"secret")
    (root := tmp_path / "store").mkdir()
    (root / "films").symlink_to(outside)
    (root / "film.mp4").symlink_to(outside / "secret.mp4")
    store = LocalStore(root)
    assert list(store.list()) == []
    for request in (
        lambda: store.create("films/new.mp4", b"x"),
        lambda: store.write("films/new.json", b"x"),
        lambda: store.read("films/secret.mp4"),
        lambda: store.local_path("film.mp4"),
    ):
        with pytest.raises((StorageError, OSError)):
            request()
    assert [path.name for path in outside.iterdir()] == ["secret.mp4"]
    assert not store.create("film.mp4", b"x")
    store.write("film.mp4", b"x")  # takes the link's place
    assert (outside / "secret.mp4").read_bytes() == b"secret"


def test_of_many_writers_one_wins(tmp_path: Path):
    store = LocalStore(tmp_path / "store")
    won = []

    def create(number: int) -> None:
        if store.create("deep/film.mp4", str(number).encode() * 100_000):
            won.append(str(number))

    threads = [threading.Thread(target=create, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert store.read("deep/film.mp4") == won[0].encode() * 100_000
    assert [entry.name for entry in store.list(".vidcolor")] == []


def test_a_store_that_overwrites_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    store = LocalStore(tmp_path)
    check_creates_once(store, ".vidcolor/probe")
    monkeypatch.setattr(store, "create", lambda name, content: store.write(name, content) or True)
    with pytest.raises(StorageError, match="does not refuse to overwrite"):
        check_creates_once(store, ".vidcolor/probe")


def test_what_is_claimed_is_not_done_by_another_run(tmp_path: Path):
    now = [1000.0]
    store = LocalStore(tmp_path)
    claims = {run: Claims(store, run, "here", 60.0, lambda: now[0]) for run in ("one", "two")}
    with claims["one"].taken(FOLDER, "film", "a.mp4") as generation:
        assert generation == 1
        with pytest.raises(Claimed) as claimed, claims["two"].taken(FOLDER, "film", "a.mp4"):
            pass
        assert 0 < claimed.value.seconds <= 60
        with claims["two"].taken(FOLDER, "00001", "a.mp4"):
            pass
    with claims["two"].taken(FOLDER, "film", "a.mp4") as generation:
        assert generation == 1


def test_what_a_dead_worker_claimed_is_taken_over(tmp_path: Path):
    now = [1000.0]
    store = LocalStore(tmp_path)
    one, two = (Claims(store, run, "here", 60.0, lambda: now[0]) for run in ("one", "two"))
    dead = one._take(FOLDER, "film", {"run": "one", "token": "dead"})  # never renewed
    assert dead == 1
    with pytest.raises(Claimed), two.taken(FOLDER, "film", "a.mp4"):
        pass
    with one.taken(FOLDER, "film", "a.mp4") as generation:  # its own run knows that it is dead
        assert generation == 2
    now[0] += 61
    with two.taken(FOLDER, "film", "a.mp4") as generation:
        assert generation == 2


def test_a_claim_is_renewed_while_the_work_goes_on(tmp_path: Path):
    store = LocalStore(tmp_path)
    one = Claims(store, "one", "here", 0.4)
    with one.taken(FOLDER, "film", "a.mp4"):
        before = json.loads(store.read(FOLDER.claim("film", 1)) or b"")["expires"]
        for _ in range(100):
            threading.Event().wait(0.05)
            if json.loads(store.read(FOLDER.claim("film", 1)) or b"")["expires"] > before:
                break
        else:
            pytest.fail("the claim was not renewed")
    assert store.read(FOLDER.claim("film", 1)) is None


def test_what_kills_every_worker_is_given_up(tmp_path: Path):
    claims = Claims(LocalStore(tmp_path), "one", "here")
    for _ in range(MOST):
        claims._take(FOLDER, "film", {"run": "one"})
    with pytest.raises(TooManyDeathsError, match="8 workers died"):
        claims._take(FOLDER, "film", {"run": "one"})


def test_something_else_under_a_claims_name_does_not_stop_the_work(tmp_path: Path):
    store = LocalStore(tmp_path)
    store.write(FOLDER.claim("film", 1), b"\xff no claim")
    with Claims(store, "one", "here").taken(FOLDER, "film", "a.mp4") as generation:
        assert generation == 2


def test_a_record_never_names_an_object_elsewhere(tmp_path: Path):
    store = LocalStore(tmp_path)
    record = {"data": "../film.mp4", "sha256": "0" * 64, "size": 1, "first_pts": 0, "frames": 1}
    for changed in (record, {**record, "seconds": 1.0}, {"data": []}, []):
        store.write(FOLDER.record(0), json.dumps(changed).encode())
        assert read_record(store, FOLDER, 0) is None


def test_films_are_found_longest_first_without_results_and_hidden_ones(tmp_path: Path):
    source, target = tmp_path / "source", tmp_path / "target"
    for name, size in {
        "small.mp4": 1,
        "deep/large.avi": 9,
        "done.mkv": 5,
        ".hidden/x.mp4": 7,
        "old.color.mp4": 3,
        "photo.jpg": 2,
        "a.avi.mkv": 2,
        "a.avi": 3,
        "notes.txt": 2,
    }.items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes(bytes(size))
    (source / "link.mp4").symlink_to(source / "small.mp4")
    target.mkdir()
    (target / "done.color.mkv").write_bytes(b"x")
    found = find_films(open_store(str(source)), open_store(str(target)))
    names = [(film.name, film.target) for film in found.films]
    assert names[0] == ("deep/large.avi", "deep/large.avi.color.mkv")
    assert names[-1] == ("small.mp4", "small.color.mp4")
    assert (found.done, found.stills) == (1, 1)
    # a.avi.mkv and a.avi would both become a.avi.color.mkv.
    assert len(found.refused) == 1
    assert "both become a.avi.color.mkv" in found.refused[0][1]


def test_a_place_without_films_is_an_error(tmp_path: Path):
    with pytest.raises(VidcolorError, match="no films in"):
        find_films(open_store(str(tmp_path)), open_store(str(tmp_path / "x")))


def test_the_list_of_finished_films_has_those_that_a_listing_misses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    store = LocalStore(tmp_path)
    journal = Journal(store)
    for name in ("a", "b"):
        folder = FilmFolder(f".vidcolor/{name}")
        film = SourceFilm(f"{name}.mp4", 1, "", f"{name}.color.mp4")
        record = {"film": film.name, "result": film.target, "folder": folder.path}
        store.write(folder.done, json.dumps(record).encode())
        store.write(film.target, b"film")
        journal.note_done(film, folder)
    seen = store.list

    def lagging(folder: str = "") -> list[Entry]:
        return [entry for entry in seen(folder) if "a" in entry.name.replace(".vidcolor", "")]

    monkeypatch.setattr(store, "list", lagging)
    for _ in range(2):
        journal.publish(complete=True)
        lines = (store.read("done.jsonl") or b"").splitlines()
        assert sorted(json.loads(line)["film"] for line in lines) == ["a.mp4", "b.mp4"]


class Remote(LocalStore):
    """A store whose films have to be fetched."""

    fetched = 0

    def local_path(self, name: str) -> None:
        return None

    def fetch(self, name: str, path: Path) -> None:
        self.fetched += 1
        path.write_bytes((self.root / name).read_bytes())


def a_film(store: LocalStore, content: bytes = b"film") -> SourceFilm:
    store.write("a.mp4", content)
    entry = store.stat("a.mp4")
    assert entry
    return SourceFilm("a.mp4", entry.size, entry.version, "a.color.mp4")


def test_a_film_is_fetched_once_for_all_workers_of_a_machine(tmp_path: Path):
    store = Remote(tmp_path / "store")
    film = a_film(store)
    folder = film_folder(film, "settings")
    for _ in range(2):
        with Scratch(tmp_path / "scratch").source(store, film, folder) as path:
            assert path.read_bytes() == b"film"
    assert store.fetched == 1


@pytest.mark.parametrize("kind", [LocalStore, Remote])
def test_a_film_that_changes_meanwhile_is_noticed(tmp_path: Path, kind: type[LocalStore]):
    store = kind(tmp_path / "store")
    film = a_film(store)
    store.write("a.mp4", b"other")
    scratch = Scratch(tmp_path / "scratch")
    with (
        pytest.raises(ChangedSourceError, match=r"a\.mp4 was changed"),
        scratch.source(store, film, film_folder(film, "")),
    ):
        pass
    store.remove(["a.mp4"])
    with (
        pytest.raises(ChangedSourceError, match="no longer there"),
        scratch.source(store, film, film_folder(film, "")),
    ):
        pass


def test_models_of_one_name_are_told_apart(tmp_path: Path):
    scratch = Scratch(tmp_path / "scratch")
    first = scratch.model("mine.pth", b"first")
    assert scratch.model("mine.pth", b"first") == first
    second = scratch.model("mine.pth", b"second")
    assert (first.read_bytes(), second.read_bytes()) == (b"first", b"second")
    assert first.name == second.name == "mine.pth"


def test_scratch_is_not_put_where_somebody_elses_link_leads(tmp_path: Path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "scratch").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(MediaError, match="is not a folder that vidcolor made"):
        Scratch(tmp_path / "scratch")


def test_what_killed_workers_left_in_scratch_is_removed(tmp_path: Path):
    scratch = Scratch(tmp_path / "scratch")
    left = tmp_path / "scratch" / "work" / "left"
    left.mkdir()
    (left / "piece.part").write_bytes(b"x")
    os.utime(left, (0, 0))
    with scratch.work_folder() as used:
        os.utime(used, (0, 0))
        Scratch(tmp_path / "scratch")
        assert used.exists()
    assert not left.exists()
    assert not used.exists()


ODD = ["1e400", "-1e400", "NaN", "1" + "0" * 400, "99999999999999", '"soon"', "[1]", "true", "null"]
"""What may stand in a record for a time."""


@pytest.mark.parametrize("expires", ODD)
def test_a_claim_until_some_odd_time_does_not_count(tmp_path: Path, expires: str):
    """That of a clock which is years ahead would keep everyone from a film for years."""
    store = LocalStore(tmp_path)
    store.write(FOLDER.claim("film", 1), f'{{"run": "x", "expires": {expires}}}'.encode())
    with Claims(store, "one", "here").taken(FOLDER, "film", "a.mp4") as generation:
        assert generation == 2
        assert archive_state(store).open[0].working == 1


@pytest.mark.parametrize("updated", ODD)
def test_the_state_can_be_told_whatever_stands_in_a_record(tmp_path: Path, updated: str):
    store = LocalStore(tmp_path)
    store.write(f"{RUNS}/one.json", f'{{"updated": {updated}}}'.encode())
    assert archive_state(store).runs[0]["state"] in ("running", "stopped")


def test_the_lists_are_written_whatever_stands_in_them(tmp_path: Path):
    store = LocalStore(tmp_path)
    store.write("a.color.mp4", b"film")
    good = {"film": "a.mp4", "result": "a.color.mp4", "folder": ".vidcolor/a"}
    odd = ['{"result": ["a"]}', '{"result": "a.color.mp4", "folder": {}}', "[" * 100_000, "[]", "{"]
    store.write("done.jsonl", "\n".join(odd[:1] + odd[2:]).encode())
    store.write(".vidcolor/a/done.json", json.dumps(good).encode())
    store.write(".vidcolor/b/done.json", b'{"result": {"x": 1}}')
    Journal(store).publish(complete=True)
    assert json.loads(store.read("done.jsonl") or b"") == good
    store.write("done.jsonl", odd[1].encode())
    Journal(store).publish(complete=True)
    assert json.loads(store.read("done.jsonl") or b"")["result"] == "a.color.mp4"


@pytest.mark.parametrize("linked", [True, False])
def test_neither_links_nor_pipes_are_fetched(
    tmp_path: Path, linked: bool, monkeypatch: pytest.MonkeyPatch
):
    """A pipe would be waited for without end, a link would lead out of the store."""
    (tmp_path / "secret").write_text("secret")
    (root := tmp_path / "store").mkdir()
    (root / "link").symlink_to(tmp_path / "secret")
    os.mkfifo(root / "pipe")
    if not linked:  # as on another file system

        def refuse(*arguments: object, **named: object) -> None:
            raise OSError(errno.EXDEV, "another file system")

        monkeypatch.setattr(os, "link", refuse)
    for name in ("link", "pipe"):
        with pytest.raises((StorageError, OSError)):
            LocalStore(root).fetch(name, tmp_path / "fetched")
        assert not os.path.lexists(tmp_path / "fetched")
