"""Whether a source is black-and-white, toned or in color, and what is said of it."""

import numpy as np
import pytest
from click.testing import CliRunner
from conftest import run_ffmpeg
from PIL import Image

from vidcolor.cli import vidcolor as command
from vidcolor.film import colorize_film
from vidcolor.media.probe import probe
from vidcolor.media.source_color import IN_COLOR, film_color, picture_color
from vidcolor.media.still.exif import EXIF_DIRECTORIES, USER_COMMENT
from vidcolor.still import colorize_image

SEPIA = "colorchannelmixer=.393:.769:.189:0:.349:.686:.168:0:.272:.534:.131"
FILMS = {
    "color": ("null", "color"),
    "gray": ("hue=s=0", "gray"),
    "noise in its chroma": ("hue=s=0,noise=c1s=20:c1f=t:c2s=20:c2f=t", "gray"),
    "sepia": (f"hue=s=0,{SEPIA}", "toned"),
    "tinted blue by night": ("hue=s=0,colorchannelmixer=rr=.6:gg=.7:bb=1", "toned"),
}


@pytest.mark.parametrize("name", FILMS)
@pytest.mark.parametrize("suffix", [".mp4", ".ts", ".avi", ".h264"])
def test_films(name, suffix, tmp_path):
    filters, kind = FILMS[name]
    path = tmp_path / f"film{suffix}"
    run_ffmpeg(
        *("-f", "lavfi", "-i", "mandelbrot=size=320x240:rate=10", "-t", "2", "-vf", filters),
        *("-pix_fmt", "yuv420p", "-c:v", "mpeg4" if suffix == ".avi" else "libx264", "-g", "5"),
        *("-q:v", "2") if suffix == ".avi" else (),
        path,
    )
    found = film_color(probe(path))
    assert found.kind == kind, found


def test_a_film_without_chroma(make_clip):
    assert film_color(probe(make_clip("gray.mkv"))).chroma == 0


def test_stills():
    random = np.random.default_rng(0)
    gray = np.repeat(np.linspace(0, 255, 300 * 200).reshape(200, 300, 1), 3, axis=2)
    noisy = gray + random.normal(0, 12, gray.shape)
    sepia = gray * (1, 0.85, 0.6)
    colors = gray * random.uniform(0.5, 1, (1, 6, 3)).repeat(50, axis=1)
    for pixels, kind in ((gray, "gray"), (noisy, "gray"), (sepia, "toned"), (colors, "color")):
        rgb = pixels.clip(0, 255).astype(np.uint8)
        assert picture_color(rgb).kind == kind
        assert picture_color(rgb.astype(np.uint16) * 257).kind == kind
    assert picture_color(np.zeros((1, 1, 3), np.uint8)).kind == "gray"


@pytest.mark.parametrize(("name", "warnings"), [("cfr.mp4", ()), ("one_frame.mp4", (IN_COLOR,))])
def test_a_film_in_color_is_colored_with_a_warning(name, warnings, make_clip, colorizer, tmp_path):
    report = colorize_film(make_clip(name), tmp_path / "out.mkv", colorizer)
    assert report.warnings == warnings


class TestMark:
    """Results say that a machine made their colors."""

    @pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
    def test_films(self, suffix, clip, colorizer, tmp_path):
        source, target = tmp_path / "film.mkv", tmp_path / f"out{suffix}"
        run_ffmpeg("-i", clip, "-c", "copy", "-metadata", "comment=Reel 7", source)
        colorize_film(source, target, colorizer)
        own, mark = (probe(target).comment or "").split("\n")
        assert own == "Reel 7"
        assert mark.startswith("Colors made by a machine, not by the camera: vidcolor ")
        assert "model lite, render factor 4, saturation 1, hue 0, " in mark
        assert "smoothing " in mark

    @pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".webp"])
    @pytest.mark.parametrize("own", [b"", b"ASCII\0\0\0Box 3", b"UNICODE\0B\0\xf6\0x\0"])
    def test_stills(self, suffix, own, colorizer, tmp_path):
        source, target = tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"
        exif = Image.Exif()
        exif.endian = "<"
        if own:
            exif.get_ifd(EXIF_DIRECTORIES[0])[USER_COMMENT] = own
        Image.new("RGB", (64, 48), "gray").save(source, exif=exif.tobytes())
        assert colorize_image(source, target, colorizer) == ()
        with Image.open(target) as image:
            raw = image.getexif().get_ifd(EXIF_DIRECTORIES[0])[USER_COMMENT]
        text = raw[8:].decode("utf-16-le" if raw.startswith(b"UNICODE") else "ascii")
        before, _, mark = text.rpartition("\n")
        assert mark.startswith("Colors made by a machine, not by the camera: vidcolor ")
        assert before == ("" if not own else "Box 3" if own.startswith(b"A") else "Böx")

    def test_a_deep_still(self, colorizer, tmp_path):
        for suffix in (".png", ".tif"):
            source, target = tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"
            Image.fromarray(np.full((48, 64), 30000, np.uint16)).save(source)
            colorize_image(source, target, colorizer)
            with Image.open(target) as image:
                raw = image.getexif().get_ifd(EXIF_DIRECTORIES[0])[USER_COMMENT]
            assert raw.startswith(b"ASCII\0\0\0Colors made by a machine")


@pytest.mark.parametrize(("color", "status"), [(False, 0), (True, 3)])
def test_scripts_can_ask_for_it(tmp_path, make_clip, color, status):
    still, film = tmp_path / "still.png", make_clip("anamorphic.mp4" if color else "cfr.mp4")
    Image.new("RGB", (32, 32), (200, 30, 30) if color else (90, 90, 90)).save(still)
    for path, words in ((still, {"toned", "gray"}), (film, {"color", "gray"})):
        result = CliRunner().invoke(command, ["info", "--grayscale", str(path)])
        assert result.exit_code == status
        kind, *rest = result.stdout.split()
        assert kind in words
        assert rest[::2] == ["chroma", "spread"]
    missing = CliRunner().invoke(command, ["info", "--grayscale", str(tmp_path / "none.mp4")])
    assert (missing.exit_code, missing.stdout) == (1, "")
