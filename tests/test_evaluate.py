"""Figures against numbers that were worked out by hand, and the command that prints them."""

import hashlib
import json
import math
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from click.testing import CliRunner
from conftest import run_ffmpeg
from PIL import Image
from safetensors.torch import save_file

from vidcolor.cli import vidcolor as command
from vidcolor.errors import MediaError, WeightsError
from vidcolor.evaluate import inception
from vidcolor.evaluate.encoder import Encoder
from vidcolor.evaluate.fidelity import decibels, squared_error, ssim
from vidcolor.evaluate.inception import Gaussian, distance_between
from vidcolor.evaluate.networks import network_file
from vidcolor.evaluate.pairs import aligned, films_in, photos_in, together
from vidcolor.evaluate.picture import Picture
from vidcolor.evaluate.report import (
    GRAY,
    ORIGINAL,
    EvaluateSettings,
    Evaluation,
    Networks,
    document,
)
from vidcolor.evaluate.warping import (
    Motion,
    disappears,
    motion_between,
    moves_apart,
    warping_error,
)
from vidcolor.media.probe import probe
from vidcolor.media.rgb import RgbFrame, read_rgb
from vidcolor.metrics.colorfulness import colorfulness
from vidcolor.metrics.consistency import Consistency, divergence, reduced
from vidcolor.models.lite_mobile import BLOCKS


def flat(red: int, green: int, blue: int, size: tuple[int, int] = (16, 16)) -> np.ndarray:
    return np.full((*size, 3), (red, green, blue), np.uint8)


def texture(size: tuple[int, int] = (64, 96)) -> np.ndarray:
    """(h, w) uint8, smooth and never the same twice."""
    noise = np.random.default_rng(5).integers(0, 256, size).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 2)
    return ((smooth - smooth.min()) * (255 / np.ptp(smooth))).astype(np.uint8)


# fidelity


def test_errors_do_not_wrap_around_at_256():
    error = squared_error(flat(250, 250, 250), flat(10, 10, 10))
    assert error == 240**2
    assert decibels(error) == pytest.approx(10 * math.log10(255**2 / 240**2))
    assert decibels(0) == math.inf


def test_ab_of_red_is_the_published_one():
    red, gray = Picture(flat(255, 0, 0)), Picture(flat(90, 90, 90))
    error = squared_error(red.lab[..., 1:], gray.lab[..., 1:])
    assert error == pytest.approx((80.09**2 + 67.20**2) / 2, rel=2e-3)


def test_ssim_of_flat_pictures_is_that_of_their_levels():
    expected = (2 * 100 * 150 + 6.5025) / (100**2 + 150**2 + 6.5025)
    assert ssim(flat(100, 100, 100), flat(150, 150, 150)) == pytest.approx(expected, rel=1e-4)


def test_ssim_knows_the_same_the_opposite_and_the_too_small():
    picture = np.repeat(texture()[..., None], 3, 2)
    assert ssim(picture, picture) == pytest.approx(1)
    opposite = ssim(picture, 255 - picture)
    assert opposite is not None and opposite < 0
    assert ssim(picture[:10], picture[:10]) is None


# colorfulness


def test_colorfulness_of_red_beside_green_in_both_variants():
    picture = np.concatenate([flat(255, 0, 0), flat(0, 255, 0)])
    # R - G is +255 and -255, its mean 0; (R + G) / 2 - B is 127.5 everywhere.
    assert colorfulness(picture) == pytest.approx(255 + 0.3 * 127.5)
    assert colorfulness(picture, absolute=True) == pytest.approx(0.3 * math.hypot(255, 127.5))
    assert colorfulness(flat(7, 7, 7)) == 0


# consistency


def test_divergence_in_nats():
    half, whole = np.array([0.5, 0.5]), np.array([1.0, 0.0])
    assert divergence(half, whole) == pytest.approx(0.75 * math.log(4 / 3))
    assert divergence(whole, whole[::-1]) == pytest.approx(math.log(2))
    assert divergence(half, half) == 0


