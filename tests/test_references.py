"""References, hints and palettes: carried to where things go, or refused in one line."""

import shutil
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import tiny
import torch
from click.testing import CliRunner, Result
from conftest import run_ffmpeg
from numpy.typing import NDArray
from PIL import Image
from test_resume import decoded

from vidcolor.chroma import matrices
from vidcolor.cli import vidcolor as command
from vidcolor.control import corrections
from vidcolor.control.align import align
from vidcolor.control.color_words import chroma_of
from vidcolor.control.corrections import Carry
from vidcolor.control.hints import Hint
from vidcolor.control.palette import FARTHEST, Palette
from vidcolor.control.propagate import Known, propagate
from vidcolor.control.references import Reference
from vidcolor.media.read import LumaFrame
from vidcolor.pipeline import ColoredFrame

QUICK = ("--render-factor", "4", "--device", "cpu", "--preset", "ultrafast")
BLUE, RED = (0.2, -0.1), (-0.1, 0.2)
SIZE = (96, 128)
BALL = 16
"""Radius of the ball that rolls over the made-up picture, in pixels."""


def texture(seed: int, height: int, width: int, low: int, high: int) -> NDArray:
    """(height, width) uint8 luma: something that can be followed."""
    random = np.random.default_rng(seed).uniform(0, 1, (height, width)).astype(np.float32)
    smooth = cv2.GaussianBlur(random, (0, 0), 2)
    smooth = (smooth - smooth.min()) / np.ptp(smooth)
    return (low + (high - low) * smooth).astype(np.uint8)


def rolling(count: int, step: int = 3) -> tuple[NDArray, NDArray]:
    """A bright ball that moves over a dark wall: luma (n, h, w), and where the ball is."""
    height, width = SIZE
    wall, ball = texture(1, height, width, 40, 110), texture(2, 2 * BALL, 2 * BALL, 150, 230)
    y, x = np.mgrid[: 2 * BALL, : 2 * BALL] - BALL + 0.5
    disk = x * x + y * y < BALL * BALL
    lumas, masks = [], []
    for number in range(count):
        luma, mask = wall.copy(), np.zeros(SIZE, bool)
        place = np.s_[32 : 32 + 2 * BALL, 8 + step * number : 8 + step * number + 2 * BALL]
        luma[place][disk], mask[place][disk] = ball[disk], True
        lumas.append(luma)
        masks.append(mask)
    return np.stack(lumas), np.stack(masks)


def painted(mask: NDArray) -> NDArray:
    """(2, h, w): a red ball before a blue wall."""
    return np.where(mask, np.array(RED)[:, None, None], np.array(BLUE)[:, None, None]).astype(
        np.float32
    )


def frames_of(luma: NDArray) -> list[ColoredFrame]:
    """As a network that knows no colors would have them."""
    gray = torch.zeros(2, 24, 32)
    return [
        ColoredFrame(0, LumaFrame(number, own, 0.0, own), gray, True)
        for number, own in enumerate(luma)
    ]


def off(chroma: NDArray, wanted: NDArray) -> float:
    return float(np.abs(chroma - wanted).mean())


def still(path: Path, luma: NDArray, chroma: NDArray) -> Path:
    planes = torch.from_numpy(luma)[None, None] / 255, torch.from_numpy(chroma)[None]
    rgb = matrices.merge(*planes)[0].movedim(0, 2).numpy()
    Image.fromarray((255 * rgb).round().astype(np.uint8)).save(path)
    return path


@pytest.mark.parametrize("known", [0, 6, 12])
def test_colors_follow_what_moves(known):
    luma, masks = rolling(13)
    one = Known(known, painted(masks[known]), np.ones(SIZE, np.float32))
    ours, copied = [], []
    for carried, mask in zip(propagate(lambda n: luma[n], 13, [one]), masks, strict=True):
        assert carried.trust.min() >= 0 and carried.trust.max() <= 1
        ours.append(off(carried.trust * carried.values, painted(mask)))
        copied.append(off(painted(masks[known]), painted(mask)))
    assert np.mean(ours) < 0.35 * np.mean(copied)
    assert ours[known] < 1e-3, "the frame itself is as it was painted"


