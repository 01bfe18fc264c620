"""What a person says about scenes: found, written, read strictly, done to those frames alone."""

import json
import shutil
import tomllib
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from conftest import run_ffmpeg
from PIL import Image
from test_resume import decoded

from vidcolor.cli import vidcolor as command
from vidcolor.control.color_words import chroma_of
from vidcolor.control.hue_map import HueMap, move_of
from vidcolor.control.scenes import load_scenes, scenes_text
from vidcolor.control.tint import Tint
from vidcolor.errors import VidcolorError
from vidcolor.media.scan import Shot

QUICK = ("--render-factor", "4", "--device", "cpu", "--preset", "ultrafast")
FIRSTS = (0, 20, 50)
"""Frames at which the scenes of `film` begin; it has 70."""


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    run_ffmpeg(
        *("-f", "lavfi", "-i", "testsrc2=size=64x48:rate=10:duration=7"),
        *("-vf", f"negate=enable='between(n,{FIRSTS[1]},{FIRSTS[2] - 1})',hue=s=0"),
        *("-c:v", "libx264", "-preset", "veryfast", "-bf", "2", "-pix_fmt", "yuv420p", path),
    )
    return path


@pytest.fixture
def film(drawn, tmp_path):
    """A copy in a folder of its own."""
    return Path(shutil.copy(drawn, tmp_path))


def call(*words: object, status: int = 0) -> Result:
    result = CliRunner().invoke(command, [str(word) for word in words])
    assert result.exit_code == status, result.output
    return result


def write(film: Path, *scenes: str) -> Path:
    """A file of scenes beside the film."""
    path = film.with_name("film.scenes.toml")
    path.write_text("".join(f"[[scene]]\n{scene}\n" for scene in scenes))
    return path


def chroma(path: Path) -> list[np.ndarray]:
    """Cb and Cr of every frame."""
    with av.open(str(path)) as container:
        frames = [frame.to_ndarray() for frame in container.decode(video=0)]
    return [frame[48:] for frame in frames]


def test_scenes_are_written_with_their_frames_stills_and_a_sheet(film):
    call("scenes", film)
    path = film.with_name("film.scenes.toml")
    scenes = tomllib.loads(path.read_text())["scene"]
    assert [(scene["first"], scene["last"]) for scene in scenes] == [(0, 19), (20, 49), (50, 69)]
    assert [scene["time"] for scene in scenes] == [
        *("0:00:00.0 to 0:00:02.0", "0:00:02.0 to 0:00:05.0", "0:00:05.0 to the end")
    ]
    means = [np.asarray(Image.open(film.parent / scene["still"])).mean() for scene in scenes]
    assert means[0] < means[1] > means[2], "the scene in the middle is bright"
    sheet = Image.open(film.with_name("film.scenes.png"))
    assert sheet.width > 3 * 240
    assert [scene.first for scene in load_scenes(path)] == list(FIRSTS)
    said = call("scenes", film, status=1).stderr
    assert "exists already, perhaps with your settings; add --overwrite" in said
    call("scenes", film, "--overwrite")


def test_a_setting_concerns_its_scene_alone(film):
    plain, changed = film.with_name("plain.mp4"), film.with_name("changed.mp4")
    nothing = write(film, "first = 20\nlast = 49")
    call(film, "--scenes", nothing, "-o", plain, *QUICK)
    call(
        *(film, "--scenes", write(film, "first = 20\nlast = 49\nsaturation = 0"), "-o", changed),
        *QUICK,
    )
    before, after = decoded(plain, "0:v"), decoded(changed, "0:v")
    differ = [
        number for number, pair in enumerate(zip(before, after, strict=True)) if len({*pair}) > 1
    ]
    assert differ == list(range(20, 50))
    luma = ("-vf", "extractplanes=y")
    assert decoded(plain, "0:v", *luma) == decoded(changed, "0:v", *luma)
    assert all(abs(frame.astype(int) - 128).max() <= 1 for frame in chroma(changed)[20:50])


