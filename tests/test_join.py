"""Sound, subtitles, chapters and labels: what comes along, what cannot, and where it could."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from conftest import RECIPES, run_ffmpeg
from films import FFV1, color_film, pictures, write_film

from vidcolor.errors import MediaError
from vidcolor.media.containers import EncodeSettings
from vidcolor.media.join import join
from vidcolor.media.probe import probe


def packets(path: Path, kind: str, number: int = 0) -> list[tuple[float, bytes]]:
    """(seconds, content) of every packet of a stream."""
    with av.open(str(path)) as container:
        stream = [stream for stream in container.streams if stream.type == kind][number]
        unit = stream.time_base or Fraction(1)
        return [
            (float((packet.pts or 0) * unit), bytes(packet))
            for packet in container.demux(stream)
            if packet.pts is not None
        ]


def decoded_sound(path: Path, number: int = 0) -> np.ndarray:
    """All samples of the first channel."""
    with av.open(str(path)) as container:
        frames = container.decode(audio=number)
        return np.concatenate([frame.to_ndarray()[0] for frame in frames])


def chapters(path: Path) -> list[tuple[float, str]]:
    with av.open(str(path)) as container:
        return [
            (float(chapter["start"] * (chapter["time_base"] or 1)), chapter["metadata"]["title"])
            for chapter in container.chapters()
        ]


def kinds(path: Path) -> list[tuple[str, str | None, str | None]]:
    return [
        (stream.kind, None if stream.kind == "video" else stream.codec, stream.language)
        for stream in probe(path).streams
    ]


def test_everything_comes_along_untouched(rich_clip, tmp_path):
    target = tmp_path / "colored.mkv"
    assert color_film(rich_clip, target, EncodeSettings(), pieces=2) == []
    assert kinds(target) == kinds(rich_clip)
    assert chapters(target) == chapters(rich_clip) == [(0.0, "One"), (0.25, "Two")]
    for kind, number in (("audio", 0), ("audio", 1), ("subtitle", 0)):
        assert packets(target, kind, number) == packets(rich_clip, kind, number)
    with av.open(str(target)) as film, av.open(str(rich_clip)) as source:
        assert film.metadata["title"] == source.metadata["title"] == "A film"
        assert film.streams.video[0].metadata["title"] == "Reel"
        assert film.streams[-1].metadata["filename"] == "font.ttf"


def test_what_mp4_cannot_hold_is_named_with_the_container_that_can(rich_clip, tmp_path):
    target = tmp_path / "colored.mp4"
    warnings = color_film(rich_clip, target, EncodeSettings())
    assert warnings == [
        "subtitle stream 3 (srt) was turned into mov_text; .mkv holds it as it is",
        "attachment stream 4 was left out: .mp4 cannot hold it; .mkv holds it as it is",
    ]
    assert [kind[:2] for kind in kinds(target)][:4] == [
        ("video", None),
        ("audio", "aac"),
        ("audio", "flac"),
        ("subtitle", "mov_text"),
    ]
    assert chapters(target) == chapters(rich_clip)
    assert packets(target, "audio", 1)[0][1] == packets(rich_clip, "audio", 1)[0][1]
    assert "Grüße".encode() in packets(target, "subtitle")[1][1]


def test_sound_that_the_container_cannot_hold_becomes_what_it_can(rich_clip, tmp_path):
    target = tmp_path / "colored.mov"
    warnings = color_film(rich_clip, target, EncodeSettings())
    assert "audio stream 2 (flac) was turned into alac; .mkv holds it as it is" in warnings
    assert kinds(target)[2][:2] == ("audio", "alac")
    assert np.array_equal(decoded_sound(target, 1), decoded_sound(rich_clip, 1))


def test_subtitles_of_mp4_reach_matroska(rich_clip, tmp_path):
    source, target = tmp_path / "film.mp4", tmp_path / "colored.mkv"
    run_ffmpeg("-i", rich_clip, "-map", "0:v", "-map", "0:s", "-c:s", "mov_text", source)
    (warning,) = color_film(source, target, EncodeSettings())
    assert warning.endswith("(mov_text) was turned into srt; .mp4 holds it as it is")
    (text,) = [packet for packet in packets(target, "subtitle") if packet[1]]
    assert text[1] == "Grüße".encode()
    assert text[0] == pytest.approx(packets(rich_clip, "subtitle")[0][0], abs=1e-3)


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_sound_keeps_its_place_beside_the_picture(clip, tmp_path, suffix):
    target = tmp_path / f"colored{suffix}"
    color_film(clip, target, EncodeSettings(), pieces=2)
    sound, colored_sound = packets(clip, "audio"), packets(target, "audio")
    assert [data for _, data in colored_sound] == [data for _, data in sound]
    times = [time for time, _ in sound]
    assert [time for time, _ in colored_sound] == pytest.approx(times, abs=1e-3)
    assert float(pictures(target)[0].time) == float(pictures(clip)[0].time)


def test_a_film_without_sound_keeps_its_title(tmp_path):
    source, target = tmp_path / "film.mp4", tmp_path / "colored.mp4"
    run_ffmpeg(*RECIPES["bt709.mp4"], "-metadata", "title=Silent", source)
    color_film(source, target, EncodeSettings())
    with av.open(str(target)) as container:
        assert container.metadata["title"] == "Silent"


def test_the_cover_stays_a_cover(clip, tmp_path):
    source, target = tmp_path / "film.mp4", tmp_path / "colored.mp4"
    cover = tmp_path / "cover.png"
    run_ffmpeg("-f", "lavfi", "-i", "color=red:32x32", "-frames:v", "1", cover)
    maps = ("-map", "1", "-map", "0", "-c", "copy", "-disposition:v:0", "attached_pic")
    run_ffmpeg("-i", clip, "-i", cover, *maps, source)
    assert probe(source).width == 64
    assert color_film(source, target, EncodeSettings()) == []
    film = probe(target)
    assert (film.width, film.video_index) == (64, 0)
    assert [stream.attached_picture for stream in film.streams if stream.kind == "video"] == [
        False,
        True,
    ]


def test_timecode_of_a_tape_is_kept(tmp_path):
    source, target = tmp_path / "tape.mov", tmp_path / "colored.mov"
    run_ffmpeg(*RECIPES["bt709.mp4"], "-timecode", "10:00:00:00", source)
    color_film(source, target, EncodeSettings())
    with av.open(str(target)) as container:
        assert container.streams.video[0].metadata["timecode"] == "10:00:00:00"


def test_a_stretch_brings_its_own_sound(make_clip, tmp_path):
    source, target = make_clip("long.mp4"), tmp_path / "colored.mp4"
    color_film(source, target, EncodeSettings(), start=20.3, end=22.6)
    whole, part = packets(source, "audio"), packets(target, "audio")
    expected = [(time - 20.3, data) for time, data in whole if 20.3 <= time < 22.6]
    assert [data for _, data in part] == [data for _, data in expected]
    assert [time for time, _ in part] == pytest.approx([time for time, _ in expected], abs=1e-3)
    assert decoded_sound(target).size > 2.2 * 44100


def test_a_piece_that_is_gone_is_not_passed_over(clip, tmp_path):
    film, target = probe(clip), tmp_path / "out.mkv"
    pieces = write_film(film, tmp_path, FFV1, pieces=3)
    pieces[1].path.unlink()
    with pytest.raises(MediaError, match="only 4 of 12 frames"):
        join(film, pieces, target)
    assert not target.exists()
