"""Films that are divided at shots: found, planned, made piece by piece in any order, and kept."""

import json
import multiprocessing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import run_ffmpeg
from films import pictures
from test_resume import Enough, decoded, luma_of, make_colorizer, stop_after

from vidcolor.chroma.temporal.settings import SmoothSettings
from vidcolor.errors import MediaError, VidcolorError
from vidcolor.film import colorize_film
from vidcolor.inference.mark import color_mark
from vidcolor.media.containers import EncodeSettings
from vidcolor.media.join import join
from vidcolor.media.probe import probe
from vidcolor.media.publish import WORK_PREFIX
from vidcolor.media.target import check_target
from vidcolor.media.write import Piece
from vidcolor.pieces import color_piece, piece_digest
from vidcolor.pipeline import Work
from vidcolor.resume.kept_scan import SCAN, kept_scan
from vidcolor.resume.manifest import load_manifest
from vidcolor.resume.plan import Plan, plan_film, plan_shots
from vidcolor.resume.work_folder import piece_folder
from vidcolor.settings import FilmSettings
from vidcolor.shots import scan_film

FAST = EncodeSettings(preset="ultrafast")

SHOTS = (0.0, 3.0, 4.0, 11.0, 12.5)
"""Seconds at which the shots of `cut_film` begin; it lasts 15 s."""

server = multiprocessing.get_context("forkserver")
server.set_forkserver_preload(["vidcolor.film"])


def draw(path: Path, *options: str) -> Path:
    """Fifteen seconds in which black becomes white at every cut."""
    negated = f"between(t,{SHOTS[1]},{SHOTS[2]}-0.01)+between(t,{SHOTS[3]},{SHOTS[4]}-0.01)"
    run_ffmpeg(
        *("-f", "lavfi", "-i", "testsrc2=size=64x48:rate=24:duration=15"),
        *("-f", "lavfi", "-i", "sine=frequency=440:duration=15"),
        *("-vf", f"negate=enable='{negated}'" + "".join(options[:1])),
        *(*options[1:], path),
    )
    return path


X264 = ("-c:v", "libx264", "-preset", "veryfast", "-bf", "3", "-g", "50")
VARIABLE = (
    *(",select=lt(mod(n\\,3)\\,2)", "-fps_mode", "passthrough", "-enc_time_base", "1:24000"),
    *("-video_track_timescale", "24000", *X264, "-output_ts_offset", "1.5"),
)
MPEG2 = ("-c:v", "mpeg2video", "-q:v", "2", "-bf", "2")
FILMS = {
    "variable.mp4": VARIABLE,
    "film.mkv": ("", *X264),
    "film.ts": ("", *MPEG2),
    "film.avi": ("", "-c:v", "mpeg4", "-vtag", "XVID", "-bf", "2"),
    "film.h264": ("", *X264, "-an"),
}


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    """films(name) draws the film of that name, once."""
    folder = tmp_path_factory.mktemp("films")

    def make(name: str) -> Path:
        path = folder / name
        return path if path.exists() else draw(path, *FILMS[name])

    return make


@pytest.fixture(scope="module")
def cut_film(films):
    """With a frame in three missing, stored out of order, from 1.5 s on."""
    return films("variable.mp4")


def planned(path: Path, seconds: float | None = None) -> Plan:
    film = probe(path)
    return plan_film(film, scan_film(film), seconds)


def work_on(source: Path, target: Path) -> Work:
    """The work of `colorize_film` with these settings."""
    film = probe(source)
    return Work(
        film=film,
        colorizer=make_colorizer(),
        encode=check_target(film, target, FAST),
        smooth=SmoothSettings(),
        edges="guided",
    )


def color_alone(source: Path, target: Path, plan: Plan, number: int, path: Path) -> None:
    """The work of a process of its own."""
    color_piece(work_on(source, target), plan.pieces[number], path, seekable=plan.seekable)


@pytest.mark.parametrize("name", ["variable.mp4", "film.mkv", "film.ts", "film.avi"])
def test_numbers_and_times_of_all_frames_are_those_that_decoding_gives(films, name):
    film = probe(films(name))
    scan = scan_film(film)
    times = [picture.time for picture in pictures(films(name))]
    assert [pts * film.time_base for pts in scan.pts.tolist()] == times
    begins = [float(times[shot.first_frame] - times[0]) for shot in scan.shots()]
    assert begins == pytest.approx(SHOTS, abs=0.1)
    assert sum(shot.frames for shot in scan.shots()) == len(times)