def test_two_known_frames_blend_by_distance():
    luma, _ = rolling(6, step=0)
    known = [
        Known(number, np.full((2, *SIZE), value, np.float32), np.ones(SIZE, np.float32))
        for number, value in ((0, 0.0), (5, 0.2))
    ]
    means = [float(one.values.mean()) for one in propagate(lambda n: luma[n], 6, known)]
    assert np.allclose(means, np.linspace(0, 0.2, 6), atol=0.004)


def test_nothing_is_said_about_what_is_nowhere_alike():
    luma, masks = rolling(2)
    luma[1] = cv2.resize(texture(7, 12, 16, 0, 255), SIZE[::-1], interpolation=cv2.INTER_NEAREST)
    weights = masks[0].astype(np.float32)
    known = Known(0, painted(masks[0]), weights)
    first, second = propagate(lambda n: luma[n], 2, [known])
    assert first.trust[masks[0]].min() > 0.9
    wall = cv2.dilate(masks[0].astype(np.uint8), np.ones((9, 9))) == 0
    assert first.trust[wall].mean() < 0.1
    assert second.trust.mean() < 0.4


def test_a_shot_longer_than_what_is_in_hand(monkeypatch, tmp_path):
    luma, masks = rolling(12)
    path = still(tmp_path / "ref_000103.png", luma[3], painted(masks[3]))
    part = Carry(tmp_path, SIZE[1] / SIZE[0], 100, (Reference(103, path),), ())
    frames = frames_of(luma)
    whole = [frame.chroma.numpy() for frame in part.carry(iter(frames))]
    monkeypatch.setattr(corrections, "LONGEST", 5)
    done = [*part.carry(iter(frames))]
    assert [frame.luma.pts for frame in done] == list(range(12))
    assert all((frame.luma.guide == own).all() for frame, own in zip(done, luma, strict=True))
    for frame, other, mask in zip(done, whole, masks, strict=True):
        assert off(frame.chroma.numpy(), painted(mask)) < 0.06
        assert off(other, painted(mask)) < 0.06


def test_a_hint_is_followed_and_keeps_to_its_thing():
    luma, masks = rolling(9)
    hint = Hint(7, ((8 + 21) / 128, 32 / 96, 32 / 128, 32 / 96), True, RED)
    part = Carry(Path(), SIZE[1] / SIZE[0], 0, (), (hint,))
    for frame, mask in zip(part.carry(iter(frames_of(luma))), masks, strict=True):
        inner = cv2.erode(mask.astype(np.uint8), np.ones((7, 7))) > 0
        far = cv2.dilate(mask.astype(np.uint8), np.ones((25, 25))) == 0
        chroma = frame.chroma.numpy()
        assert off(chroma[:, inner].mean(1), np.array(RED)) < 0.06
        assert np.abs(chroma[:, far]).mean() < np.abs(chroma[:, inner]).mean() / 2


def test_a_still_is_found_again_scaled_cropped_and_graded():
    frame = texture(3, 240, 320, 0, 255)
    planes = np.stack([frame, frame]).astype(np.float32)

    def seen(change):
        luma = change(frame)
        found = align(luma, np.stack([change(plane) for plane in planes]), frame)
        assert found is not None
        there = found.weights > 0.5
        return there.mean(), np.abs(found.planes[0] - frame)[there].mean()

    for change, share, most in (
        (lambda p: p, 1.0, 0.1),
        (lambda p: cv2.resize(p, (500, 200)), 1.0, 4.0),
        (lambda p: cv2.resize(p[30:-20, 40:-60], (640, 540)), 0.54, 4.0),
        (lambda p: np.roll(p, (3, -4), (0, 1)), 0.95, 4.0),
    ):
        there, error = seen(change)
        assert there > share - 0.03 and error < most
    graded = (255 * (frame / 255) ** 0.5 * 0.7 + 20).astype(np.uint8)
    assert align(graded, planes, frame) is not None
    assert align(texture(4, 240, 320, 0, 255), planes, frame) is None