def cdc(frames: list[np.ndarray]) -> float | None:
    clip = Consistency()
    for frame in frames:
        clip.add(frame)
    return clip.value


def test_consistency_is_the_mean_over_distances_and_channels():
    # Red alternates: frames 1 apart share no level of red, those 2 and 4 apart are the same.
    blinking = [flat(255 * (number % 2), 80, 80) for number in range(7)]
    assert cdc(blinking) == pytest.approx(math.log(2) / 3 / 3)
    # One change after frame 3: 1 of 6 pairs, 2 of 5 pairs, 3 of 3 pairs are different.
    cut = [flat(0, 0, 0)] * 3 + [flat(9, 9, 9)] * 4
    assert cdc(cut) == pytest.approx(math.log(2) * (1 / 6 + 2 / 5 + 3 / 3) / 3)
    assert cdc([flat(3, 4, 5)] * 7) == 0
    assert cdc(blinking[:4]) is None


def test_consistency_looks_at_one_resolution():
    assert reduced(flat(1, 2, 3, (512, 640))).shape == (256, 320, 3)
    assert reduced(flat(1, 2, 3, (128, 640))).shape == (128, 640, 3)


# warping error


def still_motion(size: tuple[int, int] = (16, 16)) -> Motion:
    return Motion(np.zeros((*size, 2), np.float32), np.zeros((*size, 2), np.float32))


def test_warping_error_is_per_channel_and_in_0_to_1():
    error = warping_error(flat(100, 100, 100), flat(151, 100, 100), still_motion())
    assert error == pytest.approx(0.2**2 / 3)


def test_warping_error_follows_the_motion():
    whole = np.repeat(texture((64, 100))[..., None], 3, 2)
    first, second = whole[:, 4:], whole[:, :-4]  # what was at x is at x + 4 now
    to, back = np.zeros((2, 64, 96, 2), np.float32)
    to[..., 0], back[..., 0] = 4, -4
    inside = Motion(to[:, :90], back[:, :90])
    assert inside.visible.all()
    along = warping_error(first[:, :90], second[:, :90], inside)
    still = warping_error(first, second, still_motion((64, 96)))
    found = motion_between(first[..., 0], second[..., 0])
    assert np.median(found.forward[..., 0]) == pytest.approx(4, abs=0.2)
    measured = warping_error(first, second, found)
    assert along and still and measured
    assert along < 0.003  # the right edge alone
    assert measured < 0.1 * still


def test_what_cannot_be_followed_does_not_count():
    motion = still_motion()
    motion.backward[:, :4, 0] = 3  # there and back leads elsewhere: 3^2 > 0.01 * 3^2 + 0.5
    assert disappears(motion.forward, motion.backward)[:, :4].all()
    assert not disappears(motion.forward, motion.backward)[:, 4:].any()
    first, second = flat(0, 0, 0), flat(0, 0, 0)
    second[:, :4] = 255
    assert warping_error(first, second, motion) == 0
    motion.backward[:] = 3
    assert Motion(motion.forward, motion.backward).visible.any() is np.False_


def test_the_edge_of_a_motion_is_where_the_flow_changes():
    flow = np.zeros((8, 8, 2), np.float32)
    flow[:, 4:, 0] = 1
    assert np.flatnonzero(moves_apart(flow).any(0)).tolist() == [3]


# Frechet distance


def gaussian(*features: tuple[float, ...]) -> Gaussian:
    result = Gaussian()
    for each in features:
        result.add(np.array(each))
    return result


def test_distance_between_of_means_and_spreads():
    # Means 1 and 12, variances 2 and 8: 11^2 + (sqrt 2 - sqrt 8)^2.
    assert distance_between(gaussian((0,), (2,)), gaussian((10,), (14,))) == pytest.approx(123)
    assert distance_between(gaussian((0,)), gaussian((10,))) is None


