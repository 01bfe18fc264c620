"""Draw `hills.mp4`: five seconds of a meadow, a lake and wooded hills in black and white.

Nothing is photographed: clouds, woods, trees and grass are heaps of shaded points, the ground is
fractal noise, the lake mirrors what stands above it. Everything is painted once, on cut-outs wider
than the frame; each frame slides them past the camera, the near ones faster.

    python examples/render_hills.py [OUT.mp4]      (vidcolor must be installed)

Lengths are in frame heights unless they are called pixels; rows count downwards.
"""

import shutil
import subprocess
import sys
import tempfile
import wave
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from vidcolor.media.binary import find_ffmpeg

Array = NDArray[Any]
Shape = tuple[int, int]

WIDTH, HEIGHT, FRAMES = 640, 360, 120
RATE = Fraction(24000, 1001)
SAMPLE_RATE = 48000
SEED = 1895

HORIZON, SHORE, LAKE_END = 0.50, 0.515, 0.64
TRAVEL = 0.42  # how far the front of the meadow passes by during the film
WIND = 0.004
SCALE = 2  # cut-outs are painted larger and shrunk, which softens the points
HAZE_LUMA = 205
SUN = np.array([-0.62, -0.62, 0.48])  # right, down, towards the viewer


@dataclass(frozen=True, kw_only=True)
class Layer:
    """A painted cut-out, wider than the frame by a little more than `TRAVEL`.

    paint: (h, w, 2) float32, luma times alpha in [0, 255] and alpha in [0, 1].
    nearness: a number or (h, 1), how fast it passes by: 1 at the front of the meadow.
    sway: a number or (h, 1), how far the wind moves it.
    """

    paint: Array
    nearness: float | Array
    sway: float | Array = 0.0


@dataclass(frozen=True)
class Tree:
    """A tree standing at column x and row `root`, `size` high."""

    x: float
    root: float
    size: float
    boughs: int = 34


CLOUDS = [(0.18, 0.22, 0.17), (0.75, 0.12, 0.13), (1.28, 0.25, 0.2), (1.75, 0.16, 0.15)]
CLOUDS += [(0.55, 0.33, 0.07), (0.98, 0.35, 0.06), (1.66, 0.34, 0.07), (2.1, 0.3, 0.12)]
TREES = [Tree(1.52, 0.67, 0.25), Tree(0.27, 0.69, 0.36), Tree(1.72, 0.7, 0.34)]
TREES += [Tree(2.04, 0.82, 0.7, boughs=60)]


def fractal(shape: Shape, cell: tuple[float, float], rng: Generator) -> Array:
    """Fractal noise (h, w), mean 0, deviation 1; `cell`: its coarsest grain, in pixels."""
    noise = np.zeros(shape, np.float32)
    for octave in range(7):
        grid = [int(n * 2**octave / c) + 2 for n, c in zip(shape, cell, strict=True)]
        if octave and max(grid) > max(shape):
            break
        coarse = rng.standard_normal(grid, np.float32)
        noise += 0.55**octave * cv2.resize(coarse, shape[::-1], interpolation=cv2.INTER_CUBIC)
    return (noise - noise.mean()) / noise.std()


def grid(shape: Shape) -> tuple[Array, Array]:
    """Row and column of every pixel, (h, w) float32 each."""
    both = np.indices(shape, np.float32)
    return both[0], both[1]


def balls(centers: Array, radii: Array, count: int, rng: Generator) -> tuple[Array, Array]:
    """Points on balls: `centers` (n, 3), `radii` (n,) -> places and normals, (n * count, 3)."""
    normals = rng.standard_normal((len(centers), count, 3), np.float32)
    normals /= np.linalg.norm(normals, axis=2, keepdims=True)
    places = centers[:, None] + normals * radii[:, None, None]
    return places.reshape(-1, 3), normals.reshape(-1, 3)


def splat(canvas: Array, places: Array, luma: Array, size: int = 1) -> None:
    """Paint points `size` pixels wide on a (h, w, 2) canvas; places (n, 3): x, y, nearest last."""
    order = np.argsort(places[:, 2], kind="stable")
    steps = np.indices((size, size)).reshape(2, 1, -1)
    x, y = (places[order, :2].astype(int).T[..., None] + steps).reshape(2, -1)
    inside = (x >= 0) & (y >= 0) & (x < canvas.shape[1]) & (y < canvas.shape[0])
    canvas[y[inside], x[inside], 0] = np.repeat(luma[order], size * size)[inside]
    canvas[y[inside], x[inside], 1] = 1


