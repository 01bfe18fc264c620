"""What tests share: tiny films, drawn by ffmpeg when one asks for them."""

import os

# Before torch and OpenCV are loaded. One thread each, here and in the processes that tests start:
# the tests themselves run side by side.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OPENCV_FOR_THREADS_NUM", "1")

import subprocess
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import hypothesis
import numpy as np
import pytest
import torch
from PIL import Image

from vidcolor.chroma.temporal.backend import Backend
from vidcolor.chroma.temporal.gpu import Gpu
from vidcolor.chroma.temporal.opencv import OpenCV
from vidcolor.inference.colorizer import Colorizer
from vidcolor.inference.settings import RenderSettings
from vidcolor.media.binary import find_ffmpeg
from vidcolor.weights.catalog import LITE
from vidcolor.weights.checkpoint import load_generator
from vidcolor.weights.places import carried_folder

# The same examples in every run, and no clock that a busy machine could stop.
hypothesis.settings.register_profile(
    "fixed", derandomize=True, max_examples=50, deadline=None, database=None
)
hypothesis.settings.register_profile("search", max_examples=2000, deadline=None)
hypothesis.settings.load_profile("fixed")

PICTURE = ("-f", "lavfi", "-i", "testsrc2=size=64x48:rate=24000/1001:duration=0.5")
TONE = ("-f", "lavfi", "-i", "sine=frequency=440:duration=0.5")
X264 = ("-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p")
FFV1 = ("-c:v", "ffv1")

# Name of the file, then what ffmpeg is told to make it. Twelve frames where nothing else is said.
RECIPES: dict[str, tuple[str, ...]] = {
    "cfr.mp4": (*PICTURE, *TONE, "-vf", "hue=s=0", *X264, "-bf", "2", "-c:a", "aac"),
    # Every third frame is missing, frames are stored out of order, and time starts at 1.5 s.
    "vfr.mp4": (
        *PICTURE,
        *(
            "-vf",
            "select=lt(mod(n\\,3)\\,2)",
            "-fps_mode",
            "passthrough",
            "-enc_time_base",
            "1:24000",
        ),
        *(*X264, "-bf", "3", "-video_track_timescale", "24000", "-output_ts_offset", "1.5"),
    ),
    "ten_bit.mkv": (*PICTURE, "-pix_fmt", "yuv420p10le", *FFV1),
    "twelve_bit_422.mkv": (*PICTURE, "-pix_fmt", "yuv422p12le", *FFV1),
    "odd.mkv": (*PICTURE, "-vf", "scale=65:49", "-pix_fmt", "yuv420p", *FFV1),
    "yuv444.mkv": (*PICTURE, "-vf", "scale=65:49", "-pix_fmt", "yuv444p", *FFV1),
    "gray.mkv": (*PICTURE, "-pix_fmt", "gray", *FFV1),
    "gray_ten_bit.mkv": (*PICTURE, "-pix_fmt", "gray10le", *FFV1),
    "full_range.mov": (*PICTURE, "-c:v", "mjpeg", "-pix_fmt", "yuvj422p", "-q:v", "2"),
    "late.ts": (*PICTURE, "-c:v", "mpeg2video", "-q:v", "2", "-bf", "2", "-output_ts_offset", "7"),
    "anamorphic.mp4": (*PICTURE, "-vf", "setsar=4/3", *X264),
    "bottom_first.mpg": (
        *("-f", "lavfi", "-i", "testsrc2=size=64x48:rate=50:duration=0.48"),
        *("-vf", "tinterlace=interleave_bottom", "-c:v", "mpeg2video", "-flags", "+ildct+ilme"),
    ),
    "nearly_square.mp4": (*PICTURE, "-vf", "setsar=640/639:max=1000", *X264),
    "rgb.mov": (*PICTURE, "-c:v", "qtrle", "-pix_fmt", "rgb24"),
    "interlaced.mpg": (
        *("-f", "lavfi", "-i", "testsrc2=size=64x48:rate=50:duration=0.48"),
        *("-vf", "tinterlace=interleave_top", "-c:v", "mpeg2video", "-flags", "+ildct+ilme"),
    ),
    "bt709.mp4": (
        *(*PICTURE, *X264, "-vf", "setparams=range=tv:color_primaries=1:color_trc=1:colorspace=1"),
    ),
    "packed.avi": (*PICTURE, "-c:v", "mpeg4", "-vtag", "XVID", "-bf", "2", "-q:v", "2"),
    "raw.h264": (*PICTURE, *X264, "-bf", "2"),
    # Forty seconds with a keyframe every second, so that seeking has somewhere to go.
    "long.mp4": (
        *("-f", "lavfi", "-i", "testsrc2=size=64x48:rate=10:duration=40"),
        *("-f", "lavfi", "-i", "sine=frequency=440:duration=40"),
        *(*X264, "-g", "10", "-bf", "2", "-c:a", "aac"),
    ),
    "small.ts": (
        *(*PICTURE, "-vf", "scale=32:32", "-c:v", "mpeg2video", "-q:v", "2", "-bf", "2"),
        *("-output_ts_offset", "7.5"),
    ),
    "only_sound.mp4": (*TONE, "-c:a", "aac"),
    "one_frame.mp4": (*PICTURE, *X264, "-frames:v", "1"),
}


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """How many processes test at once: one for each core, but one alone for a part of the tests."""
    if config.args != config.getini("testpaths"):
        return 0
    cores = (
        os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    )
    return min(len(cores), 8)