@pytest.mark.parametrize("color", [BLUE, RED])
def test_a_palette_is_lent_within_bounds(tmp_path, color):
    luma, _ = rolling(1)
    chroma = np.broadcast_to(np.array(color, np.float32)[:, None, None], (2, *SIZE)).copy()
    path = still(tmp_path / "like.png", luma[0], chroma)
    palette = Palette(path, SIZE[1] / SIZE[0])
    gray = torch.zeros(1, 2, 24, 32)
    lent = palette.adjust(gray, torch.from_numpy(luma)[:, None])[0].numpy()
    length = np.linalg.norm(lent, axis=0)
    assert length.max() <= FARTHEST + 1e-4
    assert length.mean() > FARTHEST / 2
    towards = (lent * np.array(color)[:, None, None]).sum(0) / np.linalg.norm(color)
    assert np.allclose(towards, length, atol=0.01)


def call(*words: object, status: int = 0) -> Result:
    result = CliRunner().invoke(command, [str(word) for word in words])
    assert result.exit_code == status, result.output
    return result


CUT, COUNT = 12, 24


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """A gray film of two shots."""
    folder = tmp_path_factory.mktemp("film")
    luma, _ = rolling(COUNT)
    luma[CUT:] = 255 - luma[CUT:, ::-1]
    for number, own in enumerate(luma):
        Image.fromarray(own).save(folder / f"{number:03}.png")
    path = folder / "film.mp4"
    run_ffmpeg(
        *("-framerate", "10", "-i", folder / "%03d.png", "-c:v", "libx264", "-crf", "10"),
        *("-preset", "veryfast", "-bf", "2", "-pix_fmt", "yuv420p", path),
    )
    return path


@pytest.fixture
def film(drawn, tmp_path):
    """A copy in a folder of its own, with an empty folder `refs`."""
    (tmp_path / "refs").mkdir()
    return Path(shutil.copy(drawn, tmp_path))


def reference(film: Path, number: int, name: str | None = None) -> Path:
    """A red ball before a blue wall."""
    luma, masks = rolling(COUNT)
    return still(
        film.parent / "refs" / (name or f"ref_{number:06d}.png"),
        luma[number],
        painted(masks[number]),
    )


def chroma(path: Path) -> list[NDArray]:
    """(2, h, w) of every frame."""
    with av.open(str(path)) as container:
        frames = [frame.to_ndarray() for frame in container.decode(video=0)]
    return [(frame[96:].reshape(2, 48, 64).astype(np.float32) - 128) / 224 for frame in frames]


def test_a_reference_colors_its_shot_and_no_other(film):
    reference(film, 5)
    plain, colored = film.with_name("plain.mp4"), film.with_name("colored.mp4")
    call(film, "--keep", "-o", plain, *QUICK)
    call(film, "--references", film.parent / "refs", "-o", colored, *QUICK)
    before, after = decoded(plain, "0:v"), decoded(colored, "0:v")
    assert before[CUT:] == after[CUT:], "the other shot has the same bytes"
    luma = ("-vf", "extractplanes=y")
    assert decoded(plain, "0:v", *luma) == decoded(colored, "0:v", *luma)
    _, masks = rolling(COUNT)
    for own, mask in zip(chroma(colored)[:CUT], masks, strict=False):
        small = cv2.resize(mask.astype(np.float32), (64, 48), interpolation=cv2.INTER_AREA)
        assert off(own[:, small == 1].mean(1), np.array(RED)) < 0.06
        assert off(own[:, small == 0].mean(1), np.array(BLUE)) < 0.06


