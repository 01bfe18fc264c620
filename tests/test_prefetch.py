"""Stages that run ahead: order, errors, and an end to it."""

import threading
import time

import pytest

from vidcolor.prefetch import prefetch


def test_order_is_kept_through_two_stages():
    doubled = prefetch(2 * number for number in prefetch(iter(range(100))))
    assert list(doubled) == list(range(0, 200, 2))


def test_an_error_in_a_thread_arrives_where_the_items_are_used():
    def broken():
        yield 1
        raise ValueError("second item")

    items = prefetch(broken())
    assert next(items) == 1
    with pytest.raises(ValueError, match="second item"):
        next(items)


def test_no_more_than_depth_items_are_made_in_advance():
    made = []

    def count():
        for number in range(100):
            made.append(number)
            yield number

    items = prefetch(count(), depth=2)
    next(items)
    time.sleep(0.2)
    assert len(made) <= 4  # one used, two waiting, one in hand
    items.close()


def test_closing_the_last_stage_closes_the_first_and_leaves_no_thread():
    closed = threading.Event()

    def endless():
        try:
            while True:
                yield 0
        finally:
            closed.set()

    before = threading.active_count()
    items = prefetch(prefetch(endless()))
    next(items)
    items.close()
    assert closed.is_set()
    assert threading.active_count() == before
