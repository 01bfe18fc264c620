"""What the command line refuses, corrects and completes before it does any work."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image

from vidcolor.cli import COMMANDS
from vidcolor.cli import vidcolor as command
from vidcolor.cli.text import count, duration, one_line

QUICK = ("--render-factor", "4", "--device", "cpu")


def vidcolor(*words):
    """Call the command in this process; the result has exit_code, stdout and stderr."""
    return CliRunner().invoke(command, [str(word) for word in words])


@pytest.fixture
def folder(clip, tmp_path, monkeypatch):
    """The current folder, with a film, a still and a broken link."""
    monkeypatch.chdir(tmp_path)
    Path("film.mp4").write_bytes(clip.read_bytes())
    Image.linear_gradient("L").resize((64, 48)).save("photo.png")
    Path("link.mp4").symlink_to("gone.mp4")
    return tmp_path


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([""], "name is empty"),
        (["film.mp4", ""], "name is empty"),
        (["film.mp4", "-o", ""], "name is empty"),
        (["film.mp4", "--weights-dir", ""], "name is empty"),
        (["film.mp4", "--log", ""], "name is empty"),
        (["film.mp4", "--model", ""], "the models are lite"),
        (["status", ""], "name is empty"),
        (["preview", ""], "name is empty"),
        (["evaluate", "film.mp4", "--reference", ""], "name is empty"),
        (["https://example.org/film.mp4"], "vidcolor reads and writes files only"),
        (["film.mp4", "-o", "s3://bucket/film.mp4"], "vidcolor reads and writes files only"),
        (["colorise", "film.mp4"], "did you mean `vidcolor colorize`?"),
        (["stauts", "."], "did you mean `vidcolor status`?"),
        (["film.mp4", "status"], "`vidcolor status ...`"),
        (["nothing"], "`vidcolor --help` lists the commands"),
        (["link.mp4"], "it is a link, and what it points to is gone"),
        (
            ["film.mp4", "one.mp4", "photo.png", "two.mp4"],
            "no such file or folder: one.mp4, two.mp4",
        ),
        (["preview", "one.mp4"], "no such file or folder: one.mp4"),
        (["evaluate", "one.mp4", "--reference", "film.mp4"], "no such file or folder: one.mp4"),
        (["photo.png", "--compare"], "--compare has no effect on stills"),
        (
            ["photo.png", "--codec", "ffv1", "--end", "2"],
            "--end and --codec have no effect on stills, and there is no film; leave them out",
        ),
        (["film.mp4", "-o", "film.png"], 'cannot write a film as ".png"'),
        (["photo.png", "-o", "photo.mp4"], "cannot write a still as photo.mp4"),
        (["preview", "photo.png", "--at", "1"], "--at has no effect on a still"),
        (
            ["evaluate", "photo.png", "--reference", "photo.png", "--limit", "3"],
            "--limit has no effect",
        ),
        (["evaluate", "film.mp4", "--reference", "film.mp4", "--smooth", "off"], "with --model"),
        (
            ["train", "tinny", "--data", "."],
            "that come with vidcolor are artistic, lite, pix2pix",
        ),
    ],
)
def test_a_wrong_call_is_refused_before_anything_is_done(folder, words, said):
    before = sorted(folder.iterdir())
    result = vidcolor(*words, *(QUICK if words[0] not in COMMANDS else ()))
    assert result.exit_code == 2, result.output
    assert said in " ".join(result.stderr.split())
    assert sorted(folder.iterdir()) == before


@pytest.mark.parametrize("words", [[], ["weights"]])
def test_no_argument_shows_the_help_in_lines(words):
    result = vidcolor(*words)
    assert result.exit_code == 2
    assert result.output.splitlines() == vidcolor(*words, "--help").output.splitlines()


@pytest.mark.parametrize("name", ["colorise", "trains"])
def test_a_file_may_be_called_nearly_like_a_command(folder, name):
    Path(name).write_bytes(Path("film.mp4").read_bytes())
    result = vidcolor(name, *QUICK)
    assert result.exit_code == 0, result.stderr


def test_exit_codes_for_a_missing_file_agree():
    assert vidcolor("colorize", "nowhere").exit_code == vidcolor("status", "nowhere").exit_code == 2


def test_options_for_films_are_named_when_there_are_stills_too(folder):
    result = vidcolor("film.mp4", "photo.png", "--compare", "-o", "out", *QUICK)
    assert result.exit_code == 0, result.stderr
    assert "--compare has no effect on the 1 still" in result.stderr


def test_a_still_has_a_preview(folder):
    result = vidcolor("preview", "photo.png", "-r", "4,6", "--device", "cpu")
    assert result.exit_code == 0, result.stderr
    with Image.open("photo.preview.png") as image:
        assert image.width == 3 * 480


def test_a_limit_holds_for_results_too(folder):
    result = vidcolor(
        *("evaluate", "film.mp4", "--reference", "film.mp4", "--limit", "3"),
        *("--no-networks", "--json", "figures.json", "--plots", "plots", "--device", "cpu"),
    )
    assert result.exit_code == 0, result.stderr
    whole = vidcolor(
        *("evaluate", "film.mp4", "--reference", "film.mp4", "--no-networks"),
        *("--json", "all.json", "--device", "cpu"),
    )
    assert whole.exit_code == 0, whole.stderr
    assert Path("figures.json").read_text() != Path("all.json").read_text()


def test_figures_never_replace_a_pipe_or_a_device(folder):
    os.mkfifo("pipe")
    result = vidcolor(
        *("evaluate", "film.mp4", "--reference", "film.mp4", "--no-networks", "--json", "pipe")
    )
    assert result.exit_code == 1
    assert "pipe is a device or a pipe; give the name of a file" in result.stderr
    assert Path("pipe").is_fifo()


def test_a_bundled_recipe_is_found_by_name(folder):
    """The run's folder has the name as well."""
    Path("photos").mkdir()
    for number in range(8):
        Image.effect_noise((96, 96), 60).convert("RGB").save(f"photos/{number}.png")
    result = vidcolor("train", "tiny", "--data", "photos", "--dry-run", "--device", "cpu")
    assert "tiny.toml" in result.stderr, result.output


