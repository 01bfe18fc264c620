"""Stills: DeOldify's colors to the byte, and everything else as the source had it."""

import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image, ImageCms, ImageOps, JpegImagePlugin
from torch.nn import functional as F

from vidcolor import arrays
from vidcolor.arrays import colorize_array
from vidcolor.chroma.edges import EDGES
from vidcolor.chroma.matrices import rgb_to_chroma
from vidcolor.errors import MediaError
from vidcolor.inference.colorizer import Colorizer
from vidcolor.inference.settings import RenderSettings
from vidcolor.models.lite import LiteShape, ResidualLite
from vidcolor.models.unet import UNet, UNetShape
from vidcolor.still import colorize_image

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@pytest.fixture(scope="module")
def lite() -> Colorizer:
    """A generator that knows two strong colors and takes them as its random weights say."""
    torch.manual_seed(1)
    network = ResidualLite(LiteShape(widths=(8, 8, 8, 8), decoder=(8, 8, 8), bins=2))
    network.palette.copy_(torch.tensor([[0.2, -0.1], [-0.15, 0.2]]))
    settings = RenderSettings(render_factor=4, precision="fp32")
    return Colorizer(network, settings, device="cpu")


@pytest.fixture(scope="module")
def unet() -> UNet:
    torch.manual_seed(1)
    shape = UNetShape(
        encoder="basic",
        depths=(1, 1, 1, 1),
        widths=(8, 8, 8, 8),
        ups=(8, 8, 8, 8),
        decoder=(8, 8, 8, 8),
        convs=1,
    )
    network = UNet(shape)
    network.head.weight.data *= 20  # for strong colors
    return network.eval()


def colorizer_of(unet: UNet, **settings) -> Colorizer:
    return Colorizer(
        unet, RenderSettings(render_factor=5, precision="fp32", **settings), device="cpu"
    )


def scene(height: int = 60, width: int = 90, *, depth: int = 8) -> np.ndarray:
    """A gray slope with a disc and fine grain, (H, W) uint8 or uint16."""
    y, x = np.mgrid[:height, :width] / [[[height]], [[width]]]
    gray = 0.2 + 0.4 * x + 0.2 * y + 0.15 * ((x - 0.4) ** 2 + (y - 0.5) ** 2 < 0.05)
    gray += np.random.default_rng(1).uniform(-0.03, 0.03, gray.shape)
    peak = 2**depth - 1
    return (gray * peak).round().astype(np.uint8 if depth == 8 else np.uint16)


