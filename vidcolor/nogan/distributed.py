"""Where a training runs: device, precision, and which of several processes this one is."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, distributed

from vidcolor.inference.device import choose_device, choose_precision

Made = TypeVar("Made")


@dataclass(frozen=True, kw_only=True)
class DistributedContext:
    """One process of a training."""

    device: torch.device
    dtype: torch.dtype
    """Of convolutions; weights, losses and optimizers stay in float32."""
    compiled: bool = False
    """Use torch.compile, which needs a C++ compiler."""
    rank: int = 0
    world: int = 1

    def autocast(self) -> AbstractContextManager:
        return torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32)

    def average(self, tensors: Iterable[Tensor]) -> None:
        """Replace tensors by their mean over all processes, in one message."""
        tensors = list(tensors)
        if self.world == 1 or not tensors:
            return
        flat = torch.cat([tensor.flatten() for tensor in tensors])
        distributed.all_reduce(flat)
        for tensor, mean in zip(
            tensors, flat.div_(self.world).split([t.numel() for t in tensors]), strict=True
        ):
            tensor.copy_(mean.view_as(tensor))

    def from_first(self, make: Callable[[], Made]) -> Made:
        """What the first process makes, given to all."""
        if self.world == 1:
            return make()
        box = [make() if self.rank == 0 else None]
        distributed.broadcast_object_list(box, device=self.device)
        made = box[0]
        assert made is not None
        return made

    def wait(self) -> None:
        """Until every process is here."""
        if self.world > 1:
            distributed.barrier()


def join_processes(device: str, precision: str, *, compiled: bool = False) -> DistributedContext:
    """This process's context; under torchrun it joins the others, one GPU or CPU share each."""
    world = int(os.environ.get("WORLD_SIZE", "1"))
    rank = int(os.environ.get("RANK", "0"))
    chosen = choose_device(device)
    if world > 1:
        if chosen.type == "cuda":
            chosen = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
            torch.cuda.set_device(chosen)
        distributed.init_process_group("nccl" if chosen.type == "cuda" else "gloo")
    dtype = choose_precision(precision, chosen)
    return DistributedContext(device=chosen, dtype=dtype, compiled=compiled, rank=rank, world=world)
