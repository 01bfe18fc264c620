"""A straightforward pipeline as the peers have it, to compare with; written for this.

Every frame becomes a file, is read, resized, colored alone in fp32 by the network as it was
trained, merged by OpenCV at full size, and written to another file, of which ffmpeg makes a film.
"""

from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image
from torch.nn import functional as F

from vidcolor.bench.films import from_pictures, to_pictures
from vidcolor.chroma import matrices
from vidcolor.models.network import ChromaGenerator, Generator, RgbGenerator


@torch.inference_mode()
def color_frames(
    film: Path, target: Path, network: Generator, factor: int, folder: Path, preset: str
) -> None:
    """folder: empty, for the files of frames."""
    before, after = folder / "before", folder / "after"
    before.mkdir()
    after.mkdir()
    to_pictures(film, before)
    for path in sorted(before.iterdir()):
        picture = np.asarray(Image.open(path).convert("L"))
        size = network.input_size(16 * factor, picture.shape[1], picture.shape[0])
        small = Image.fromarray(picture).resize(size, Image.Resampling.BILINEAR)
        luma = torch.from_numpy(np.array(small))[None, None].float() / 255
        chroma = F.interpolate(_chroma(network, luma), picture.shape, mode="bilinear")
        codes = (128 + 255 * chroma[0]).round().clamp(0, 255).byte().numpy()
        merged = np.stack([picture, codes[1], codes[0]], 2)
        cv2.imwrite(str(after / path.name), cv2.cvtColor(merged, cv2.COLOR_YCrCb2BGR))
    from_pictures(after, target, preset)


def _chroma(network: Generator, luma: torch.Tensor) -> torch.Tensor:
    if isinstance(network, RgbGenerator):
        return matrices.rgb_to_chroma(network.rgb(luma))
    assert isinstance(network, ChromaGenerator)
    return network.chroma(luma).float()
