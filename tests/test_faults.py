"""Everything that goes wrong on a long night: one line, an exit code, and nothing left behind."""

import itertools
import os
import shutil
import signal
import subprocess
import threading
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from click.testing import CliRunner
from conftest import TONE, X264, run_ffmpeg
from films import pictures
from test_process import children

from vidcolor.cli import vidcolor
from vidcolor.errors import DeviceError, MediaError
from vidcolor.film import colorize_film
from vidcolor.inference.colorizer import Colorizer
from vidcolor.inference.settings import RenderSettings
from vidcolor.media.binary import find_ffmpeg
from vidcolor.media.containers import EncodeSettings
from vidcolor.media.source_color import IN_COLOR
from vidcolor.resume.store import PieceSettings
from vidcolor.settings import FilmSettings
from vidcolor.weights.catalog import LITE
from vidcolor.weights.places import carried_folder

QUICK = ("--render-factor", "4", "--device", "cpu")
TEN_SECONDS = ("-f", "lavfi", "-i", "testsrc2=size=160x120:rate=10:duration=10")
TEN_TONES = ("-f", "lavfi", "-i", "sine=frequency=440:duration=10")
KINDS = {
    "mp4": (*X264, "-g", "10", "-bf", "2", "-c:a", "aac", "-movflags", "+faststart"),
    "mkv": (*X264, "-g", "10", "-bf", "2", "-c:a", "aac"),
    "ts": (*X264, "-g", "10", "-bf", "2", "-c:a", "aac"),
    "avi": ("-c:v", "mpeg4", "-g", "10", "-q:v", "3", "-c:a", "mp3"),
    "mpg": ("-c:v", "mpeg2video", "-g", "10", "-q:v", "3", "-r", "25", "-bf", "2", "-c:a", "mp2"),
}


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """film("mp4"): the path of ten seconds with sound, as that container holds them."""
    folder = tmp_path_factory.mktemp("films")

    def make(kind: str) -> Path:
        path = folder / f"film.{kind}"
        if not path.exists():
            run_ffmpeg(*TEN_SECONDS, *TEN_TONES, *KINDS[kind], path)
        return path

    return make


@pytest.fixture(autouse=True)
def nothing_is_left(tmp_path):
    """No process, no thread, no unfinished file."""
    before, threads = children(), threading.active_count()
    yield
    assert children() == before
    assert threading.active_count() <= threads  # one of an earlier test may have ended meanwhile
    assert [path for path in tmp_path.rglob(".vidcolor-*") if path.is_dir()] == []
    assert list(tmp_path.rglob("*.part")) == []


def colored(*words: str | Path) -> tuple[int, list[str]]:
    """Exit code, and the lines on stderr that warn or report an error.

    But for the one about color: most of these films are test patterns.
    """
    result = CliRunner().invoke(vidcolor, ["colorize", *QUICK, *(str(word) for word in words)])
    assert "Traceback" not in result.stderr, result.stderr
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    lines = result.stderr.splitlines()
    said = [line for line in lines if line.startswith(("Error", "Warning"))]
    return result.exit_code, [line for line in said if not line.endswith(IN_COLOR)]


def times(path: Path) -> list[float]:
    """When ffmpeg itself, left alone, shows the frames that it can decode."""
    command = (
        *(find_ffmpeg().path, "-nostdin", "-v", "quiet", "-copyts", "-max_error_rate", "1"),
        *("-i", path, "-map", "0:v:0", "-fps_mode", "passthrough", "-enc_time_base", "1:1000"),
        *("-f", "framecrc", "-"),
    )
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    lines = [line.split(",") for line in said.splitlines() if not line.startswith("#")]
    return [int(line[2]) / 1000 for line in lines]


def damaged(source: Path, target: Path, begin: float, end: float, places: int) -> Path:
    """A copy with wrong bytes in so many places between two shares of its length."""
    random = np.random.default_rng(1)
    content = bytearray(source.read_bytes())
    for place in random.integers(int(begin * len(content)), int(end * len(content)), places):
        for byte in range(place, place + 4):
            content[byte] ^= 0x55
    target.write_bytes(content)
    return target


