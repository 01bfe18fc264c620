"""Tiny films, with and without cuts, and what a machine alone makes of them."""

import math
import random
import subprocess
from pathlib import Path

from speed import ffmpeg

from vidcolor import Colorizer, colorize_film
from vidcolor.batch import result_name
from vidcolor.inference.settings import RenderSettings
from vidcolor.media.binary import find_ffmpeg
from vidcolor.media.probe import probe
from vidcolor.resume.plan import plan_film
from vidcolor.resume.store import PieceSettings
from vidcolor.settings import FilmSettings
from vidcolor.shots import scan_film
from vidcolor.weights.catalog import LITE
from vidcolor.weights.checkpoint import load_generator
from vidcolor.weights.places import carried_folder

PIECE_SECONDS = 0.7

RENDER_FACTOR = 4

SHOTS = ("testsrc2", "mandelbrot", "smptebars", "gradients=speed=0.1", "cellauto=rule=30")


def make_films(folder: Path, count: int, seed: int = 1, size: str = "64x48") -> None:
    """Gray films of 12 to 66 frames with sound, every fourth of them of three shots."""
    numbers = random.Random(seed)
    for number in range(count):
        path = folder / f"{number % 3}" / f"film {number:03d}.{('mp4', 'mkv')[number % 2]}"
        path.parent.mkdir(parents=True, exist_ok=True)
        frames = [numbers.randint(12, 50)]
        if number % 4 == 0:
            frames = [numbers.randint(18, 22) for _ in range(3)]
        make_film(path, frames, size, first=number)


def make_film(path: Path, shots: list[int], size: str = "64x48", first: int = 0) -> None:
    """One film with shots of so many frames."""
    inputs, graph = [], ""
    for place, frames in enumerate(shots):
        source = SHOTS[(first + place) % len(SHOTS)]
        source += ":" if "=" in source else "="
        inputs += ["-f", "lavfi", "-i", f"{source}size={size}:rate=25"]
        graph += f"[{place}]trim=end_frame={frames},setsar=1,format=yuv420p[s{place}];"
    graph += "".join(f"[s{place}]" for place in range(len(shots)))
    graph += f"concat=n={len(shots)}:v=1,hue=s=0,format=yuv420p[v]"
    sound = f"sine=frequency={300 + first}:duration={sum(shots) / 25}"
    ffmpeg(
        *(*inputs, "-f", "lavfi", "-i", sound, "-filter_complex", graph),
        *("-map", "[v]", "-map", f"{len(shots)}:a", "-c:v", "libx264", "-preset", "veryfast"),
        *("-g", "12", "-c:a", "aac", str(path)),
    )


def color_alone(source: Path, target: Path) -> None:
    """What `vidcolor` makes of a folder with the same pieces, in one process."""
    generator = load_generator(carried_folder() / LITE.file)
    colorizer = Colorizer(generator, RenderSettings(render_factor=RENDER_FACTOR), device="cpu")
    pieces = PieceSettings(seconds=PIECE_SECONDS, save_every=math.inf)
    for path in sorted(path for path in source.rglob("*") if path.is_file()):
        film = probe(path)
        plan = None
        if not film.duration or film.duration > PIECE_SECONDS:
            plan = plan_film(film, scan_film(film), PIECE_SECONDS)
        place = target / path.relative_to(source).with_name(result_name(path, "film"))
        place.parent.mkdir(parents=True, exist_ok=True)
        colorize_film(path, place, colorizer, FilmSettings(pieces=pieces, plan=plan))


def decoded(path: Path) -> str:
    """Timestamp and hash of every decoded frame of every stream."""
    command = (str(find_ffmpeg().path), "-nostdin", "-v", "error", "-copyts", "-i", str(path))
    return subprocess.run(
        [*command, "-map", "0", "-fps_mode", "passthrough", "-f", "framemd5", "-"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