def test_distance_between_of_turned_spreads():
    # C1 = diag(2, 0), C2 = [[1, 1], [1, 1]]: tr(C1) + tr(C2) - 2 sqrt(2); the means are equal.
    along = gaussian((1, 0), (-1, 0))
    turned = gaussian((math.sqrt(0.5), math.sqrt(0.5)), (-math.sqrt(0.5), -math.sqrt(0.5)))
    assert distance_between(along, turned) == pytest.approx(4 - 2 * math.sqrt(2))
    assert distance_between(along, along) == pytest.approx(0, abs=1e-9)


# networks


@pytest.fixture
def torch_cache(tmp_path):
    """A cache of torch's own for the networks that judge."""
    before = torch.hub.get_dir()
    torch.hub.set_dir(tmp_path / "hub")
    yield tmp_path / "hub" / "checkpoints"
    torch.hub.set_dir(before)


def test_a_network_is_fetched_once_and_must_be_the_one_of_its_name(served, torch_cache):
    folder, address = served
    digits = hashlib.sha256(b"weights").hexdigest()[:8]
    origin = folder / f"net-{digits}.pth"
    url = address + origin.name
    origin.write_bytes(b"weights")
    assert network_file(url).read_bytes() == b"weights"
    origin.unlink()
    assert network_file(url).parent == torch_cache
    (torch_cache / origin.name).write_bytes(b"other")
    with pytest.raises(WeightsError, match="delete it"):
        network_file(url)


def test_what_needs_a_network_that_cannot_be_had_is_left_out(torch_cache, monkeypatch):
    monkeypatch.setattr(inception, "TORCHVISION", "http://127.0.0.1:9/inception-01234567.pth")
    with pytest.raises(WeightsError, match=r"cannot download.*; put http.* into"):
        inception.Inception("ntire", torch.device("cpu"))
    assert not list(torch_cache.glob("[!.]*"))


# films


@pytest.fixture(scope="module")
def clips(tmp_path_factory) -> dict[str, Path]:
    """An original, a result whose red blinks, and one that lacks a frame; twelve frames at 24."""
    folder = tmp_path_factory.mktemp("evaluate")
    paths = {name: folder / f"{name}.mkv" for name in ("original", "blinking", "shorter")}
    picture = ("-f", "lavfi", "-i", "testsrc2=size=64x48:rate=24:duration=0.5")
    lossless = ("-c:v", "ffv1", "-pix_fmt", "yuv444p", "-fps_mode", "passthrough")
    blink = "geq=lum='p(X,Y)':cb='cb(X,Y)':cr='cr(X,Y)+30*mod(N,2)'"
    run_ffmpeg(*picture, *lossless, paths["original"])
    run_ffmpeg("-i", paths["original"], "-vf", blink, *lossless, paths["blinking"])
    run_ffmpeg("-i", paths["original"], "-vf", "select=n-5", *lossless, paths["shorter"])
    return paths


def test_frames_belong_together_by_their_time():
    def stream(*times: float):
        return iter([RgbFrame(time, np.zeros(0)) for time in times])

    pairs = aligned([stream(0, 1, 2, 3, 4), stream(0.1, 2.1, 2.9, 9)], 0.5)
    assert [[frame.time for frame in pair] for pair in pairs] == [[0, 0.1], [2, 2.1], [3, 2.9]]


def test_films_are_read_upright_in_their_own_colors(tmp_path, rotated_clip):
    for matrix, colorspace in (("bt709", "1"), ("bt601", "6")):
        path = tmp_path / f"{matrix}.mkv"
        color = (
            "-f",
            "lavfi",
            "-i",
            "color=c=0xC04020:size=64x48:rate=24:duration=0.2,format=rgb24",
        )
        scale = f"scale=out_color_matrix={matrix},format=yuv444p,setparams=colorspace={colorspace}"
        run_ffmpeg(*color, "-vf", scale, "-c:v", "ffv1", path)
        frame = next(read_rgb(probe(path), (64, 48)))
        assert np.abs(frame.rgb.astype(int) - (0xC0, 0x40, 0x20)).max() <= 2
    turned = probe(rotated_clip)
    assert next(read_rgb(turned, (turned.width, turned.height))).rgb.shape[:2] == (64, 48)


