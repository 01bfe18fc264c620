"""Properties that hold for any input, tried on inputs that hypothesis makes up.

The same ones in every run (see conftest.py). To search for new ones:
`pytest tests/test_properties.py --hypothesis-profile search`.
"""

import json
import re
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
import torch
from films import color_film, pictures
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from vidcolor.chroma import matrices, opencv_yuv
from vidcolor.chroma.upsample import upsample
from vidcolor.cli.types import Timecode
from vidcolor.errors import MediaError, RecipeError
from vidcolor.media.probe import probe
from vidcolor.media.read import LumaFrame
from vidcolor.nogan.recipe import Recipe, read_recipe
from vidcolor.resume.manifest import (
    NAME,
    Checkpoint,
    FinishedPiece,
    Manifest,
    checkpoint_name,
    load_manifest,
    piece_name,
    save_manifest,
)
from vidcolor.resume.store import PieceSettings, in_pieces

TRAINING = Path(__file__).parents[1] / "training"
NO_PIXELS = np.zeros((0, 0), np.uint8)


# ---- Color


def tensor_of(pixels: np.ndarray) -> torch.Tensor:
    """(h, w, 3) -> (1, 3, h, w)."""
    return torch.from_numpy(pixels).movedim(2, 0)[None]


rgb8 = array_shapes(min_dims=2, max_dims=2, max_side=8).flatmap(
    lambda shape: arrays(np.uint8, (*shape, 3))
)
rgb = rgb8.map(lambda pixels: tensor_of(pixels).float() / 255)
chroma = st.tuples(st.floats(-0.5, 0.5, width=32), st.floats(-0.5, 0.5, width=32)).map(
    lambda pair: torch.tensor(pair)[None, :, None, None]
)
matrix = st.sampled_from(list(matrices.RED_AND_BLUE))


@given(rgb)
def test_luma_and_chroma_give_the_picture_back(picture):
    luma, chroma = matrices.rgb_to_luma(picture), matrices.rgb_to_chroma(picture)
    assert chroma.abs().max() <= 0.5 + 1e-6
    torch.testing.assert_close(matrices.merge(luma, chroma), picture, atol=1e-5, rtol=0)


@given(rgb8)
def test_yuv_is_opencvs_to_the_bit(pixels):
    picture = tensor_of(pixels)
    luma, uv = opencv_yuv.half_up(opencv_yuv.luma(picture)), opencv_yuv.uv(picture)
    yuv = torch.cat([luma, uv + 128], dim=1)[0].movedim(0, 2).numpy()
    assert np.array_equal(yuv, cv2.cvtColor(pixels, cv2.COLOR_RGB2YUV))
    back = opencv_yuv.half_up(opencv_yuv.merge(luma, uv)).clamp(0, 255)
    want = cv2.cvtColor(yuv.astype(np.uint8), cv2.COLOR_YUV2RGB)
    assert np.array_equal(back[0].movedim(0, 2).numpy(), want)


@given(chroma, st.floats(-180, 180), st.floats(0.25, 1))
def test_a_hue_and_a_saturation_can_be_undone(chroma, degrees, saturation):
    assume(chroma.square().sum() < 0.25)  # a turn takes none of it out of [-0.5, 0.5]
    there = matrices.trim(chroma, saturation, degrees)
    back = matrices.trim(there, 1 / saturation, -degrees)
    torch.testing.assert_close(back, chroma, atol=1e-5, rtol=0)


@given(chroma, matrix, st.booleans())
def test_codes_are_legal_and_half_a_level_off_at_most(chroma, target, full_range):
    expressed = matrices.between_matrices(chroma, target)
    codes = matrices.to_codes(expressed, full_range).int()
    scale, low, high = (255, 0, 255) if full_range else (224, 16, 240)
    assert codes.min() >= low and codes.max() <= high
    inside = expressed.clamp((low - 128) / scale, (high - 128) / scale)
    assert ((codes - 128) / scale - inside).abs().max() <= 0.5 / scale + 1e-6


