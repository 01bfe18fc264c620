"""What references and hints are worth: `python benchmarks/references.py CLIPS [EVERY] [NAME...]`.

Of each shot of every color clip in the folder CLIPS, the first, the middle and the last frame with
the clip's own colors is the only reference, as a still beside the film; then 10 squares of 7x7 of
the network's pixels at random places of the middle frame, with their mean color, are the only
hints. Printed: ab PSNR of `lite` alone, and how much more the corrected frames have, in the second
around the reference and over the shot, the frame of the reference left out; "copy" has the
reference's chroma unmoved in all frames. At half the clips' size, that of their chroma; without
smoothing; EVERY: take one frame of so many, which makes the motion faster. NAME: only clips whose
name begins so.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import cv2
import numpy as np
import torch
from clips import clip_planes
from numpy.typing import NDArray
from PIL import Image

from vidcolor.chroma import matrices
from vidcolor.control.corrections import Carry
from vidcolor.control.hints import Hint
from vidcolor.control.references import Reference
from vidcolor.inference.colorizer import Colorizer
from vidcolor.inference.settings import RenderSettings
from vidcolor.media.probe import probe
from vidcolor.media.read import LumaFrame
from vidcolor.metrics.lab import ab
from vidcolor.pipeline import ColoredFrame
from vidcolor.shots import scan_film
from vidcolor.weights.catalog import LITE
from vidcolor.weights.checkpoint import load_generator
from vidcolor.weights.places import carried_folder

POINTS = 10
SIDE = 7
"""Of a hinted square, in pixels of a picture of RENDER pixels squared."""
RENDER = 192


class Shot(NamedTuple):
    """Frames as the pipeline has them, and the truth."""

    name: str
    aspect: float
    rate: float
    """Frames a second that are taken."""
    luma: NDArray
    """(n, h, w) uint8"""
    chroma: NDArray
    """(n, 2, h, w) float32"""
    frames: list[ColoredFrame]

    def rgb(self, number: int, chroma: NDArray) -> NDArray:
        luma = torch.from_numpy(self.luma[number])[None, None] / 255
        planes = torch.from_numpy(np.ascontiguousarray(chroma))[None]
        return matrices.merge(luma, planes)[0].movedim(0, 2).contiguous().numpy()

    def errors(self, chroma: Iterator[NDArray]) -> NDArray:
        """(n,): mean squared error of a and b."""
        pairs = enumerate(zip(chroma, self.chroma, strict=True))
        return np.array(
            [
                ((ab(self.rgb(n, own)) - ab(self.rgb(n, real))) ** 2).mean()
                for n, (own, real) in pairs
            ]
        )

    def corrected(self, part: Carry) -> NDArray:
        """Errors with references or hints."""
        done = part.carry(iter(self.frames))
        size = self.luma.shape[2], self.luma.shape[1]
        planes = (frame.chroma.numpy().transpose(1, 2, 0) for frame in done)
        return self.errors(cv2.resize(one, size).transpose(2, 0, 1) for one in planes)


def shots(path: Path, every: int, colorizer: Colorizer) -> Iterator[Shot]:
    film = probe(path)
    aspect = float(film.width * film.sample_aspect / film.height)
    size = colorizer.luma_size(aspect, 1)
    lines = min(240, film.height)
    planes = [*clip_planes(path, 10**6, lines=lines)]
    for shot in scan_film(film).shots():
        own = planes[shot.first_frame : shot.first_frame + shot.frames : every]
        luma = np.stack([one[0, 0].numpy() for one, _ in own])
        chroma = np.stack([one[0].numpy() for _, one in own])
        small = np.stack([cv2.resize(one, size, interpolation=cv2.INTER_AREA) for one in luma])
        colors = torch.cat(
            [colorizer.chroma(torch.from_numpy(part)[:, None]) for part in np.array_split(small, 9)]
        ).float()
        frames = [
            ColoredFrame(0, LumaFrame(number, small[number], 0.0, luma[number]), one, True)
            for number, one in enumerate(colors)
        ]
        rate = float(film.frame_rate or 25) / every
        yield Shot(f"{path.stem[:14]} {shot.number + 1}", aspect, rate, luma, chroma, frames)


def decibels(errors: NDArray) -> float:
    return float(10 * np.log10(255**2 / errors.mean()))


def referred(shot: Shot, number: int, folder: Path) -> Carry:
    """With one frame's own colors."""
    path = folder / f"ref_{number:06d}.png"
    rgb = shot.rgb(number, shot.chroma[number])
    Image.fromarray((255 * rgb).round().astype(np.uint8)).save(path)
    return Carry(path, shot.aspect, 0, (Reference(number, path),), ())


