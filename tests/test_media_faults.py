"""Names, metadata, clocks and processes that once broke the reading and writing of films."""

import os
import signal
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path

import av
import ffmpeg
import pytest
from conftest import PICTURE, X264, run_ffmpeg
from films import SMALL, color_film, pictures, write_film
from test_faults import process_with
from test_process import children

from vidcolor.errors import MediaError
from vidcolor.film import colorize_film
from vidcolor.inference.settings import RenderSettings
from vidcolor.media.binary import find_ffmpeg
from vidcolor.media.carry import carried_streams
from vidcolor.media.containers import EncodeSettings
from vidcolor.media.damage import Damage
from vidcolor.media.join import join
from vidcolor.media.limits import open_film
from vidcolor.media.probe import probe
from vidcolor.media.process import Interrupted, run
from vidcolor.media.read import read_luma
from vidcolor.media.target import check_target
from vidcolor.prefetch import prefetch

FFV1 = EncodeSettings(codec="ffv1")


@pytest.fixture
def alarm():
    """alarm(seconds, error): have the error raised in this thread after so long; None ends it."""

    def set_alarm(seconds: float, error: Exception | None = None) -> None:
        def ring(number: int, frame: object) -> None:
            raise error or AssertionError

        signal.signal(signal.SIGALRM, ring)
        signal.setitimer(signal.ITIMER_REAL, seconds)

    yield set_alarm
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)


class TestNames:
    """Files and folders may be called anything."""

    @pytest.mark.parametrize(
        "name",
        ["http:", "concat:x", "pipe:0", "tcp:", "subfile,,start,0,end,9,,:x", "data:x", "file:x"],
    )
    def test_a_folder_like_an_address(self, name, clip, tmp_path, monkeypatch):
        """As a relative path, so that its name begins with what ffmpeg takes for a protocol."""
        monkeypatch.chdir(tmp_path)
        folder = Path(name)
        folder.mkdir()
        source = folder / "film.mp4"
        source.write_bytes(clip.read_bytes())
        check_target(probe(source), folder / "out.mkv", EncodeSettings())
        assert color_film(source, folder / "out.mkv", pieces=2) == []
        assert len(pictures(folder.absolute() / "out.mkv")) == 12

    def test_names_that_are_not_utf_8(self, rich_clip, tmp_path):
        """Of folder, film and result; with a cover, which is written to a file on the way."""
        folder = tmp_path / os.fsdecode(b"f\xfflder")
        folder.mkdir()
        source = folder / os.fsdecode(b"m\xff.mkv")
        source.write_bytes(rich_clip.read_bytes())
        target = folder / os.fsdecode(b"\xe9.mkv")
        check_target(probe(source), target, EncodeSettings())
        assert color_film(source, target) == []
        with open_film(target) as film:
            assert len(list(film.decode(video=0))) == 12