@given(matrix)
def test_gray_is_the_middle_code_in_every_matrix(target):
    gray = matrices.between_matrices(torch.zeros(1, 2, 1, 1), target)
    for full_range in (False, True):
        assert matrices.to_codes(gray, full_range).flatten().tolist() == [128, 128]


@given(
    arrays(np.float32, (1, 2, 5, 7), elements=st.floats(-0.5, 0.5, width=32)),
    array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=24).flatmap(
        lambda shape: arrays(np.uint8, (1, 1, *shape))
    ),
)
def test_enlarged_chroma_has_the_guides_size_and_no_color_of_its_own(small, guide):
    large = upsample(torch.from_numpy(small), torch.from_numpy(guide))
    assert large.shape == (1, 2, *guide.shape[2:])
    for channel in range(2):
        values = large[0, channel]
        assert values.min() >= small[0, channel].min() - 1e-5
        assert values.max() <= small[0, channel].max() + 1e-5


# ---- Pieces of a film


@st.composite
def a_films_frames(draw) -> list[LumaFrame]:
    """Frames at any distance, a few of them out of order, with any cut scores."""
    steps = draw(st.lists(st.integers(-3, 40), min_size=1, max_size=80))
    scores = draw(st.lists(st.sampled_from([0.0, 9.9, 10.0, 60.0]), min_size=80, max_size=80))
    stamps = np.cumsum(steps).tolist()
    return [LumaFrame(pts, NO_PIXELS, score) for pts, score in zip(stamps, scores, strict=False)]


piece_settings = st.builds(PieceSettings, seconds=st.floats(0.1, 100))


@given(a_films_frames(), piece_settings, st.integers(0, 5))
def test_pieces_are_in_order_and_hold_every_frame_once(frames, settings, first):
    numbered = list(in_pieces(iter(frames), Fraction(1, 10), settings, first))
    assert [frame for _, frame in numbered] == frames
    numbers = [number for number, _ in numbered]
    assert numbers[0] == first
    assert all(later - sooner in (0, 1) for sooner, later in pairwise(numbers))


@given(a_films_frames(), piece_settings, st.data())
def test_a_run_that_goes_on_finds_the_same_boundaries(frames, settings, data):
    numbers = [n for n, _ in in_pieces(iter(frames), Fraction(1, 10), settings, 0)]
    piece = data.draw(st.sampled_from(sorted(set(numbers))))
    begin = numbers.index(piece)
    again = [n for n, _ in in_pieces(iter(frames[begin:]), Fraction(1, 10), settings, piece)]
    assert again == numbers[begin:]


@given(a_films_frames(), piece_settings)
def test_what_a_kill_can_cost_is_bounded(frames, settings):
    """From a piece's first frame to its last is less than a piece may last."""
    numbered = list(in_pieces(iter(frames), Fraction(1, 10), settings, 0))
    for piece in {number for number, _ in numbered}:
        stamps = [frame.pts for number, frame in numbered if number == piece]
        assert (max(stamps) - stamps[0]) / 10 < settings.seconds


# ---- What a run writes down


