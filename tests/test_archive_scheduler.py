"""The scheduler alone: whatever workers answer, every film ends once."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from vidcolor.archive.layout import SourceFilm
from vidcolor.archive.scheduler import ATTEMPTS, STORAGE_GONE, Scheduler
from vidcolor.archive.task import (
    Busy,
    Failure,
    FilmDone,
    Missing,
    PieceDone,
    Planned,
    Quarantined,
    Task,
)

DONE = FilmDone(made=True, frames=10)


def films(count: int) -> list[SourceFilm]:
    return [SourceFilm(f"{number}.mp4", 100 - number, "", "") for number in range(count)]


def one_task(scheduler: Scheduler, now: float = 0.0) -> tuple[str, Task]:
    (given,) = scheduler.assign(now)
    return given


def test_a_film_with_pieces_is_joined_when_all_of_them_are_finished():
    scheduler = Scheduler(films(1))
    scheduler.add_worker("a", "here")
    scheduler.add_worker("b", "here")
    name, task = one_task(scheduler)
    assert task.unit == "film"
    scheduler.report(name, Planned(3, frozenset([1])), 0)
    given = dict(scheduler.assign(0))
    assert sorted((task.unit, task.number) for task in given.values()) == [
        ("piece", 0),
        ("piece", 2),
    ]
    for name in given:
        scheduler.report(name, PieceDone(frames=5), 0)
    name, task = one_task(scheduler)
    assert task.unit == "join"
    scheduler.report(name, DONE, 0)
    assert not list(scheduler.assign(0))
    assert scheduler.finished
    assert (scheduler.totals.done, scheduler.totals.frames, scheduler.totals.pieces) == (1, 10, 2)


def test_long_films_come_first_and_begun_films_before_new_ones():
    scheduler = Scheduler(films(3))
    scheduler.add_worker("a", "here")
    name, task = one_task(scheduler)
    assert task.film.name == "0.mp4"
    scheduler.report(name, Planned(2), 0)
    assert one_task(scheduler)[1] == Task(task.film, "piece", 0)


def test_a_machine_goes_on_with_the_film_that_it_has():
    scheduler = Scheduler(films(2))
    for worker in ("a", "b"):
        scheduler.add_worker(worker, f"machine {worker}")
    given = dict(scheduler.assign(0))
    for name in given:
        scheduler.report(name, Planned(3), 0)
    for name, task in scheduler.assign(0):
        assert task.film == given[name].film


def test_what_a_lost_worker_did_is_given_to_another_one():
    scheduler = Scheduler(films(1))
    scheduler.add_worker("a", "here")
    _, task = one_task(scheduler)
    scheduler.remove_worker("a", 0.0)
    scheduler.add_worker("b", "there")
    assert not list(scheduler.assign(0.0))
    assert one_task(scheduler, 10.0) == ("b", task)
    assert scheduler.totals.retries == {"lost": 1}


def test_failures_are_bounded_and_quarantined_films_are_left_alone():
    scheduler = Scheduler(films(2))
    scheduler.add_worker("a", "here")
    now = 0.0
    one_task(scheduler)
    scheduler.report("a", Quarantined("earlier"), now)
    tried = 0
    while given := list(scheduler.assign(now)):
        assert len(given) == 1
        scheduler.report("a", Failure("storage", "slow down"), now)
        tried += 1
        now += 100
    assert tried == ATTEMPTS["storage"]
    assert scheduler.finished
    assert scheduler.totals.failures == {"earlier": 1, "storage": 1}


def test_the_rest_is_not_tried_when_the_storage_is_gone():
    scheduler = Scheduler(films(STORAGE_GONE * 3))
    scheduler.add_worker("a", "here")
    now = 0.0
    while not scheduler.storage_is_gone:
        now += 100
        for name, _ in list(scheduler.assign(now)):
            scheduler.report(name, Failure("storage", "away"), now)
    while scheduler.open_films:
        now += 100
        for name, _ in list(scheduler.assign(now)):
            scheduler.report(name, Failure("storage", "away"), now)
    assert not list(scheduler.assign(now))
    assert not scheduler.finished


def test_workers_that_only_join_do_nothing_else():
    scheduler = Scheduler(films(1))
    scheduler.add_worker("join", "here", colors=False)
    assert not list(scheduler.assign(0))
    scheduler.add_worker("color", "here", joins=False)
    name, _ = one_task(scheduler)
    scheduler.report(name, Planned(1), 0)
    name, _ = one_task(scheduler)
    scheduler.report(name, PieceDone(), 0)
    assert one_task(scheduler)[0] == "join"


@given(st.data())
def test_every_film_ends_once_whatever_happens(data: st.DataObject):
    count = data.draw(st.integers(0, 4))
    scheduler = Scheduler(films(count))
    working: dict[str, Task] = {}
    names = iter(range(10**6))
    ended: Counter[str] = Counter()
    for now in range(0, 10**6, 100):
        if not working and len(scheduler._workers) < 2:
            scheduler.add_worker(f"{next(names)}", f"machine {data.draw(st.integers(0, 1))}")
        for name, task in scheduler.assign(float(now)):
            assert task not in working.values(), "two workers do the same"
            working[name] = task
        while scheduler.ended:
            ended[scheduler.ended.popleft().film.name] += 1
        if scheduler.finished:
            break
        if not working:
            continue
        name = data.draw(st.sampled_from(sorted(working)))
        task = working.pop(name)
        outcomes = [
            *(Failure(cause, "x") for cause in ATTEMPTS),
            *([PieceDone(1)] * 4 if task.unit == "piece" else [DONE] * 4),
            Busy(1.0),
            *([Planned(2), Planned(2, frozenset([0, 1]))] if task.unit == "film" else []),
            *([Missing(frozenset([0]))] if task.unit == "join" else []),
            FilmDone(made=False),
            None,
        ]
        outcome = data.draw(st.sampled_from(outcomes))
        if outcome is None:
            scheduler.remove_worker(name, float(now))
        else:
            scheduler.report(name, outcome, float(now))
    assert scheduler.finished
    assert ended == {film.name: 1 for film in films(count)}
    assert scheduler.totals.done + scheduler.totals.failed == count
