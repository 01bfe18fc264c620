"""Nothing is left behind: no process, no half a film."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from films import SMALL, flat_chroma, pictures, write_film

from vidcolor.errors import MediaError
from vidcolor.media.containers import EncodeSettings
from vidcolor.media.join import join
from vidcolor.media.probe import probe
from vidcolor.media.read import read_luma
from vidcolor.media.write import write_piece


def children() -> list[int]:
    """Process ids of the ffmpegs that this process has started, zombies included.

    Other tests may have left servers of Python's multiprocessing.
    """
    return [
        int(entry.name)
        for entry in Path("/proc").iterdir()
        if entry.name.isdigit() and _name_and_parent(entry) == ("ffmpeg", os.getpid())
    ]


def _name_and_parent(entry: Path) -> tuple[str, int] | None:
    try:
        before, _, after = (entry / "stat").read_text().rpartition(")")
    except OSError:
        return None
    return before.partition("(")[2][:6], int(after.split()[1])


@pytest.fixture
def film(make_clip):
    return probe(make_clip("long.mp4"))


@pytest.fixture(autouse=True)
def nothing_is_left(tmp_path):
    before = children()
    yield
    assert children() == before
    assert list(tmp_path.rglob("*.part")) == []
    assert list(tmp_path.rglob(".vidcolor-*")) == []


def test_reading_may_stop_early(film):
    with read_luma(film, SMALL) as frames:
        assert next(frames).pixels.shape == SMALL[::-1]
    assert len(children()) == 0


@pytest.mark.parametrize("problem", [RuntimeError, KeyboardInterrupt])
def test_an_exception_while_writing(film, tmp_path, problem):
    with (
        pytest.raises(problem),
        read_luma(film, SMALL) as frames,
        write_piece(film, tmp_path / "piece", SMALL, EncodeSettings()) as writer,
    ):
        for number, frame in enumerate(frames):
            writer.write(frame.pts, flat_chroma(number))
            if number == 20:
                raise problem
    assert list(tmp_path.iterdir()) == []


def test_fewer_frames_than_were_written_is_an_error(make_clip, tmp_path):
    film = probe(make_clip("cfr.mp4"))
    with (
        pytest.raises(MediaError, match="13 frames were colored, but 12 were found again"),
        write_piece(film, tmp_path / "piece", SMALL, EncodeSettings()) as writer,
        read_luma(film, SMALL) as frames,
    ):
        stamps = [frame.pts for frame in frames]
        for pts in [*stamps, stamps[-1] + 1000]:
            writer.write(pts, flat_chroma(0))
    assert list(tmp_path.iterdir()) == []


def test_an_encoder_that_dies_says_why(film, tmp_path):
    settings = EncodeSettings(codec="libx264", preset="hasty")
    with (
        pytest.raises(MediaError, match=r"cannot write .*piece: .*hasty"),
        write_piece(film, tmp_path / "piece", SMALL, settings) as writer,
    ):
        for number in range(100_000):
            writer.write(number, flat_chroma(number))
    assert list(tmp_path.iterdir()) == []


def test_a_source_that_is_gone_says_so(make_clip, tmp_path):
    source = tmp_path / "film.mp4"
    source.write_bytes(make_clip("cfr.mp4").read_bytes())
    film = probe(source)
    source.unlink()
    with (
        pytest.raises(MediaError, match=r"cannot read .*film.mp4.*No such file"),
        read_luma(film, SMALL) as frames,
    ):
        next(frames)


def test_a_join_that_fails_leaves_the_old_film_alone(film, tmp_path):
    target = tmp_path / "colored.mp4"
    target.write_bytes(b"old")
    pieces = write_film(film, tmp_path, EncodeSettings())
    pieces[0].path.write_bytes(b"damaged")
    with pytest.raises(MediaError, match="piece0 is not a film"):
        join(film, pieces, target)
    assert target.read_bytes() == b"old"


@pytest.fixture
def small_disk(tmp_path):
    """A folder with room for 200 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("only the superuser can make a small disk")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_named_while_writing(film, small_disk):
    with pytest.raises(MediaError, match="no space left there; free some and try again"):
        write_film(film, small_disk, EncodeSettings(codec="ffv1"))
    assert list(small_disk.iterdir()) == []


def test_a_full_disk_is_named_while_joining(film, small_disk):
    pieces = write_film(film, small_disk, EncodeSettings(crf=40))
    room = shutil.disk_usage(small_disk).free
    (small_disk / "filling").write_bytes(bytes(room - 20_000))
    with pytest.raises(MediaError, match="no space left there; free some and try again"):
        join(film, pieces, small_disk / "colored.mkv")
    assert {path.name for path in small_disk.iterdir()} == {"piece0", "filling"}


def test_the_terminals_interrupt_reaches_python_alone(film, tmp_path):
    """ffmpeg runs in a session of its own, so Ctrl-C cannot make it end before its time."""
    with write_piece(film, tmp_path / "piece", SMALL, EncodeSettings()) as writer:
        (encoder,) = children()
        assert os.getsid(encoder) != os.getsid(0)
        with read_luma(film, SMALL) as frames:
            for number, frame in enumerate(frames):
                writer.write(frame.pts, flat_chroma(number))
    assert len(pictures(tmp_path / "piece")) == 400
