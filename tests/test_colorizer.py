"""The colorizer: shapes, batches, memory, settings."""

import pytest
import tiny
import torch

from vidcolor.chroma import matrices
from vidcolor.errors import DeviceError, VidcolorError, WeightsError
from vidcolor.inference.colorizer import Colorizer
from vidcolor.inference.device import precision_name
from vidcolor.inference.settings import RenderSettings
from vidcolor.models.lite import ResidualLite
from vidcolor.weights.checkpoint import load_generator


@pytest.fixture
def generator():
    """A `lite` with random weights and a palette of random colors."""
    torch.manual_seed(0)
    lite = ResidualLite().eval()
    lite.palette.uniform_(-0.3, 0.3)
    return lite


def colorizer(generator, **settings):
    return Colorizer(generator, RenderSettings(precision="fp32", **settings), device="cpu")


def luma(frames, size=(96, 64)):
    width, height = size
    return torch.randint(0, 256, (frames, 1, height, width), dtype=torch.uint8)


def test_luma_size_keeps_proportions_and_area(generator):
    wide = colorizer(generator, render_factor=16).luma_size(1920, 1080)
    assert wide == (352, 192)
    assert colorizer(generator, render_factor=16).luma_size(64, 64) == (256, 256)


def test_the_result_does_not_depend_on_the_batch_size(generator):
    frames = luma(5)
    whole = colorizer(generator, batch_size=5).chroma(frames)
    single = colorizer(generator, batch_size=1).chroma(frames)
    assert whole.shape == (5, 2, 16, 24)
    torch.testing.assert_close(whole, single, atol=1e-5, rtol=0)


def test_out_of_memory_halves_the_batch_and_loses_no_frame(generator, monkeypatch):
    frames = luma(7)
    expected = colorizer(generator, batch_size=7).chroma(frames)
    small = colorizer(generator, batch_size=6)
    forward = small.generator.forward

    def cramped(batch):
        if len(batch) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(batch)

    monkeypatch.setattr(small.generator, "forward", cramped)
    torch.testing.assert_close(small.chroma(frames), expected, atol=1e-5, rtol=0)
    assert small.batch_size <= 2


@pytest.mark.parametrize("step", ["trim", "rgb_to_chroma"])
def test_out_of_memory_after_the_network_halves_the_batch_too(step, tmp_path, monkeypatch):
    unet = load_generator(tiny.save(tmp_path / "weights.pth", tiny.tensors("wide")))
    settings = RenderSettings(precision="fp32", render_factor=4, batch_size=6, saturation=0.5)
    small = Colorizer(unet, settings, device="cpu")
    frames = luma(7, (64, 64))
    want = small.chroma(frames)
    original = getattr(matrices, step)

    def cramped(planes, *arguments):
        if len(planes) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return original(planes, *arguments)

    monkeypatch.setattr(matrices, step, cramped)
    torch.testing.assert_close(small.chroma(frames), want, atol=0.01, rtol=0)
    assert small.batch_size <= 2


def test_weights_that_do_not_fit_say_what_does(generator, monkeypatch):
    def full(*arguments, **options):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(torch.Tensor, "to", full)
    with pytest.raises(DeviceError, match="lite does not fit into the memory of cpu"):
        Colorizer(generator, device=torch.device("cpu"))


def test_a_frame_that_does_not_fit_names_a_render_factor_that_does(generator, monkeypatch):
    large = colorizer(generator, render_factor=20)
    forward = large.generator.forward

    def cramped(batch):
        if batch.shape[-1] * batch.shape[-2] > (16 * 14) ** 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(batch)

    monkeypatch.setattr(large.generator, "forward", cramped)
    with pytest.raises(DeviceError, match="--render-factor 13 does"):
        large.chroma(luma(1, large.luma_size(1, 1)))