def hinted(shot: Shot, number: int, seed: int) -> Carry:
    """With random squares of one frame's own colors."""
    random = np.random.default_rng(seed)
    chroma = shot.chroma[number]
    height, width = chroma.shape[1:]
    down, across = SIDE / RENDER * shot.aspect**0.5, SIDE / RENDER / shot.aspect**0.5
    hints = []
    for _ in range(POINTS):
        x, y = random.uniform(0, 1 - across), random.uniform(0, 1 - down)
        place = np.s_[
            round(y * height) : round((y + down) * height),
            round(x * width) : round((x + across) * width),
        ]
        color = chroma[:, *place].mean((1, 2))
        hints.append(Hint(number, (x, y, across, down), False, (float(color[0]), float(color[1]))))
    return Carry(Path(), shot.aspect, 0, (), tuple(hints))


def main() -> None:
    words = sys.argv[2:]
    every = int(words.pop(0)) if words and words[0].isdigit() else 1
    colorizer = Colorizer(load_generator(carried_folder() / LITE.file), device="cpu")
    colorizer = colorizer.with_settings(RenderSettings(precision="fp32"))
    rows = []
    print(f"{'shot':17} {'known':7} lite dB | second: copy  ours | shot: copy  ours", flush=True)
    for path in sorted(Path(sys.argv[1]).glob("c*.mp4")):
        if words and not path.name.startswith(tuple(words)):
            continue
        for shot in shots(path, every, colorizer):
            rows += measured(shot)
    for kind in ("mean", "hints"):
        some = [row[1:] for row in rows if (row[0] == "hints") == (kind == "hints")]
        print_row("all", kind, np.mean(some, 0))
        print_row("worst", kind, np.min(some, 0))


def measured(shot: Shot) -> Iterator[tuple[str, float, float, float, float, float]]:
    """(what is known, dB of `lite`, gains)"""
    count = len(shot.frames)
    plain = shot.errors(matched(shot))
    with TemporaryDirectory() as folder:
        for known, number in (
            *(("first", 0), ("middle", count // 2), ("last", count - 1)),
            ("hints", count // 2),
        ):
            others = np.arange(count) != number
            near = others & (abs(np.arange(count) - number) <= shot.rate / 2)
            copied = shot.errors(iter([shot.chroma[number]] * count))
            part = (
                hinted(shot, number, seed=count)
                if known == "hints"
                else referred(shot, number, Path(folder))
            )
            errors = shot.corrected(part)
            gains = [
                decibels(one[which]) - decibels(plain[which])
                for which in (near, others)
                for one in (copied, errors)
            ]
            row = (decibels(plain[others]), *gains)
            print_row(shot.name, known, np.array(row))
            yield known, *row  # pyright: ignore[reportReturnType]


def matched(shot: Shot) -> Iterator[NDArray]:
    """The network's own chroma at the truth's size."""
    from vidcolor.control.corrections import upsampled

    for frame, luma in zip(shot.frames, shot.luma, strict=True):
        yield upsampled(frame.chroma.numpy(), luma)


def print_row(name: str, known: str, row: NDArray) -> None:
    base, near_copy, near, copy, ours = row
    print(
        f"{name:17} {known:7} {base:7.1f} |        {near_copy:5.1f} {near:5.1f} |"
        f"      {copy:5.1f} {ours:5.1f}",
        flush=True,
    )


if __name__ == "__main__":
    main()
