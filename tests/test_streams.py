"""What goes in comes out, for every container and kind of film: docs/containers.md as a test.

`pytest -v tests/test_streams.py` prints the table. The results are read with PyAV and ffmpeg.
"""

import re
import shlex
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
import pytest
from av.audio.stream import AudioStream
from av.stream import Disposition
from av.subtitles.stream import SubtitleStream
from av.video.stream import VideoStream
from click.testing import CliRunner
from conftest import X264, run_ffmpeg
from films import FFV1, look, picture_subtitle, pictures

from vidcolor.cli import vidcolor
from vidcolor.colorizer import Colorizer
from vidcolor.film import colorize_film
from vidcolor.media.binary import find_ffmpeg
from vidcolor.media.containers import EncodeSettings, default_suffix
from vidcolor.media.probe import probe
from vidcolor.media.read import read_luma
from vidcolor.render import RenderSettings
from vidcolor.weights.catalog import LITE
from vidcolor.weights.checkpoint import load_generator
from vidcolor.weights.places import carried_folder

RESULTS = (".mp4", ".m4v", ".mov", ".mkv", ".webm")

MPEG4 = ("-c:v", "mpeg4", "-q:v", "2")
MPEG2 = ("-c:v", "mpeg2video", "-q:v", "2", "-bf", "2")
VP9 = ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-pix_fmt", "yuv420p")
SOURCES: dict[str, tuple[str, ...]] = {
    ".mp4": (*X264, "-bf", "2"),
    ".mkv": (*X264, "-bf", "2"),
    ".mov": (*X264, "-bf", "2"),
    ".avi": (*MPEG4, "-bf", "2"),
    ".webm": VP9,
    ".mpg": MPEG2,
    ".ts": MPEG2,
    ".gif": (),
    ".y4m": ("-pix_fmt", "yuv420p"),
}
RATES = ("24000/1001", "25", "30000/1001", "60", "variable")


@pytest.fixture(scope="module")
def colorizer():
    """The built-in model at its smallest."""
    generator = load_generator(carried_folder() / LITE.file)
    return Colorizer(generator, RenderSettings(render_factor=4, batch_size=8), device="cpu")


def drawing(rate: str = "25", frames: int = 5) -> tuple[str, ...]:
    """ffmpeg's input for so many small frames in which something moves."""
    return ("-f", "lavfi", "-i", f"testsrc2=size=64x48:rate={rate},trim=end_frame={frames}")


def tone(layout: str = "stereo") -> tuple[str, ...]:
    """ffmpeg's input for a fifth of a second of sound."""
    sine = "sine=sample_rate=48000:duration=0.2"
    return ("-f", "lavfi", "-i", f"{sine},aformat=channel_layouts={layout}")


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
    assert report.warnings == ()
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
    assert len(report.warnings) == bool(said)
    assert re.search(said, "".join(report.warnings))


def test_fields_that_cannot_be_kept_are_named_with_what_can(colorizer, tmp_path):
    source, target = tmp_path / "film.mov", tmp_path / "result.mp4"
    picture = ("-f", "lavfi", "-i", "testsrc2=size=64x54:rate=50,trim=end_frame=10")
    codec = ("-c:v", "prores_ks", "-flags", "+ildct+ilme")
    run_ffmpeg(*picture, "-vf", "tinterlace=interleave_bottom", *codec, source)
    (warning,) = colorize_film(source, target, colorizer).warnings
    assert look(target).fields == {"P"}
    offered = re.search(r"--codec (\S+) --pix-fmt (\S+) can", warning)
    assert offered
    settings = EncodeSettings(codec=offered[1], pix_fmt=offered[2])
    assert colorize_film(source, target, colorizer, settings).warnings == ()
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
    assert report.warnings == ("transparency was left out: colored films have none",)