count = st.integers(0, 2**63 - 1)
stamp = st.integers(-(2**63), 2**63 - 1)
tail = st.lists(st.tuples(stamp, count), max_size=3).map(tuple)
plain_values = st.none() | st.booleans() | st.integers() | st.text(max_size=12)
plain_tables = st.dictionaries(st.text(max_size=12), plain_values, max_size=3)
json_values = st.recursive(
    plain_values | st.floats(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


@st.composite
def a_manifest(draw) -> Manifest:
    numbers = {"size": count, "crc": count, "first_pts": stamp, "frames": count, "tail": tail}
    pieces = [
        draw(st.builds(FinishedPiece, name=st.just(piece_name(number)), **numbers))
        for number in range(draw(st.integers(0, 3)))
    ]
    numbers["latest_pts"] = stamp
    checkpoints = [
        draw(st.builds(Checkpoint, name=st.just(checkpoint_name(len(pieces), n)), **numbers))
        for n in range(draw(st.integers(0, 2)))
    ]
    return Manifest(
        source={**draw(plain_tables), "path": draw(st.text(max_size=12))},
        target=draw(st.sampled_from(["film.mp4", "Grüße.mkv", "a b", "%d"])),
        settings=draw(plain_tables),
        total=draw(st.none() | count),
        seekable=draw(st.booleans()),
        complete=draw(st.booleans()),
        result=draw(st.none() | st.lists(count, min_size=2, max_size=2)),
        pieces=pieces,
        checkpoints=checkpoints,
    )


def save(manifest: Manifest, folder: Path) -> Path:
    scratch = folder / "scratch"
    scratch.mkdir()
    save_manifest(manifest, folder, scratch)
    return folder / NAME


@given(manifest=a_manifest())
def test_a_manifest_is_read_as_it_was_written(manifest, tmp_path_factory):
    folder = tmp_path_factory.mktemp("work")
    save(manifest, folder)
    assert load_manifest(folder) == manifest


def keys_of(value: Any) -> list[Any]:
    """Of a table or a list; none of anything else."""
    if isinstance(value, dict):
        return list(value)
    return list(range(len(value))) if isinstance(value, list) else []


@given(manifest=a_manifest(), data=st.data())
def test_a_damaged_manifest_is_none_or_one_that_could_have_been_written(
    manifest, data, tmp_path_factory
):
    file = save(manifest, tmp_path_factory.mktemp("work"))
    content = json.loads(file.read_text("utf-8"))
    place = content
    while True:
        key = data.draw(st.sampled_from(keys_of(place)))
        if not keys_of(place[key]) or data.draw(st.booleans()):
            break
        place = place[key]
    if data.draw(st.booleans()):
        place[key] = data.draw(json_values)
    else:
        del place[key]
    file.write_text(json.dumps(content), "utf-8")
    read = load_manifest(file.parent)
    if read is not None:
        again = tmp_path_factory.mktemp("again")
        save(read, again)
        assert load_manifest(again) == read


# ---- Recipes


toml_values = st.sampled_from(
    [
        *("nan", "inf", "-inf", "-1", "0", "1e400", "99999999999999999999", "0.5", "true", '""'),
        *('"lite"', "[]", "[1]", '["a"]', "[[1e-3]]", "{}", "{ a = 1 }", "1979-05-27", "x", ""),
    ]
)


@st.composite
def a_broken_recipe(draw) -> str:
    """One of ours with a few lines changed, doubled or left out."""
    recipe = draw(st.sampled_from(sorted(TRAINING.glob("*.toml"))))
    lines = recipe.read_text("utf-8").splitlines()
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, len(lines) - 1))
        key, equals, _ = lines[place].partition("=")
        how = draw(st.sampled_from(["change", "leave out", "double", "rename"]))
        if how == "change" and equals:
            lines[place] = f"{key}= {draw(toml_values)}"
        elif how == "leave out":
            del lines[place]
        elif how == "double":
            lines.insert(place, lines[place])
        elif equals:
            lines[place] = f"un{lines[place]}"
    return "\n".join(lines)


@given(content=a_broken_recipe())
@settings(max_examples=150)
def test_a_broken_recipe_is_refused_in_one_line_or_in_range(content, tmp_path_factory):
    path = tmp_path_factory.mktemp("recipe") / "mine.toml"
    path.write_text(content, "utf-8")
    try:
        recipe = read_recipe(path)
    except RecipeError as error:
        assert str(path) in str(error)
        assert "\n" not in str(error)
    else:
        assert isinstance(recipe, Recipe)
        for stage in recipe.pretrain:
            assert stage.size % 32 == 0 and 64 <= stage.size <= 512
            assert stage.batch >= 1 and all(0 <= rate <= 1 for rate in stage.rates)


# ---- Files that are no films


OPENINGS = (
    *("#EXTM3U\n", "ffconcat version 1.0\n", "[Reference]\n", "v=0\n", "<?xml version='1.0'?>"),
    *("<MPD>", "<svg>", "<SMIL>", "[playlist]\n", "file '", "", "\ufeff#EXTM3U\n", " \n#EXTM3U\n"),
)
SECRET = "/etc/passwd"