@pytest.mark.parametrize(("seconds", "begins"), [(None, 5), (3.5, 3), (60, 1)])
def test_short_shots_are_joined_until_a_piece_is_long_enough(cut_film, seconds, begins):
    plan = planned(cut_film, seconds)
    assert plan.seekable
    assert len(plan.pieces) == begins
    assert plan.frames == len(pictures(cut_film))
    for one, other in zip(plan.pieces, plan.pieces[1:], strict=False):
        assert one.end == other.begin
        assert one.first_frame + one.frames == other.first_frame
    assert plan.pieces[-1].end is None


@pytest.mark.parametrize("name", ["variable.mp4", pytest.param("film.ts", marks=pytest.mark.slow)])
def test_pieces_made_in_any_order_by_any_process_are_the_film_made_at_once(
    films, name, colorizer, tmp_path
):
    source, plan = films(name), planned(films(name))
    whole, target = tmp_path / "whole.mp4", tmp_path / "target.mp4"
    settings = FilmSettings(encode=FAST, plan=plan, keep=True)
    assert colorize_film(source, whole, colorizer, settings).frames == plan.frames
    pieces = {}
    for number in (3, 1, 4, 0, 2):
        path = tmp_path / f"piece{number}"
        if number in (1, 4):
            run = server.Process(target=color_alone, args=(source, target, plan, number, path))
            run.start()
            run.join()
        else:
            color_alone(source, target, plan, number, path)
        piece = plan.pieces[number]
        pieces[number] = Piece(path=path, first_pts=piece.begin, frames=piece.frames)
    film = probe(source)
    mark = color_mark(colorizer, "guided", smooth="normal")
    join(film, [pieces[number] for number in sorted(pieces)], target, comment=mark)
    assert decoded(target) == decoded(whole)
    kept = {path.read_bytes() for path in tmp_path.glob(f"{WORK_PREFIX}*/piece-*")}
    assert kept == {piece.path.read_bytes() for piece in pieces.values()}


@pytest.mark.slow
def test_a_film_that_cannot_be_sought_is_one_piece(films, colorizer, tmp_path):
    source = films("film.h264")
    plan = planned(source)
    assert not plan.seekable
    assert len(plan.pieces) == 1
    film = probe(source)
    scan = scan_film(film)
    plan = plan_shots(film, scan, scan.shots())
    assert len(plan.pieces) == 5
    assert not plan.seekable
    lossless = EncodeSettings(codec="ffv1")
    one, several = tmp_path / "one.mov", tmp_path / "several.mov"
    colorize_film(source, one, colorizer, FilmSettings(encode=lossless))
    colorize_film(source, several, colorizer, FilmSettings(encode=lossless, plan=plan))
    assert luma_of(several) == luma_of(one)


@pytest.mark.slow
def test_a_plan_that_seeking_does_not_hold_is_made_without_it(films, colorizer, tmp_path):
    """As where only the places that were tried can be sought exactly."""
    source, target = films("film.h264"), tmp_path / "target.mp4"
    film = probe(source)
    scan = scan_film(film)
    right = plan_shots(film, scan, scan.shots())
    first, second = tmp_path / "first", tmp_path / "second"
    work = work_on(source, target)
    color_piece(work, right.pieces[3], first, seekable=False)
    color_piece(work, right.pieces[3], second, seekable=True)
    assert first.read_bytes() == second.read_bytes()


def test_only_a_piece_whose_settings_changed_is_made_again(cut_film, colorizer, tmp_path):
    source, plan = cut_film, planned(cut_film)
    target, scratch = tmp_path / "target.mp4", tmp_path / "scratch.mp4"
    colorize_film(source, target, colorizer, FilmSettings(encode=FAST, plan=plan, keep=True))
    gray = colorizer.with_settings(replace(colorizer.settings, saturation=0.0))

    def work_for(piece, work):
        return replace(work, colorizer=gray) if piece.number == 2 else work

    notes: list[str] = []
    settings = FilmSettings(encode=FAST, plan=plan, keep=True)
    again = colorize_film(
        *(source, target, colorizer, settings), work_for=work_for, on_note=notes.append
    )
    assert notes == ["4 of 5 pieces are kept from an earlier run"]
    assert again.frames - again.kept == plan.pieces[2].frames
    fresh = FilmSettings(encode=FAST, plan=plan)
    colorize_film(source, scratch, colorizer, fresh, work_for=work_for)
    assert decoded(target) == decoded(scratch)
    folders = list(tmp_path.glob(f"{WORK_PREFIX}*"))
    assert len(folders) == 1, "without `keep` nothing stays"
    assert len(list(folders[0].glob("piece-*"))) == 5


