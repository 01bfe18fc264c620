"""Odd things among the photos: each counts as broken, and none ends or stops a training."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from PIL import Image

import vidcolor
from vidcolor.errors import RecipeError
from vidcolor.nogan.photos import load_photos


def counts(*places):
    photos = load_photos(places, smallest=32)
    return len(photos), photos.broken


@pytest.fixture
def folder(photo_folder, tmp_path):
    """One good photo."""
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "good.png").write_bytes((photo_folder / "0.png").read_bytes())
    return folder


def test_a_folder_with_the_name_of_a_photo_is_looked_into(folder):
    (folder / "dir.jpg").mkdir()
    (folder / "dir.jpg" / "good.png").write_bytes((folder / "good.png").read_bytes())
    assert counts(folder) == (2, 0)


def test_links_that_lead_nowhere_are_broken_photos(folder):
    (folder / "dangling.jpg").symlink_to(folder / "nothing.jpg")
    (folder / "looping.jpg").symlink_to(folder / "looping.jpg")
    (folder / "link.png").symlink_to(folder / "good.png")
    assert counts(folder) == (2, 2)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_named_pipe_is_a_broken_photo(folder):
    os.mkfifo(folder / "pipe.jpg")
    assert counts(folder) == (1, 1)
    with pytest.raises(RecipeError, match="neither a folder nor a zip or tar"):
        load_photos([folder / "pipe.jpg"], smallest=32)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="everything can be read here")
def test_a_photo_without_permission_is_broken(folder):
    (folder / "secret.jpg").write_bytes(b"")
    (folder / "secret.jpg").chmod(0)
    assert counts(folder) == (1, 1)


@pytest.mark.parametrize("damage", ["checksum", "encrypted", "method"])
def test_zip_entries_that_cannot_be_read_are_broken_photos(folder, damage):
    archive = folder.parent / "photos.zip"
    data = (folder / "good.png").read_bytes()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("good.png", data)
        file.writestr("odd.png", data)
    raw = bytearray(archive.read_bytes())
    local, central = raw.index(b"PK\3\4", 4), raw.index(b"PK\1\2", raw.index(b"PK\1\2") + 4)
    if damage == "checksum":
        raw[central + 16] ^= 1
        raw[local + 14] ^= 1
    for start, flags in ((local, 6), (central, 8)):
        if damage == "encrypted":
            raw[start + flags] |= 1
        elif damage == "method":
            raw[start + flags + 2] = 99
    archive.write_bytes(raw)
    assert counts(archive) == (1, 1)


@pytest.mark.parametrize("length", [0, 20, 200])
def test_photos_that_were_cut_off_are_broken(folder, length):
    Image.open(folder / "good.png").save(folder / "cut.webp", quality=90)
    (folder / "cut.webp").write_bytes((folder / "cut.webp").read_bytes()[:length])
    assert counts(folder) == (1, 1)


LOOKED = """
import sys
from pathlib import Path
from torch import distributed
from vidcolor.nogan import photos
from vidcolor.nogan.distributed import join_processes

context = join_processes("cpu", "fp32")
real, looked = photos.decode, []
photos.decode = lambda data, longest: looked.append(1) or real(data, longest)
found = photos.load_photos([Path(sys.argv[1])], smallest=32, context=context)
at_start = len(looked)
list(found)
list(found)
print(context.rank, at_start, len(looked), found.gray, found.broken, found.small,
      found.fingerprint(), flush=True)
context.wait()
distributed.destroy_process_group()
"""


@pytest.mark.slow
def test_one_process_looks_at_the_photos_for_all(photo_folder, tmp_path):
    """The others decode what they draw, once each."""
    script = tmp_path / "looked.py"
    script.write_text(LOOKED)
    pair = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    done = subprocess.run(
        [*pair, str(script), str(photo_folder)],
        env=os.environ | {"PYTHONPATH": str(Path(vidcolor.__file__).parents[1])},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    first, second = (line.split() for line in sorted(done.stdout.splitlines()))
    assert (first[1], second[1]) == ("13", "0")  # ten good ones, a gray, a small and a broken one
    assert (first[2], second[2]) == ("13", "10")
    assert first[3:] == second[3:] and first[3:6] == ["1", "1", "1"]
