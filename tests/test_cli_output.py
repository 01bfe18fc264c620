"""What the command line prints, and where that cannot be printed."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image

from vidcolor.cli import vidcolor as command
from vidcolor.cli.names import shell_command
from vidcolor.weights.catalog import LITE
from vidcolor.weights.check import sha256
from vidcolor.weights.places import carried_folder

QUICK = ("--render-factor", "4", "--device", "cpu")
FULL = Path("/dev/full")
needs_full = pytest.mark.skipif(not FULL.exists(), reason="there is no /dev/full here")


def vidcolor(*words):
    """Call the command in this process; the result has exit_code, stdout and stderr."""
    return CliRunner().invoke(command, [str(word) for word in words])


def shell(line, *words):
    """Run a line of sh in which "$@" are python -m vidcolor and these words."""
    arguments = [sys.executable, "-m", "vidcolor", *map(str, words)]
    return subprocess.run(
        ["sh", "-c", line, "sh", *arguments], capture_output=True, text=True, timeout=120
    )


@needs_full
@pytest.mark.parametrize("words", [["weights", "list"], ["weights", "list", "--json"], ["info"]])
def test_output_to_a_full_device_is_one_line(words):
    result = shell('"$@" >/dev/full', *words)
    assert result.returncode == 1
    assert result.stderr.startswith("Error: cannot write the output (No space left")
    assert result.stderr.count("\n") == 1


@needs_full
def test_a_summary_to_a_full_device_is_one_line_after_the_film(clip, tmp_path):
    target = tmp_path / "out.mp4"
    result = shell('"$@" >/dev/full', clip, "-o", target, "--json", "-q", *QUICK)
    assert result.returncode == 1
    assert result.stderr.startswith("Error: cannot write the output (No space left")
    assert result.stderr.count("\n") == 1
    assert target.stat().st_size > 1000


@needs_full
def test_messages_to_a_full_device_cost_no_film(clip, tmp_path):
    target = tmp_path / "out.mp4"
    result = shell('"$@" 2>/dev/full', clip, "-o", target, "--json", *QUICK)
    assert result.returncode == 0
    assert json.loads(result.stdout)[0]["status"] == "done"
    assert target.stat().st_size > 1000


def test_closed_standard_streams_cost_no_film(clip, tmp_path):
    target = tmp_path / "out.mp4"
    assert shell('"$@" <&- >&- 2>&-', clip, "-o", target, *QUICK).returncode == 0
    assert target.stat().st_size > 1000


def test_a_reader_that_has_seen_enough_gets_no_traceback():
    result = shell('"$@" | head -c 1', "weights", "list")
    assert "Traceback" not in result.stderr


@pytest.mark.slow
def test_signals_that_follow_each_other_end_the_run_once(make_clip, tmp_path):
    """The second and third come while the first one's tidying is under way."""
    film = make_clip("long.mp4")
    for delay in (0.0, 0.005, 0.02, 0.1):
        process = subprocess.Popen(
            [sys.executable, "-m", "vidcolor", film, "-o", tmp_path / "out.mp4", *QUICK],
            stderr=subprocess.PIPE,
            text=True,
        )
        deadline = time.monotonic() + 60
        while not list(tmp_path.glob(".vidcolor-*/manifest.json")) and time.monotonic() < deadline:
            time.sleep(0.02)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            process.send_signal(number)
            time.sleep(delay)
        _, said = process.communicate(timeout=60)
        assert process.returncode in (130, 143, 129), said
        assert "Traceback" not in said
        assert said.count("Stopped") == 1
        assert list(tmp_path.iterdir()) == []


@pytest.fixture
def odd_names(clip, tmp_path):
    """A folder of films whose names hold what a terminal must not get."""
    archive = tmp_path / "archive"
    archive.mkdir()
    for name in (b"esc\x1b[2J.mp4", b"line\nbreak.mp4"):
        (archive / os.fsdecode(name)).write_bytes(b"no film")
    Image.linear_gradient("L").resize((64, 48)).save(archive / os.fsdecode(b"caf\xe9.png"))
    return archive


@pytest.mark.slow
def test_odd_names_are_escaped_in_every_table(odd_names):
    for words in (["-q"], [], ["--json"]):
        result = shell('"$@"', odd_names, "--overwrite", *words, *QUICK)
        assert "Traceback" not in result.stderr
        assert "\x1b[2J" not in result.stdout + result.stderr
        if not words:
            assert r"caf\xe9.png" in result.stderr
            assert result.stderr.count(r"line\nbreak.mp4") >= 2
    result = shell('"$@"', "status", odd_names)
    assert "\x1b" not in result.stdout
    for name in (r"esc\x1b[2J.mp4", r"line\nbreak.mp4", r"caf\xe9.png"):
        assert name in result.stdout
    assert result.stdout.count("\n") == 4


