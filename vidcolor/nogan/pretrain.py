"""Pretraining of `lite`: photos in, a safetensors file out; can be stopped and resumed."""

import copy
import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from vidcolor.models.lite import SCALE, Lite, LiteShape
from vidcolor.nogan.palette import Palette
from vidcolor.nogan.photos import Crops, Photos
from vidcolor.nogan.recipe import Recipe
from vidcolor.nogan.wear import wear

SAVE_EVERY = 250
"""Steps between checkpoints."""


def pretrain(
    recipe: Recipe,
    photos: Photos,
    run: Path,
    *,
    device: torch.device,
    compiled: bool = False,
    on_step: Callable[[int, float, float], None] = lambda step, loss, rate: None,
) -> Lite:
    """Train `lite` on photos and return its averaged weights, ready to use.

    The folder `run` gets `log.jsonl` and `checkpoint.pt`, from which a later call goes on.
    `compiled` needs a C++ compiler at hand and trains about a third faster on a CPU.
    on_step(step, loss, crops per second) is called after every step.
    """
    torch.manual_seed(recipe.seed)
    palette = Palette.of(photos.pictures, LiteShape().bins)
    generator = Lite()
    generator.palette.copy_(palette.centers)
    generator.to(device).to(memory_format=torch.channels_last)
    average = copy.deepcopy(generator).eval()
    optimizer = torch.optim.AdamW(
        weight_groups(generator, recipe.weight_decay), lr=recipe.max_learning_rate
    )
    crops = Crops(photos, recipe.crop, recipe.seed)
    random = torch.Generator().manual_seed(recipe.seed)
    rarity = palette.rarity(recipe.rebalance).to(device)

    run.mkdir(parents=True, exist_ok=True)
    checkpoint = run / "checkpoint.pt"
    first = 0
    if checkpoint.exists():
        state = torch.load(checkpoint, map_location=device, weights_only=True)
        generator.load_state_dict(state["generator"])
        average.load_state_dict(state["average"])
        optimizer.load_state_dict(state["optimizer"])
        random.set_state(state["random"].cpu())
        crops.random.bit_generator.state = json.loads(state["crops"])
        first = state["step"]

    logits_of, loss_of = generator.logits, classification_loss
    if compiled:
        logits_of, loss_of = torch.compile(logits_of), torch.compile(loss_of)

    started, done = time.monotonic(), 0
    for step in range(first, recipe.steps):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, recipe)
        luma, chroma = prepare(crops.draw(recipe.batch_size), recipe, random)
        bins, weights = palette.soft_labels(F.avg_pool2d(chroma, SCALE))
        generator.train()
        with torch.autocast(device.type, torch.bfloat16):
            logits = logits_of(luma.to(device, memory_format=torch.channels_last))
        loss = loss_of(
            logits.float(), bins.to(device), weights.to(device), rarity, recipe.label_smoothing
        )
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(generator.parameters(), 1.0)
        optimizer.step()
        update_average(average, generator, min(recipe.ema_decay, (1 + step) / (10 + step)))

        done += recipe.batch_size
        on_step(step + 1, loss.item(), done / (time.monotonic() - started))
        if (step + 1) % SAVE_EVERY == 0 or step + 1 == recipe.steps:
            with (run / "log.jsonl").open("a") as log:
                log.write(json.dumps({"step": step + 1, "loss": round(loss.item(), 4)}) + "\n")
            save_checkpoint(checkpoint, generator, average, optimizer, random, crops, step + 1)
    return settle(average, rarity, recipe)


def prepare(pictures: np.ndarray, recipe: Recipe, random: torch.Generator) -> tuple[Tensor, Tensor]:
    """(B, 3, n, n) uint8 -> worn luma (B, 1, crop, crop) and chroma (B, 2, crop, crop)."""
    ycc = torch.from_numpy(pictures).float() / 255
    if ycc.shape[-1] != recipe.crop:
        ycc = F.interpolate(ycc, (recipe.crop, recipe.crop), mode="bilinear", antialias=True)
    luma, chroma = ycc[:, :1], ycc[:, 1:] - 128 / 255
    return wear(luma, chroma, recipe.wear, random), chroma


