"""Reading a film from where an earlier run stopped."""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import islice

from vidcolor.errors import MediaError
from vidcolor.media.probe import Film
from vidcolor.media.process import Interrupted
from vidcolor.media.read import LumaFrame, LumaFrames, read_luma
from vidcolor.resume.manifest import Tail
from vidcolor.resume.store import PieceStore, tail_of


@contextmanager
def read_on(
    film: Film,
    store: PieceStore,
    size: tuple[int, int],
    *,
    guide: tuple[int, int] | None,
    full: int | None,
    start: float | None,
    end: float | None,
    warn: Callable[[str], object],
) -> Iterator[LumaFrames]:
    """The luma of all frames after those that `store` has; the others as for `read_luma`.

    A run that continues seeks to the last of them and compares the frames there with those that
    were read then; where that differs, it decodes the film from its beginning instead.
    """
    tail = store.tail
    read = partial(read_luma, film, size, end=end, guide=guide, full=full, warn=warn)
    with ExitStack() as stack:
        if tail and store.manifest.seekable:
            frames = stack.enter_context(read(start=since_start(film, tail[0][0])))
            if _begin_as(frames, tail):
                yield frames
                return
            stack.close()
        frames = stack.enter_context(read(start=start))
        skip(frames, store.manifest.frames, tail, film)
        yield frames


def _begin_as(frames: Iterator[LumaFrame], tail: Tail) -> bool:
    """Whether the first frames are those of `tail`; False too where a seek leads to no frame."""
    try:
        return tail_of(islice(frames, len(tail))) == tail
    except Interrupted:
        raise
    except MediaError:
        return False


def skip(frames: Iterator[LumaFrame], count: int, tail: Tail, film: Film) -> None:
    """Pass over the frames that are finished. Raises MediaError where they are not those."""
    if not count:
        return
    last = deque(islice(frames, count), maxlen=len(tail))
    # Damaged pictures differ from one decoding to the next; their times do not.
    if [frame.pts for frame in last] != [pts for pts, _ in tail]:
        raise not_as_before(film)


def not_as_before(film: Film) -> MediaError:
    """The error for a film whose kept frames cannot be matched with what is decoded now."""
    return MediaError(f"{film.path} is not decoded as it was before; add --fresh to start over")


def since_start(film: Film, pts: int) -> float:
    """Seconds from the film's beginning."""
    return float(pts * film.time_base) - (film.start or 0.0)