def captioned(path: Path) -> Path:
    """An MPEG-2 film of 2 s that says HELLO in closed captions (CEA-608 in ATSC A/53 user data)."""
    bare = path.with_suffix(".m2v")
    picture = ["-f", "lavfi", "-i", "testsrc2=size=64x48:rate=25:duration=2", "-bf", "0"]
    run_ffmpeg(*picture, "-f", "mpeg2video", str(bare))
    roll_up, next_line, clear = (0x14, 0x25), (0x14, 0x2D), (0x14, 0x2C)
    words = [roll_up, next_line, *zip(b"HLO", b"EL ", strict=True), *[(0, 0)] * 20, clear]
    pairs = iter(words + [(0, 0)] * 50)
    first, *units = bare.read_bytes().split(b"\0\0\1")
    film = first
    wanted = False
    for unit in units:
        if unit[0] == 0xB5 and unit[1] >> 4 == 8:  # what a picture's user data follow
            wanted = True
        elif wanted and 1 <= unit[0] <= 0xAF:  # its first slice
            pair = bytes(byte | (byte.bit_count() % 2 == 0) << 7 for byte in next(pairs))
            film += b"\0\0\1\xb2GA94\3\x41\xff\xfc" + pair + b"\xff"
            wanted = False
        film += b"\0\0\1" + unit
    bare.write_bytes(film)
    run_ffmpeg(
        "-f", "mpegvideo", "-i", str(bare), "-c", "copy", "-bsf:v", "setts=N*3600", str(path)
    )
    return path


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_captions_in_the_picture_are_left_out_with_the_way_to_save_them(
    colorizer, tmp_path, suffix
):
    source = captioned(tmp_path / "film.ts")
    report = colorize_film(source, tmp_path / f"result{suffix}", colorizer)
    (warning,) = report.warnings
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
    report = colorize_film(source, target, colorizer, deinterlace=True)
    assert report.warnings == ()
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
    run_ffmpeg("-i", source, "-vf", filters, "-fps_mode", "passthrough", *FFV1_OPTIONS, expected)
    colorize_film(source, target, colorizer, FFV1, deinterlace=True)
    with read_luma(probe(source, deinterlace=True), (64, 48)) as frames:
        seen = [frame.pixels for frame in frames]
    wanted = [picture.planes[0] for picture in pictures(expected)]
    combed = [picture.planes[0] for picture in pictures(source)]
    assert np.array_equal(wanted, combed) == (name == "plain.mp4")
    for luma, pixels, picture in zip(wanted, seen, pictures(target), strict=True):
        assert np.array_equal(picture.planes[0], luma)
        full = ((luma.astype(float) - 16) * 255 / 219).clip(0, 255)
        assert np.abs(pixels - full).max() <= 1


FFV1_OPTIONS = ("-c:v", "ffv1")


# Sound, subtitles, chapters and the rest, in every container that is written.


class Track(NamedTuple):
    """One stream as PyAV sees it."""

    codec: str
    language: str | None
    disposition: Disposition
    title: str | None


def tracks(path: Path, kind: str) -> list[Track]:
    with av.open(str(path)) as container:
        return [
            Track(
                codec=stream.codec_context.name,
                language=stream.language,
                disposition=Disposition(stream.disposition),
                title=stream.metadata.get("title") or stream.metadata.get("handler_name"),
            )
            for stream in container.streams
            if stream.type == kind
            and isinstance(stream, AudioStream | VideoStream | SubtitleStream)
        ]


def sound(path: Path, number: int = 0) -> np.ndarray:
    """(channels, samples) float."""
    with av.open(str(path)) as container:
        frames = list(container.decode(audio=number))
        rate = frames[0].sample_rate
        resampler = av.AudioResampler("fltp", frames[0].layout, rate)
        return np.concatenate(
            [each.to_ndarray() for frame in frames for each in resampler.resample(frame)], 1
        )


def sound_packets(path: Path, number: int = 0) -> list[bytes]:
    with av.open(str(path)) as container:
        packets = container.demux(container.streams.audio[number])
        return [bytes(packet) for packet in packets if packet.size]


@pytest.mark.parametrize(
    ("container", "codec"),
    [
        (".mp4", "aac"),
        (".mov", "pcm_s24le"),
        (".mkv", "flac"),
        (".webm", "libopus"),
        (".avi", "libmp3lame"),
        (".avi", "adpcm_ms"),
        (".mpg", "mp2"),
        (".ts", "ac3"),
    ],
)
def test_sound_is_copied(colorizer, tmp_path, container, codec):
    source = tmp_path / f"film{container}"
    target = tmp_path / f"result{default_suffix(source)}"
    run_ffmpeg(*drawing(), *tone(), *SOURCES[container], "-c:a", codec, source)
    report = colorize_film(source, target, colorizer)
    assert report.warnings == ()
    assert sound_packets(target) == sound_packets(source)