@torch.no_grad()
def settle(generator: Lite, rarity: Tensor, recipe: Recipe) -> Lite:
    """Set how sure, how calm and how vivid the trained generator paints, as the recipe says.

    rarity: (Q,) class weights of the training, which made rare colours more likely by as much.
    """
    assert generator.head.bias is not None
    generator.head.bias.sub_(recipe.calm * rarity.log())
    generator.sharpness.fill_(1 / recipe.temperature)
    generator.palette.mul_(recipe.vividness)
    return generator


def classification_loss(
    logits: Tensor, bins: Tensor, weights: Tensor, rarity: Tensor, smoothing: float
) -> Tensor:
    """Cross-entropy with soft labels, each pixel weighed by the rarity of its colour.

    logits: (B, Q, h, w); bins, weights: (B, 4, h, w) from `Palette.soft_labels`; rarity: (Q,).
    """
    log_odds = F.log_softmax(logits, dim=1)
    hit = (log_odds.gather(1, bins) * weights).sum(1)
    pixel_weight = (rarity[bins] * weights).sum(1)
    blend = (1 - smoothing) * hit + smoothing * log_odds.mean(1)
    return -(pixel_weight * blend).mean()


def learning_rate(step: int, recipe: Recipe) -> float:
    """Linear warm-up, level, then a cosine to zero over the last `decay` of the steps."""
    warm = min(1.0, (step + 1) / (recipe.warmup_steps + 1))
    start = recipe.steps * (1 - recipe.decay)
    progress = max(0.0, (step - start) / max(1.0, recipe.steps - start))
    return recipe.max_learning_rate * warm * 0.5 * (1 + math.cos(math.pi * progress))


def weight_groups(module: nn.Module, weight_decay: float) -> list[dict]:
    """Weight decay for the matrices only; batch norms and biases go without."""
    matrices = [p for p in module.parameters() if p.ndim > 1]
    vectors = [p for p in module.parameters() if p.ndim <= 1]
    return [
        {"params": matrices, "weight_decay": weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]


@torch.no_grad()
def update_average(average: nn.Module, module: nn.Module, decay: float) -> None:
    """Move the averaged weights and batch statistics a little towards the present ones."""
    for kept, now in zip(average.state_dict().values(), module.state_dict().values(), strict=True):
        if kept.dtype.is_floating_point:
            kept.lerp_(now, 1 - decay)
        else:
            kept.copy_(now)


def save_checkpoint(
    path: Path,
    generator: nn.Module,
    average: nn.Module,
    optimizer: torch.optim.Optimizer,
    random: torch.Generator,
    crops: Crops,
    step: int,
) -> None:
    """Write all that a resumed run needs; the old checkpoint stays until the new one is whole."""
    partial = path.with_suffix(".tmp")
    torch.save(
        {
            "generator": generator.state_dict(),
            "average": average.state_dict(),
            "optimizer": optimizer.state_dict(),
            "random": random.get_state(),
            "crops": json.dumps(crops.random.bit_generator.state),
            "step": step,
        },
        partial,
    )
    partial.replace(path)


def export(generator: Lite, path: Path, recipe: Recipe, provenance: dict[str, str]) -> None:
    """Write half-precision safetensors with architecture, shape, recipe and provenance inside."""
    tensors = {
        key: value.half().contiguous() if value.dtype.is_floating_point else value
        for key, value in generator.cpu().state_dict().items()
    }
    metadata = {
        "architecture": "lite",
        "shape": json.dumps(asdict(generator.shape)),
        "recipe": json.dumps(asdict(recipe)),
        **provenance,
    }
    partial = path.with_suffix(".tmp")
    save_file(tensors, partial, metadata)
    partial.replace(path)