@pytest.mark.parametrize(
    "setting",
    [
        *('model = "lite"\nrender_factor = 6', "hue = 90", 'smooth = "off"', 'edges = "bilinear"'),
        *("tint = { temperature = 80 }", 'map = ["orange -> blue", "blue -> red"]'),
    ],
)
@pytest.mark.slow
def test_every_setting_changes_its_scene(film, setting):
    plain, changed = film.with_name("plain.mp4"), film.with_name("changed.mp4")
    call(film, "-o", plain, "--keep", *QUICK)
    path = write(film, f"first = 20\nlast = 49\n{setting}")
    call(film, "--scenes", path, "-o", changed, *QUICK)
    before, after = decoded(plain, "0:v"), decoded(changed, "0:v")
    assert before[:20] + before[50:] == after[:20] + after[50:]
    assert before[20:50] != after[20:50]


WRONG = [
    ("first = 0\nlast = 5\nsaturatoin = 1", "unknown key 'saturatoin'; did you mean 'saturation'?"),
    ("first = 0\nlast = 5\nfoo = 1", "unknown key 'foo'; use one of first, last, model"),
    ("last = 5", "scene 1 has no `first`; give the number of its first frame"),
    ("first = 9\nlast = 5", "ends at frame 5, before its first frame, 9"),
    ("first = -1\nlast = 5", "there is no frame -1; frames count from 0"),
    ('first = "0"\nlast = 5', "first: '0' is no whole number"),
    ("first = 0\nlast = 5\nhue = 'x'", "hue: 'x' is no number"),
    ("first = 0\nlast = 5\nsaturation = -1", "saturation -1.0 is out of range; use 0 or more"),
    ("first = 0\nlast = 5\nrender_factor = 2", "render factor 2 is out of range; use 4 to 64"),
    ("first = 0\nlast = 5\nsmooth = 'much'", "use one of off, normal, strong"),
    ("first = 0\nlast = 5\nmodel = 'vidoe'", "there is no model or file called 'vidoe'"),
    ("first = 0\nlast = 5\ntint = 3", "tint: write it as { temperature = 20, magenta = -10 }"),
    ("first = 0\nlast = 5\ntint = { temperature = 200 }", "out of range; use -100 to 100"),
    ("first = 0\nlast = 5\ntint = { warmth = 2 }", "unknown key 'warmth'"),
    ("first = 0\nlast = 5\nmap = 'blue -> brown'", "map: write it as a list"),
    ("first = 0\nlast = 5\nmap = ['blue']", "'blue' is no move of a color"),
    ("first = 0\nlast = 5\nmap = ['blue -> bluu']", "'bluu' is no color; write #rrggbb, or one of"),
    ("first = 0\nlast = 5\nmap = ['#12345 -> red']", "'#12345' is no color"),
    ("first = 0\nlast = 5\nmap = ['#808080 -> red']", "starts from a gray, which has no hue"),
    ("first = 0\nlast = 70", "ends after the film, whose last frame is 69"),
    ("first = 0\nlast = 5\n[[scene]]\nfirst = 5\nlast = 9", "overlaps the one with frames 0 to 5"),
    ("first = 0\nlast = 5\n[scenes]", "unknown key 'scenes'; did you mean 'scene'?"),
    ("first = 0 last = 5", "is no TOML"),
]


@pytest.mark.parametrize(("scene", "said"), WRONG, ids=[said for _, said in WRONG])
def test_what_cannot_be_carried_out_is_refused_in_one_line(film, scene, said):
    result = call(film, "--scenes", write(film, scene), *QUICK, status=1)
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("Error")]
    assert said in line
    assert str(film.with_name("film.scenes.toml")) in line
    assert not film.with_name("film.color.mp4").exists()


def test_scenes_are_for_one_film_and_a_file_that_is_there(film):
    other = Path(shutil.copy(film, film.with_name("other.mp4")))
    path = write(film, "first = 0\nlast = 5")
    assert "for one film" in call(film, other, "--scenes", path, status=2).stderr
    assert "no such file" in call(film, "--scenes", "gone.toml", status=2).stderr
    said = call(film, "--keep", "--end", "1", status=2).stderr
    assert "--keep is for whole films" in said
    said = call(film, "--keep", "--piece-seconds", "5", status=2).stderr
    assert "--piece-seconds has no effect where every scene is a piece" in said