def test_only_the_shot_of_a_changed_reference_is_colored_again(film):
    words = (film, "--references", film.parent / "refs", "--keep", "--json", *QUICK)
    reference(film, 5)
    call(*words)
    path = film.parent / "refs" / "ref_000005.png"
    Image.fromarray(np.asarray(Image.open(path))[..., ::-1]).save(path)
    assert "would be colored again: 0 to 11" in call("status", film).stdout
    assert f'"kept": {COUNT - CUT}' in call(*words).stdout


@pytest.mark.slow
def test_hints_and_a_palette_change_the_film(film):
    plain, colored = film.with_name("plain.mp4"), film.with_name("colored.mp4")
    call(film, "--keep", "-o", plain, *QUICK)
    hints = film.with_name("hints.toml")
    hints.write_text('[[hint]]\ntime = "0:00.2"\npoint = [30, 48]\nradius = 8\ncolor = "#a04040"\n')
    call(film, "--hints", hints, "-o", colored, *QUICK)
    before, after = chroma(plain), chroma(colored)
    assert decoded(plain, "0:v")[CUT:] == decoded(colored, "0:v")[CUT:]
    ball = np.s_[:, 20:28, 11:19]  # in frame 2
    assert off(after[2][ball].mean((1, 2)), np.array(chroma_of("#a04040"))) < 0.05
    assert off(before[2][ball].mean((1, 2)), np.array(chroma_of("#a04040"))) > 0.05
    call(film, "--like", reference(film, 5, "like.png"), "-o", colored, "--overwrite", *QUICK)
    assert np.mean(chroma(colored)[5][0]) > np.mean(before[5][0]), "bluer"


def test_a_network_that_takes_no_hints_follows_both(film, tmp_path):
    model = tiny.save(tmp_path / "wide.pth", tiny.tensors("wide"))
    hints, colored = film.with_name("hints.toml"), film.with_name("colored.mp4")
    hints.write_text('[[hint]]\nframe = 14\nbox = [30, 40, 40, 30]\ncolor = "#4060a0"\n')
    reference(film, 5)
    words = ("--model", model, "--references", film.parent / "refs", "--hints", hints)
    call(film, *words, "-o", colored, *QUICK, "--edges", "bilinear")
    found, (_, masks) = chroma(colored), rolling(COUNT)
    small = cv2.resize(masks[9].astype(np.float32), (64, 48), interpolation=cv2.INTER_AREA)
    assert off(found[9][:, small == 1].mean(1), np.array(RED)) < 0.06
    assert off(found[14][:, 24:30, 20:30].mean((1, 2)), np.array(chroma_of("#4060a0"))) < 0.05


def gray(film: Path) -> None:
    Image.fromarray(rolling(6)[0][5]).save(film.parent / "refs" / "ref_000005.png")


def transparent(film: Path) -> None:
    path = reference(film, 5)
    image = Image.open(path).convert("RGBA")
    image.putpixel((3, 3), (0, 0, 0, 0))
    image.save(path)


def of_another_film(film: Path) -> None:
    path = film.parent / "refs" / "ref_000005.png"
    still(path, texture(9, *SIZE, 0, 255), painted(rolling(1)[1][0]))


def two_for_one(film: Path) -> None:
    reference(film, 5)
    reference(film, 5, "ref_5.jpg")


def other_sides(film: Path) -> None:
    Image.new("RGB", (7, 5), "red").save(film.parent / "refs" / "ref_000005.png")


WRONG_STILLS = [
    (lambda film: None, "has no references; write some there with `vidcolor stills`"),
    (lambda film: reference(film, 3, "ref_three.png"), "the name has no frame number"),
    (lambda film: reference(film, 3, "ref_000024.png"), "the film's last frame is 23"),
    (two_for_one, "are both for frame 5; remove one of them"),
    (gray, "is gray and has no colors to carry; color it, or remove it"),
    (transparent, "has transparent pixels, which have no color; save it without"),
    (of_another_film, "does not show frame 5 of"),
    (other_sides, "does not show frame 5 of"),
    (
        lambda film: (film.parent / "refs" / "ref_000005.png").write_bytes(b"no"),
        "is not a jpg, png, tif or webp image",
    ),
]


