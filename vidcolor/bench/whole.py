"""The pipeline: alone, stage by stage, and end to end."""

import tempfile
from collections.abc import Iterator
from functools import partial
from itertools import product
from pathlib import Path

import torch

from vidcolor.bench.films import QUALITY, decode, transcode
from vidcolor.bench.generators import Free, network, random_luma
from vidcolor.bench.per_frame import color_frames
from vidcolor.bench.rows import Row, Spent, in_turns, spent
from vidcolor.chroma.temporal.backend import backend_for
from vidcolor.chroma.temporal.filter import SmallFrame, TemporalFilter
from vidcolor.chroma.temporal.settings import SmoothSettings
from vidcolor.chroma.upsample import enlarged_codes
from vidcolor.film import colorize_film
from vidcolor.inference.colorizer import Colorizer
from vidcolor.inference.settings import RenderSettings
from vidcolor.media.containers import EncodeSettings, complete, merged_format
from vidcolor.media.merge import chroma_size
from vidcolor.media.probe import probe
from vidcolor.media.read import read_luma
from vidcolor.media.write import write_piece
from vidcolor.models.network import Generator
from vidcolor.resume.store import PieceSettings
from vidcolor.settings import FilmSettings

HELD_AT_ONCE = 24
"""Frames that are kept in memory while single stages are measured."""

NEVER = PieceSettings(save_every=1e9)
"""What is measured does not depend on whether a slow moment makes a run save its colors."""


def color(
    film: Path, target: Path, colorizer: Colorizer, preset: str, smooth: str, edges: str
) -> None:
    """Color with the settings whose cost is measured."""
    settings = FilmSettings(
        encode=EncodeSettings(codec="libx264", preset=preset, crf=QUALITY),
        smooth=SmoothSettings(strength=smooth),
        edges=edges,
        pieces=NEVER,
        fresh=True,
    )
    colorize_film(film, target, colorizer, settings)


def pipeline_rows(film: Path, frames: int, label: str, rounds: int) -> Iterator[Row]:
    """A generator that costs nothing, over a plain transcode with the same encoder."""
    colorizer = Colorizer(Free(), RenderSettings(precision="fp32"))
    with tempfile.TemporaryDirectory() as name:
        target = Path(name) / "made.mp4"
        for preset in ("ultrafast", "medium"):
            works = {"plain": partial(transcode, film, target, preset)}
            ways = [*product(("off", "normal"), ("bilinear", "guided"))]
            for smooth, edges in ways if preset == "ultrafast" else ways[-1:]:
                works[f"--smooth {smooth} --edges {edges}"] = partial(
                    color, film, target, colorizer, preset, smooth, edges
                )
            best = in_turns(works, rounds)
            for way, took in best.items():
                yield _row(f"pipeline alone, {label}, {preset}", way, took, best["plain"], frames)


def _row(section: str, name: str, took: Spent, plain: Spent, frames: int) -> Row:
    return Row(
        section=section,
        name="plain transcode" if took is plain else name,
        fps=frames / took.wall,
        over="plain transcode",
        ratio=plain.wall / took.wall,
        work=took.total / plain.total if plain.total else None,
        ours=1e3 * took.ours / frames,
        ffmpeg=1e3 * took.ffmpeg / frames,
    )


def stage_rows(path: Path, label: str, generator: Generator) -> Iterator[Row]:
    """Each stage by itself, with all that it needs at hand."""
    film = probe(path)
    encode = complete(film, EncodeSettings(codec="libx264", preset="ultrafast", crf=QUALITY))
    colorizer = Colorizer(generator)
    size = colorizer.luma_size(film.width, film.height)
    guide = chroma_size(film, encode)
    full = merged_format(encode).depth
    section = f"stages, {label}"

    def row(name: str, took: Spent, count: int) -> Row:
        return Row(
            section=section,
            name=name,
            fps=count / took.wall,
            ours=1e3 * took.ours / count,
            ffmpeg=1e3 * took.ffmpeg / count,
        )

    total = film.frame_count or 1
    yield row("decode alone", spent(partial(decode, path)), total)
    read = []

    def read_all() -> None:
        with read_luma(film, size, guide=guide, full=full) as frames:
            for number, frame in enumerate(frames):
                if number < HELD_AT_ONCE:
                    read.append(frame)

    yield row("decode, scale and read", spent(read_all), total)
    luma = torch.stack([torch.from_numpy(frame.pixels) for frame in read])[:, None]
    colorizer.chroma(random_luma(colorizer, 1))
    made: list[torch.Tensor] = []
    took = spent(lambda: made.append(colorizer.chroma(luma).to(colorizer.chroma_device)))
    yield row(f"prepare and generator, {generator.name}", took, len(read))
    small = [
        SmallFrame(frame.pts, frame.pixels, chroma, False)
        for frame, chroma in zip(read, made[0], strict=True)
    ]
    steady = TemporalFilter(SmoothSettings(), None, backend_for(colorizer.chroma_device))
    yield row("steadying", spent(lambda: [*steady.run(small)]), len(read))
    guides = [torch.from_numpy(frame.guide) for frame in read if frame.guide is not None]
    codes: list[torch.Tensor] = []
    took = spent(lambda: codes.append(enlarged_codes(made[0], guides, film.full_range).cpu()))
    yield row("enlarging and codes", took, len(read))

    def write() -> None:
        with (
            tempfile.TemporaryDirectory() as name,
            write_piece(film, Path(name) / "piece", guide, encode, luma=True) as writer,
        ):
            for frame, code in zip(read, codes[0].numpy(), strict=True):
                writer.write(frame.pts, code, frame.full)

    yield row("write, merge and encode, ultrafast", spent(write), len(read))


def end_to_end_rows(
    film: Path, frames: int, name: str, factor: int | None, rounds: int
) -> Iterator[Row]:
    """A network, over a plain transcode and over the per-frame pipeline."""
    trained = network(name)
    finished = trained.for_inference()
    assert isinstance(finished, Generator)
    auto = Colorizer(finished, RenderSettings(render_factor=factor))
    exact = Colorizer(finished, RenderSettings(render_factor=factor, precision="fp32"))
    factor = auto.render_factor
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "made.mp4"

        def per_frame() -> None:
            with tempfile.TemporaryDirectory(dir=folder) as files:
                color_frames(film, target, trained, factor, Path(files), "ultrafast")

        def ours(colorizer: Colorizer) -> None:
            color(film, target, colorizer, "ultrafast", "normal", "guided")

        works = {
            "plain": partial(transcode, film, target, "ultrafast"),
            "per-frame pipeline": per_frame,
            "vidcolor in fp32": partial(ours, exact),
        }
        if auto.dtype != torch.float32:
            works[f"vidcolor in {str(auto.dtype).removeprefix('torch.')}"] = partial(ours, auto)
        best = in_turns(works, rounds)
    section = f"end to end, {name} at {factor}, ultrafast"
    peers = best["per-frame pipeline"]
    for way, took in best.items():
        yield _row(section, way, took, best["plain"], frames)
        if way.startswith("vidcolor"):
            yield Row(
                section=section,
                name=way,
                over="per-frame pipeline",
                ratio=peers.wall / took.wall,
                work=took.total / peers.total if peers.total else None,
            )