class TestMetadata:
    """What a container says of itself."""

    @pytest.mark.parametrize("suffix", [".avi", ".mkv", ".mp4", ".mov"])
    @pytest.mark.parametrize("result", [".mkv", ".mp4"])
    def test_not_utf_8(self, suffix, result, clip, tmp_path):
        """Latin-1, as old programs wrote it."""
        source, target = tmp_path / f"film{suffix}", tmp_path / f"out{result}"
        words = os.fsdecode(b"title=Caf\xe9")
        run_ffmpeg(
            *("-i", clip, "-c", "copy", "-metadata", words, "-metadata:s:a:0", words, source),
        )
        assert color_film(source, target, EncodeSettings()) == []
        with av.open(str(target), metadata_errors="replace") as film:
            assert film.metadata["title"] == "Caf\ufffd"

    @pytest.mark.parametrize(("result", "size"), [(".mp4", 1000), (".mov", 127)])
    def test_a_long_title(self, result, size, clip, tmp_path):
        """Longer than any argument of a process, which is how a track's name is handed over."""
        title = "é" * 100_000
        words = tmp_path / "words.txt"
        words.write_text(f";FFMETADATA1\n[STREAM]\n[STREAM]\ntitle={title}\n")
        source, target = tmp_path / "film.mkv", tmp_path / f"out{result}"
        run_ffmpeg(
            *("-i", clip, "-i", words, "-map", "0", "-c", "copy", "-map_metadata:s:1", "1:s:1"),
            source,
        )
        warnings = color_film(source, target, EncodeSettings())
        assert warnings == [
            f"the title of audio stream 1 was shortened to {size} bytes; .mkv holds all of it"
        ]
        with av.open(str(target), metadata_errors="replace") as film:
            name = film.streams[1].metadata["handler_name"]
        assert len(name) > 60
        assert set(name) == {"é"}

    @pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".webm"])
    @pytest.mark.parametrize("own", [None, "From reel 7"])
    def test_a_comment_is_added_to_the_sources_own(self, suffix, own, clip, tmp_path):
        source, target = tmp_path / "film.mkv", tmp_path / f"out{suffix}"
        words = ("-metadata", f"comment={own}") if own else ()
        run_ffmpeg("-i", clip, "-c", "copy", "-an", *words, source)
        codec = "libvpx-vp9" if suffix == ".webm" else "libx264"
        settings = EncodeSettings(codec=codec)
        film = probe(source)
        for _ in range(2):
            join(film, write_film(film, tmp_path, settings), target, comment="by a machine")
            film = probe(target)
            assert film.comment == ("From reel 7\nby a machine" if own else "by a machine")

    def test_a_long_comment(self, clip, tmp_path):
        words = tmp_path / "words.txt"
        words.write_text(f";FFMETADATA1\ncomment={'x' * 300_000}\n")
        source, target = tmp_path / "film.mkv", tmp_path / "out.mkv"
        run_ffmpeg("-i", clip, "-i", words, "-map_metadata", "1", "-c", "copy", source)
        film = probe(source)
        join(film, write_film(film, tmp_path), target, comment="by a machine")
        assert (probe(target).comment or "").endswith("xxx\nby a machine")


def dying_ffmpeg(folder: Path, words: str) -> Path:
    """An ffmpeg that is killed whenever its arguments hold these words."""
    program = folder / "ffmpeg"
    program.write_text(
        f'#!/bin/sh\ncase "$*" in *"{words}"*) kill -9 $$;; esac\nexec {find_ffmpeg().path} "$@"\n'
    )
    program.chmod(0o755)
    return program


class TestTrials:
    """A trial that could not be made says nothing about the container."""

    @pytest.fixture
    def flac(self, clip, tmp_path) -> Path:
        path = tmp_path / "flac.mkv"
        run_ffmpeg("-i", clip, "-c:v", "copy", "-c:a", "flac", path)
        return path

    def test_killed(self, flac, tmp_path, monkeypatch):
        film = probe(flac)
        monkeypatch.setenv("VIDCOLOR_FFMPEG", str(dying_ffmpeg(tmp_path, "-frames:a")))
        with pytest.raises(Interrupted, match=r"ffmpeg was killed \(SIGKILL\).*try again"):
            carried_streams(film, "mp4")

    def test_killed_before_the_work(self, clip, tmp_path, monkeypatch):
        """Not: this encoder does not run here, or that container cannot hold it."""
        film = probe(clip)
        monkeypatch.setenv("VIDCOLOR_FFMPEG", str(dying_ffmpeg(tmp_path, "-c copy")))
        with pytest.raises(Interrupted, match="was killed"):
            check_target(film, tmp_path / "out.mp4", EncodeSettings())

    def test_the_folder_for_temporary_files_is_full(self, flac, tmp_path, monkeypatch):
        folder = tmp_path / "full"
        folder.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", str(folder)]
        if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
            pytest.skip("only the superuser can make a small disk")
        try:
            (folder / "filling").write_bytes(bytes(4096))
            monkeypatch.setattr(tempfile, "tempdir", str(folder))
            carried, warnings = carried_streams(probe(flac), "mp4")
            check_target(probe(flac), tmp_path / "out.mp4", EncodeSettings())
        finally:
            subprocess.run(["umount", str(folder)], check=True)
        assert ([each.codec for each in carried], warnings) == (["copy"], [])