@pytest.mark.slow
def test_a_film_with_a_plan_continues_after_the_pieces_that_are_made(cut_film, colorizer, tmp_path):
    plan, target, whole = planned(cut_film), tmp_path / "out.mp4", tmp_path / "whole.mp4"
    settings = FilmSettings(encode=FAST, plan=plan)
    with pytest.raises(Enough):
        colorize_film(
            cut_film, target, colorizer, settings, on_frame=stop_after(plan.pieces[2].first_frame)
        )
    with pytest.raises(MediaError, match=r"divided at shots .* add --fresh"):
        colorize_film(cut_film, target, colorizer, FilmSettings(encode=FAST))
    report = colorize_film(cut_film, target, colorizer, settings)
    assert report.kept == plan.pieces[1].first_frame
    colorize_film(cut_film, whole, colorizer, settings)
    assert decoded(target) == decoded(whole)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.mp4", "whole.mp4"]


@pytest.mark.slow
def test_a_kept_piece_that_was_damaged_is_made_again(cut_film, colorizer, tmp_path):
    plan, target = planned(cut_film, 3.5), tmp_path / "out.mp4"
    settings = FilmSettings(encode=FAST, plan=plan, keep=True)
    colorize_film(cut_film, target, colorizer, settings)
    before = decoded(target)
    digest = piece_digest(work_on(cut_film, target), plan.pieces[1])
    (piece,) = tmp_path.glob(f"{WORK_PREFIX}*/piece-{digest}")
    piece.write_bytes(bytes(piece.stat().st_size))
    report = colorize_film(cut_film, target, colorizer, settings)
    assert report.frames - report.kept == plan.pieces[1].frames
    assert decoded(target) == before


@pytest.mark.parametrize(
    "wrong",
    [
        *({"plan": 3}, {"plan": ["../../film.mp4"]}, {"keep": "yes"}, {"asked": []}),
        *({"digest": "../../film.mp4"}, {"digest": None}, {"name": "../piece"}),
    ],
    ids=repr,
)
def test_a_manifest_of_a_plan_of_wrong_types_is_as_good_as_none(kept_film, wrong):
    folder = piece_folder(kept_film)
    file = folder / "manifest.json"
    right = file.read_text()
    content = json.loads(right)
    for name, value in wrong.items():
        (content if name in content else content["pieces"][0])[name] = value
    file.write_text(json.dumps(content))
    assert load_manifest(folder) is None
    file.write_text(right)
    assert load_manifest(folder) is not None


@pytest.mark.parametrize("damage", [b"", b"PK\3\4 damaged", None])
def test_what_is_kept_about_a_film_s_frames_is_checked(cut_film, kept_film, tmp_path, damage):
    file = piece_folder(kept_film) / SCAN
    right = file.read_bytes()
    found = kept_scan(cut_film, kept_film)
    assert found is not None
    assert found.shots() == scan_film(probe(cut_film)).shots()
    assert kept_scan(tmp_path / "another.mp4", kept_film) is None
    if damage is None:
        np.savez(file, pts=np.zeros(3), begins=np.zeros(3, bool), crcs=np.zeros(3, np.uint32))
    else:
        file.write_bytes(damage)
    assert kept_scan(cut_film, kept_film) is None
    file.write_bytes(right)


@pytest.fixture(scope="module")
def kept_film(cut_film, tmp_path_factory):
    """The result of a run whose pieces are kept."""
    target = tmp_path_factory.mktemp("kept") / "out.mp4"
    colorize_film(cut_film, target, make_colorizer(), FilmSettings(encode=FAST, keep=True))
    return target


def test_every_shot_is_a_piece_where_pieces_are_kept_and_nothing_is_planned(
    cut_film, colorizer, tmp_path
):
    colorize_film(cut_film, tmp_path / "out.mp4", colorizer, FilmSettings(encode=FAST, keep=True))
    assert len(list(tmp_path.glob(f"{WORK_PREFIX}*/piece-*"))) == len(SHOTS)


def test_pieces_of_a_part_of_a_film_are_not_kept():
    with pytest.raises(VidcolorError, match="leave start and end out"):
        FilmSettings(keep=True, start=2.0)
