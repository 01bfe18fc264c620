"""What goes in comes out, for every container and kind of picture: docs/containers.md as a test.

`pytest -v tests/test_streams.py tests/test_tracks.py` prints the table. The results are read with
PyAV and ffmpeg.
"""

import re
import shlex
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from click.testing import CliRunner
from conftest import X264, run_ffmpeg
from films import FFV1, MPEG2, RESULTS, SOURCES, captioned, drawing, look, other_warnings, pictures

from vidcolor.cli import vidcolor
from vidcolor.film import colorize_film
from vidcolor.media.binary import find_ffmpeg
from vidcolor.media.containers import EncodeSettings, default_suffix
from vidcolor.media.probe import probe
from vidcolor.media.read import read_luma
from vidcolor.settings import FilmSettings

RATES = ("24000/1001", "25", "30000/1001", "60", "variable")


# Every container that is read, at every rate.


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("container", SOURCES)
def test_every_frame_keeps_its_time(container, rate, colorizer, tmp_path):
    source = tmp_path / f"film{container}"
    if rate == "variable":
        if container == ".y4m":
            pytest.skip("y4m has no timestamps")
        holes = ("-vf", "select=not(eq(mod(n\\,4)\\,2))", "-fps_mode", "vfr")
        run_ffmpeg(*drawing("25", 8), *holes, *SOURCES[container], source)
    else:
        run_ffmpeg(*drawing(rate, 8), *SOURCES[container], source)
    target = tmp_path / f"result{default_suffix(source)}"
    report = colorize_film(source, target, colorizer)
    assert other_warnings(report.warnings) == ()
    before = [float(picture.time) for picture in pictures(source)]
    after = [float(picture.time) for picture in pictures(target)]
    assert len(before) >= 5
    if rate == "variable":
        assert len({round(later - earlier, 3) for earlier, later in pairwise(before)}) > 1
    tolerance = 0.0006 if target.suffix in (".mkv", ".webm") else 1e-6
    assert after == pytest.approx(before, abs=tolerance)


# Kinds of picture, in every container that is written.


def tagged(matrix: str, primaries: str, transfer: str, pixels: str, *codec: str) -> tuple[str, ...]:
    tags = f"colorspace={matrix}:color_primaries={primaries}:color_trc={transfer}"
    return (*drawing(), "-vf", f"format={pixels},setparams=range=tv:{tags}", *codec)


FIELDS = ("-flags", "+ildct+ilme", "-pix_fmt", "yuv420p")
FIELDS_FROM = {
    order: (*drawing("50", 10), "-vf", f"tinterlace=interleave_{order}")
    for order in ("top", "bottom")
}
X265 = ("-c:v", "libx265", "-preset", "ultrafast")
GRADED = (
    "log-level=error:max-cll=1000,400:master-display="
    "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1)"
)
PICTURES: dict[str, tuple[str, ...]] = {
    "plain.mp4": (*drawing(), *X264),
    "top_first.mpg": (*FIELDS_FROM["top"], *MPEG2, *FIELDS),
    "bottom_first.mov": (*FIELDS_FROM["bottom"], "-c:v", "libx264", *FIELDS),
    "top_first_10_bit.mov": (*FIELDS_FROM["top"], "-c:v", "prores_ks", "-flags", "+ildct+ilme"),
    "anamorphic.mkv": (*drawing(), "-vf", "setsar=5/4", *X264),
    "10_bit.mkv": (*drawing(), "-pix_fmt", "yuv420p10le", "-c:v", "ffv1"),
    "12_bit.mkv": (*drawing(), "-pix_fmt", "yuv420p12le", "-c:v", "ffv1"),
    "full_range.mov": (*drawing(), "-c:v", "mjpeg", "-pix_fmt", "yuvj420p", "-q:v", "2"),
    "bt601.mp4": tagged("smpte170m", "smpte170m", "smpte170m", "yuv420p", *X264),
    "bt709.mp4": tagged("bt709", "bt709", "bt709", "yuv420p", *X264),
    "bt2020.mp4": tagged(
        *("bt2020nc", "bt2020", "bt2020-10", "yuv420p10le", *X265),
        *("-x265-params", "log-level=error"),
    ),
    "hlg.mp4": tagged(
        *("bt2020nc", "bt2020", "arib-std-b67", "yuv420p10le", *X265),
        *("-x265-params", "log-level=error"),
    ),
    "pq.mkv": tagged(
        *("bt2020nc", "bt2020", "smpte2084", "yuv420p10le", *X265, "-x265-params", GRADED)
    ),
}
"""Named for what is special about them."""