def test_another_error_is_not_taken_for_lack_of_memory(generator, monkeypatch):
    def broken(batch):
        raise RuntimeError("shapes differ")

    monkeypatch.setattr(generator, "forward", broken)
    with pytest.raises(RuntimeError, match="shapes differ"):
        colorizer(generator, batch_size=4).chroma(luma(4))


def test_saturation_and_hue(generator):
    frames = luma(1)
    plain = colorizer(generator).chroma(frames)
    assert torch.equal(colorizer(generator, saturation=0.0).chroma(frames), torch.zeros_like(plain))
    turned = colorizer(generator, hue=180.0).chroma(frames)
    torch.testing.assert_close(turned, -plain, atol=1e-6, rtol=0)


def test_a_device_that_is_not_there(generator):
    with pytest.raises(DeviceError, match="--device cpu"):
        Colorizer(generator, device="nonsense")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"render_factor": 3}, "render factor 3 is out of range; use 4 to 64"),
        ({"precision": "fp8"}, "use one of auto, fp32, fp16, bf16"),
        ({"batch_size": 0}, "use 1 or more"),
        ({"saturation": -1.0}, "use 0 or more"),
    ],
)
def test_settings_out_of_range(settings, words):
    with pytest.raises(VidcolorError, match=words):
        RenderSettings(**settings)


def test_a_generator_is_not_changed_by_the_colorizers_that_use_it(generator):
    frames = luma(1)
    first = colorizer(generator)
    want = first.chroma(frames)
    second = Colorizer(generator, RenderSettings(precision="bf16"), device="cpu")
    second.chroma(frames)
    assert {parameter.dtype for parameter in generator.parameters()} == {torch.float32}
    assert torch.equal(first.chroma(frames), want)


def test_other_settings_share_the_network(generator):
    one = colorizer(generator, render_factor=8)
    other = one.with_settings(RenderSettings(precision="fp32", render_factor=16, saturation=0.0))
    assert other.generator is one.generator
    assert (one.render_size, other.render_size) == (128, 256)
    assert not other.chroma(luma(1)).any()
    assert one.chroma(luma(1)).any()
    half = one.with_settings(RenderSettings(precision="bf16"))
    assert (one.dtype, half.dtype) == (torch.float32, torch.bfloat16)


def overflowing(generator):
    """The generator with channels that fp16 cannot hold."""
    for name in ("weight", "bias"):
        getattr(generator.stem[1][1], name).data.mul_(1e5)
    return generator


def test_numbers_that_are_not_finite_widen_the_precision_and_it_is_said_once(generator):
    frames, notes = luma(3), []
    half = Colorizer(
        overflowing(generator),
        RenderSettings(precision="fp16", batch_size=2),
        device="cpu",
        on_note=notes.append,
    )
    got = half.chroma(frames)
    wide = Colorizer(generator, RenderSettings(precision=precision_name(half.dtype)), device="cpu")
    assert half.dtype in (torch.bfloat16, torch.float32)
    torch.testing.assert_close(got, wide.chroma(frames), atol=1e-3, rtol=0)
    half.chroma(frames)
    (note,) = notes
    assert "fp16 gave numbers that are not finite" in note


@pytest.mark.parametrize("factor", [1e30, float("nan")])
def test_weights_that_give_no_finite_colors_are_an_error(generator, factor):
    for parameter in generator.parameters():
        parameter.data.mul_(factor)
    with pytest.raises(WeightsError, match="no finite colors"):
        colorizer(generator).chroma(luma(2))


def test_an_overflow_in_a_network_of_deoldify_is_not_taken_for_a_color(tmp_path):
    """Its last step is a sigmoid, which makes white or black of infinity."""
    tensors = tiny.tensors("deep")
    tensors["layers.11.0.bias"] += 1e7
    unet = load_generator(tiny.save(tmp_path / "weights.pth", tensors))
    settings = RenderSettings(precision="fp16", render_factor=4)
    half = Colorizer(unet, settings, device="cpu", on_note=lambda note: None)
    assert half.chroma(luma(1, (64, 64))).isfinite().all()
    assert half.dtype != torch.float16