# Streams that are put together from others, as broadcasters do.
PASTED = {"changes_size.ts": ("late.ts", "small.ts"), "jumps_back.ts": ("late.ts", "late.ts")}


def run_ffmpeg(*arguments: str | Path) -> None:
    """Run the ffmpeg that the package itself finds."""
    command = [find_ffmpeg().path, "-nostdin", "-v", "error", "-y", *arguments]
    subprocess.run(command, check=True, timeout=60)


@pytest.fixture(scope="session")
def make_clip(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """make_clip(name) draws the clip of that name in RECIPES, once, and returns its path."""
    folder = tmp_path_factory.mktemp("clips")

    def make(name: str) -> Path:
        path = folder / name
        if path.exists():
            return path
        if name in PASTED:
            path.write_bytes(b"".join(make(part).read_bytes() for part in PASTED[name]))
        else:
            run_ffmpeg(*RECIPES[name], path)
        return path

    return make


@pytest.fixture(scope="session")
def clip(make_clip: Callable[[str], Path]) -> Path:
    """Twelve gray 64x48 frames at 24000/1001 fps, with a tone."""
    return make_clip("cfr.mp4")


@pytest.fixture(scope="session")
def rotated_clip(
    make_clip: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A film that players turn by a quarter."""
    path = tmp_path_factory.mktemp("rotated") / "rotated.mp4"
    if find_ffmpeg().version >= (6, 0):
        turn_input, turn_output = ("-display_rotation", "90"), ()
    else:
        turn_input, turn_output = (), ("-metadata:s:v", "rotate=270")
    source = make_clip("anamorphic.mp4")
    run_ffmpeg(*turn_input, "-i", source, "-c", "copy", *turn_output, path)
    return path


@pytest.fixture(scope="session")
def rich_clip(make_clip: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two languages, subtitles, chapters, a title, a font and a cover, in Matroska."""
    folder = tmp_path_factory.mktemp("rich")
    (folder / "subtitles.srt").write_text("1\n00:00:00,100 --> 00:00:00,300\nGrüße\n")
    (folder / "chapters.txt").write_text(
        ";FFMETADATA1\ntitle=A film\n"
        "[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=250\ntitle=One\n"
        "[CHAPTER]\nTIMEBASE=1/1000\nSTART=250\nEND=500\ntitle=Two\n"
    )
    (folder / "font.ttf").write_bytes(b"\0\1\0\0 not really a font")
    path = folder / "rich.mkv"
    run_ffmpeg(
        *("-i", make_clip("cfr.mp4"), *TONE),
        *("-i", folder / "subtitles.srt", "-i", folder / "chapters.txt"),
        *("-map", "0:v", "-map", "0:a", "-map", "1:a", "-map", "2:s", "-map_metadata", "3"),
        *("-c:v", "copy", "-c:a:0", "copy", "-c:a:1", "flac", "-c:s", "srt"),
        *("-metadata:s:v", "title=Reel", "-metadata:s:a:0", "language=eng"),
        *("-metadata:s:a:1", "language=fra", "-metadata:s:s:0", "language=deu"),
        *("-attach", folder / "font.ttf", "-metadata:s:t", "mimetype=application/x-truetype-font"),
        path,
    )
    return path


@pytest.fixture(scope="module")
def colorizer():
    """The built-in model at its smallest."""
    generator = load_generator(carried_folder() / LITE.file)
    return Colorizer(generator, RenderSettings(render_factor=4, batch_size=5), device="cpu")


class Quiet(SimpleHTTPRequestHandler):
    """Serves files without a word."""

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Path, str]]:
    """A folder, and the address under which a server of this machine offers its files."""
    folder = tmp_path / "served"
    folder.mkdir()
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        yield folder, f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture(scope="session")
def photo_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten colorful photos of 96x72 to train with, a gray one, a small one and a broken one."""
    folder = tmp_path_factory.mktemp("photos")
    random = np.random.default_rng(0)
    for number in range(10):
        pixels = random.integers(0, 256, (6, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((96, 72)).save(folder / f"{number}.png")
    Image.open(folder / "0.png").resize((8, 6)).save(folder / "small.webp", lossless=True)
    Image.linear_gradient("L").resize((96, 72)).save(folder / "gray.jpg")
    (folder / "broken.jpg").write_bytes(b"\xff\xd8 no photo")
    (folder / "notes.txt").write_text("not looked at")
    return folder


@pytest.fixture(params=["opencv", "gpu"])
def backend(request) -> Backend:
    """What steadies colors on a CPU and, run by torch's CPU, what does so on a GPU."""
    return OpenCV() if request.param == "opencv" else Gpu(torch.device("cpu"))
