"""Files in a film's clothing that would make ffmpeg open other files or call other hosts."""

import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from click.testing import CliRunner
from conftest import run_ffmpeg
from films import SMALL

from vidcolor.cli import vidcolor
from vidcolor.errors import MediaError
from vidcolor.media import limits
from vidcolor.media.probe import probe
from vidcolor.media.read import read_luma

M3U8 = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{other}\n#EXT-X-ENDLIST\n"
CONCAT = "ffconcat version 1.0\nfile '{other}'\n"
DASH = (
    '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static">'
    '<Period><AdaptationSet mimeType="video/mp4"><Representation id="1" bandwidth="1">'
    "<BaseURL>{other}</BaseURL></Representation></AdaptationSet></Period></MPD>"
)
SDP = (
    "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=film\nc=IN IP4 127.0.0.1\nt=0 0\n"
    "m=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\na=control:{other}\n"
)
REDIRECT = "[Reference]\nRef1={other}\n"
SVG = (
    '<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" width="64" height="64">'
    '<image href="{other}" width="64" height="64"/></svg>'
)
LISTS = {"m3u8": M3U8, "ffconcat": CONCAT, "mpd": DASH, "sdp": SDP, "asx": REDIRECT, "svg": SVG}


class Host:
    """A web server that offers a film, and notes who asks for it."""

    def __init__(self, content: bytes):
        asked: list[str] = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                asked.append(self.path)
                self.send_response(200)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format, *args):
                pass

        self.asked = asked
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/film.ts"


@pytest.fixture
def host(make_clip):
    host = Host(make_clip("late.ts").read_bytes())
    thread = threading.Thread(target=host.server.serve_forever, args=(0.05,))
    thread.start()
    yield host
    host.server.shutdown()
    thread.join()
    host.server.server_close()


@pytest.fixture(params=["another file", "another host"])
def other(request, host, make_clip):
    """Where a list leads to."""
    return make_clip("late.ts") if request.param == "another file" else host.url


@pytest.mark.parametrize("name", ["film.mp4", "film.{kind}"])
@pytest.mark.parametrize("kind", LISTS)
def test_a_list_reaches_nothing(kind, name, other, host, clip, tmp_path):
    path = tmp_path / name.format(kind=kind)
    path.write_text(LISTS[kind].format(other=other))
    with pytest.raises(MediaError, match="film") as error:
        probe(path)
    assert "\n" not in str(error.value)
    # ffmpeg itself would not follow it either, had it been taken for a film.
    for container in ("mov", "mpegts"):
        with (
            pytest.raises(MediaError),
            read_luma(replace(probe(clip), path=path, container=container), SMALL) as frames,
        ):
            next(frames)
    assert host.asked == []


def test_the_command_refuses_it_in_one_line(host, tmp_path):
    path = tmp_path / "film.mp4"
    path.write_text(CONCAT.format(other=host.url))
    words = [str(path), "-o", str(tmp_path / "out.mkv"), "-r", "4", "--device", "cpu"]
    result = CliRunner().invoke(vidcolor, words)
    assert result.exit_code == 1
    (error,) = [line for line in result.stderr.splitlines() if line.startswith("Error")]
    assert "a list of other files" in error
    assert host.asked == []
    assert [found.name for found in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("m3u8", ("-f", "hls", "-extension_picky", "0")),
        ("ffconcat", ("-f", "concat", "-safe", "0")),
    ],
)
def test_without_limits_such_a_list_does_reach_the_host(kind, options, host, tmp_path):
    """What the test above would see, were there no limits."""
    path = tmp_path / "film.mp4"
    path.write_text(LISTS[kind].format(other=host.url))
    allowed = ("-protocol_whitelist", "file,http,tcp")
    run_ffmpeg(*options, *allowed, "-i", path, "-map", "0:v", "-f", "null", "-")
    assert host.asked


def test_no_device_and_no_list_is_on_the_list_of_formats():
    reaching = {"hls", "dash", "concat", "sdp", "rtsp", "rtp", "image2", "lavfi", "imf", "vobsub"}
    assert not reaching & set(limits.FORMATS)


@pytest.mark.parametrize(
    ("suffix", "codec"),
    [
        *((suffix, "mpeg4") for suffix in (".mp4", ".mov", ".mkv", ".avi", ".ts", ".nut")),
        *(
            (".mpg", "mpeg2video"),
            (".mxf", "mpeg2video"),
            (".m2v", "mpeg2video"),
            (".dv", "dvvideo"),
            (".wmv", "wmv2"),
        ),
        *((".flv", "flv"), (".webm", "libvpx"), (".gif", "gif"), (".y4m", "wrapped_avframe")),
        *((".h264", "libx264"), (".hevc", "libx265"), (".ivf", "libvpx"), (".mjpeg", "mjpeg")),
    ],
)
def test_films_are_on_it(suffix, codec, clip, tmp_path):
    path = tmp_path / f"film{suffix}"
    pal = ("-s", "720x576", "-r", "25", "-pix_fmt", "yuv420p") if suffix in (".dv", ".mxf") else ()
    run_ffmpeg("-i", clip, "-map", "0:v", *pal, "-c", codec, "-frames:v", "3", path)
    assert probe(path).container in limits.FORMATS