def cut_out(luma: Array, alpha: Array | float = 1.0) -> Array:
    """Luma and alpha, (h, w) -> paint (h / SCALE, w / SCALE, 2)."""
    paint = np.dstack([luma * alpha, alpha * np.ones_like(luma)]).astype(np.float32)
    return cv2.resize(paint, None, fx=1 / SCALE, fy=1 / SCALE, interpolation=cv2.INTER_AREA)


def ground_nearness(row: float | Array) -> float | Array:
    """How fast the ground seen at `row` passes by: the camera turns and walks."""
    return 0.3 + 0.7 * (row - HORIZON) / (1 - HORIZON)


def draw_sky(shape: Shape, rng: Generator) -> Layer:
    """A gradient, bright above the hills, with thin high clouds."""
    h = shape[0]
    rows = np.arange(h)[:, None] / h
    clear = 150 + 60 * np.clip(rows / HORIZON, 0, 1) ** 1.2
    veil = 0.45 * np.clip((fractal(shape, (0.22 * h, 0.9 * h), rng) + 0.2) / 2.2, 0, 1)
    return Layer(paint=cut_out(clear + (232 - clear) * veil), nearness=0.26)


def draw_clouds(shape: Shape, rng: Generator) -> Layer:
    """Cumulus: heaps of balls on flat bases, lit from the left, gray below, blurred and frayed."""
    h, w = shape
    canvas = np.zeros((h, w, 2), np.float32)
    for x, base, size in CLOUDS:
        heap = rng.standard_normal((90, 3)) * (0.62, 0, 0.3)
        dome = np.exp(-1.6 * heap[:, 0] ** 2)
        heap[:, 1] = -0.62 * dome * rng.random(90)
        radii = 0.08 + 0.2 * dome * rng.random(90)
        centers = (heap * size + np.array([x, base, 0])) * h
        places, normals = balls(centers, radii * size * h, int(0.011 * h * h * size), rng)
        low = np.clip((places[:, 1] / h - base) / size + 0.42, 0, 1)
        splat(canvas, places, 224 + 34 * np.clip(normals @ SUN, -0.6, 1) - 88 * low**1.5)
    blur = 0.006 * h
    mass = cv2.GaussianBlur(canvas * canvas[..., 1:], (0, 0), blur)
    mass = 0.6 * mass + 0.4 * cv2.GaussianBlur(mass, (0, 0), 3 * blur)
    y, x = grid(shape)
    x, y = (axis + 2.2 * blur * fractal(shape, (9 * blur, 9 * blur), rng) for axis in (x, y))
    mass = cv2.remap(mass, x, y, cv2.INTER_LINEAR)
    alpha = np.clip((mass[..., 1] - 0.15) / 0.65, 0, 1)
    luma = mass[..., 0] / np.maximum(mass[..., 1], 1e-3)
    return Layer(paint=cut_out(luma, alpha * alpha * (3 - 2 * alpha)), nearness=0.27)


def draw_ridge(
    shape: Shape, top: float, relief: float, crown: float, haze: float, rng: Generator
) -> Layer:
    """A wooded hillside: thousands of round crowns, lit from the left, paler with distance.

    The crest runs at the row `top`, give or take `relief`; `crown` is a tree's radius.
    """
    h, w = shape
    crest = top + relief * fractal((2, w), (2, 1.1 * h), rng)[0]
    slope = fractal(shape, (0.12 * h, 0.22 * h), rng)
    clearing = fractal(shape, (0.05 * h, 0.3 * h), rng)
    rows = np.arange(h)[:, None] / h
    ground = 116 + 9 * slope + 5 * fractal(shape, (4, 9), rng)
    canvas = np.dstack([ground, rows > crest])

    x = rng.integers(0, w, int(1.1 * w * (SHORE - top + relief) / crown**2 / h))
    y = ((crest[x] + (SHORE - crest[x]) * rng.random(len(x))) * h).astype(int)
    wooded = clearing[y, x] < 1.1
    x, y = x[wooded], y[wooded]
    radii = crown * h * rng.uniform(0.6, 1.35, len(x))
    points = max(12, int(3.5 * (crown * h) ** 2))
    # A step down the slope is a long step towards the viewer, hence the 40.
    places, normals = balls(np.stack([x, y, 40 * y], 1), radii, points, rng)
    kind = np.repeat(rng.normal(0, 7, len(x)) + 11 * slope[y, x], points)
    luma = 50 + 50 * np.clip(normals @ SUN, -0.4, 1) + kind
    splat(canvas, places, luma * rng.lognormal(0, 0.13, len(luma)))
    mist = haze + 0.1 * np.clip((rows - crest) / (SHORE - top), 0, 1)
    luma = canvas[..., 0] + (HAZE_LUMA - canvas[..., 0]) * mist
    return Layer(paint=cut_out(luma, canvas[..., 1] * (rows < SHORE)), nearness=0.3 - 0.03 * haze)


