"""Read luma, write chroma, join: the film's own luma and timestamps must come out again."""

from itertools import pairwise

import numpy as np
import pytest
from conftest import run_ffmpeg
from films import SMALL, color_film, flat_chroma, pictures

from vidcolor.errors import MediaError
from vidcolor.media.containers import EncodeSettings
from vidcolor.media.probe import probe
from vidcolor.media.read import read_luma

YUV_AND_GRAY = [
    "cfr.mp4",
    "vfr.mp4",
    "ten_bit.mkv",
    "twelve_bit_422.mkv",
    "odd.mkv",
    "yuv444.mkv",
    "gray.mkv",
    "gray_ten_bit.mkv",
    "full_range.mov",
    "late.ts",
    "anamorphic.mp4",
    "interlaced.mpg",
    "one_frame.mp4",
    "packed.avi",
]


@pytest.mark.parametrize("name", YUV_AND_GRAY)
def test_luma_and_timestamps_survive_to_the_bit(make_clip, tmp_path, name):
    source, target = make_clip(name), tmp_path / "colored.mov"
    color_film(source, target)
    before, after = pictures(source), pictures(target)
    assert [picture.time for picture in after] == [picture.time for picture in before]
    for old, new in zip(before, after, strict=True):
        assert np.array_equal(new.planes[0], old.planes[0])


@pytest.mark.parametrize("name", YUV_AND_GRAY)
def test_every_frame_gets_its_own_chroma(make_clip, tmp_path, name):
    source, target = make_clip(name), tmp_path / "colored.mov"
    color_film(source, target)
    scale = 1 << (probe(source).bit_depth - 8)
    for number, picture in enumerate(pictures(target)):
        for plane, chroma in zip(picture.planes[1:], flat_chroma(number), strict=True):
            assert np.all(plane == int(chroma[0, 0]) * scale)


def test_the_clips_are_what_they_are_named_for(make_clip):
    times = [picture.time for picture in pictures(make_clip("vfr.mp4"))]
    assert float(times[0]) == pytest.approx(1.5, abs=1e-3)
    assert len({later - earlier for earlier, later in pairwise(times)}) > 1
    assert float(pictures(make_clip("late.ts"))[0].time) > 7


def test_a_stream_without_timestamps_gets_them_from_its_frame_rate(make_clip, tmp_path):
    target = tmp_path / "colored.mov"
    color_film(make_clip("raw.h264"), target)
    expected, after = pictures(make_clip("cfr.mp4")), pictures(target)
    for number, (old, new) in enumerate(zip(expected, after, strict=True)):
        assert abs(new.time - old.time) < 1e-5
        assert np.all(new.planes[1] == flat_chroma(number)[0, 0, 0])


def test_a_change_of_size_does_not_end_the_film(make_clip, tmp_path):
    source, target = make_clip("changes_size.ts"), tmp_path / "colored.mov"
    color_film(source, target)
    before, after = pictures(source), pictures(target)
    assert [picture.time for picture in after] == [picture.time for picture in before]
    assert {picture.planes[0].shape for picture in after} == {(48, 64)}
    for number, picture in enumerate(after):
        assert np.all(picture.planes[1] == flat_chroma(number)[0, 0, 0])


@pytest.mark.parametrize("name", ["cfr.mp4", "vfr.mp4", "late.ts"])
def test_matroska_keeps_time_to_the_millisecond(make_clip, tmp_path, name):
    source, target = make_clip(name), tmp_path / "colored.mkv"
    color_film(source, target)
    for old, new in zip(pictures(source), pictures(target), strict=True):
        assert abs(new.time - old.time) <= 0.0005


@pytest.mark.parametrize("name", ["vfr.mp4", "late.ts", "long.mp4"])
@pytest.mark.parametrize("codec", ["ffv1", "libx264"])
def test_pieces_join_without_a_seam(make_clip, tmp_path, name, codec):
    source, target = make_clip(name), tmp_path / "colored.mov"
    color_film(source, target, EncodeSettings(codec=codec), pieces=3)
    before, after = pictures(source), pictures(target)
    assert [picture.time for picture in after] == [picture.time for picture in before]
    for number, picture in enumerate(after):
        assert abs(picture.planes[1].mean() - flat_chroma(number)[0, 0, 0]) < 2