def complete(monkeypatch, line):
    words = line.split(" ")
    monkeypatch.setenv("_VIDCOLOR_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", line)
    monkeypatch.setenv("COMP_CWORD", str(len(words) - 1))
    return CliRunner().invoke(command, prog_name="vidcolor").stdout.splitlines()


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("vidcolor film.mp4 --model ", ["lite", "video", "stable", "artistic"]),
        ("vidcolor film.mp4 --model s", ["stable"]),
        ("vidcolor preview film.mp4 --models lite,v", ["lite,video"]),
        ("vidcolor evaluate --model a", ["artistic"]),
        ("vidcolor train ti", ["tiny"]),
        ("vidcolor film.mp4 --device c", ["cpu", "cuda"]),
        ("vidcolor pre", ["preview"]),
    ],
)
def test_completion_offers_names(monkeypatch, line, offered):
    found = complete(monkeypatch, line)
    assert [item.split(",", 1)[1] for item in found if item.startswith("plain,")] == offered


def test_bash_completes_commands_models_and_files(folder):
    """In a real shell, where what stands before a file in click's answer would be lost."""
    program = folder / "vidcolor"
    program.write_text(f"#!/bin/sh\nexec '{sys.executable}' -m vidcolor \"$@\"\n")
    program.chmod(0o755)
    script = """
    compopt() { :; }
    eval "$(_VIDCOLOR_COMPLETE=bash_source ./vidcolor)"
    for line in "vidcolor pre" "vidcolor film.mp4 --model vi" "vidcolor fil"; do
        COMPREPLY=() COMP_WORDS=($line) COMP_CWORD=$(($(wc -w <<< "$line") - 1))
        _vidcolor_completion ./vidcolor
        echo "${COMPREPLY[*]-}."
    done
    """
    result = subprocess.run(["bash", "-c", script], capture_output=True, text=True)
    assert result.stdout.split() == ["preview.", "video.", "."], result.stderr


def test_summaries_in_the_list_of_commands_match_their_help():
    said = vidcolor("--help").stdout
    for name, entry in COMMANDS.items():
        assert entry.summary in said
        assert vidcolor(name, "--help").exit_code == 0


@pytest.mark.parametrize("words", [[], ["weights"]])
def test_help_is_shown_where_no_command_is_given(words):
    said = vidcolor(*words).output
    assert "\nCommands:\n" in said


def test_help_lists_commands_without_loading_them():
    code = (
        "import sys; from vidcolor.cli import vidcolor\n"
        "try: vidcolor(['--help'])\n"
        "except SystemExit: pass\n"
        "for heavy in ('torch', 'numpy', 'av', 'rich'):\n"
        "    assert heavy not in sys.modules, heavy"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_text_for_people():
    assert [count(number, "frame") for number in (0, 1, 2)] == ["0 frames", "1 frame", "2 frames"]
    seconds = (0.2, 96, 720, 5 * 3600 + 20 * 60, 76 * 3600)
    assert [*map(duration, seconds)] == ["under 1 s", "96 s", "12 min", "5 h 20 min", "3 d 4 h"]
    assert one_line(os.fsdecode(b"a\xff\n\x1b.mp4")) == r"a\xff\n\x1b.mp4"
