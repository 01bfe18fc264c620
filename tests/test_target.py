"""What can be written is known before the work starts."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from vidcolor.errors import MediaError, VidcolorError
from vidcolor.media.containers import HARDWARE, EncodeSettings, default_suffix
from vidcolor.media.probe import probe
from vidcolor.media.target import check_target
from vidcolor.settings import FilmSettings


@pytest.fixture
def film(clip):
    return probe(clip)


@pytest.mark.parametrize(
    ("name", "suffix", "codec", "pix_fmt"),
    [
        ("cfr.mp4", ".mp4", "libx264", "yuv420p"),
        ("cfr.mp4", ".webm", "libvpx-vp9", "yuv420p"),
        ("gray.mkv", ".mkv", "libx264", "yuv420p"),
        ("yuv444.mkv", ".mkv", "libx264", "yuv420p"),
        ("rgb.mov", ".mov", "libx264", "yuv420p"),
        ("ten_bit.mkv", ".mov", "libx265", "yuv420p10le"),
        ("twelve_bit_422.mkv", ".mkv", "libx265", "yuv420p12le"),
    ],
)
def test_defaults(make_clip, tmp_path, name, suffix, codec, pix_fmt):
    film = probe(make_clip(name))
    settings = check_target(film, tmp_path / f"colored{suffix}", EncodeSettings())
    assert (settings.codec, settings.pix_fmt) == (codec, pix_fmt)


@pytest.mark.parametrize(
    ("codec", "pix_fmt"),
    [("ffv1", "yuv422p12le"), ("prores_ks", "yuv422p10le"), ("dnxhd", "yuv422p10le")],
)
def test_intermediate_codecs_keep_the_chroma_size(make_clip, tmp_path, codec, pix_fmt):
    film = probe(make_clip("twelve_bit_422.mkv"))
    film = film if codec != "dnxhd" else _enlarged(film)
    settings = check_target(film, tmp_path / "colored.mov", EncodeSettings(codec=codec))
    assert settings.pix_fmt == pix_fmt


def _enlarged(film):
    """DNxHR has a smallest size."""
    return replace(film, width=640, height=360)


@pytest.mark.parametrize(
    ("suffix", "settings", "reason"),
    [
        (".avi", {}, r'cannot write a film as ".avi"; choose one of .mp4'),
        (".mp4", {"codec": "nonsense"}, "cannot encode with nonsense: .*check --codec"),
        (".mp4", {"codec": "aac"}, "cannot encode with aac"),
        (".webm", {"codec": "libx264"}, "webm cannot hold libx264; choose a .mkv target"),
        (".mov", {"codec": "libvpx-vp9"}, "mov cannot hold libvpx-vp9; choose a .mkv target"),
        (".mp4", {"preset": "hasty"}, "cannot encode with libx264: .*hasty.*--preset"),
        (".mkv", {"codec": "mpeg2video"}, "cannot encode with mpeg2video: .*does not support"),
        (".mkv", {"codec": "ffv1", "crf": 10}, "ffv1 has no constant quality; leave --crf out"),
        (
            ".mkv",
            {"pix_fmt": "rgb24"},
            "rgb24 is not a YUV pixel format; choose one such as yuv420p",
        ),
        (".mkv", {"pix_fmt": "yuv"}, "yuv is not a YUV pixel format"),
        (".mkv", {"codec": "mpeg4", "pix_fmt": "yuv420p10le"}, "mpeg4 encodes yuv420p, not"),
    ],
)
def test_what_does_not_fit_is_said_in_one_line(film, tmp_path, suffix, settings, reason):
    with pytest.raises(MediaError, match=reason) as caught:
        check_target(film, tmp_path / f"colored{suffix}", EncodeSettings(**settings))
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_hardware_encoder_that_does_not_run_here_is_an_error(film, tmp_path):
    try:
        check_target(film, tmp_path / "colored.mp4", EncodeSettings(codec="h264_nvenc"))
    except MediaError as error:
        assert "cannot encode with h264_nvenc" in str(error)
    else:
        pytest.skip("it runs here")


def test_the_first_hardware_encoder_that_works_is_taken(film, tmp_path, monkeypatch):
    """Another encoder stands in for hardware that this machine may not have."""
    auto = EncodeSettings(codec="auto-hw")
    monkeypatch.setitem(HARDWARE, 8, ("no_such_encoder", "mpeg4", "libx265"))
    settings = check_target(film, tmp_path / "colored.mp4", auto)
    assert (settings.codec, settings.crf) == ("mpeg4", 2)
    monkeypatch.setitem(HARDWARE, 8, ("no_such_encoder",))
    assert check_target(film, tmp_path / "colored.mp4", auto).codec == "libx264"
    assert check_target(film, tmp_path / "colored.webm", auto).codec == "libvpx-vp9"


def test_the_source_is_never_the_target(film, tmp_path):
    link = tmp_path / "link.mp4"
    link.symlink_to(film.path)
    for target in (film.path, link):
        with pytest.raises(MediaError, match="is the source itself"):
            check_target(film, target, EncodeSettings())


def test_a_folder_is_no_target(film, tmp_path):
    folder = tmp_path / "folder.mp4"
    folder.mkdir()
    with pytest.raises(MediaError, match="is a folder; name a file in it"):
        check_target(film, folder, EncodeSettings())


def test_a_folder_that_is_missing_or_cannot_be_written(film, tmp_path):
    (tmp_path / "file").touch()
    for folder in (tmp_path / "missing", tmp_path / "file"):
        with pytest.raises(MediaError, match=r"cannot write in .*; choose another folder"):
            check_target(film, folder / "colored.mp4", EncodeSettings())


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write everywhere")
def test_a_folder_without_permission(film, tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(MediaError, match=r"cannot write in .*; choose another folder"):
        check_target(film, tmp_path / "colored.mp4", EncodeSettings())


@pytest.mark.parametrize(
    ("name", "suffix"),
    [("a.mp4", ".mp4"), ("a.MKV", ".MKV"), ("a.webm", ".webm"), ("a.avi", ".mkv"), ("a", ".mkv")],
)
def test_a_suffix_is_kept_where_it_can_be(name, suffix):
    assert default_suffix(Path(name)) == suffix


def test_an_encoder_whose_pictures_cannot_be_read_again(film, tmp_path):
    with pytest.raises(MediaError, match=r"rawvideo.*choose another codec"):
        check_target(film, tmp_path / "colored.mkv", EncodeSettings(codec="rawvideo"))


@pytest.mark.parametrize("time", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("name", ["start", "end"])
def test_a_time_that_is_no_number_is_refused(name, time):
    with pytest.raises(VidcolorError, match=rf"the {name} .* is no"):
        FilmSettings(**{name: time})