def intra(film: Path, folder: Path, *, zeroed: slice) -> tuple[Path, Path]:
    """`film` in frames that need no other, and the same with some of them zeroed."""
    whole, damaged = folder / "whole.mov", folder / "film.mov"
    run_ffmpeg("-i", film, "-c:v", "prores_ks", "-an", whole)
    content = bytearray(whole.read_bytes())
    places = [place for place in range(len(content)) if content[place : place + 4] == b"icpf"]
    for place in places[zeroed]:
        content[place : place + 64] = bytes(64)
    damaged.write_bytes(content)
    return whole, damaged


class TestSource:
    """What can be wrong with the film that is read."""

    @pytest.mark.parametrize("kind", ["mp4", "mkv", "ts", "avi", "mpg"])
    def test_cut_short(self, kind, film, tmp_path):
        source, target = tmp_path / f"film.{kind}", tmp_path / "out.mkv"
        whole = film(kind).read_bytes()
        source.write_bytes(whole[: len(whole) * 6 // 10])
        code, warnings = colored(source, "-o", target)
        assert code == 0, warnings
        frames = len(pictures(target))
        assert frames == len(times(source))
        assert 0.3 < frames / len(pictures(film(kind))) < 0.9
        if kind in ("mp4", "mkv"):  # the others do not say how long they were
            (ending,) = [line for line in warnings if "the picture ends at" in line]
            at, missing = float(pictures(target)[-1].time), ending.split(", ")[1].split()[0]
            assert float(missing) == pytest.approx(10 - at, abs=0.2)
            assert "(0:00:10.0)" in ending

    @pytest.mark.parametrize("kind", ["mp4", "mkv", "ts", "avi", "mpg"])
    def test_corrupt_in_the_middle(self, kind, film, tmp_path):
        source = damaged(film(kind), tmp_path / f"film.{kind}", 0.45, 0.55, 12)
        target = tmp_path / "out.mkv"
        code, warnings = colored(source, "-o", target, "--codec", "ffv1")
        assert code == 0, warnings
        found = [picture.time for picture in pictures(target)]
        assert found == pytest.approx(times(source), abs=0.001)
        (warning,) = [line for line in warnings if "damaged around frame" in line]
        number = int(warning.split("around frame ")[1].split()[0])
        total = len(pictures(film(kind)))
        assert 0.1 < number / total < 0.65
        intact = pictures(film(kind))
        for old, new in list(zip(intact, pictures(target), strict=False))[: total // 4]:
            assert np.array_equal(old.planes[0], new.planes[0])

    @pytest.mark.parametrize("kind", ["mp4", "ts"])
    def test_corrupt_and_in_pieces(self, kind, film, colorizer, tmp_path):
        """Each piece enters the damaged film at another place."""
        source = damaged(film(kind), tmp_path / f"film.{kind}", 0.2, 0.8, 20)
        target = tmp_path / "out.mkv"
        short = PieceSettings(seconds=2)
        encode = EncodeSettings(preset="ultrafast")
        report = colorize_film(source, target, colorizer, FilmSettings(encode=encode, pieces=short))
        found = [picture.time for picture in pictures(target)]
        assert found == pytest.approx(times(source), abs=0.001)
        assert len([line for line in report.warnings if "damaged around" in line]) == 1

    def test_packets_that_cannot_be_decoded_leave_a_gap(self, film, tmp_path):
        """Intra frames alone, some of them zeroed: the others keep their times."""
        whole, source = intra(film("mp4"), tmp_path, zeroed=slice(30, 33))
        code, warnings = colored(source, "-o", tmp_path / "out.mov")
        assert code == 0, warnings
        (warning,) = warnings
        assert "packets left out because they cannot be decoded: 3" in warning
        times = [picture.time for picture in pictures(whole)]
        found = [picture.time for picture in pictures(tmp_path / "out.mov")]
        assert found == [*times[:30], *times[33:]]

    def test_more_than_half_of_it_undecodable(self, film, tmp_path):
        _, source = intra(film("mp4"), tmp_path, zeroed=slice(5, 95))
        code, warnings = colored(source, "-o", tmp_path / "out.mov")
        assert (code, len(pictures(tmp_path / "out.mov"))) == (0, 10)
        assert any("cannot be decoded: 90" in line for line in warnings)

    def test_without_its_index(self, film, tmp_path):
        """Matroska's cues and AVI's idx1 only help seeking."""
        for kind, mark in (("mkv", b"\x1c\x53\xbb\x6b"), ("avi", b"idx1")):
            source, target = tmp_path / f"film.{kind}", tmp_path / f"out.{kind}.mkv"
            content = film(kind).read_bytes()
            source.write_bytes(content[: content.rindex(mark)])
            code, warnings = colored(source, "-o", target)
            assert code == 0, warnings
            assert len(pictures(target)) == 100

    def test_without_the_index_that_it_needs(self, clip, tmp_path):
        content = clip.read_bytes()
        source = tmp_path / "film.mp4"
        source.write_bytes(content[: content.rindex(b"moov") - 4])
        code, (error,) = colored(source, "-o", tmp_path / "out.mp4")
        assert code == 1
        assert "if it was cut short, copy or download it again" in error

    @pytest.mark.parametrize("change", ["size", "pixel format"])
    def test_changes_in_mid_stream(self, change, make_clip, tmp_path):
        other, source, target = tmp_path / "b.ts", tmp_path / "film.ts", tmp_path / "out.mkv"
        how = {"size": ("-s", "96x80"), "pixel format": ("-pix_fmt", "yuv422p")}[change]
        run_ffmpeg(
            *("-i", make_clip("late.ts"), *how, "-c:v", "mpeg2video", "-q:v", "2"),
            *("-output_ts_offset", "7.5", other),
        )
        source.write_bytes(make_clip("late.ts").read_bytes() + other.read_bytes())
        code, warnings = colored(source, "-o", target)
        assert code == 0, warnings
        # Newer decoders drop the last frame before a change, so ask the one that was run.
        shown = times(source)
        assert len(shown) in (23, 24)
        assert [picture.time for picture in pictures(target)] == pytest.approx(shown, abs=1e-3)
        assert {picture.planes[0].shape for picture in pictures(target)} == {(48, 64)}

    def test_no_frames(self, clip, tmp_path):
        source = tmp_path / "film.mp4"
        run_ffmpeg("-i", clip, "-vf", "select=0", "-an", *X264, source)
        code, (error,) = colored(source, "-o", tmp_path / "out.mp4")
        assert code == 1
        assert "film.mp4" in error
        assert not (tmp_path / "out.mp4").exists()

    def test_one_frame(self, make_clip, tmp_path):
        target = tmp_path / "out.mp4"
        assert colored(make_clip("one_frame.mp4"), "-o", target) == (0, [])
        assert len(pictures(target)) == 1

    def test_only_sound(self, make_clip, tmp_path):
        code, (error,) = colored(make_clip("only_sound.mp4"), "-o", tmp_path / "out.mp4")
        assert code == 1
        assert "has only sound" in error

    def test_a_broken_sound_track_does_not_cost_the_picture(self, film, tmp_path):
        sound, source, target = tmp_path / "s.mp4", tmp_path / "film.mkv", tmp_path / "out.mkv"
        run_ffmpeg(*TONE, "-c:a", "aac", sound)
        run_ffmpeg("-i", film("mkv"), "-c", "copy", "-bsf:a", "noise=amount=1", source)
        code, warnings = colored(source, "-o", target)
        assert code == 0, warnings
        assert len(pictures(target)) == 100

    def test_sound_that_cannot_be_copied_is_decoded(self, film, tmp_path):
        """No header of its AAC is whole for a while, so that no other container can take it."""
        source, target = tmp_path / "film.ts", tmp_path / "out.mkv"
        content = bytearray(film("ts").read_bytes())
        for place in range(len(content) // 188):
            packet = 188 * place
            sound = content[packet + 1] & 0x1F == 1 and content[packet + 2] == 1
            if sound and content[packet + 1] & 0x40 and 0.4 < packet / len(content) < 0.6:
                begin = content.find(b"\xff\xf1", packet, packet + 188)
                content[begin : begin + 3] = b"\xff\xf1\xff"
        source.write_bytes(content)
        code, warnings = colored(source, "-o", target)
        assert code == 0, warnings
        assert len(pictures(target)) == 100
        assert any("audio stream 1 (aac) is damaged and was turned into" in w for w in warnings)
        with av.open(str(target)) as result:
            heard = sum(frame.samples for frame in result.decode(audio=0))
        assert heard > 6 * 44100

    @pytest.mark.parametrize("seconds", [2, 500])
    def test_a_wrong_duration(self, seconds, film, tmp_path):
        """Shorter than the picture or much longer; the frames decide."""
        source, target = tmp_path / "film.mkv", tmp_path / "out.mkv"
        content = film("mkv").read_bytes()
        place = content.index(b"\x44\x89\x88") + 3  # Duration, a float64 of milliseconds
        number = np.array(seconds * 1000, ">f8").tobytes()
        source.write_bytes(content[:place] + number + content[place + 8 :])
        code, warnings = colored(source, "-o", target)
        assert (code, len(pictures(target))) == (0, 100)
        assert [("the picture ends at 0:00:10.0" in line) for line in warnings] == [True] * (
            seconds == 500
        )

    @pytest.mark.parametrize(
        ("size", "frames"),
        [
            *[("16x16", 5), ("2000x16", 3), ("16x2000", 3)],
            pytest.param("8192x4320", 2, marks=pytest.mark.slow),
        ],
    )
    def test_extreme_sizes(self, size, frames, tmp_path):
        source, target = tmp_path / "film.mkv", tmp_path / "out.mkv"
        picture = ("-f", "lavfi", "-i", f"testsrc2=size={size}", "-frames:v", str(frames))
        run_ffmpeg(*picture, *X264, "-preset", "ultrafast", source)
        code, warnings = colored(source, "-o", target, "--preset", "ultrafast")
        assert (code, warnings) == (0, [])
        result = pictures(target)
        assert len(result) == frames
        assert result[0].planes[0].shape == tuple(map(int, reversed(size.split("x"))))

    @pytest.mark.parametrize(
        "name",
        [
            "with space.mp4",
            'it\'s "quoted".mp4',
            "-i.mp4",
            "--help.mp4",
            "new\nline.mp4",
            "100%d %s.mp4",
            "film%03d.mp4",
            "🎬 映画.mp4",
            "concat:a|b.mp4",
            "http:x.mp4",
            "pipe:0",
            "[0:v],;\\.mp4",
        ],
    )
    def test_any_name(self, name, clip, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        Path(name).write_bytes(clip.read_bytes())
        code, warnings = colored("--", name)
        assert (code, warnings) == (0, [])
        suffix = Path(name).suffix or ".mkv"
        (target,) = [path for path in tmp_path.iterdir() if path.name != name]
        assert target.name == f"{name.removesuffix(suffix)}.color{suffix}"
        assert len(pictures(target)) == 12

    def test_a_name_like_an_address(self, clip, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        Path("http:").mkdir()
        Path("http://x.mp4").write_bytes(clip.read_bytes())
        assert colored("http://x.mp4", "-o", "out.mp4") == (0, [])
        assert colored("https://example.invalid/x.mp4", "-o", "no.mp4")[0] == 2

    def test_a_pipe_is_no_film(self, tmp_path):
        os.mkfifo(tmp_path / "film.mp4")
        code, (error,) = colored(tmp_path / "film.mp4", "-o", tmp_path / "out.mp4")
        assert code == 1
        assert "save it first" in error


@pytest.fixture
def disk(tmp_path):
    """disk(options): a folder on a file system of its own."""
    mounted = []

    def mount(options: str) -> Path:
        folder = tmp_path / "disk"
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
        if os.geteuid() != 0 or subprocess.run(command, capture_output=True).returncode != 0:
            pytest.skip("only the superuser can mount a disk")
        mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", str(folder)], check=True)


class TestPlace:
    """What can be wrong with the folder that is written to."""

    def test_the_disk_fills(self, disk, film):
        folder = disk("size=300k")
        code, (error,) = colored(film("mkv"), "-o", folder / "out.mkv", "--codec", "ffv1")
        assert code == 1
        assert "no space left there; free some and try again" in error
        assert list(folder.iterdir()) == []

    def test_the_disk_is_full_already(self, disk, film):
        folder = disk("size=8k")
        (folder / "filling").write_bytes(bytes(8192))
        code, (error,) = colored(film("mkv"), "-o", folder / "out.mkv")
        assert code == 1
        assert "space" in error
        assert [path.name for path in folder.iterdir()] == ["filling"]

    def test_it_is_read_only(self, disk, film):
        folder = disk("ro")
        code, (error,) = colored(film("mp4"), "-o", folder / "out.mp4")
        assert code == 1
        assert "Read-only file system" in error
        assert "choose another" in error

    def test_it_vanishes(self, film, colorizer, tmp_path):
        folder = tmp_path / "out"
        folder.mkdir()

        def vanish(done: int, total: int | None) -> None:
            if done == 20:
                shutil.rmtree(folder)

        with pytest.raises(MediaError, match=r"its folder is gone; .*--output"):
            colorize_film(film("mkv"), folder / "out.mkv", colorizer, on_frame=vanish)
        assert not folder.exists()


def process_with(words: str) -> int:
    """The child of this process that has these words in its command line."""
    (found,) = [
        child
        for child in children()
        if words in Path(f"/proc/{child}/cmdline").read_text(errors="replace").replace("\0", " ")
    ]
    return found


class TestFfmpeg:
    """What can be wrong with ffmpeg."""

    @pytest.mark.parametrize("what", ["-f rawvideo", "-f ivf"])
    def test_it_is_killed(self, what, make_clip, colorizer, tmp_path):
        """While it decodes, and while it encodes."""

        def kill(done: int, total: int | None) -> None:
            if done == 10:
                os.kill(process_with(what), signal.SIGKILL)

        with pytest.raises(MediaError, match=r"ffmpeg was killed \(SIGKILL\).*try again") as error:
            colorize_film(make_clip("long.mp4"), tmp_path / "out.mp4", colorizer, on_frame=kill)
        assert "\n" not in str(error.value)
        assert list(tmp_path.iterdir()) == []

    def test_it_is_missing(self, clip, tmp_path, monkeypatch):
        monkeypatch.setenv("VIDCOLOR_FFMPEG", str(tmp_path / "nowhere"))
        code, (error,) = colored(clip, "-o", tmp_path / "out.mp4")
        assert code == 1
        assert "pip install imageio-ffmpeg" in error

    def test_it_is_too_old(self, clip, tmp_path, monkeypatch):
        program = tmp_path / "ffmpeg"
        program.write_text("#!/bin/sh\necho ffmpeg version 4.4.2 Copyright\n")
        program.chmod(0o755)
        monkeypatch.setenv("VIDCOLOR_FFMPEG", str(program))
        code, (error,) = colored(clip, "-o", tmp_path / "out.mp4")
        assert code == 1
        assert "4.4, which is too old; install ffmpeg 5.1 or newer" in error


class TestModel:
    """What can be wrong with the model and its memory."""

    @pytest.mark.parametrize("first", [0, 7])
    def test_memory_runs_out_for_several_frames(self, first, film, tmp_path, monkeypatch):
        """At the first batch, and in the middle: smaller batches, the same film."""
        colorizer = Colorizer.load("lite", RenderSettings(render_factor=4, batch_size=8))
        hungry(colorizer.generator, monkeypatch, first, 2)
        colorize_film(
            film("mkv"),
            tmp_path / "out.mkv",
            colorizer,
            FilmSettings(encode=EncodeSettings(codec="ffv1")),
        )
        assert colorizer.batch_size == 2
        found = [picture.time for picture in pictures(tmp_path / "out.mkv")]
        assert found == pytest.approx(times(film("mkv")), abs=1e-3)

    @pytest.mark.parametrize("first", [0, 7])
    def test_memory_runs_out_for_one_frame(self, first, film, tmp_path, monkeypatch):
        colorizer = Colorizer.load("lite", RenderSettings(render_factor=4, batch_size=8))
        hungry(colorizer.generator, monkeypatch, first, 0)
        with pytest.raises(DeviceError, match=r"does not fit into memory.*; use --model lite"):
            colorize_film(film("mkv"), tmp_path / "out.mkv", colorizer)
        assert list(tmp_path.iterdir()) == []

    def test_its_file_was_cut_short(self, clip, tmp_path):
        whole = (carried_folder() / LITE.file).read_bytes()
        for name in ("model.safetensors", "model.pth"):
            model = tmp_path / name
            model.write_bytes(whole[: len(whole) // 2])
            code, (error,) = colored(clip, "--model", model, "-o", tmp_path / "out.mp4")
            assert code == 1
            assert name in error
            assert not (tmp_path / "out.mp4").exists()


def hungry(generator, monkeypatch, first: int, frames: int) -> None:
    """From call `first` on, more than so many frames need more memory than any machine has."""
    forward, calls = generator.forward, itertools.count()

    def more(luma: torch.Tensor) -> torch.Tensor:
        if next(calls) >= first and len(luma) > frames:
            torch.empty(1 << 60, dtype=torch.uint8)
        return forward(luma)

    monkeypatch.setattr(generator, "forward", more)