def test_a_rotated_film_stands_upright(rotated_clip, tmp_path):
    film, target = probe(rotated_clip), tmp_path / "colored.mov"
    assert (film.width, film.height, film.sample_aspect) == (48, 64, 3 / 4)
    color_film(rotated_clip, target)
    result = probe(target)
    assert (result.width, result.height, result.rotation) == (48, 64, 0)
    assert result.sample_aspect == film.sample_aspect
    for old, new in zip(pictures(rotated_clip), pictures(target), strict=True):
        assert np.array_equal(new.planes[0], np.rot90(old.planes[0], film.rotation // 90))


def test_rgb_becomes_limited_luma_of_the_tagged_matrix(make_clip, tmp_path):
    source, target = make_clip("rgb.mov"), tmp_path / "colored.mkv"
    color_film(source, target)
    film = probe(target)
    assert (film.matrix, film.color_space, film.full_range) == ("bt601", 6, False)
    for old, new in zip(pictures(source), pictures(target), strict=True):
        luma = 16 + old.planes[0].reshape(48, 64, 3) @ np.array([65.481, 128.553, 24.966]) / 255
        assert np.abs(new.planes[0] - luma).max() <= 1.5


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_the_default_plays_everywhere(make_clip, tmp_path, suffix):
    source, target = make_clip("bt709.mp4"), tmp_path / f"colored{suffix}"
    color_film(source, target, EncodeSettings())
    film = probe(target)
    assert (film.codec, film.pixel_format, film.bit_depth) == ("h264", "yuv420p", 8)
    for tagged in (film, probe(tmp_path / "piece0")):  # the container, and the stream itself
        tags = (tagged.color_space, tagged.color_primaries, tagged.color_transfer)
        assert (*tags, tagged.full_range) == (1, 1, 1, False)
    assert film.frame_rate == probe(source).frame_rate
    for old, new in zip(pictures(source), pictures(target), strict=True):
        assert np.abs(new.planes[0].astype(int) - old.planes[0]).mean() < 2


def test_ten_bits_stay_ten_bits_and_apple_plays_them(make_clip, tmp_path):
    target = tmp_path / "colored.mp4"
    color_film(make_clip("ten_bit.mkv"), target, EncodeSettings())
    film = probe(target)
    assert (film.codec, film.pixel_format) == ("hevc", "yuv420p10le")
    assert b"hvc1" in target.read_bytes()


@pytest.mark.parametrize("suffix", [".mkv", ".mov"])
@pytest.mark.parametrize("codec", ["ffv1", "libx264"])
def test_full_range_is_kept_and_tagged(make_clip, tmp_path, codec, suffix):
    if codec == "ffv1" and suffix == ".mov":
        pytest.skip("neither QuickTime's tags nor ffv1 can say it")
    target = tmp_path / f"colored{suffix}"
    color_film(make_clip("full_range.mov"), target, EncodeSettings(codec=codec))
    assert probe(target).full_range


@pytest.mark.parametrize(
    ("name", "suffix"),
    [
        ("anamorphic.mp4", ".mp4"),
        ("anamorphic.mp4", ".mov"),
        ("anamorphic.mp4", ".mkv"),
        ("nearly_square.mp4", ".mp4"),
        ("nearly_square.mp4", ".mov"),
    ],
)
def test_sample_aspect_is_kept(make_clip, tmp_path, name, suffix):
    target = tmp_path / f"colored{suffix}"
    color_film(make_clip(name), target, EncodeSettings())
    assert probe(target).sample_aspect == probe(make_clip(name)).sample_aspect != 1


@pytest.mark.parametrize(
    ("name", "codec", "order"),
    [
        ("interlaced.mpg", "libx264", "tff"),
        ("interlaced.mpg", "prores_ks", "tff"),
        ("bottom_first.mpg", "prores_ks", "bff"),
        ("cfr.mp4", "libx264", None),
    ],
)
def test_interlaced_film_stays_interlaced(make_clip, tmp_path, name, codec, order):
    assert probe(make_clip(name)).field_order == order
    color_film(make_clip(name), tmp_path / "colored.mov", EncodeSettings(codec=codec))
    assert probe(tmp_path / "colored.mov").field_order == order


@pytest.mark.parametrize("name", ["cfr.mp4", "gray.mkv", "full_range.mov", "ten_bit.mkv"])
@pytest.mark.parametrize("depth", [8, 10, 12])
def test_another_depth_keeps_black_and_white(make_clip, tmp_path, name, depth):
    target = tmp_path / "colored.mov"
    pix_fmt = "yuv420p" if depth == 8 else f"yuv420p{depth}le"
    color_film(make_clip(name), target, EncodeSettings(codec="ffv1", pix_fmt=pix_fmt))
    film = probe(make_clip(name))
    factor = 2.0 ** (depth - film.bit_depth)
    # ffmpeg's scaler makes white of 255 either 1020 or 1023.
    tolerance = 2**depth / 255 if film.full_range and factor > 1 else 1 if factor < 1 else 0
    for number, picture in enumerate(pictures(target)):
        luma = pictures(make_clip(name))[number].planes[0]
        assert np.abs(picture.planes[0] - luma * factor).max() <= tolerance
        for plane, chroma in zip(picture.planes[1:], flat_chroma(number), strict=True):
            assert np.all(plane == int(chroma[0, 0]) << (depth - 8))


def test_odd_sizes_grow_by_a_repeated_row_and_column(make_clip, tmp_path):
    target = tmp_path / "colored.mp4"
    color_film(make_clip("odd.mkv"), target, EncodeSettings(crf=1))
    for old, new in zip(pictures(make_clip("odd.mkv")), pictures(target), strict=True):
        expected = np.pad(old.planes[0], ((0, 1), (0, 1)), mode="edge").astype(int)
        assert new.planes[0].shape == (50, 66)
        assert np.abs(new.planes[0] - expected).max() < 12


def test_compare_puts_the_gray_source_on_the_left(make_clip, tmp_path):
    source, target = make_clip("ten_bit.mkv"), tmp_path / "colored.mov"
    color_film(source, target, EncodeSettings(codec="ffv1", compare=True))
    for number, (old, new) in enumerate(zip(pictures(source), pictures(target), strict=True)):
        assert np.array_equal(new.planes[0], np.hstack([old.planes[0]] * 2))
        for plane, chroma in zip(new.planes[1:], flat_chroma(number), strict=True):
            assert np.all(plane[:, :32] == 512)
            assert np.all(plane[:, 32:] == int(chroma[0, 0]) * 4)


def test_a_stretch_is_exact_and_starts_at_zero(make_clip, tmp_path):
    source, target = make_clip("long.mp4"), tmp_path / "colored.mkv"
    color_film(source, target, start=20.3, end=22.6)
    before, after = pictures(source)[203:226], pictures(target)
    assert [float(picture.time) for picture in after] == pytest.approx(np.arange(23) / 10, abs=1e-3)
    for old, new in zip(before, after, strict=True):
        assert np.array_equal(new.planes[0], old.planes[0])


def test_luma_is_full_range_whatever_the_film_is(make_clip, tmp_path):
    for name in ("cfr.mp4", "ten_bit.mkv", "gray.mkv", "full_range.mov"):
        film = probe(make_clip(name))
        with read_luma(film, (64, 48)) as frames:
            luma = next(frames).pixels
        planes = pictures(make_clip(name))[0].planes
        codes = planes[0] / (1 << (film.bit_depth - 8))
        expected = codes if film.full_range else (codes - 16) * 255 / 219
        assert luma.dtype == np.uint8
        assert np.abs(luma - expected.clip(0, 255)).max() <= 1.7


def test_a_cut_stands_out(tmp_path):
    path = tmp_path / "cut.mkv"
    scenes = ("-f", "lavfi", "-i", "color=black:64x48:duration=0.2")
    other = ("-f", "lavfi", "-i", "testsrc2=size=64x48:duration=0.2")
    run_ffmpeg(*scenes, *other, "-filter_complex", "concat", "-c:v", "ffv1", path)
    with read_luma(probe(path), SMALL) as frames:
        scores = [frame.cut_score for frame in frames]
    assert [number for number, score in enumerate(scores) if score >= 10] == [5]


@pytest.mark.parametrize(
    "name",
    [
        "concat:x.mp4",
        "http:x.mp4",
        "-dash.mp4",
        "with 'quotes' and \"more\".mp4",
        "100%03d %s.mp4",
        "a\nnew line.mp4",
        "[in],;:\\.mp4",
        "größer 映画.mp4",
    ],
)
def test_any_name_will_do(clip, tmp_path, monkeypatch, name):
    folder = tmp_path / name
    folder.mkdir()
    monkeypatch.chdir(folder)
    source, target = folder / name, folder / f"colored {name}"
    source.write_bytes(clip.read_bytes())
    color_film(source.relative_to(folder), target, EncodeSettings(), pieces=2)
    assert len(pictures(target)) == 12


def test_a_film_that_was_cut_short_is_colored_as_far_as_it_goes(make_clip, tmp_path):
    source, target = tmp_path / "short.ts", tmp_path / "colored.mkv"
    source.write_bytes(make_clip("late.ts").read_bytes()[:-3000])
    color_film(source, target)
    assert len(pictures(target)) == len(pictures(source)) > 0


def test_time_that_jumps_back_is_refused_with_the_way_to_mend_it(make_clip, tmp_path):
    source, mended = make_clip("jumps_back.ts"), tmp_path / "mended.mkv"
    with pytest.raises(MediaError, match=r"jump back by 0.5 s at 8.9 s; .*-c copy repaired.mkv"):
        color_film(source, tmp_path / "colored.mkv")
    run_ffmpeg("-i", source, "-c", "copy", mended)
    color_film(mended, tmp_path / "colored.mkv")
    assert len(pictures(tmp_path / "colored.mkv")) == 24