def tinted(height: int = 60, width: int = 90, *, depth: int = 8) -> np.ndarray:
    """The scene in sepia, (H, W, 3) RGB."""
    gray = scene(height, width, depth=depth)
    return np.dstack([gray, gray // 8 * 7, gray // 4 * 3])


def luma(rgb: np.ndarray) -> np.ndarray:
    return rgb.astype(np.float64) @ [0.299, 0.587, 0.114]


def colorfulness(rgb: np.ndarray) -> float:
    """Mean difference between a pixel's channels, as a share of the range."""
    return float(np.ptp(rgb.astype(float), axis=-1).mean() / np.iinfo(rgb.dtype).max)


def read(path: Path) -> np.ndarray:
    """(H, W, channels) RGB(A) at full depth."""
    pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert pixels is not None
    return pixels[..., [2, 1, 0, 3][: pixels.shape[2]]]


def write_16_bits(path: Path, pixels: np.ndarray) -> None:
    bgr = pixels if pixels.ndim == 2 else pixels[..., [2, 1, 0, 3][: pixels.shape[2]]]
    assert cv2.imwrite(str(path), bgr)


def test_deoldify_steps_with_opencv_and_pillow(unet):
    """The whole path, spelled out with the libraries that DeOldify uses."""
    rgb = tinted()
    square = Image.fromarray(rgb).resize((80, 80), Image.Resampling.BILINEAR)
    gray = np.asarray(square.convert("LA").convert("RGB"), np.float32) / 255
    mean = np.array([0.485, 0.456, 0.406], np.float32)
    std = np.array([0.229, 0.224, 0.225], np.float32)
    with torch.no_grad():
        out = unet(torch.from_numpy((gray - mean) / std).permute(2, 0, 1)[None])
    square = np.clip(out[0].permute(1, 2, 0).numpy() * std + mean, 0, 1) * 255
    raw = Image.fromarray(square.astype(np.uint8)).resize((90, 60), Image.Resampling.BILINEAR)
    yuv = cv2.cvtColor(np.asarray(raw), cv2.COLOR_RGB2YUV)
    yuv[..., 0] = cv2.cvtColor(rgb, cv2.COLOR_RGB2YUV)[..., 0]
    want = cv2.cvtColor(yuv, cv2.COLOR_YUV2RGB)

    got = colorize_array(rgb, colorizer_of(unet), edges="bilinear")
    assert colorfulness(want) > 0.05
    assert np.abs(got.astype(int) - want).max() <= 3
    assert (got != want).mean() <= 1e-3


@pytest.mark.parametrize("edges", EDGES)
def test_deep_luma_gets_the_colors_that_8_bits_get(edges, unet):
    deep = tinted(depth=16)
    shallow = ((deep.astype(int) + 128) // 257).astype(np.uint8)
    got = colorize_array(deep, colorizer_of(unet), edges=edges)
    want = colorize_array(shallow, colorizer_of(unet), edges=edges)
    assert np.abs(got / 257 - want).max() <= 1.6


class Knowing(Colorizer):
    """Knows the colors of `signal`, though only small ones."""

    def chroma(self, luma: torch.Tensor, hints: torch.Tensor | None = None) -> torch.Tensor:
        chroma = rgb_to_chroma(torch.from_numpy(signal()).movedim(2, 0)[None] / 255)
        return F.interpolate(chroma, (16, 24), mode="area")


def signal(height: int = 160, width: int = 240) -> np.ndarray:
    """A bright yellow disc on dark blue."""
    y, x = np.mgrid[:height, :width] / [[[height]], [[width]]]
    inside = (x - 0.4) ** 2 + (y - 0.5) ** 2 < 0.05
    return np.where(inside[..., None], [220, 190, 60], [30, 40, 110]).astype(np.uint8)


@pytest.mark.parametrize("side", [4096, 120])
def test_colors_end_at_outlines(side, lite, monkeypatch):
    """Also in a still that is larger than its guide."""
    monkeypatch.setattr(arrays, "GUIDE_SIDE", side)
    gray = np.repeat(np.rint(luma(signal())).astype(np.uint8)[..., None], 3, axis=2)
    off = {}
    for edges in EDGES:
        settings = RenderSettings(render_factor=4, precision="fp32")
        got = colorize_array(gray, Knowing(lite.generator, settings, device="cpu"), edges=edges)
        off[edges] = np.abs(got.astype(int) - signal()).mean()
    assert off["guided"] < 0.5 * off["bilinear"]


def test_saturation_and_hue(unet, lite):
    rgb = tinted()
    gray = colorize_array(rgb, colorizer_of(unet, saturation=0.0))
    assert np.abs(gray - luma(rgb)[..., None]).max() <= 1
    plain = colorfulness(colorize_array(rgb, colorizer_of(unet)))
    assert colorfulness(colorize_array(rgb, colorizer_of(unet, saturation=0.5))) < 0.7 * plain

    turned = Colorizer(
        lite.generator, RenderSettings(render_factor=4, precision="fp32", hue=180), device="cpu"
    )
    there, back = colorize_array(rgb, lite), colorize_array(rgb, turned)
    assert np.abs((there.astype(float) + back) / 2 - luma(rgb)[..., None]).mean() < 1


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp"])
def test_formats(suffix, lite, tmp_path):
    source, target = tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"
    Image.fromarray(tinted()).save(source)
    colorize_image(source, target, lite)
    with Image.open(source) as before, Image.open(target) as after:
        assert after.format == before.format
        assert after.size == before.size
        got, want = np.asarray(after), np.asarray(before)
    assert colorfulness(got) > 0.1
    assert np.abs(luma(got) - luma(want)).mean() < 1.5
    assert sorted(path.name for path in tmp_path.iterdir()) == [source.name, target.name]


def test_jpeg_keeps_full_chroma_resolution(lite, tmp_path):
    Image.fromarray(scene()).save(tmp_path / "a.png")
    colorize_image(tmp_path / "a.png", tmp_path / "b.jpg", lite)
    with Image.open(tmp_path / "b.jpg") as image:
        assert JpegImagePlugin.get_sampling(image) == 0  # 4:4:4


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_orientation(orientation, suffix, lite, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = orientation
    source, target = tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"
    Image.fromarray(tinted(40, 60)).save(source, exif=exif)
    colorize_image(source, target, lite)
    with Image.open(source) as before, Image.open(target) as after:
        upright = ImageOps.exif_transpose(before).convert("RGB")
        assert after.getexif().get(0x0112, 1) == 1
        assert after.size == upright.size
        assert np.abs(luma(np.asarray(after)) - luma(np.asarray(upright))).mean() < 1.5


@pytest.mark.parametrize(
    ("suffix", "depth"),
    [(".jpg", 8), (".png", 8), (".tif", 8), (".webp", 8), (".png", 16), (".tif", 16)],
)
def test_metadata(suffix, depth, lite, tmp_path):
    exif = Image.Exif()
    exif[271], exif[315], exif[33432] = "Kodak", "Anna", "1932 Anna"
    exif.get_ifd(0x8769)[36867] = "1932:05:01 10:00:00"
    kept = {"exif": exif.tobytes(), "icc_profile": SRGB, "dpi": (300, 300)}
    source, target = tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"
    if depth == 8:
        Image.fromarray(tinted()).save(source, **kept)
    else:
        Image.fromarray(scene(depth=16)).save(source, **kept)
    colorize_image(source, target, lite)
    with Image.open(target) as after:
        assert after.getexif()[315] == "Anna"
        assert after.getexif()[33432] == "1932 Anna"
        assert after.getexif().get_ifd(0x8769)[36867] == "1932:05:01 10:00:00"
        assert after.info["icc_profile"] == SRGB
        if suffix != ".webp":  # which has no place for it
            assert after.info["dpi"] == pytest.approx((300, 300), abs=0.1)
        after.load()


def test_gray_profile_is_not_put_on_a_color_picture(lite, tmp_path):
    profile = SRGB[:16] + b"GRAY" + SRGB[20:]
    Image.fromarray(scene()).save(tmp_path / "a.png", icc_profile=profile)
    colorize_image(tmp_path / "a.png", tmp_path / "b.png", lite)
    with Image.open(tmp_path / "b.png") as after:
        assert "icc_profile" not in after.info


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("makes_rgb", [True, False])
def test_16_bits(channels, suffix, makes_rgb, lite, unet, tmp_path):
    rgb = tinted(150, 70, depth=16)  # more rows than a strip of the TIFF
    alpha = np.linspace(0, 65535, 150 * 70).reshape(150, 70).astype(np.uint16)
    pixels = {1: rgb[..., 0], 3: rgb, 4: np.dstack([rgb, alpha])}[channels]
    source, target = tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"
    write_16_bits(source, pixels)
    colorize_image(source, target, colorizer_of(unet, saturation=0.3) if makes_rgb else lite)

    got = read(target)
    assert got.dtype == np.uint16
    want = luma(np.dstack([pixels] * 3) if channels == 1 else rgb)
    inside = (got[..., :3] > 0).all(-1) & (got[..., :3] < 65535).all(-1)
    assert inside.mean() > 0.5
    # DeOldify's matrices are rounded to four digits: a 16-bit luma shows it, 8 bits do not.
    error = np.abs(luma(got[..., :3]) - want)[inside].max()
    assert error <= (40 if makes_rgb else 2)
    assert colorfulness(got[..., :3]) > 0.02
    assert got.shape[2] == (4 if channels == 4 else 3)
    if channels == 4:
        assert np.array_equal(got[..., 3], alpha)
    with Image.open(target) as image:  # a second reader agrees
        image.load()
        assert np.abs(np.asarray(image)[..., :3].astype(int) - got[..., :3] // 256).max() <= 1


def test_16_bits_become_8_where_the_format_has_no_more(lite, tmp_path):
    write_16_bits(tmp_path / "a.tif", scene(depth=16))
    colorize_image(tmp_path / "a.tif", tmp_path / "b.jpg", lite)
    with Image.open(tmp_path / "b.jpg") as after:
        assert np.abs(luma(np.asarray(after)) - scene(depth=16) / 257).mean() < 2


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK", "YCbCr"])
def test_other_modes(mode, lite, tmp_path):
    image = Image.fromarray(tinted()).convert(mode)
    image.save(tmp_path / "a.tif")
    colorize_image(tmp_path / "a.tif", tmp_path / "b.tif", lite)
    with Image.open(tmp_path / "b.tif") as after:
        got = np.asarray(after)
    want = luma(np.asarray(image.convert("RGB")))
    # Black and white cannot take color on without clipping; the mid-tones show the luma.
    inside = (got > 0).all(-1) & (got < 255).all(-1)
    assert np.abs(luma(got) - want)[inside].max(initial=0) < 1
    assert colorfulness(got) > 0.02


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA"])
def test_alpha(mode, lite, tmp_path):
    alpha = np.linspace(0, 255, 60 * 90).reshape(60, 90).astype(np.uint8)
    if mode == "PA":  # a palette with transparent entries
        image = Image.fromarray(scene()).quantize(16)
        image.save(tmp_path / "a.png", transparency=bytes(range(0, 160, 10)))
    else:
        image = Image.fromarray(np.dstack([tinted(), alpha])).convert(mode)
        image.save(tmp_path / "a.png")
    colorize_image(tmp_path / "a.png", tmp_path / "b.png", lite)
    with Image.open(tmp_path / "a.png") as before, Image.open(tmp_path / "b.png") as after:
        want = np.asarray(before.convert("RGBA"))[..., 3]
        assert len(np.unique(want)) > 3
        assert np.array_equal(np.asarray(after)[..., 3], want)
        assert colorfulness(np.asarray(after)[..., :3]) > 0.1
    with pytest.raises(MediaError, match="transparency"):
        colorize_image(tmp_path / "a.png", tmp_path / "b.jpg", lite)
    assert not (tmp_path / "b.jpg").exists()


def bomb(path: Path) -> None:
    """A PNG that says it has 900 megapixels."""
    Image.new("L", (1, 1)).save(path)
    data = bytearray(path.read_bytes())
    data[16:24] = (30_000).to_bytes(4, "big") * 2
    data[29:33] = zlib.crc32(bytes(data[12:29])).to_bytes(4, "big")
    path.write_bytes(data)


def cut_short(path: Path) -> None:
    write_16_bits(path, scene(depth=16))
    path.write_bytes(path.read_bytes()[:2000])


def several(path: Path) -> None:
    page = Image.fromarray(scene())
    page.save(path, "TIFF", save_all=True, append_images=[page])


def floats(path: Path) -> None:
    Image.fromarray(scene().astype(np.float32)).save(path, "TIFF")


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (bomb, "too large"),
        (cut_short, "save it again"),
        (several, "several pictures"),
        (floats, "32 bits"),
        (lambda path: path.write_text("<html>"), "is not a jpg, png, tif or webp"),
        (lambda path: path.write_bytes(b""), "is not a jpg, png, tif or webp"),
        (lambda path: path.mkdir(), "cannot read"),
        (lambda path: None, "does not exist"),
    ],
)
def test_unreadable_stills(make, says, lite, tmp_path):
    source = tmp_path / "a.png"
    make(source)
    with pytest.raises(MediaError, match=says) as error:
        colorize_image(source, tmp_path / "b.png", lite)
    assert str(source) in str(error.value)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "b.png").exists()


def test_targets_that_cannot_be(lite, tmp_path):
    source = tmp_path / "a.png"
    Image.fromarray(scene()).save(source)
    before = source.read_bytes()
    (tmp_path / "link.png").symlink_to(source)
    for target, says in [
        (source, "source itself"),
        (tmp_path / "link.png", "source itself"),
        (tmp_path / "b.gif", "use one of"),
        (tmp_path / "none" / "b.png", "cannot write"),
    ]:
        with pytest.raises(MediaError, match=says):
            colorize_image(source, target, lite)
    assert source.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 2