def grass(x: Array, y: Array, tone: Array, length: Array, rng: Generator) -> tuple[Array, Array]:
    """Blades rooted at (x, y), in pixels, all (n,) -> points (n * 40, 3) and their luma."""
    t = np.linspace(0, 1, 40)
    lean = rng.normal(0.1, 0.42, (len(x), 1))
    length = length[:, None] * rng.uniform(0.35, 1.1, (len(x), 1))
    tone = tone[:, None] * rng.lognormal(0, 0.14, (len(x), 1)) - 10 * lean
    across = x[:, None] + length * lean * t**2
    down = y[:, None] - length * t * (1 - 0.3 * t * abs(lean))
    places = np.stack([across, down, np.broadcast_to(y[:, None], down.shape)], -1)
    return places.reshape(-1, 3), (tone * (0.42 + 0.64 * t**0.8)).ravel()


def draw_meadow(shape: Shape, rng: Generator) -> Layer:
    """Grass down to the lake: single blades, long in front, in patches of light and shadow."""
    h, w = shape
    end = LAKE_END + 0.012 * fractal((2, w), (2, 0.8 * h), rng)[0]
    rows, cols = (axis / h for axis in grid(shape))
    away = 0.1 / np.maximum(rows - HORIZON, 0.05)  # distance of the ground seen there
    flat = fractal((2 * h, 2 * w), (0.1 * h, 0.16 * h), rng)
    ground = cv2.remap(flat, ((cols - 1) * away + 2) * h, away * h, cv2.INTER_LINEAR)
    light = 1 + 0.13 * ground
    for tree in TREES:
        x, y = (cols - tree.x) / tree.size - 0.3, (rows - tree.root) / tree.size
        light *= 1 - 0.4 * np.exp(-(((x / 0.42) ** 2 + (y / 0.1) ** 2) ** 2))

    canvas = np.dstack([80 * light, rows > end])
    x = rng.integers(0, w, int(0.06 * h * w))
    y = (end[x] + (1.16 - LAKE_END) * rng.random(len(x)) ** 1.2) * h
    at = np.minimum(y, h - 1).astype(int), x
    length = 0.11 * (y - HORIZON * h) / (1 - HORIZON) * np.clip(1 + 0.35 * ground[at], 0.3, 1.7)
    splat(canvas, *grass(x, y, 126 * light[at], length, rng))
    row = rows[::SCALE, :1]
    paint = cut_out(canvas[..., 0], canvas[..., 1])
    return Layer(paint=paint, nearness=ground_nearness(row), sway=0.3 * WIND * row)


