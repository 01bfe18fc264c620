"""Which ffmpeg is found. The stand-ins answer like the real one, which runs everywhere else."""

import os
import re
import subprocess
from pathlib import Path

import imageio_ffmpeg
import pytest
from click.testing import CliRunner

from vidcolor.cli import vidcolor
from vidcolor.errors import MediaError
from vidcolor.media.binary import choose_ffmpeg, find_ffmpeg
from vidcolor.media.containers import EncodeSettings
from vidcolor.media.probe import probe
from vidcolor.media.target import check_target

RELEASE = "ffmpeg version {}.1-0+deb12u1 Copyright (c) 2000-2026"


@pytest.fixture(scope="module")
def lists():
    """What the packaged ffmpeg says of its filters and encoders, without its versions."""
    packaged = imageio_ffmpeg.get_ffmpeg_exe()
    what = ("-filters", "-encoders")
    return [
        subprocess.run([packaged, "-hide_banner", word], capture_output=True, text=True).stdout
        for word in what
    ]


@pytest.fixture
def ffmpeg_saying(tmp_path, lists):
    """A program that calls itself as given, with the packaged one's abilities but for some."""

    def make(version, name="ffmpeg", without="nothing"):
        abilities = re.sub(f"^.* {without} .*\n", "", "".join(lists), flags=re.MULTILINE)
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\ncat <<'END'\n{version}\n{abilities}\nEND\n")
        program.chmod(0o755)
        return program

    return make


@pytest.fixture(autouse=True)
def no_choice(monkeypatch):
    """No ffmpeg but the packaged one, until a test adds another."""
    monkeypatch.delenv("VIDCOLOR_FFMPEG", raising=False)
    monkeypatch.setenv("PATH", os.devnull)


def put_on_the_path(monkeypatch, program):
    # Its interpreter is found by its full name, `cat` is not.
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}/bin")


def packaged():
    return Path(imageio_ffmpeg.get_ffmpeg_exe())


@pytest.mark.parametrize(
    ("said", "version"),
    [
        (RELEASE.format("5.1"), (5, 1)),
        ("ffmpeg version n9.0.2-17-g2a571b6068-20260930 Copyright", (9, 0)),
        (
            "ffmpeg version N-112233-gabcdef0 Copyright\nlibavutil      57. 28.100 / 57. 28.100",
            (5, 1),
        ),
        (
            "ffmpeg version N-118000-gabcdef0 Copyright\n"
            "  configuration: --enable-gpl\n  libavutil      59. 39.100 / 59. 39.100",
            (7, 1),
        ),
    ],
)
def test_versions_are_read(ffmpeg_saying, monkeypatch, said, version):
    chosen = ffmpeg_saying(said, "my-ffmpeg")
    monkeypatch.setenv("VIDCOLOR_FFMPEG", str(chosen))
    monkeypatch.setenv("PATH", "/bin")
    assert find_ffmpeg().version == version


@pytest.mark.parametrize(
    ("version", "origin", "reason"),
    [("5.1", "imageio-ffmpeg", "the newest"), ("99.0", "PATH", "the newest")],
)
def test_the_newer_one_is_taken(ffmpeg_saying, monkeypatch, version, origin, reason):
    program = ffmpeg_saying(RELEASE.format(version))
    put_on_the_path(monkeypatch, program)
    choice = choose_ffmpeg()
    assert (choice.taken.origin, choice.reason) == (origin, reason)
    paths = {choice.taken.path, *(other.path for other in choice.others)}
    assert paths == {program, packaged()}


def test_of_equals_the_one_on_the_path_is_taken(ffmpeg_saying, monkeypatch):
    major, minor = find_ffmpeg().version
    program = ffmpeg_saying(f"ffmpeg version {major}.{minor} Copyright")
    put_on_the_path(monkeypatch, program)
    choice = choose_ffmpeg()
    assert (choice.taken.path, choice.reason) == (program, "as new as the other")


