"""Photos that are decoded once and kept in files."""

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from contextlib import suppress

import numpy as np
import pytest
from PIL import Image

from vidcolor.errors import RecipeError
from vidcolor.nogan import photo_cache
from vidcolor.nogan.photo_cache import open_cache
from vidcolor.nogan.photos import Batches, load_photos


@pytest.fixture
def folder(tmp_path):
    """Six colorful photos of two sizes, a gray one, a small one and a broken one."""
    folder = tmp_path / "photos"
    (folder / "more").mkdir(parents=True)
    random = np.random.default_rng(0)
    for number in range(6):
        pixels = random.integers(0, 256, (6, 8, 3), dtype=np.uint8)
        size = (96, 72) if number % 2 else (80, 90)
        Image.fromarray(pixels).resize(size).save(folder / f"{number}.png")
    shutil.move(folder / "5.png", folder / "more" / "5.png")
    Image.open(folder / "0.png").resize((8, 6)).save(folder / "2b.png")
    Image.linear_gradient("L").resize((96, 72)).save(folder / "3b.jpg")
    (folder / "9.jpg").write_bytes(b"\xff\xd8 no photo")
    return folder


def packed(folder, kind, path):
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    if kind == "folder":
        return folder
    if kind == "tar":
        with tarfile.open(path, "w") as archive:
            for file in files:
                archive.add(file, file.relative_to(folder))
        return path
    compression = zipfile.ZIP_DEFLATED if kind == "deflated zip" else zipfile.ZIP_STORED
    with zipfile.ZipFile(path, "w", compression) as archive:
        for file in files:
            archive.write(file, file.relative_to(folder))
    return path


@pytest.mark.parametrize("kind", ["folder", "tar", "zip", "deflated zip"])
def test_it_gives_the_photos_that_can_be_used(folder, kind, tmp_path):
    place = packed(folder, kind, tmp_path / "photos.archive")
    plain = load_photos([place], smallest=32)
    cached = open_cache([place], tmp_path / "cache", smallest=32)
    assert len(cached) == 9  # nothing was looked at yet
    found = {cached[number].tobytes() for number in range(len(cached))}
    assert found == {picture.tobytes() for picture in plain}
    assert (cached.gray, cached.broken, cached.small) == (1, 1, 1)


def test_an_unusable_photo_is_replaced_by_the_next(folder, tmp_path):
    cached = open_cache([folder], tmp_path / "cache", smallest=32)
    gray = 5  # 0, 1, 2, 2b, 3, 3b
    assert np.array_equal(cached[gray], cached[gray + 1])


def test_nothing_is_decoded_twice(folder, tmp_path, monkeypatch):
    first = open_cache([folder], tmp_path / "cache", smallest=32)
    pictures = list(first)

    def decode(data, longest):
        raise AssertionError("decoded again")

    monkeypatch.setattr(photo_cache, "decode", decode)
    again = open_cache([folder], tmp_path / "cache", smallest=32)
    assert all(np.array_equal(a, b) for a, b in zip(pictures, again, strict=True))


def test_batches_come_from_it_as_from_memory(folder, tmp_path):
    for name in ("2b.png", "3b.jpg", "9.jpg"):
        (folder / name).unlink()
    settings = {"size": 32, "batch": 4, "zoom": 1.5, "seed": 1, "name": "x"}
    ours = Batches(open_cache([folder], tmp_path / "cache", smallest=32), **settings)
    theirs = Batches(load_photos([folder], smallest=32), **settings)
    assert np.array_equal(ours.share(0, 0, 1), theirs.share(0, 0, 1))


def test_other_photos_need_another_cache(folder, tmp_path):
    open_cache([folder], tmp_path / "cache", smallest=32)
    with pytest.raises(RecipeError, match="cache of other photos or sizes"):
        open_cache([folder], tmp_path / "cache", smallest=64)
    os.utime(folder, ns=(1, 1))
    with pytest.raises(RecipeError, match="delete it"):
        open_cache([folder], tmp_path / "cache", smallest=32)