def draw_tree(shape: Shape, tree: Tree, rng: Generator) -> Layer:
    """A broad-leaved tree: a trunk, and leaves on clumps on boughs, with grass at its foot."""
    h, w = shape
    size = tree.size * h
    foot = np.array([tree.x * h, tree.root * h, 0])
    crown, _ = balls(np.zeros((1, 3)), np.ones(1), tree.boughs, rng)
    crown *= rng.uniform(0.3, 1, (tree.boughs, 1)) ** 0.7
    boughs = foot + size * (crown * (0.37, 0.31, 0.3) - (0, 0.62, 0))
    clumps, bough_normals = balls(boughs, size * rng.uniform(0.05, 0.15, len(boughs)), 26, rng)
    clumps += rng.normal(0, 0.014 * size, clumps.shape)
    count = int(0.001 * size**2) + 12
    leaves, normals = balls(clumps, size * rng.uniform(0.012, 0.045, len(clumps)), count, rng)
    leaves += rng.normal(0, 0.011 * size, leaves.shape)
    light = 0.35 * normals @ SUN + 0.8 * np.repeat(bough_normals @ SUN, count)
    light += 0.6 * np.repeat(crown @ SUN, 26 * count)
    green = (62 + 54 * np.clip(light, -0.6, 1)) * rng.lognormal(0, 0.26, len(leaves))

    up = rng.random(int(0.07 * size**2)) ** 1.3
    side = rng.uniform(-1, 1, len(up))
    thick = 0.026 * (1 - 0.6 * up) + 0.03 * np.exp(-14 * up)
    trunk = foot + size * np.stack([side * thick + 0.02 * np.sin(4 * up), -0.6 * up, 0 * up], 1)
    bark = (56 - 30 * side) * rng.lognormal(0, 0.25, len(up))

    canvas = np.zeros((h, w, 2), np.float32)
    leaf = 2 if tree.size < 0.5 else 3
    splat(canvas, np.concatenate([trunk, leaves]), np.concatenate([bark, green]), leaf)
    x = rng.normal(0, 0.05 * size, 150)
    y = foot[1] + rng.exponential(0.012 * size, 150)
    length = 0.2 * h * (tree.root - HORIZON) * np.exp(-((x / size / 0.07) ** 2))
    splat(canvas, *grass(foot[0] + x, y, np.full(150, 104), length, rng))
    sway = WIND * np.maximum(tree.root - np.arange(0, h, SCALE)[:, None] / h, 0)
    paint = cut_out(canvas[..., 0], canvas[..., 1])
    return Layer(paint=paint, nearness=ground_nearness(tree.root), sway=sway)