class TestProcesses:
    """A run ends when it is told to, whatever ffmpeg does."""

    def test_a_decoder_that_hangs(self, make_clip, alarm):
        """Suspended while a thread waits for its next frame; a signal arrives."""
        film = probe(make_clip("long.mp4"))
        with (
            pytest.raises(KeyError),
            read_luma(film, (640, 480)) as frames,
            closing(prefetch(frames, stop=frames.stop)) as waiting,
        ):
            next(waiting)
            (decoder,) = children()
            os.kill(decoder, signal.SIGSTOP)
            alarm(2, KeyError("a signal"))
            try:
                for _ in waiting:
                    pass
            finally:
                alarm(60)
        assert children() == []

    def test_a_decoder_that_hangs_while_a_film_is_colored(
        self, make_clip, colorizer, tmp_path, alarm
    ):
        """The threads between it and the encoder end as well."""

        def suspend(done: int, total: int | None) -> None:
            if done == 5:
                os.kill(process_with("-f rawvideo"), signal.SIGSTOP)
                alarm(2, KeyError("a signal"))

        # So large that the pipe holds few frames.
        colorizer = colorizer.with_settings(RenderSettings(render_factor=20, batch_size=1))
        with pytest.raises(KeyError):
            colorize_film(make_clip("long.mp4"), tmp_path / "out.mkv", colorizer, on_frame=suspend)
        assert children() == []
        assert list(tmp_path.iterdir()) == []

    def test_an_error_where_timestamps_are_read(self, clip, monkeypatch, alarm):
        def fail(self: Damage, pts: int | None) -> None:
            raise LookupError("in the thread")

        monkeypatch.setattr(Damage, "on_frame", fail)
        alarm(60)
        with pytest.raises(LookupError, match="in the thread"), read_luma(probe(clip), SMALL) as f:
            next(f)

    def test_an_error_where_messages_are_read(self, tmp_path, alarm):
        def fail(line: object) -> None:
            raise LookupError("in the thread")

        alarm(60)
        stream = ffmpeg.output(ffmpeg.input(str(tmp_path / "nothing")), "pipe:1", f="null")
        with (
            pytest.raises(LookupError, match="in the thread"),
            run(stream, "read it", fail) as process,
        ):
            process.finish()

    @pytest.mark.slow
    def test_standard_streams_that_are_closed(self, clip, tmp_path):
        """A pipe would get the number of one of them, and ffmpeg take it for its own."""
        target = tmp_path / "out.mkv"
        words = [sys.executable, "-m", "vidcolor", clip, "-o", target, "-r", "4", "--device", "cpu"]
        closed = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *map(str, words)]
        assert subprocess.run(closed, timeout=300).returncode == 0
        assert len(pictures(target)) == 12


def timestamps(path: Path) -> dict[str, list[float]]:
    """Sorted presentation times of all packets, by the kind of their stream."""
    found: dict[str, list[float]] = {}
    with av.open(str(path)) as container:
        for packet in container.demux():
            if packet.pts is not None and packet.time_base is not None:
                times = found.setdefault(packet.stream.type, [])
                times.append(float(packet.pts * packet.time_base))
    return {kind: sorted(times) for kind, times in found.items()}