def test_a_result_that_was_padded_is_not_stretched(make_clip, tmp_path):
    padded = tmp_path / "padded.mkv"
    original = make_clip("yuv444.mkv")  # 65x49
    run_ffmpeg("-i", original, "-vf", "pad=66:50", "-c:v", "ffv1", padded)
    pairs = together([probe(original), probe(padded)], 480)
    first, second = next(pairs)
    assert first.rgb.shape == second.rgb.shape == (49, 65, 3)
    assert np.array_equal(first.rgb, second.rgb)


def test_rows_of_a_film_and_their_distance_from_the_original(clips):
    evaluation = Evaluation(EvaluateSettings(networks=False))
    evaluation.film(clips["original"], {"same": clips["original"], "blinking": clips["blinking"]})
    figures = document(evaluation, Evaluation())["films"]
    assert list(figures) == [GRAY, "same", "blinking", ORIGINAL]
    gray, same, blinking, original = figures.values()
    assert evaluation.rows()["same"].psnr_rgb == math.inf
    assert same["psnr_rgb"] is None  # JSON knows no infinity
    assert same["colorfulness_gap"] == same["cdc_excess"] == 0
    assert original["psnr_ab"] is None and original["cdc"] == same["cdc"]
    assert gray["colorfulness"] == 0 and gray["cdc"] < original["cdc"]
    assert blinking["cdc_excess"] > 0
    assert blinking["warping_error"] > 1.5 * same["warping_error"]
    assert blinking["ab_change"] > same["ab_change"] + 5
    assert gray["psnr_ab"] < blinking["psnr_ab"]
    assert set(evaluation.curves["original.mkv"]) == {"same", "blinking", ORIGINAL}


def test_a_frame_that_is_missing_in_the_result_is_left_out(clips):
    evaluation = Evaluation(EvaluateSettings(networks=False))
    seen = []
    evaluation.film(
        clips["original"],
        {"shorter": clips["shorter"]},
        on_frame=lambda done, total: seen.append(done),
    )
    assert len(seen) == 11
    assert evaluation.rows()["shorter"].psnr_rgb == math.inf  # no frame met its neighbor


# places


def test_places_without_material_say_so(tmp_path):
    with pytest.raises(MediaError, match="nor a folder of films"):
        films_in(tmp_path)
    with pytest.raises(MediaError, match="neither a folder nor a zip"):
        next(photos_in(tmp_path, None))


# the command


def vidcolor(*words):
    return CliRunner().invoke(command, ["evaluate", *map(str, words)])


def test_a_result_is_measured_printed_written_and_drawn(clips, tmp_path):
    result = vidcolor(
        *(clips["blinking"], "--reference", clips["original"], "--no-networks", "-q"),
        *("--json", tmp_path / "figures.json", "--plots", tmp_path / "plots"),
    )
    assert result.exit_code == 0, result.stderr
    for word in ("gray input", "blinking.mkv", "original", "CDC", "warping error", "SSIM"):
        assert word in result.stdout
    assert "FID" not in result.stdout
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert figures["films"]["blinking.mkv"]["cdc_excess"] > 0
    assert figures["settings"]["flow"].startswith("DIS")
    with Image.open(tmp_path / "plots" / "original.mkv.png") as image:
        assert len(image.convert("RGB").getcolors(100_000) or []) > 3