def place(frame: Array, layer: Layer, progress: float) -> Array:
    """Lay a cut-out over a (h, w) frame; `progress` of the film in [0, 1]."""
    h, w = frame.shape
    rows, cols = grid((h, w))
    gust = np.sin(cols / (0.05 * h) + rows / (0.09 * h) - 25 * progress)
    shift = 0.02 + TRAVEL * progress * layer.nearness + layer.sway * gust
    x = (cols + h * shift).astype(np.float32)
    paint = cv2.remap(layer.paint, x, rows, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return frame * (1 - paint[..., 1]) + paint[..., 0]


def lay_water(frame: Array, progress: float) -> Array:
    """Fill a (h, w) frame below the shore with the mirrored picture, broken by ripples."""
    h, w = frame.shape
    rows, cols = grid((h, w))
    below = np.maximum(rows / h - SHORE, 0)
    away = 0.6 / (below + 0.02)
    across = (cols / h + 0.3 * TRAVEL * progress) * away
    rng = np.random.default_rng(SEED)
    ripple = np.zeros_like(frame)
    for pitch, turn, phase in rng.uniform((2, -0.4, 0), (11, 0.4, 6), (14, 3)):
        ripple += 0.25 * np.sin(pitch * (away + across * turn) + phase + 5 * progress * pitch**0.5)
    mirror = (h * (SHORE - below * (1.9 + 0.35 * ripple))).astype(np.float32)
    mirrored = cv2.blur(cv2.remap(frame, cols, mirror, cv2.INTER_LINEAR), (1, 3))
    return np.where(below > 0, 0.86 * mirrored + 12 + 4 * ripple, frame)


def develop(frame: Array, rng: Generator) -> NDArray[np.uint8]:
    """Light in [0, 255] -> the luma on film: an S-shaped curve and fine grain."""
    x = np.clip(frame / 255, 0, 1)
    luma = 255 * (0.35 * x + 0.65 * x * x * (3 - 2 * x))
    return np.clip(luma + rng.normal(0, 1.3, frame.shape) + 0.5, 0, 255).astype(np.uint8)


def render(
    width: int = WIDTH, height: int = HEIGHT, count: int = FRAMES
) -> Iterator[NDArray[np.uint8]]:
    """The film at any size: `count` frames (height, width), luma in [0, 255]."""
    rng = np.random.default_rng(SEED)
    shape = SCALE * height, SCALE * (width + round((TRAVEL + 0.04) * height))
    distance = [
        draw_sky(shape, rng),
        draw_clouds(shape, rng),
        draw_ridge(shape, 0.31, 0.04, 0.003, 0.58, rng),
        draw_ridge(shape, 0.375, 0.035, 0.005, 0.36, rng),
        draw_ridge(shape, 0.435, 0.03, 0.008, 0.15, rng),
        draw_ridge(shape, 0.492, 0.012, 0.012, 0.02, rng),
    ]
    foreground = [draw_meadow(shape, rng), *(draw_tree(shape, tree, rng) for tree in TREES)]
    for progress in np.linspace(0, 1, count):
        frame = np.zeros((height, width), np.float32)
        for layer in distance:
            frame = place(frame, layer, progress)
        frame = lay_water(frame, progress)
        for layer in foreground:
            frame = place(frame, layer, progress)
        yield develop(frame, rng)


def noise(count: int, low: float, high: float, rng: Generator) -> Array:
    """Sound (count,) of deviation 1 that fades outside `low` to `high` hertz."""
    hertz = np.fft.rfftfreq(count, 1 / SAMPLE_RATE)
    band = np.exp(-((hertz / high) ** 2)) * (1 - np.exp(-((hertz / low) ** 2)))
    sound = np.fft.irfft(band * np.fft.rfft(rng.standard_normal(count)), count)
    return sound / sound.std()


def sound_of_hills(seconds: float) -> Array:
    """Wind in the grass and two birds: (samples, 2) in [-1, 1] at `SAMPLE_RATE`."""
    rng = np.random.default_rng(SEED)
    count = round(seconds * SAMPLE_RATE)
    gusts = 0.6 + 0.25 * noise(count, 0.05, 0.5, rng)
    ears = [0.05 * noise(count, 80, 500, rng) + 0.005 * noise(count, 1500, 5000, rng) for _ in "lr"]
    sound = gusts[:, None] * np.stack(ears, 1)
    t = np.linspace(0, 0.16, round(0.16 * SAMPLE_RATE))
    for start, pitch in [(0.9, 3100), (1.12, 3500), (1.34, 2900), (2.7, 4100), (2.88, 3700)]:
        call = np.sin(2 * np.pi * pitch * t + 40 * np.cos(10 * np.pi * t))
        call *= 0.05 * np.sin(np.pi * t / t[-1]) ** 2
        first = round(start * SAMPLE_RATE)
        sound[first : first + len(t)] += call[:, None] * ((0.7, 0.3) if start < 2 else (0.2, 0.8))
    return np.clip(sound, -1, 1)


def write_film(path: Path, frames: Iterable[NDArray[np.uint8]], sound: Array) -> None:
    """Encode frames (HEIGHT, WIDTH) and sound (samples, 2) as H.264 and AAC in MP4.

    Chroma is exactly neutral; luma is squeezed into BT.709's limited range.
    """
    neutral = bytes([128]) * (WIDTH * HEIGHT // 2)
    luma = (np.rint(16 + frame * (219 / 255)).astype(np.uint8).tobytes() for frame in frames)
    source = f"-f rawvideo -pix_fmt yuv420p -video_size {WIDTH}x{HEIGHT} -framerate {RATE}"
    tags = "setparams=range=limited:color_primaries=bt709:color_trc=bt709:colorspace=bt709"
    codecs = "-c:v libx264 -preset veryslow -crf 20 -c:a aac -b:a 96k"
    with tempfile.TemporaryDirectory() as folder:
        track_path, film_path = Path(folder, "sound.wav"), Path(folder, "film.mp4")
        with wave.open(str(track_path), "wb") as track:
            track.setnchannels(2)
            track.setsampwidth(2)
            track.setframerate(SAMPLE_RATE)
            track.writeframes((32767 * sound).astype("<i2").tobytes())
        command = [str(find_ffmpeg().path), "-v", "error", *source.split(), "-i", "pipe:0"]
        command += ["-i", str(track_path), "-vf", tags, *codecs.split()]
        command += ["-fflags", "+bitexact", "-movflags", "+faststart", str(film_path)]
        subprocess.run(command, input=b"".join(y + neutral for y in luma), check=True)
        shutil.move(film_path, path)


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("hills.mp4")
    write_film(target, render(), sound_of_hills(float(FRAMES / RATE)))
