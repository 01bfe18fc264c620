"""What a film is made of, and what is not a film."""

from fractions import Fraction

import pytest
from conftest import run_ffmpeg

from vidcolor.errors import MediaError
from vidcolor.media.probe import probe


def test_a_film(clip):
    film = probe(clip)
    assert (film.width, film.height, film.rotation, film.sample_aspect) == (64, 48, 0, 1)
    assert film.frame_rate == Fraction(24000, 1001)
    assert (film.start, film.frame_count, film.bit_depth) == (0.0, 12, 8)
    assert film.duration == pytest.approx(0.5005)
    assert (film.pixel_format, film.full_range, film.matrix) == ("yuv420p", False, "bt601")
    assert (film.color_space, film.color_primaries, film.color_transfer) == (None, None, None)
    assert film.field_order is None
    assert [(stream.kind, stream.codec) for stream in film.streams] == [
        ("video", "h264"),
        ("audio", "aac"),
    ]


@pytest.mark.parametrize(
    ("name", "depth", "full_range"),
    [
        ("ten_bit.mkv", 10, False),
        ("twelve_bit_422.mkv", 12, False),
        ("gray.mkv", 8, True),
        ("full_range.mov", 8, True),
        ("rgb.mov", 8, False),
    ],
)
def test_depth_and_range(make_clip, name, depth, full_range):
    film = probe(make_clip(name))
    assert (film.bit_depth, film.full_range) == (depth, full_range)


def test_tags_decide_the_matrix(make_clip):
    film = probe(make_clip("bt709.mp4"))
    assert (film.matrix, film.color_space) == ("bt709", 1)


@pytest.mark.parametrize(("height", "matrix"), [(718, "bt601"), (720, "bt709")])
def test_without_tags_the_height_decides_the_matrix(tmp_path, height, matrix):
    path = tmp_path / "film.mkv"
    run_ffmpeg("-f", "lavfi", "-i", f"color=size=32x{height}", "-frames:v", "1", path)
    assert probe(path).matrix == matrix


def test_rotated(rotated_clip):
    film = probe(rotated_clip)
    assert (film.width, film.height, film.sample_aspect) == (48, 64, Fraction(3, 4))


def test_a_playlist_reaches_no_other_file(clip, tmp_path):
    playlist = tmp_path / "film.mp4"
    for text in (
        f"ffconcat version 1.0\nfile '{clip}'\n",
        f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{clip}\n#EXT-X-ENDLIST\n",
    ):
        playlist.write_text(text)
        with pytest.raises(MediaError, match=r"a list of other files|is not a film"):
            probe(playlist)


def test_what_is_not_a_film_says_what_it_is(make_clip, tmp_path):
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("Once upon a time" * 100)
    whole = make_clip("cfr.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    run_ffmpeg("-f", "lavfi", "-i", "color", "-frames:v", "1", tmp_path / "still.png")
    run_ffmpeg(
        *(
            "-i",
            make_clip("only_sound.mp4"),
            "-i",
            tmp_path / "still.png",
            "-map",
            "0",
            "-map",
            "1",
        ),
        *("-c", "copy", "-disposition:v", "attached_pic", tmp_path / "cover.mp4"),
    )
    for path, reason in {
        tmp_path / "missing.mp4": "does not exist; check the name",
        tmp_path: "is a folder, not a film",
        tmp_path / "empty.mp4": "is empty; copy or download it again",
        tmp_path / "text.mp4": "is not a film that ffmpeg can read",
        tmp_path / "cut.mp4": "if it was cut short, copy or download it again",
        tmp_path / "still.png": "is a still image",
        tmp_path / "cover.mp4": "has only a cover picture",
        make_clip("only_sound.mp4"): "has only sound, no picture",
    }.items():
        with pytest.raises(MediaError, match=reason) as caught:
            probe(path)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("suffix", ["mp3", "wav", "flac", "aac", "aiff", "ac3", "ogg"])
def test_a_sound_file_is_called_one(suffix, tmp_path):
    path = tmp_path / f"sound.{suffix}"
    run_ffmpeg("-f", "lavfi", "-i", "sine=duration=1", path)
    with pytest.raises(MediaError, match="has only sound, no picture; nothing to color"):
        probe(path)


@pytest.mark.parametrize(("suffix", "remedy"), [("jpg", "ends with .jpg"), ("bmp", "save it as")])
def test_a_still_under_another_name_gets_its_own_remedy(suffix, remedy, tmp_path):
    run_ffmpeg("-f", "lavfi", "-i", "color", "-frames:v", "1", tmp_path / f"still.{suffix}")
    path = (tmp_path / f"still.{suffix}").rename(tmp_path / "film.mp4")
    with pytest.raises(MediaError, match=f"is a still image .*{remedy}"):
        probe(path)


def test_a_film_of_rubbish_cannot_be_decoded(make_clip, tmp_path):
    whole = make_clip("cfr.mp4").read_bytes()
    begin, end = whole.index(b"mdat") + 4, whole.index(b"moov") - 4
    path = tmp_path / "rubbish.mp4"
    path.write_bytes(whole[:begin] + bytes(end - begin) + whole[end:])
    with pytest.raises(MediaError, match=r"no frame of .* can be decoded; it is damaged"):
        probe(path)
