"""One planned piece of a film: colored and encoded alone, in any process."""

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict, replace
from itertools import chain
from pathlib import Path
from typing import Any

from vidcolor import __version__
from vidcolor.errors import MediaError
from vidcolor.inference.device import choose_precision, precision_name
from vidcolor.media.binary import find_ffmpeg
from vidcolor.media.probe import Film
from vidcolor.media.process import EndedEarly, Interrupted
from vidcolor.media.read import LumaFrame, read_luma
from vidcolor.media.write import Piece, write_piece
from vidcolor.pipeline import Work, encoded_frames
from vidcolor.resume.manifest import plain
from vidcolor.resume.plan import PlannedPiece
from vidcolor.resume.reading import since_start


def color_piece(
    work: Work,
    planned: PlannedPiece,
    path: Path,
    *,
    seekable: bool = True,
    on_frame: Callable[[int], object] = lambda done: None,
) -> Piece:
    """Color and encode the frames of one planned piece, and nothing else, as the file `path`.

    Smoothing begins anew with its first frame, so that the piece is the same wherever, and after
    whichever others, it is made; on a GPU only where `work` says the batch size.
    seekable: as of the plan. Where seeking gives other frames than were planned, the film is
    decoded from its beginning instead.
    on_frame: called with the number of frames of the piece that are done.
    Raises MediaError, also where the film no longer has these frames, and DeviceError.
    """
    if seekable:
        try:
            return _color(work, planned, path, sought=True, on_frame=on_frame)
        except EndedEarly:
            pass
    return _color(work, planned, path, sought=False, on_frame=on_frame)


def piece_digest(work: Work, planned: PlannedPiece) -> str:
    """Hexadecimal digits that differ where what `color_piece` makes may differ.

    The source is not in it, and neither is the number of the piece.
    """
    content = {**settings_of(work), **asdict(planned), "number": None}
    if work.control:
        content["control"] = work.control.digest
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]


def settings_of(work: Work) -> dict[str, Any]:
    """Everything beside the source that the pieces depend on."""
    colorizer = work.colorizer
    # What was asked for: in a folder, the colorizer may have changed to another at an earlier film.
    precision = choose_precision(colorizer.settings.precision, colorizer.device)
    render = replace(colorizer.settings, render_factor=colorizer.render_factor, batch_size=None)
    return plain(
        {
            "vidcolor": __version__,
            "ffmpeg": "{}.{}, {}".format(*find_ffmpeg().version, find_ffmpeg().path),
            "model": f"{colorizer.name} {colorizer.fingerprint[:16]}",
            "device": colorizer.device.type,
            **asdict(render),
            "precision": precision_name(precision),
            **asdict(work.encode),
            "deinterlace": work.film.deinterlace,
            "smooth": work.smooth.strength,
            "edges": work.edges,
        }
    )


def _color(
    work: Work,
    planned: PlannedPiece,
    path: Path,
    *,
    sought: bool,
    on_frame: Callable[[int], object],
) -> Piece:
    film = work.film
    start = since_start(film, planned.begin)
    end = None if planned.end is None else since_start(film, planned.end)
    with (
        read_luma(
            film, work.size, start=start, end=end, seek=sought, guide=work.guide, full=work.full
        ) as luma,
        closing(encoded_frames(_planned(luma, film, planned), work, stop=luma.stop)) as frames,
    ):
        first = next(frames)
        size = (first.chroma.shape[2], first.chroma.shape[1])
        sought_start = start if sought else None
        carried = first.luma.full is not None
        with write_piece(film, path, size, work.encode, start=sought_start, luma=carried) as writer:
            for frame in chain([first], frames):
                writer.write(frame.luma.pts, frame.chroma, frame.luma.full)
                on_frame(writer.frames)
    return writer.piece


def _planned(
    luma: Iterator[LumaFrame], film: Film, planned: PlannedPiece
) -> Iterator[tuple[int, LumaFrame]]:
    """The frames of the piece, with its number. Raises EndedEarly where they are others."""
    done = 0
    try:
        for frame in luma:
            if not done and frame.pts != planned.begin:
                break
            done += 1
            yield planned.number, frame
    except Interrupted:
        raise
    except MediaError as error:
        if done:
            raise
        raise _not_as_planned(film) from error
    if done != planned.frames:
        raise _not_as_planned(film)


def _not_as_planned(film: Film) -> EndedEarly:
    return EndedEarly(
        f"{film.path} is not decoded as it was when its shots were found; check that it is not "
        "damaged or still being written, or add --fresh to start over"
    )