@pytest.mark.parametrize("suffix", RESULTS)
@pytest.mark.parametrize(
    ("codec", "layout"),
    [("pcm_dvd", "stereo"), ("adpcm_ms", "stereo"), ("ac3", "5.1(side)"), ("flac", "stereo")],
)
def test_no_sound_is_lost(colorizer, tmp_path, codec, layout, suffix):
    source = tmp_path / ("film.mpg" if codec == "pcm_dvd" else "film.mkv")
    form = ("-f", "vob") if codec == "pcm_dvd" else ()
    run_ffmpeg(*drawing(), *tone(layout), *MPEG2, "-c:a", codec, *form, source)
    target = tmp_path / f"result{suffix}"
    report = colorize_film(source, target, colorizer)
    (stream,) = tracks(target, "audio")
    if stream.codec == codec:
        assert report.warnings == ()
        assert sound_packets(target) == sound_packets(source)
        return
    (warning,) = report.warnings
    assert re.search(rf"^audio stream \d \({codec}\) was turned into (lib)?{stream.codec}", warning)
    assert codec == "pcm_dvd" or warning.endswith("; .mkv holds it as it is")
    before, after = sound(source), sound(target)
    assert after.shape[0] == before.shape[0]
    assert after.shape[1] == pytest.approx(before.shape[1], abs=2048 if suffix == ".webm" else 0)
    if suffix != ".webm":
        assert np.abs(after - before).max() < 1e-4


@pytest.mark.parametrize("suffix", RESULTS)
def test_tracks_keep_order_language_and_purpose(colorizer, tmp_path, suffix):
    source, target = tmp_path / "film.mkv", tmp_path / f"result{suffix}"
    run_ffmpeg(
        *(*drawing(), *tone(), *tone(), *tone(), "-map", "0", "-map", "1", "-map", "2"),
        *("-map", "3", *X264, "-c:a", "libopus" if suffix == ".webm" else "ac3"),
        *("-metadata:s:v", "language=ita", "-metadata:s:a:0", "language=deu"),
        *("-metadata:s:a:1", "language=fra", "-metadata:s:a:2", "language=eng"),
        *("-metadata:s:a:2", "title=With the director", "-disposition:v", "default"),
        *("-disposition:a:0", "0", "-disposition:a:1", "default", "-disposition:a:2", "comment"),
        source,
    )
    report = colorize_film(source, target, colorizer)
    before = [*tracks(source, "video"), *tracks(source, "audio")]
    after = [*tracks(target, "video"), *tracks(target, "audio")]
    assert [stream.language for stream in before] == ["ita", "deu", "fra", "eng"]
    german = "ger" if suffix == ".mov" else "deu"
    assert [stream.language for stream in after] == ["ita", german, "fra", "eng"]
    purposes = [stream.disposition for stream in before]
    if suffix in (".mov", ".webm"):
        purposes[3] = Disposition(0)
        assert report.warnings == (
            'audio stream 3 is no longer marked as "comment"; .mkv holds it',
        )
    else:
        assert report.warnings == ()
    assert [stream.disposition for stream in after] == purposes
    assert after[3].title == "With the director"


SRT = "1\n00:00:00,040 --> 00:00:00,120\nGrüße\n"
ASS = (
    "[Script Info]\nScriptType: v4.00+\n\n[V4+ Styles]\nFormat: Name, Fontname, Fontsize\n"
    "Style: Default,Arial,16\n\n[Events]\n"
    "Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\n"
    "Dialogue: 0,0:00:00.04,0:00:00.12,Default,,0,0,0,,Grüße\n"
)


@pytest.mark.parametrize("suffix", RESULTS)
@pytest.mark.parametrize("codec", ["srt", "ass", "webvtt", "mov_text"])
def test_text_subtitles_are_kept_or_turned_into_others(colorizer, tmp_path, codec, suffix):
    text = tmp_path / f"text.{'ass' if codec == 'ass' else 'srt'}"
    text.write_text(ASS if codec == "ass" else SRT)
    source = tmp_path / f"film.{'mp4' if codec == 'mov_text' else 'mkv'}"
    target = tmp_path / f"result{suffix}"
    run_ffmpeg(
        *drawing(), "-i", text, *X264, "-c:s", codec, "-metadata:s:s", "language=ita", source
    )
    report = colorize_film(source, target, colorizer)
    (before,), (after,) = tracks(source, "subtitle"), tracks(target, "subtitle")
    if before.codec == after.codec:
        assert report.warnings == ()
    else:
        holder = "mp4" if codec == "mov_text" else "mkv"
        (warning,) = report.warnings
        assert re.search(rf"was turned into \w+; \.{holder} holds it as it is", warning)
    assert after.language == "ita"
    seen = tmp_path / "seen.srt"
    run_ffmpeg("-i", target, "-map", "0:s", seen)
    lines = seen.read_text().split("\n")
    assert lines[1] == "00:00:00,040 --> 00:00:00,120"
    assert re.sub(r"<.*?>|\{.*?\}", "", lines[2]) == "Grüße"


