"""The catalog, the places, and the `weights` command; downloads are in test_fetch.py."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from vidcolor.cli.weights import weights
from vidcolor.errors import WeightsError
from vidcolor.weights import places
from vidcolor.weights.catalog import MODELS, Model
from vidcolor.weights.places import download_folder, find
from vidcolor.weights.resolve import resolve

CONTENT = bytes(range(256)) * 40
PAGE = b"<html><head><title>Sign in</title></head></html>"


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty machine: a clone, a cache and no variable."""
    monkeypatch.delenv("VIDCOLOR_WEIGHTS", raising=False)
    monkeypatch.setattr(places, "PACKAGE", tmp_path / "clone" / "vidcolor")
    monkeypatch.setattr(places, "cache_folder", lambda: tmp_path / "cache")
    return tmp_path


@pytest.fixture
def video(monkeypatch: pytest.MonkeyPatch) -> Model:
    """A small model in the place of `video`."""
    small = replace(MODELS["video"], size=len(CONTENT), sha256=sha256(CONTENT).hexdigest())
    monkeypatch.setitem(MODELS, "video", small)
    return small


def put(folder: Path, model: Model, content: bytes = CONTENT) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / model.file
    path.write_bytes(content)
    return path


def run(*arguments: str) -> Result:
    result = CliRunner().invoke(weights, arguments)
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result


def test_every_published_model_can_be_fetched_and_checked() -> None:
    for model in MODELS.values():
        if model.name == "lite":
            continue
        assert model.size is not None and model.size > 100_000_000
        assert re.fullmatch("[0-9a-f]{64}", model.sha256 or "")
        assert len(model.mirrors) > 1
        assert all(url.startswith("https://") and model.file in url for url in model.mirrors)
        assert re.search("/resolve/[0-9a-f]{40}/", model.mirrors[0]), "a pinned revision first"


def test_model_cards_say_what_the_catalog_says() -> None:
    cards = (Path(__file__).parents[1] / "weights" / "README.md").read_text(encoding="utf-8")
    for model in MODELS.values():
        assert model.file in cards
        assert model.sha256 is None or model.sha256 in cards
        assert model.size is None or f"{model.size:,} bytes" in cards
        assert all(f"<{url}>" in cards for url in model.mirrors)


def test_the_user_s_folders_come_first(
    machine: Path, video: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIDCOLOR_WEIGHTS", str(machine / "variable"))
    assert find(video, machine / "option") is None
    for folder in ("cache", "clone/weights", "variable", "option"):
        path = put(machine / folder, video)
        assert find(video, machine / "option") == path


def test_wheel_carries_its_own_folder(machine: Path, video: Model) -> None:
    put(machine / "clone" / "weights", video)
    inside = put(machine / "clone" / "vidcolor" / "_data" / "weights", video)
    assert find(video) == inside


def test_lite_is_found_where_it_is_carried_and_never_downloaded(machine: Path) -> None:
    with pytest.raises(WeightsError, match="install it again"):
        resolve("lite")
    path = put(machine / "clone" / "weights", MODELS["lite"])
    assert resolve("lite") == path


@pytest.mark.parametrize(
    ("content", "wrong"),
    [
        (PAGE, "web page"),
        (CONTENT[:5000], "cut off: it has 5,000 of 10,240 bytes"),
        (CONTENT + b"more", "another file"),
        (b"", "is empty"),
    ],
    ids=["html", "truncated", "longer", "empty"],
)
def test_damaged_file_says_what_is_wrong_and_how_to_mend_it(
    machine: Path, video: Model, content: bytes, wrong: str
) -> None:
    path = put(machine / "cache", video, content)
    with pytest.raises(WeightsError, match=wrong) as caught:
        resolve("video")
    assert str(path) in str(caught.value)
    assert "delete it and run `vidcolor weights pull video`" in str(caught.value)


def test_page_in_the_place_of_lite(machine: Path) -> None:
    put(machine / "clone" / "weights", MODELS["lite"], PAGE)
    with pytest.raises(WeightsError, match=r"web page.*install vidcolor again"):
        resolve("lite")


def test_safetensors_whose_header_length_looks_like_a_bracket(machine: Path) -> None:
    """The first byte is the header's length: 60 is the "<" that web pages begin with."""
    content = (60).to_bytes(8, "little") + b'{"a": 1}'.ljust(60)
    path = put(machine / "clone" / "weights", MODELS["lite"], content)
    assert resolve("lite") == path


def test_path_of_a_file_is_taken_as_it_is(machine: Path) -> None:
    path = machine / "my own.pth"
    path.write_bytes(b"anything")
    assert resolve(str(path)) == path


def test_unknown_model_lists_the_known_ones() -> None:
    with pytest.raises(WeightsError, match=r"'vidoe'.*lite, video, stable, artistic.*path"):
        resolve("vidoe")


def test_downloads_go_to_the_first_folder_that_can_be_written(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert download_folder() == machine / "cache"
    monkeypatch.setenv("VIDCOLOR_WEIGHTS", str(machine / "variable"))
    assert download_folder() == machine / "variable"
    assert download_folder(machine / "option" / "deep") == machine / "option" / "deep"
    (machine / "file").touch()
    assert download_folder(machine / "file" / "option") == machine / "variable"
    assert not (machine / "variable").exists(), "asking makes no folders"


def test_no_folder_can_be_written(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (machine / "file").touch()
    monkeypatch.setattr(places, "cache_folder", lambda: machine / "file" / "cache")
    with pytest.raises(WeightsError, match="--weights-dir"):
        download_folder()


def test_list(machine: Path, video: Model) -> None:
    put(machine / "cache", video)
    put(machine / "cache", MODELS["artistic"], PAGE)
    rows = {line.split()[0]: line for line in run("list").output.splitlines() if line.split()}
    assert "yes" in rows["video"]
    assert "damaged" in rows["artistic"]
    assert " no " in rows["stable"]
    assert "874 MB" in rows["stable"]
    assert "MIT" in rows["stable"]


def test_list_for_programs(machine: Path, video: Model) -> None:
    path = put(machine / "cache", video)
    entries = {entry["name"]: entry for entry in json.loads(run("list", "--json").output)}
    assert entries["video"]["path"] == str(path)
    assert entries["video"]["sha256"] == video.sha256
    assert entries["stable"]["path"] is None


def test_verify_finds_flipped_bits(machine: Path, video: Model) -> None:
    good = put(machine / "cache", video)
    other = machine / "cache" / "own.safetensors"
    other.write_bytes(b"mine")
    result = run("verify")
    assert result.exit_code == 0
    assert f"ok       {good}" in result.output
    assert f"unknown  {other}" in result.output

    flipped = put(machine / "option", video, CONTENT[:-1] + b"\0")
    result = run("verify", "--weights-dir", str(machine / "option"))
    assert result.exit_code == 1
    assert f"damaged  {flipped}" in result.output
    assert "pull video" in result.output
    assert f"ok       {good}" in result.output


def test_path_is_one_plain_line(machine: Path, video: Model) -> None:
    assert run("path").output == f"{machine / 'cache'}\n"
    assert run("path", "video").output == f"{machine / 'cache' / video.file}\n"
    assert run("path", "lite").output == f"{machine / 'clone/weights/lite.safetensors'}\n"
    path = put(machine / "option", video)
    assert run("path", "video", "--weights-dir", str(machine / "option")).output == f"{path}\n"


def test_command_needs_no_torch() -> None:
    code = "import sys, vidcolor.cli.weights; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_a_name_too_long_for_a_file_is_no_model():
    with pytest.raises(WeightsError, match="there is no model or file"):
        resolve("a" * 5000)