@pytest.fixture(scope="session")
def make_picture(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    folder = tmp_path_factory.mktemp("pictures")

    def make(name: str) -> Path:
        path = folder / name
        if not path.exists():
            run_ffmpeg(*PICTURES[name], path)
        return path

    return make


@pytest.mark.parametrize("suffix", RESULTS)
@pytest.mark.parametrize("name", PICTURES)
def test_the_picture_is_described_as_before(make_picture, colorizer, tmp_path, name, suffix):
    source, target = make_picture(name), tmp_path / f"result{suffix}"
    report = colorize_film(source, target, colorizer)
    before, after = look(source), look(target)
    said = ""
    if "first" in name and suffix == ".webm":
        before = before._replace(fields=frozenset("P"))
        said = r"frames of two fields are no longer marked.*; \.mkv holds the marks, or .*--deint"
    if before.light and not after.light and find_ffmpeg().version < (7, 0):
        before = before._replace(light=frozenset())
        said = r"mastering display, content light level; libx265 keeps them with a recent ffmpeg"
    assert after == before
    warnings = other_warnings(report.warnings)
    assert len(warnings) == bool(said)
    assert re.search(said, "".join(warnings))


def test_fields_that_cannot_be_kept_are_named_with_what_can(colorizer, tmp_path):
    source, target = tmp_path / "film.mov", tmp_path / "result.mp4"
    picture = ("-f", "lavfi", "-i", "testsrc2=size=64x54:rate=50,trim=end_frame=10")
    codec = ("-c:v", "prores_ks", "-flags", "+ildct+ilme")
    run_ffmpeg(*picture, "-vf", "tinterlace=interleave_bottom", *codec, source)
    (warning,) = other_warnings(colorize_film(source, target, colorizer).warnings)
    assert look(target).fields == {"P"}
    offered = re.search(r"--codec (\S+) --pix-fmt (\S+) can", warning)
    assert offered
    settings = EncodeSettings(codec=offered[1], pix_fmt=offered[2])
    report = colorize_film(source, target, colorizer, FilmSettings(encode=settings))
    assert other_warnings(report.warnings) == ()
    assert look(target).fields == look(source).fields == {"B"}


def test_the_pictures_are_what_they_are_named_for(make_picture):
    looks = {name: look(make_picture(name)) for name in PICTURES}
    assert looks["top_first.mpg"].fields == looks["top_first_10_bit.mov"].fields == {"T"}
    assert looks["bottom_first.mov"].fields == {"B"}
    assert looks["anamorphic.mkv"].aspect == "5/4"
    assert (looks["10_bit.mkv"].depth, looks["12_bit.mkv"].depth) == (10, 12)
    assert looks["full_range.mov"].full_range
    assert len({each.tags for each in looks.values()}) == 7
    assert looks["pq.mkv"].tags == "bt2020nc bt2020 smpte2084"
    assert len(looks["pq.mkv"].light) == 2


@pytest.mark.parametrize("suffix", RESULTS)
def test_a_turned_film_stands_upright_and_is_not_turned_again(
    rotated_clip, colorizer, tmp_path, suffix
):
    target = tmp_path / f"result{suffix}"
    colorize_film(rotated_clip, target, colorizer)
    assert look(target).size == look(rotated_clip).size == "48x64"
    with av.open(str(target)) as container:
        frame = next(container.decode(video=0))
        assert (frame.width, frame.height, frame.rotation) == (48, 64, 0)


@pytest.mark.parametrize("suffix", RESULTS)
@pytest.mark.parametrize("alpha", ["alpha.mov", "alpha.webm"])
def test_transparency_is_left_out_with_a_word(colorizer, tmp_path, alpha, suffix):
    source, target = tmp_path / alpha, tmp_path / f"result{suffix}"
    if alpha == "alpha.webm":
        codec = ("-c:v", "libvpx-vp9", "-pix_fmt", "yuva420p")
    else:
        codec = ("-c:v", "qtrle", "-pix_fmt", "argb")
    run_ffmpeg(*drawing(), "-vf", "format=argb,colorchannelmixer=aa=0.5", *codec, source)
    report = colorize_film(source, target, colorizer)
    assert other_warnings(report.warnings) == (
        "transparency was left out: colored films have none",
    )


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_captions_in_the_picture_are_left_out_with_the_way_to_save_them(
    colorizer, tmp_path, suffix
):
    source = captioned(tmp_path / "film.ts")
    report = colorize_film(source, tmp_path / f"result{suffix}", colorizer)
    (warning,) = other_warnings(report.warnings)
    assert warning.startswith("closed captions inside the picture were left out; ")
    saving = re.search(r"ffmpeg (.*) saves them", warning)
    assert saving
    run_ffmpeg(*shlex.split(saving[1].replace("FILM", str(source))))
    assert "HELLO" in Path(f"{source}.srt").read_text()


# Deinterlacing.


@pytest.mark.parametrize("suffix", RESULTS)
@pytest.mark.parametrize("name", ["top_first.mpg", "bottom_first.mov"])
def test_deinterlaced_on_request(make_picture, colorizer, tmp_path, name, suffix):
    source, target = make_picture(name), tmp_path / f"result{suffix}"
    report = colorize_film(source, target, colorizer, FilmSettings(deinterlace=True))
    assert other_warnings(report.warnings) == ()
    assert look(target) == look(source)._replace(fields=frozenset("P"))
    times = [float(picture.time) for picture in pictures(source)]
    assert [float(picture.time) for picture in pictures(target)] == pytest.approx(times, abs=6e-4)


def test_the_command_deinterlaces(make_picture, tmp_path):
    source, target = make_picture("top_first.mpg"), tmp_path / "result.mp4"
    words = [str(source), "--deinterlace", "-o", str(target), "-r", "4", "--device", "cpu"]
    result = CliRunner().invoke(vidcolor, words)
    assert result.exit_code == 0, result.output
    assert look(target).fields == {"P"}


@pytest.mark.parametrize("name", ["top_first.mpg", "bottom_first.mov", "plain.mp4"])
def test_read_and_written_alike(make_picture, colorizer, tmp_path, name):
    """What the model sees and what is encoded is ffmpeg's bwdif of frames that have fields."""
    source, target, expected = make_picture(name), tmp_path / "film.mkv", tmp_path / "bwdif.mkv"
    filters = "bwdif=mode=send_frame:deint=interlaced"
    run_ffmpeg("-i", source, "-vf", filters, "-fps_mode", "passthrough", "-c:v", "ffv1", expected)
    colorize_film(source, target, colorizer, FilmSettings(encode=FFV1, deinterlace=True))
    with read_luma(probe(source, deinterlace=True), (64, 48)) as frames:
        seen = [frame.pixels for frame in frames]
    wanted = [picture.planes[0] for picture in pictures(expected)]
    combed = [picture.planes[0] for picture in pictures(source)]
    assert np.array_equal(wanted, combed) == (name == "plain.mp4")
    for luma, pixels, picture in zip(wanted, seen, pictures(target), strict=True):
        assert np.array_equal(picture.planes[0], luma)
        full = ((luma.astype(float) - 16) * 255 / 219).clip(0, 255)
        assert np.abs(pixels - full).max() <= 1