def test_one_without_an_encoder_that_films_need_is_passed_over(ffmpeg_saying, monkeypatch):
    put_on_the_path(monkeypatch, ffmpeg_saying(RELEASE.format("99.0"), without="libx264"))
    choice = choose_ffmpeg()
    assert choice.taken.path == packaged()
    assert choice.reason == "it has libx264"


@pytest.mark.parametrize(
    ("said", "without", "why"),
    [
        ("ffmpeg version 5.0.1 Copyright", "nothing", "is ffmpeg 5.0, which is too old"),
        (
            "ffmpeg version 4.4.2-0ubuntu0.22.04.1 Copyright",
            *("nothing", "is ffmpeg 4.4, which is too old"),
        ),
        (
            "ffmpeg version N-100000-gabcdef0 Copyright\nlibavutil      56. 70.100 / 56. 70.100",
            *("nothing", "is ffmpeg 4.0, which is too old"),
        ),
        ("something else", "nothing", "does not run as ffmpeg"),
        (RELEASE.format("99.0"), "mergeplanes", "has no filter mergeplanes"),
    ],
)
def test_one_that_will_not_do_is_passed_over(ffmpeg_saying, monkeypatch, said, without, why):
    program = ffmpeg_saying(said, without=without)
    put_on_the_path(monkeypatch, program)
    choice = choose_ffmpeg()
    assert choice.taken.path == packaged()
    assert choice.reason == "the only suitable one"
    assert choice.unfit == (f"{program} {why}",)


def test_alone_the_packaged_one_is_taken():
    choice = choose_ffmpeg()
    assert (choice.taken.path, choice.others, choice.unfit) == (packaged(), (), ())


def test_the_choice_of_the_user_comes_first(ffmpeg_saying, monkeypatch):
    put_on_the_path(monkeypatch, ffmpeg_saying(RELEASE.format("99.0")))
    chosen = ffmpeg_saying("ffmpeg version 6.1.1 Copyright", "my-ffmpeg", without="libx264")
    monkeypatch.setenv("VIDCOLOR_FFMPEG", str(chosen))
    found = find_ffmpeg()
    assert (found.path, found.version, found.origin) == (chosen, (6, 1), "VIDCOLOR_FFMPEG")


def test_a_choice_that_is_too_old_is_an_error(ffmpeg_saying, monkeypatch):
    chosen = ffmpeg_saying("ffmpeg version 4.4 Copyright", "my-ffmpeg")
    monkeypatch.setenv("VIDCOLOR_FFMPEG", str(chosen))
    monkeypatch.setenv("PATH", "/bin")
    with pytest.raises(MediaError, match=r"ffmpeg 4\.4, which is too old; .*5\.1 or newer"):
        find_ffmpeg()


def test_a_choice_that_is_missing_is_an_error(monkeypatch):
    monkeypatch.setenv("VIDCOLOR_FFMPEG", "/nowhere/ffmpeg")
    with pytest.raises(MediaError, match="/nowhere/ffmpeg, which does not run as ffmpeg; install"):
        find_ffmpeg()


def test_info_says_which_was_taken_and_why(ffmpeg_saying, monkeypatch):
    program = ffmpeg_saying(RELEASE.format("5.1"))
    put_on_the_path(monkeypatch, program)
    said = CliRunner().invoke(vidcolor, ["info", "--device", "cpu"]).stdout
    assert re.search(rf"^ffmpeg  .*{packaged()} \(imageio-ffmpeg\): the newest$", said, re.M)
    assert re.search(rf"^ffmpeg not taken  5\.1, {program} \(PATH\)$", said, re.M)


def test_an_encoder_that_the_other_one_has(ffmpeg_saying, monkeypatch, make_clip, tmp_path):
    film = probe(make_clip("cfr.mp4"))
    old = ffmpeg_saying(RELEASE.format("5.1") + "\n V....D libold   An encoder of the past")
    put_on_the_path(monkeypatch, old)
    with pytest.raises(MediaError, match=f"set VIDCOLOR_FFMPEG={old}, which has it"):
        check_target(film, tmp_path / "out.mp4", EncodeSettings(codec="libold"))
