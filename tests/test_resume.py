"""Runs that are killed, stopped, repeated and told to forget."""

import json
import multiprocessing
import os
import random
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from conftest import run_ffmpeg

from vidcolor.cli import vidcolor as command
from vidcolor.errors import MediaError, VidcolorError
from vidcolor.film import colorize_film
from vidcolor.inference.colorizer import Colorizer
from vidcolor.inference.settings import RenderSettings
from vidcolor.media.binary import find_ffmpeg
from vidcolor.media.containers import EncodeSettings
from vidcolor.media.publish import WORK_PREFIX
from vidcolor.media.read import LumaFrame
from vidcolor.resume.manifest import load_manifest, save_manifest
from vidcolor.resume.store import PieceSettings, in_pieces, kept
from vidcolor.resume.work_folder import ABANDONED, piece_folder, sweep
from vidcolor.settings import FilmSettings
from vidcolor.weights.catalog import LITE
from vidcolor.weights.checkpoint import load_generator
from vidcolor.weights.places import carried_folder

SHORT = PieceSettings(seconds=2.0)
FOUR = PieceSettings(seconds=4.0)
QUICK = ("--render-factor", "4", "--device", "cpu", "--piece-seconds", "2")
FAST = EncodeSettings(preset="ultrafast")
QUICKLY = FilmSettings(encode=FAST, pieces=SHORT)

# Starts with torch loaded, so that the films below are killed while they are colored.
server = multiprocessing.get_context("forkserver")
server.set_forkserver_preload(["vidcolor.film"])


class Enough(Exception):
    """Stops a run from within, as an error would."""


def make_colorizer():
    generator = load_generator(carried_folder() / LITE.file)
    return Colorizer(generator, RenderSettings(render_factor=4, batch_size=5), device="cpu")


@pytest.fixture(scope="module")
def colorizer():
    """The built-in model at its smallest."""
    return make_colorizer()


@pytest.fixture(scope="module")
def vfr_film(tmp_path_factory):
    """Fifteen seconds with a frame in three missing, stored out of order, from 1.5 s on; a tone."""
    path = tmp_path_factory.mktemp("long") / "vfr.mp4"
    run_ffmpeg(
        *("-f", "lavfi", "-i", "testsrc2=size=64x48:rate=24000/1001:duration=15"),
        *("-f", "lavfi", "-i", "sine=frequency=440:duration=15"),
        *("-vf", "select=lt(mod(n\\,3)\\,2)", "-fps_mode", "passthrough"),
        *("-enc_time_base", "1:24000", "-video_track_timescale", "24000"),
        *("-c:v", "libx264", "-preset", "veryfast", "-g", "30", "-bf", "3", "-c:a", "aac"),
        *("-output_ts_offset", "1.5", path),
    )
    return path


@pytest.fixture
def film(vfr_film, tmp_path):
    """A copy that a test may change."""
    path = tmp_path / "film.mp4"
    path.write_bytes(vfr_film.read_bytes())
    return path