class TestClocks:
    """When frames are shown."""

    @pytest.mark.parametrize("suffix", [".ts", ".mpg"])
    @pytest.mark.parametrize("result", [".mkv", ".mp4"])
    def test_a_clock_that_wraps_soon_after_the_start(self, suffix, result, tmp_path):
        """33 bits at 90 kHz last for 95443.7 s."""
        source, target = tmp_path / f"film{suffix}", tmp_path / f"out{result}"
        run_ffmpeg(
            *("-f", "lavfi", "-i", "testsrc2=size=64x48:rate=25:duration=4"),
            *("-f", "lavfi", "-i", "sine=duration=4", "-c:v", "mpeg2video", "-c:a", "mp2"),
            *("-output_ts_offset", "95442", "-muxdelay", "0", "-muxpreload", "0", source),
        )
        assert color_film(source, target, EncodeSettings()) == []
        before, after = timestamps(source), timestamps(target)
        begin = min(before["video"][0], before["audio"][0])
        assert begin < -1
        for kind in ("video", "audio"):
            moved = [time - begin for time in before[kind]]
            assert after[kind] == pytest.approx(moved, abs=0.002), kind

    @pytest.mark.parametrize("suffix", [".mkv", ".flv", ".ts", ".mp4"])
    @pytest.mark.parametrize("after", ["0", "30"])
    def test_a_picture_that_starts_late(self, suffix, after, tmp_path):
        """After the sound, and both after the container's zero."""
        sound, source = tmp_path / "sound.mkv", tmp_path / f"film{suffix}"
        run_ffmpeg("-f", "lavfi", "-i", "sine=duration=9", "-c:a", "aac", sound)
        run_ffmpeg(
            *("-itsoffset", "5", "-f", "lavfi", "-i", "testsrc2=size=64x48:rate=10:duration=4"),
            *("-i", sound, "-map", "0", "-map", "1", "-output_ts_offset", after),
            *("-fps_mode", "passthrough"),
            *(*X264, "-c:a", "copy", source),
        )
        warned: list[str] = []
        film = probe(source)
        with read_luma(film, SMALL, warn=warned.append) as frames:
            assert len(list(frames)) == 40
        assert warned == []

    def test_one_frame_in_100_seconds(self, tmp_path):
        source = tmp_path / "film.mkv"
        run_ffmpeg(
            "-f", "lavfi", "-i", "testsrc2=size=64x48:rate=1/100:duration=500", *X264, source
        )
        warned: list[str] = []
        with read_luma(probe(source), SMALL, warn=warned.append) as frames:
            assert len(list(frames)) == 5
        assert warned == []

    def test_frames_with_the_same_timestamp(self, tmp_path):
        source = tmp_path / "film.mkv"
        run_ffmpeg(
            *(*PICTURE, "-vf", "setpts=floor(N/2)*2/24/TB", "-fps_mode", "passthrough"),
            *("-c:v", "ffv1", source),
        )
        warned: list[str] = []
        with read_luma(probe(source), SMALL, warn=warned.append) as frames:
            assert len(list(frames)) == 12
        assert warned == []


class TestPictures:
    """Sizes, shapes and matrices that few films have."""

    @pytest.mark.parametrize("size", ["1:1", "3:3", "2:40"])
    def test_too_small_to_encode(self, size, tmp_path):
        source = tmp_path / "film.nut"
        small = ("-vf", f"scale={size}", "-pix_fmt", "gray10le", "-c:v", "rawvideo")
        run_ffmpeg(*PICTURE, *small, source)
        with pytest.raises(MediaError, match=rf"as small as {size.replace(':', 'x')}; enlarge it"):
            check_target(probe(source), tmp_path / "out.mp4", EncodeSettings(codec="libx265"))

    def test_an_aspect_that_ffmpeg_ignores(self, tmp_path):
        source = tmp_path / "film.mkv"
        run_ffmpeg(*PICTURE, "-vf", "setsar=100/1", "-c:v", "ffv1", source)
        if find_ffmpeg().version < (6, 0):
            pytest.skip("this ffmpeg does not write such an aspect")
        warned: list[str] = []
        with read_luma(probe(source), SMALL, warn=warned.append) as frames:
            assert len(list(frames)) == 12
        assert len(warned) == 1
        assert "sample aspect ratio of 100:1 is ignored" in warned[0]

    @pytest.mark.parametrize(("number", "name"), [(8, "YCgCo"), (14, "ICtCp")])
    def test_a_matrix_that_is_not_handled(self, number, name, make_clip, tmp_path):
        """Its luma goes through unchanged, and a line says what became of the rest."""
        source, target = tmp_path / "film.mp4", tmp_path / "out.mkv"
        run_ffmpeg(
            *("-i", make_clip("vfr.mp4"), "-c", "copy"),
            *("-bsf:v", f"h264_metadata=matrix_coefficients={number}", source),
        )
        (warning,) = color_film(source, target)
        assert f"coded with {name}; its luma is kept" in warning
        for old, new in zip(pictures(source), pictures(target), strict=True):
            assert (old.planes[0] == new.planes[0]).all()