def test_a_set_without_usable_photos_says_so(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_bytes(b"no photo")
    cached = open_cache([tmp_path / "photos"], tmp_path / "cache", smallest=32)
    with pytest.raises(RecipeError, match="none of the photos can be used"):
        cached[0]


def test_the_two_halves_of_a_split_share_nothing(folder, tmp_path):
    training, validation = open_cache([folder], tmp_path / "cache", smallest=32).split(0.5, seed=1)
    assert len(training) + len(validation) == 9
    seen = {picture.tobytes() for picture in training}
    assert not seen & {picture.tobytes() for picture in validation}


FILL = """
import sys
from pathlib import Path
from vidcolor.nogan.photo_cache import open_cache
photos = open_cache([Path(sys.argv[1])], Path(sys.argv[2]), smallest=32)
print(sum(int(picture.astype(int).sum()) for picture in photos))
"""


def test_several_processes_may_fill_it_at_once(folder, tmp_path):
    command = [sys.executable, "-c", FILL, str(folder), str(tmp_path / "cache")]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    sums = {process.communicate()[0] for process in running}
    assert len(sums) == 1 and not any(process.returncode for process in running)
    cached = open_cache([folder], tmp_path / "cache", smallest=32)
    assert f"{sum(int(picture.astype(int).sum()) for picture in cached)}\n" in sums


def test_half_a_record_of_a_killed_process_does_no_harm(folder, tmp_path):
    first = open_cache([folder], tmp_path / "cache", smallest=32)
    picture = first[0]
    os.close(first.cache.target)
    with (tmp_path / "cache" / "pixels-0.bin").open("ab") as file:
        file.write(b"half")
    again = open_cache([folder], tmp_path / "cache", smallest=32)
    pictures = list(again)
    assert np.array_equal(pictures[0], picture)
    fresh = open_cache([folder], tmp_path / "other", smallest=32)
    assert all(np.array_equal(a, b) for a, b in zip(pictures, fresh, strict=True))


@pytest.mark.parametrize("name", ["places.json", "catalog.npy", "index.npy"])
@pytest.mark.parametrize("content", [b"", b"\xff\0 no array", b"half"])
def test_a_damaged_cache_is_said_to_be_one(folder, name, content, tmp_path):
    os.close(open_cache([folder], tmp_path / "cache", smallest=32).cache.target)
    file = tmp_path / "cache" / name
    file.write_bytes(file.read_bytes()[:60] if content == b"half" else content)
    with pytest.raises(RecipeError, match="damaged; delete it"):
        open_cache([folder], tmp_path / "cache", smallest=32)


def test_pixels_that_never_reached_the_disk_are_decoded_again(folder, tmp_path):
    first = open_cache([folder], tmp_path / "cache", smallest=32)
    pictures = list(first)
    os.close(first.cache.target)
    pixels = tmp_path / "cache" / "pixels-0.bin"
    size = pixels.stat().st_size
    for kept, length in ((size // 2, size // 2), (0, 0), (0, size)):
        os.truncate(pixels, kept)
        os.truncate(pixels, length)  # with zeros, as file systems leave them
        again = open_cache([folder], tmp_path / "cache", smallest=32)
        assert all(np.array_equal(a, b) for a, b in zip(pictures, again, strict=True))
        os.close(again.cache.target)


@pytest.mark.parametrize("name", ["lock", "pixels-0.bin", "places.json", "index.npy", "names.bin"])
def test_links_in_a_cache_are_not_followed(folder, name, tmp_path):
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / name).symlink_to(victim)
    with suppress(RecipeError):
        list(open_cache([folder], tmp_path / "cache", smallest=32))
    assert victim.read_bytes() == b"precious"


def test_a_file_in_the_place_of_a_cache(folder, tmp_path):
    (tmp_path / "cache").write_bytes(b"a file")
    with pytest.raises(RecipeError, match="give another --cache"):
        open_cache([folder], tmp_path / "cache", smallest=32)


def test_a_zip_entry_that_lies_beyond_the_end_counts_as_broken(folder, tmp_path):
    place = packed(folder, "zip", tmp_path / "photos.zip")
    content = bytearray(place.read_bytes())
    offset = content.index(b"PK\x01\x02") + 42
    content[offset : offset + 4] = (len(content) - 3).to_bytes(4, "little")
    place.write_bytes(content)
    cached = open_cache([place], tmp_path / "cache", smallest=32)
    assert len(list(cached)) == 9
    assert cached.broken == 2