@pytest.mark.parametrize(("make", "said"), WRONG_STILLS, ids=[said for _, said in WRONG_STILLS])
def test_a_still_that_does_not_fit_is_refused_by_name(film, make, said):
    make(film)
    result = call(film, "--references", film.parent / "refs", *QUICK, status=1)
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("Error")]
    assert said in line
    assert "refs" in line
    assert not film.with_name("film.color.mp4").exists()


POINT = "frame = 5\npoint = [60, 48]\n"
WRONG_HINTS = [
    ("", "has no hints; write one below [[hint]]"),
    ("[[hint]]\n" + POINT + "color = 'blew'", "'blew' is no color; write #rrggbb"),
    ("[[hint]]\n" + POINT + "color = '#12345'", "'#12345' is no color"),
    ("[[hint]]\n" + POINT + "color = 3", "has no `color`; write it as"),
    ("[[hint]]\n" + POINT + "colour = 'red'", "unknown key 'colour'; did you mean 'color'?"),
    ("[[hint]]\npoint = [6, 4]\ncolor = 'red'", "needs either a `frame` or a `time`"),
    ("[[hint]]\nframe = 24\npoint = [6, 4]\ncolor = 'red'", "the film's last one is 23"),
    ("[[hint]]\nframe = -1\npoint = [6, 4]\ncolor = 'red'", "there is no frame -1"),
    ("[[hint]]\ntime = 60\npoint = [6, 4]\ncolor = 'red'", "there is no frame at 60 s"),
    ("[[hint]]\ntime = 'x'\npoint = [6, 4]\ncolor = 'red'", "'x' is no time"),
    ("[[hint]]\nframe = 5\ncolor = 'red'", "needs either a `point` = [x, y] or a `box`"),
    ("[[hint]]\nframe = 5\npoint = [600, 4]\ncolor = 'red'", "lies outside the picture"),
    ("[[hint]]\nframe = 5\npoint = 6\ncolor = 'red'", "point: write 2 numbers in brackets"),
    ("[[hint]]\nframe = 5\nbox = [6, 4, 0, 4]\ncolor = 'red'", "the box is empty"),
    ("[[hint]]\n" + POINT + "radius = 0\ncolor = 'red'", "a radius of 0 pixels is no size"),
    ("[[hint]]\nframe = 0x" + "f" * 5000 + "\ncolor = 'red'", "has a number larger than"),
    ("[[hint]]\ntime = 1" + "0" * 400 + "\npoint = [6, 4]\ncolor = 'red'", "a number larger than"),
    ("[[hint]]\ntime = 1e300\npoint = [6, 4]\ncolor = 'red'", "times are from 0 to 1e+06"),
    ("[[hint]]\ntime = '" + "9" * 400 + "'\npoint = [6, 4]\ncolor = 'red'", "times are from 0"),
    ("hint = " + "[" * 100_000, "too deep in each other"),
    ("[[hint]\n", "is no TOML"),
]


@pytest.mark.parametrize(("text", "said"), WRONG_HINTS, ids=[said for _, said in WRONG_HINTS])
def test_a_hint_that_cannot_be_followed_is_refused_in_one_line(film, text, said):
    hints = film.with_name("hints.toml")
    hints.write_text(text)
    result = call(film, "--hints", hints, *QUICK, status=1)
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("Error")]
    assert said in line
    assert str(hints) in line
    assert not film.with_name("film.color.mp4").exists()


def test_references_and_hints_are_for_one_film(film):
    other = Path(shutil.copy(film, film.with_name("other.mp4")))
    for option in ("--references", "--hints"):
        path = film.parent / "refs" if option == "--references" else film
        assert "is for one film" in call(film, other, option, path, status=2).stderr
