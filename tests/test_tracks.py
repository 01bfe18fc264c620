"""What comes with the picture comes out with it, in every container that is written."""

import re
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
import pytest
from av.audio.stream import AudioStream
from av.stream import Disposition
from av.subtitles.stream import SubtitleStream
from av.video.stream import VideoStream
from conftest import X264, run_ffmpeg
from films import MPEG2, RESULTS, SOURCES, drawing, other_warnings, picture_subtitle

from vidcolor.film import colorize_film
from vidcolor.media.containers import default_suffix


def tone(layout: str = "stereo") -> tuple[str, ...]:
    """ffmpeg's input for a fifth of a second of sound."""
    sine = "sine=sample_rate=48000:duration=0.2"
    return ("-f", "lavfi", "-i", f"{sine},aformat=channel_layouts={layout}")


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
    assert other_warnings(report.warnings) == ()
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
        assert other_warnings(report.warnings) == ()
        assert sound_packets(target) == sound_packets(source)
        return
    (warning,) = other_warnings(report.warnings)
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
        assert other_warnings(report.warnings) == (
            'audio stream 3 is no longer marked as "comment"; .mkv holds it',
        )
    else:
        assert other_warnings(report.warnings) == ()
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
        assert other_warnings(report.warnings) == ()
    else:
        holder = "mp4" if codec == "mov_text" else "mkv"
        (warning,) = other_warnings(report.warnings)
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
        assert other_warnings(report.warnings) == ()
        assert tracks(target, "subtitle")[0].codec == "pgssub"
    else:
        assert tracks(target, "subtitle") == []
        (warning,) = other_warnings(report.warnings)
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
    assert other_warnings(colorize_film(source, target, colorizer).warnings) == ()
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
    assert other_warnings(report.warnings) == ()
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
    assert other_warnings(colorize_film(source, target, colorizer).warnings) == ()
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
    (warning,) = other_warnings(colorize_film(source, target, colorizer).warnings)
    assert warning.startswith(f"data stream 1 was left out: {suffix} cannot hold it")