def decoded(path: Path, streams: str = "0", *filters: str) -> list[str]:
    """Stream, timestamps and hash of every decoded frame of the streams."""
    said = subprocess.run(
        [
            *(find_ffmpeg().path, "-nostdin", "-v", "error", "-copyts", "-i", path),
            *("-map", streams, *filters),
            *("-fps_mode", "passthrough", "-f", "framemd5", "-"),
        ],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return [line for line in said.splitlines() if not line.startswith("#")]


def color(source: Path, target: Path) -> None:
    """The work of a process that will be killed."""
    colorize_film(
        source,
        target,
        make_colorizer(),
        QUICKLY,
    )


def wait_for(condition, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.02)


def finished_pieces(target: Path) -> int:
    manifest = kept(target)
    return len(manifest.pieces) if manifest else 0


def stop_after(frames: int):
    """A callback for on_frame."""

    def on_frame(done: int, total: int | None) -> None:
        if done == frames:
            raise Enough

    return on_frame


def interrupted(source: Path, target: Path, colorizer: Colorizer) -> int:
    """Stop a run in its fourth piece; returns how many frames are kept."""
    with pytest.raises(Enough):
        colorize_film(
            source,
            target,
            colorizer,
            QUICKLY,
            on_frame=stop_after(110),
        )
    manifest = kept(target)
    assert manifest is not None
    return manifest.frames


@pytest.mark.slow
def test_a_film_that_was_killed_equals_one_that_was_not(vfr_film, colorizer, tmp_path):
    whole, target = tmp_path / "whole.mp4", tmp_path / "killed.mp4"
    colorize_film(vfr_film, whole, colorizer, QUICKLY)
    chance = random.Random(7)
    for _ in range(3):
        before = finished_pieces(target)
        run = server.Process(target=color, args=(vfr_film, target))
        run.start()
        wait_for(lambda before=before: finished_pieces(target) > before)
        time.sleep(chance.uniform(0, 0.2))
        run.kill()
        run.join()
        assert not target.exists()
    notes = []
    report = colorize_film(
        vfr_film,
        target,
        colorizer,
        QUICKLY,
        on_note=notes.append,
    )
    assert report.kept >= 3 * 32
    assert notes == [f"continuing after {report.kept} frames of an earlier run"]
    assert decoded(target) == decoded(whole)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["killed.mp4", "whole.mp4"]


@pytest.mark.slow
def test_a_run_that_was_killed_while_it_joined_the_pieces(film, colorizer, tmp_path):
    whole, target = tmp_path / "whole.mp4", tmp_path / "killed.mp4"
    colorize_film(film, whole, colorizer, QUICKLY)
    run = server.Process(target=color, args=(film, target))
    run.start()
    wait_for(lambda: (manifest := kept(target)) and manifest.complete)
    run.kill()
    run.join()
    assert not target.exists()
    report = colorize_film(film, target, colorizer, QUICKLY)
    assert report.kept == report.frames == 240
    assert decoded(target) == decoded(whole)
    assert sorted(path.name for path in tmp_path.iterdir()) == [film.name, target.name, whole.name]


@pytest.mark.parametrize("name", ["film.ts", "film.avi", "film.h264"])
def test_a_film_in_pieces_equals_one_in_one_piece(name, colorizer, tmp_path):
    """Also where a jump into the film is not exact, or not possible."""
    source = tmp_path / name
    codec = {".avi": ("mpeg4", "-vtag", "XVID"), ".mpg": ("mpeg2video",)}.get(source.suffix)
    run_ffmpeg(
        *("-f", "lavfi", "-i", "testsrc2=size=64x48:rate=10:duration=18"),
        *("-c:v", *(codec or ("libx264", "-preset", "veryfast")), "-g", "20", "-bf", "2", source),
    )
    lossless = EncodeSettings(codec="ffv1")
    one, several = tmp_path / "one.mov", tmp_path / "several.mov"
    colorize_film(source, one, colorizer, FilmSettings(encode=lossless))
    with pytest.raises(Enough):
        colorize_film(
            source,
            several,
            colorizer,
            FilmSettings(encode=lossless, pieces=FOUR),
            on_frame=stop_after(165),
        )
    report = colorize_film(source, several, colorizer, FilmSettings(encode=lossless, pieces=FOUR))
    assert report.kept == 160
    # Batches differ, and with them the last bit of the chroma; luma and times do not.
    assert luma_of(several) == luma_of(one)
    assert len(luma_of(one)) == report.frames == 180


def test_a_run_that_is_stopped_as_it_begins_leaves_nothing(film, colorizer, tmp_path, monkeypatch):
    make = tempfile.mkdtemp

    def make_and_stop(*where, **how):
        folder = make(*where, **how)
        if Path(folder).parent == piece_folder(tmp_path / "out.mp4"):
            raise KeyboardInterrupt
        return folder

    monkeypatch.setattr(tempfile, "mkdtemp", make_and_stop)
    with pytest.raises(KeyboardInterrupt):
        colorize_film(film, tmp_path / "out.mp4", colorizer, QUICKLY)
    assert list(tmp_path.iterdir()) == [film]


def luma_of(path: Path) -> list[str]:
    """Timestamp and hash of the luma of every frame."""
    return decoded(path, "0:v", "-vf", "extractplanes=y")


@pytest.mark.slow
def test_ctrl_c_prints_the_command_that_goes_on(film):
    target = film.with_name("it's colored.mp4")
    words = [str(film), "-o", str(target), *QUICK, "--fresh"]
    run = subprocess.Popen(
        [sys.executable, "-m", "vidcolor", *words], stderr=subprocess.PIPE, text=True
    )
    wait_for(lambda: finished_pieces(target) > 1)
    run.send_signal(signal.SIGINT)
    _, said = run.communicate(timeout=60)
    assert run.returncode == 130, said
    assert "of 240 frames of film.mp4 are kept" in said
    again = shlex.split(said.split("To continue, run: ")[1])
    assert again == ["vidcolor", *words[:-1]]
    result = CliRunner().invoke(command, again[1:])
    assert result.exit_code == 0, result.stderr
    assert "continuing after" in result.stderr
    assert len(decoded(target)) > 240
    assert sorted(path.name for path in film.parent.iterdir()) == ["film.mp4", target.name]


def refused(*arguments, **settings) -> str:
    """The one line that a run is refused with."""
    with pytest.raises(MediaError) as caught:
        colorize_film(*arguments, **settings)
    assert "\n" not in str(caught.value)
    assert "add --fresh" in str(caught.value)
    return str(caught.value)


def test_a_source_of_another_date_is_refused_and_nothing_is_lost(film, colorizer, tmp_path):
    target, state = tmp_path / "out.mp4", film.stat()
    frames = interrupted(film, target, colorizer)
    os.utime(film, (1, 1))
    said = refused(film, target, colorizer, QUICKLY)
    assert f"{frames} frames of an earlier run are kept" in said
    subprocess.run(shlex.split(said.split("(")[1].split(")")[0]), check=True)
    assert film.stat().st_mtime_ns == state.st_mtime_ns
    assert colorize_film(film, target, colorizer, QUICKLY).kept == frames


def test_another_source_is_refused_and_nothing_is_lost(film, colorizer, tmp_path):
    target, content, state = tmp_path / "out.mp4", film.read_bytes(), film.stat()
    frames = interrupted(film, target, colorizer)
    run_ffmpeg("-i", film, "-c", "copy", "-metadata", "title=Another", tmp_path / "other.mp4")
    (tmp_path / "other.mp4").replace(film)
    said = refused(film, target, colorizer, QUICKLY)
    assert "made with a source of" in said
    assert "put the former source back" in said
    film.write_bytes(content)
    os.utime(film, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert colorize_film(film, target, colorizer, QUICKLY).kept == frames


def test_other_settings_are_refused_by_name_and_nothing_is_lost(film, colorizer, tmp_path):
    target = tmp_path / "out.mp4"
    frames = interrupted(film, target, colorizer)
    other = EncodeSettings(preset="fast", crf=30)
    said = refused(film, target, colorizer, FilmSettings(encode=other, pieces=SHORT))
    assert "crf 17 instead of 30, preset ultrafast instead of fast" in said
    assert "add --crf 17, add --preset ultrafast" in said
    assert colorize_film(film, target, colorizer, QUICKLY).kept == frames


def test_the_command_says_once_how_to_go_on(film, colorizer, tmp_path):
    target = tmp_path / "film.color.mp4"
    frames = interrupted(film, target, colorizer)
    words = [str(film), *QUICK, "--preset", "ultrafast", "--saturation", "0.5"]
    result = CliRunner().invoke(command, words)
    assert result.exit_code == 1
    (said,) = [line for line in result.stderr.splitlines() if line.startswith("Error")]
    assert "saturation 1 instead of 0.5" in said
    assert said.endswith("to delete them and start over, add --fresh")
    assert "same command" not in said
    manifest = kept(target)
    assert manifest is not None
    assert manifest.frames == frames


def test_a_length_of_pieces_that_is_none():
    for seconds in (0.0, -1.0, float("nan")):
        with pytest.raises(VidcolorError, match="use more than 0"):
            PieceSettings(seconds=seconds)


def test_what_auto_found_before_is_named(film, colorizer, tmp_path, monkeypatch):
    """As where a GPU is gone, or where ffmpeg and vidcolor were updated."""
    target = tmp_path / "out.mp4"
    frames = interrupted(film, target, colorizer)
    folder = piece_folder(target)
    manifest = json.loads((folder / "manifest.json").read_text())
    as_it_was = json.dumps(manifest)
    manifest["settings"] |= {
        "device": "cuda",
        "precision": "fp16",
        "model": "lite 0123456789abcdef",
        "ffmpeg": "4.4, /opt/ffmpeg",
        "vidcolor": "0.0.1",
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    said = refused(film, target, colorizer, QUICKLY)
    for part in (
        "device cuda instead of cpu",
        "precision fp16 instead of ",
        "ffmpeg 4.4, /opt/ffmpeg instead of ",
        "vidcolor 0.0.1 instead of ",
        "add --device cuda, set VIDCOLOR_FFMPEG to the former ffmpeg, add --precision fp16, "
        "use vidcolor 0.0.1",
    ):
        assert part in said
    assert "model" not in said, "its fingerprint differs because the precision does"
    manifest["format"] = 1
    (folder / "manifest.json").write_text(json.dumps(manifest))
    sweep(tmp_path)
    assert "another version of vidcolor" in refused(film, target, colorizer, QUICKLY)
    (folder / "manifest.json").write_text(as_it_was)
    assert colorize_film(film, target, colorizer, QUICKLY).kept == frames


def test_fresh_deletes_what_is_kept(film, colorizer, tmp_path):
    target, notes = tmp_path / "out.mp4", []
    interrupted(film, target, colorizer)
    report = colorize_film(
        *(film, target, colorizer),
        FilmSettings(encode=EncodeSettings(preset="fast"), pieces=SHORT, fresh=True),
        on_note=notes.append,
    )
    assert (report.kept, notes) == (0, [])


def cut_off(path: Path) -> None:
    os.truncate(path, 100)


def emptied(path: Path) -> None:
    """As a power failure may leave it: of the right size, without its content."""
    path.write_bytes(bytes(path.stat().st_size))


def rotten(path: Path) -> None:
    """One bit of a picture's data."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("piece-00001", cut_off),
        ("piece-00001", emptied),
        ("piece-00001", rotten),
        ("piece-00001.npz", emptied),
    ],
)
@pytest.mark.slow
def test_a_piece_that_was_damaged_is_made_again(film, colorizer, tmp_path, name, damage):
    whole, target, notes = tmp_path / "whole.mp4", tmp_path / "out.mp4", []
    colorize_film(film, whole, colorizer, QUICKLY)
    frames = interrupted(film, target, colorizer)
    (piece,) = tmp_path.glob(f"{WORK_PREFIX}*/{name}")
    damage(piece)
    report = colorize_film(
        film,
        target,
        colorizer,
        QUICKLY,
        on_note=notes.append,
    )
    assert "1 of 3 finished pieces" in notes[0]
    assert 0 < report.kept < frames
    assert decoded(target) == decoded(whole)


def test_a_second_run_on_the_same_output_says_so(film, colorizer, tmp_path):
    target = tmp_path / "out.mp4"
    run = server.Process(target=color, args=(film, target))
    run.start()
    try:
        wait_for(lambda: list(tmp_path.glob(f"{WORK_PREFIX}*/manifest.json")))
        with pytest.raises(MediaError, match="made by another run") as caught:
            colorize_film(
                film,
                target,
                colorizer,
                QUICKLY,
            )
        assert "\n" not in str(caught.value)
    finally:
        run.kill()
        run.join()
    colorize_film(film, target, colorizer, QUICKLY)  # a dead run's lock is free


def test_status_says_what_is_done_stopped_and_left(film, colorizer, tmp_path):
    (tmp_path / "left.mp4").write_bytes(b"")
    (tmp_path / "done.mp4").write_bytes(b"")
    (tmp_path / "done.color.mp4").write_bytes(b"")
    frames = interrupted(film, tmp_path / "film.color.mp4", colorizer)
    interrupted(film, tmp_path / "elsewhere.mp4", colorizer)
    result = CliRunner().invoke(command, ["status", str(tmp_path), "--json"])
    states = {Path(item["target"]).name: item for item in json.loads(result.stdout)}
    assert {name: item["state"] for name, item in states.items()} == {
        "left.color.mp4": "left",
        "done.color.mp4": "done",
        "film.color.mp4": "stopped",
        "elsewhere.mp4": "stopped",
    }
    assert (states["film.color.mp4"]["frames"], states["film.color.mp4"]["total"]) == (frames, 240)
    said = CliRunner().invoke(command, ["status", str(tmp_path)]).stdout
    assert f"{100 * frames // 240} %" in said
    assert "1 done, 2 stopped, 1 left" in said


def test_status_says_left_where_nothing_of_a_stopped_film_is_kept(film, colorizer, tmp_path):
    source = tmp_path / "film.mp4"
    source.write_bytes(film.read_bytes())
    target = tmp_path / "film.color.mp4"
    interrupted(source, target, colorizer)
    folder = piece_folder(target)
    manifest = load_manifest(folder)
    assert manifest is not None
    manifest.pieces.clear()
    manifest.checkpoints.clear()
    save_manifest(manifest, folder, folder)
    result = CliRunner().invoke(command, ["status", str(source), "--json"])
    assert [item["state"] for item in json.loads(result.stdout)] == ["left"]


def test_a_trial_leaves_the_pieces_of_the_film_alone_and_none_of_its_own(film, colorizer, tmp_path):
    target = tmp_path / "out.mp4"
    frames = interrupted(film, target, colorizer)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(Enough):
        colorize_film(
            film,
            target,
            colorizer,
            FilmSettings(encode=FAST, pieces=SHORT, start=1),
            on_frame=stop_after(100),
        )
    assert sorted(tmp_path.rglob("*")) == before
    assert colorize_film(film, target, colorizer, QUICKLY).kept == frames


@pytest.mark.slow
def test_a_trial_under_the_name_of_a_film_that_was_killed_at_its_end(film, colorizer, tmp_path):
    """The trial is younger than the frames, but is not the film that they were joined to."""
    target = tmp_path / "film.color.mp4"
    run = server.Process(target=color, args=(film, target))
    run.start()
    wait_for(lambda: (manifest := kept(target)) and manifest.complete)
    run.kill()
    run.join()
    assert not target.exists()
    options = [*QUICK, "--preset", "ultrafast", "--overwrite"]
    result = CliRunner().invoke(command, [str(film), "--start", "0", "--end", "1", *options])
    assert result.exit_code == 0, result.stderr
    assert target.exists()
    CliRunner().invoke(command, [str(film), "--start", "0", "--end", "1", *QUICK])  # sweeps
    manifest = kept(target)
    assert manifest is not None
    assert manifest.frames == 240
    report = colorize_film(film, target, colorizer, QUICKLY)
    assert report.kept == report.frames == 240


def test_a_run_that_was_killed_after_its_film_got_its_name(film, colorizer, tmp_path, monkeypatch):
    """Its pieces are of no more use."""
    target = tmp_path / "film.color.mp4"

    def killed(store: object) -> None:
        os.link(target, tmp_path / "as it was")
        raise Enough

    monkeypatch.setattr("vidcolor.resume.manifest.Manifest.clear", killed)
    with pytest.raises(Enough):
        colorize_film(film, target, colorizer, QUICKLY)
    assert piece_folder(target).exists()
    sweep(tmp_path)
    assert not piece_folder(target).exists()


@pytest.mark.parametrize("place", ["in a piece", "at the end"])
def test_a_source_that_is_replaced_while_it_is_colored(film, colorizer, tmp_path, place):
    """No film is half of the one and half of the other."""
    target, other = tmp_path / "out.mp4", tmp_path / "other.mp4"
    run_ffmpeg("-i", film, "-vf", "negate", "-fps_mode", "passthrough", "-c:a", "copy", other)
    content, state = film.read_bytes(), film.stat()

    def on_frame(done: int, total: int | None) -> None:
        if done == {"in a piece": 110, "at the end": 240}[place]:
            other.replace(film)

    with pytest.raises(MediaError, match=r"changed or replaced while it was colored.*--fresh"):
        colorize_film(film, target, colorizer, QUICKLY, on_frame=on_frame)
    assert not target.exists()
    frames = {"in a piece": 96, "at the end": 224}[place]
    assert f"{frames} frames of an earlier run" in refused(film, target, colorizer, QUICKLY)
    film.write_bytes(content)
    os.utime(film, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert colorize_film(film, target, colorizer, QUICKLY).kept == frames


def test_a_source_that_is_gone_before_its_film_is_joined(film, colorizer, tmp_path):
    def on_frame(done: int, total: int | None) -> None:
        if done == 240:
            film.unlink()

    with pytest.raises(MediaError, match="can no longer be read"):
        colorize_film(
            film,
            tmp_path / "out.mp4",
            colorizer,
            QUICKLY,
            on_frame=on_frame,
        )


WRONG = [
    [],
    3,
    {},
    {"source": 3},
    {"source": {}},
    {"source": {"path": 7}},
    {"target": None},
    {"target": "../../x"},
    {"settings": []},
    {"total": "many"},
    {"total": 1e300},
    {"pieces": {}},
    {"pieces": [3]},
    {"pieces": [{}]},
    {"frames": "9"},
    {"frames": -1},
    {"frames": True},
    {"size": None},
    {"tail": [[0]]},
    {"tail": 5},
    {"tail": [["a", "b"]]},
    {"first_pts": 2**80},
    {"checkpoints": [[]]},
    {"complete": "yes"},
    {"result": "now"},
]


@pytest.fixture(scope="module")
def kept_work(vfr_film, tmp_path_factory):
    """Source and target of a run that was stopped."""
    folder = tmp_path_factory.mktemp("kept")
    source = folder / "film.mp4"
    source.write_bytes(vfr_film.read_bytes())
    interrupted(source, folder / "film.color.mp4", make_colorizer())
    return source, folder / "film.color.mp4"


@pytest.mark.parametrize("wrong", WRONG, ids=repr)
def test_a_manifest_of_wrong_types_is_as_good_as_none(kept_work, tmp_path, wrong):
    source, target = kept_work
    file = piece_folder(target) / "manifest.json"
    right = file.read_text()
    content = json.loads(right)
    if isinstance(wrong, dict) and wrong:
        for name, value in wrong.items():
            (content if name in content else content["pieces"][0])[name] = value
    else:
        content = wrong
    file.write_text(json.dumps(content))
    try:
        result = CliRunner().invoke(command, ["status", str(source.parent), "--json"])
        assert result.exit_code == 0, result.exception
        assert json.loads(result.stdout)[0]["state"] == "left"
        assert kept(target) is None
    finally:
        file.write_text(right)
    assert kept(target) is not None


def test_a_manifest_that_is_nested_too_deeply(kept_work):
    file = piece_folder(kept_work[1]) / "manifest.json"
    right = file.read_text()
    file.write_text("[" * 100_000)
    assert kept(kept_work[1]) is None
    file.write_text(right)


def test_a_log_holds_what_a_bug_report_needs(film, tmp_path):
    (tmp_path / "broken.mp4").write_bytes(b"no film")
    log = tmp_path / "run.log"
    words = [film, tmp_path / "broken.mp4", "-o", tmp_path / "out", "--log", log, "--end", "1"]
    CliRunner().invoke(command, [str(word) for word in (*words, *QUICK)])
    text = log.read_text()
    assert str(find_ffmpeg().path) in text
    assert "mergeplanes" in text, "the encoder's command line is missing"
    assert "'crf': None" in text
    assert "Traceback" in text
    assert "MediaError" in text


def test_a_log_never_goes_into_a_film(film):
    before = film.read_bytes()
    result = CliRunner().invoke(command, [str(film), "--log", str(film)])
    assert result.exit_code == 1
    assert film.read_bytes() == before


def frame(pts: int, cut_score: float = 0.0) -> LumaFrame:
    return LumaFrame(pts, np.zeros((2, 2), np.uint8), cut_score)


def test_a_piece_ends_at_a_cut_or_when_it_is_long_enough():
    settings = PieceSettings(seconds=10, cut_from=0.8)
    frames = [frame(pts, 50 if pts in (3, 18, 19, 27) else 1) for pts in range(40)]
    numbers = [number for number, _ in in_pieces(frames, Fraction(1), settings, 0)]
    assert [numbers.index(number) for number in range(5)] == [0, 10, 18, 27, 37]
    later = [number for number, _ in in_pieces(frames[18:], Fraction(1), settings, 2)]
    assert later == numbers[18:]


def test_a_piece_never_ends_between_frames_that_are_out_of_order():
    frames = [frame(pts) for pts in (0, 1, 5, 2, 3, 5, 6)]
    numbers = [number for number, _ in in_pieces(frames, Fraction(1), PieceSettings(seconds=2), 0)]
    assert numbers == [0, 0, 1, 1, 1, 1, 1]


def test_what_dead_runs_of_earlier_versions_left_is_removed(tmp_path):
    old, young = tmp_path / f"{WORK_PREFIX}old12345", tmp_path / f"{WORK_PREFIX}young123"
    for folder in (old, young):
        folder.mkdir()
        (folder / "piece").write_bytes(b"half")
    long_ago = time.time() - ABANDONED - 60
    for path in (old / "piece", old):
        os.utime(path, (long_ago, long_ago))
    sweep(tmp_path)
    assert list(tmp_path.iterdir()) == [young]
