"""Prefetching: stages of a pipeline that each run in a thread of their own."""

import queue
import threading
from collections.abc import Callable, Generator, Iterable
from contextlib import suppress
from typing import TypeVar

Item = TypeVar("Item")

_END = object()
PATIENCE = 0.2
"""Seconds after which a waiting thread checks whether it has been stopped."""


def prefetch(
    items: Iterable[Item], depth: int = 2, *, stop: Callable[[], object] = lambda: None
) -> Generator[Item, None, None]:
    """Yield `items`, computed in a thread, at most `depth` of them waiting.

    An error in the thread is raised here. Closing the generator stops the thread and closes
    `items` in turn, so that closing the last stage of a pipeline ends all of it.
    stop: called when the generator ends, before its thread is waited for; it must make an item
    that is being computed return or fail soon, where that could otherwise take forever.
    """
    waiting: queue.Queue = queue.Queue(depth)
    unwanted = threading.Event()

    def offer(item: object) -> None:
        while not unwanted.is_set():
            with suppress(queue.Full):
                waiting.put(item, timeout=PATIENCE)
                return

    def work() -> None:
        error: BaseException | None = None
        try:
            for item in items:
                offer((item, None))
                if unwanted.is_set():
                    break
        except BaseException as caught:
            error = caught
        finally:
            if isinstance(items, Generator):
                items.close()
        offer((_END, error))

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        while True:
            item, error = waiting.get()
            if error is not None:
                raise error
            if item is _END:
                return
            yield item
    finally:
        unwanted.set()
        stop()
        thread.join()
