"""Networks that know ImageNet, fetched from a server on this context, and their substitutes."""

from hashlib import sha256

import numpy as np
import pytest
import torch
from torch import nn

from vidcolor.errors import WeightsError
from vidcolor.models.critic import Critic, CriticShape
from vidcolor.models.unet import DEEP
from vidcolor.nogan import imagenet
from vidcolor.nogan.augment import _light, plain
from vidcolor.nogan.distributed import DistributedContext
from vidcolor.nogan.features import LiteFeatures, shrunk_covariance, shrunk_frechet
from vidcolor.nogan.losses import FeatureLoss
from vidcolor.nogan.norms import fold
from vidcolor.nogan.photos import load_photos, middles
from vidcolor.nogan.settings import Augment, Content
from vidcolor.nogan.unet_trainer import DeepTrainer, UNetSettings, UNetTrainer, slim

FILE = b"not really a network"
CPU = DistributedContext(device=torch.device("cpu"), dtype=torch.float32)


@pytest.fixture
def origin(monkeypatch, tmp_path, served):
    """A served folder, and an empty one to download into."""
    folder, address = served
    weights = tmp_path / "weights"
    monkeypatch.setenv("VIDCOLOR_WEIGHTS", str(weights))
    monkeypatch.setattr(imagenet, "ORIGIN", address)
    return folder, weights


@pytest.fixture
def vgg(monkeypatch):
    """The name of the VGG's file, as if FILE were it."""
    name = f"vgg-{sha256(FILE).hexdigest()[:8]}.pth"
    monkeypatch.setitem(imagenet.FILES, "vgg", name)
    return name


def test_a_network_is_downloaded_once(origin, vgg):
    served, weights = origin
    (served / vgg).write_bytes(FILE)
    assert imagenet.fetch("vgg") == weights / vgg
    (served / vgg).unlink()
    assert imagenet.fetch("vgg").read_bytes() == FILE


@pytest.mark.parametrize("content", [b"something else", FILE[:5], None])
def test_a_wrong_or_missing_file_is_told_in_one_line(origin, vgg, content):
    served, weights = origin
    if content is not None:
        (served / vgg).write_bytes(content)
    with pytest.raises(WeightsError, match=f"cannot download {vgg} .*; put http://.* into") as told:
        imagenet.fetch("vgg")
    assert "\n" not in str(told.value)
    assert not [path for path in weights.iterdir() if not path.name.startswith(".")]


def test_a_file_that_was_damaged_later(origin, vgg):
    _, weights = origin
    weights.mkdir()
    (weights / vgg).write_bytes(FILE[:5])
    with pytest.raises(WeightsError, match="is damaged; delete it"):
        imagenet.fetch("vgg")


def test_what_stands_in_for_a_vgg_that_cannot_be_had(origin):
    assert imagenet.feature_loss(Content(features="vgg", fallback="none")) is None
    assert imagenet.feature_loss(Content(features="vgg", fallback="critic")) is None
    with pytest.raises(WeightsError, match="change the recipe"):
        imagenet.feature_loss(Content(features="vgg", fallback="stop"))


def losses(trainer: UNetTrainer) -> tuple[float, float]:
    """Of the photo itself, and of a picture that is wrong in color."""
    crops = torch.randint(0, 256, (1, 3, 64, 64), generator=torch.Generator().manual_seed(0))
    sample = plain(crops)
    right = trainer.photo(sample)
    wrong = right.flip(1).requires_grad_()
    loss = trainer.loss(wrong, sample)
    loss.backward()
    assert wrong.grad is not None and wrong.grad.abs().sum() > 0
    return trainer.loss(right, sample).item(), loss.item()


@pytest.mark.parametrize("fallback", ["critic", "none"])
def test_the_critic_sees_what_is_wrong_in_place_of_the_vgg(fallback):
    content = Content(pixels=0.1, features="vgg", fallback=fallback)
    settings = UNetSettings(architecture="deep", shrink=32)
    trainer = DeepTrainer(settings, content, CPU, None, None)
    before = losses(trainer)
    trainer.use_critic_features(Critic(CriticShape(width=8, blocks=2)))
    after = losses(trainer)
    assert before[0] == after[0] == 0
    if fallback == "critic":
        assert after[1] > before[1] + 0.1
    else:
        assert after == before