@pytest.mark.parametrize("suffix", RESULTS)
def test_picture_subtitles_are_kept_in_matroska(colorizer, tmp_path, suffix):
    pictured, source = tmp_path / "pictured.sup", tmp_path / "film.mkv"
    pictured.write_bytes(picture_subtitle(0.04))
    run_ffmpeg(*drawing(), "-i", pictured, *X264, "-c:s", "copy", source)
    target = tmp_path / f"result{suffix}"
    report = colorize_film(source, target, colorizer)
    if suffix == ".mkv":
        assert report.warnings == ()
        assert tracks(target, "subtitle")[0].codec == "pgssub"
    else:
        assert tracks(target, "subtitle") == []
        (warning,) = report.warnings
        assert warning.endswith("cannot hold it; .mkv holds it as it is")


@pytest.mark.parametrize("suffix", RESULTS)
@pytest.mark.parametrize("container", [".mkv", ".mp4"])
def test_chapters_are_kept(colorizer, tmp_path, container, suffix):
    marks = tmp_path / "chapters.txt"
    marks.write_text(
        ";FFMETADATA1\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=80\ntitle=One\n"
        "[CHAPTER]\nTIMEBASE=1/1000\nSTART=80\nEND=200\ntitle=Two\n"
    )
    source, target = tmp_path / f"film{container}", tmp_path / f"result{suffix}"
    run_ffmpeg(*drawing(), "-i", marks, "-map", "0", "-map_metadata", "1", *X264, source)
    assert colorize_film(source, target, colorizer).warnings == ()
    with av.open(str(target)) as film:
        found = [
            (float(chapter["start"] * (chapter["time_base"] or 1)), chapter["metadata"]["title"])
            for chapter in film.chapters()
        ]
    assert found == [(0.0, "One"), (0.08, "Two")]


@pytest.mark.parametrize("suffix", RESULTS)
@pytest.mark.parametrize("container", [".mkv", ".mp4"])
def test_a_cover_stays_a_cover_or_is_named(colorizer, tmp_path, container, suffix):
    cover, source, target = (
        tmp_path / name for name in ("cover.png", f"film{container}", f"result{suffix}")
    )
    run_ffmpeg("-f", "lavfi", "-i", "color=red:32x32", "-frames:v", "1", cover)
    if container == ".mkv":
        labels = ("-metadata:s:t", "mimetype=image/png", "-metadata:s:t", "filename=cover.png")
        run_ffmpeg(*drawing(), *tone(), *X264, "-c:a", "aac", "-attach", cover, *labels, source)
    else:
        maps = ("-map", "0", "-map", "1", "-map", "2", "-c:v:1", "copy")
        place = ("-c:a", "aac", "-disposition:v:1", "attached_pic")
        run_ffmpeg(*drawing(), *tone(), "-i", cover, *maps, *X264_FIRST, *place, source)
    report = colorize_film(source, target, colorizer)
    pictured = tracks(target, "video")
    if suffix in (".mov", ".webm"):
        assert len(pictured) == 1
        (warning,) = [each for each in report.warnings if each.startswith("video")]
        assert warning.endswith("cannot hold it; .mkv holds it as it is")
        return
    assert report.warnings == ()
    assert [bool(each.disposition & Disposition.attached_pic) for each in pictured] == [
        False,
        True,
    ]
    with av.open(str(target)) as film:
        picture = next(film.demux(film.streams.video[1]))
        assert bytes(picture) == cover.read_bytes()


X264_FIRST = ("-c:v:0", "libx264", "-pix_fmt:v:0", "yuv420p")


@pytest.mark.parametrize("suffix", RESULTS)
def test_the_timecode_is_kept(colorizer, tmp_path, suffix):
    source, target = tmp_path / "film.mov", tmp_path / f"result{suffix}"
    run_ffmpeg(*drawing(), *X264, "-timecode", "10:11:12:13", source)
    assert colorize_film(source, target, colorizer).warnings == ()
    with av.open(str(target)) as film:
        labels = {name.lower(): value for name, value in film.streams.video[0].metadata.items()}
    assert labels["timecode"] == "10:11:12:13"


@pytest.mark.parametrize("suffix", [".mkv", ".webm"])
def test_data_that_cannot_be_held_is_named(colorizer, tmp_path, suffix):
    data, source, target = (tmp_path / name for name in ("data", "film.ts", f"result{suffix}"))
    data.write_bytes(bytes(range(250)))
    run_ffmpeg(
        *(*drawing(), "-f", "data", "-i", data, "-map", "0", "-map", "1", *MPEG2),
        *("-c:d", "copy", source),
    )
    (warning,) = colorize_film(source, target, colorizer).warnings
    assert warning.startswith(f"data stream 1 was left out: {suffix} cannot hold it")