def test_a_file_of_scenes_from_another_editor(film):
    path = film.with_name("film.scenes.toml")
    path.write_bytes(b"\xef\xbb\xbf[[scene]]\r\nfirst = 3\r\nlast = 9\r\n")
    assert [(scene.first, scene.last) for scene in load_scenes(path)] == [(3, 9)]
    path.write_text("scene = " + 100_000 * "[")
    with pytest.raises(VidcolorError, match="too deep in each other"):
        load_scenes(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(VidcolorError, match="is no TOML"):
        load_scenes(path)


def test_the_same_command_colors_only_what_was_changed(film):
    target, scratch = film.with_name("film.color.mp4"), film.with_name("scratch.mp4")
    path = write(film, "first = 0\nlast = 19", "first = 20\nlast = 49")
    words = (film, "--scenes", path, *QUICK)
    call(*words, "--keep")
    state = json.loads(call("status", film, "--json").stdout)[0]
    assert (state["state"], state["would"]) == ("done", "nothing has changed")
    write(film, "first = 0\nlast = 19", "first = 20\nlast = 49\nhue = 30")
    said = call("status", film).stdout
    assert "30 frames would be colored again: 20 to 49" in said
    summary = json.loads(call(*words, "--keep", "--json").stdout)[0]
    assert (summary["frames"], summary["kept"]) == (70, 40)
    call(*words, "-o", scratch)
    assert decoded(target) == decoded(scratch)
    write(film, "first = 0\nlast = 19\nsize = 3")
    assert "would be refused" in call("status", film).stdout


def test_moving_a_border_colors_only_the_scenes_beside_it(film):
    path = write(film, "first = 0\nlast = 19", "first = 20\nlast = 49")
    words = (film, "--scenes", path, "--keep", "--json", *QUICK)
    call(*words)
    write(film, "first = 0\nlast = 9", "first = 10\nlast = 19", "first = 20\nlast = 49")
    summary = json.loads(call(*words).stdout)[0]
    assert (summary["frames"], summary["kept"]) == (70, 50)


def test_a_part_of_a_film_with_scenes(film):
    target = film.with_name("part.mp4")
    path = write(film, "first = 20\nlast = 49\nsaturation = 0")
    call(film, "--scenes", path, "-o", target, "--start", "1.5", "--end", "3", *QUICK)
    frames = chroma(target)
    assert len(frames) == 15
    colorful = [bool(abs(frame.astype(int) - 128).max() > 1) for frame in frames]
    assert colorful == [True] * 5 + [False] * 10
    assert not list(film.parent.glob(".vidcolor-*"))


def test_stills_have_the_numbers_of_their_frames_and_are_never_lost(film):
    folder = film.with_name("refs")
    call("stills", film, "-o", folder, "--device", "cpu", "-r", "4")
    names = [f"ref_{number:06d}.png" for number in (10, 35, 60)]
    assert sorted(path.name for path in folder.iterdir()) == names
    still = Image.open(folder / names[0])
    assert (still.size, still.mode) == ((64, 48), "RGB")
    (folder / names[1]).write_bytes(b"painted")
    said = call("stills", film, "-o", folder, "--device", "cpu", "--every", "3.5", "-r", "4").stderr
    assert "1 still left as they are" in said
    assert (folder / names[1]).read_bytes() == b"painted"
    assert (folder / "ref_000000.png").exists()
    said = call("stills", film, "-o", folder, "--at", "9", status=1).stderr
    assert "has no frame at or after 9 s" in said


def test_a_still_has_the_colors_of_the_film(film):
    folder, target = film.with_name("refs"), film.with_name("film.color.mkv")
    path = write(film, "first = 20\nlast = 49\nmap = ['orange -> green']")
    render = ("--scenes", path, "--device", "cpu", "-r", "4")
    call("stills", film, "-o", folder, *render)
    call(film, "-o", target, *render, "--smooth", "off", "--codec", "ffv1")
    with av.open(str(target)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    still = np.asarray(Image.open(folder / "ref_000035.png")).astype(int)
    assert abs(still - frames[35]).mean() < 3


def planes(*colors: tuple[float, float]) -> torch.Tensor:
    """One pixel for each (Cb, Cr): (1, 2, 1, n)."""
    return torch.tensor(colors).T[None, :, None]


def test_a_hue_is_moved_and_others_are_not():
    blue, brown, red, green = (chroma_of(word) for word in ("blue", "brown", "red", "green"))
    pale = (blue[0] / 3, blue[1] / 3)
    moved = HueMap((move_of("blue -> brown"),)).adjust(
        planes(blue, pale, red, green, (0.0, 0.0)), torch.zeros(1, 1, 1, 5, dtype=torch.uint8)
    )
    wanted = planes(brown, (brown[0] / 3, brown[1] / 3), red, green, (0.0, 0.0))
    assert torch.allclose(moved, wanted, atol=1e-6)


def test_two_hues_are_exchanged():
    blue, red = chroma_of("blue"), chroma_of("red")
    swap = HueMap((move_of("blue -> red"), move_of("red -> blue")))
    moved = swap.adjust(planes(blue, red), torch.zeros(1, 1, 1, 2, dtype=torch.uint8))
    assert torch.allclose(moved, planes(red, blue), atol=1e-6)


def test_the_edges_of_a_moved_range_are_soft():
    angles = torch.linspace(-torch.pi, torch.pi, 3601)
    circle = 0.2 * torch.stack([angles.cos(), angles.sin()])[None, :, None]
    moved = HueMap((move_of("#4060a0 -> #705030"),)).adjust(
        circle, torch.zeros(1, 1, 1, 3601, dtype=torch.uint8)
    )
    steps = (moved[..., 1:] - moved[..., :-1]).norm(dim=1)
    assert float(steps.max()) < 0.002


def test_a_tint_warms_the_light_and_leaves_black_alone():
    luma = torch.tensor([[[[0, 128, 255]]]], dtype=torch.uint8)
    gray = torch.zeros(1, 2, 1, 3)
    blue, red = Tint(temperature=50).adjust(gray, luma)[0, :, 0]
    assert blue[0] == red[0] == 0
    assert blue[2] < blue[1] < 0 < red[1] < red[2]
    blue, red = Tint(magenta=-50).adjust(gray, luma)[0, :, 0]
    assert blue[2] < 0 and red[2] < 0, "green"
    with pytest.raises(VidcolorError, match="use -100 to 100"):
        Tint(temperature=float("nan"))


HOSTILE = {
    "lists in lists": "a = " + "[" * 100_000,
    "tables in tables": "[[scene]]\nfirst = 0\nlast = 1\ntint = " + "{a = " * 5000,
    "a frame of 5000 digits": "[[scene]]\nfirst = 0\nlast = 0x" + "f" * 5000,
    "a saturation of 4000 digits": "[[scene]]\nfirst = 0\nlast = 1\nsaturation = 1" + "0" * 4000,
    "the home of nobody": '[[scene]]\nfirst = 0\nlast = 1\nmodel = "~nobody-has-this/x"',
    "a long model": '[[scene]]\nfirst = 0\nlast = 1\nmodel = "' + "x" * 300 + '"',
    "a long key": "[[scene]]\nfirst = 0\nlast = 1\n" + "x" * 100_000 + " = 1",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_a_file_made_to_do_harm_is_refused_in_one_short_line(tmp_path, text):
    path = tmp_path / "film.scenes.toml"
    path.write_text(text)
    with pytest.raises(VidcolorError) as refusal:
        load_scenes(path)
    assert "\n" not in str(refusal.value)
    assert len(str(refusal.value)) < 1000


def test_the_file_of_a_film_with_an_odd_name_can_be_read(tmp_path):
    """Comments of TOML may hold no control characters; names of films may."""
    name = 'a\x7f"\n\t\udc80é.mp4'
    shots = [Shot(number=0, begin=0, first_frame=0, frames=1)]
    film = SimpleNamespace(path=Path(name), time_base=Fraction(1, 25), start=0.0)
    path = tmp_path / "film.scenes.toml"
    path.write_text(scenes_text(film, shots, [name], name), "utf-8")  # pyright: ignore
    assert [scene.words for scene in load_scenes(path)] == ["frames 0 to 0"]