@given(
    opening=st.sampled_from(OPENINGS),
    lines=st.lists(
        st.sampled_from(
            [
                *(SECRET, f"file '{SECRET}'", f"Ref1={SECRET}", f"<BaseURL>{SECRET}</BaseURL>"),
                *("#EXTINF:1,", "#EXT-X-ENDLIST", "http://127.0.0.1:9/film.ts", "c=IN IP4 0.0.0.0"),
                *("concat:a|b", "subfile,,start,0,end,1,,:a", "data:,a", "%03d.png", "pipe:0"),
            ]
        )
        | st.text(max_size=20),
        max_size=6,
    ),
    name=st.sampled_from(["film.mp4", "film.m3u8", "film.mkv", "film.txt", "%03d.png", "concat:a"]),
)
@example(opening="#EXTM3U\n", lines=["#EXTINF:1,", SECRET, "#EXT-X-ENDLIST"], name="film.mp4")
def test_a_list_is_no_film_whatever_it_is_called(opening, lines, name, tmp_path_factory):
    path = tmp_path_factory.mktemp("list") / name
    path.write_text(opening + "\n".join(lines), "utf-8", errors="surrogatepass")
    with pytest.raises(MediaError) as error:
        probe(path)
    assert "\n" not in str(error.value)
    assert "root:" not in str(error.value)


@given(
    content=st.binary(max_size=300), opening=st.sampled_from([b"", b"\0\0\0\x18ftypmp42", b"RIFF"])
)
def test_rubbish_is_no_film(content, opening, tmp_path_factory):
    path = tmp_path_factory.mktemp("rubbish") / "film.mp4"
    path.write_bytes(opening + content)
    with pytest.raises(MediaError) as error:
        probe(path)
    assert "\n" not in str(error.value)


# ---- Times


@given(st.integers(0, 99), st.integers(0, 59), st.integers(0, 59), st.integers(0, 999))
def test_a_time_can_be_written_in_three_ways(hours, minutes, seconds, thousandths):
    whole = 3600 * hours + 60 * minutes + seconds
    for text in (
        f"{hours}:{minutes:02d}:{seconds:02d}.{thousandths:03d}",
        f"{60 * hours + minutes}:{seconds:02d}.{thousandths:03d}",
        f"{whole}.{thousandths:03d}",
    ):
        assert Timecode().convert(text, None, None) == pytest.approx(whole + thousandths / 1000)


@given(st.text(max_size=12, alphabet="0123456789:.-eE +infa"))
def test_a_time_is_a_number_or_refused(text):
    try:
        seconds = Timecode().convert(text, None, None)
    except Exception as error:
        assert type(error).__name__ == "BadParameter"
    else:
        assert 0 <= seconds < float("inf")
        assert re.fullmatch(r"[\d:.]+", text)


def draw_film(path: Path, steps: list[int], time_base: Fraction) -> None:
    """A film whose frames are `steps` of `time_base` apart."""
    with av.open(str(path), "w") as film:
        video = film.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = 32, 32, "yuv420p"
        video.codec_context.time_base = video.time_base = time_base
        for number, pts in enumerate(np.cumsum([0, *steps]).tolist()):
            frame = av.VideoFrame.from_ndarray(np.full((48, 32), 9 * number, np.uint8), "yuv420p")
            frame.pts, frame.time_base = pts, time_base
            film.mux(video.encode(frame))
        film.mux(video.encode())


@given(
    steps=st.lists(st.integers(1, 5000), min_size=2, max_size=12),
    time_base=st.sampled_from([Fraction(1, 1000), Fraction(1, 90000), Fraction(1001, 24000)]),
    pieces=st.integers(1, 3),
)
@settings(max_examples=8)
def test_every_frame_keeps_its_time(steps, time_base, pieces, tmp_path_factory):
    assume(pieces <= len(steps))
    folder = tmp_path_factory.mktemp("film")
    source, target = folder / "film.mov", folder / "film.color.mov"
    draw_film(source, steps, time_base)
    color_film(source, target, pieces=pieces)
    before, after = pictures(source), pictures(target)
    assert len(before) == len(steps) + 1
    assert [picture.time for picture in after] == [picture.time for picture in before]
    for old, new in zip(before, after, strict=True):
        assert np.array_equal(old.planes[0], new.planes[0])
