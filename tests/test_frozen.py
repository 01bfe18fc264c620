"""Colors by the standards (make_color.py), and DeOldify's arithmetic on small networks, step by
step (make_tiny.py).

`pytest -s tests/test_frozen.py` prints how close we are. tests/test_oracle.py does the same with
the original's own numbers, where they are at hand.
"""

import json
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from parity import close, exact

from vidcolor.arrays import colorize_array
from vidcolor.chroma import matrices, opencv_yuv
from vidcolor.models.unet import UNet
from vidcolor.weights.checkpoint import load_generator


@pytest.mark.parametrize("render_factor", tiny.RENDER_FACTORS)
@pytest.mark.parametrize("name", tiny.GENERATORS)
def test_a_still_is_made_as_it_always_was(name, render_factor, tmp_path):
    network = load_generator(tiny.save(tmp_path / "tiny.pth", tiny.tensors(name)))
    assert isinstance(network, UNet)
    colorizer = exact(network, render_factor)
    final = colorize_array(tiny.picture(), colorizer, edges="bilinear")

    def want(step: str) -> np.ndarray:
        return tiny.step(name, render_factor, step)

    title = f"{name} at {render_factor}"
    close(f"{title}, gray square", colorizer.gray.numpy(), want("square"), 0, 0)
    close(f"{title}, square", colorizer.painted.numpy(), want("painted"), 1, 0.002)
    close(f"{title}, final", final, want("final"), 3, 0.002)
    assert want("final").reshape(-1, 3).std(axis=1).max() > 20  # it is in color


COLORS = json.loads((Path(__file__).parent / "frozen" / "color.json").read_text("utf-8"))


@pytest.mark.parametrize("matrix", matrices.RED_AND_BLUE)
@pytest.mark.parametrize("full_range", [False, True], ids=["limited", "full"])
def test_colors_get_the_codes_of_the_standard(matrix, full_range):
    rows = [(row["rgb"], row[matrix]["full" if full_range else "limited"]) for row in COLORS]
    rows = [(rgb, want) for rgb, want in rows if want]
    assert len(rows) > 45
    picture = torch.tensor([rgb for rgb, _ in rows]).T[None, :, :, None] / 255
    chroma = matrices.between_matrices(matrices.rgb_to_chroma(picture), matrix)
    got = matrices.to_codes(chroma, full_range)[0, :, :, 0].T
    assert got.tolist() == [want for _, want in rows]


def test_opencvs_yuv_in_whole_numbers():
    picture = torch.tensor([row["rgb"] for row in COLORS]).T[None, :, :, None]
    yuv = torch.cat(
        [opencv_yuv.half_up(opencv_yuv.luma(picture)), opencv_yuv.uv(picture) + 128], dim=1
    )
    assert yuv[0, :, :, 0].T.int().tolist() == [row["opencv"] for row in COLORS]
