"""The networks, at a small width, against frozen answers and against their definition."""

from dataclasses import replace

import pytest
import tiny
import torch
from torch import Tensor

from vidcolor.models.critic import Critic
from vidcolor.models.layers import SelfAttention, ShuffleUp
from vidcolor.models.unet import DEEP, WIDE, UNet
from vidcolor.weights.checkpoint import load_critic, load_generator


@pytest.fixture(scope="module", params=tiny.GENERATORS)
def generator(request, tmp_path_factory) -> UNet:
    path = tmp_path_factory.mktemp("tiny") / "generator.pth"
    network = load_generator(tiny.save(path, tiny.tensors(request.param)))
    assert isinstance(network, UNet)
    assert network.name == request.param
    return network


@pytest.fixture(scope="module")
def critic(tmp_path_factory) -> Critic:
    path = tmp_path_factory.mktemp("tiny") / "critic.pth"
    return load_critic(tiny.save(path, tiny.tensors("critic")))


@pytest.mark.parametrize("size", [32, 48])  # 48 / 32 is not whole
def test_generator_answers_as_it_always_did(size, generator):
    want = tiny.answer(generator.name, size)
    assert want.std() > 0.5
    torch.testing.assert_close(generator(tiny.question(size)), want, atol=1e-4, rtol=0)


@pytest.mark.parametrize("size", [96, 128])
def test_critic_answers_as_it_always_did(size, critic):
    want = tiny.answer("critic", size)
    assert want.shape == (1, (size // 16 - 3) ** 2)
    assert want.std() > 0.01
    torch.testing.assert_close(critic(tiny.question(size)), want, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("height", "width"), [(16, 16), (64, 112), (80, 32)])
def test_any_multiple_of_16_will_do(height, width, generator):
    colors = generator(tiny.question(128)[..., :height, :width])
    assert colors.shape == (1, 3, height, width)
    assert colors.abs().max() < 3


def test_a_picture_looks_the_same_in_any_batch(generator):
    pictures = torch.cat([tiny.question(48), -tiny.question(48), tiny.question(48).flip(3)])
    alone = torch.cat([generator(picture[None]) for picture in pictures])
    torch.testing.assert_close(generator(pictures), alone, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("dtype", "limit"), [(torch.float32, 1e-4), (torch.float16, 0.03), (torch.bfloat16, 0.2)]
)
def test_channels_last_and_half_precision_stay_close(dtype, limit, generator):
    network = UNet(generator.shape).eval().requires_grad_(False)
    network.load_state_dict(generator.state_dict())
    network.to(dtype).to(memory_format=torch.channels_last)
    picture = tiny.question(48).to(dtype).contiguous(memory_format=torch.channels_last)
    got = network(picture)
    assert got.dtype == dtype
    assert (got.float() - tiny.answer(generator.name, 48)).abs().max() < limit


@pytest.mark.parametrize(
    ("make", "trainable", "weight_norm"),
    [
        (lambda: UNet(DEEP), 63_646_881, 1200),
        (lambda: UNet(WIDE), 218_222_197, 1024),
        (lambda: Critic(), 94_555_649, 0),
    ],
)
def test_full_width_has_deoldifys_parameters(make, trainable, weight_norm):
    """All but the lengths that weight norm keeps apart, which are folded into their weight."""
    with torch.device("meta"):
        network = make()
    assert sum(p.numel() for p in network.parameters()) == trainable - weight_norm


def test_every_parameter_can_learn(generator, critic):
    for network in (UNet(generator.shape), Critic(critic.shape)):
        network.train()
        out = network(torch.cat([tiny.question(96), -tiny.question(96)]))
        out.square().mean().backward()
        for name, parameter in network.named_parameters():
            # Attention starts switched off: gamma is 0.
            if ".attention." not in name or name.endswith("gamma"):
                assert parameter.grad is not None, name
                assert parameter.grad.abs().max() > 0, name


def test_dropout_is_for_training_only(critic):
    network = Critic(critic.shape)
    picture = tiny.question(96)
    assert not torch.equal(network(picture), network(picture))
    network.eval()
    assert torch.equal(network(picture), network(picture))


def test_attention_is_the_unscaled_softmax_over_queries():
    torch.manual_seed(1)
    attention = SelfAttention(16)
    attention.gamma.data.fill_(0.7)
    x = torch.randn(2, 16, 3, 5)

    def project(weight: Tensor) -> Tensor:
        return torch.einsum("oi,bin->bon", weight[..., 0], x.flatten(2))

    query, key, value = (
        project(getattr(attention, name).weight) for name in ("query", "key", "value")
    )
    shares = torch.einsum("bci,bcj->bij", query, key).softmax(dim=1)
    want = x + 0.7 * torch.einsum("bci,bij->bcj", value, shares).view_as(x)
    torch.testing.assert_close(attention(x), want)


def test_upsampling_blurs_towards_the_bottom_right():
    """Each pixel is the mean of itself and its neighbors above and to the left."""
    up = ShuffleUp(4, 1, norm=False)
    up.load_state_dict({"conv.weight": torch.eye(4)[..., None, None], "conv.bias": torch.zeros(4)})
    x = torch.tensor([[1.0, 2.0, 3.0, 4.0]]).view(1, 4, 1, 1)
    assert up(x).flatten().tolist() == [1.0, 1.5, 2.0, 2.5]


@pytest.mark.parametrize("shape", [DEEP, WIDE], ids=["deep", "wide"])
def test_what_makes_a_network_faster_on_a_gpu_changes_no_color(shape):
    narrow = replace(shape, widths=(8, 8, 16, 16), ups=(16, 24, 24, 20), decoder=(32, 32, 24, 12))
    torch.manual_seed(0)
    network = UNet(narrow).eval()
    for name, values in network.state_dict().items():
        if name.endswith(("running_mean", "norm.bias", "bn1.bias", "bn2.bias", "bn3.bias")):
            values.normal_(0, 0.2)
        elif name.endswith("running_var"):
            values.uniform_(0.5, 1.5)
    finished = network.for_tensor_cores()
    luma = torch.rand(2, 1, 48, 48)
    with torch.inference_mode():
        want, made = network.rgb(luma), finished.rgb(luma)
    torch.testing.assert_close(made, want, atol=1e-5, rtol=0)
    assert torch.equal(network.rgb(luma), want)  # it is a copy
    norms = [
        sum(isinstance(part, torch.nn.BatchNorm2d) for part in one.modules())
        for one in (network, finished)
    ]
    assert norms[1] < norms[0] / 3
    assert finished.head.in_channels % 8 == 0 != network.head.in_channels % 8