def test_a_still_is_measured(tmp_path):
    Image.fromarray(flat(100, 80, 60)).save(tmp_path / "original.png")
    Image.fromarray(flat(120, 100, 80)).save(tmp_path / "result.png")
    result = vidcolor(
        tmp_path / "result.png", "--reference", tmp_path / "original.png", "--no-networks"
    )
    assert result.exit_code == 0, result.stderr
    assert f"{20 * math.log10(255 / 20):.2f}" in result.stdout
    assert "CDC" not in result.stdout


def test_a_model_is_measured_on_photos_and_clips(clips, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(3):
        Image.fromarray(flat(60 * number, 90, 30, (48, 64))).save(folder / f"{number}.png")
    result = vidcolor(
        *("--model", "lite", "--photos", folder, "--clips", clips["original"], "--limit", 2),
        *("--render-factor", 4, "--device", "cpu", "--no-networks", "--json", tmp_path / "f.json"),
    )
    assert result.exit_code == 0, result.stderr
    figures = json.loads((tmp_path / "f.json").read_text())
    assert figures["photo_count"] == 2
    assert figures["photos"]["lite"]["colorfulness"] > 0
    assert list(figures["films"]) == [GRAY, "lite", "lite, smooth normal", ORIGINAL]
    assert figures["films"]["lite"]["fps"] > 0
    assert figures["films"]["lite"]["warping_error"] is not None
    assert figures["films"]["lite"]["cdc"] is None  # two frames are too few


def encoder_file(path: Path) -> Path:
    """A MobileNet with random weights whose norms do nothing."""
    torch.manual_seed(0)
    layers, inputs = {"conv1": (32, 3, 3)}, 32
    for number, (outputs, _) in enumerate(BLOCKS, 1):
        layers |= {
            f"conv_dw_{number}": (inputs, 1, 3),
            f"conv_pw_{number}": (outputs, inputs, 1),
        }
        inputs = outputs
    weights = {}
    for name, (outputs, depth, side) in layers.items():
        scale = (2 / (depth * side * side)) ** 0.5
        weights[f"{name}.weight"] = scale * torch.randn(outputs, depth, side, side)
        for part, value in (("weight", 1), ("bias", 0), ("running_mean", 0), ("running_var", 1)):
            weights[f"{name}_bn.{part}"] = torch.full((outputs,), float(value))
    save_file(weights, path)
    return path


def test_features_of_an_encoder_tell_pictures_apart(tmp_path):
    encoder = Encoder(encoder_file(tmp_path / "encoder.safetensors"), torch.device("cpu"))
    textured = np.stack([texture(), texture()[::-1], texture()[:, ::-1]], axis=2)
    features = encoder.features(textured)
    assert features.shape == (1024,) and np.isfinite(features).all()
    assert not np.allclose(features, encoder.features(Picture(textured).gray.rgb))
    settings = EvaluateSettings(networks=False, features=tmp_path / "encoder.safetensors")
    evaluation = Evaluation(settings, Networks.load(settings, torch.device("cpu")))
    for turn in range(4):
        original = np.ascontiguousarray(np.rot90(textured, turn))
        evaluation.photo(original, {"same": original})
    rows = evaluation.rows()
    assert rows["same"].frechet == pytest.approx(0, abs=1e-3)
    gray = rows[GRAY].frechet
    assert gray is not None and gray > 0.01


def test_a_file_that_is_no_encoder_is_refused(tmp_path):
    save_file({"weight": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(WeightsError, match="not a MobileNet"):
        Encoder(tmp_path / "other.safetensors", torch.device("cpu"))
    (tmp_path / "text.safetensors").write_text("no weights")
    result = vidcolor(
        *("--model", "lite", "--photos", tmp_path, "--no-networks"),
        *("--features", tmp_path / "text.safetensors"),
    )
    assert result.exit_code == 1
    assert "cannot read" in result.stderr


def test_half_a_call_says_what_is_missing(clips):
    for words in ((clips["original"],), ("--model", "lite"), ()):
        result = vidcolor(*words)
        assert result.exit_code == 2
        assert "--reference" in result.stderr
