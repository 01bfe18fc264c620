"""The command line as a user meets it."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from films import pictures
from PIL import Image

from vidcolor import __version__
from vidcolor.cli import vidcolor as command
from vidcolor.cli.types import Timecode
from vidcolor.errors import WeightsError

QUICK = ("--render-factor", "4", "--device", "cpu")


@pytest.fixture(scope="session")
def photo(tmp_path_factory):
    """A small still."""
    path = tmp_path_factory.mktemp("stills") / "photo.png"
    Image.linear_gradient("L").resize((64, 48)).save(path)
    return path


def vidcolor(*words):
    """Call the command in this process; the result has exit_code, stdout and stderr."""
    return CliRunner().invoke(command, [str(word) for word in words])


def test_help_does_not_wait_for_heavy_libraries():
    code = (
        "import sys, vidcolor.cli as c\n"
        "for words in ([], *([name] for name in c.COMMANDS)):\n"
        "    try: c.vidcolor([*words, '--help'])\n"
        "    except SystemExit: pass\n"
        "    for heavy in ('torch', 'cv2', 'torchvision'):\n"
        "        assert heavy not in sys.modules, f'{heavy} was imported for {words}'"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert "--render-factor" in result.stdout


def test_a_film_and_a_still_are_colored_and_told_as_json(clip, photo, tmp_path):
    result = vidcolor(clip, photo, "--output", tmp_path / "out", "--json", *QUICK)
    assert result.exit_code == 0, result.stderr
    film, still = json.loads(result.stdout)
    assert (film["status"], still["status"]) == ("done", "done")
    assert len(pictures(Path(film["target"]))) == film["frames"] == 12
    assert Path(still["target"]).stat().st_size > 0
    assert "render factor 4" in result.stderr
    assert "float32" in result.stderr  # stills are colored in full precision


def test_quiet_says_nothing(clip, tmp_path):
    result = vidcolor(clip, "--output", tmp_path / "out.mp4", "-q", *QUICK)
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "")


def test_a_second_run_refuses_and_overwrite_replaces(clip, tmp_path):
    target = tmp_path / "out.mp4"
    target.write_bytes(b"mine")
    result = vidcolor(clip, "--output", target, *QUICK)
    assert result.exit_code == 1
    assert "--overwrite" in result.stderr
    assert target.read_bytes() == b"mine"
    result = vidcolor(clip, "--output", target, "--overwrite", *QUICK)
    assert result.exit_code == 0, result.stderr
    assert target.stat().st_size > 1000


def test_a_source_is_never_written_over(clip, tmp_path):
    source = tmp_path / "film.mp4"
    source.write_bytes(clip.read_bytes())
    result = vidcolor(source, "--output", source, "--overwrite", *QUICK)
    assert result.exit_code == 1
    assert "source itself" in result.stderr
    assert source.read_bytes() == clip.read_bytes()


def test_one_bad_file_does_not_stop_a_folder_and_a_second_run_skips(clip, photo, tmp_path):
    archive = tmp_path / "archive"
    (archive / "old").mkdir(parents=True)
    (archive / "a.mp4").write_bytes(b"this is no film")
    (archive / "old" / "b.mp4").write_bytes(clip.read_bytes())
    (archive / "c.png").write_bytes(photo.read_bytes())
    out = tmp_path / "out"
    result = vidcolor(archive, "--recursive", "-o", out, *QUICK)
    assert result.exit_code == 1
    assert "a.mp4" in result.stderr
    assert "Traceback" not in result.stderr
    files = sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file())
    assert files == ["c.color.png", "old/b.color.mp4"]

    again = vidcolor(archive, "--recursive", "-o", out, "--json", *QUICK)
    assert [item["status"] for item in json.loads(again.stdout)] == ["failed", "skipped", "skipped"]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["nowhere.mp4"], 2, "no such file"),
        (["{text}"], 1, "notes.txt"),
        (["{clip}", "--model", "nonsense"], 2, "lite, video, stable, artistic"),
        (["{clip}", "--render-factor", "3"], 2, "4<=x<=64"),
        (["{clip}", "--start", "soon"], 2, "HH:MM:SS"),
        (["{clip}", "--start", "5", "--end", "2"], 2, "--end must be later"),
        (["{clip}", "--device", "cuda:9"], 1, "--device cpu"),
        (["{clip}", "--codec", "nonsense", "-o", "{out}.mp4"], 1, "nonsense"),
        (["{clip}", "--codec", "libx264", "-o", "{out}.webm"], 1, ".webm"),
        (["{clip}", "-o", "{text}/out.mp4"], 1, "--output"),
    ],
)
def test_wrong_input_gets_one_line_that_says_what_to_do(words, code, said, clip, tmp_path):
    text = tmp_path / "notes.txt"
    text.write_text("not a film")
    words = [word.format(clip=clip, text=text, out=tmp_path / "out") for word in words]
    result = vidcolor(*words)
    assert result.exit_code == code, result.stderr
    assert said in result.stderr
    assert "Traceback" not in result.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["notes.txt"]


def test_the_traceback_can_be_asked_for(clip, tmp_path, monkeypatch):
    text = tmp_path / "notes.pth"
    text.write_text("not a model")
    words = (clip, "-o", tmp_path / "out.mp4", "--model", text)
    assert isinstance(vidcolor(*words).exception, SystemExit)
    monkeypatch.setenv("VIDCOLOR_TRACEBACK", "1")
    assert isinstance(vidcolor(*words).exception, WeightsError)


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
@pytest.mark.slow
def test_ctrl_c_leaves_nothing_behind(number, code, make_clip, tmp_path):
    words = [str(make_clip("long.mp4")), "-o", str(tmp_path / "out.mp4"), *QUICK]
    process = subprocess.Popen(
        [sys.executable, "-m", "vidcolor", *words],
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob(".vidcolor-*/*")) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == code, said
    assert "Stopped; nothing unfinished is left behind." in said
    assert "Traceback" not in said
    assert list(tmp_path.iterdir()) == []


def test_verbose_says_how_a_film_is_read_and_written(clip, tmp_path):
    said = vidcolor(clip, "-o", tmp_path / "out.mp4", "-v", *QUICK).stderr
    assert "h264 in mov, 64x48 yuv420p" in said
    assert "libx264 yuv420p, crf 17" in said


def test_names_with_brackets_are_told_whole(clip, tmp_path):
    archive = tmp_path / "archive"
    archive.mkdir()
    for name in ("[red] a.mp4", "b.mp4"):
        (archive / name).write_bytes(b"no film")
    said = vidcolor(archive, *QUICK).stderr
    assert said.count("[red] a.mp4") >= 2


def test_names_cannot_break_lines_or_command_the_terminal(tmp_path):
    film = tmp_path / "a\nWarning: \x1b[2J.mp4"
    film.write_bytes(b"no film")
    result = vidcolor(film, *QUICK)
    (error,) = [line for line in result.stderr.splitlines() if "Error" in line]
    assert r"a\nWarning: \x1b[2J.mp4" in error
    assert "\x1b[2J" not in result.stderr


def test_completion_offers_options_and_files_at_once(monkeypatch):
    monkeypatch.setenv("_VIDCOLOR_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", "vidcolor --mo")
    monkeypatch.setenv("COMP_CWORD", "1")
    result = CliRunner().invoke(command, prog_name="vidcolor")
    assert "--model" in result.stdout
    monkeypatch.setenv("COMP_WORDS", "vidcolor fil")
    assert "file,fil" in CliRunner().invoke(command, prog_name="vidcolor").stdout


def test_python_m_and_version():
    result = subprocess.run(
        [sys.executable, "-m", "vidcolor", "--version"], capture_output=True, text=True
    )
    assert result.stdout == f"vidcolor, version {__version__}\n"


def test_info_names_ffmpeg_device_and_models():
    said = vidcolor("info", "--device", "cpu").stdout
    assert "ffmpeg" in said
    assert "cpu" in said
    assert "lite" in said


def test_preview_draws_a_labeled_sheet(clip, tmp_path):
    sheet = tmp_path / "sheet.png"
    result = vidcolor(
        "preview", clip, "--at", "0", "--at", "0.3", "-r", "4,6", "-o", sheet, "--device", "cpu"
    )
    assert result.exit_code == 0, result.stderr
    with Image.open(sheet) as image:
        # Two rows of frames; a gray column and one for each render factor.
        assert image.width == 3 * 480
        gray, colored = image.crop((0, 30, 480, 300)), image.crop((480, 30, 960, 300))
        assert not np.ptp(np.asarray(gray).astype(int), axis=2).any()
        assert np.ptp(np.asarray(colored).astype(int), axis=2).any()


def test_preview_never_writes_over_the_film(clip, tmp_path):
    film = tmp_path / "film.mp4"
    film.write_bytes(clip.read_bytes())
    result = vidcolor("preview", film, "--at", "0", "-o", film, "--overwrite")
    assert result.exit_code == 1
    assert "source itself" in result.stderr
    assert film.read_bytes() == clip.read_bytes()


def test_preview_beyond_the_end(clip, tmp_path):
    result = vidcolor("preview", clip, "--at", "01:00:00", "-o", tmp_path / "x.png")
    assert result.exit_code == 1
    assert "no frame at 1:00:00" in result.stderr


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90.0), ("1:30.5", 90.5), ("01:00:00", 3600.0), ("0.25", 0.25)]
)
def test_timecodes(text, seconds):
    assert Timecode().convert(text, None, None) == seconds
