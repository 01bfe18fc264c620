"""Single frames of a film in color, for people to paint on, named by their numbers."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from vidcolor.chroma import matrices
from vidcolor.chroma.bars import neutral_bars
from vidcolor.chroma.resize import resize_planes
from vidcolor.chroma.upsample import upsample
from vidcolor.errors import MediaError
from vidcolor.media.graph import pts_at
from vidcolor.media.probe import Film
from vidcolor.media.publish import published
from vidcolor.media.read import LumaFrame, read_luma
from vidcolor.media.scan import Scan, Shot
from vidcolor.pipeline import Work
from vidcolor.resume.plan import Plan, PlannedPiece


def still_name(number: int) -> str:
    """Of the file for a frame, counting from 0: ref_000123.png."""
    return f"ref_{number:06d}.png"


def middles(shots: Iterable[Shot | PlannedPiece]) -> list[int]:
    """The number of the frame in the middle of each shot or piece."""
    return [shot.first_frame + shot.frames // 2 for shot in shots]


def piece_at(plan: Plan, number: int) -> PlannedPiece:
    """The piece that a frame belongs to."""
    return next(piece for piece in reversed(plan.pieces) if piece.first_frame <= number)


def frames_at(film: Film, scan: Scan, times: Sequence[float]) -> list[int]:
    """The numbers of the first frames at or after these times, in seconds of the film.

    Raises MediaError for a time after the last frame.
    """
    numbers = []
    for time in times:
        after = np.flatnonzero(scan.pts >= pts_at(film, time))
        if not len(after):
            raise MediaError(
                f"{film.path} has no frame at or after {time:g} s; it ends before that time"
            )
        numbers.append(int(after[0]))
    return sorted(set(numbers))


def frames_every(film: Film, scan: Scan, seconds: float) -> list[int]:
    """The numbers of the first frames of each stretch of so many seconds."""
    last = float((scan.pts[-1] - scan.pts[0]) * film.time_base)
    times = np.arange(0, last + 1e-9, seconds).tolist()
    return frames_at(film, scan, times)


def write_still(work: Work, scan: Scan, number: int, folder: Path) -> Path:
    """Color one frame, alone, as the film's own colors would be there, and write it as PNG.

    work: on the piece that the frame belongs to.
    Raises MediaError where the frame cannot be read, or the still not be written.
    """
    frame = read_frame(work.film, scan, number, work.size)
    target = folder / still_name(number)
    with published(target) as unfinished:
        Image.fromarray(colored(work, frame)).save(unfinished, "PNG")
    return target


def colored(work: Work, frame: LumaFrame) -> NDArray:
    """(H, W, 3) uint8 RGB at the guide's size."""
    assert frame.guide is not None
    luma = torch.from_numpy(frame.pixels.copy())[None, None]
    guide = torch.from_numpy(frame.guide.copy())[None, None]
    control, colorizer = work.control, work.colorizer
    if control is None:
        chroma = colorizer.chroma(luma)
    else:
        chroma = control.adjust(colorizer.chroma(luma, control.hints([frame])), luma)
    chroma = neutral_bars(chroma.to(colorizer.chroma_device), luma)
    if work.edges == "guided":
        chroma = upsample(chroma, guide.to(chroma.device)).cpu()
    else:
        chroma = resize_planes(chroma.cpu(), guide.shape[2:], "bilinear")
    rgb = matrices.merge(guide / 255, chroma.float())[0]
    return (rgb * 255).round().to(torch.uint8).movedim(0, 2).numpy()


def read_frame(film: Film, scan: Scan, number: int, size: tuple[int, int]) -> LumaFrame:
    """The frame of that number at a size, with a guide of the film's size.

    Raises MediaError where it is not found again.
    """
    pts = int(scan.pts[number])
    start = float(pts * film.time_base) - (film.start or 0.0)
    guide = (film.width, film.height)
    with read_luma(film, size, start=start, seek=scan.seekable, guide=guide) as frames:
        for frame in frames:
            if frame.pts == pts:
                return frame
    raise MediaError(
        f"frame {number} of {film.path} is not found again; check that the film is not damaged or "
        "still being written"
    )
