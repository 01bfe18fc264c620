"""Which ffmpeg is found. The stand-ins print versions; the real one runs everywhere else."""

import os

import pytest

from vidcolor.errors import MediaError
from vidcolor.media.binary import find_ffmpeg


@pytest.fixture
def ffmpeg_saying(tmp_path):
    """A program that answers `-version` with the given text."""

    def make(text, name="ffmpeg"):
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\ncat <<'END'\n{text}\nEND\n")
        program.chmod(0o755)
        return program

    return make


@pytest.fixture(autouse=True)
def no_choice(monkeypatch):
    monkeypatch.delenv("VIDCOLOR_FFMPEG", raising=False)
    monkeypatch.setenv("PATH", "/bin:/usr/bin")


def put_first(monkeypatch, program):
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}/bin:/usr/bin")


@pytest.mark.parametrize(
    ("said", "version"),
    [
        ("ffmpeg version 5.1.9-0+deb12u1 Copyright (c) 2000-2026", (5, 1)),
        ("ffmpeg version n9.0.2-17-g2a571b6068-20260930 Copyright", (9, 0)),
        (
            "ffmpeg version N-112233-gabcdef0 Copyright\nlibavutil      57. 28.100 / 57. 28.100",
            (5, 1),
        ),
        (
            "ffmpeg version N-118000-gabcdef0 Copyright\nlibavutil      59. 39.100 / 59. 39.100",
            (7, 1),
        ),
    ],
)
def test_a_new_ffmpeg_on_the_path_is_taken(ffmpeg_saying, monkeypatch, said, version):
    program = ffmpeg_saying(said)
    put_first(monkeypatch, program)
    found = find_ffmpeg()
    assert (found.path, found.version, found.origin) == (program, version, "PATH")


@pytest.mark.parametrize(
    "said",
    [
        "ffmpeg version 5.0.1 Copyright",
        "ffmpeg version 4.4.2-0ubuntu0.22.04.1 Copyright",
        "ffmpeg version N-100000-gabcdef0 Copyright\nlibavutil      56. 70.100 / 56. 70.100",
        "something else",
    ],
)
def test_an_old_ffmpeg_on_the_path_is_passed_over(ffmpeg_saying, monkeypatch, said):
    put_first(monkeypatch, ffmpeg_saying(said))
    assert find_ffmpeg().origin == "imageio-ffmpeg"


def test_the_choice_of_the_user_comes_first(ffmpeg_saying, monkeypatch):
    put_first(monkeypatch, ffmpeg_saying("ffmpeg version 7.0 Copyright"))
    chosen = ffmpeg_saying("ffmpeg version 6.1.1 Copyright", "my-ffmpeg")
    monkeypatch.setenv("VIDCOLOR_FFMPEG", str(chosen))
    found = find_ffmpeg()
    assert (found.path, found.version, found.origin) == (chosen, (6, 1), "VIDCOLOR_FFMPEG")


def test_a_choice_that_is_too_old_is_an_error(ffmpeg_saying, monkeypatch):
    chosen = ffmpeg_saying("ffmpeg version 4.4 Copyright", "my-ffmpeg")
    monkeypatch.setenv("VIDCOLOR_FFMPEG", str(chosen))
    with pytest.raises(MediaError, match=r"ffmpeg 4\.4, which is too old; .*5\.1 or newer"):
        find_ffmpeg()


def test_a_choice_that_is_missing_is_an_error(monkeypatch):
    monkeypatch.setenv("VIDCOLOR_FFMPEG", "/nowhere/ffmpeg")
    with pytest.raises(MediaError, match="/nowhere/ffmpeg, which is no ffmpeg that runs; install"):
        find_ffmpeg()