def test_a_folder_names_its_files_by_their_paths_in_it(tmp_path):
    for name in ("1920/x.png", "1930/x.png"):
        path = tmp_path / "archive" / name
        path.parent.mkdir(parents=True)
        Image.linear_gradient("L").resize((64, 48)).save(path)
    (tmp_path / "archive" / "bad.mp4").write_bytes(b"no film")
    said = vidcolor(tmp_path / "archive", "--recursive", "-o", tmp_path / "out", *QUICK).stderr
    rows = [line.split()[1] for line in said.splitlines() if line.startswith(("done", "failed"))]
    assert rows == ["1920/x.png", "1930/x.png", "bad.mp4"]
    status = vidcolor("status", tmp_path / "archive", "--recursive", "-o", tmp_path / "out").stdout
    assert "1920/x.png" in status
    assert "1930/x.png" in status


def test_files_of_two_folders_are_told_apart(tmp_path):
    for name in ("a/x.png", "b/x.png"):
        (tmp_path / name).parent.mkdir()
        Image.linear_gradient("L").resize((64, 48)).save(tmp_path / name)
    said = vidcolor("status", tmp_path / "a", tmp_path / "b").stdout
    assert "a/x.png" in said.replace("\n", "")
    assert "b/x.png" in said.replace("\n", "")


def test_the_model_is_described_once_and_one_frame_is_singular(make_clip, tmp_path):
    photo = tmp_path / "photo.png"
    Image.linear_gradient("L").resize((64, 48)).save(photo)
    words = [make_clip("one_frame.mp4"), photo, "-o", tmp_path / "out"]
    result = vidcolor(*words, *QUICK, "--precision", "fp32")
    assert result.exit_code == 0, result.stderr
    assert result.stderr.count("--model video") == 1
    assert result.stderr.count("render factor") == 1
    assert "1 frame in" in result.stderr
    assert "1 frames" not in result.stderr


def test_something_is_said_before_torch_is_loaded(clip, tmp_path):
    code = (
        "import sys\n"
        "class Watch:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'torch': print('torch', file=sys.stderr, flush=True)\n"
        "sys.meta_path.insert(0, Watch())\n"
        "from vidcolor.cli import main; main()"
    )
    color = [clip, "-o", tmp_path / "out.mp4", *QUICK]
    for words, first in ((color, "out.mp4"), (["info"], "vidcolor")):
        result = subprocess.run(
            [sys.executable, "-c", code, *map(str, words)], capture_output=True, text=True
        )
        said = result.stderr if words[0] != "info" else result.stdout + result.stderr
        assert first in said.split("torch\n")[0], said


@pytest.mark.parametrize(
    ("words", "exit_code"),
    [(["--crf", "99"], 1), (["-o", "out.xyz"], 2), (["--codec", "copy"], 1)],
)
def test_wrong_encodings_are_refused_before_a_model_is_loaded(words, exit_code, clip, tmp_path):
    result = vidcolor(clip, "-o", tmp_path / "out.mp4", *words, "--model", "lite", *QUICK)
    assert result.exit_code == exit_code
    assert "render factor" not in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_shipped_model_is_verified_by_its_hash():
    assert sha256(carried_folder() / LITE.file) == LITE.sha256, (
        "weights/lite.safetensors has changed: write its SHA-256 into weights/catalog.py"
    )
    said = vidcolor("weights", "verify").stdout
    assert any(line.startswith("ok ") and LITE.file in line for line in said.splitlines())


def test_a_command_can_be_given_to_a_shell_again():
    words = ["vidcolor", "a b.mp4", os.fsdecode(b"new\nline's \\ \xff.mp4")]
    line = shell_command(words)
    assert line.isprintable()
    said = subprocess.run(
        ["bash", "-c", f"printf '%s\\0' {line}"], capture_output=True, check=True
    ).stdout
    assert said.split(b"\0")[:-1] == [os.fsencode(word) for word in words]


def test_the_command_alone_sets_the_environment():
    code = (
        "import os, sys, vidcolor, vidcolor.cli\n"
        "assert 'OMP_WAIT_POLICY' not in os.environ\n"
        "sys.argv = ['vidcolor', '--version']\n"
        "try: vidcolor.cli.main()\n"
        "except SystemExit: pass\n"
        "assert os.environ['OMP_WAIT_POLICY'] == 'PASSIVE'\n"
        "assert 'torch' not in sys.modules\n"
    )
    environment = {name: v for name, v in os.environ.items() if name != "OMP_WAIT_POLICY"}
    result = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