def test_a_vgg_that_is_there_stays():
    content = Content(features="vgg", fallback="critic")
    vgg = FeatureLoss(nn.Sequential(nn.Identity()), content.weights)
    trainer = DeepTrainer(UNetSettings(architecture="deep", shrink=32), content, CPU, vgg, None)
    trainer.use_critic_features(Critic(CriticShape(width=8, blocks=1)))
    assert trainer.features is vgg


@pytest.mark.parametrize("shrink", [2, 32])
def test_reduced_networks_keep_out_of_a_broken_kernel(shrink):
    """Below 16 channels oneDNN's backward pass of strided 1x1 convolutions damages memory."""
    shape = slim(DEEP, shrink)
    assert min(*shape.widths, *shape.ups, *shape.decoder) >= 16
    assert slim(DEEP, 1) == DEEP


def test_new_weights_are_drawn_as_deoldify_draws_them():
    """ICNR: the four pixels of each shuffle begin alike; norms outside the encoder have 1e-3."""
    torch.manual_seed(0)
    settings = UNetSettings(architecture="deep", shrink=4)
    network = fold(DeepTrainer(settings, Content(), CPU, None, None).network)
    for block in network.blocks:
        weight = block.get_submodule("up.conv").get_parameter("weight")
        for other in (1, 2, 3):
            torch.testing.assert_close(weight[::4], weight[other::4])
        assert block.get_submodule("skip_norm").get_parameter("bias").unique().tolist() == [
            pytest.approx(1e-3)
        ]
    assert not network.encoder.bn1.bias.any()
    first = network.encoder.layer3[1].get_submodule("conv1").get_parameter("weight")
    assert first.std().item() == pytest.approx((2 / first[0].numel()) ** 0.5, rel=0.05)
    assert all(not p.any() for n, p in network.named_parameters() if n.endswith("conv.bias"))


def test_brightness_comes_before_contrast(monkeypatch):
    """As in fastai: a shift by b and a scale by c give (x + b) * c, in logits."""
    drawn = iter([0.7, -1.0, 0.0])  # shift, logarithm of the scale as a share, whether it is lit
    monkeypatch.setattr(
        "vidcolor.nogan.augment.uniform",
        lambda count, low, high, random: torch.full((count, 1, 1, 1), next(drawn)),
    )
    luma, chroma = torch.full((1, 1, 2, 2), 0.6), torch.zeros(1, 2, 2, 2)
    lit, _ = _light(luma, chroma, Augment(lighting=0.5), torch.Generator())
    wanted = torch.sigmoid((torch.tensor(0.6).logit() + torch.tensor(0.7).logit()) * 0.5)
    assert lit.mean().item() == pytest.approx(wanted.item(), abs=1e-3)


@pytest.fixture(scope="module")
def lite_features():
    return LiteFeatures(torch.device("cpu"))


def test_fixed_features_see_colors_move_to_wrong_places(photo_folder, lite_features):
    """Zero for the photos themselves; the farther the colors are off, the larger."""
    photos = load_photos([photo_folder], smallest=32)
    sample = plain(middles(photos, 10, 64))
    real = lite_features(sample.rgb())

    def distance(factor: float, turn: bool) -> float:
        chroma = factor * (sample.chroma.flip(1) if turn else sample.chroma)
        return shrunk_frechet(lite_features(sample._replace(chroma=chroma).rgb()), real)

    right, paler, gray = (distance(factor, False) for factor in (1, 0.6, 0))
    swapped = distance(1, True)
    assert right == pytest.approx(0, abs=1e-6)
    assert 0.05 < paler < gray and swapped > 0.05


def test_few_photos_give_covariances_of_full_rank():
    """Fewer photos than features; with many it is the covariance itself."""
    random = np.random.default_rng(0)
    few = random.normal(size=(20, 48)) * np.linspace(0.1, 2, 48)
    assert np.linalg.matrix_rank(np.cov(few.T)) < 48
    assert np.linalg.matrix_rank(shrunk_covariance(few)) == 48
    many = random.normal(size=(20_000, 8)) * np.linspace(0.1, 2, 8)
    assert np.allclose(shrunk_covariance(many), np.cov(many.T), atol=0.01)
    assert np.isfinite(shrunk_frechet(few[:2], few[2:4]))
    assert np.isnan(shrunk_frechet(np.full((3, 4), np.nan), np.zeros((3, 4))))
